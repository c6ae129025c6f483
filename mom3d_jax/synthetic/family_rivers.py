"""Running water: rivers, rapids and falls."""

import numpy as np

from mom3d_jax.synthetic.currents import Bend, Spread, Straight, steady
from mom3d_jax.synthetic.ground import Ground, Light, hills, range_of_peaks, rocks
from mom3d_jax.synthetic.noise import Noise, smoothstep
from mom3d_jax.synthetic.painting import Plane
from mom3d_jax.synthetic.sheets import Builder, standing, water, waves
from mom3d_jax.synthetic.site import Heaven, Recipe
from mom3d_jax.synthetic.weave import Pattern

DOWN = np.array([0.0, -1.0])


def river_valley(rng: np.random.Generator) -> Recipe:
    """A river that bends through a valley: rigid turning around a centre, faster on the outer bank."""
    radius, half = 4.6, 1.05
    centre = (rng.choice([-1.0, 1.0]) * 4.3, 3.9)

    def relief(x: Plane, z: Plane, noise: Noise, rng: np.random.Generator) -> Plane:
        bank = (
            np.abs(np.hypot(x - centre[0], z - centre[1]) - radius) - half + 0.22 * noise.fractal(x * 1.3, z * 1.3, 6)
        )
        plain = 0.1 * (1 - np.exp(-np.maximum(bank, 0) / 0.25)) + 0.35 * np.minimum(bank, 0)
        rise = smoothstep(0.1, 1.6, bank) * hills(x, z, noise, height=0.22, scale=0.5)
        far = range_of_peaks(x, z, noise, start=9.0, full=18, height=6.2, scale=0.22, seed=rng.uniform(0, 50))
        return plain + rise + far * smoothstep(0, 2.5, bank)

    return Recipe(
        relief,
        (water(Bend(centre, lambda lane: 0.0125 * lane / radius), Pattern(3, 0.34, octaves=6, gain=0.78, lag=0.3),
               deep=(26, 62, 66), choppy=1.0),),
        eye=0.62,
        pitch=-0.04,
        ground=Ground(wooded=0.45, tree=0.12, treeline=1.2, snow=2.5, bare=2.0, grass=(92, 112, 44)),
        heaven=Heaven(),
    )  # fmt: skip


def river_to_viewer(rng: np.random.Generator) -> Recipe:
    """A river that comes straight towards the viewer between woods."""
    wander = rng.uniform(0, 6)

    def relief(x: Plane, z: Plane, noise: Noise, rng: np.random.Generator) -> Plane:
        rough = noise.fractal(x * 1.1, z * 1.1, 6)
        bank = np.abs(x + 0.22 * np.sin(0.8 * z + wander)) - 1.1 - 0.08 * z + 0.3 * rough
        stones = rocks(x, z, noise, rng, count=8, along=((-0.7, 1.6), (0.9, 3.5)), spread=0.2, size=0.06)
        land = 0.16 * (1 - np.exp(-np.maximum(bank, 0) / 0.3)) + 0.4 * np.minimum(bank, 0)
        land += smoothstep(0.2, 2.5, bank) * hills(x, z, noise, height=0.9, scale=0.4)
        far = range_of_peaks(x, z, noise, start=8, full=16, height=5.2, scale=0.26, seed=rng.uniform(0, 50))
        return np.maximum(land + far * smoothstep(6, 10, z), stones)

    return Recipe(
        relief,
        (water(Straight(DOWN, steady(0.0175)), Pattern(3, 0.28, octaves=6, gain=0.88, lag=0.35), deep=(34, 66, 58),
               choppy=1.0),),
        eye=0.55,
        pitch=-0.07,
        light=Light(sun=(0.6, 0.55, -0.35)),
        ground=Ground(wooded=0.75, tree=0.13, treeline=2.2, snow=2.6, bare=2.3, grass=(76, 96, 40)),
        heaven=Heaven(),
    )  # fmt: skip


