"""Painted skies: tables over (x / z, slope) as the input camera sees them, in linear light."""

import numpy as np
from jaxtyping import Float

from mom3d_jax.synthetic.fan import Fan
from mom3d_jax.synthetic.noise import Noise, smoothstep
from mom3d_jax.synthetic.painting import Colours, Plane, mix

Colour = Float[np.ndarray, " 3"]

# Where the sky is painted flat: below it the layer's perspective would run into the horizon.
LOWEST = 0.012


def paint_clouds(
    fan: Fan, noise: Noise, *, zenith: Colour, horizon: Colour, bright: Colour, shade: Colour, cover: float
) -> Colours:
    """A clear gradient behind one layer of clouds, lit from the left and in front of it.

    The layer is drawn in perspective: at slope s it is 1.6 / s away, so that clouds shrink towards the horizon.

    Args:
      fan: coordinates of the table.
      noise: shape of the clouds.
      zenith: colour of the clear sky, high up.
      horizon: colour of the clear sky and of the haze at the horizon.
      bright: lit cloud.
      shade: cloud in its own shadow.
      cover: how much of the sky is cloud, from about -0.3 (little) to 0.3 (most).
    """
    u, slope = fan.directions()[None, :], fan.row_coordinates()[:, None]
    up = np.maximum(slope, LOWEST)
    away = np.float32(1.6) / up
    x, z = u * away, np.broadcast_to(away, (fan.rows, fan.columns))
    footprint = 0.5 * away * np.float32(2 * fan.reach / fan.columns)

    def density(px: Plane, pz: Plane) -> Plane:
        # Stretched away from the camera, which perspective undoes in the picture.
        px, pz = 0.55 * px, 0.17 * pz
        billow = noise.fractal(px, pz, 4)
        fine = noise.fractal(
            1.6 * px + 0.7 * billow + 11, 1.6 * pz + 0.5 * billow, 8, footprint=1.6 * footprint, gain=0.62
        )
        return 0.9 * fine + 0.6 * billow

    here, sunward = density(x, z), density(x - np.float32(0.22), z - np.float32(0.5))
    thick = smoothstep(0.0, 0.6, here + cover)
    light = np.clip(0.66 + 2.2 * (here - sunward) - 0.45 * thick, 0, 1.15)
    height = np.broadcast_to(smoothstep(0.0, 0.42, up) ** np.float32(0.75), x.shape)
    clear = mix(np.broadcast_to(horizon, (*x.shape, 3)), zenith, height)
    cloud = mix(np.broadcast_to(shade, clear.shape), bright, light)
    sky = mix(clear, cloud, smoothstep(-0.1, 0.26, here + cover) * smoothstep(0.015, 0.08, slope))
    return mix(sky, horizon, np.broadcast_to(smoothstep(0.14, 0.0, slope), x.shape) * np.float32(0.75))
