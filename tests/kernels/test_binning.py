"""Lists per tile: complete, in order, exactly counted, and honest about what did not fit."""

import functools

import jax
import numpy as np
import pytest
from mom3d_jax.kernels.binning import bin_gaussians as traced_bin_gaussians
from mom3d_jax.kernels.binning import bucket, count, sorting
from mom3d_jax.kernels.binning.op import total
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
    # Counted by Gaussian instead, each intersection has a slot of its own, in the order of the tiles.
    assert bins.counts.sum() == bins.intersections
    slots = np.split(np.asarray(bins.slots)[: len(pairs)], np.cumsum(bins.lengths)[:-1])
    by_gaussian = {i: [] for i in range(len(bins.counts))}
    for have, numbers in zip(listed, slots, strict=True):
        for i, slot in zip(have, numbers, strict=True):
            by_gaussian[i].append(int(slot))
    for i, numbers in by_gaussian.items():
        assert numbers == list(range(int(bins.begins[i]), int(bins.begins[i] + bins.counts[i])))


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


@pytest.mark.parametrize(("tiles", "slots"), [(1, 1), (50, 4000), (7, 300)])
@pytest.mark.parametrize("sort", [sorting.lists_from_pairs, sorting.lists_from_runs, sorting.lists_by_tile])
def test_lists_by_tile(sort, tiles, slots):
    """Empty slots, empty tiles, and runs that do not divide the slots."""
    numbers = np.random.default_rng(1).integers(0, tiles + 1, slots).astype(np.int32)
    numbers[numbers == 3] = 4 if tiles > 4 else 0
    starts, lengths, listed = jax.jit(sort, static_argnums=1)(numbers, tiles)
    order = np.argsort(numbers, kind="stable")
    used = (numbers < tiles).sum()
    np.testing.assert_array_equal(starts, np.searchsorted(numbers[order], np.arange(tiles)))
    np.testing.assert_array_equal(lengths, np.bincount(numbers, minlength=tiles + 1)[:-1])
    np.testing.assert_array_equal(listed, np.where(np.arange(slots) < used, order, 0))


@pytest.mark.parametrize("tiles", [2**16 - 1, 2**16])
def test_lists_on_either_side_of_the_32_bit_limit(tiles):
    """With 2¹⁶ slots per run: tile and place fill 32 bits, and need one more."""
    slots = sorting.RUNS * 2**16
    numbers = np.random.default_rng(2).integers(0, tiles + 1, slots).astype(np.int32)
    numbers[::7] = tiles - 1  # the largest keys of all
    run = functools.partial(sorting.lists_from_runs, count=tiles)
    sorts = str(jax.make_jaxpr(run)(numbers)).count(" sort[")
    assert sorts == sorting.RUNS * (1 if tiles < 2**16 else 2)
    starts, lengths, listed = jax.jit(run)(numbers)
    used = (numbers < tiles).sum()
    np.testing.assert_array_equal(listed[:used], np.argsort(numbers, kind="stable")[:used])
    np.testing.assert_array_equal(lengths, np.bincount(numbers, minlength=tiles + 1)[:-1])
    np.testing.assert_array_equal(starts, np.cumsum(lengths) - lengths)


def test_counts_saturate_instead_of_wrapping_around():
    counts = np.full(70_000, 32_400, np.int32)  # 2.27e9
    assert total(counts) == 2**31 - 1
    assert total(counts[:60_000]) == 60_000 * 32_400


@pytest.mark.parametrize("sort", [sorting.depth_order_packed, sorting.depth_order_pairs, sorting.depth_order])
@pytest.mark.parametrize("spread", [0, 7, 1e-30])
def test_depth_order(sort, spread):
    """Ties by index; of equal depths, of depths a few bits apart, and of depths over the whole range of floats."""
    rng = np.random.default_rng(0)
    depths = np.float32(2) + spread * rng.integers(1, 50, 1000).astype(np.float32)
    if spread == 1e-30:
        depths = np.exp(rng.uniform(-80, 80, 1000)).astype(np.float32)
    np.testing.assert_array_equal(jax.jit(sort)(depths), np.argsort(depths, kind="stable"))


def test_bucket_is_the_next_of_four_steps_per_octave():
    steps = sorted({int(m * 2**k) for m in (1, 1.25, 1.5, 1.75) for k in range(13) if float(m * 2**k).is_integer()})
    for n in range(1, 4000):
        assert bucket(n) == next(s for s in steps if s >= n)
    assert bucket(0) == 1
