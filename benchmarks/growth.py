"""How the rasterizer's time and memory grow: with Gaussians, resolution and layers per pixel.

    python -m benchmarks.growth --out growth.json
    python -m benchmarks.growth --quick --out growth.json

Three series, forward and with gradients (to 3D means, scales, quaternions, opacities and colours):

* gaussians: the scene `random` at 1920x1080 with 10,000 to 3,000,000 Gaussians, smaller the more there are, so that the
  layers per pixel stay about the same.
* width: the scene `random` with 147,456 Gaussians at more and more pixels.
* layers: the scene `dense` at 512x288 with Gaussians of different size: as many Gaussians, more of them per pixel.

Layers are pairs of a pixel and a Gaussian with α ≥ 1/255 per pixel, those behind an opaque surface included. What a
place for an intersection adds to the memory of image and gradients is measured once. The plot goes beside the JSON file
unless --png names another place. Large scenes on a small machine take minutes each; `--quick` has three small ones per
series.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import jax
from mom3d_jax.kernels import backends

from benchmarks import timing
from benchmarks.rasterize import bytes_per_intersection, describe, prepare, time_program
from benchmarks.scenes import SIZES, Scene, make_scene
from mom3d_jax.atomic import replacing
from mom3d_jax.export import Curve, Panel, draw_panels

MODULE = "benchmarks.growth"
AXES = {"gaussians": "Gaussians", "width": "width, px (16:9)", "layers": "Gaussians per pixel"}
"""Series -> what its axis says; also the key of a row that is on the axis."""
COLUMNS = {
    "series": "{}",
    "gaussians": "{:,}",
    "width": "{}",
    "height": "{}",
    "layers": "{:.1f}",
    "intersections": "{:,}",
    "forward_ms": "{:,.1f}",
    "forward_backward_ms": "{:,.1f}",
    "peak_bytes": "{:,}",
}


def series(quick: bool, largest: int) -> Iterator[tuple[str, Scene]]:
    """Name of the series and scene, one after the other: the largest ones do not fit in memory together."""
    # 36,864 Gaussians of 1.5 px at 512x288 are the scene `random` as it is; the others cover as much of the picture.
    width, height = (256, 144) if quick else (1920, 1080)
    for number in timing.geometric(300, 3000, 3) if quick else timing.geometric(1e4, 3e6, 7):
        if number <= largest:
            size = SIZES["random"] * (width * height / 4 / number) ** 0.5
            yield "gaussians", make_scene("random", width, height, number, size=size)
    number = min(2000 if quick else 147_456, largest)
    for width in (128, 192, 256) if quick else (256, 512, 1024, 1920, 2560, 3840):
        size = SIZES["random"] * width / (4 * number * 16 / 9) ** 0.5
        yield "width", make_scene("random", width, width * 9 // 16, number, size=size)
    width = 128 if quick else 512
    for size in (2, 4, 6) if quick else (1, 2, 4, 8, 16):
        yield "layers", make_scene("dense", width, width * 9 // 16, size=size)


def panels(rows: list[timing.Row], device: str) -> list[Panel]:
    """One plot per series that has rows."""
    first = f"{rows[0]['backend']} on {device}: more Gaussians"
    titles = {"gaussians": first, "width": "more pixels", "layers": "more layers"}
    drawn = []
    for name, axis in AXES.items():
        own = sorted((row for row in rows if row["series"] == name), key=lambda row: row[name])
        curves = [
            Curve(said, [row[name] for row in own], [row[key] for row in own])
            for key, said in (("forward_backward_ms", "forward and backward"), ("forward_ms", "forward"))
        ]
        if own:
            drawn.append(Panel(titles[name], axis, "ms", curves))
    return drawn


def main(argv: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default=None, help="a rasterizer backend; the best one here by default")
    parser.add_argument("--quick", action="store_true", help="three small scenes per series")
    parser.add_argument("--largest", type=int, default=3_000_000, help="leave out scenes with more Gaussians")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=timing.output_file, default=Path("growth.json"), help="JSON file")
    parser.add_argument("--png", type=timing.output_file, default=None, help="plot; beside the JSON file by default")
    options = parser.parse_args(argv)
    if options.repeats < 1 or options.largest < 1:
        timing.fail(f"--repeats={options.repeats} --largest={options.largest}: give at least 1")
    with timing.one_line_errors():
        backend = backends.choose(options.backend)
    rows: list[timing.Row] = []
    each = 0.0
    for name, scene in series(options.quick, options.largest):
        program, counts = prepare(scene, backend)
        row = {"series": name, "backend": backend, **describe(scene), **counts}
        row["layers"] = row["pairs"] / (row["width"] * row["height"])
        rows.append(row | time_program(program, options.repeats))
        each = each or bytes_per_intersection(program)
        print(timing.table(rows[-1:], COLUMNS).splitlines()[-1], flush=True)
    report = {**timing.environment(MODULE, argv), "bytes_per_intersection": each, "results": rows}
    print(timing.table(rows, COLUMNS))
    print(f"{each:.0f} bytes per intersection")
    png = options.png or options.out.with_suffix(".png")
    with replacing(png) as draft:
        picture = draw_panels(panels(rows, jax.devices()[0].device_kind))
        draft.write_bytes(cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
    print(png)
    timing.save(report, options.out)


if __name__ == "__main__":
    main()
