"""What the contact sheet shows of a run: what went in, what was seen from the generation views, what moves."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mom3d_jax.cameras.generation import INNER, INPUT_VIEW, OUTER
from mom3d_jax.export import Cell, change_picture, depth_picture, flow_picture, mask_overlay, unknown_checkered
from mom3d_jax.types import Depth, Flows, Frames, Scene, Views

SHOWN = 5
"""Frames of each clip on the sheet."""


def spread(length: int) -> np.ndarray:
    """Which frames of a clip are shown: evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, length - 1, SHOWN).astype(int))


def overview(
    scene: Scene,
    depth: Depth,
    views: Views,
    flows: Flows,
    frames: Frames,
    shown: Mapping[str, Mapping[str, np.ndarray]],
    figures: Mapping[str, Any],
) -> list[tuple[str, list[Cell]]]:
    """Rows of the contact sheet.

    Args:
      scene: the photo with its mask and hints.
      depth: its depth.
      views: the generation views.
      flows: their flow.
      frames: the animator's videos.
      shown: by name of the clip, "centre" among them, some `images` [s, h, w, 3] of it and which `frames` [s] they are.
      figures: what earlier stages measured; those of interest are quoted.
    """
    height, width = np.shape(scene.image)[:2]
    centre = np.asarray(shown["centre"]["images"])
    # The first cell, where nothing has changed yet, shows the extent of all later change.
    change = [change_picture(centre.min(axis=0), centre.max(axis=0))] + [
        change_picture(centre[0], f) for f in centre[1:]
    ]
    since = ["over these frames"] + [f"frame {i} against 0" for i in shown["centre"]["frames"][1:]]
    index = spread(frames.images.shape[1])
    rows = [
        (f"{scene.name}, {width} x {height} px at work", _inputs(scene, depth, flows)),
        (_quoted("generation views (chequered: unknown)", VIEWS, figures), _generation_views(views)),
        ("flow of these views", _view_flows(views, flows)),
        (f"animator, generation view {int(frames.views[0])}", _frames(np.asarray(frames.images[0])[index], index)),
        (_quoted("rendered from the input camera", CENTRE, figures), _frames(**shown["centre"])),
        ("change in it (brightest: 0.25 or more)", [Cell(*cell) for cell in zip(change, since, strict=True)]),
    ]
    return rows + [(f"rendered along {name}", _frames(**clip)) for name, clip in shown.items() if name != "centre"]


VIEWS = (
    ("stage1.train_psnr_valid", "static scene {:.1f} dB"),
    ("stage1.train_psnr_valid_min", "worst view {:.1f} dB"),
    ("stage1.heldout_psnr_valid", "unseen views {:.1f} dB"),
)
CENTRE = (
    ("stage2.train_psnr_masked", "{:.1f} dB in the mask of the animator's videos"),
    ("video.motion_epe_px", "motion within {:.2f} px of what was asked for"),
    ("video.motion_epe_px_animator", "animator's within {:.2f} px"),
    ("video.static_share", "{:.0%} never moves"),
)
"""Figures on the sheet, and the words around them."""


def _quoted(label: str, quoted: tuple[tuple[str, str], ...], figures: Mapping[str, Any]) -> str:
    """A label with the figures that there are."""
    words = [label]
    for name, text in quoted:
        stage, _, figure = name.partition(".")
        value = figures.get(stage, {}).get(figure)
        if value is not None:
            words.append(text.format(value))
    return words[0] + (": " + ", ".join(words[1:]) if words[1:] else "")


def _inputs(scene: Scene, depth: Depth, flows: Flows) -> list[Cell]:
    flow, z = np.asarray(flows.flow[INPUT_VIEW]), np.asarray(depth.z)
    moving, hints = np.asarray(scene.mask) > 0.5, int(np.sum(scene.hints.valid))
    return [
        Cell(np.asarray(scene.image), "photo"),
        Cell(mask_overlay(scene.image, scene.mask, scene.hints), f"{moving.mean():.0%} moves, {hints} hints"),
        Cell(depth_picture(z), f"depth {z.min():.2g} to {z.max():.2g} ({depth.source})"),
        Cell(flow_picture(flow), f"flow, up to {_longest(flow):.2f} px per frame"),
    ]


def _generation_views(views: Views) -> list[Cell]:
    cells = []
    for v in _shown_views(views):
        hints = jax.tree.map(lambda a, v=v: np.asarray(a)[v], views.hints)
        picture = mask_overlay(views.images[v], views.masks[v], hints)
        state = "" if views.accepted[v] else ", rejected"
        caption = f"view {v}, {float(views.coverage[v]):.0%} covered{state}"
        cells.append(Cell(unknown_checkered(picture, views.valid[v]), caption))
    return cells


def _view_flows(views: Views, flows: Flows) -> list[Cell]:
    longest = _longest(np.asarray(flows.flow[INPUT_VIEW])) or None
    cells = []
    for v in _shown_views(views):
        flow, used = np.asarray(flows.flow[v]), float(flows.weight[v]) > 0
        caption = f"up to {_longest(flow):.2f} px per frame" if used else "no hint in sight: not used"
        cells.append(Cell(unknown_checkered(flow_picture(flow, longest), views.valid[v]), caption))
    return cells


def _shown_views(views: Views) -> list[int]:
    """The middle view of each outer pose: straight ahead, to the sides, up and down."""
    return list(range(INPUT_VIEW, len(views.images), len(INNER)))[: len(OUTER)]


def _frames(images: np.ndarray, frames: np.ndarray) -> list[Cell]:
    return [Cell(image, f"frame {i}") for image, i in zip(images, frames, strict=True)]


def _longest(flow: np.ndarray) -> float:
    """Length of the longest vector, px per frame."""
    return float(np.nanmax(np.linalg.norm(flow, axis=-1)))
