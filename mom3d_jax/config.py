"""Every setting and its default. The recipes in `configs/` start from here."""

import ast
import os
import runpy
from pathlib import Path

from ml_collections import ConfigDict

EXTERNAL = Path(__file__).resolve().parent.parent / "configs" / "external"
"""Settings of other people's models, one file each; an installed package comes without."""
SECTIONS = {"depth": "depth", "flow": "flow", "animator": "animation", "scene": "scene"}
"""What may be chosen behind the name of a recipe, and the section that it belongs to."""


def default_config(models: str = "") -> ConfigDict:
    """All settings of the pipeline, one section per stage; a stage reads its own sections only.

    Args:
      models: what stands behind the colon of `--config=RECIPE:depth=zoedepth,flow=cinemagraphy`; see `choose_models`.

    Raises:
      ValueError: a model or a stage that there is not.
    """
    c = ConfigDict()
    c.input = ""  # image file or scene folder; "bundled" is the landscape that comes with the project
    c.seed = 0
    c.devices = 0  # how many devices to train on; 0 takes all
    c.rasterizer = "auto"  # a rasterizer backend by name

    c.size = ConfigDict()
    c.size.width = 256  # working width in px, 0 takes the image's own; the image is never enlarged
    c.size.focal = 0.0  # fy in px at working size; 0 takes max(width, height)
    c.size.focal_ratio = 1.0  # fx / fy; 0 takes width / height (as released)

    c.depth = ConfigDict()
    c.depth.model = "builtin"  # or a model of the section `external`
    c.depth.normalize = True  # scale the depth so that its 1st percentile is 1, which the evaluation paths assume

    c.time = ConfigDict()
    c.time.frames = 60  # T, the period of a clip
    c.time.inclusive = False  # frame i is at t = i / T; True: i / (T - 1)
    c.time.field = "fill"  # fill, loop, one_sided: which copies of the moving Gaussians exist at t
    c.time.crossfade = 0.5  # share of the period over which `loop` blends
    c.time.torn = (1.25, 2.0)  # content that covers so many times its area starts to sink, and lies behind

    c.pointcloud = ConfigDict()
    c.pointcloud.edge_ratio = 1.1  # neighbouring depths farther apart than this are different surfaces

    c.views = ConfigDict()
    c.views.count = 25  # generation views: 25 (5 outer x 5 inner poses) or 30 (a sixth outer pose, a step ahead)
    c.views.yaw = 0.0  # of the outer poses, degrees; 0 takes 0.42 of the horizontal field of view
    c.views.pitch = 0.0  # 0 takes 0.47 of the vertical field of view
    c.views.orbit = 5.0  # of the inner poses, degrees
    c.views.radius = 0.0  # of their orbit, world units; 0 takes the median depth
    c.views.cap = 0.08  # the orbit shrinks until near content moves by at most this share of the width; 0: never
    c.views.min_coverage = 0.4  # views covered less are rejected

    c.flow = ConfigDict()
    c.flow.model = "builtin"  # or a model of the section `external`: flow of each view
    # How hints spread: "image", each view's own over its image (paper); "space", the photo's over the surfaces, the
    # same for all views; "auto" takes the one under which the arrows predict each other better.
    c.flow.interpolation = "auto"
    c.flow.sigma = 0.0  # width of the hint weights in px; 0 takes height / number of hints
    c.flow.taper_width = 0.01  # widest fade at mask borders that moving content crosses, share of the width

    c.motion3d = ConfigDict()
    c.motion3d.solver = "coupled"  # a name of motion3d.SOLVERS, "optax:name" or "module:attribute"
    c.motion3d.loss = "cauchy"  # of residuals in px: l1 (as released), l2, huber, cauchy
    c.motion3d.noise = 0.08  # of the flows, px per axis: where huber and cauchy begin to doubt; flows may agree better
    c.motion3d.nuisance = "similarity"  # fitted per view along with the motion: none, gain, similarity
    c.motion3d.priors = ConfigDict()  # stiffness as a share of the total weight of a point, 1/px²; 0: none
    c.motion3d.priors.damping = 0.003  # along the viewing rays of the photo
    c.motion3d.priors.smoothness = 2.0  # between neighbours on the same surface
    c.motion3d.priors.depth_edge = 0.1  # width of a break in the surface, in logarithms of depth
    c.motion3d.priors.tangency = 0.0  # along the surface normal: content that moves along its surface, like water
    # Options of each solver, by its name; those of "optax:name" are called `optax` (the optimizer's own may be added),
    # those of "module:attribute" `own`. iterations: steps at most; tolerance: the relative change of the objective that
    # ends a run (0: never); epsilon, shrink, sharpest: smoothing of the loss in px: first, factor per step, last.
    c.motion3d.options = ConfigDict()
    c.motion3d.options.coupled = ConfigDict({"epsilon": 0.6, "shrink": 0.6, "sharpest": 0.002})
    c.motion3d.options.coupled.update({"inner": 10, "iterations": 12, "tolerance": 5e-4})  # inner: CG steps per step
    c.motion3d.options.irls = ConfigDict({"epsilon": 1.0, "shrink": 0.6, "sharpest": 1e-4})
    c.motion3d.options.irls.update({"iterations": 30, "tolerance": 1e-5})
    c.motion3d.options.lm = ConfigDict({"epsilon": 0.01, "ridge": 1e-3, "iterations": 40, "tolerance": 1e-5})
    c.motion3d.options.admm = ConfigDict({"stiffness": 10.0, "iterations": 150, "tolerance": 0.0})  # 1/px
    c.motion3d.options.sgd = ConfigDict({"rate": 0.5, "decay": 0.97, "iterations": 200, "tolerance": 0.0})  # rate: px
    c.motion3d.options.official_sgd = ConfigDict({"rate": 0.5, "decay": 0.97, "iterations": 200, "tolerance": 0.0})
    c.motion3d.options.optax = ConfigDict({"rate": 0.1, "last": 0.01, "epsilon": 0.0})  # px, share of rate, px (0: own)
    c.motion3d.options.optax.update({"iterations": 200, "tolerance": 0.0})
    c.motion3d.options.input_view_lift = ConfigDict()
    c.motion3d.options.own = ConfigDict()

    c.animation = ConfigDict()
    c.animation.model = "builtin"  # or a model of the section `external`: videos of the sampled views
    c.animation.views = "2,7,12"  # 5 · outer + inner, or "all"
    c.animation.flow = "scene_flow"  # what the videos show: scene_flow (projected), per_view (no 3D-MOM: paper §4.4.1)

    c.displacements = ConfigDict()
    c.displacements.integration = "euler"  # euler (paper eq. 5), linear (k · F: constant velocity, as released)
    c.displacements.flow_scale = 1.0  # of the scene flow; 0 leaves all motion to the residual

    c.gaussians = ConfigDict()
    c.gaussians.sh_degree = 0
    c.gaussians.opacity = 0.9  # at the start
    c.gaussians.extent = "footprint"  # how large at the start: footprint, neighbours (mean distance of the nearest 3)
    c.gaussians.footprint = 0.5  # standard deviation at the start, px of the input view
    c.gaussians.unit = "px"  # of learning rates of positions and of the residual's translation: px, world

    c.scene = ConfigDict()
    c.scene.model = "builtin"  # or a model of the section `external`: a static scene wider than the photo
    c.scene.fit = False  # fit a ready static scene (gsplat.ply) on to the views of the photo

    c.stage1 = ConfigDict()
    c.stage1.steps = 600
    c.stage1.batch = 1  # images per step and device
    c.stage1.ssim_weight = 0.2  # λ of eq. 3
    c.stage1.valid_only = True  # False: pixels that nothing covers are black, and truth (as released)
    c.stage1.checkpoint_every = 200
    c.stage1.sh_every = 0  # steps after which one more SH degree takes part; 0: all from the start
    c.stage1.adam = (0.9, 0.999, 1e-8)  # β₁, β₂, ε
    c.stage1.decay_steps = 0  # over which the rates go from first to last; 0: the steps of the stage
    c.stage1.sh_rest_share = 1 / 20  # rate of the SH bands above degree 0, as a share of that of degree 0
    c.stage1.rates = ConfigDict()  # (first, last) learning rates
    c.stage1.rates.means = (0.02, 0.002)  # px of the input view
    c.stage1.rates.log_scales = (0.02, 0.005)
    c.stage1.rates.quaternions = (0.01, 0.002)
    c.stage1.rates.opacity_logits = (0.05, 0.01)
    c.stage1.rates.sh = (0.02, 0.004)

    c.deformation = ConfigDict()
    c.deformation.residual = "hexplane"  # none, hexplane
    c.deformation.ramp = 4.0  # frames over which the residual comes in; 0: at once, also at t = 0 (as released)
    c.deformation.coordinates = "perspective"  # it is looked up at: perspective (x/z, y/z, log z), box (xyz)
    c.deformation.options = ConfigDict()  # of each residual, by its name
    c.deformation.options.none = ConfigDict()
    c.deformation.options.hexplane = ConfigDict()
    c.deformation.options.hexplane.resolution = 64  # cells per spatial axis at the first level
    c.deformation.options.hexplane.time_resolution = 25  # cells along signed time, which covers two periods
    c.deformation.options.hexplane.features = 16
    c.deformation.options.hexplane.multires = (1, 2)
    c.deformation.options.hexplane.width = 64  # hidden units
    c.deformation.options.hexplane.heads = ("pixels", "log_scales", "quaternions")
    c.deformation.options.hexplane.zero_init = True  # of the heads' last layer; False: Xavier (as released)
    c.deformation.options.hexplane.one_axis = False  # smoothness of a spatial plane along its second axis only
    c.deformation.options.hexplane.plane_smoothness = 1e-4
    c.deformation.options.hexplane.time_smoothness = 1e-2
    c.deformation.options.hexplane.time_deviation = 1e-4

    c.stage2 = ConfigDict()
    c.stage2.steps = 600
    c.stage2.batch = 1
    c.stage2.ssim_weight = 0.2
    c.stage2.valid_only = True
    c.stage2.checkpoint_every = 200
    c.stage2.sh_every = 0
    c.stage2.adam = (0.9, 0.999, 1e-8)
    c.stage2.decay_steps = 0
    c.stage2.sh_rest_share = 1 / 20
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
    c.render.poses = 0  # poses of a whole path, of which the first `frames` are shown; 0: as many as frames
    c.render.circle_poses = 0  # the same of the circle; 0: as of the other paths
    c.render.crop = 0  # px cut off every side of the videos of the paths
    c.render.fps = 30

    c.export = ConfigDict()
    c.export.ply_frames = False  # one PLY file per frame in frames/; their size is announced first

    c.external = ConfigDict()  # other people's models by name, from configs/external/NAME.py
    for file in sorted(EXTERNAL.glob("*.py")):
        c.external[file.stem] = runpy.run_path(str(file))["get_config"]()
    c.lock()  # a recipe that sets what there is not is told so
    c.motion3d.options.own.unlock()
    c.motion3d.options.optax.unlock()
    c.external.unlock()  # a recipe may bring a model of its own
    for settings in c.external.values():
        settings.lock()
        settings.environment.unlock()
    choose_models(c, models)
    return c


