"""Land for landscapes: shapes that add up to a table of heights, and the paint on it."""

import dataclasses

import numpy as np
from jaxtyping import Float

from mom3d_jax.synthetic import painting
from mom3d_jax.synthetic.fan import Fan
from mom3d_jax.synthetic.noise import Noise, smoothstep
from mom3d_jax.synthetic.painting import Colours, Plane, mix, rgb

Colour = Float[np.ndarray, " 3"]


@dataclasses.dataclass(frozen=True)
class Light:
    """Sun, sky and air, in linear light."""

    sun: tuple[float, float, float] = (-0.74, 0.42, -0.46)
    """Direction towards the sun, level axes."""
    sunlight: tuple[float, float, float] = (1.45, 1.22, 0.90)
    skylight: tuple[float, float, float] = (0.20, 0.275, 0.40)
    haze: tuple[float, float, float] = (160, 186, 214)
    """Display colour (0-255) of much air."""
    visibility: float = 38.0
    """Distance at which 63 % of what one sees is air, units."""

    def hazy(self, colour: Colours, distance: Plane) -> Colours:
        """Linear colour behind so much air."""
        return painting.hazy(colour, distance, rgb(*self.haze), self.visibility)


@dataclasses.dataclass(frozen=True)
class Ground:
    """What grows or lies where: display colours (0-255) and heights over the water, units."""

    shore: tuple[float, float, float] = (150, 134, 110)
    """Gravel or sand, up to about `dry`."""
    grass: tuple[float, float, float] = (88, 98, 46)
    straw: tuple[float, float, float] = (164, 142, 82)
    rock: tuple[float, float, float] = (114, 106, 102)
    crevice: tuple[float, float, float] = (66, 62, 66)
    dry: float = 0.03
    steep: float = 0.22
    """1 - (upward component of the normal) from which on rock is bare."""
    bare: float = 1.6
    """Height from which on nothing grows."""
    snow: float = 1e3
    """Height from which on there is snow."""
    wooded: float = 0.0
    """Share of the ground under `treeline` that carries trees."""
    treeline: float = 1.4
    tree: float = 0.11
    """Distance of trees, units."""
    clearing: tuple[float, float] = (0.0, 0.0)
    """x of the middle of a strip without trees, and half its width."""


def range_of_peaks(
    x: Plane, z: Plane, noise: Noise, *, start: float, full: float, height: float, scale: float, seed: float = 0.0
) -> Plane:
    """Mountains of ridged noise that begin at distance `start` and have their height from `full` on."""
    bend = noise.fractal(x * scale + seed, z * scale, 4)
    crest = noise.fractal(x * scale + 0.6 * bend + seed, z * scale + 0.6 * bend + 2, 9, ridged=True, gain=0.55)
    return smoothstep(start, full, z) * height * (0.42 + 0.7 * crest)


def hills(x: Plane, z: Plane, noise: Noise, *, height: float, scale: float, seed: float = 0.0) -> Plane:
    """Rounded ground between about 0 and `height`."""
    return height * (0.5 + 0.8 * noise.fractal(x * scale + seed, z * scale + 5, 7, gain=0.42))


def mound(x: Plane, z: Plane, at: tuple[float, float], radius: tuple[float, float]) -> Plane:
    """1 in the middle of an ellipse, 0 at its edge, negative and falling outside."""
    return 1 - np.hypot((x - at[0]) / radius[0], (z - at[1]) / radius[1])


def rocks(
    x: Plane, z: Plane, noise: Noise, rng: np.random.Generator, *, count: int, along: tuple[tuple[float, float], ...],
    spread: float, size: float,
) -> Plane:  # fmt: skip
    """Heights of rounded boulders near a line of places (x, z); -1 where there is none."""
    height = np.full_like(x, -1)
    rough = noise.fractal(x * 1.2 / size, z * 1.2 / size, 4)
    path = np.array(along, float)
    for _ in range(count):
        share = rng.uniform(0, len(path) - 1)
        i = min(int(share), len(path) - 2)
        px, pz = path[i] + (share - i) * (path[i + 1] - path[i]) + rng.normal(0, spread, 2)
        r = np.clip(rng.lognormal(np.log(size), 0.45), 0.4 * size, 2.2 * size)
        away = np.hypot((x - px) / r, (z - pz) / (0.8 * r)) + 0.6 * rough
        near = away < 1
        dome = r * (0.85 * np.sqrt(1 - np.maximum(away[near], 0) ** 2) - 0.15)
        height[near] = np.maximum(height[near], dome)
    return height


