"""Open water: the sea, its beaches, fjords and lagoons, and a lake under mist."""

import numpy as np

from mom3d_jax.synthetic.currents import Straight, steady
from mom3d_jax.synthetic.ground import Ground, Light, hills, mound, range_of_peaks, rocks
from mom3d_jax.synthetic.noise import Noise, smoothstep
from mom3d_jax.synthetic.painting import Plane
from mom3d_jax.synthetic.sheets import layer, water, waves
from mom3d_jax.synthetic.site import Heaven, Recipe
from mom3d_jax.synthetic.weave import Pattern

RIGHT = np.array([0.96, -0.28])
LEFT = np.array([-0.94, -0.34]) / np.hypot(0.94, 0.34)
NEARER = np.array([0.17, -1.0]) / np.hypot(0.17, 1.0)


def open_sea(rng: np.random.Generator) -> Recipe:
    """Swell under a wide sky, a few rocks and a coast on the horizon."""
    side = rng.choice([-1.0, 1.0])

    def relief(x: Plane, z: Plane, noise: Noise, rng: np.random.Generator) -> Plane:
        coast = 1.1 * mound(x, z, (side * 11.0, 22.0), (9.0, 4.5)) * (0.7 + noise.fractal(x * 0.35, z * 0.35, 7))
        reef = rocks(x, z, noise, rng, count=9, along=((-side * 0.9, 2.3), (-side * 0.35, 3.2)), spread=0.16, size=0.1)
        return np.maximum(np.maximum(coast, reef), -0.4)

    return Recipe(
        relief,
        (water(Straight(RIGHT, steady(0.0056)), Pattern(2, 0.8, octaves=6, gain=0.68, lag=0.2), deep=(10, 46, 74),
               choppy=0.75),),
        eye=0.42,
        pitch=0.03,
        ground=Ground(shore=(92, 84, 78), steep=0.12),
        heaven=Heaven(cover=-0.7, drift=0.065),
    )  # fmt: skip


def beach_surf(rng: np.random.Generator) -> Recipe:
    """Waves that run towards a sandy beach at the viewer's feet."""
    tilt = rng.uniform(0.25, 0.4)

    def relief(x: Plane, z: Plane, noise: Noise, rng: np.random.Generator) -> Plane:
        shore = 2.05 - (0.35 + tilt) * x + 0.22 * noise.fractal(x * 1.1, z * 1.1, 5) - z
        sand = 0.16 * shore + 0.008 * noise.fractal(x * 9, z * 5, 4) * (shore > 0)
        head = 1.7 * mound(x, z, (-8.5, 15.0), (6.0, 3.5)) * (0.8 + noise.fractal(x * 0.4, z * 0.4, 7))
        stones = rocks(x, z, noise, rng, count=7, along=((1.2, 3.4), (1.9, 4.2)), spread=0.14, size=0.085)
        return np.maximum(np.maximum(sand, head), np.maximum(stones, -0.4))

    def foam(points: np.ndarray, deep: Plane) -> Plane:
        return (0.35 - 7.0 * deep).astype(np.float32)

    return Recipe(
        relief,
        (water(Straight(NEARER, steady(0.013)), Pattern(2, 0.34, octaves=6, gain=0.74, lag=0.4), deep=(14, 84, 108),
               shallow=(150, 170, 146), choppy=0.8, foam=foam),),
        eye=0.5,
        pitch=-0.03,
        light=Light(sun=(0.5, 0.62, -0.5), sunlight=(1.5, 1.32, 1.05)),
        ground=Ground(shore=(214, 190, 150), dry=0.14, steep=0.2),
        heaven=Heaven(zenith=(30, 100, 186), horizon=(208, 226, 236), cover=-0.8, drift=0.065),
    )  # fmt: skip


def fjord(rng: np.random.Generator) -> Recipe:
    """Steep walls on both sides of still, dark water, snow on top."""
    bend = rng.uniform(-0.08, 0.08)

    def relief(x: Plane, z: Plane, noise: Noise, rng: np.random.Generator) -> Plane:
        middle = bend * z + 0.5 * np.sin(0.35 * z)
        rough = noise.fractal(x * 0.7, z * 0.5, 8, gain=0.55)
        bank = np.abs(x - middle) - 1.15 - 0.1 * z + 0.9 * rough
        wall = np.where(bank > 0, 2.6 * (1 - np.exp(-np.maximum(bank, 0) / 1.3)), 0.5 * bank) * smoothstep(1.2, 4.5, z)
        head = range_of_peaks(x, z, noise, start=13, full=20, height=4.2, scale=0.24, seed=rng.uniform(0, 50)) - 0.3
        return np.maximum(np.maximum(wall * (0.75 + 0.5 * rough), head), -0.4)

    return Recipe(
        relief,
        (water(Straight(LEFT, steady(0.0058)), Pattern(2, 0.7, octaves=6, gain=0.62), deep=(8, 40, 50), choppy=0.45),),
        eye=0.34,
        pitch=0.05,
        light=Light(sun=(0.7, 0.5, -0.4), haze=(172, 190, 208), visibility=30),
        ground=Ground(grass=(62, 82, 44), straw=(112, 116, 66), steep=0.26, bare=1.9, snow=1.9,
                      wooded=0.55, treeline=1.1),
        heaven=Heaven(cover=0.0, bright=(236, 238, 242), shade=(112, 122, 138)),
    )  # fmt: skip


