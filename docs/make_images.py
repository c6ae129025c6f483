"""The pictures of the documentation, from a finished run of the bundled scene.

    python train.py --config=configs/demo.py --config.size.width=400 --workdir=out/docs
    python docs/make_images.py --workdir=out/docs

Writes into `docs/images/` (or --out) and prints the size of each file:

* `demo.gif`       a small circle of the camera over one period, under the field `loop` whatever the run's own field
* `scene.jpg`      photo; mask and hints
* `depth.jpg`      the prior's depth beside the exact depth of the generator, in one scale of colours
* `views.jpg`      the middle view of each outer pose with mask and hints; pixels that no point covers are chequered
* `flow.jpg`       flow of three views in one scale, and the key to its colours
* `animation.jpg`  four frames of the animator, what changed in them, and the fitted scene from the same view
"""

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

import cv2
import jax
import numpy as np
from jaxtyping import Float
from scipy.stats import spearmanr

from mom3d_jax import artifacts, measure, training
from mom3d_jax.cameras import INPUT_VIEW, path_cameras, relative_to, select
from mom3d_jax.export import (
    Cell,
    change_picture,
    colour_key,
    compose,
    depth_picture,
    flow_picture,
    mask_overlay,
    read_scene,
    to_bytes,
    unknown_checkered,
)
from mom3d_jax.export.video import ffmpeg
from mom3d_jax.render import Drawer
from mom3d_jax.types import Array, Cameras, Scene

Picture = Float[np.ndarray, "h w 3"]

IMAGES = Path(__file__).resolve().parent / "images"
CELL = 320
"""Width of one picture on a sheet of two, px."""
SMALL = 240
"""The same on a sheet of three or four."""
QUALITY = 88
"""Of JPEG."""
SHOWN_VIEWS = (2, 7, 12, 0, 17, 22)
GIF_FPS, GIF_COLOURS = 20, 192
CIRCLE = 0.35
"""Share of the evaluation path `circle` that the GIF follows: less of the unknown comes into sight."""


class Run:
    """The results of a work folder, whatever settings they were made with."""

    def __init__(self, workdir: Path):
        """Open a finished run.

        Raises:
          SystemExit: the folder holds no finished run of the bundled scene.
        """
        truth = sorted(workdir.glob("input/*/*/truth/depth.npy"))
        if not (workdir / "metrics.json").is_file() or not truth:
            raise SystemExit(f"{workdir}: no finished run of the bundled scene; make one as the head of this file says")
        self.workdir = workdir
        self.exact_depth = np.load(truth[-1])
        self.figures = json.loads((workdir / "metrics.json").read_text())
        self.dynamic = read_scene(workdir / "scene.4dgs.npz")

    def load(self, stage: str) -> Any:
        """What a stage left behind."""
        (file,) = (self.workdir / "artifacts").glob(f"*_{stage}.npz")
        return artifacts.load(file)

    def draw(self, cameras: Cameras, frames: Array, field: str) -> list[measure.Picture]:
        """The fitted scene under a field, from one camera per frame."""
        scene = self.dynamic
        at = measure.moving(scene.gaussians, scene.dynamics, scene.residual, field)
        drawer = Drawer(training.make_mesh(1), self.figures["stage2"]["intersections_capacity"])
        return list(measure.draw(at, drawer, cameras, frames))


def scene_sheet(run: Run) -> Picture:
    """Photo, mask and hints."""
    scene: Scene = run.load("scene")
    marked = mask_overlay(scene.image, scene.mask, scene.hints)
    cells = [Cell(np.asarray(scene.image), "photo"), Cell(marked, "mask (red), hints: motion over 50 frames")]
    return compose([("what comes in", cells)], CELL, 2)


def depth_sheet(run: Run) -> Picture:
    """Guessed and exact depth, both scaled to a 1st percentile of 1."""
    depth = run.load("depth")
    guessed, sky = np.asarray(depth.z), np.asarray(depth.sky) > 0
    exact = cv2.resize(run.exact_depth, guessed.shape[::-1], interpolation=cv2.INTER_NEAREST)
    exact = exact / np.percentile(exact, 1)
    rank = float(spearmanr(guessed[~sky], exact[~sky]).statistic)
    print(f"Spearman correlation of guessed and exact depth outside the sky: {rank:.3f}")
    cells = [
        Cell(depth_picture(z, near=1.0, far=30.0), caption)
        for z, caption in ((guessed, f"guessed by the prior (rank correlation {rank:.3f})"), (exact, "exact"))
    ]
    return compose([("depth, near red, far blue", cells)], CELL, 2)


