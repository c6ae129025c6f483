"""What a stage trains on: images with their cameras, held on the host and handed out in batches."""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Float

from mom3d_jax.cameras import select
from mom3d_jax.types import Array, Cameras, Frames, Views, pytree


@pytree
class Item:
    """One image to match; leading axis for a batch."""

    camera: Cameras
    frame: Float[Array, "*b"]
    """Frames since the start; 0 for stills."""
    image: Float[Array, "*b h w 3"]
    valid: Float[Array, "*b h w"]
    weight: Float[Array, "*b"]
    """0 for padding."""


@dataclasses.dataclass(frozen=True)
class Pool:
    """Images of some views at some frames."""

    cameras: Cameras
    """One per view."""
    view: np.ndarray
    """[items] index into `cameras` and `valid`."""
    frame: np.ndarray
    """[items] frame of each item."""
    images: np.ndarray
    """[items, h, w, 3]."""
    valid: np.ndarray
    """[views, h, w]."""

    def __len__(self) -> int:
        return len(self.view)

    def batch(self, step: int, size: int, seed: int) -> Item:
        """The batch of one step: a function of (step, size, seed), so that a resumed run sees what it would have.

        Items come in random order without replacement, a new order each epoch.
        """
        epoch, place = np.divmod(step * size + np.arange(size), len(self))
        index = np.zeros(size, int)
        for e in set(epoch.tolist()):
            order = np.random.default_rng([seed, e]).permutation(len(self))
            index[epoch == e] = order[place[epoch == e]]
        return self.items(index)

    def where(self, chosen: Callable[["Pool"], np.ndarray]) -> "Pool":
        """The items for which `chosen(pool)` [items] is true, over the same views."""
        index = np.flatnonzero(chosen(self))
        return dataclasses.replace(self, view=self.view[index], frame=self.frame[index], images=self.images[index])

    def everywhere(self) -> "Pool":
        """The same images with every pixel counted: what nothing covers is black in them, and then the truth."""
        return dataclasses.replace(self, valid=np.ones_like(self.valid))

    def items(self, index: np.ndarray, size: int | None = None) -> Item:
        """The named items, padded to `size` with copies of weight 0."""
        count = len(index)
        index = np.concatenate([index, np.repeat(index[:1], (size or count) - count)])
        return Item(
            camera=select(self.cameras, self.view[index]),
            frame=self.frame[index].astype(np.float32),
            image=self.images[index],
            valid=self.valid[self.view[index]],
            weight=(np.arange(len(index)) < count).astype(np.float32),
        )


def still_pool(views: Views) -> Pool:
    """Every accepted generation view, at frame 0.

    Raises:
      ValueError: no accepted view.
    """
    accepted = np.flatnonzero(np.asarray(views.accepted))
    if len(accepted) == 0:
        raise ValueError("no generation view is covered enough to train on; lower views.min_coverage")
    return Pool(
        cameras=select(views.cameras, accepted),
        view=np.arange(len(accepted)),
        frame=np.zeros(len(accepted), np.int32),
        images=np.asarray(views.images)[accepted],
        valid=np.asarray(views.valid)[accepted],
    )


def video_pool(views: Views, frames: Frames) -> Pool:
    """The sampled views' videos from frame 1 on, and the stills of all accepted views at frame 0 (paper App. E)."""
    stills = still_pool(views)
    sampled, length = np.asarray(frames.images).shape[:2]
    moving = np.asarray(frames.images)[:, 1:]
    cameras = select(views.cameras, np.asarray(frames.views))
    return Pool(
        cameras=jax.tree.map(lambda *a: np.concatenate(a), stills.cameras, cameras),
        view=np.concatenate([stills.view, len(stills) + np.repeat(np.arange(sampled), length - 1)]),
        frame=np.concatenate([stills.frame, np.tile(np.arange(1, length), sampled)]),
        images=np.concatenate([stills.images, moving.reshape(-1, *moving.shape[2:])]),
        valid=np.concatenate([stills.valid, np.asarray(frames.valid)]),
    )
