"""Everything that the owner gave, read and brought to one working size."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float

from mom3d_jax.cameras.generation import INPUT_VIEW
from mom3d_jax.inputs.depth_files import read_depth
from mom3d_jax.inputs.errors import InputError
from mom3d_jax.inputs.files import find_files
from mom3d_jax.inputs.flow_files import read_flow
from mom3d_jax.inputs.hints import automatic_hints, hints_from_flow, hints_from_strokes
from mom3d_jax.inputs.images import read_mask, read_photo, resize, working_size
from mom3d_jax.inputs.labelme import Annotation, read_labelme
from mom3d_jax.types import Hints, Layout, Scene

SkyDetector = Callable[[Float[np.ndarray, "h w 3"]], Float[np.ndarray, "h w"]]

FLOW_THRESHOLD = 0.1
"""What a flow file moves by more than this share of its mean magnitude moves (the rule of SLR-SFS)."""
LEAST_SKY = 0.05
"""Share of the image from which on a detected sky is worth moving."""
SKYLINE_MARGIN = 0.01
"""Widths between an automatically chosen sky and the skyline, which must not be dragged along."""
LOWER_PART = 1 / 3
MOVES = 0.5
"""A pixel moves where the mask is above this value."""


def load_scene(path: Path, width: int, *, detect_sky: SkyDetector | None = None) -> Scene:
    """Read a scene.

    What moves comes from the first of these that is there: `mask.png`, the `motion*` shapes of the LabelMe file, the
    vectors of the flow file (of the input view, where only single views have one), an automatic choice (the sky
    without a margin at the skyline, or the lower third where no sky is found); in all of them, `still*` shapes do not.
    How it moves, alike: `hint*` strokes, the flow file, an automatic guess (`inputs.hints`); nothing is guessed where
    single views have flow files, so that the others say nothing. Whatever is chosen automatically or corrected is told
    in `Scene.notes`. Videos stay on disk until the animation stage asks for them.

    Args:
      path: an image file or a folder (`inputs.files.find_files` has the names).
      width: wanted width in px, 0 for the photo's own (`inputs.images` has the rule). Masks, depth, flow, strokes and
        their motion follow.
      detect_sky: finds the sky in the photo at working size, for the automatic choice.

    Raises:
      InputError: bad input; one line that names the file, the value and the remedy.
    """
    path = Path(path)
    files = find_files(path)
    photo, notes = read_photo(files.image)
    full = (photo.shape[1], photo.shape[0])
    size = working_size(*full, width)
    image = resize(photo, size)
    annotation = read_labelme(files.annotation, full) if files.annotation else None
    if annotation:
        notes += annotation.notes

    depth = flow = None
    if files.depth:
        depth, more = read_depth(files.depth, full, size)
        notes += more
    if files.flow:
        flow = read_flow(files.flow, full, size)
    view_flows = {str(view): read_flow(file, full, size) for view, file in files.view_flows.items()}
    if files.mask:
        mask, more = read_mask(files.mask, full)
        mask = resize(mask, size)
        notes += more
        if annotation and annotation.shapes["motion"]:
            notes.append(f"{files.mask.name} is used instead of the motion shapes of {annotation.path.name}")
    else:
        mask, more = _motion_mask(annotation, view_flows.get(str(INPUT_VIEW), flow), image, detect_sky)
        notes += more
    if annotation and annotation.shapes["still"]:
        mask = mask * (1 - annotation.region("still", size).max(axis=0))
    if mask.max() <= MOVES:
        culprit = files.mask or files.annotation or files.view_flows.get(INPUT_VIEW, files.flow)
        raise InputError(f"{culprit}: no pixel moves in it at {size[0]}x{size[1]}; mark a larger region")
    hints, more = _hints(annotation, mask, flow, sorted(files.view_flows))
    return Scene(
        image=image,
        mask=mask,
        hints=hints,
        depth=depth,
        flow=flow,
        view_flows=view_flows or None,
        layout=_layout(annotation, size) if annotation else Layout(),
        name=files.name,
        notes=(*notes, *more),
    )


def _motion_mask(
    annotation: Annotation | None,
    flow: Float[np.ndarray, "h w 2"] | None,
    image: Float[np.ndarray, "h w 3"],
    detect_sky: SkyDetector | None,
) -> tuple[Float[np.ndarray, "h w"], list[str]]:
    """What moves, where no mask file says it."""
    height, width = image.shape[:2]
    if annotation and annotation.shapes["motion"]:
        return annotation.region("motion", (width, height)).max(axis=0), []
    if flow is not None:
        speed = np.linalg.norm(flow, axis=-1)
        moves = (speed > FLOW_THRESHOLD * speed.mean()).astype(np.float32)
        return moves, [f"what moves was taken from the flow file ({moves.mean():.0%} of the image)"]
    if annotation:
        found = ", ".join(sorted(set(annotation.labels))) or "none"
        raise InputError(
            f"{annotation.path}: no shape labelled motion*; labels found: {found}; draw a polygon around what moves "
            "and label it motion_0"
        )
    advice = "draw motion polygons and hint lines in LabelMe to decide it yourself"
    sky = detect_sky(image) if detect_sky else np.zeros((height, width), np.float32)
    margin = 2 * max(1, round(SKYLINE_MARGIN * width)) + 1
    # The border of the image is no skyline: erosion sees the sky go on outside.
    moves = cv2.erode(sky, np.ones((margin, margin), np.uint8), borderType=cv2.BORDER_REPLICATE)
    if moves.mean() >= LEAST_SKY:
        return moves, [f"nothing says what moves: the sky was chosen ({moves.mean():.0%} of the image); {advice}"]
    moves = np.zeros((height, width), np.float32)
    moves[round((1 - LOWER_PART) * height) :] = 1
    return moves, [f"nothing says what moves, and no sky was found: the lower third was chosen; {advice}"]


def _hints(
    annotation: Annotation | None,
    mask: Float[np.ndarray, "h w"],
    flow: Float[np.ndarray, "h w 2"] | None,
    views: list[int],
) -> tuple[Hints, list[str]]:
    """How it moves, where no file of a view (`views` have one) says it."""
    height, width = mask.shape
    if annotation and annotation.shapes["hint"]:
        hints = hints_from_strokes(annotation.ends("hint", (width, height)))
        if not np.any(hints.motion):
            raise InputError(
                f"{annotation.path}: no hint line has a length; drag from where content is to where it goes"
            )
        starts = np.minimum(hints.start.astype(int), [width - 1, height - 1])
        off = [s.label for s, (x, y) in zip(annotation.shapes["hint"], starts, strict=True) if mask[y, x] < MOVES]
        return hints, [f"hints that start outside what moves: {', '.join(off)}; they still count"] if off else []
    if flow is not None:
        return hints_from_flow(mask, flow), []
    if views:
        said = f"only views {', '.join(map(str, views))}, which have a file in flow/, say how it moves"
        return hints_from_strokes(np.zeros((0, 2, 2), np.float32)), [f"no hint lines and no flow file: {said}"]
    return automatic_hints(mask), [
        "no hint lines: each region was given a slow motion along its longer side; draw hint lines to change that"
    ]


def _layout(annotation: Annotation, size: tuple[int, int]) -> Layout:
    """The shapes that correct the depth prior."""
    horizons = annotation.ends("horizon", size)
    if len(horizons) > 1:
        raise InputError(f"{annotation.path}: {len(horizons)} horizon lines; keep one")
    if len(horizons) and abs(horizons[0, 1, 0] - horizons[0, 0, 0]) <= abs(horizons[0, 1, 1] - horizons[0, 0, 1]):
        raise InputError(f"{annotation.path}: the horizon line rises by 45° or more; draw it from left to right")
    sky, standing = annotation.region("sky", size), annotation.region("standing", size)
    return Layout(
        horizon=horizons[0] if len(horizons) else None,
        sky=sky.max(axis=0) if len(sky) else None,
        standing=standing if len(standing) else None,
    )
