"""Somebody else's static scene as it was given, in a unit of its own: from files, or from a model's result."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float

from mom3d_jax.cameras import select
from mom3d_jax.export import read_ply, read_vertices
from mom3d_jax.external import Result
from mom3d_jax.inputs import InputError, SceneFiles
from mom3d_jax.types import Cameras, Gaussians

SOLID = 0.0
"""Logit of the opacity from which on a Gaussian counts as surface."""


@dataclasses.dataclass(frozen=True)
class Given:
    """A static scene as it was given: Gaussians, or points with colours, in a unit of its own."""

    source: str
    gaussians: Gaussians | None
    points: Float[np.ndarray, "n 3"]
    colors: Float[np.ndarray, "n 3"] | None = None
    mask: Float[np.ndarray, " n"] | None = None
    images: Float[np.ndarray, "k h w 3"] | None = None
    cameras: Cameras | None = None
    """Of the images, in the same unit."""
    new: Bool[np.ndarray, "k h w"] | None = None
    """Where the images show what the photo does not; None: where no point reaches."""

    def surface(self) -> Float[np.ndarray, "m 3"]:
        """Points that tell of the surface: of Gaussians the more opaque ones."""
        return self.points if self.gaussians is None else self.points[self.gaussians.opacity_logits > SOLID]


def read_given(files: SceneFiles) -> Given:
    """The static scene among the files: `gsplat.ply`, `cloud.ply` or `cloud.npz`.

    Raises:
      InputError: it cannot be used, in one line.
    """
    path = files.gaussians or files.cloud
    assert path is not None
    if files.gaussians:
        return _gaussians_of(path)
    try:
        columns: Mapping[str, np.ndarray] = np.load(path) if path.suffix.lower() == ".npz" else _points_of(path)
        points, colors = (np.asarray(columns[name], np.float32) for name in ("points", "colors"))
        mask = np.asarray(columns["mask"], np.float32) if "mask" in columns else None
    except (KeyError, ValueError, OSError, EOFError) as error:
        raise InputError(
            f"{path}: not a point cloud ({str(error).splitlines()[0]}); a PLY has x y z red green blue, an npz points "
            "[n,3] and colors [n,3] in [0, 1]; mask [n] where it is known"
        ) from error
    wrong = points.ndim != 2 or points.shape[1:] != (3,) or colors.shape != points.shape
    if wrong or (mask is not None and mask.shape != points.shape[:1]):
        raise InputError(f"{path}: points {list(points.shape)} with colors {list(colors.shape)}; both have to be [n,3]")
    finite = np.isfinite(points).all() and np.isfinite(colors).all()
    if not finite or not len(points) or colors.min() < 0 or colors.max() > 1:
        raise InputError(f"{path}: no points, values that are not finite, or colours outside [0, 1]; repair the cloud")
    return Given(path.name, None, points, colors, mask)


def _points_of(path: Path) -> dict[str, np.ndarray]:
    """Points of a PLY file; colours of whole numbers go to 255."""
    columns = read_vertices(path)
    colors = np.stack([columns[name] for name in ("red", "green", "blue")], -1)
    whole = colors.dtype.kind in "iu"
    found = {"points": np.stack([columns[name] for name in "xyz"], -1), "colors": colors / 255 if whole else colors}
    return found | ({"mask": columns["mask"]} if "mask" in columns else {})


def _gaussians_of(path: Path, source: str = "") -> Given:
    """Gaussians of a PLY file in the layout of 3D Gaussian Splatting."""
    try:
        gaussians, mask = read_ply(path), read_vertices(path).get("mask")
    except ValueError as error:
        raise InputError(f"{error}; a splatting tool writes such a file") from error
    leaves = (gaussians.means, gaussians.log_scales, gaussians.quaternions, gaussians.opacity_logits, gaussians.sh)
    if not len(gaussians.means) or not all(np.isfinite(leaf).all() for leaf in leaves):
        raise InputError(f"{path}: no Gaussians, or values that are not finite; export it again")
    return Given(source or path.name, gaussians, np.asarray(gaussians.means), mask=mask)


def given_by(result: Result, source: str, width: int) -> Given:
    """The static scene of a model's result.

    Args:
      result: of a scene model.
      source: what to call it.
      width: of the photo, px; images need not be wider.

    Raises:
      InputError: Gaussians that cannot be used, in one line.
    """
    if "gaussians.ply" in result.files:
        return _gaussians_of(result.files["gaussians.ply"], source)
    given = Given(source, None, result.arrays["points"], result.arrays["colors"])
    return _with_frames(given, result.arrays, width) if "images" in result.arrays else given


def _with_frames(given: Given, arrays: Mapping[str, np.ndarray], width: int) -> Given:
    """With images and cameras of a result, at most as wide as the photo, those that look elsewhere the most first."""
    images, matrices = np.asarray(arrays["images"]), arrays["cameras"]
    if images.dtype == np.uint8:
        images = images.astype(np.float32) / 255
    height, full = images.shape[1:3]
    size = (min(width, full), max(1, round(height * min(width, full) / full)))
    ratio = np.array([size[0] / full, size[1] / height], np.float32)
    cameras = Cameras(
        rotation=matrices[:, :3, :3],
        translation=matrices[:, :3, 3],
        focal=arrays["intrinsics"][:, :2] * ratio,
        centre=arrays["intrinsics"][:, 2:] * ratio,
        width=size[0],
        height=size[1],
    )
    order = np.argsort(-np.linalg.norm(matrices - np.eye(4, dtype=np.float32), axis=(1, 2)), kind="stable")
    images, cameras = _at_size(images[order], size), select(cameras, order)
    new = _at_size(arrays["new"][order], size) > 0.5 if "new" in arrays else None
    return dataclasses.replace(given, images=images, cameras=cameras, new=new)


def _at_size(stack: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Images of a stack, no larger than they are."""
    return np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in stack])
