"""Every setting of an evaluation and its default; the recipe in `configs/eval_synthetic.py` starts from here."""

from typing import Any

from ml_collections import ConfigDict, config_dict

from mom3d_jax.config import default_config


def default_evaluation() -> ConfigDict:
    """Settings of `eval.py`; those of the pipeline come from its recipe, and over them what `override` holds."""
    c = ConfigDict()
    c.dataset = ConfigDict()
    c.dataset.kind = "synthetic"  # synthetic, folder, manifest, holynski
    c.dataset.path = ""  # its folder, or the file of a manifest; empty: synthetic scenes are made in the work folder
    c.dataset.count = 12  # synthetic scenes that are made
    c.dataset.size = "256x144"  # of them, px
    c.dataset.seed = 0  # of the first of them
    c.dataset.corrupt = "depth=0.05,flow=1"  # what is wrong in `given` of scenes that are made; for study corruption
    c.recipe = "preview"  # of the pipeline: a name in configs/, or a file; `preview:depth=NAME` takes a model
    c.scenes = ""  # names with commas between them; empty: all
    c.study = ""  # names of evaluation.studies.STUDIES with commas between them, or all; empty: the recipe as it is
    c.frames = 60  # per path
    c.truth = "auto"  # advected, periodic; auto: what the field of the recipe promises
    c.crop = 0  # px cut off every side before scoring
    c.lpips = ""  # folder with its weights; empty: MOM3D_LPIPS_WEIGHTS, then the cache of Hugging Face
    c.keep_frames = False  # every drawn frame as a PNG file
    c.keep_work = False  # work folders of the pipeline, with checkpoints and results of the stages
    c.override = _blank(default_config())
    c.lock()
    return c


def overrides_of(config: ConfigDict) -> dict[str, Any]:
    """What was said under `override`, by dotted name of the pipeline's setting."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            found |= {f"{name}.{inner}": v for inner, v in overrides_of(value).items()}
        elif value is not None:
            found[name] = value
    return found


def _blank(settings: ConfigDict) -> ConfigDict:
    """The same settings without values, so that a value that equals a default is told from none."""
    blank = ConfigDict()
    for name, value in settings.items():
        blank[name] = _blank(value) if isinstance(value, ConfigDict) else config_dict.placeholder(type(value))
    return blank
