"""Our rasterizer beside gsplat, on one machine with an NVIDIA GPU, in one call.

    python -m benchmarks.side_by_side --out side_by_side.json
    python -m benchmarks.side_by_side --gsplat-python=/path/to/torch/bin/python --out side_by_side.json

Needs JAX for CUDA here, and a Python with torch and gsplat 1.5.3: the same one, or another one that is named. Scenes of
`benchmarks.scenes`: `random` with 1 and 3 million Gaussians and `photo_cloud`, 1920x1080 each, and 25 views of
`photo_cloud` at 512x288. Each library runs in a process of its own, one after the other, and times the way from 3D
parameters to the image (forward) and to the gradients of means, scales, quaternions, opacities and colours for the loss
mean |image - photo| (forward_backward): medians after warm-up, until the device has finished. A `speed-up` is gsplat's
time over ours. Where two pictures differ (PSNR below 40 dB) nothing is compared, and the exit code is 1.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from benchmarks import timing
from benchmarks.jax_worker import save_scene
from benchmarks.rasterize import describe, listed
from benchmarks.scenes import make_scene

MODULE = "benchmarks.side_by_side"
CASES: dict[str, dict[str, Any]] = {
    "random_1m": {"name": "random", "width": 1920, "height": 1080, "gaussians": 1_000_000},
    "random_3m": {"name": "random", "width": 1920, "height": 1080, "gaussians": 3_000_000},
    "photo_cloud": {"name": "photo_cloud", "width": 1920, "height": 1080},
    "views": {"name": "photo_cloud", "width": 512, "height": 288, "views": 25},
    "tiny": {"name": "random", "width": 48, "height": 32, "gaussians": 200, "views": 2},
}
"""`tiny` shows that everything works; it is not part of `all`."""
MIN_PSNR = 40
"""dB. The cap of alpha and the early end differ a little between the libraries; anything else is a mistake."""
BACKENDS = "pallas_triton,xla"
COLUMNS = {
    "case": "{}",
    "gaussians": "{:,}",
    "library": "{}",
    "forward_ms": "{:,.2f}",
    "p90_forward_ms": "{:,.2f}",
    "forward_backward_ms": "{:,.2f}",
    "p90_forward_backward_ms": "{:,.2f}",
    "peak_bytes": "{:,}",
    "psnr": "{:.1f}",
    "forward_speedup": "{:.2f}",
    "forward_backward_speedup": "{:.2f}",
}


def ask(command: list[str]) -> Any:
    """What a worker prints as JSON; where it cannot run here, its last line ends this process with code 2."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        timing.fail(f"cannot run {command[0]}: {error.strerror}; name a Python with --gsplat-python")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"{command[0]} ended with code {done.returncode}"]
        timing.fail(lines[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])


def psnr(image: Float[np.ndarray, "v h w 3"], other: Float[np.ndarray, "v h w 3"]) -> float:
    """In dB, for values in [0, 1]; 200 for equal images."""
    return float(-10 * np.log10(max(np.mean((image.astype(np.float64) - other) ** 2), 1e-20)))


def work(command: list[str], scene: Path, repeats: int) -> tuple[timing.Row, np.ndarray]:
    """Figures and image of one library.

    Raises:
      RuntimeError: the worker failed, with the end of what it said.
    """
    result, image = scene.with_name("result.json"), scene.with_name("image.npy")
    files = [str(path) for path in (scene, result, image)]
    done = subprocess.run([*command, *files, f"--repeats={repeats}"], stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(result.read_text()), np.load(image)


def compare(case: str, workers: dict[str, list[str]], repeats: int) -> list[timing.Row]:
    """Rows of one case, gsplat's first.

    Raises:
      RuntimeError: a worker failed, or a picture differs from gsplat's.
    """
    made = make_scene(**CASES[case])
    rows: list[timing.Row] = []
    truth, first = np.empty(0), {}
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "scene.npz"
        save_scene(made, scene)
        for library, command in workers.items():
            row, image = work(command, scene, repeats)
            if not rows:
                truth, first = image, row
            alike = psnr(image, truth)
            if not alike > MIN_PSNR:
                raise RuntimeError(
                    f"{case}: the picture of {library} differs from that of {next(iter(workers))}: "
                    f"PSNR {alike:.1f} dB, at least {MIN_PSNR} dB expected; nothing is compared"
                )
            ratios = {f"{k}_speedup": first[f"{k}_ms"] / row[f"{k}_ms"] for k in ("forward", "forward_backward")}
            rows.append({"case": case, "library": library, **describe(made), **row, "psnr": alike, **ratios})
    return rows


def main(argv: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="all", help=f"of {', '.join(CASES)}, with commas; all leaves out tiny")
    parser.add_argument("--backends", default=BACKENDS, help=f"ours, with commas; {BACKENDS} by default")
    parser.add_argument("--gsplat-python", default=sys.executable, help="Python with torch and gsplat; this one")
    parser.add_argument("--repeats", type=int, default=30, help="at least 20 for figures to publish")
    parser.add_argument("--out", type=timing.output_file, default=None, help="JSON file")
    options = parser.parse_args(argv)
    cases = listed(options.cases, [name for name in CASES if name != "tiny"])
    if unknown := set(cases) - set(CASES):
        timing.fail(f"unknown case {min(unknown)!r}; known: {', '.join(CASES)}")
    if options.repeats < 1:
        timing.fail(f"--repeats={options.repeats}: give at least 1")
    gsplat = [options.gsplat_python, str(Path(__file__).with_name("gsplat_worker.py"))]
    ours = {
        name: [sys.executable, "-m", "benchmarks.jax_worker", f"--backend={name}"]
        for name in options.backends.split(",")
    }
    environment = {"gsplat": ask([*gsplat, "--probe"])}
    environment |= {name: ask([*command, "--probe"]) for name, command in ours.items()}
    try:
        rows = [row for case in cases for row in compare(case, {"gsplat": gsplat, **ours}, options.repeats)]
    except RuntimeError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from error
    print(timing.table(rows, COLUMNS))
    said = {"command": timing.command(MODULE, argv)}
    timing.save({**said, "environment": environment, "repeats": options.repeats, "results": rows}, options.out)


if __name__ == "__main__":
    main()
