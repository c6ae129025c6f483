"""The released 3D-MOM code, as far as this project can follow it, for comparison in one command.

    python train.py --config=configs/official.py --input=PATH --workdir=OUT

Every constant of the release that has a counterpart here is set below and nowhere else; `docs/official.md` lists them
beside the defaults. As released it wants a large GPU: native size, 3 000 + 20 000 steps. To see it work on a CPU:
`--config.size.width=128 --config.stage1.steps=50 --config.stage2.steps=50 --config.render.frames=30`. The focal length
is 582.69 px vertically whatever the size, so a smaller image has a narrower field of view, as in the release.

Depth and animation come from the built-in priors unless the input folder holds `depth.npy` (the release: ZoeDepth in
metres) and `video/view_02/` (the release: StyleCineGAN); the flow of the views comes from the hints unless it holds
`flow/view_XX.npy` (the release: the motion network of 3D-Cinemagraphy).

Not done here:
* growth: cloning and splitting above a gradient of 2e-4 (every 100 steps from 500 to 15 000, below 360 000 Gaussians),
  pruning below opacity 0.005, opacity reset every 3 000 steps;
* views without a z-buffer: Delaunay interpolation over visible and hidden points together, and the erosion after it;
* hint weights of a random width in each view, here height / hints;
* deforming all Gaussians: only movable ones are, and the HexPlane's box is theirs;
* 3D-MOM without occlusion, points at depths in between two surfaces;
* frame 0 of the video beside the still of the same view in stage 2; the missing update of the last step;
* 59 frames on three paths and 60 on the circle, here 59 on all.
The bugs of the release are not repeated: swapped hint coordinates, hints beyond 512 px dropped, strokes in the mask.
"""

from mom3d_jax.config import default_config

EXTENT = 0.41749
"""Radius of the fixed camera poses times 1.1, by which the release scales learning rates of positions."""


def get_config(models=""):
    c = default_config(models)
    c.size.width = 0
    c.size.focal = 582.69
    c.size.focal_ratio = 0.0
    c.depth.normalize = False

    c.time.frames = 120
    c.time.inclusive = True
    c.time.field = "one_sided"

    c.views.yaw = 20.0
    c.views.pitch = 22.5
    c.views.orbit = 5.0
    c.views.radius = 4.3
    c.views.cap = 0.0
    c.views.min_coverage = 0.0

    c.flow.interpolation = "image"
    c.flow.taper_width = 0.0
    c.motion3d.solver = "official_sgd"
    c.motion3d.loss = "l1"
    c.motion3d.nuisance = "none"
    c.motion3d.options.official_sgd.update({"rate": 0.5, "decay": 0.97, "iterations": 200})
    c.animation.views = "2"
    c.displacements.integration = "linear"
    c.displacements.flow_scale = 2.0

    c.gaussians.sh_degree = 3
    c.gaussians.opacity = 0.1
    c.gaussians.extent = "neighbours"
    c.gaussians.unit = "world"

    for stage in (c.stage1, c.stage2):
        stage.batch = 1
        stage.ssim_weight = 0.0
        stage.valid_only = False
        stage.adam = (0.9, 0.999, 1e-15)
        stage.decay_steps = 20_000
        stage.checkpoint_every = 1000
        stage.rates.means = (1.6e-4 * EXTENT, 1.6e-6 * EXTENT)
        stage.rates.log_scales = (5e-3, 5e-3)
        stage.rates.quaternions = (1e-3, 1e-3)
        stage.rates.opacity_logits = (5e-2, 5e-2)
        stage.rates.sh = (2.5e-3, 2.5e-3)
        stage.sh_rest_share = 1 / 20
    c.stage1.steps = 3_000
    c.stage1.sh_every = 1_000
    c.stage2.steps = 20_000
    c.stage2.rates.planes = (1.6e-3 * EXTENT, 1.6e-5 * EXTENT)
    c.stage2.rates.heads = (1.6e-4 * EXTENT, 1.6e-6 * EXTENT)

    c.deformation.residual = "hexplane"
    c.deformation.ramp = 0.0
    c.deformation.coordinates = "box"
    c.deformation.options.hexplane.update({"resolution": 64, "time_resolution": 50, "features": 32, "multires": (1, 2)})
    c.deformation.options.hexplane.update({"width": 64, "zero_init": False, "one_axis": True})
    c.deformation.options.hexplane.update({"plane_smoothness": 1e-4, "time_smoothness": 1e-2, "time_deviation": 1e-4})

    c.render.frames = 59
    c.render.poses = 60
    c.render.circle_poses = 90
    c.render.crop = 32
    c.render.fps = 30
    return c
