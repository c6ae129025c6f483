"""All kinds of landscape on one sheet, and how much of their motion optical flow finds.

    python -m mom3d_jax.synthetic.gallery --out docs/images/synthetic.png

The table says for every family what share of the input view moves, how fast on average, and the end-point error of DIS
(OpenCV's PRESET_MEDIUM) over the mean flow, from frame 0 to 1 and from frame 30 to 31 of both truths, where the exact
flow has no occlusion.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from mom3d_jax.synthetic.families import FAMILIES
from mom3d_jax.synthetic.film import Shot
from mom3d_jax.synthetic.scene import SyntheticScene, landscape

COLUMNS, THUMBNAIL = 3, (304, 171)
LABEL = 20
"""px below every picture."""
TIMES = (0, 30)


def found_share(scene: SyntheticScene, loop: bool) -> list[float]:
    """End-point error of DIS over the mean exact flow, where something moves and stays in sight, at `TIMES`."""
    shot = Shot(scene.world, scene.camera)
    match, solver = shot.flow(), cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    known = (scene.mask > 0) & (match.occluded == 0)
    speed = float(np.linalg.norm(match.flow, axis=-1)[known].mean())
    shares = []
    for time in TIMES:
        first, second = (_bytes(shot.picture(float(t), loop)) for t in (time, time + 1))
        before, after = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (first, second))
        error = np.linalg.norm(solver.calc(before, after, np.zeros_like(match.flow)) - match.flow, axis=-1)
        shares.append(float(error[known].mean()) / speed)
    return shares


def row(family: str, scene: SyntheticScene) -> str:
    """A row of the table."""
    moving = scene.mask > 0
    speed = float(np.linalg.norm(scene.flow, axis=-1)[moving].mean())
    shares = [f"{share:.0%}" for loop in (False, True) for share in found_share(scene, loop)]
    return f"| `{family}` | {moving.mean():.0%} | {speed:.2f} | {' | '.join(shares)} |"


def thumbnail(family: str, scene: SyntheticScene) -> UInt8[np.ndarray, "h w 3"]:
    """The photo of a scene with its name below."""
    small = cv2.resize(_bytes(scene.image), THUMBNAIL, interpolation=cv2.INTER_AREA)
    framed = cv2.copyMakeBorder(small, 0, LABEL, 0, 5, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    place = (3, THUMBNAIL[1] + LABEL - 6)
    return cv2.putText(framed, family, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (40, 40, 40), 1, cv2.LINE_AA)


def _bytes(picture: Float[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.round(255 * picture).astype(np.uint8)


def main(words: Sequence[str] | None = None) -> None:
    """Print the table and write the sheet."""
    parser = argparse.ArgumentParser("python -m mom3d_jax.synthetic.gallery")
    parser.add_argument("--out", type=Path, required=True, help="PNG file for the sheet")
    parser.add_argument("--seed", type=int, default=0, help="of all landscapes")
    parser.add_argument("--width", type=int, default=512, help="px, at 16:9")
    asked = parser.parse_args(words)
    pictures = []
    times = " | ".join(f"{truth} {t}-{t + 1}" for truth in ("advected", "periodic") for t in TIMES)
    print(f"| family | moves | px per frame | {times} |\n|---|--:|--:|--:|--:|--:|--:|")
    for family in FAMILIES:
        scene = landscape(asked.seed, asked.width, asked.width * 9 // 16, family)
        print(row(family, scene), flush=True)
        pictures.append(thumbnail(family, scene))
    pictures += [np.full_like(pictures[0], 255)] * (-len(pictures) % COLUMNS)
    lines = [np.hstack(pictures[i : i + COLUMNS]) for i in range(0, len(pictures), COLUMNS)]
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(asked.out), np.vstack(lines)[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
