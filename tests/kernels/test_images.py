"""Many images in one launch: `vmap` shares what is shared, splits what is too large, and sorts once."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mom3d_jax.kernels.binning import sorting
from mom3d_jax.kernels.rasterize import images

SHAPES = {"a": (3,), "b": (), "c": (2, 2)}


def of_one(a, b, c):
    """What the functions below mean for one image."""
    return {"mixed": a * b + c.sum(), "of a": 2 * a, "of c": c.T}


def of_images(a, b, c):
    """Of which two results are shared wherever their argument is."""
    mixed = images.each(lambda *x: of_one(*x)["mixed"], a, b, c)
    return {"mixed": mixed, "of a": 2 * a, "of c": jnp.swapaxes(c, 1, 2)}


@pytest.mark.parametrize("limit", [2**30, 20])
@pytest.mark.parametrize("inner", list(itertools.product([0, None], repeat=3))[:-1])
@pytest.mark.parametrize("outer", [(0, 0, 0), (0, None, None), (None, 0, None), (None, None, 0), None])
def test_nested_vmap_is_the_loop(outer, inner, limit, monkeypatch):
    """For every way to share arguments, with all images together and two at a time."""
    monkeypatch.setattr(images, "MAX_ELEMENTS", limit)
    rng = np.random.default_rng(0)
    arrays = []
    for k, shape in enumerate(SHAPES.values()):
        batches = [3] * (inner[k] == 0)
        batches = [2] * (outer is not None and outer[k] == 0) + batches
        arrays.append(rng.normal(size=(*batches, *shape)).astype(np.float32))

    def mapped(f):
        f = jax.vmap(f, inner)
        return f if outer is None else jax.vmap(f, outer)

    found, truth = mapped(images.together(of_images, elements=10))(*arrays), mapped(of_one)(*arrays)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6), found, truth)


def test_as_few_launches_as_fit(monkeypatch):
    monkeypatch.setattr(images, "MAX_ELEMENTS", 29)
    launched = []

    def function(x):
        # Traced for its shapes alone, a function launches nothing.
        return jax.pure_callback(lambda x: launched.append(len(x)) or x, x, x)

    x = jnp.arange(5.0)
    np.testing.assert_array_equal(jax.vmap(images.together(function, elements=10))(x), x)
    assert launched == [2, 2, 1]


@pytest.mark.parametrize("batch", [(), (4,), (2, 3)])
def test_sorts_of_pairs_take_all_images_at_once(batch, equations):
    """Also with broken tiles in one image, which must not reach another."""
    rng = np.random.default_rng(1)
    n, count = 50, 7
    depths = rng.choice(np.float32([0.5, 1, 2, 1e-30, 3e30]), (*batch, n))
    tiles = rng.integers(0, count + 1, (*batch, n)).astype(np.int32)
    if batch:
        tiles[(0,) * len(batch)] = rng.integers(-1000, 1000, n)
    order, lists = sorting.depth_order_pairs, lambda t: sorting.lists_from_pairs(t, count)
    for _ in batch:
        order, lists = jax.vmap(order), jax.vmap(lists)
    sorts = equations(order, depths, name="sort") + equations(lists, tiles, name="sort")
    assert [len(sort.invars[0].aval.shape) for sort in sorts] == [1] * (3 if batch else 2)
    np.testing.assert_array_equal(order(depths), np.argsort(depths, axis=-1, kind="stable"))
    starts, lengths, slots = (np.asarray(x) for x in lists(tiles))
    for image in np.ndindex(*batch):
        if batch and not any(image):
            continue
        expected = np.argsort(tiles[image], kind="stable")
        used = (tiles[image] < count).sum()
        np.testing.assert_array_equal(slots[image], np.where(np.arange(n) < used, expected, 0))
        np.testing.assert_array_equal(lengths[image], np.bincount(tiles[image], minlength=count + 1)[:-1])
        np.testing.assert_array_equal(starts[image], np.cumsum(lengths[image]) - lengths[image])