def views_sheet(run: Run) -> Picture:
    """Some generation views with mask and hints; what no point covers is chequered."""
    views = run.load("views")
    cells = []
    for v in SHOWN_VIEWS:
        hints = jax.tree.map(lambda a, v=v: np.asarray(a)[v], views.hints)
        picture = mask_overlay(views.images[v], views.masks[v], hints)
        caption = f"view {v}, {float(views.coverage[v]):.0%} covered"
        cells.append(Cell(unknown_checkered(picture, views.valid[v]), caption))
    return compose([("generation views; chequered: unknown, never ground truth", cells)], SMALL, 3)


def flow_sheet(run: Run) -> Picture:
    """Flow of the input view and of the two views beside it, and the key."""
    flows, views = run.load("flow"), run.load("views")
    shown = (INPUT_VIEW, 7, 12)
    length = np.linalg.norm(np.asarray(flows.flow)[list(shown)], axis=-1)
    longest = float(np.percentile(length[length > 0], 99))
    cells = [
        Cell(unknown_checkered(flow_picture(np.asarray(flows.flow)[v], longest), views.valid[v]), f"view {v}")
        for v in shown
    ]
    key = colour_key(*np.shape(flows.flow)[1:3], longest)
    return compose([("flow", [*cells, Cell(key, f"key: the rim is {longest:.2f} px per frame")])], SMALL, 4)


def animation_sheet(run: Run) -> Picture:
    """The animator's clip of the first sampled view, and the fitted scene from the same place."""
    frames, views = run.load("animation"), run.load("views")
    video = np.asarray(frames.images)[0]
    index = np.linspace(0, len(video) - 1, 4).astype(int)
    camera = select(views.cameras, int(np.asarray(frames.views)[0]))
    cameras = relative_to(camera, *(np.repeat(a[None], len(index), 0) for a in (camera.rotation, camera.translation)))
    drawn = [picture.color for picture in run.draw(cameras, index, run.dynamic.field)]
    rows = {
        "animator": list(video[index]),
        "change since frame 0 (brightest: 0.25 or more)": [change_picture(video[0], video[i]) for i in index],
        "fitted scene, same view": drawn,
    }
    named = [(label, [Cell(p, f"frame {i}") for p, i in zip(row, index, strict=True)]) for label, row in rows.items()]
    return compose(named, SMALL, 4)


def write_gif(path: Path, run: Run) -> None:
    """One period of the `loop` field from a camera on a small circle, cropped to what is covered (but for specks)."""
    period = run.dynamic.frames
    circle = path_cameras(run.dynamic.camera, "circle", period)
    cameras = relative_to(run.dynamic.camera, circle.rotation, CIRCLE * np.asarray(circle.translation))
    pictures = run.draw(cameras, np.arange(period), "loop")
    covered = np.stack([picture.alpha for picture in pictures]).min(axis=0) > 0.5
    height, width = covered.shape
    # A little more, since Gaussians fade out at the border of what they cover.
    margin = 2 + next(m for m in range(height // 2) if covered[_inner(height, width, m)].mean() > 0.999)
    clip = np.stack([to_bytes(picture.color[_inner(height, width, margin)])[0] for picture in pictures])
    size = f"{clip.shape[2]}x{clip.shape[1]}"
    command = [ffmpeg(), "-y", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(GIF_FPS)]
    palette = f"split[a][b];[a]palettegen=max_colors={GIF_COLOURS}[p];[b][p]paletteuse=dither=bayer:bayer_scale=4"
    command += ["-i", "-", "-filter_complex", palette, "-loop", "0", "-f", "gif", str(path)]
    subprocess.run(command, input=clip.tobytes(), check=True)
    print(f"{path.name}: {period} frames of {size} px, {margin} rows cropped at top and bottom")


def _inner(height: int, width: int, margin: int) -> tuple[slice, slice]:
    """The image without a margin, at about the same aspect."""
    aside = round(margin * width / height)
    return slice(margin, height - margin), slice(aside, width - aside)


SHEETS = {
    "scene.jpg": scene_sheet,
    "depth.jpg": depth_sheet,
    "views.jpg": views_sheet,
    "flow.jpg": flow_sheet,
    "animation.jpg": animation_sheet,
}


def main() -> None:
    """Write all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True, help="folder of a finished run")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder to write to")
    options = parser.parse_args()
    run = Run(options.workdir)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, sheet in SHEETS.items():
        picture, _ = to_bytes(sheet(run))
        _, code = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        (options.out / name).write_bytes(code.tobytes())
    write_gif(options.out / "demo.gif", run)
    for file in sorted(options.out.iterdir()):
        print(f"{file.stat().st_size / 1024:8.0f} kB  {file}")


if __name__ == "__main__":
    main()
