"""Fields: which copies of the movable Gaussians exist at frame n of a period of T frames.

A *set* holds three copies: one in front, one 1 % farther away that fills the holes which the motion of the first opens,
and a backdrop 10 % farther away that does not move, for what neither has: content that comes in from outside the photo.
A field returns one or two complete sets with the weights of their images:

* `fill`       one set: forward n frames in front, backward T - n frames behind. Does not loop; exports as it is.
* `loop`       `fill`, blended over the last `crossfade` share of the period into the mirrored set (backward in front,
               forward behind), as C_b + w (C_f - C_b): frame T is frame 0, and pixels equal in both sets stay equal.
* `one_sided`  forward n frames and nothing behind, as released: tears the scene open where content moves away.

Where the motion of a copy in front tears it apart, it sinks: content that covers up to `torn[0]` times its area stays
in front, at `torn[1]` times it has gone behind the rear copy. Otherwise the gaps between its pixels would show as dots.
Torn content grows with the area that it covers, so that nothing opens even where both copies are torn.

Frame 0 is the static scene exactly: the other copies fade with a ramp that is 0 where the front copy has not moved.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from mom3d_jax.types import Array

RAMP = 4.0
"""Frames over which the copies behind and the residual come in."""


class Copy(NamedTuple):
    """One copy of the movable Gaussians."""

    forward: bool
    """Moved n frames along the motion, or T - n frames against it."""
    rear: bool
    """Whether it lies 1 % farther away."""
    opacity: Float[Array, ""] | None
    """Factor on its opacity, None for 1."""
    sinks: bool
    """Whether it goes behind the rear copy where its motion tears it apart."""
    rests: bool = False
    """Whether it is the backdrop: the still Gaussians 10 % farther away, whatever else is said of it."""


class CopySet(NamedTuple):
    """The copies of one complete set, the one in front first, and the weight of its image."""

    copies: tuple[Copy, ...]
    weight: Float[Array, ""] | None
    """None for a field that has one set only."""


def ramp(elapsed: Float[Array, ""], frames: float = RAMP) -> Float[jax.Array, ""]:
    """0 at zero elapsed frames, 1 from `frames` frames on; 1 everywhere where `frames` is 0."""
    return jnp.minimum(jnp.abs(elapsed) / frames, 1.0) if frames else jnp.ones_like(elapsed)


def wholeness(spread: Float[Array, "*n"], torn: tuple[float, float]) -> Float[jax.Array, "*n"]:
    """1 for content that covers up to `torn[0]` times its area, falling to 0 at `torn[1]` times."""
    return jnp.clip((torn[1] - spread) / (torn[1] - torn[0]), 0.0, 1.0)


def _backdrop(opacity: Float[jax.Array, ""]) -> Copy:
    return Copy(True, True, opacity, False, rests=True)


def fill(frame: Float[Array, ""], period: int, crossfade: float) -> tuple[CopySet, ...]:
    """Forward in front, backward behind. Takes no `period` and no `crossfade`."""
    del period, crossfade
    front, rear = Copy(True, False, None, True), Copy(False, True, ramp(frame), False)
    return (CopySet((front, rear, _backdrop(ramp(frame))), None),)


def loop(frame: Float[Array, ""], period: int, crossfade: float) -> tuple[CopySet, ...]:
    """`fill`, blended into its mirror image at the end of the period; `frame` runs from 0 to `period` inclusive."""
    weight = jnp.clip((period - frame) / (crossfade * period), 0.0, 1.0)
    (ahead,) = fill(frame, period, crossfade)
    back = ramp(period - frame)
    mirrored = (Copy(False, False, None, True), Copy(True, True, back, False), _backdrop(back))
    return ahead._replace(weight=weight), CopySet(mirrored, 1 - weight)


def one_sided(frame: Float[Array, ""], period: int, crossfade: float) -> tuple[CopySet, ...]:
    """Forward only. Takes no arguments."""
    del frame, period, crossfade
    return (CopySet((Copy(True, False, None, False),), None),)


FIELDS: dict[str, Callable[[Float[Array, ""], int, float], tuple[CopySet, ...]]] = {
    "fill": fill,
    "loop": loop,
    "one_sided": one_sided,
}


def blend(images: list[Float[Array, "*shape"]], weights: list[Float[Array, ""] | None]) -> Float[jax.Array, "*shape"]:
    """The image of a field from the images of its sets.

    Equal pixels stay equal to the bit, and so does the whole image where one of the two weights is 0.
    """
    if len(images) == 1:
        return jnp.asarray(images[0])
    front, back, w = jnp.asarray(images[0]), jnp.asarray(images[1]), jnp.asarray(weights[0])
    return jnp.where(w >= 1, front, back + w * (front - back))
