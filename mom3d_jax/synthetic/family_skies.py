"""Where it is the air that moves: clouds over a desert, a sea of clouds, the plume of a volcano."""

import numpy as np

from mom3d_jax.synthetic.currents import Spread, Straight, steady
from mom3d_jax.synthetic.ground import Ground, Light, hills, mound, range_of_peaks
from mom3d_jax.synthetic.noise import Noise, smoothstep
from mom3d_jax.synthetic.painting import Plane
from mom3d_jax.synthetic.sheets import layer, standing, water
from mom3d_jax.synthetic.site import Heaven, Recipe
from mom3d_jax.synthetic.weave import Pattern


def desert_clouds(rng: np.random.Generator) -> Recipe:
    """Dunes under fast clouds; nothing else moves."""
    turn = rng.uniform(-0.5, 0.5)

    def relief(x: Plane, z: Plane, noise: Noise, rng: np.random.Generator) -> Plane:
        bend = noise.fractal(x * 0.3, z * 0.3, 3)
        phase = (0.75 * z + turn * x + 1.6 * bend) % 1.0
        # Long windward, short leeward side.
        dune = np.where(phase < 0.72, phase / 0.72, (1 - phase) / 0.28)
        ripple = 0.004 * noise(x * 6, z * 22)
        far = range_of_peaks(x, z, noise, start=17, full=23, height=2.6, scale=0.2, seed=rng.uniform(0, 50))
        height = 0.05 + (0.05 + 0.035 * z) * dune * (0.65 + 0.5 * noise.fractal(x * 0.35 + 9, z * 0.35, 4))
        return np.maximum(height * smoothstep(0.3, 2.5, z) + 0.03 + ripple + far, 0.03)

    return Recipe(
        relief,
        (),
        eye=0.42,
        pitch=0.09,
        light=Light(sun=(0.85, 0.36, -0.2), sunlight=(1.6, 1.2, 0.8), haze=(226, 198, 170), visibility=30),
        ground=Ground(shore=(226, 176, 112), dry=9.0, steep=0.9, rock=(150, 96, 70), crevice=(104, 66, 54)),
        heaven=Heaven(zenith=(40, 104, 184), horizon=(240, 220, 196), cover=-0.35, drift=0.075),
    )


def cloud_sea(rng: np.random.Generator) -> Recipe:
    """Peaks that stand out of a layer of cloud, seen from above it."""
    side = rng.choice([-1.0, 1.0])

    def relief(x: Plane, z: Plane, noise: Noise, rng: np.random.Generator) -> Plane:
        seed = rng.uniform(0, 50)
        crest = noise.fractal(x * 0.5 + seed, z * 0.5, 9, ridged=True, gain=0.55)
        peaks = np.full_like(x, -0.6)
        for px, pz, radius, tall in (
            (side * 1.9, 4.6, 1.5, 0.9),
            (-side * 4.4, 10.0, 3.2, 2.1),
            (side * 6.0, 15.0, 4.2, 3.0),
            (-side * 1.0, 21.0, 5.0, 3.4),
        ):
            cone = np.maximum(mound(x, z, (px, pz), (radius, radius)), -0.6)
            peaks = np.maximum(peaks, tall * cone * (0.55 + 0.75 * crest) - 0.05)
        near = 0.5 * (0.95 + side * 0.75 * x - z + 0.4 * noise.fractal(x * 1.6, z * 1.6, 6))
        return np.maximum(peaks, np.minimum(near, 0.24))

    return Recipe(
        relief,
        (layer(Straight(np.array([0.97, -0.24]), steady(0.0085)), Pattern(1, 0.75, octaves=7, gain=0.66, lag=0.5),
               level=0.0, bright=(246, 238, 228), shade=(96, 116, 156), name="cloud_sea", relief=0.4, lumps=0.6,
               cover=0.15),),
        eye=0.7,
        pitch=-0.1,
        light=Light(sun=(-0.7, 0.42, -0.3), sunlight=(1.6, 1.28, 0.95), haze=(206, 214, 228), visibility=26),
        ground=Ground(shore=(110, 106, 104), dry=0.02, grass=(92, 96, 58), bare=0.5, snow=0.75, steep=0.3),
        heaven=Heaven(zenith=(36, 84, 160), horizon=(240, 224, 206), cover=-0.6, drift=0.065, altitude=6.0),
    )  # fmt: skip


def volcano_plume(rng: np.random.Generator) -> Recipe:
    """A cone with a plume of ash that rises and widens, behind a lake."""
    x0, seed = rng.uniform(-2.0, 2.0), rng.uniform(0, 6)
    distance, summit = 14.0, 3.1

    def relief(x: Plane, z: Plane, noise: Noise, rng: np.random.Generator) -> Plane:
        rough = noise.fractal(x * 0.6, z * 0.6, 8, gain=0.55)
        away = np.hypot(x - x0, z - distance) + 0.35 * rough
        cone = 4.2 * np.exp(-away / 3.4) - 0.35
        cone = np.minimum(cone, summit + 0.1 * rough) - 0.5 * smoothstep(0.5, 0.2, away)
        plain = hills(x, z, noise, height=0.45, scale=0.35) * smoothstep(6.5, 9.5, z) - 0.2 * smoothstep(8, 6, z)
        near = 0.3 * (1.05 - 0.5 * x - z + 0.4 * rough)
        return np.maximum(
            np.maximum(cone * smoothstep(7.0, 9.5, z) - 0.15, plain), np.maximum(np.minimum(near, 0.15), -0.3)
        )

    def outline(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        lean = 0.12 * np.maximum(b, 0)
        width = 0.34 + 0.34 * b + 0.10 * np.sin(3.1 * b + seed) + 0.05 * np.sin(9.3 * b + 2 * seed)
        wobble = 0.09 * np.sin(4.7 * b + 3 * seed) * np.sign(a - lean)
        return (np.abs(a - lean) < width + wobble) & (b > -0.4)

    return Recipe(
        relief,
        (
            standing(Spread((0.0, -1.0), steady(0.034), 1.6), Pattern(2, 0.5, octaves=6, gain=0.64, lag=0.4),
                     origin=(x0, summit - 0.25, distance), along=(0.0, 1.0, 0.0), bright=(232, 220, 212),
                     shade=(66, 62, 66), name="plume", window=outline, slopes=(0.05, 0.6), relief=0.9, cover=0.1),
            water(Straight(np.array([0.96, -0.28]), steady(0.0054)), Pattern(2, 0.7, octaves=6, gain=0.64),
                  deep=(16, 48, 62), choppy=0.55),
        ),
        eye=0.4,
        pitch=0.09,
        light=Light(sun=(-0.7, 0.5, -0.4), sunlight=(1.5, 1.2, 0.9)),
        ground=Ground(shore=(92, 84, 78), grass=(86, 98, 48), bare=1.3, rock=(104, 84, 76),
                      crevice=(58, 48, 48), steep=0.4, wooded=0.3),
        heaven=Heaven(cover=-0.5, horizon=(232, 214, 196)),
    )  # fmt: skip