def rapids(rng: np.random.Generator) -> Recipe:
    """White water between boulders, from the upper left to the lower right."""
    heading = np.array([0.82, -0.57]) / np.hypot(0.82, 0.57)

    def relief(x: Plane, z: Plane, noise: Noise, rng: np.random.Generator) -> Plane:
        lane = x * -heading[1] + z * heading[0]
        rough = noise.fractal(x * 1.4, z * 1.4, 6)
        bank = np.abs(lane - 2.0) - 1.25 + 0.35 * rough
        stones = rocks(x, z, noise, rng, count=9, along=((-1.6, 3.4), (0.2, 2.1), (1.2, 1.5)), spread=0.25, size=0.06)
        land = 0.3 * (1 - np.exp(-np.maximum(bank, 0) / 0.3)) + 0.4 * np.minimum(bank, 0)
        land += smoothstep(0.3, 3.0, bank) * hills(x, z, noise, height=3.0, scale=0.4)
        return np.maximum(land, stones)

    def foam(points: np.ndarray, deep: Plane) -> Plane:
        return (0.55 - 2.6 * deep).astype(np.float32)

    return Recipe(
        relief,
        (water(Straight(heading, steady(0.0095)), Pattern(2, 0.22, octaves=6, gain=0.7, lag=0.5, ridged=True),
               deep=(30, 74, 78), choppy=0.9, foam=foam),),
        eye=0.75,
        pitch=-0.1,
        light=Light(sun=(-0.5, 0.7, -0.4)),
        ground=Ground(shore=(120, 114, 106), wooded=0.7, tree=0.16, treeline=3.0, bare=4.0,
                      grass=(70, 88, 44), steep=0.3, dry=0.06),
        heaven=Heaven(cover=-0.2),
    )  # fmt: skip


def cliff(x: Plane, z: Plane, noise: Noise, foot: Plane, run: float, top: float) -> Plane:
    """A rock face that rises by `top` over `run`, from z = foot on, which may differ with x."""
    rough = noise.fractal(x * 1.5, z * 1.5, 7)
    step = np.clip((z - foot - 0.35 * rough) / run, 0, 1)
    return top * (0.85 * step + 0.15 * np.round(4 * step + 0.6 * rough) / 4) + 0.25 * rough * step