def island_lagoon(rng: np.random.Generator) -> Recipe:
    """Green islands in turquoise shallows."""
    places = [(rng.uniform(-0.42, 0.42) * z, z) for z in (3.4, 5.2, 8.5, 13.0)]

    def relief(x: Plane, z: Plane, noise: Noise, rng: np.random.Generator) -> Plane:
        rough = noise.fractal(x * 0.9, z * 0.9, 7)
        bank = -0.22 + 0.22 * noise.fractal(x * 0.6 + 30, z * 0.6, 4)
        for i, (px, pz) in enumerate(places):
            size = 0.28 * pz
            island = mound(x, z, (px, pz), (size, 0.5 * size)) + 0.55 * rough
            tall = 0.42 * size if i % 2 else 0.16 * size
            bank = np.maximum(
                bank,
                np.where(
                    island > 0, 0.07 * np.minimum(island, 0.5) + tall * np.maximum(island - 0.25, 0), 0.22 * island
                ),
            )
        return bank

    return Recipe(
        relief,
        (water(Straight(RIGHT, steady(0.0054)), Pattern(2, 0.6, octaves=6, gain=0.66, lag=0.2), deep=(0, 120, 150),
               shallow=(150, 224, 204), clear=0.3, choppy=0.6),),
        eye=0.5,
        pitch=-0.04,
        light=Light(sun=(-0.4, 0.75, -0.5), sunlight=(1.6, 1.42, 1.15), haze=(176, 208, 226)),
        ground=Ground(shore=(236, 220, 182), dry=0.05, grass=(58, 108, 42), straw=(128, 142, 60), steep=0.3,
                      wooded=0.5, tree=0.13),
        heaven=Heaven(zenith=(24, 104, 196), horizon=(202, 226, 238), cover=-0.7, drift=0.07),
    )  # fmt: skip


def misty_lake(rng: np.random.Generator) -> Recipe:
    """A lake at dawn with a low, opaque layer of mist that drifts over its far part; trees stand out of it."""
    edge = waves((0.35, 0.9, rng.uniform(0, 6)), (0.16, 2.3, rng.uniform(0, 6)), (0.05, 7.1, 1.0), (0.03, 15.7, 2.0))

    def relief(x: Plane, z: Plane, noise: Noise, rng: np.random.Generator) -> Plane:
        rough = noise.fractal(x * 0.6, z * 0.6, 7)
        near = 0.25 * (1.15 + 0.45 * x - z + 0.4 * rough)
        isle = 0.5 * mound(x, z, (-1.7, 5.6), (1.3, 0.5)) + 0.25 * rough
        far = np.where(z > 9 + rough, hills(x, z, noise, height=1.5, scale=0.35) * smoothstep(9, 14, z), -0.3)
        return np.maximum(
            np.maximum(np.minimum(near, 0.12 + 0.1 * rough), np.minimum(isle, 0.14)), np.maximum(far, -0.3)
        )

    return Recipe(
        relief,
        (
            water(Straight(RIGHT, steady(0.005)), Pattern(2, 0.7, octaves=6, gain=0.62), deep=(34, 58, 72),
                  choppy=0.55),
            layer(Straight(np.array([1.0, 0.0]), steady(0.01)), Pattern(2, 1.6, octaves=6, gain=0.64, lag=0.3),
                  level=0.14, bright=(246, 228, 214), shade=(136, 126, 134), name="mist", relief=0.2, lumps=0.5,
                  window=lambda a, b: b > 2.9 + edge(a)),
        ),
        eye=0.62,
        pitch=-0.02,
        light=Light(sun=(0.8, 0.34, -0.3), sunlight=(1.5, 1.2, 0.9), haze=(226, 210, 204), visibility=26),
        ground=Ground(wooded=0.7, tree=0.15, treeline=3.0, bare=9, grass=(80, 84, 48)),
        heaven=Heaven(zenith=(84, 122, 176), horizon=(246, 222, 198), bright=(255, 232, 212), shade=(150, 146, 168),
                      cover=-0.5),
    )  # fmt: skip
