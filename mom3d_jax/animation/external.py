"""Videos that another animator made, in the place of ours."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from mom3d_jax.types import Array, Frames, Views


def from_videos(
    views: Views,
    flow: Float[Array, "s h w 2"],
    view_index: Sequence[int],
    videos: Iterable[Float[Array, "t h w 3"]],
    *,
    frames: int,
) -> tuple[Frames, dict[str, Any]]:
    """Put videos into their views.

    Only the mask changes: I + m (Î - I), so pixels outside it equal the still to the bit, whatever the video shows
    there. Frame 0 is the video's own: networks that encode a picture do not give it back exactly. The frames may be
    compared wherever the view is known.

    Args:
      views: images, masks and validity.
      flow: the projected scene flow of these views, px per frame. The videos may show something else.
      view_index: the view of each video.
      videos: one per view, asked for one after the other.
      frames: T, frames of each video.

    Returns:
      The videos in their views, and a report: `still_l1` [s] (mean absolute difference between frame 0 and the still
      inside the mask), `valid_share` [s] (of the moving pixels).

    Raises:
      ValueError: a video of another length or size, or values that are not finite.
    """
    index = np.asarray(view_index, np.int32)
    size = np.shape(views.masks)[1:]
    images = np.zeros((len(index), frames, *size, 3), np.float32)
    masks = np.asarray(views.masks, np.float32)[index]
    valid = (np.asarray(views.valid)[index] > 0).astype(np.float32)
    still_l1 = []
    for place, (view, video) in enumerate(zip(index, videos, strict=True)):
        if np.shape(video) != images.shape[1:]:
            raise ValueError(f"video of view {view} is {np.shape(video)}, the clip needs {images.shape[1:]}")
        if not np.isfinite(video).all():
            raise ValueError(f"video of view {view} holds values that are not finite")
        still, mask = np.asarray(views.images, np.float32)[view], masks[place][..., None]
        np.add(still, mask * (np.asarray(video, np.float32) - still), out=images[place])
        inside = masks[place] > 0
        difference = np.abs(images[place, 0] - still)[inside]
        still_l1.append(float(difference.mean()) if difference.size else 0.0)
    moving = [np.maximum(m.sum(), 1e-9) for m in masks]
    report = {
        "still_l1": still_l1,
        "valid_share": [float((m * v).sum() / n) for m, v, n in zip(masks, valid, moving, strict=True)],
    }
    return Frames(views=index, images=images, valid=valid, masks=masks, flow=np.asarray(flow, np.float32)), report


def join(first: Frames, second: Frames, order: Sequence[int]) -> Frames:
    """The videos of two sets of views in the order of the views given."""
    place = {int(view): number for number, view in enumerate([*first.views, *second.views])}
    index = np.array([place[view] for view in order], np.int32)
    both = lambda a, b: np.concatenate([np.asarray(a), np.asarray(b)])[index]
    return Frames(
        views=both(first.views, second.views),
        images=both(first.images, second.images),
        valid=both(first.valid, second.valid),
        masks=both(first.masks, second.masks),
        flow=both(first.flow, second.flow),
    )
