"""One Gaussian per point of the lifted photo (paper §3.3)."""

import dataclasses

import jax
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from mom3d_jax.gaussians.parameters import SH_C0
from mom3d_jax.types import Array, Cameras, Gaussians, PointCloud

# Free slots fill a segment up to a multiple of this, so that scenes of one size share compiled programs.
SEGMENT_MULTIPLE = 512

EXTENTS = ("footprint", "neighbours")
UNITS = ("px", "world")
MOVES = 0.05
"""What has a motion mask above this is movable."""


def from_points(
    cloud: PointCloud,
    camera: Cameras,
    *,
    sh_degree: int = 0,
    opacity: float = 0.9,
    extent: str = "footprint",
    footprint: float = 0.5,
    unit: str = "px",
    movable_above: float = MOVES,
) -> tuple[Gaussians, np.ndarray]:
    """Create one isotropic Gaussian per point, the movable ones first.

    Args:
      cloud: the lifted photo, N points.
      camera: the input camera; it gives the size of a pixel at each depth.
      sh_degree: degree of the spherical harmonics, 0 to 3; bands above 0 start at zero.
      opacity: initial opacity in (0, 1).
      extent: their standard deviation. "footprint": `footprint` pixels of the input view at the point's depth;
        "neighbours": the root mean square distance of the three nearest points, as in 3D Gaussian splatting and in the
        released code.
      footprint: see `extent`.
      unit: of the step length that comes with them: "px" of the input view, or "world".
      movable_above: points with a motion mask above this are movable.

    Returns:
      The Gaussians, with free slots up to a multiple of `SEGMENT_MULTIPLE` rows behind the movable and behind the
      fixed ones, and the step length [rows] of each Gaussian's position in world units: the size of a pixel at its
      depth, or 1.

    Raises:
      ValueError: an SH degree outside 0..3, an opacity outside (0, 1), an unknown extent or unit, a cloud that is empty
        or, for "neighbours", has fewer than four points.
    """
    if extent not in EXTENTS or unit not in UNITS:
        raise ValueError(f"extent {extent!r} is not one of {EXTENTS}, or unit {unit!r} not one of {UNITS}")
    if not 0 <= sh_degree <= 3:
        raise ValueError(f"SH degree {sh_degree} is not one of 0, 1, 2, 3")
    if not 0 < opacity < 1:
        raise ValueError(f"initial opacity {opacity} is not between 0 and 1")
    points = np.asarray(cloud.points, np.float32)
    if len(points) == 0:
        raise ValueError("the point cloud is empty: nothing to make Gaussians from")
    pixel_size = points[:, 2] / float(np.mean(np.asarray(camera.focal)))
    deviation = footprint * pixel_size if extent == "footprint" else nearest_three(points)
    step = pixel_size if unit == "px" else np.ones_like(pixel_size)
    own = isotropic(points, cloud.colors, deviation, sh_degree=sh_degree, opacity=opacity)
    gaussians, rows = arrange(own, np.asarray(cloud.mask) > movable_above)
    return gaussians, step[rows].astype(np.float32)


def isotropic(
    points: Float[Array, "n 3"],
    colors: Float[Array, "n 3"],
    deviation: Float[np.ndarray, " n"],
    *,
    sh_degree: int,
    opacity: float,
) -> Gaussians:
    """One round Gaussian per point, of the same colour from everywhere; none of them movable.

    Args:
      points: their positions.
      colors: in [0, 1].
      deviation: standard deviations, world units, positive.
      sh_degree: 0 to 3; bands above 0 are zero.
      opacity: of all, in (0, 1).
    """
    n = len(points)
    sh = np.zeros((n, (sh_degree + 1) ** 2, 3), np.float32)
    sh[:, 0] = (np.asarray(colors) - 0.5) / SH_C0
    return Gaussians(
        means=np.asarray(points, np.float32),
        log_scales=np.repeat(np.log(deviation)[:, None], 3, axis=1).astype(np.float32),
        quaternions=np.tile(np.array([1, 0, 0, 0], np.float32), (n, 1)),
        opacity_logits=np.full(n, np.log(opacity / (1 - opacity)), np.float32),
        sh=sh,
        alive=np.ones(n, bool),
    )


def arrange(gaussians: Gaussians, moves: Bool[np.ndarray, " n"]) -> tuple[Gaussians, Int[np.ndarray, " rows"]]:
    """Gaussians at fixed capacity: the movable ones first, free slots behind them and behind the others.

    Args:
      gaussians: living ones in any order.
      moves: which of them are movable.

    Returns:
      The Gaussians, and of each row which of the given ones it holds; 0 for free slots.
    """
    segments = [_padded(np.flatnonzero(moves)), _padded(np.flatnonzero(~moves))]
    order = np.concatenate(segments)
    rows = np.where(order >= 0, order, 0)
    arranged = jax.tree.map(lambda a: np.asarray(a)[rows], gaussians)
    return dataclasses.replace(arranged, alive=order >= 0, movable=len(segments[0])), rows


def nearest_three(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """Root mean square distance of the three nearest other points, at least √1e-7 (Kerbl et al. 2023, §5.1).

    Raises:
      ValueError: fewer than four points.
    """
    if len(points) < 4:
        raise ValueError(f"{len(points)} points do not have three neighbours each; take extent 'footprint'")
    distance, _ = cKDTree(points).query(points, k=4)
    return np.sqrt(np.maximum(np.mean(distance[:, 1:] ** 2, axis=1), 1e-7)).astype(np.float32)


def _padded(indices: np.ndarray) -> np.ndarray:
    """Indices followed by -1 up to a multiple of SEGMENT_MULTIPLE; an empty segment stays empty."""
    missing = -len(indices) % SEGMENT_MULTIPLE
    return np.concatenate([indices, np.full(missing, -1, indices.dtype)])
