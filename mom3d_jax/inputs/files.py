"""Which files belong to a scene."""

import dataclasses
from pathlib import Path

from mom3d_jax.inputs import depth_files, flow_files, images
from mom3d_jax.inputs.errors import InputError


@dataclasses.dataclass(frozen=True)
class SceneFiles:
    """The files of a scene; None for those that are not there."""

    name: str
    image: Path
    annotation: Path | None
    mask: Path | None = None
    depth: Path | None = None
    flow: Path | None = None

    def present(self) -> list[Path]:
        """Every file that has a say in the scene."""
        kind = [self.depth.with_name("depth.json")] if self.depth else []
        named = [self.image, self.annotation, self.mask, self.depth, self.flow]
        return [*filter(None, named), *(path for path in kind if path.is_file())]


def find_files(path: Path) -> SceneFiles:
    """The files of a scene.

    Args:
      path: an image file, to which a LabelMe file of the same name belongs where there is one (`lake.jpg` and
        `lake.json`); or a folder with `image.png|jpg|jpeg` and, as wanted, `image.json`, `mask.png`,
        `depth.npy|png|pfm`, `depth.json`, `flow.npy|flo`. Suffixes in upper or lower case.

    Raises:
      InputError: nothing at the path, no image in the folder, or two files for one thing.
    """
    if path.is_file():
        annotation = path.with_suffix(".json")
        return SceneFiles(path.stem, path, annotation if annotation.is_file() else None)
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder; give an image, or a folder with image.png in it")
    image = _only(path, "image", images.SUFFIXES)
    if image is None:
        raise InputError(f"{path}: no image.png, image.jpg or image.jpeg in this folder; add the photo under that name")
    return SceneFiles(
        name=path.resolve().name,
        image=image,
        annotation=_only(path, "image", (".json",)),
        mask=_only(path, "mask", (".png",)),
        depth=_only(path, "depth", depth_files.SUFFIXES),
        flow=_only(path, "flow", flow_files.SUFFIXES),
    )


def _only(folder: Path, stem: str, suffixes: tuple[str, ...]) -> Path | None:
    """The file of this name in a folder, whichever of the suffixes it has."""
    found = sorted(f for f in folder.iterdir() if f.stem == stem and f.suffix.lower() in suffixes and f.is_file())
    if len(found) > 1:
        raise InputError(f"{folder}: {' and '.join(f.name for f in found)} are both there; keep one")
    return found[0] if found else None
