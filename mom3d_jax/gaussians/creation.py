"""One Gaussian per point of the lifted photo (paper §3.3)."""

import numpy as np

from mom3d_jax.gaussians.parameters import SH_C0
from mom3d_jax.types import Cameras, Gaussians, PointCloud

# Free slots fill a segment up to a multiple of this, so that scenes of one size share compiled programs.
SEGMENT_MULTIPLE = 512


def from_points(
    cloud: PointCloud,
    camera: Cameras,
    *,
    sh_degree: int = 0,
    opacity: float = 0.9,
    footprint: float = 0.7,
    movable_above: float = 0.05,
) -> tuple[Gaussians, np.ndarray]:
    """Create Gaussians as large as the pixels that their points came from, the movable ones first.

    Args:
      cloud: the lifted photo, N points.
      camera: the input camera; it gives the size of a pixel at each depth.
      sh_degree: degree of the spherical harmonics, 0 to 3; bands above 0 start at zero.
      opacity: initial opacity in (0, 1).
      footprint: initial standard deviation in pixels of the input view.
      movable_above: points with a motion mask above this are movable.

    Returns:
      The Gaussians, with free slots up to a multiple of `SEGMENT_MULTIPLE` rows behind the movable and behind the
      fixed ones, and the size of a pixel [rows] at each Gaussian's depth in world units, the natural step length
      of its position.

    Raises:
      ValueError: an SH degree outside 0..3, an opacity outside (0, 1), an empty cloud.
    """
    if not 0 <= sh_degree <= 3:
        raise ValueError(f"SH degree {sh_degree} is not one of 0, 1, 2, 3")
    if not 0 < opacity < 1:
        raise ValueError(f"initial opacity {opacity} is not between 0 and 1")
    points = np.asarray(cloud.points, np.float32)
    if len(points) == 0:
        raise ValueError("the point cloud is empty: nothing to make Gaussians from")
    pixel_size = points[:, 2] / float(np.mean(np.asarray(camera.focal)))
    moves = np.asarray(cloud.mask) > movable_above
    segments = [_padded(np.flatnonzero(moves)), _padded(np.flatnonzero(~moves))]
    order = np.concatenate(segments)
    alive = order >= 0
    rows = np.where(alive, order, 0)
    n = len(rows)
    sh = np.zeros((n, (sh_degree + 1) ** 2, 3), np.float32)
    sh[:, 0] = (np.asarray(cloud.colors)[rows] - 0.5) / SH_C0
    gaussians = Gaussians(
        means=points[rows],
        log_scales=np.repeat(np.log(footprint * pixel_size[rows])[:, None], 3, axis=1).astype(np.float32),
        quaternions=np.tile(np.array([1, 0, 0, 0], np.float32), (n, 1)),
        opacity_logits=np.full(n, np.log(opacity / (1 - opacity)), np.float32),
        sh=sh,
        alive=alive,
        movable=len(segments[0]),
    )
    return gaussians, pixel_size[rows].astype(np.float32)


def _padded(indices: np.ndarray) -> np.ndarray:
    """Indices followed by -1 up to a multiple of SEGMENT_MULTIPLE; an empty segment stays empty."""
    missing = -len(indices) % SEGMENT_MULTIPLE
    return np.concatenate([indices, np.full(missing, -1, indices.dtype)])
