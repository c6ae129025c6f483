"""What a clip of the fixed centre camera shows: against the exact scene, at its seam, and where it is torn."""

import logging
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float

from mom3d_jax import artifacts, cli, measure, metrics
from mom3d_jax.atomic import replacing
from mom3d_jax.cameras import relative_to
from mom3d_jax.export import to_bytes
from mom3d_jax.inputs import find_files
from mom3d_jax.inputs.images import decode, resize
from mom3d_jax.render import Drawer
from mom3d_jax.synthetic import landscape, render
from mom3d_jax.types import Array, Cameras

log = logging.getLogger("mom3d_jax.benchmarks")

EXACT_EVERY = 3
"""Every which frame is compared with the exact scene."""

Figures = dict[str, float | None]


class Exact(NamedTuple):
    """What the landscape of the input truly does, at working size."""

    frames: np.ndarray
    """[k] frame numbers."""
    images: Float[np.ndarray, "k h w 3"]
    flow: Float[np.ndarray, "h w 2"]
    """px per frame."""


class Clip(NamedTuple):
    """A clip of the fixed centre camera, one picture per frame of the period."""

    images: Float[np.ndarray, "t h w 3"]
    alpha: Float[np.ndarray, "t h w"]
    gaussians: int
    """Drawn in a frame, over all sets."""


def exact_scene(source: Path, seed: int, size: tuple[int, int], frames: int, cache: Path) -> Exact | None:
    """Exact frames of a synthetic input.

    Args:
      source: input folder; a single file, or a folder without `truth/`, is no synthetic landscape.
      seed: of the landscape.
      size: working (width, height) in px.
      frames: T, frames of a period.
      cache: folder for the result.

    Returns:
      The exact scene, or None where the input is not a synthetic landscape. The process ends with one line where the
      input has a `truth/` and is another landscape.
    """
    if not (source / "truth").is_dir():
        return None
    image = find_files(source).image
    key = artifacts.key_of(artifacts.key_of_code(), artifacts.key_of_files([image]), seed, size, frames, EXACT_EVERY)
    file = cache / f"exact_{key}.npz"
    if not file.is_file():
        log.info("rendering the exact frames")
        photo = decode(image, cv2.IMREAD_COLOR)[..., ::-1]
        full = (photo.shape[1], photo.shape[0])
        scene = landscape(seed, *full)
        if not np.array_equal(to_bytes(scene.image)[0], photo):
            cli.fail(f"{image} is not landscape {seed}: say which one it is with --landscape=SEED")
        index = np.arange(EXACT_EVERY, frames, EXACT_EVERY)
        images = [resize(render(scene, scene.camera, frame=float(n)).image, size) for n in index]
        flow = resize(scene.flow, size) * (np.array(size) / full).astype(np.float32)
        with replacing(file) as draft:
            np.savez(draft, frames=index, images=np.stack(images), flow=flow)
    with np.load(file) as opened:
        return Exact(*(opened[name] for name in Exact._fields))


def draw_centre(scene_at: measure.SceneAt, drawer: Drawer, camera: Cameras, frames: int) -> Clip:
    """Draw all frames of a period from one camera, with the opacity of what is shown.

    Unlike `measure.draw`, which reports where anything is reached, alpha is blended as the images are.
    """
    cameras = relative_to(camera, *(np.stack([a] * drawer.batch) for a in (camera.rotation, camera.translation)))
    images, alphas, count = [], [], 0
    for first in range(0, frames, drawer.batch):
        sets, weights = scene_at(np.minimum(np.arange(first, first + drawer.batch), frames - 1))
        views = [drawer(gaussians, cameras) for gaussians in sets]
        shares = [1.0] if len(sets) == 1 else [np.asarray(w)[:, None, None] for w in (weights[0], 1 - weights[0])]
        pairs = [(np.asarray(v.color), np.asarray(v.alpha)) for v in views]
        images.append(sum(np.expand_dims(w, -1) * color for w, (color, _) in zip(shares, pairs, strict=True)))
        alphas.append(sum(w * alpha for w, (_, alpha) in zip(shares, pairs, strict=True)))
        count = int(sum(np.asarray(g.alive)[0].sum() for g in sets))
    return Clip(np.concatenate(images)[:frames], np.concatenate(alphas)[:frames], count)


def seam_ratio(images: Float[np.ndarray, "t h w 3"], moving: Bool[np.ndarray, "h w"]) -> float | None:
    """Change from the last frame to the first over the mean change between frames, in the moving part.

    1 where the clip loops without a jump; None for a clip that does not change.
    """
    values = images[:, moving]
    steps = np.abs(np.diff(values, axis=0)).mean()
    return float(np.abs(values[-1] - values[0]).mean() / steps) if steps > 0 else None


def torn_shares(alpha: Float[np.ndarray, "t h w"], moving: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, " t-1"]:
    """Share of the moving part that one sees through, alpha < 1/2, in each frame after the first."""
    return (alpha[1:] < 0.5)[:, moving].mean(axis=1)


def clip_figures(
    images: Float[np.ndarray, "t h w 3"],
    *,
    mask: Float[Array, "h w"],
    known: Float[Array, "h w"],
    flow: Float[Array, "h w 2"],
    exact: Exact | None,
    crossfade: float,
) -> Figures:
    """What can be said of any clip of the centre camera.

    Args:
      images: the clip, one picture per frame of the period.
      mask: where content moves.
      known: 1 where no content enters from outside the photo.
      flow: the motion asked for, px per frame.
      exact: the truth, or None.
      crossfade: share of the period in which a loop returns to its start and cannot be the exact scene.
    """
    figures: Figures = {
        "motion_epe_px": measure.optical_flow_error(images, flow, mask),
        "seam_ratio": seam_ratio(images, np.asarray(mask) > 0.5),
    }
    if exact is not None:
        weight = np.asarray(mask) * np.asarray(known)
        truth = zip(exact.frames, exact.images, strict=True)
        values = np.array([float(metrics.psnr(images[n], image, weight)) for n, image in truth])
        early = exact.frames <= (1 - crossfade) * len(images)
        figures["exact_psnr_early"] = float(values[early].mean()) if early.any() else None
        figures["exact_psnr"] = float(values.mean())
    return figures
