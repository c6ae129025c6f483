"""Find the fastest launch of the Triton kernels on this GPU, and write the table that the rasterizer reads.

    python -m benchmarks.tune
    python -m benchmarks.tune --width 512 --views 25 --channels 4 --out h200_views.json
    python -m benchmarks.tune --compile-only --channels 4

For each number of features every kernel is timed on its own, with the lists of the scene photo_cloud, for all
candidates of its sizes while those of the other kernels stay at their defaults: forward by unroll and warps, backward
by group and warps, the sums by block, unroll and warps. Medians decide; the winner has to give what the default gives.
A candidate that does not compile is skipped, and said so. The table goes where `kernels/rasterize/launch.py` looks for
it, unless `--out` names another file; it holds the command, versions, all times and the winners.

With `--compile-only` nothing is timed and no GPU is needed: candidates are compiled for the H200 of
`benchmarks/registers.py` and ranked by spilled bytes, then by how many programs fit on a multiprocessor, then by
registers. That prunes the candidates; it does not choose among those that are left.
"""

import argparse
import itertools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from mom3d_jax.kernels import backends, bucket, count_intersections
from mom3d_jax.kernels.binning.op import Bins, bin_gaussians
from mom3d_jax.kernels.rasterize.images import each
from mom3d_jax.kernels.rasterize.launch import BUCKETS, Launch, heuristic_launch, read_table, table_file
from mom3d_jax.kernels.rasterize.pallas_triton import Kernels
from mom3d_jax.kernels.rasterize.tiles import Image, gaussian_table

from benchmarks import registers, timing
from benchmarks.scenes import Scene, make_scene, project

MODULE = "benchmarks.tune"
CANDIDATES: dict[str, dict[str, tuple[int, ...]]] = {
    "forward": {"forward_unroll": (1, 2, 4, 8), "forward_warps": (1, 2, 4)},
    "backward": {"backward_group": (8, 16, 32), "backward_warps": (1, 2, 4)},
    "sum_rows": {"sum_block": (4, 8, 16), "sum_unroll": (2, 4, 8, 16), "sum_warps": (1, 2, 4)},
}
"""Kernel -> its fields of a launch and the values that are tried."""
TOLERANCE = 1e-4
"""Of a winner's results, relative to the largest of the default's. Sizes change the order of sums, and no more."""


def candidates(kernel: str, base: Launch) -> list[Launch]:
    """All launches of a kernel; the fields of others are those of `base`."""
    fields = CANDIDATES[kernel]
    return [base._replace(**dict(zip(fields, values, strict=True))) for values in itertools.product(*fields.values())]


def sizes(kernel: str, launch: Launch) -> dict[str, int]:
    """The fields that concern one kernel."""
    return {name: getattr(launch, name) for name in CANDIDATES[kernel]}


