"""Which files belong to a scene."""

import dataclasses
import re
from pathlib import Path

from mom3d_jax.inputs import depth_files, flow_files, images, video_files
from mom3d_jax.inputs.errors import InputError

VIEW = re.compile(r"view_(\d{2,3})")
"""Name of what belongs to one generation view: `view_07`, `view_007`."""


@dataclasses.dataclass(frozen=True)
class SceneFiles:
    """The files of a scene; None for those that are not there."""

    name: str
    image: Path
    annotation: Path | None
    mask: Path | None = None
    depth: Path | None = None
    flow: Path | None = None
    view_flows: dict[int, Path] = dataclasses.field(default_factory=dict)
    """Flow of single views, by their index."""
    videos: dict[int, Path] = dataclasses.field(default_factory=dict)
    """Videos of single views, by their index: folders of frames, or mp4 files."""

    gaussians: Path | None = None
    """A static scene that somebody else fitted."""
    cloud: Path | None = None
    """Points beyond what the photo shows."""
    view_masks: dict[int, Path] = dataclasses.field(default_factory=dict)
    """What moves of those two in single views, by their index."""

    def static(self) -> list[Path]:
        """The files that have a say in the static scene besides the photo."""
        return [*filter(None, [self.gaussians, self.cloud]), *self.view_masks.values()]

    def present(self) -> list[Path]:
        """Every file that has a say in the scene; videos have theirs later."""
        kind = [self.depth.with_name("depth.json")] if self.depth else []
        named = [self.image, self.annotation, self.mask, self.depth, self.flow]
        return [*filter(None, named), *(path for path in kind if path.is_file()), *self.view_flows.values()]

    def frames(self) -> dict[int, list[Path]]:
        """The files of each video."""
        return {view: video_files.frames_in(video) for view, video in self.videos.items()}


def find_files(path: Path) -> SceneFiles:
    """The files of a scene.

    Args:
      path: an image file, to which a LabelMe file of the same name belongs where there is one (`lake.jpg` and
        `lake.json`); or a folder with `image.png|jpg|jpeg` and, as wanted, `image.json`, `mask.png`,
        `depth.npy|png|pfm`, `depth.json`, `flow.npy|flo`, `flow/view_XX.npy|flo`, `video/view_XX.mp4` and folders
        `video/view_XX/` of frames, XX the index of a generation view; `gsplat.ply` or `cloud.ply|npz`, and
        `mask/view_XX.png` for them. Suffixes in upper or lower case.

    Raises:
      InputError: nothing at the path, no image in the folder, two files for one thing, or something in `flow/`,
        `video/` or `mask/` that is called otherwise.
    """
    if path.is_file():
        annotation = path.with_suffix(".json")
        return SceneFiles(path.stem, path, annotation if annotation.is_file() else None)
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder; give an image, or a folder with image.png in it")
    image = _only(path, "image", images.SUFFIXES)
    if image is None:
        raise InputError(f"{path}: no image.png, image.jpg or image.jpeg in this folder; add the photo under that name")
    gaussians, cloud = _only(path, "gsplat", (".ply",)), _only(path, "cloud", (".ply", ".npz"))
    if gaussians and cloud:
        raise InputError(f"{path}: {gaussians.name} and {cloud.name} are both there; keep one")
    return SceneFiles(
        name=path.resolve().name,
        image=image,
        annotation=_only(path, "image", (".json",)),
        mask=_only(path, "mask", (".png",)),
        depth=_only(path, "depth", depth_files.SUFFIXES),
        flow=_only(path, "flow", flow_files.SUFFIXES),
        view_flows=_of_views(path / "flow", flow_files.SUFFIXES, folders=False),
        videos=_of_views(path / "video", video_files.SUFFIXES, folders=True),
        gaussians=gaussians,
        cloud=cloud,
        view_masks=_of_views(path / "mask", (".png",), folders=False),
    )


def _only(folder: Path, stem: str, suffixes: tuple[str, ...]) -> Path | None:
    """The file of this name in a folder, whichever of the suffixes it has."""
    found = sorted(f for f in folder.iterdir() if f.stem == stem and f.suffix.lower() in suffixes and f.is_file())
    if len(found) > 1:
        raise InputError(f"{folder}: {' and '.join(f.name for f in found)} are both there; keep one")
    return found[0] if found else None


def _of_views(folder: Path, suffixes: tuple[str, ...], *, folders: bool) -> dict[int, Path]:
    """What lies in a folder under the names of views, by index; hidden files and other suffixes are not looked at."""
    found: dict[int, Path] = {}
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        meant = folders if entry.is_dir() else entry.suffix.lower() in suffixes
        if entry.name.startswith(".") or not meant:
            continue
        name = VIEW.fullmatch(entry.name if entry.is_dir() else entry.stem)
        if name is None:
            raise InputError(f"{entry}: belongs to no view; rename it to view_07 and the like, or move it elsewhere")
        view = int(name[1])
        if view in found:
            raise InputError(f"{folder}: {found[view].name} and {entry.name} are both there; keep one")
        if entry.is_dir() and not video_files.frames_in(entry):
            raise InputError(f"{entry}: no PNG or JPEG frames in this folder; add them, or remove it")
        found[view] = entry
    return dict(sorted(found.items()))