def external_model() -> ConfigDict:
    """The settings that every one of other people's models has."""
    c = ConfigDict()
    c.python = ""  # of the environment that has its libraries: ENV/bin/python
    c.repo = ""  # clone of its repository, the worker's working folder; empty for a model that needs none
    c.weights = ""  # a file or folder (a relative one is looked for in the repository first), or a name on the HF hub
    c.device = "auto"  # auto (a GPU if its torch sees one), cpu, cuda, cuda:1, mps
    c.timeout = 3600.0  # seconds for one request, which may be all views of a scene; 0: any time
    c.use = "research"  # or commercial: what you use it for; a licence that forbids that is told
    c.fallback = ""  # "builtin": where the model fails, the built-in takes its place, and the result says so
    c.trust = ()  # names of weight files that may run code on loading
    c.environment = ConfigDict()  # variables for it, such as HF_HOME or LD_LIBRARY_PATH
    c.options = ConfigDict()  # of the model itself; its worker says which there are
    # Of a model that the project has no worker for.
    c.worker = ""  # the file; docs/external.md says how to write one
    c.task = ""  # depth, flow, animation, scene; empty: what it is chosen for
    c.licence = ""  # its name
    c.commercial = False  # whether that allows commercial use
    return c


def how_to_set_up(name: str) -> str:
    """What the file of a model in `configs/external/` says on top: what it is, and the commands that set it up.

    Empty where there is no such file.
    """
    file = EXTERNAL / f"{name}.py"
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "") if file.is_file() else ""


def choose_models(c: ConfigDict, said: str) -> None:
    """Choose models by a line such as `depth=zoedepth,flow=cinemagraphy,animator=slr_sfs`; empty changes nothing.

    Raises:
      ValueError: a stage or a model that there is not.
    """
    for word in filter(None, map(str.strip, said.split(","))):
        stage, _, name = word.partition("=")
        if stage not in SECTIONS:
            raise ValueError(f"{word!r}: models are chosen by {', '.join(f'{s}=NAME' for s in SECTIONS)}")
        if name != "builtin" and name not in c.external:
            raise ValueError(f"{word!r}: no such model; there are builtin, {', '.join(sorted(c.external))}")
        c[SECTIONS[stage]].model = name
        if name != "builtin":
            # JAX takes most of a GPU when it starts; the model needs some of it.
            os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
