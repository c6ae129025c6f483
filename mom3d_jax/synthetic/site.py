"""Where a landscape is built: its land first, then the sky, then the sheets that lie before and mirror both."""

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float

from mom3d_jax.synthetic import ground as land
from mom3d_jax.synthetic import painting
from mom3d_jax.synthetic.coats import Blend, Coat, slope_rows
from mom3d_jax.synthetic.currents import Current
from mom3d_jax.synthetic.fan import Fan
from mom3d_jax.synthetic.ground import Ground, Light
from mom3d_jax.synthetic.noise import Noise, smoothstep
from mom3d_jax.synthetic.painting import Colours, Plane, mix, rgb
from mom3d_jax.synthetic.surfaces import Flat, Sheet, Sky
from mom3d_jax.synthetic.terrain import Terrain
from mom3d_jax.synthetic.water import panorama
from mom3d_jax.synthetic.weave import Pattern, Weave
from mom3d_jax.synthetic.world import World

REACH = 1.2
"""x / z up to which moving surfaces are painted; generation views turn so far and no farther."""
STEEPEST = 0.62
"""The same of y / z."""
BEYOND = 1e3
"""Distance of what is not there at all."""
LOWEST = 0.012
"""Slope under which the sky is flat haze: the perspective of the layer would run into the horizon."""


BILLOWS = Pattern(cells=1, across=4.5, octaves=7, gain=0.66, lag=0.6)
"""Of a layer of clouds."""


