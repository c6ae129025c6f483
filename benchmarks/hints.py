"""How far the flow that a few arrows suggest is from the true one: across the image, in space, and as they choose.

    python -m benchmarks.hints --out hints.json

Synthetic landscapes with the arrows and polygons of their annotation, once with the true depth and once with that of
the landscape prior. Errors are mean end-point errors over the pixels that truly move, as shares of the mean flow there.
"""

import argparse
import functools
import itertools
import json
import tempfile
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float

from benchmarks import timing
from mom3d_jax.cameras import input_camera
from mom3d_jax.depth import detect_sky, estimate_depth
from mom3d_jax.export import write_png
from mom3d_jax.flow import choose_interpolation, cross_validate, hint_flow, lift_hints, space_flow, width_of
from mom3d_jax.inputs import load_scene
from mom3d_jax.synthetic.annotation import labelme
from mom3d_jax.synthetic.families import FAMILIES
from mom3d_jax.synthetic.scene import landscape
from mom3d_jax.types import Scene

MODULE = "benchmarks.hints"
COLUMNS = {
    "family": "{}",
    "mean_px": "{:.2f}",
    "times": "{}",
    "arrows": "{}",
    "depth": "{}",
    "image": "{:.0%}",
    "space": "{:.0%}",
    "auto": "{:.0%}",
    "chosen": "{}",
}
WAYS = ("image", "space", "auto")
MEANS = {name: COLUMNS[name] for name in ("times", "depth", *WAYS)}


def scene_of(family: str, seed: int, width: int, arrows: int, folder: Path) -> tuple[Scene, dict[str, np.ndarray]]:
    """A landscape as the pipeline reads it, with so many times the usual arrows, and its truth: depth, flow, mask."""
    made = _landscape(seed, width, round(width * 9 / 16), family)
    write_png(folder / "image.png", made.image)
    (folder / "image.json").write_text(json.dumps(labelme(made, seed=seed, times=arrows)))
    truth = {"depth": made.depth.astype(np.float32), "flow": made.flow, "mask": made.mask}
    return load_scene(folder, width, detect_sky=detect_sky), truth


_landscape = functools.cache(landscape)


def rows_of(family: str, scene: Scene, truth: dict[str, np.ndarray]) -> list[timing.Row]:
    """One row with the true depth, one with the prior's."""
    height, width = scene.mask.shape
    camera, sigma, everywhere = input_camera(width, height), width_of(scene, None), np.ones_like(scene.mask)
    moving = truth["mask"] > 0
    mean = float(np.linalg.norm(truth["flow"], axis=-1)[moving].mean())

    def error(flow: Float[jax.Array, "h w 2"]) -> float:
        return float(np.linalg.norm(np.asarray(flow) - truth["flow"], axis=-1)[moving].mean() / mean)

    rows = []
    across = error(hint_flow(scene.hints, everywhere, sigma))
    for name, depth in {"true": truth["depth"], "prior": np.asarray(estimate_depth(scene, camera).z)}.items():
        arrows = lift_hints(scene.hints, scene.mask, depth, camera)
        in_space = error(space_flow(arrows, everywhere, depth, camera, sigma))
        predicted = cross_validate(scene.hints, arrows, camera, sigma)
        chosen = choose_interpolation(predicted)
        found = {"image": across, "space": in_space}
        rows.append(
            {"family": family, "mean_px": mean, "arrows": len(scene.hints.valid), "depth": name, **found}
            | {"auto": found[chosen], "chosen": chosen, "hint_error_px": predicted}
        )
    return rows


def _mean(rows: list[timing.Row], times: int, depth: str) -> timing.Row:
    """Over the families, one error for each way."""
    own = [row for row in rows if row["depth"] == depth and row["times"] == times]
    return {"times": times, "depth": depth, **{way: float(np.mean([r[way] for r in own])) for way in WAYS}}


def main(arguments: list[str] | None = None) -> None:
    """Parse, measure, print, write."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=256, help="of the photos, px (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the scenes (default %(default)s)")
    parser.add_argument("--families", default="all", help="names with commas between them (default %(default)s)")
    parser.add_argument("--arrows", default="1", help="times the usual number, such as 1,4 (default %(default)s)")
    parser.add_argument("--out", type=timing.output_file, help="JSON file for the result")
    options = parser.parse_args(arguments)
    if options.width < 32:
        parser.error(f"--width={options.width} is below 32 px")
    names = list(FAMILIES) if options.families == "all" else options.families.split(",")
    for name in names:
        if name not in FAMILIES:
            parser.error(f"--families: unknown family {name!r}; known: {', '.join(FAMILIES)}")
    times = options.arrows.split(",")
    if not all(word.isdecimal() and int(word) for word in times):
        parser.error(f"--arrows={options.arrows}: whole numbers from 1 up are wanted")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, word in itertools.product(names, times):
            scene, truth = scene_of(name, options.seed, options.width, int(word), Path(folder))
            rows += [{"times": int(word), **row} for row in rows_of(name, scene, truth)]
    print(timing.table(rows, COLUMNS))
    means = [_mean(rows, int(word), depth) for word in times for depth in ("true", "prior")]
    print(timing.table(means, MEANS))
    timing.save({**timing.environment(MODULE, arguments), "rows": rows, "means": means}, options.out)


if __name__ == "__main__":
    main()
