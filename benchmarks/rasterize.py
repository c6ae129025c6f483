"""Time the rasterizer from 3D parameters to gradients, binning included.

    python -m benchmarks.rasterize --scene photo_cloud --backend xla --width 512 --out rasterize.json

Scenes:

* photo_cloud: one Gaussian per pixel on a landscape's depth (ground plane and sky), seen from a slightly moved camera.
* random: a quarter as many, anywhere in view, of all opacities.
* dense: an eighth as many, large and faint: many layers per pixel, no early end.

`pairs` counts (pixel, Gaussian) pairs with α ≥ 1/255 without early termination. `loop_rate` is the number of such
evaluations per second that the bare forward loop reaches on this machine in the same run, gathers and lists left out.
Memory is what the compiled program asks for on a CPU and the device's peak elsewhere.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from mom3d_jax.kernels import Rasterized, backends, bucket, count_intersections, rasterize
from mom3d_jax.kernels.binning import bin_gaussians
from mom3d_jax.kernels.rasterize import tiles

SCENES = ("photo_cloud", "random", "dense")
HIGHEST = lax.Precision.HIGHEST


class Scene(NamedTuple):
    """3D Gaussians, the camera they are seen from, and the picture they are compared with."""

    parameters: dict[str, jax.Array]
    rotation: jax.Array
    translation: jax.Array
    focal: float
    photo: jax.Array


def make_scene(name: str, width: int, height: int, gaussians: int | None, seed: int = 0) -> Scene:
    """One of `SCENES`."""
    rng = np.random.default_rng(seed)
    focal, pixels = 0.8 * width, width * height
    v, u = (np.mgrid[:height, :width] + 0.5).reshape(2, pixels)
    if name == "photo_cloud":
        n = pixels
        z = 1 / (0.12 + 0.88 * np.clip((v / height - 0.42) / 0.58, 0, 1))
        opacities, size = np.clip(rng.normal(0.9, 0.1, n), 0.05, 0.99), 1.0
    else:
        n = gaussians or pixels // (4 if name == "random" else 8)
        u, v, z = rng.uniform(0, width, n), rng.uniform(0, height, n), rng.uniform(1, 8, n)
        opacities, size = (rng.uniform(0.01, 0.99, n), 1.5) if name == "random" else (rng.uniform(0.02, 0.2, n), 6.0)
    # A smooth picture with some grain stands for a photo.
    y, x = np.mgrid[:height, :width] / height
    photo = 0.5 + 0.4 * np.sin(np.stack([3 * x + 5 * y, 7 * y, 4 * x - 2 * y], -1))
    photo = np.clip(photo + rng.normal(0, 0.05, photo.shape), 0, 1)
    parameters = {
        "means": np.stack([(u - width / 2) / focal, (v - height / 2) / focal, np.ones(n)], -1) * z[:, None],
        "scales": size * (z / focal)[:, None] * np.exp(rng.normal(0, 0.3, (n, 3))),
        "quaternions": rng.normal(size=(n, 4)),
        "opacities": opacities,
        "colors": photo.reshape(-1, 3) if n == pixels else rng.uniform(size=(n, 3)),
    }
    c, s = np.cos(0.03), np.sin(0.03)
    rotation, translation = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]), np.array([0.02, 0.01, 0.03])
    to_device = lambda a: jnp.asarray(a, jnp.float32)
    return Scene(
        jax.tree.map(to_device, parameters), to_device(rotation), to_device(translation), focal, to_device(photo)
    )


def project(scene: Scene, parameters: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
    """EWA projection: 2D means, conics (0.3 px² dilation) and depths."""
    height, width = scene.photo.shape[:2]
    x, y, z = (
        jnp.einsum("ij,nj->in", scene.rotation, parameters["means"], precision=HIGHEST) + scene.translation[:, None]
    )
    w, i, j, k = (parameters["quaternions"] / jnp.linalg.norm(parameters["quaternions"], axis=1, keepdims=True)).T
    axes = jnp.stack(
        [
            jnp.stack([1 - 2 * (j * j + k * k), 2 * (i * j - w * k), 2 * (i * k + w * j)]),
            jnp.stack([2 * (i * j + w * k), 1 - 2 * (i * i + k * k), 2 * (j * k - w * i)]),
            jnp.stack([2 * (i * k - w * j), 2 * (j * k + w * i), 1 - 2 * (i * i + j * j)]),
        ]
    )
    f = scene.focal
    jacobian = jnp.stack([jnp.stack([f / z, 0 * z, -f * x / z**2]), jnp.stack([0 * z, f / z, -f * y / z**2])])
    to_image = jnp.einsum("ain,ij->ajn", jacobian, scene.rotation, precision=HIGHEST)
    half = jnp.einsum("ajn,jkn->akn", to_image, axes, precision=HIGHEST) * parameters["scales"].T[None]
    xx, xy, yy = (half[0] ** 2).sum(0) + 0.3, (half[0] * half[1]).sum(0), (half[1] ** 2).sum(0) + 0.3
    conics = jnp.stack([yy, -xy, xx], -1) / (xx * yy - xy * xy)[:, None]
    return jnp.stack([f * x / z + width / 2, f * y / z + height / 2], -1), conics, z


def measure(run: Callable[..., Any], *args: Any, repeats: int) -> dict[str, float]:
    """Median and 90th percentile in ms after warm-up, and bytes."""
    compiled = jax.jit(run).lower(*args).compile()
    jax.block_until_ready(compiled(*args))
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        jax.block_until_ready(compiled(*args))
        times.append(1e3 * (time.perf_counter() - begin))
    memory = compiled.memory_analysis()
    planned = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    peak = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", planned)
    return {"ms": float(np.median(times)), "p90": float(np.percentile(times, 90)), "bytes": int(peak)}


def count_pairs(means2d: Any, conics: Any, opacities: Any, z: Any, *, width: int, height: int, capacity: int) -> int:
    """(pixel, Gaussian) pairs with α ≥ 1/255."""
    image = tiles.Image(width, height, capacity)

    @jax.jit
    def per_batch(means2d: Any, conics: Any, opacities: Any, z: Any) -> jax.Array:
        bins = bin_gaussians(means2d, conics, opacities, z, width=width, height=height, capacity=capacity)
        table = tiles.gaussian_table(means2d, conics, z[:, None], opacities)
        inside = tiles.to_tiles(jnp.ones((height, width)), image)

        def batch(work: tiles.Work) -> jax.Array:
            seen = inside.at[work.tiles].get(mode="clip")

            def add(index: Any, T: Any, state: tuple[jax.Array]) -> Any:
                chunk = tiles.load_chunk(table, bins, work, index, image.grid[0])
                return T, (state[0] + ((chunk.alpha > 0) & (seen[:, None] > 0)).sum(dtype=jnp.int32),)

            return tiles.walk(work, add, (jnp.int32(0),))[1][0]

        return lax.map(batch, tiles.in_batches(bins))

    return int(np.asarray(per_batch(means2d, conics, opacities, z), np.int64).sum())


def loop_rate(repeats: int) -> float:
    """Evaluations per second of the forward loop alone: α, transmittance and four channels of one resident chunk."""
    rows = np.random.default_rng(0).uniform(0.1, 1, (9, tiles.BATCH, tiles.CHUNK)).astype(np.float32)
    x, y, a, b, c, *features = (jnp.asarray(r) for r in rows)
    form, rounds = jnp.stack([-a, 0.1 * b, -c], -1), 100

    def run(x: jax.Array) -> Any:
        def chunk(i: Any, carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            T, *sums = carry
            moved = x + 1e-3 * i.astype(jnp.float32)
            alpha = lax.optimization_barrier(tiles.evaluate_alpha(moved, y, form, jnp.full_like(x, -4.0)))
            for g in range(tiles.CHUNK):
                T, weight = tiles.step(T, alpha[:, g])
                sums = [s + weight * f[:, g, None] for s, f in zip(sums, features, strict=True)]
            return T, *sums

        empty = jnp.zeros((tiles.BATCH, tiles.PIXELS))
        return lax.fori_loop(0, rounds, chunk, (empty + 1, *[empty] * 4))

    evaluations = rounds * tiles.BATCH * tiles.CHUNK * tiles.PIXELS
    return evaluations / (1e-3 * measure(run, x, repeats=repeats)["ms"])


def run_scene(name: str, backend: str, width: int, height: int, gaussians: int | None, repeats: int) -> dict[str, Any]:
    """One row of the results."""
    scene = make_scene(name, width, height, gaussians)
    size = {"width": width, "height": height}
    means2d, conics, z = jax.jit(lambda p: project(scene, p))(scene.parameters)
    opacities = scene.parameters["opacities"]
    intersections = int(count_intersections(means2d, conics, opacities, z, **size))
    capacity = bucket(intersections)

    def render(parameters: dict[str, jax.Array]) -> Rasterized:
        means2d, conics, z = project(scene, parameters)
        appearance = parameters["colors"], parameters["opacities"]
        return rasterize(means2d, conics, *appearance, z, **size, capacity=capacity, backend=backend)

    def loss(parameters: dict[str, jax.Array]) -> jax.Array:
        return jnp.abs(render(parameters).color - scene.photo).mean()

    forward = measure(render, scene.parameters, repeats=repeats)
    both = measure(jax.value_and_grad(loss), scene.parameters, repeats=repeats)
    return {
        "scene": name,
        "backend": backend,
        **size,
        "gaussians": int(z.size),
        "intersections": intersections,
        "pairs": count_pairs(means2d, conics, opacities, z, **size, capacity=capacity),
        "forward_ms": forward["ms"],
        "forward_backward_ms": both["ms"],
        "p90_forward_ms": forward["p90"],
        "p90_forward_backward_ms": both["p90"],
        "peak_bytes": both["bytes"],
    }


def main(argv: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scene", choices=SCENES, default="photo_cloud")
    parser.add_argument("--backend", default=None, help="a rasterizer backend; the best one here by default")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--height", type=int, default=None, help="9/16 of the width by default")
    parser.add_argument("--gaussians", type=int, default=None, help="for random and dense")
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--out", type=Path, default=None, help="JSON file")
    options = parser.parse_args(argv)
    height = options.height or options.width * 9 // 16
    backend = backends.choose(options.backend)
    result = run_scene(options.scene, backend, options.width, height, options.gaussians, options.repeats)
    report = {
        "device": f"{jax.devices()[0].device_kind} ({jax.default_backend()}, {platform.machine()})",
        "versions": {"python": platform.python_version(), "jax": jax.__version__, "numpy": np.__version__},
        "loop_rate": loop_rate(options.repeats),
        "results": [result],
    }
    width = max(map(len, result))
    for key, value in result.items():
        print(f"{key:{width}}  {value:,.1f}" if isinstance(value, float) else f"{key:{width}}  {value}")
    print(f"{'loop_rate':{width}}  {report['loop_rate']:.3g} per second on {report['device']}")
    if options.out:
        options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
