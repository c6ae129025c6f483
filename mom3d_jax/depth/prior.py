"""The depth prior for landscapes: ground up to the horizon, things that stand on it, sky behind.

Everything is a plane, so nearness q = 1/z is affine in the pixel (u, v), since n · X = h gives q = n · r / h with the
ray r = ((u - cx)/fx, (v - cy)/fy, 1):

* Ground: n · r vanishes on the horizon, so q grows with the distance d below it. A finite plane would need q = 0
  there; instead q = 1/F + (1 - 1/F) d/D, the plane that meets the horizon at F times the depth of the nearest ground.
* What rises over the horizon without a shape drawn around it: a far, gently receding slope from depth F at the
  horizon to 5/4 F at the top border. It continues the ground without a step.
* A drawn thing: the vertical plane on its feet. From two ground points A and B under it and the vertical V (the normal
  of the plane through camera and horizon), N = V x (B - A) and q = N · r / N · A.
* Sky: the constant 1/S, behind everything.

Borders between the parts are sharp; inside each part depth is smooth.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from mom3d_jax.cameras import pixel_grid
from mom3d_jax.depth.horizon import find_horizon
from mom3d_jax.depth.sky import find_sky
from mom3d_jax.types import Cameras, Scene

FAR_GROUND = 20.0
"""F, in depths of the nearest ground."""
FAR_SLOPE = 25.0
SKY = 30.0
"""S. Larger ratios of far to near make distances that parallax cannot show and solvers cannot condition."""
FEET_QUANTILE = 0.85
REWEIGHTINGS = 30
ROLL = 0.04
"""Share of the height by which a level horizon may be off at the sides."""


def landscape_prior(scene: Scene, camera: Cameras) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Depth from the layout of a landscape, drawn or guessed.

    Args:
      scene: the photo; its `layout` replaces the guesses.
      camera: the input camera.

    Returns:
      Positive z in depths of the nearest ground, between 1 and 30, and the sky as 0 or 1.
    """
    drawn = scene.layout.sky is not None
    sky = find_sky(scene) > 0.5
    horizon = find_horizon(scene, sky)
    below = distance_below(horizon, pixel_grid(camera.width, camera.height))
    if not drawn:
        sky = _settle_sky(sky, below, np.asarray(scene.mask) > 0.5)
    q = nearness(below, below)
    if scene.layout.standing is not None:
        drawn_things = np.asarray(scene.layout.standing) > 0.5
        nearest = np.maximum.reduce([_vertical_plane(thing, horizon, camera) for thing in drawn_things])
        sky &= nearest == 0
        q = np.where(nearest > 0, nearest, q)
    return np.where(sky, SKY, 1 / q), sky.astype(np.float32)


def distance_below(horizon: Float[np.ndarray, "2 2"], pixels: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n"]:
    """Signed distance of pixels (x, y) from the horizon, px, positive on the ground."""
    left, right = sorted(np.asarray(horizon, np.float64), key=lambda point: point[0])
    along = (right - left) / np.linalg.norm(right - left)
    return (pixels - left) @ np.array([-along[1], along[0]])


def _settle_sky(
    sky: Bool[np.ndarray, "h w"], below: Float[np.ndarray, "h w"], moves: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """No sky below the horizon; above it, what moves together is sky as a whole or not at all.

    A sky that reaches a little deeper is let be, since the guessed horizon is level and the camera may not have been.
    """
    sky = sky & (below < ROLL * len(sky)) & ~(moves & (below >= 0))
    labels, count = ndimage.label(moves & (below < 0))
    share = ndimage.mean(sky, labels, np.arange(1, count + 1)) if count else []
    belongs = np.concatenate([[False], np.asarray(share) > 0.5])
    return np.where(labels > 0, belongs[labels], sky)


def nearness(below: Float[np.ndarray, "*n"], image: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "*n"]:
    """q of ground and of the slope behind it, at distances below the horizon, given those of the whole image."""
    deepest, highest = max(image.max(), 1.0), max(-image.min(), 1.0)
    ground = (1 - 1 / FAR_GROUND) * below / deepest
    slope = (1 / FAR_GROUND - 1 / FAR_SLOPE) * below / highest
    return 1 / FAR_GROUND + np.where(below > 0, ground, slope)


def _vertical_plane(
    region: Bool[np.ndarray, "h w"], horizon: Float[np.ndarray, "2 2"], camera: Cameras
) -> Float[np.ndarray, "h w"]:
    """q of a thing that stands on the ground; 0 outside it."""
    height, width = region.shape
    columns = np.flatnonzero(region.any(axis=0))
    if not len(columns):
        return np.zeros(region.shape)
    lowest = height - np.argmax(region[::-1, columns], axis=0)
    intercept, rise = fit_feet(columns + 0.5, lowest.astype(np.float64))
    ends = np.array([columns[0], columns[-1] + 1], np.float64)
    feet = np.stack([ends, np.clip(intercept + rise * ends, 0, height)], axis=-1)

    centre, focal = np.asarray(camera.centre, np.float64), np.asarray(camera.focal, np.float64)
    rays = lambda pixels: np.concatenate([(pixels - centre) / focal, np.ones((*pixels.shape[:-1], 1))], axis=-1)
    image = distance_below(horizon, pixel_grid(width, height))
    a, b = rays(feet) / nearness(np.maximum(distance_below(horizon, feet), 0), image)[:, None]
    normal = np.cross(np.cross(*rays(horizon)), b - a)
    plane = rays(pixel_grid(width, height)) @ normal / (normal @ a)
    return np.where(region, np.clip(plane, 1 / FAR_SLOPE, 1.0), 0.0)


def fit_feet(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Intercept and slope of the line that most feet stand on, from the lowest row of each column of a thing.

    Columns that overhang the ground end too high, never too low. So the line is that of quantile regression
    (Koenker and Bassett, 1978) for a high quantile, found by reweighted least squares.
    """
    design = np.stack([np.ones_like(x), x - x.mean()], axis=-1)
    weight = np.ones_like(x)
    for _ in range(REWEIGHTINGS):
        root = np.sqrt(weight)[:, None]
        offset, slope = np.linalg.lstsq(design * root, y * root[:, 0], rcond=None)[0]
        residual = y - design @ [offset, slope]
        weight = np.where(residual > 0, FEET_QUANTILE, 1 - FEET_QUANTILE) / np.maximum(np.abs(residual), 0.1)
    return float(offset - slope * x.mean()), float(slope)
