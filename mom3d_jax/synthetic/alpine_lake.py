"""A lake before snow mountains: meadow and rocks in front, spruces around the water, clouds drifting above.

Everything is a function of the place on the ground (x, z) or of the direction in the sky, built from seeded fractal
noise: heights first, then paint, then light. Lengths are in units of about the depth of the nearest ground; the camera
stands 0.28 above the water. The water hides a seam: the front half of the land (meadow, spit) is made apart from the
back half (hills, mountains).
"""

import dataclasses

import cv2
import numpy as np
from jaxtyping import Float

from mom3d_jax.synthetic import painting
from mom3d_jax.synthetic.coats import Coat, ground_rows, slope_rows, smoothed
from mom3d_jax.synthetic.currents import Straight
from mom3d_jax.synthetic.fan import Fan
from mom3d_jax.synthetic.ground import spruces
from mom3d_jax.synthetic.noise import Noise, smoothstep
from mom3d_jax.synthetic.painting import Colours, Plane, mix, rgb
from mom3d_jax.synthetic.sky import paint_clouds
from mom3d_jax.synthetic.surfaces import Sheet, Sky
from mom3d_jax.synthetic.terrain import Terrain
from mom3d_jax.synthetic.water import paint_water, panorama
from mom3d_jax.synthetic.weave import Pattern, Weave
from mom3d_jax.synthetic.world import World

EYE, PITCH = 0.28, 0.02
NEAR, SEAM, BACK, FAR = 0.28, 7.0, 26.0, 30.0
REACH = 1.8
CLOUD_ALTITUDE, CLOUD_DRIFT = 7.0, 0.028
FLOW_HEADING, FLOW_SPEED = np.array([0.94, -0.34]) / np.hypot(0.94, 0.34), 0.0048
# Towards the sun, level axes: from the left, behind the camera, rather low.
SUN = (np.array([-0.74, 0.42, -0.46]) / np.linalg.norm([-0.74, 0.42, -0.46])).astype(np.float32)
SUNLIGHT = np.array([1.45, 1.22, 0.90], np.float32)
SKYLIGHT = np.array([0.20, 0.275, 0.40], np.float32)
ZENITH, HORIZON, HAZE = rgb(30, 80, 150), rgb(216, 216, 214), rgb(160, 186, 214)


@dataclasses.dataclass(frozen=True)
class Land:
    """A stretch of land over some rows of the table."""

    x: Plane
    z: Plane
    heights: Plane
    spruce: Plane
    """Height of the trees, included in `heights`."""
    boulder: Plane
    """1 on rocks."""
    inland: Plane
    """Distance from the shore, negative on the water."""


def boulders(x: Plane, z: Plane, noise: Noise, rng: np.random.Generator) -> Plane:
    """Heights of rounded rocks strewn along the front shore; -1 where there is none."""
    height = np.full_like(x, -1)
    rough = noise.fractal(x * 16, z * 16, 4)
    for _ in range(26):
        px = rng.uniform(-1.2, 0.8)
        pz = 1.42 - 0.9 * px + rng.normal(0.06, 0.2)
        size = np.clip(rng.lognormal(np.log(0.04), 0.5), 0.015, 0.075)
        away = np.hypot((x - px) / size, (z - pz) / (0.8 * size)) + 0.7 * rough
        near = away < 1
        dome = size * (0.75 * np.sqrt(1 - np.maximum(away[near], 0) ** 2) - 0.12)
        height[near] = np.maximum(height[near], dome)
    return height


def front_shore(x: Plane, z: Plane, noise: Noise) -> Plane:
    """Distance inland from a shoreline that runs from the left middle to the lower right."""
    return 1.42 - 0.9 * x - z + 0.5 * noise.fractal(x * 1.1, z * 1.1, 6)


def front_land(x: Plane, z: Plane, noise: Noise, rng: np.random.Generator) -> Land:
    """The meadow at the camera's feet, and a spit with trees that reaches in from the left."""
    inland = front_shore(x, z, noise)
    meadow = 0.10 * (1 - np.exp(-np.maximum(inland, 0) / 0.6)) + 0.3 * np.minimum(inland, 0)
    meadow += smoothstep(0, 0.5, inland) * (0.05 * noise.fractal(x * 2.5, z * 2.5, 4) + 0.006 * noise(x * 60, z * 20))
    stones = int(np.searchsorted(z[:, 0], 4.0))
    rocks = np.full_like(x, -1)
    rocks[:stones] = boulders(x[:stones], z[:stones], noise, rng) + 0.4 * np.maximum(meadow[:stones], 0)

    spit = 1 - np.hypot((x + 3.3) / 2.1, (z - 5.4) / 0.55) + 0.5 * noise.fractal(x * 0.9 + 9, z * 0.9, 5)
    trees = int(np.searchsorted(z[:, 0], 4.0))
    forest = smoothstep(0.08, 0.3, spit) * np.clip(0.8 + 1.2 * noise(x * 0.8, z * 0.8), 0, 1)
    spruce = np.zeros_like(x)
    spruce[trees:] = spruces(x[trees:], z[trees:], 0.15, forest[trees:], noise)
    land = np.maximum(meadow, 0.16 * np.minimum(spit, 0.6)) + spruce
    boulder = (rocks > land) & (rocks > -0.5)
    return Land(x, z, np.where(boulder, rocks, land), spruce, boulder.astype(np.float32), inland)


