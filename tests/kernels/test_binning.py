"""Lists per tile: complete, in order, exactly counted, and honest about what did not fit."""

import functools

import jax
import numpy as np
import pytest
from mom3d_jax.kernels.binning import bin_gaussians as traced_bin_gaussians
from mom3d_jax.kernels.binning import bucket, count
from mom3d_jax.kernels.binning.op import depth_order, sort_packed, sort_pairs, total
from mom3d_jax.kernels.binning.reference import needed_gaussians

bin_gaussians = jax.jit(traced_bin_gaussians, static_argnames=("width", "height", "tile", "capacity"))
GEOMETRY = ("means2d", "conics", "opacities", "depths")


def lists(bins):
    gaussians = np.asarray(bins.gaussians)
    return [list(gaussians[s : s + n]) for s, n in zip(bins.starts, bins.lengths, strict=True)]


def exact_boxes(means2d, conics, opacities, depths, *, width, height, tile, slack):
    """(tile y, tile x, Gaussian) of the pixel centres in the bounding boxes of {α ≥ 1/255}, in float64."""
    pairs = set()
    for i in np.flatnonzero(opacities >= 1 / 255):
        a, b, c = np.float64(conics[i])
        sigma = np.linalg.inv([[a, b], [b, c]])
        half = np.sqrt(2 * np.log(255 * np.float64(opacities[i])) * np.diag(sigma)) + slack
        inside = [
            [k // tile for k in range(n) if abs(k + 0.5 - np.float64(means2d[i, axis])) <= half[axis]]
            for axis, n in enumerate((width, height))
        ]
        pairs |= {(y, x, i) for x in inside[0] for y in inside[1]}
    return pairs


@pytest.mark.parametrize(("width", "height", "tile", "scale"), [(37, 29, 8, 2.0), (64, 16, 16, 0.3), (5, 50, 8, 20.0)])
def test_lists_are_complete_tight_and_ordered(width, height, tile, scale, scene):
    gaussians = [scene(200, width, height, scale=scale)[k] for k in GEOMETRY]
    size = {"width": width, "height": height, "tile": tile}
    bins = bin_gaussians(*gaussians, **size, capacity=8192)
    listed = lists(bins)
    columns = -(-width // tile)
    # Complete: whatever a pixel needs is there.
    for have, need in zip(listed, needed_gaussians(*gaussians, **size), strict=True):
        assert set(need) <= set(have)
    # Tight: no more than the bounding boxes, but for the slack against rounding.
    pairs = {(t // columns, t % columns, i) for t, have in enumerate(listed) for i in have}
    assert exact_boxes(*gaussians, **size, slack=0.0) <= pairs <= exact_boxes(*gaussians, **size, slack=0.02 * scale)
    # In order, each once, and exactly counted.
    for have in listed:
        assert have == sorted(have, key=lambda i: (gaussians[3][i], i))
        assert len(have) == len(set(have))
    assert bins.intersections == bins.lengths.sum() == len(pairs) == count(*gaussians[:3], **size)


def test_capacity_exactly_met_and_exceeded_by_one(scene):
    gaussians = [scene(100, 37, 29)[k] for k in GEOMETRY]
    size = {"width": 37, "height": 29}
    needed = int(count(*gaussians[:3], **size))
    roomy = bin_gaussians(*gaussians, **size, capacity=needed + 100)
    met = bin_gaussians(*gaussians, **size, capacity=needed)
    assert lists(met) == lists(roomy)
    exceeded = bin_gaussians(*gaussians, **size, capacity=needed - 1)
    assert exceeded.intersections == needed
    assert exceeded.lengths.sum() == needed - 1


def test_everything_on_one_tile():
    n = 500
    means = np.full((n, 2), 4.0, np.float32)
    conics = np.tile(np.float32([[10, 0, 10]]), (n, 1))
    depths = np.linspace(2, 1, n, dtype=np.float32)
    bins = bin_gaussians(means, conics, np.ones(n, np.float32), depths, width=64, height=64, capacity=n)
    np.testing.assert_array_equal(bins.gaussians, np.arange(n)[::-1])
    np.testing.assert_array_equal(bins.lengths, [n] + [0] * 63)


@pytest.mark.parametrize("n", [65534, 65536])
def test_order_on_either_side_of_the_32_bit_limit(n):
    """65536 tiles and room for one more: 65534 Gaussians are the most whose keys fit into one number."""
    rng = np.random.default_rng(0)
    means, conics = rng.uniform(0, 2048, (n, 2)).astype(np.float32), np.tile(np.float32([[1, 0, 1]]), (n, 1))
    means[::3] = 2044.0  # on the last tile, whose keys are the largest
    depths, opacities = rng.uniform(1, 2, n).astype(np.float32), np.zeros(n, np.float32)
    opacities[rng.choice(n, 3000, replace=False)] = 1
    opacities[-1] = 1
    run = jax.jit(functools.partial(traced_bin_gaussians, width=2048, height=2048, capacity=60_000))
    assert ("num_keys=2" in str(jax.make_jaxpr(run)(means, conics, opacities, depths))) == (n == 65536)
    bins = run(means, conics, opacities, depths)
    assert 3000 < bins.intersections <= 60_000
    for tile in (256 * 256 - 1, 256 * 128 + 77, 5):
        start, length = int(bins.starts[tile]), int(bins.lengths[tile])
        listed = np.asarray(bins.gaussians[start : start + length])
        np.testing.assert_array_equal(listed, listed[np.argsort(depths[listed], kind="stable")])
    last = np.asarray(bins.gaussians[int(bins.starts[-1]) : int(bins.intersections)])
    assert set(np.flatnonzero((opacities > 0) & (means == 2044).all(1))) <= set(last.tolist())
    assert int(bins.lengths.sum()) == bins.intersections


def test_both_sorts_agree():
    rng = np.random.default_rng(1)
    tiles, ranks = rng.integers(0, 50, 4000).astype(np.uint32), rng.permutation(4000).astype(np.uint32)
    packed, pairs = (sort(tiles, ranks, 50, 4000) for sort in (sort_packed, sort_pairs))
    order = np.lexsort((ranks, tiles))
    for edges, in_order in (packed, pairs):
        np.testing.assert_array_equal(edges, np.searchsorted(tiles[order], np.arange(51)))
        np.testing.assert_array_equal(in_order, ranks[order])


def test_counts_saturate_instead_of_wrapping_around():
    counts = np.full(70_000, 32_400, np.int32)  # 2.27e9
    assert total(counts) == 2**31 - 1
    assert total(counts[:60_000]) == 60_000 * 32_400


def test_depth_order_is_stable():
    depths = np.random.default_rng(0).integers(1, 50, 1000).astype(np.float32) / 7
    order, rank = depth_order(depths)
    np.testing.assert_array_equal(order, np.argsort(depths, kind="stable"))
    np.testing.assert_array_equal(np.asarray(order)[np.asarray(rank)], np.arange(1000))


def test_bucket_is_the_next_of_four_steps_per_octave():
    steps = sorted({int(m * 2**k) for m in (1, 1.25, 1.5, 1.75) for k in range(13) if float(m * 2**k).is_integer()})
    for n in range(1, 4000):
        assert bucket(n) == next(s for s in steps if s >= n)
    assert bucket(0) == 1
