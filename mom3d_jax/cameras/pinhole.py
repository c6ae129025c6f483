"""The pinhole model: OpenCV axes, world to camera, pixel k centred at k + 0.5."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mom3d_jax.types import Array, Cameras

# Geometry must not fall to the reduced-precision matrix units of accelerators.
HIGHEST = jax.lax.Precision.HIGHEST


def input_camera(width: int, height: int, focal: float | tuple[float, float] | None = None) -> Cameras:
    """The camera of the photo: identity pose, principal point in the middle.

    Args:
      width: image width in px.
      height: image height in px.
      focal: focal length in px, one number or (fx, fy); None gives max(width, height), about 53° over the long side.

    Raises:
      ValueError: a size or focal length that is not positive.
    """
    fx, fy = np.broadcast_to(np.asarray(max(width, height) if focal is None else focal, np.float64), 2)
    if width <= 0 or height <= 0:
        raise ValueError(f"image size {width}x{height} is not positive")
    if not (np.isfinite([fx, fy]).all() and fx > 0 and fy > 0):
        raise ValueError(f"focal length ({fx}, {fy}) px is not positive and finite")
    return Cameras(
        rotation=np.eye(3, dtype=np.float32),
        translation=np.zeros(3, np.float32),
        focal=np.array([fx, fy], np.float32),
        centre=np.array([width / 2, height / 2], np.float32),
        width=width,
        height=height,
    )


def select(cameras: Cameras, index: int | slice | Array | list[int]) -> Cameras:
    """Index the leading axis of a batch of cameras."""
    return jax.tree.map(lambda a: a[index], cameras)


def relative_to(camera: Cameras, rotation: Float[Array, "v 3 3"], translation: Float[Array, "v 3"]) -> Cameras:
    """Cameras with the intrinsics of `camera` and the given world-to-camera poses."""
    n = len(rotation)
    return dataclasses.replace(
        camera,
        rotation=np.asarray(rotation, np.float32),
        translation=np.asarray(translation, np.float32),
        focal=np.broadcast_to(np.asarray(camera.focal), (n, 2)),
        centre=np.broadcast_to(np.asarray(camera.centre), (n, 2)),
    )


def positions(cameras: Cameras) -> Float[jax.Array, "*v 3"]:
    """Camera centres in the world, -Rᵀt."""
    R, t = jnp.asarray(cameras.rotation), jnp.asarray(cameras.translation)
    return -jnp.einsum("...ij,...i->...j", R, t, precision=HIGHEST)


def to_camera(camera: Cameras, points: Float[Array, "*n 3"]) -> Float[jax.Array, "*n 3"]:
    """World points in the axes of one camera, R X + t."""
    R, t = jnp.asarray(camera.rotation), jnp.asarray(camera.translation)
    moved = jnp.einsum("ij,...j->...i", R, jnp.asarray(points), precision=HIGHEST)
    return moved + jnp.broadcast_to(t, moved.shape)


def project(camera: Cameras, points: Float[Array, "*n 3"]) -> tuple[Float[jax.Array, "*n 2"], Float[jax.Array, "*n"]]:
    """Pixel position and z of world points in one camera.

    Points with z = 0 give non-finite pixels and points behind the camera a mirrored one: look at z before using them.
    """
    x = to_camera(camera, points)
    z = x[..., 2]
    focal, centre = (jnp.broadcast_to(jnp.asarray(a), (*x.shape[:-1], 2)) for a in (camera.focal, camera.centre))
    return focal * x[..., :2] / z[..., None] + centre, z


def unproject(camera: Cameras, pixels: Float[Array, "*n 2"], z: Float[Array, "*n"]) -> Float[jax.Array, "*n 3"]:
    """World points at depth z behind the pixels of one camera; the inverse of `project`."""
    pixels, z = jnp.asarray(pixels), jnp.asarray(z)
    focal, centre = (jnp.broadcast_to(jnp.asarray(a), pixels.shape) for a in (camera.focal, camera.centre))
    x = jnp.concatenate([(pixels - centre) / focal * z[..., None], z[..., None]], axis=-1)
    R, t = jnp.asarray(camera.rotation), jnp.asarray(camera.translation)
    return jnp.einsum("ji,...j->...i", R, x - jnp.broadcast_to(t, x.shape), precision=HIGHEST)


def pixel_grid(width: int, height: int) -> Float[np.ndarray, "h w 2"]:
    """Pixel centres (x, y) of an image."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32) + 0.5, np.arange(height, dtype=np.float32) + 0.5)
    return np.stack([x, y], axis=-1)