def fall(x0: float, foot: float, run: float, low: float, top: float, half: float, seed: float, speed: float) -> Builder:
    """Builder of one leaning sheet of falling water, and the groove of the rock behind it."""
    length = float(np.hypot(run, top - low))
    along = (0.0, (top - low) / length, run / length)
    edge = waves((0.09 * half, 3.1, seed), (0.05 * half, 11.7, 2 * seed), (0.03 * half, 29.3, 3 * seed),
                 (0.02 * half, 67.1, 5 * seed))  # fmt: skip

    def window(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (np.abs(a + edge(b + 0.3 * a)) < half * (1.12 - 0.24 * b / length)) & (b > -0.05) & (b < length)

    return standing(
        Straight(DOWN, steady(speed)), Pattern(3, 0.16 * half, octaves=5, gain=0.75), origin=(x0, low, foot),
        along=along, bright=(250, 252, 255), shade=(70, 100, 120), name="fall", window=window,
        slopes=(-0.3, 0.6), relief=0.0, cover=0.4, streaks=0.8,
    )  # fmt: skip


def groove(
    heights: Plane, x: Plane, z: Plane, x0: float, foot: float, run: float, low: float, top: float, half: float
) -> Plane:
    """Rock that stays just behind a leaning sheet of water."""
    sheet = low + (top - low) * np.clip((z - foot) / run, 0, 1)
    inside = smoothstep(1.5 * half, 1.3 * half, np.abs(x - x0)) * (z > foot - 0.35) * (z < foot + run + 0.6)
    return np.where(inside > 0, heights + inside * (np.minimum(heights, sheet - 0.05) - heights), heights)


def waterfall(rng: np.random.Generator) -> Recipe:
    """A fall over a cliff into a pool, whose water spreads towards the viewer."""
    x0, half, seed = rng.uniform(-0.5, 0.5), rng.uniform(0.62, 0.78), rng.uniform(0, 6)
    place = {"x0": x0, "foot": 4.6, "run": 0.7, "low": 0.0, "top": 1.9, "half": half}

    def relief(x: Plane, z: Plane, noise: Noise, rng: np.random.Generator) -> Plane:
        rough = noise.fractal(x * 0.9, z * 0.9, 7)
        face = cliff(x, z, noise, 4.65 - 0.12 * (x - x0) ** 2, 0.75, 2.6)
        bank = np.abs(x - 0.4 * x0) - 2.0 - 0.2 * z + 0.7 * rough
        shore = 0.22 * (1 - np.exp(-np.maximum(bank, 0) / 0.4)) + 0.3 * np.minimum(bank, 0)
        stones = rocks(x, z, noise, rng, count=14, along=((x0 - 2.0, 3.9), (x0 - 1.9, 2.9)), spread=0.15, size=0.1)
        behind = smoothstep(5.4, 9, z) * hills(x, z, noise, height=2.0, scale=0.4)
        return np.maximum(groove(np.maximum(shore, face + behind - 0.3), x, z, **place), stones)

    def foam(points: np.ndarray, deep: Plane) -> Plane:
        away = np.hypot((points[..., 0] - x0) / (half + 0.25), (points[..., 2] - place["foot"]) / 0.8)
        return np.maximum(1.3 - 1.2 * away, 0.1 - 5 * deep).astype(np.float32)

    return Recipe(
        relief,
        (
            fall(**place, seed=seed, speed=0.015),
            water(Spread((x0, 6.2), steady(0.012), 1.6, ahead=-1.0), Pattern(3, 0.2, octaves=6, gain=0.8, lag=0.25),
                  deep=(22, 66, 66), choppy=1.0, foam=foam),
        ),
        eye=0.95,
        pitch=-0.03,
        light=Light(sun=(-0.5, 0.75, -0.55)),
        ground=Ground(shore=(116, 110, 102), wooded=0.75, tree=0.15, treeline=4.5, bare=6.0,
                      grass=(66, 92, 40), steep=0.34, dry=0.07, clearing=(x0, 1.1)),
        heaven=Heaven(),
    )  # fmt: skip


def cascade(rng: np.random.Generator) -> Recipe:
    """Water that comes down three steps of rock."""
    seed, lean = rng.uniform(0, 6), rng.choice([-1.0, 1.0])
    steps = [
        {"x0": lean * x0, "foot": foot, "run": run, "low": low, "top": top, "half": half}
        for x0, foot, run, low, top, half in (
            (0.05, 3.1, 0.4, 0.0, 0.5, 0.85), (-0.12, 3.9, 0.5, 0.5, 1.2, 0.7), (0.1, 5.0, 0.7, 1.2, 2.2, 0.58)
        )
    ]  # fmt: skip

    def relief(x: Plane, z: Plane, noise: Noise, rng: np.random.Generator) -> Plane:
        rough = noise.fractal(x * 1.2, z * 1.2, 7)
        land = -0.25 + 0.9 * smoothstep(0.9, 2.4, np.abs(x) - 0.3 - 0.05 * z + 0.5 * rough)
        for s in steps:
            rise = s["top"] - s["low"] + 0.05
            land += rise * np.clip((z - s["foot"] - 0.25 * rough - 0.06) / s["run"], 0, 1)
        land += 0.16 * rough + smoothstep(6.0, 10, z) * hills(x, z, noise, height=3.2, scale=0.4)
        for s in steps:
            land = groove(land, x, z, **s)
        stones = rocks(x, z, noise, rng, count=14, along=((-1.5, 2.9), (-1.3, 2.2)), spread=0.12, size=0.085)
        return np.maximum(land, stones)

    def foam(points: np.ndarray, deep: Plane) -> Plane:
        away = np.hypot((points[..., 0] - steps[0]["x0"]) / 1.0, (points[..., 2] - 3.05) / 0.6)
        return np.maximum(1.2 - 1.2 * away, 0.1 - 6 * deep).astype(np.float32)

    return Recipe(
        relief,
        (
            *(fall(**s, seed=seed + i, speed=0.0085 + 0.004 * i) for i, s in enumerate(steps)),
            water(Straight(DOWN, steady(0.013)), Pattern(3, 0.26, octaves=6, gain=0.66, lag=0.25), deep=(26, 66, 60),
                  choppy=1.0, foam=foam),
        ),
        eye=0.9,
        pitch=-0.03,
        light=Light(sun=(0.45, 0.8, -0.5)),
        ground=Ground(shore=(112, 108, 100), wooded=0.8, tree=0.15, treeline=5.0, bare=6.0,
                      grass=(62, 94, 38), steep=0.36, dry=0.06, clearing=(0.0, 1.3)),
        heaven=Heaven(),
    )  # fmt: skip