def spruces(x: Plane, z: Plane, cell: float, forest: Plane, noise: Noise) -> Plane:
    """Heights of conical trees, at most one to a square cell, where `forest` in [0, 1] is dense."""
    height = np.zeros_like(x)
    column, row = np.floor(x / np.float32(cell)), np.floor(z / np.float32(cell))
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            # Irrational strides keep the samples of the noise off its lattice, where it is zero.
            cx, cz = (
                (column + i) * np.float32(1.618) + np.float32(0.37),
                (row + j) * np.float32(1.414) + np.float32(0.71),
            )
            dx, dz, size = noise(cx, cz), noise(cx + 31, cz + 7), noise(cx + 5, cz + 53)
            away = np.hypot(x - (column + i + 0.5 + 0.7 * dx) * cell, z - (row + j + 0.5 + 0.7 * dz) * cell)
            tall = cell * (2.1 + 1.6 * size)
            away /= 0.2 * tall
            # Branches: the outline steps in and out on the way up.
            cone = tall * (1 - away + 0.06 * np.sin(24 * away))
            height = np.maximum(height, np.where(forest > 0.5 + 0.5 * noise(cx + 77, cz + 19), cone, 0))
    return height


def plant(fan: Fan, heights: Plane, ground: Ground, noise: Noise) -> Plane:
    """Heights of the trees on the land, 0 where none stands: too high, too steep, under water."""
    if not ground.wooded:
        return np.zeros_like(heights)
    x, z = painting.places(fan)
    wood = noise.fractal(x * 0.6 + 21, z * 0.6, 4)
    band = smoothstep(ground.dry, 3 * ground.dry + 0.02, heights)
    band *= smoothstep(ground.treeline, 0.6 * ground.treeline, heights + 0.5 * wood)
    band *= smoothstep(0.5, 0.3, 1 - painting.normals(fan, heights)[..., 1])
    middle, half = ground.clearing
    if half:
        band *= smoothstep(half, half + 0.2, np.abs(x - middle))
    # Near trees would be cones a hand's breadth from the camera, far ones less than a pixel.
    band *= smoothstep(2.0, 3.0, z) * smoothstep(19.0, 15.0, z)
    return spruces(x, z, ground.tree, band * np.clip(ground.wooded + 1.4 * wood, 0, 1), noise)


def paint(fan: Fan, heights: Plane, trees: Plane, ground: Ground, light: Light, noise: Noise) -> Colours:
    """Linear colour of the land as seen from the camera: paint, sun, sky and air.

    Args:
      fan: coordinates of the table.
      heights: of the land, trees included.
      trees: heights of the trees alone.
      ground: what grows where.
      light: on it.
      noise: grain of everything.
    """
    x, z = painting.places(fan)
    cell = z * np.float32(2 * fan.reach / fan.columns)
    normal = painting.normals(fan, heights)
    full, h = (*x.shape, 3), heights - trees
    blade = noise.fractal(x * 34, z * 10, 5, footprint=34 * cell, gain=0.75)
    field = noise.fractal(x * 1.7 + 3, z * 1.7, 5)
    strata = noise.fractal(x * 1.1, h * 5 + z * 0.5, 8, footprint=5 * cell, gain=0.6)
    grain = (1 + 1.0 * noise.fractal(x * 25, z * 25, 5, footprint=25 * cell))[..., None]

    meadow = mix(np.broadcast_to(rgb(*ground.grass), full), rgb(*ground.straw), np.clip(0.42 + 1.6 * field, 0, 1))
    meadow = mix(meadow, meadow * np.float32(0.3), np.clip(0.2 - 2.2 * blade, 0, 0.85))
    meadow = mix(meadow, meadow * np.float32(1.7), np.clip(1.8 * blade - 0.35, 0, 0.6))
    stone = mix(np.broadcast_to(rgb(*ground.rock), full), rgb(*ground.crevice), np.clip(0.5 + 1.6 * strata, 0, 1))
    bare = np.maximum(
        smoothstep(ground.steep - 0.08, ground.steep + 0.1, 1 - normal[..., 1] + 0.14 * strata),
        smoothstep(0.8 * ground.bare, 1.2 * ground.bare, h + 0.3 * ground.bare * strata),
    )
    albedo = mix(meadow, stone * (0.6 + 0.4 * grain), bare)
    albedo = mix(
        albedo, rgb(*ground.shore) * grain, smoothstep(1.5 * ground.dry, ground.dry, h + 0.3 * ground.dry * field)
    )
    lying = smoothstep(0.62, 0.4, 1 - normal[..., 1] + 0.3 * strata)
    albedo = mix(
        albedo, rgb(238, 240, 244), smoothstep(0.85 * ground.snow, 1.15 * ground.snow, h + 0.4 * strata) * lying
    )
    needles = rgb(34, 50, 30) * (1 + 0.8 * noise.fractal(x * 4, z * 4, 3))[..., None]
    albedo = mix(albedo, needles, smoothstep(0.0, 0.03, trees))
    # Wet where water reaches.
    albedo = albedo * (1 - 0.45 * smoothstep(0.5 * ground.dry, 0, h))[..., None]

    direction = np.array(light.sun, np.float32) / np.float32(np.linalg.norm(light.sun))
    sun = painting.sunlit(fan, heights, direction) * np.maximum(normal @ direction, 0)
    sky = (0.6 + 0.4 * normal[..., 1]) * painting.hollows(fan, heights, 9)
    lit = albedo * (
        sun[..., None] * np.array(light.sunlight, np.float32) + sky[..., None] * np.array(light.skylight, np.float32)
    )
    return light.hazy(lit.astype(np.float32), np.hypot(x, z))
