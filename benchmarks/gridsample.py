"""Time bilinear sampling of HexPlane's planes against what one would write instead.

    python -m benchmarks.gridsample --out gridsample.json

Twelve planes, as many as two levels of a HexPlane, here of one size: six over space, 64x64, with points anywhere,
and six over time, 25x64, where all points share the time, as they do in a training step. Three ways:

* sample_planes: ours, whose backward pass sums by cell.
* map_coordinates: `jax.scipy.ndimage.map_coordinates` of each channel, the reference of the tests.
* gather: four gathers and their weights; automatic differentiation makes four scatter-adds of them.

Forward makes the features; forward_backward also the gradients of planes and coordinates from given gradients of the
features. Before anything is timed, all three are compared.
"""

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from mom3d_jax.kernels import sample_planes
from mom3d_jax.kernels.gridsample import reference

from benchmarks import timing
from mom3d_jax.types import Array

MODULE = "benchmarks.gridsample"
TOLERANCE = 1e-3
"""Largest difference between two ways, relative to the largest value."""
COLUMNS = {
    "way": "{}",
    "forward_ms": "{:,.1f}",
    "p90_forward_ms": "{:,.1f}",
    "forward_backward_ms": "{:,.1f}",
    "p90_forward_backward_ms": "{:,.1f}",
    "peak_bytes": "{:,}",
}

Inputs = list[tuple[Array, Array]]
"""Planes [p, a, b, c] and coordinates [p, n, 2] of each size of plane."""


def gather(planes: Float[Array, "p a b c"], coords: Float[Array, "p n 2"]) -> Float[jax.Array, "p n c"]:
    """Four gathers and their weights; see `mom3d_jax.kernels.sample_planes`."""

    def one(plane: jax.Array, xy: jax.Array) -> jax.Array:
        last = jnp.array(plane.shape[:2], jnp.float32)[None] - 1
        place = (jnp.clip(xy, -1, 1) + 1) / 2 * last
        corner = jnp.clip(jnp.floor(place), 0, last - 1)
        s, t = jnp.split(place - corner, 2, axis=1)
        i, j = corner.astype(jnp.int32).T
        near = (1 - t) * plane[i, j] + t * plane[i, j + 1]
        far = (1 - t) * plane[i + 1, j] + t * plane[i + 1, j + 1]
        return (1 - s) * near + s * far

    return jax.vmap(one)(jnp.asarray(planes), jnp.asarray(coords))


WAYS = {"sample_planes": sample_planes, "map_coordinates": reference.sample_planes, "gather": gather}


def make_inputs(points: int, channels: int, seed: int = 0) -> Inputs:
    """Six planes over space and six over time; coordinates in [-1, 1]."""
    rng = np.random.default_rng(seed)
    space = rng.uniform(-1, 1, (6, points, 2))
    in_time = np.stack([np.full((6, points), rng.uniform(-1, 1)), space[..., 0]], -1)
    planes = [rng.uniform(0.1, 0.5, (6, rows, 64, channels)) for rows in (64, 25)]
    return [(p.astype(np.float32), x.astype(np.float32)) for p, x in zip(planes, (space, in_time), strict=True)]


def forward(way: Callable[..., Any]) -> Callable[[Inputs], list[jax.Array]]:
    """Features of all planes."""
    return lambda inputs: [way(planes, coords) for planes, coords in inputs]


def backward(way: Callable[..., Any]) -> Callable[[Inputs, list[Array]], Any]:
    """Features, and gradients of the inputs for given gradients of the features."""

    def both(inputs: Inputs, slopes: list[Array]) -> Any:
        features, pull = jax.vjp(forward(way), inputs)
        return features, pull(slopes)[0]

    return both


def deviation(ours: Any, other: Any) -> float:
    """Largest difference of two trees of arrays, relative to the largest value of each array."""
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(other), strict=True)
    return max(float(jnp.abs(a - b).max() / jnp.abs(b).max()) for a, b in pairs)


def compare(points: int, channels: int) -> None:
    """End the process with exit code 1 where the three ways do not compute the same."""
    inputs = make_inputs(points, channels)
    slopes = [np.ones((6, points, channels), np.float32)] * len(inputs)
    truth = jax.jit(backward(reference.sample_planes))(inputs, slopes)
    for name, way in WAYS.items():
        off = deviation(jax.jit(backward(way))(inputs, slopes), truth)
        if not off < TOLERANCE:
            raise SystemExit(f"{name} differs from map_coordinates by {off:.2g} of the largest value")


def main(argv: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=60_000)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--out", type=timing.output_file, default=None, help="JSON file")
    options = parser.parse_args(argv)
    if min(options.points, options.channels, options.repeats) < 1:
        timing.fail("--points, --channels and --repeats: give at least 1 each")
    compare(min(options.points, 500), min(options.channels, 4))
    inputs = make_inputs(options.points, options.channels)
    slopes = [np.random.default_rng(1).normal(size=(*x.shape[:2], options.channels)) for _, x in inputs]
    slopes = [s.astype(np.float32) for s in slopes]
    rows = []
    for name, way in WAYS.items():
        alone = timing.measure(forward(way), inputs, repeats=options.repeats)
        both = timing.measure(backward(way), inputs, slopes, repeats=options.repeats)
        rows.append(
            {
                "way": name,
                "forward_ms": alone.ms,
                "p90_forward_ms": alone.p90,
                "forward_backward_ms": both.ms,
                "p90_forward_backward_ms": both.p90,
                "peak_bytes": both.bytes,
            }
        )
    sizes = {"points": options.points, "channels": options.channels, "planes": [p.shape[:3] for p, _ in inputs]}
    report = {**timing.environment(MODULE, argv), **sizes, "results": rows}
    print(timing.table(rows, COLUMNS))
    timing.save(report, options.out)


if __name__ == "__main__":
    main()
