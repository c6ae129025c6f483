"""Time the rasterizer from 3D parameters to gradients, binning included.

    python -m benchmarks.rasterize --scene photo_cloud --backend xla --width 512 --out rasterize.json
    python -m benchmarks.rasterize --scene all --backend all --views 4 --width 512

Scenes:

* photo_cloud: one Gaussian per pixel on a landscape's depth (ground plane and sky), seen from a slightly moved camera.
* random: a quarter as many, anywhere in view, of all opacities.
* dense: an eighth as many, large and faint: many layers per pixel, no early end.

`intersections` (of tiles and Gaussians) and `pairs` (of pixels and Gaussians with α ≥ 1/255, counted without early
termination) are sums over the views; the loss is the mean of |image - photo| over all of them. `bytes_per_intersection`
is what one more place for an intersection adds to the memory of image and gradients; the views share these places.
`loop_rate` is the number of evaluations of a pair per second that the bare forward loop of the XLA backend reaches on
this machine in the same run, gathers and lists left out. Memory is what the compiled program asks for on a CPU and the
device's peak elsewhere.
"""

import argparse
from typing import Any

import jax
import jax.numpy as jnp
from mom3d_jax.kernels import Rasterized, backends, bucket, count_intersections, rasterize

from benchmarks import timing
from benchmarks.evaluations import count_pairs, loop_rate
from benchmarks.scenes import SIZES, Parameters, Scene, make_scene, project
from mom3d_jax.cameras import select

MODULE = "benchmarks.rasterize"
FOR_TESTS = ("reference", "pallas_triton_interpreted")
"""Backends that `all` leaves out: they would take hours."""
COLUMNS = {
    "scene": "{}",
    "backend": "{}",
    "views": "{}",
    "width": "{}",
    "height": "{}",
    "gaussians": "{:,}",
    "intersections": "{:,}",
    "pairs": "{:,}",
    "forward_ms": "{:,.1f}",
    "p90_forward_ms": "{:,.1f}",
    "forward_backward_ms": "{:,.1f}",
    "p90_forward_backward_ms": "{:,.1f}",
    "peak_bytes": "{:,}",
    "bytes_per_intersection": "{:.0f}",
}


class Program:
    """A scene drawn by one backend, as functions of its 3D parameters."""

    def __init__(self, scene: Scene, backend: str, capacity: int):
        self.scene, self.backend, self.capacity = scene, backend, capacity

    def render(self, parameters: Parameters) -> Rasterized:
        """All views."""

        def view(camera: Any) -> Rasterized:
            means2d, conics, z = project(parameters, camera)
            appearance = parameters["colors"], parameters["opacities"]
            size = {"width": camera.width, "height": camera.height}
            return rasterize(means2d, conics, *appearance, z, **size, capacity=self.capacity, backend=self.backend)

        return jax.vmap(view)(jax.tree.map(jnp.asarray, self.scene.cameras))

    def loss(self, parameters: Parameters) -> jax.Array:
        """Mean |image - photo|."""
        return jnp.abs(self.render(parameters).color - jnp.asarray(self.scene.photo)[None]).mean()

    def gradients(self, parameters: Parameters) -> tuple[jax.Array, Parameters]:
        """Loss and its gradients."""
        return jax.value_and_grad(self.loss)(parameters)


def prepare(scene: Scene, backend: str) -> tuple[Program, dict[str, int]]:
    """A program with room for every view, and the intersections and pairs of all views together.

    Raises:
      ValueError: an unknown backend.
      NotImplementedError: a backend that cannot run here.
    """
    cameras, opacities = scene.cameras, scene.parameters["opacities"]
    size = {"width": cameras.width, "height": cameras.height}
    intersections, pairs = [], 0
    for v in range(len(cameras.rotation)):
        means2d, conics, z = jax.jit(project)(scene.parameters, select(cameras, v))
        intersections.append(int(count_intersections(means2d, conics, opacities, z, **size)))
        pairs += count_pairs(means2d, conics, opacities, z, **size)
    program = Program(scene, backends.choose(backend), bucket(max(intersections)))
    return program, {"intersections": sum(intersections), "pairs": pairs}


def time_program(program: Program, repeats: int) -> timing.Row:
    """Times and memory, forward and with gradients."""
    forward = timing.measure(program.render, program.scene.parameters, repeats=repeats)
    both = timing.measure(program.gradients, program.scene.parameters, repeats=repeats)
    return {
        "forward_ms": forward.ms,
        "forward_backward_ms": both.ms,
        "p90_forward_ms": forward.p90,
        "p90_forward_backward_ms": both.p90,
        "peak_bytes": both.bytes,
    }


def bytes_per_intersection(program: Program) -> float:
    """What a place for an intersection adds to the memory of image and gradients, from two compiled programs."""

    def planned(room: int) -> int:
        gradients = Program(program.scene, program.backend, room).gradients
        return timing.planned_bytes(jax.jit(gradients).lower(program.scene.parameters).compile())

    return (planned(2 * program.capacity) - planned(program.capacity)) / program.capacity


def describe(scene: Scene) -> timing.Row:
    """Sizes of a scene."""
    sizes = {"width": scene.cameras.width, "height": scene.cameras.height}
    return {"views": len(scene.cameras.rotation), **sizes, "gaussians": len(scene.parameters["opacities"])}


def listed(names: str, all_names: list[str]) -> list[str]:
    """Names of a list with commas; `all` stands for all of them."""
    return all_names if names == "all" else [name.strip() for name in names.split(",")]


def main(argv: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scene", default="photo_cloud", help=f"of {', '.join(SIZES)}, with commas, or all")
    parser.add_argument(
        "--backend", default=None, help="rasterizer backends with commas, or all that are not for tests"
    )
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--height", type=int, default=None, help="9/16 of the width by default")
    parser.add_argument("--gaussians", type=int, default=None, help="for random and dense")
    parser.add_argument("--views", type=int, default=1, help="cameras, vmapped, each moved a little further")
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--out", type=timing.output_file, default=None, help="JSON file")
    options = parser.parse_args(argv)
    height = options.height or options.width * 9 // 16
    if options.repeats < 1:
        timing.fail(f"--repeats={options.repeats}: give at least 1")
    with timing.one_line_errors():
        able = [name for name in backends.available() if name not in FOR_TESTS]
        chosen = [backends.choose(name) for name in listed(options.backend or able[0], able)]
        size = {"width": options.width, "height": height, "gaussians": options.gaussians, "views": options.views}
        scenes = {name: make_scene(name, **size) for name in listed(options.scene, list(SIZES))}
    rows = []
    for name, scene in scenes.items():
        for backend in chosen:
            program, counts = prepare(scene, backend)
            row = {"scene": name, "backend": backend, **describe(scene), **counts}
            row |= time_program(program, options.repeats)
            rows.append({**row, "bytes_per_intersection": bytes_per_intersection(program)})
    report = {**timing.environment(MODULE, argv), "loop_rate": loop_rate(options.repeats), "results": rows}
    print(timing.table(rows, COLUMNS))
    print(f"loop_rate: {report['loop_rate']:.3g} evaluations per second on {report['device']}")
    timing.save(report, options.out)


if __name__ == "__main__":
    main()
