"""The models that there are workers for."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

WORKERS = Path(__file__).resolve().parent / "workers"


@dataclasses.dataclass(frozen=True)
class Licence:
    """What a model's code and weights may be used for."""

    name: str
    commercial: bool
    """Whether it allows commercial use; False also where nothing says so."""


APACHE = Licence("Apache-2.0", commercial=True)
MIT = Licence("MIT", commercial=True)
CC_BY_NC = Licence("CC-BY-NC-4.0", commercial=False)
CC_BY_NC_SA = Licence("CC-BY-NC-SA-4.0", commercial=False)
UNSTATED = Licence("no licence of its own", commercial=False)
APPLE = Licence("Apple's licence for research", commercial=False)
ITS_CARD = Licence("the one on its model card", commercial=False)
ACADEMIC_PARTS = Licence("MIT, parts for academic use only", commercial=False)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A model that can be asked for by name. Its settings are in `configs/external/NAME.py`."""

    worker: str
    """File in `workers/`; several models may share one."""
    task: str
    """A name of `protocol.TASKS`."""
    licence: Licence
    """Of code and weights together: the stricter one."""
    other_licences: Mapping[str, Licence] = dataclasses.field(default_factory=dict)
    """That of weights whose name contains the key, where it is another one."""
    needs: tuple[str, ...] = ()
    """Files that have to lie in the folder of weights; patterns such as `*.safetensors`. The hash is theirs; without
    any it is that of all files there."""
    imports: tuple[str, ...] = ()
    """Libraries that its repository imports, besides those that the worker names; `doctor` looks for them."""
    clone: bool = False
    """Whether it needs a clone of its repository."""


TRANSFORMERS = ("config.json", "*processor_config.json", "*.safetensors")
"""A model as the transformers library keeps it."""
OTHER_DEPTH = {"V2-Base": CC_BY_NC, "V2-Large": CC_BY_NC, "V2-Metric": ITS_CARD, "DepthPro": APPLE}
"""Weights that the worker for depth takes too."""

REGISTRY: dict[str, Entry] = {
    "zoedepth": Entry("depth_transformers.py", "depth", MIT, OTHER_DEPTH, TRANSFORMERS),
    "dpt": Entry("depth_transformers.py", "depth", APACHE, OTHER_DEPTH, TRANSFORMERS),
    "depth_anything": Entry("depth_transformers.py", "depth", APACHE, OTHER_DEPTH, TRANSFORMERS),
    "cinemagraphy": Entry("motion_cinemagraphy.py", "flow", CC_BY_NC_SA, clone=True),
    "text2cinemagraph_flow": Entry(
        "text2cinemagraph.py",
        "flow",
        ACADEMIC_PARTS,
        clone=True,
        needs=("motion-direction-pretrained/latest_net_G.pth",),
    ),
    "text2cinemagraph": Entry(
        "text2cinemagraph.py",
        "animation",
        ACADEMIC_PARTS,
        clone=True,
        needs=("video-pretrained/latest_net_G.pth",),
    ),
    "slr_sfs": Entry("animate_slr_sfs.py", "animation", UNSTATED, clone=True),
    "stylecinegan": Entry(
        "animate_stylecinegan.py",
        "animation",
        ACADEMIC_PARTS,
        clone=True,
        needs=(
            "stylegan2-pytorch/sg2-lhq-1024.pt",
            "stylegan2-pytorch/sg2-lhq-1024-mean.pt",
            "logs/lhq_k9/enc.pth.tar",
        ),
    ),
    "luciddreamer": Entry(
        "scene_luciddreamer.py",
        "scene",
        CC_BY_NC_SA,
        clone=True,
        needs=("model_index.json", "unet/*", "vae/*", "text_encoder/*"),
        imports=("diffusers", "timm", "open3d", "gradio", "plyfile", "depth_diff_gaussian_rasterization_min"),
    ),
    "viewcrafter": Entry(
        "scene_viewcrafter.py",
        "scene",
        CC_BY_NC_SA,  # of the DUSt3R in it; its own is Apache-2.0
        clone=True,
        needs=("*.ckpt", "DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth"),
        imports=("pytorch3d", "pytorch_lightning", "omegaconf", "open_clip", "trimesh", "kornia", "decord"),
    ),
    "template": Entry("template.py", "depth", APACHE),
}
"""Name in the settings -> model. One line per model."""
