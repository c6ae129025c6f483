"""Each pixel of the photo is a small plane, and each view sees that plane through a homography.

Write ŝ = (u, v, 1) for a position in the photo and q̂ for one in a view, with relative pose X' = R X + t. Inverse
depth is affine in the position over a plane: 1/z(s) = w·ŝ. With B = K' R K⁻¹ and k = K' t the plane maps by
A = B + k wᵀ. Its inverse (Sherman-Morrison) takes a pixel of the view back along its epipolar line:

  ρ = w·(B⁻¹q̂) / (1 + w·e),   ŝ ∝ B⁻¹q̂ − ρ e,   e = B⁻¹k,

where ρ is the inverse depth in the view. So which plane is nearest at q and where q lies in the photo come from the
same number, exactly for planar surfaces whatever their slant. (Plane-induced homography: Hartley & Zisserman,
Multiple View Geometry, 2nd ed., §13.1.)
"""

import numpy as np
from jaxtyping import Float

from mom3d_jax.cameras import to_camera
from mom3d_jax.types import Array, Cameras, PointCloud, pytree

# A pixel's square reaches half a pixel, and this much further where the next pixel continues its surface: bent or noisy
# surfaces do not crack open, while silhouettes stay where they are.
OVERLAP = 0.4
# Inverse depth that bends by less than this share between three pixels in a row belongs to one plane.
PLANAR = 0.05


@pytree
class Homographies:
    """B, B⁻¹, k and e of every view, as in the module's formulas."""

    forward: Float[Array, "*v 3 3"]
    backward: Float[Array, "*v 3 3"]
    shift: Float[Array, "*v 3"]
    epipole: Float[Array, "*v 3"]


@pytree
class Surface:
    """The point cloud on the pixel grid of the photo."""

    inverse_depth: Float[Array, "h w"]
    """1/z, 0 where no point was lifted."""
    slope: Float[Array, "h w 2"]
    """Change of the inverse depth per px in x and y, on the pixel's own surface."""
    reach: Float[Array, "h w 4"]
    """How far each pixel's square extends left, up, right and down, px."""


def _calibration(cameras: Cameras) -> Float[np.ndarray, "*v 3 3"]:
    focal, centre = np.asarray(cameras.focal, np.float64), np.asarray(cameras.centre, np.float64)
    K = np.zeros((*focal.shape[:-1], 3, 3))
    K[..., 0, 0], K[..., 1, 1], K[..., 2, 2] = focal[..., 0], focal[..., 1], 1
    K[..., :2, 2] = centre
    return K


def homographies(cameras: Cameras, input_camera: Cameras) -> Homographies:
    """Maps between the photo and a batch of views, worked out in float64 so that the input pose is the identity."""
    R0, t0 = np.asarray(input_camera.rotation, np.float64), np.asarray(input_camera.translation, np.float64)
    R = np.asarray(cameras.rotation, np.float64) @ R0.T
    t = np.asarray(cameras.translation, np.float64) - R @ t0
    K = _calibration(cameras)
    forward = K @ R @ np.linalg.inv(_calibration(input_camera))
    backward = np.linalg.inv(forward)
    shift = np.einsum("...ij,...j->...i", K, t)
    epipole = np.einsum("...ij,...j->...i", backward, shift)
    return Homographies(*(np.asarray(a, np.float32) for a in (forward, backward, shift, epipole)))


def _along(rho: Float[np.ndarray, "h w"], axis: int, edge_ratio: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Derivative of the inverse depth along an axis, and whether the neighbours before and after are on the surface."""
    pad = [(1, 1) if a == axis else (0, 0) for a in range(2)]
    padded = np.pad(rho, pad)
    n = rho.shape[axis]
    before, after = np.take(padded, range(n), axis), np.take(padded, range(2, n + 2), axis)
    known = (rho > 0) & (before > 0) & (after > 0)
    planar = known & (np.abs(before - 2 * rho + after) < PLANAR * rho)

    def joined(other: np.ndarray) -> np.ndarray:
        return planar | ((other > 0) & (np.maximum(rho, other) < edge_ratio * np.minimum(rho, other)))

    use_before, use_after = joined(before), joined(after)
    total = np.where(use_before, rho - before, 0) + np.where(use_after, after - rho, 0)
    return total / np.maximum(use_before.astype(rho.dtype) + use_after, 1), use_before, use_after


def surface(cloud: PointCloud, input_camera: Cameras, edge_ratio: float) -> Surface:
    """The cloud on the pixel grid of the input camera.

    Raises:
      ValueError: a point that is not in front of that camera.
    """
    z = np.asarray(to_camera(input_camera, cloud.points))[:, 2]
    if not (z > 0).all():
        raise ValueError(f"{np.sum(~(z > 0))} of {z.size} points are not in front of the input camera; check the depth")
    rho = np.zeros((input_camera.height, input_camera.width), np.float32)
    rho.reshape(-1)[np.asarray(cloud.pixels)] = 1 / z
    (dx, left, right), (dy, up, down) = (_along(rho, axis, edge_ratio) for axis in (1, 0))
    reach = np.where(np.stack([left, up, right, down], -1), 0.5 + OVERLAP, 0.5)
    return Surface(rho, np.stack([dx, dy], -1).astype(np.float32), reach.astype(np.float32))
