"""Time gsplat on a scene of `benchmarks.side_by_side`, in a process that knows nothing of JAX or of this project.

    python benchmarks/gsplat_worker.py scene.npz result.json image.npy --repeats 20
    python benchmarks/gsplat_worker.py --probe

The scene holds means [n, 3], scales [n, 3], quaternions [n, 4], opacities [n], colors [n, 3], photo [h, w, 3] and, for
each view, rotation [v, 3, 3], translation [v, 3] and intrinsics [v, 3, 3]. Needs torch and gsplat 1.5 on a CUDA device.
With and without gsplat's packed layout; the faster one counts, forward and with gradients each. `--probe` says what is
there.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

NAMES = ("means", "scales", "quaternions", "opacities", "colors")


def probe() -> dict[str, Any]:
    """Versions and device.

    Raises:
      SystemExit: code 2, with one line that says what is missing.
    """
    try:
        import gsplat
        import torch
    except ImportError as error:
        print(f"{sys.executable} has no {error.name or error}: pip install torch gsplat==1.5.3", file=sys.stderr)
        raise SystemExit(2) from error
    if not torch.cuda.is_available():
        print("torch sees no CUDA device: gsplat needs an NVIDIA GPU", file=sys.stderr)
        raise SystemExit(2)
    versions = {"gsplat": gsplat.__version__, "torch": torch.__version__, "cuda": torch.version.cuda}
    return {"device": torch.cuda.get_device_name(), "versions": versions}


def clock(run: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Median and 90th percentile in ms after warm-up, until the device has finished."""
    import torch

    for _ in range(3):
        run()
    torch.cuda.synchronize()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - begin))
    return float(np.median(times)), float(np.percentile(times, 90))


def measure(scene: dict[str, np.ndarray], repeats: int) -> tuple[dict[str, Any], np.ndarray]:
    """Figures and the images [v, h, w, 3]."""
    import gsplat
    import torch

    arrays = {name: torch.from_numpy(x).cuda() for name, x in scene.items()}
    parameters = [arrays[name].requires_grad_() for name in NAMES]
    means, scales, quaternions, opacities, colors = parameters
    height, width = scene["photo"].shape[:2]
    poses = torch.eye(4, device="cuda").repeat(len(scene["rotation"]), 1, 1)
    poses[:, :3, :3], poses[:, :3, 3] = arrays["rotation"], arrays["translation"]

    def render(packed: bool) -> Any:
        camera = {"viewmats": poses, "Ks": arrays["intrinsics"], "width": width, "height": height}
        kind = {"packed": packed, "rasterize_mode": "classic", "eps2d": 0.3, "near_plane": 0.2}
        return gsplat.rasterization(means, quaternions, scales, opacities, colors, **camera, **kind)[0]

    def forward(packed: bool) -> Any:
        with torch.no_grad():
            return render(packed)

    def gradients(packed: bool) -> Any:
        loss = (render(packed) - arrays["photo"]).abs().mean()
        return torch.autograd.grad(loss, parameters)

    result: dict[str, Any] = {}
    for name, run in (("forward", forward), ("forward_backward", gradients)):
        timed = {packed: clock(lambda run=run, packed=packed: run(packed), repeats) for packed in (False, True)}
        packed = min(timed, key=lambda p: timed[p][0])
        result[f"{name}_ms"], result[f"p90_{name}_ms"] = timed[packed]
        result[f"{name}_packed"] = packed
    # Of the layout that was the faster one with gradients, whose flag is the last one set.
    torch.cuda.reset_peak_memory_stats()
    gradients(packed)
    return {**result, "peak_bytes": torch.cuda.max_memory_allocated()}, forward(packed).cpu().numpy()


def main(argv: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="scene, result and image; none with --probe")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--probe", action="store_true")
    options = parser.parse_args(argv)
    if options.probe:
        print(json.dumps(probe()))
        return
    if len(options.files) != 3:
        parser.error("name scene, result and image")
    probe()
    scene, result, image = options.files
    with np.load(scene) as opened:
        figures, images = measure(dict(opened), options.repeats)
    np.save(image, images)
    with open(result, "w", encoding="utf-8") as file:
        json.dump(figures, file)


if __name__ == "__main__":
    main()
