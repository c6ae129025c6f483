"""The built-in animator: a still and its flow become a video, without any network.

The time rule is that of the dynamic Gaussians, so that these videos can supervise them. With D⁺ₖ and D⁻ₖ the
displacements after k frames along the flow and against it, frame n of a period of T frames shows two copies of the
moving content,

    forward p + D⁺ₙ(p),    backward p + D⁻_{T-n}(p):

* `fill`: the forward copy, and the backward copy where the first leaves the image open.
* `loop`: `fill`, blended over the last `crossfade` share of the period into its mirror image (backward in front) as
  C_b + w (C_f - C_b); frame T is frame 0.

Where the motion of the copy in front tears it apart it fades, so that the copy behind shows instead of dots and
stripes.

Source of the symmetric Eulerian splat: Holynski et al., CVPR 2021, §5; the copies here are layers instead of a blend.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from mom3d_jax.animation.splatting import HOLE, Layer, Sources, fill_holes, over, splat
from mom3d_jax.animation.trajectories import Trajectories, advect, spread
from mom3d_jax.cameras import pixel_grid
from mom3d_jax.types import Array, Frames, Views

RULES = ("fill", "loop")
"""The time rules."""
BUCKET = 4096
"""The number of moving pixels is padded to a multiple of this."""


class _Still(NamedTuple):
    """One view at rest, and the pixels of it that move (row-major, padded with -1)."""

    image: Float[Array, "h w 3"]
    mask: Float[Array, "h w"]
    valid: Bool[Array, "h w"]
    log_depth: Float[Array, "h w"]
    moving: Bool[Array, "h w"]
    sources: Int[Array, " m"]


def animate(
    views: Views,
    flow: Float[Array, "s h w 2"],
    view_index: Sequence[int],
    *,
    frames: int,
    crossfade: float = 0.5,
    torn: tuple[float, float] = (1.25, 2.0),
    rule: str = "fill",
) -> tuple[Frames, dict[str, Any]]:
    """Videos of some views.

    Only the mask changes: I + m (Î - I), and pixels that no moving content has left or reached equal the still to the
    bit. Content that reaches the border of the mask stops there, as the flow does. What neither copy covers is filled
    from coarser scales. `Frames.valid` leaves out pixels whose content may come from outside what the view knows: those
    from which the flow, followed back over the period (and forth over the crossfade of a loop), leaves the valid area
    or the image. The still knows nothing of what enters there.

    Args:
      views: images, masks, depths and validity.
      flow: the flow to show, px per frame, one per animated view.
      view_index: the animated views.
      frames: T, frames of a period; frame i is at t = i / T.
      crossfade: share of the period over which `loop` blends, in (0, 1].
      torn: a copy in front that covers up to `torn[0]` times its area is whole, from `torn[1]` times on it leaves its
        place to the copy behind.
      rule: "fill" or "loop".

    Returns:
      The videos, frame 0 being the still, and a report: `hole_share` [s][t] (filled pixels over moving ones),
      `valid_share` [s] (of the moving pixels).

    Raises:
      ValueError: an unknown rule, a crossfade outside (0, 1], `torn` that is not
        1 <= torn[0] < torn[1], no frames, flows that do not fit the views or hold NaN.
    """
    flow, index = np.asarray(flow, np.float32), np.asarray(view_index, np.int32)
    _check(views, flow, index, frames, crossfade, rule)
    if not 1 <= torn[0] < torn[1]:
        raise ValueError(f"torn={torn} is not two rising multiples of an area, from 1 on")
    stills = [_still(views, v, f) for v, f in zip(index, flow, strict=True)]
    # Rounded up, so that views and scenes of one size share a compilation.
    longest = -(-max((int(s.moving.sum()) for s in stills), default=0) // BUCKET) * BUCKET
    images, holes, valid = [], [], []
    for still, f in zip(stills, flow, strict=True):
        padded = still._replace(sources=_rows(np.asarray(still.moving), longest))
        video, hole, known = _animate(padded, f, frames, crossfade, torn, rule == "loop")
        images.append(np.asarray(video))
        holes.append(np.asarray(hole))
        valid.append(np.asarray(known))
    shape = np.shape(views.masks)[1:]
    result = Frames(
        views=index,
        images=np.stack(images) if images else np.zeros((0, frames, *shape, 3), np.float32),
        valid=np.stack(valid).astype(np.float32) if valid else np.zeros((0, *shape), np.float32),
        masks=np.asarray(views.masks, np.float32)[index],
        flow=flow,
    )
    moving = [max(int(s.moving.sum()), 1) for s in stills]
    report = {
        "hole_share": [[float(x) for x in h / m] for h, m in zip(holes, moving, strict=True)],
        "valid_share": [float(k[s.moving].sum() / m) for k, s, m in zip(valid, stills, moving, strict=True)],
    }
    return result, report


def _check(views: Views, flow: np.ndarray, index: np.ndarray, frames: int, crossfade: float, rule: str) -> None:
    if rule not in RULES:
        raise ValueError(f"unknown animation rule {rule!r}; known: {', '.join(RULES)}")
    if not 0 < crossfade <= 1:
        raise ValueError(f"crossfade {crossfade} is not in (0, 1]")
    if frames < 1:
        raise ValueError(f"an animation needs at least one frame, not {frames}")
    count, *size = np.shape(views.masks)
    if flow.shape != (len(index), *size, 2):
        raise ValueError(f"flow of shape {flow.shape} for {len(index)} views of {size[1]}x{size[0]} px")
    if len(index) and not (index.min() >= 0 and index.max() < count):
        raise ValueError(f"views {index.tolist()} to animate, but there are only 0…{count - 1}")
    if not np.isfinite(flow).all():
        raise ValueError(f"flow to animate holds {int((~np.isfinite(flow)).sum())} values that are not finite")


def _still(views: Views, v: int, flow: np.ndarray) -> _Still:
    depth, mask = np.asarray(views.depth)[v], np.asarray(views.masks, np.float32)[v]
    valid = (np.asarray(views.valid)[v] > 0) & (depth > 0)
    moving = valid & (mask > 0) & (flow != 0).any(axis=-1)
    log_depth = np.log(np.where(valid, depth, 1)).astype(np.float32)
    return _Still(np.asarray(views.images, np.float32)[v], mask, valid, log_depth, moving, np.zeros(0, np.int32))


def _rows(moving: np.ndarray, length: int) -> np.ndarray:
    rows = np.flatnonzero(moving)
    return np.concatenate([rows, np.full(length - len(rows), -1)]).astype(np.int32)


@partial(jax.jit, static_argnames=("frames", "loop"))
def _animate(
    still: _Still, flow: Float[Array, "h w 2"], frames: int, crossfade: float, torn: tuple[float, float], loop: bool
) -> tuple[Float[jax.Array, "t h w 3"], Float[jax.Array, " t"], Bool[jax.Array, "h w"]]:
    """The frames of one view, hole pixels of each, and where they may be compared."""
    height, width = still.mask.shape
    grid = jnp.asarray(pixel_grid(width, height)).reshape(-1, 2)
    rows = jnp.maximum(still.sources, 0)
    everywhere = jnp.ones_like(still.valid)
    forward, backward = (advect(sign * flow, grid[rows], everywhere, frames) for sign in (1, -1))
    rests = still.valid & ~still.moving
    image, mask = jnp.asarray(still.image), jnp.asarray(still.mask)
    inside = mask > 0

    def copy(path: Trajectories, k: jax.Array) -> Layer:
        alive = path.alive[k] & (still.sources >= 0)
        area = spread(path.position[k], still.sources, width, height)
        whole = jnp.clip((torn[1] - area) / (torn[1] - torn[0]), 0, 1)
        sources = Sources(path.position[k], image.reshape(-1, 3)[rows], still.log_depth.ravel()[rows], alive, whole)
        return splat(sources, image, still.log_depth, rests)

    def complete(front: Layer, back: Layer) -> tuple[jax.Array, jax.Array, jax.Array]:
        both = over(front, back)
        known = jnp.where(both.cover > HOLE, both.cover, 0)
        # Moving content continues into holes rather than what lies beside the mask.
        trust = jnp.where(inside, known, jnp.where(still.valid, 1e-3, 0))
        filled = fill_holes(both.color, trust)
        color = jnp.where((known > 0)[..., None], both.color, filled)
        return color, both.touched, jnp.logical_and(still.moving, known == 0)

    def frame(n: jax.Array) -> tuple[jax.Array, jax.Array]:
        ahead, behind = copy(forward, n), copy(backward, frames - n)
        color, touched, hole = complete(ahead, behind)
        if loop:
            mirrored, _, hole_too = complete(behind, ahead)
            w = jnp.clip((frames - n).astype(jnp.float32) / (crossfade * frames), 0, 1)
            color, hole = mirrored + w * (color - mirrored), hole | hole_too
        changed = inside & (touched | still.moving) & (n % frames != 0)
        mixed = image + mask[..., None] * (color - image)
        return jnp.where(changed[..., None], mixed, image), (hole & changed).sum(dtype=jnp.float32)

    video, holes = jax.lax.map(frame, jnp.arange(frames, dtype=jnp.int32))
    known = advect(-flow, grid, still.valid, frames).alive[-1]
    if loop:
        later = advect(flow, grid, still.valid, frames).alive
        known &= later[jnp.ceil(crossfade * frames).astype(jnp.int32)]
    return video, holes, jnp.logical_and(known.reshape(height, width), still.valid)
