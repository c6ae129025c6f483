"""Sheets of a landscape: water that mirrors, water that falls, layers of cloud and mist, smoke."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from mom3d_jax.synthetic.currents import Current
from mom3d_jax.synthetic.noise import smoothstep
from mom3d_jax.synthetic.painting import Plane, mix, rgb
from mom3d_jax.synthetic.site import STEEPEST, Site
from mom3d_jax.synthetic.surfaces import Flat, Sheet, Window
from mom3d_jax.synthetic.weave import Pattern

Builder = Callable[[Site], Sheet]
Place = tuple[float, float, float]
Tint = tuple[float, float, float]
"""Display colour, 0-255."""
CONTRAST = 1.3
"""Of the billows of clouds and of falling water."""
Foam = Callable[[Float[np.ndarray, "r c 3"], Plane], Plane]
"""Points of the water and depth of the ground below, to how much of it is foam: below -1 none, above 1 all."""


def no_foam(points: Float[np.ndarray, "r c 3"], deep: Plane) -> Plane:
    """None anywhere."""
    return np.full(deep.shape, -2, np.float32)


def water(
    current: Current, pattern: Pattern, *, deep: Tint = (12, 44, 52), shallow: Tint = (84, 92, 74),
    clear: float = 0.12, choppy: float = 0.5, foam: Foam = no_foam, name: str = "water",
) -> Builder:  # fmt: skip
    """The plane y = 0, which mirrors the land and the sky.

    Mirrored scenery at distance d appears at the slope s of the ray less 2 eye / d. Fresnel's law in Schlick's form
    (1994) with 2 % at normal incidence weighs it against the water itself; ripples show more or less of it.

    Args:
      current: on the plane, over (x, z).
      pattern: of the ripples.
      deep: the water itself.
      shallow: where the ground is near.
      clear: depth at which the ground is not seen any more, units.
      choppy: how different the two sides of ripples are, 0 to 1.
      foam: where there is white water.
      name: of the sheet.
    """

    def make(site: Site) -> Sheet:
        flat, fan = Flat(), site.fan(-STEEPEST, -0.004)
        points = site.places(flat, fan)
        x, z = points[..., 0].astype(np.float32), points[..., 2].astype(np.float32)
        u, s = (np.broadcast_to(a, x.shape) for a in (fan.directions()[None, :], -fan.row_coordinates()[:, None]))
        below = -site.terrain.height_at(x.ravel(), z.ravel()).reshape(x.shape)
        bed = mix(np.broadcast_to(rgb(*shallow), (*x.shape, 3)), rgb(*deep), smoothstep(0, clear, below))
        scenery = np.full(x.shape, 14.0, np.float32)
        for _ in range(3):
            slope = s - np.float32(2 * site.recipe.eye) / scenery
            scenery = np.maximum(site.view.sample(site.distance, u, slope), z)
        mirrored = site.view.sample(site.seen, u, slope)
        # Waves turn facets towards the eye: the water mirrors less than a calm one far away, and more near by.
        cosine = np.clip((s + 0.12) / np.sqrt(1 + s * s + u * u), 0, 1)
        share = np.float32(0.02) + np.float32(0.98) * (1 - cosine) ** 5
        low = mix(bed, mirrored, share * np.float32(1 - 0.75 * choppy)) * np.float32(1 - 0.45 * choppy)
        high = mix(bed, mirrored, np.minimum(share * np.float32(1 + choppy) + np.float32(0.12 * choppy), 1))
        high = high * np.float32(1 + 0.25 * choppy) + np.float32(0.03 * choppy)
        white = foam(points, below)
        froth = smoothstep(-1.0, 0.4, white)
        high = mix(high, np.broadcast_to(rgb(238, 242, 244), high.shape), froth)
        coat = site.coat(
            flat, current, pattern, fan, low=low, high=high, distance=np.hypot(x, z),
            bias=np.clip(white, -1.2, 1.2) * froth, contrast=1.0 + 0.8 * froth,
        )  # fmt: skip
        return Sheet(name, coat, current, flat)

    return make


def layer(
    current: Current, pattern: Pattern, *, level: float, bright: Tint, shade: Tint, name: str,
    window: Window | None = None, relief: float = 0.35, lumps: float = 0.25, cover: float = 0.3,
) -> Builder:  # fmt: skip
    """A horizontal layer of cloud or mist, opaque.

    Args:
      current: on it, over (x, z).
      pattern: of its billows.
      level: its height, units.
      bright: colour of crests.
      shade: colour between them.
      name: of the sheet.
      window: where there is any, over (x, z).
      relief: how strongly the light models it.
      lumps: size of large shapes that stand still in the periodic truth, per unit.
      cover: how bright it is on the whole, -1 to 1.
    """

    def make(site: Site) -> Sheet:
        flat = Flat(origin=(0.0, level, 0.0))
        # Up to just before the sky.
        fan = site.fan(-STEEPEST, (level - site.recipe.eye) / (0.9 * site.recipe.heaven.far))
        points = site.places(flat, fan)
        x, z = points[..., 0].astype(np.float32), points[..., 2].astype(np.float32)
        deep = np.abs(np.gradient(z, axis=0)) * np.float32(2 * lumps)
        large = np.float32(1.6) * site.noise.fractal(x * lumps, z * lumps + 9, 5, footprint=deep)
        low, high = (np.broadcast_to(rgb(*tint), points.shape) for tint in (shade, bright))
        coat = site.coat(
            flat, current, pattern, fan, low=low, high=high, distance=np.hypot(x, z),
            bias=large + np.float32(cover), contrast=CONTRAST, relief=relief,
        )  # fmt: skip
        return Sheet(name, coat, current, flat, window)

    return make


def standing(
    current: Current, pattern: Pattern, *, origin: Place, along: Place, bright: Tint, shade: Tint, name: str,
    window: Window, slopes: tuple[float, float], relief: float = 0.4, cover: float = 0.2, streaks: float = 0.6,
) -> Builder:  # fmt: skip
    """A sheet that stands or leans: a waterfall, a plume of smoke. Coordinates (a, b): x, and up along `along`.

    Args:
      current: on it.
      pattern: of it.
      origin: a point of it, level axes.
      along: unit vector up the sheet, with x = 0.
      bright: colour of crests.
      shade: colour between them.
      name: of the sheet.
      window: its outline, over (a, b).
      slopes: least and largest y / z at which the camera sees it.
      relief: how strongly the light models it.
      cover: how bright it is on the whole, -1 to 1.
      streaks: strength of large shapes that stand still in the periodic truth.
    """

    def make(site: Site) -> Sheet:
        flat, fan = Flat(origin=origin, along=along), site.fan(*slopes)
        points = site.places(flat, fan)
        a, b = (v.astype(np.float32) for v in flat.coordinates(points))
        large = np.float32(streaks) * site.noise.fractal(a * 3.0, b * 1.2 + 4, 4)
        away = np.hypot(points[..., 0], points[..., 2]).astype(np.float32)
        low, high = (np.broadcast_to(rgb(*tint), points.shape) for tint in (shade, bright))
        coat = site.coat(
            flat, current, pattern, fan, low=low, high=high, distance=away,
            bias=large + np.float32(cover), contrast=CONTRAST, relief=relief,
        )  # fmt: skip
        return Sheet(name, coat, current, flat, window)

    return make


def waves(*terms: tuple[float, float, float]) -> Callable[[np.ndarray], np.ndarray]:
    """A wavy line: the sum of amplitude · sin(frequency · x + phase)."""
    return lambda x: np.add.reduce([a * np.sin(f * x + p) for a, f, p in terms])
