"""Scene → depth, from the best source that there is."""

import numpy as np
from jaxtyping import Float

from mom3d_jax.depth.prior import landscape_prior
from mom3d_jax.depth.sky import find_sky
from mom3d_jax.types import Array, Cameras, Depth, Scene

NEAR_PERCENTILE = 1.0


def estimate_depth(scene: Scene, camera: Cameras, *, normalize: bool = True) -> Depth:
    """Depth of the input view: the scene's file where it has one, else the landscape prior.

    Args:
      scene: the photo with what its owner said about it.
      camera: the input camera, at the size of the photo.
      normalize: scale z so that its 1st percentile is 1, which the generation views and the evaluation paths assume;
        otherwise z stays in the unit of its source (metres for a metric file), as in the released code.

    Raises:
      ValueError: a camera of another size, or depth that is not positive and finite.
    """
    size = scene.image.shape[:2]
    if size != (camera.height, camera.width):
        raise ValueError(
            f"scene {scene.name!r} is {size[1]}x{size[0]}, its camera {camera.width}x{camera.height}; "
            "make the camera from the working size"
        )
    if scene.depth is None:
        z, sky = landscape_prior(scene, camera)
        return _scaled(z, sky, "prior", normalize)
    z = np.asarray(scene.depth)
    if z.shape != size or not np.all(np.isfinite(z) & (z > 0)):
        raise ValueError(
            f"the depth of scene {scene.name!r} has to be {size[1]}x{size[0]}, positive and finite; repair it"
        )
    return _scaled(z, find_sky(scene), "file", normalize)


def _scaled(z: Float[Array, "h w"], sky: Float[Array, "h w"], source: str, normalize: bool) -> Depth:
    """Depth with its 1st percentile at 1, or as it is, and the scale on record."""
    z = np.asarray(z, np.float64)
    scale = 1 / np.percentile(z, NEAR_PERCENTILE) if normalize else 1.0
    return Depth(
        z=(z * scale).astype(np.float32),
        sky=np.asarray(sky, np.float32),
        scale=np.asarray(scale, np.float32),
        source=source,
    )