def workload(scene: Scene, channels: int, kernels: Kernels) -> dict[str, tuple[Any, ...]]:
    """Arguments of every kernel for a scene: its lists, as many features as asked for, and a random gradient."""
    means2d, conics, depths = jax.jit(jax.vmap(project, (None, 0)))(scene.parameters, scene.cameras)
    colors = jnp.tile(scene.parameters["colors"], (1, -(-channels // 3)))[:, : channels - 1]
    features = jnp.concatenate([jnp.broadcast_to(colors, (*depths.shape, channels - 1)), depths[..., None]], -1)
    opacities = jnp.asarray(scene.parameters["opacities"])[None]
    noise = np.random.default_rng(0).normal(size=(len(depths), 1, 1 + channels, 1)).astype(np.float32)

    @jax.jit
    def prepare() -> tuple[Bins, Any, Any, Any]:
        image = kernels.image
        size = {"width": image.width, "height": image.height, "capacity": image.capacity}
        bins = each(lambda *gaussians: bin_gaussians(*gaussians, **size), means2d, conics, opacities, depths)
        table = each(gaussian_table, means2d, conics, features, opacities)
        blended = kernels.forward(bins, table)
        gradient = noise * jnp.ones_like(blended)
        pixels = gradient.at[:, :, 0].set((blended * gradient).sum(2))
        return bins, table, pixels, kernels.backward(bins, table, pixels)

    bins, table, pixels, rows = prepare()
    return {"forward": (bins, table), "backward": (bins, table, pixels), "sum_rows": (bins, rows)}


def tune_kernel(kernel: str, default: Kernels, arguments: tuple[Any, ...], repeats: int) -> tuple[Launch, list[Any]]:
    """The fastest launch, and the record of all of them, fastest first.

    Raises:
      ValueError: no candidate runs and gives what the default gives.
    """
    record = []
    for launch in candidates(kernel, default.launch):
        run = getattr(Kernels(default.image, launch, default.interpret), kernel)
        row: dict[str, Any] = sizes(kernel, launch)
        try:
            timed = timing.measure(run, *arguments, repeats=repeats)
            row |= {"ms": timed.ms, "p90_ms": timed.p90}
        except Exception as error:  # whatever lowering, compilers and launches raise
            row["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
            print(f"  {kernel} {sizes(kernel, launch)} is skipped: {row['error']}", flush=True)
        record.append(row)
    record.sort(key=lambda row: row.get("ms", np.inf))
    truth = jax.jit(getattr(default, kernel))(*arguments)
    for row in record:
        if "ms" not in row:
            break
        launch = default.launch._replace(**{name: row[name] for name in CANDIDATES[kernel]})
        found = jax.jit(getattr(Kernels(default.image, launch, default.interpret), kernel))(*arguments)
        row["deviation"] = float(jnp.abs(found - truth).max() / jnp.abs(truth).max())
        if row["deviation"] <= TOLERANCE:
            return launch, record
        print(f"  {kernel} {sizes(kernel, launch)} is skipped: off by {row['deviation']:.1e}", flush=True)
    raise ValueError(f"no candidate of {kernel} runs and gives what {sizes(kernel, default.launch)} gives")


def tune(scene: Scene, channels: int, repeats: int, interpret: bool) -> tuple[Launch, dict[str, Any]]:
    """The fastest launch for so many features, and the record of each kernel."""
    image = Image(scene.cameras.width, scene.cameras.height, capacity(scene))
    default = Kernels(image, heuristic_launch(channels), interpret)
    arguments = workload(scene, channels, default)
    winner, record = default.launch, {}
    for kernel in CANDIDATES:
        best, record[kernel] = tune_kernel(kernel, default, arguments[kernel], repeats)
        winner = winner._replace(**sizes(kernel, best))
        print(f"{channels} features, {kernel}: {sizes(kernel, best)}, {record[kernel][0]['ms']:.3f} ms", flush=True)
    return winner, record


def capacity(scene: Scene) -> int:
    """Room for the intersections of every view."""
    size = {"width": scene.cameras.width, "height": scene.cameras.height}
    counts = jax.vmap(lambda *g: count_intersections(*g, **size), (0, 0, None, 0))
    means2d, conics, depths = jax.jit(jax.vmap(project, (None, 0)))(scene.parameters, scene.cameras)
    return bucket(int(counts(means2d, conics, scene.parameters["opacities"], depths).max()))


def print_ranking(channels: list[int]) -> None:
    """Candidates as compiled for an H200, the least demanding first."""
    for number in channels:
        base = heuristic_launch(number)
        for kernel in CANDIDATES:
            launches = candidates(kernel, base)
            rows = registers.resources([(kernel, number, launch) for launch in launches])
            order = sorted(range(len(rows)), key=lambda i: _demand(rows[i]))
            print(f"\n{number} features, {kernel}")
            found = [sizes(kernel, launches[i]) | rows[i] for i in order if "error" not in rows[i]]
            if found:
                print(timing.table(found, dict.fromkeys(found[0], "{}")), flush=True)
            for i in order[len(found) :]:
                print(f"{sizes(kernel, launches[i])} does not compile: {rows[i]['error']}")


def _demand(row: dict[str, Any]) -> tuple[float, ...]:
    return (np.inf,) if "error" in row else (row["spilled"], -row["programs"], row["registers"])


def main(argv: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", default=",".join(map(str, BUCKETS)), help="of these numbers of features")
    parser.add_argument("--width", type=int, default=1920, help="of the scene, px")
    parser.add_argument("--height", type=int, default=None, help="9/16 of the width by default")
    parser.add_argument("--views", type=int, default=1, help="images in one launch")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--out", type=Path, default=None, help="JSON file; the table of this GPU by default")
    parser.add_argument("--compile-only", action="store_true", help="rank candidates without a GPU")
    parser.add_argument("--interpret", action="store_true", help="for tests: run anywhere; times then mean nothing")
    options = parser.parse_args(argv)
    known = {str(number): number for number in BUCKETS}
    asked = options.channels.split(",")
    if not set(asked) <= known.keys():
        timing.fail(f"--channels={options.channels}: tables have rows for {', '.join(known)}")
    channels = [known[number] for number in asked]
    if options.repeats < 1:
        timing.fail(f"--repeats={options.repeats}: give at least 1")
    if options.compile_only:
        print_ranking(channels)
        return
    with timing.one_line_errors():
        backends.choose("pallas_triton_interpreted" if options.interpret else "pallas_triton")
        height = options.height or options.width * 9 // 16
        scene = make_scene("photo_cloud", options.width, height, views=options.views)
        tuned = {str(n): tune(scene, n, options.repeats, options.interpret) for n in channels}
    device, environment = jax.devices()[0].device_kind, timing.environment(MODULE, argv)
    report = {
        **environment,
        "device": device,
        "versions": {**environment["versions"], "platform": jax.devices()[0].client.platform_version},
        "scene": {"name": "photo_cloud", "width": options.width, "height": height, "views": options.views},
        "interpreted": options.interpret,
        "launches": {n: launch._asdict() for n, (launch, _) in tuned.items()},
        "times": {n: record for n, (_, record) in tuned.items()},
    }
    out = options.out or table_file(device)
    timing.save(report, out)
    read_table(out, device)


if __name__ == "__main__":
    main()
