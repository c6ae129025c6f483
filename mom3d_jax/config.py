"""Every setting and its default. The recipes in `configs/` start from here."""

from ml_collections import ConfigDict


def default_config() -> ConfigDict:
    """All settings of the pipeline, one section per stage; a stage reads its own sections only."""
    c = ConfigDict()
    c.input = ""  # image file or scene folder; "bundled" is the landscape that comes with the project
    c.seed = 0
    c.devices = 0  # how many devices to train on; 0 takes all
    c.rasterizer = "auto"  # a rasterizer backend by name

    c.size = ConfigDict()
    c.size.width = 256  # working width in px; the image is never enlarged
    c.size.focal = 0.0  # focal length in px at working size; 0 takes max(width, height)

    c.time = ConfigDict()
    c.time.frames = 60  # T, the period of a clip
    c.time.field = "fill"  # fill, loop, one_sided: which copies of the moving Gaussians exist at t
    c.time.crossfade = 0.5  # share of the period over which `loop` blends

    c.pointcloud = ConfigDict()
    c.pointcloud.edge_ratio = 1.1  # neighbouring depths farther apart than this are different surfaces

    c.views = ConfigDict()
    c.views.preset = "fov"  # fov, official
    c.views.min_coverage = 0.4  # views covered less are rejected

    c.flow = ConfigDict()
    c.flow.taper_width = 0.03  # widest fade at mask borders that moving content crosses, share of the width

    c.motion3d = ConfigDict()
    c.motion3d.solver = "coupled"  # a name of motion3d.SOLVERS or "module:attribute"
    c.motion3d.options = ConfigDict()  # of each solver, by its name; those of "module:attribute" are called `own`
    c.motion3d.options.coupled = ConfigDict(
        {"smoothness": 2.0, "damping": 0.03, "depth_edge": 0.1, "epsilon": 0.3, "shrink": 0.5, "sharpest": 0.002}
    )
    c.motion3d.options.coupled.update({"inner": 10, "iterations": 9, "tolerance": 0.0})
    c.motion3d.options.irls = ConfigDict({"damping": 0.03, "epsilon": 1.0, "shrink": 0.6, "sharpest": 1e-4})
    c.motion3d.options.irls.update({"iterations": 30, "tolerance": 1e-5})
    c.motion3d.options.official_sgd = ConfigDict({"rate": 0.5, "decay": 0.97, "iterations": 200, "tolerance": 0.0})
    c.motion3d.options.input_view_lift = ConfigDict()
    c.motion3d.options.own = ConfigDict()

    c.animation = ConfigDict()
    c.animation.views = (2, 7, 12)  # 5 · outer + inner

    c.gaussians = ConfigDict()
    c.gaussians.sh_degree = 0
    c.gaussians.opacity = 0.9  # at the start
    c.gaussians.footprint = 0.5  # standard deviation at the start, px of the input view

    c.stage1 = ConfigDict()
    c.stage1.steps = 600
    c.stage1.batch = 1  # images per step and device
    c.stage1.ssim_weight = 0.2  # λ of eq. 3
    c.stage1.checkpoint_every = 200
    c.stage1.rates = ConfigDict()  # (first, last) learning rates
    c.stage1.rates.means = (0.02, 0.002)  # px of the input view
    c.stage1.rates.log_scales = (0.02, 0.005)
    c.stage1.rates.quaternions = (0.01, 0.002)
    c.stage1.rates.opacity_logits = (0.05, 0.01)
    c.stage1.rates.sh = (0.02, 0.004)

    c.deformation = ConfigDict()
    c.deformation.residual = "hexplane"  # none, hexplane
    c.deformation.options = ConfigDict()  # of each residual, by its name
    c.deformation.options.none = ConfigDict()
    c.deformation.options.hexplane = ConfigDict()
    c.deformation.options.hexplane.resolution = 64  # cells per spatial axis at the first level
    c.deformation.options.hexplane.time_resolution = 25  # cells along signed time, which covers two periods
    c.deformation.options.hexplane.features = 16
    c.deformation.options.hexplane.multires = (1, 2)
    c.deformation.options.hexplane.width = 64  # hidden units
    c.deformation.options.hexplane.heads = ("pixels", "log_scales", "quaternions")
    c.deformation.options.hexplane.plane_smoothness = 1e-4
    c.deformation.options.hexplane.time_smoothness = 1e-2
    c.deformation.options.hexplane.time_deviation = 1e-4

    c.stage2 = ConfigDict()
    c.stage2.steps = 600
    c.stage2.batch = 1
    c.stage2.ssim_weight = 0.2
    c.stage2.checkpoint_every = 200
    c.stage2.rates = ConfigDict()
    c.stage2.rates.means = (0.005, 0.001)
    c.stage2.rates.log_scales = (0.005, 0.001)
    c.stage2.rates.quaternions = (0.005, 0.001)
    c.stage2.rates.opacity_logits = (0.02, 0.005)
    c.stage2.rates.sh = (0.005, 0.001)
    c.stage2.rates.planes = (0.01, 0.001)
    c.stage2.rates.heads = (0.002, 0.0002)

    c.render = ConfigDict()
    c.render.paths = ("up-down", "side", "zoom-in", "circle")
    c.render.frames = 60  # frames per path
    c.render.fps = 30
    return c