def back_land(x: Plane, z: Plane, noise: Noise, rng: np.random.Generator) -> Land:
    """Wooded hills behind the lake, higher at both sides, and two massifs of ridges."""
    ripple = noise.fractal(x * 0.5 + 40, z * 0.5, 6)
    inland = z - 8.6 - 1.0 * noise(x * 0.3, z * 0.1 + 3) - 0.5 * ripple
    hills = (
        0.12 * smoothstep(0, 0.5, inland) + np.maximum(inland, 0) * (0.07 + 0.09 * ripple) + 0.3 * np.minimum(inland, 0)
    )
    for px, pz, radius, tall in ((-7.4, 10.5, 3.4, 1.7), (7.6, 12.0, 3.6, 2.0)):
        away = np.hypot(x - px, z - pz) / radius
        hills += tall * smoothstep(0, 2.5, inland) * np.exp(-(away**2)) * (0.8 + 0.5 * ripple)

    bend = noise.fractal(x * 0.2 + 7, z * 0.2, 4)
    crest = noise.fractal(x * 0.22 + 0.6 * bend, z * 0.22 + 0.6 * bend + 2, 9, ridged=True, gain=0.55)
    left, right, u = rng.uniform(-0.26, -0.12), rng.uniform(0.2, 0.34), x / z
    massif = 0.30 + 0.70 * np.exp(-(((u - left) / 0.16) ** 2)) + 0.48 * np.exp(-(((u - right) / 0.2) ** 2))
    mountains = smoothstep(10.0, 19, z) * massif * (1.7 + 2.9 * crest)
    land = hills + np.maximum(mountains, 0)

    wood = noise.fractal(x * 0.6 + 21, z * 0.6, 4)
    wooded = smoothstep(0.05, 0.4, inland) * smoothstep(1.7, 0.9, land + 1.2 * wood)
    trees = int(np.searchsorted(z[:, 0], 17.0))
    spruce = np.zeros_like(x)
    spruce[:trees] = spruces(x[:trees], z[:trees], 0.105, (wooded * np.clip(0.7 + 1.6 * wood, 0, 1))[:trees], noise)
    return Land(x, z, land + spruce, spruce, np.zeros_like(x), inland)


def paint_front(land: Land, cell: Plane, noise: Noise) -> Colours:
    """Albedo of grass with dry patches and flowers, gravel on the shore, and rocks."""
    x, z = land.x, land.z
    full = (*x.shape, 3)
    # Stretched away from the camera: blades stand up in the picture.
    blade = noise.fractal(x * 34, z * 10, 5, footprint=34 * cell, gain=0.75)
    field = noise.fractal(x * 1.7 + 3, z * 1.7, 4)
    grass = mix(np.broadcast_to(rgb(84, 96, 44), full), rgb(160, 138, 78), np.clip(0.45 + 1.6 * field, 0, 1))
    grass = mix(grass, rgb(26, 38, 18), np.clip(0.25 - 2.6 * blade, 0, 0.9))
    grass = mix(grass, rgb(206, 186, 112), np.clip(2.0 * blade - 0.35, 0, 0.6))
    bloom = smoothstep(0.5, 0.6, noise(x * 75, z * 32)) * smoothstep(-0.05, 0.3, noise(x * 2.2 + 8, z * 2.2))
    grass = mix(grass, rgb(252, 236, 170), bloom * smoothstep(0.1, 0.3, land.inland))
    grain = (1 + 1.1 * noise.fractal(x * 25, z * 25, 5, footprint=25 * cell))[..., None]
    ground = mix(grass, rgb(146, 130, 108) * grain, smoothstep(0.14, 0.02, land.inland + 0.1 * blade) * (z < 4))
    return mix(ground, rgb(128, 120, 112) * grain, land.boulder)


def paint_back(land: Land, steep: Plane, cell: Plane, noise: Noise) -> Colours:
    """Albedo of alpine meadows, cliffs where it is steep or high, and snow above them where it can lie."""
    x, z, h = land.x, land.z, land.heights
    full = (*x.shape, 3)
    strata = noise.fractal(x * 0.5, h * 3 + z * 0.3, 7, footprint=3 * cell)
    cliff = mix(np.broadcast_to(rgb(112, 104, 100), full), rgb(70, 66, 70), np.clip(0.5 + 1.4 * strata, 0, 1))
    bare = np.maximum(smoothstep(0.12, 0.35, steep + 0.12 * strata), smoothstep(1.1, 1.7, h + 0.6 * strata))
    ground = mix(np.broadcast_to(rgb(104, 108, 58), full), cliff, bare)
    snow = smoothstep(1.3, 2.0, h + 0.9 * strata) * smoothstep(0.52, 0.34, steep + 0.3 * strata)
    return mix(ground, rgb(238, 240, 244), snow)