@dataclasses.dataclass(frozen=True)
class Heaven:
    """A sky: display colours (0-255), and one layer of clouds."""

    zenith: tuple[float, float, float] = (26, 76, 152)
    horizon: tuple[float, float, float] = (188, 204, 218)
    bright: tuple[float, float, float] = (255, 248, 236)
    shade: tuple[float, float, float] = (120, 136, 162)
    cover: float = -0.5
    """How much of it is cloud, about -1 to 1.5."""
    drift: float = 0.06
    """Units per frame, to the right."""
    altitude: float = 7.0
    far: float = 30.0
    pattern: Pattern = BILLOWS


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A family of landscapes."""

    relief: Callable[[Plane, Plane, Noise, np.random.Generator], Plane]
    """Heights of the land over the water at places (x, z); under water below 0."""
    sheets: tuple[Callable[["Site"], Sheet], ...]
    """What moves besides the sky, in any order."""
    eye: float = 0.35
    pitch: float = 0.02
    light: Light = dataclasses.field(default_factory=Light)
    ground: Ground = dataclasses.field(default_factory=Ground)
    heaven: Heaven = dataclasses.field(default_factory=Heaven)
    near: float = 0.25
    back: float = 26.0


@dataclasses.dataclass(frozen=True)
class Site:
    """What builders of sheets may look at."""

    recipe: Recipe
    width: int
    period: int
    noise: Noise
    rng: np.random.Generator
    terrain: Terrain
    view: Fan
    """Coordinates of the panorama."""
    seen: Colours
    """Linear colour of land and sky without any sheet."""
    distance: Plane
    """z of that."""

    def fan(self, low: float, high: float) -> Fan:
        """Coordinates of a coat between two slopes: about two cells per pixel in the middle."""
        return Fan(round(2.5 * self.width), max(8, round(3 * (high - low) * self.width)), REACH, low, high)

    def places(self, flat: Flat, fan: Fan) -> Float[np.ndarray, "r c 3"]:
        """Points of a plane behind every cell of a coat; very far where there is none."""
        direction, eye = directions(fan), np.array([0, self.recipe.eye, 0])
        return eye + np.minimum(flat.trace(eye, direction), BEYOND)[..., None] * direction

    def coat(
        self, flat: Flat, current: Current, pattern: Pattern, fan: Fan, *, low: Colours, high: Colours, distance: Plane,
        bias: Plane | float = 0.0, contrast: Plane | float = 1.0, relief: Plane | float = 0.0,
    ) -> Coat:  # fmt: skip
        """The paint of a sheet.

        Args:
          flat: where it lies.
          current: on it.
          pattern: that the current carries.
          fan: coordinates of the coat.
          low: linear colour of the blend, on `fan`.
          high: the other one.
          distance: of every cell from the camera; infinite for no haze.
          bias: see `coats.Blend`.
          contrast: see there.
          relief: see there.
        """
        a, b = flat.coordinates(self.places(flat, fan))
        weave = Weave(pattern, current.phase(a, b), current.lane(a, b), self.period, self.rng)
        shown = [painting.display(self.recipe.light.hazy(c, distance)) for c in (low, high)]
        blend = Blend(weave, shown[0], shown[1], bias, contrast, relief)
        return Coat(fan, slope_rows(self.recipe.eye), blend.table(0.0), blend)


def directions(fan: Fan) -> Float[np.ndarray, "r c 3"]:
    """Rays (x / z, slope, 1) of every cell of a table over slopes."""
    u, slope = np.meshgrid(fan.directions().astype(np.float64), fan.row_coordinates().astype(np.float64))
    return np.stack([u, slope, np.ones_like(u)], axis=-1)


def build(recipe: Recipe, rng: np.random.Generator, width: int, period: int) -> World:
    """The world of a recipe.

    Args:
      recipe: what it consists of.
      rng: source of everything random in it.
      width: longer side in px of the images that will be taken; sets how fine the tables are.
      period: T of the periodic truth, frames.
    """
    noise = Noise(rng)
    fan = Fan.ground(2 * width, round(1.6 * width), 1.8, recipe.near, recipe.back)
    x, z = painting.places(fan)
    heights = recipe.relief(x, z, noise, rng).astype(np.float32)
    trees = land.plant(fan, heights, recipe.ground, noise)
    colour = land.paint(fan, heights + trees, trees, recipe.ground, recipe.light, noise)
    terrain = Terrain(fan, heights + trees, painting.display(colour))
    sky, light = heaven(recipe, noise, rng, width, period)
    view = Fan(width, width // 2, 1.8, -0.1, 0.75)
    u, slope = np.meshgrid(view.directions(), view.row_coordinates())
    # Display colours are near enough to linear light for what ripples mirror.
    behind = Fan.sample(sky.coat.fan, light, u, slope)
    seen, distance = panorama(view, terrain, recipe.eye, colour, behind, recipe.heaven.far)
    # The mirror of moving water is soft.
    seen = cv2.GaussianBlur(seen, (0, 0), sigmaX=width / 90, sigmaY=width / 45)
    distance = cv2.GaussianBlur(distance, (0, 0), sigmaX=width / 90, sigmaY=width / 45)
    site = Site(recipe, width, period, noise, rng, terrain, view, seen, distance)
    return World(terrain, (*(make(site) for make in recipe.sheets), sky), recipe.eye, recipe.pitch, period)


def heaven(recipe: Recipe, noise: Noise, rng: np.random.Generator, width: int, period: int) -> tuple[Sky, Colours]:
    """The sky, and its mean linear colours."""
    h = recipe.heaven
    fan = Fan(round(2.5 * width), round(2 * (STEEPEST + 0.06) * width), REACH, -0.06, STEEPEST)
    u, slope = fan.directions()[None, :], fan.row_coordinates()[:, None]
    up = np.maximum(slope, LOWEST)
    away = np.float32(h.altitude - recipe.eye) / up
    x, z = u * away, np.broadcast_to(away, (fan.rows, fan.columns))
    full = (fan.rows, fan.columns, 3)
    high = np.broadcast_to(smoothstep(0.0, 0.42, up) ** np.float32(0.75), x.shape)
    clear = mix(np.broadcast_to(rgb(*h.horizon), full), rgb(*h.zenith), high)
    # Large shapes stand still in the periodic truth, as clouds over mountains do: there they form and dissolve.
    deep = np.abs(np.gradient(away, axis=0))
    banks = noise.fractal(x * 0.11, z * 0.06 + 3, 5, footprint=0.12 * deep)
    bias = np.float32(h.cover) + 4.2 * banks
    body = mix(np.broadcast_to(rgb(*h.shade), full), rgb(*h.bright), np.clip(0.8 - 1.1 * banks, 0.1, 1))
    low_down = np.broadcast_to(smoothstep(0.13, 0.0, slope), x.shape) * np.float32(0.7)
    body = mix(body, rgb(*h.horizon), low_down)
    thin = mix(clear, body, np.full(x.shape, 0.12, np.float32))
    weave = Weave(h.pattern, x.astype(np.float64) / h.drift, z, period, rng)
    fading = np.broadcast_to(smoothstep(LOWEST, 0.2, slope), x.shape)
    fading = fading.astype(np.float32)
    blend = Blend(weave, painting.display(thin), painting.display(body), bias, 2.8 * fading, 0.3 * fading)
    coat = Coat(fan, slope_rows(recipe.eye), blend.table(0.0), blend)
    share = 0.5 + 0.5 * bias / np.sqrt(1 + bias * bias)
    return Sky("clouds", coat, h.altitude, h.far, h.drift, recipe.eye), mix(thin, body, share)
