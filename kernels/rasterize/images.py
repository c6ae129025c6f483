"""Functions of many images at once, and what `vmap` makes of them: one launch instead of one per image.

Arrays have a leading axis of images here, or one of length 1 where all images share them, so that nothing is copied for
the sake of a shape.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_batching import custom_vmap

MAX_ELEMENTS = 2**30
"""Of the largest array of a launch: 4 GiB, up to which addresses, places and sort keys fit 32 bits."""


def together(function: Callable[..., Any], elements: int) -> Callable[..., Any]:
    """A function of one image, of which `vmap`, nested or not, computes all images at once.

    Args:
      function: of arrays with a leading axis of images, to such arrays. What all images share stays shared.
      elements: size of the largest array per image. As many images go together as `MAX_ELEMENTS` allows.
    """

    @custom_vmap
    def of_images(*arrays: Any) -> Any:
        return _in_parts(function, max(MAX_ELEMENTS // elements, 1), arrays)

    @of_images.def_vmap
    def of_more(size: int, batched: list[Any], *arrays: Any) -> tuple[Any, Any]:
        """From `size` times as many images; which arrays have an axis of that length in front is in `batched`."""
        tree = tuple(batched)
        before = jax.tree.map(lambda x, b: jax.ShapeDtypeStruct(x.shape[1:] if b else x.shape, x.dtype), arrays, tree)
        images = count_images(before)
        out = of_images(*jax.tree.map(lambda x, b: _flatten(x, b, size, images), arrays, tree))
        split = jax.tree.map(
            lambda x, y: _unflatten(x, y.shape[0], size, images), out, jax.eval_shape(of_images, *before)
        )
        return split, jax.tree.map(lambda x: x.shape[0] > 1, out)

    def of_one(*arrays: Any) -> Any:
        return jax.tree.map(lambda x: x[0], of_images(*jax.tree.map(lambda x: x[None], arrays)))

    return of_one


def count_images(arrays: Any) -> int:
    """How many images arrays belong to: the longest leading axis of a pytree."""
    return max(x.shape[0] for x in jax.tree.leaves(arrays))


def each(function: Callable[..., Any], *arrays: Any) -> Any:
    """Apply a function of one image to every image; what all of them share is passed to it as it is."""
    images = count_images(arrays)
    if images == 1:
        return jax.tree.map(lambda x: x[None], function(*jax.tree.map(lambda x: x[0], arrays)))
    axes = jax.tree.map(lambda x: 0 if x.shape[0] > 1 else None, arrays)
    return jax.vmap(function, axes)(*jax.tree.map(lambda x: x if x.shape[0] > 1 else x[0], arrays))


def _flatten(x: Array, batched: bool, size: int, images: int) -> Array:
    """Images and a further axis of batches as one axis, unless x is shared over both."""
    if not batched and x.shape[0] == 1:
        return x
    x = x if batched else x[None]
    return jnp.broadcast_to(x, (size, images, *x.shape[2:])).reshape(size * images, *x.shape[2:])


def _unflatten(x: Array, length: int, size: int, images: int) -> Array:
    """Inverse of `_flatten` for an array that has so many images per batch; equal ones where that is one of many."""
    return x if x.shape[0] == 1 else x.reshape(size, images, *x.shape[1:])[:, :length]


def _in_parts(function: Callable[..., Any], most: int, arrays: tuple[Any, ...]) -> Any:
    """Call `function` for at most so many images at a time."""
    images = count_images(arrays)
    if images <= most:
        return function(*arrays)
    parts = [
        function(*jax.tree.map(lambda x: x if x.shape[0] == 1 else x[first : first + most], arrays))  # noqa: B023
        for first in range(0, images, most)
    ]
    whole = jax.eval_shape(function, *arrays)
    return jax.tree.map(lambda x, *p: jnp.concatenate(p) if x.shape[0] > 1 else p[0], whole, *parts)