def paint_land(fan: Fan, parts: list[Land], heights: Plane, noise: Noise) -> Colours:
    """Linear colour of all land as seen from the camera: paint, sun, sky and air."""
    x, z = painting.places(fan)
    normal = painting.normals(fan, heights)
    cell = z * np.float32(2 * REACH / fan.columns)
    seam = len(parts[0].x)
    front, back = (
        paint_front(parts[0], cell[:seam], noise),
        paint_back(parts[1], 1 - normal[seam:, :, 1], cell[seam:], noise),
    )
    spruce = np.concatenate([p.spruce for p in parts])
    needles = rgb(34, 50, 30) * (1 + 0.8 * noise.fractal(x * 4, z * 4, 3))[..., None]
    albedo = mix(np.concatenate([front, back]), needles, smoothstep(0.0, 0.03, spruce))
    sun = painting.sunlit(fan, heights, SUN) * np.maximum(normal @ SUN, 0)
    sky = (0.6 + 0.4 * normal[..., 1]) * painting.hollows(fan, heights, 9)
    lit = albedo * (sun[..., None] * SUNLIGHT + sky[..., None] * SKYLIGHT)
    return painting.hazy(lit, np.hypot(x, z), HAZE, 38.0)


def paint_lake(fan: Fan, view: Fan, seen: Colours, distance: Plane, noise: Noise) -> Colours:
    """Linear colour of the lake as seen from the camera: deep teal, pebbles showing near the shore."""
    x, z = painting.places(fan)
    pebbles = 0.5 + 0.5 * noise.fractal(x * 12, z * 12, 4)
    shallow = smoothstep(-0.5, 0.0, front_shore(x, z, noise)) * (z < 4)
    bed = mix(np.broadcast_to(rgb(10, 38, 44), (*x.shape, 3)), rgb(70, 74, 56), shallow * pebbles)
    water = paint_water(fan, EYE, noise, bed=bed, view=view, seen=seen, distance=distance, choppy=0.13)
    return painting.hazy(water, np.hypot(x, z), HAZE, 38.0)


def water_speed(across: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Fastest in the middle of the lake, slower along the shores."""
    return FLOW_SPEED * (0.7 + 0.3 * np.exp(-(((across - 3.0) / 3.5) ** 2)))


def alpine_lake(rng: np.random.Generator, width: int, period: int) -> World:
    """Build the world.

    Args:
      rng: source of everything random in it.
      width: longer side in px of the images that will be taken; sets how fine the tables are.
      period: T of the periodic truth, frames.
    """
    noise = Noise(rng)
    ground = Fan.ground(2 * width, round(1.6 * width), REACH, NEAR, BACK)
    lake = Fan.ground(2 * width, width, REACH, NEAR, 12.0)
    heaven = Fan(2 * width, width, REACH, -0.03, 0.75)
    mirror = Fan(width, width // 2, REACH, heaven.low, heaven.high)

    x, z = painting.places(ground)
    seam = int(np.searchsorted(z[:, 0], SEAM))
    parts = [front_land(x[:seam], z[:seam], noise, rng), back_land(x[seam:], z[seam:], noise, rng)]
    heights = np.concatenate([p.heights for p in parts]).astype(np.float32)
    land = paint_land(ground, parts, heights, noise)
    terrain = Terrain(ground, heights, painting.display(land))
    sky = paint_clouds(
        heaven,
        noise,
        zenith=ZENITH,
        horizon=HORIZON,
        bright=rgb(255, 246, 232) * 1.1,
        shade=rgb(132, 144, 166),
        cover=0.0,
    )
    small_sky = cv2.resize(sky, (mirror.columns, mirror.rows), interpolation=cv2.INTER_AREA)
    seen, distance = panorama(mirror, terrain, EYE, land, small_sky, FAR)
    seen = cv2.GaussianBlur(seen, (0, 0), sigmaX=0.5, sigmaY=1.5)
    water = paint_lake(lake, mirror, seen, distance, noise)
    current = Straight(FLOW_HEADING, water_speed)
    on_lake = current.phase(*painting.places(lake)), current.lane(*painting.places(lake))
    away = np.float32(CLOUD_ALTITUDE - EYE) / np.maximum(heaven.row_coordinates(), 1e-3)[:, None]
    on_layer = heaven.directions()[None, :] * away / CLOUD_DRIFT, np.broadcast_to(away, (heaven.rows, heaven.columns))
    ripples, billows = Pattern(2, 0.3, octaves=6, gain=0.7), Pattern(2, 3.0, octaves=5)
    weaves = [
        Weave(pattern, phase, lane, period, rng) for pattern, (phase, lane) in ((ripples, on_lake), (billows, on_layer))
    ]
    coats = [
        Coat(fan, rows, first, smoothed(first, weave))
        for fan, rows, first, weave in (
            (lake, ground_rows, painting.display(water), weaves[0]),
            (heaven, slope_rows(EYE), painting.display(sky), weaves[1]),
        )
    ]
    return World(
        terrain,
        (Sheet("water", coats[0], current), Sky("clouds", coats[1], CLOUD_ALTITUDE, FAR, CLOUD_DRIFT, EYE)),
        EYE,
        PITCH,
        period,
        shared_start=False,
    )
