"""Time our rasterizer on a scene of `benchmarks.side_by_side`, in a process of its own.

    python -m benchmarks.jax_worker scene.npz result.json image.npy --backend pallas_triton --repeats 20
    python -m benchmarks.jax_worker --probe --backend pallas_triton

The files are those of `benchmarks/gsplat_worker.py`.
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np
from mom3d_jax.kernels import backends

from benchmarks import timing
from benchmarks.rasterize import prepare, time_program
from benchmarks.scenes import Scene
from mom3d_jax.types import Cameras

PARAMETERS = ("means", "scales", "quaternions", "opacities", "colors")


def save_scene(scene: Scene, file: Path) -> None:
    """Write a scene for the workers."""
    cameras = scene.cameras
    intrinsics = np.zeros((len(cameras.rotation), 3, 3), np.float32)
    intrinsics[:, 0, 0], intrinsics[:, 1, 1] = np.asarray(cameras.focal).T
    intrinsics[:, :2, 2], intrinsics[:, 2, 2] = cameras.centre, 1
    poses = {"rotation": cameras.rotation, "translation": cameras.translation, "intrinsics": intrinsics}
    np.savez(file, **scene.parameters, **poses, photo=scene.photo)


def load_scene(file: Path) -> Scene:
    """Inverse of `save_scene`."""
    with np.load(file) as opened:
        arrays = dict(opened)
    height, width = arrays["photo"].shape[:2]
    K = arrays["intrinsics"]
    pose = arrays["rotation"], arrays["translation"]
    cameras = Cameras(*pose, np.stack([K[:, 0, 0], K[:, 1, 1]], -1), K[:, :2, 2], width=width, height=height)
    return Scene({name: arrays[name] for name in PARAMETERS}, cameras, arrays["photo"])


def main(argv: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="scene, result and image; none with --probe")
    parser.add_argument("--backend", required=True)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--probe", action="store_true")
    options = parser.parse_args(argv)
    with timing.one_line_errors():
        backend = backends.choose(options.backend)
    if options.probe:
        print(json.dumps(timing.environment("benchmarks.jax_worker", argv)))
        return
    if len(options.files) != 3:
        parser.error("name scene, result and image")
    file, result, image = options.files
    scene = load_scene(file)
    program, counts = prepare(scene, backend)
    result.write_text(json.dumps({**counts, **time_program(program, options.repeats)}))
    np.save(image, jax.jit(program.render)(scene.parameters).color)


if __name__ == "__main__":
    main()
