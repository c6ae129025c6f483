"""The truth of a scene as files: exact frames, flow and occlusion along the paths, for both kinds of motion."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float

from mom3d_jax.atomic import replacing
from mom3d_jax.cameras import select
from mom3d_jax.synthetic.correspondence import Match
from mom3d_jax.synthetic.film import Shot
from mom3d_jax.synthetic.paths import INPUT, cameras_of
from mom3d_jax.synthetic.scene import SyntheticScene

TRUTHS = {"advected": False, "periodic": True}
"""Name of a truth, and whether it loops."""
FLOW_TOLERANCE = 0.01
"""Largest error of flow in half precision, px; where it would be larger, single precision is kept."""
COMPRESSION = 1
"""Of PNG files: 1 is the fastest."""


def write_truth(
    folder: Path, scene: SyntheticScene, paths: tuple[str, ...], truths: tuple[str, ...], frames: int
) -> Iterator[int]:
    """Write frames, flows and cameras into `folder`, one folder per truth and path; the layout is in docs/synthetic.md.

    Args:
      folder: `truth/` of the scene.
      scene: what to render.
      paths: names of the paths, "input" among them.
      truths: keys of `TRUTHS`.
      frames: per path; frame k is camera k at time k.

    Yields:
      1 for every view that is finished.

    Raises:
      OSError: something cannot be written; the message names it.
      FloatingPointError: a flow that is not finite.
    """
    cameras = {name: cameras_of(scene, name, frames) for name in paths}
    matches: dict[str, list[Match]] = {name: [] for name in paths}
    fixed = Shot(scene.world, scene.camera)
    # One frame after the other, all views of it together: the paint of the periodic truth is made once per frame.
    for k in range(frames):
        for name in paths:
            shot = fixed if name == INPUT else Shot(scene.world, select(cameras[name], k))
            for truth in truths:
                write_picture(folder / truth / name / f"{k:06d}.png", shot.picture(float(k), TRUTHS[truth]))
            if k < frames - 1:
                # What a fixed camera sees does not depend on time.
                matches[name].append(matches[name][0] if name == INPUT and k else shot.flow(1.0))
            yield 1
    for name in paths:
        first = folder / truths[0] / name / "flow.npz"
        write_flow(first, matches[name])
        for other in truths[1:]:
            link(first, folder / other / name / "flow.npz")
    content = {
        name: {
            "rotation": np.asarray(c.rotation, np.float64).tolist(),
            "translation": np.asarray(c.translation, np.float64).tolist(),
            "focal": np.asarray(c.focal, np.float64)[0].tolist(),
            "centre": np.asarray(c.centre, np.float64)[0].tolist(),
        }
        for name, c in cameras.items()
    }
    write_json(folder / "cameras.json", content)


def write_picture(path: Path, picture: Float[np.ndarray, "h w 3"]) -> None:
    """An 8-bit PNG of display colours in [0, 1]."""
    values = np.round(255 * picture[..., ::-1]).astype(np.uint8)
    _, code = cv2.imencode(".png", values, [cv2.IMWRITE_PNG_COMPRESSION, COMPRESSION])
    with replacing(path) as draft:
        draft.write_bytes(code.tobytes())


def write_flow(path: Path, matches: list[Match]) -> None:
    """`flow` [K-1,h,w,2], px per frame, and `occlusion` [K-1,h,w] of a path.

    Raises:
      FloatingPointError: a flow that is not finite.
    """
    flow = np.stack([match.flow for match in matches])
    occluded = np.stack([match.occluded for match in matches]).astype(np.uint8)
    if not np.isfinite(flow).all():
        raise FloatingPointError(f"{path}: a flow that is not finite; the camera has passed through a surface")
    with np.errstate(over="ignore"):
        half = flow.astype(np.float16)
    close = bool((np.abs(half.astype(np.float32) - flow) < FLOW_TOLERANCE).all())
    with replacing(path) as draft:
        np.savez_compressed(draft, flow=half if close else flow, occlusion=occluded)


def write_json(path: Path, content: object) -> None:
    """A JSON file, whole or not at all."""
    with replacing(path) as draft:
        draft.write_text(json.dumps(content, indent=1) + "\n")


def link(source: Path, target: Path) -> None:
    """The same file under a second name; a copy where the file system has no such thing."""
    with replacing(target) as draft:
        try:
            os.link(source, draft)
        except OSError:
            shutil.copyfile(source, draft)
