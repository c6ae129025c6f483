"""Bilinear planes against SciPy, the JAX reference and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from mom3d_jax.kernels import sample_planes
from mom3d_jax.kernels.gridsample import op, reference


def gradients(sample, planes, coords, grad):
    return jax.jit(lambda *x: jax.vjp(sample, *x[:2])[1](x[2]))(planes, coords, grad)


def inputs(p=3, a=5, b=7, c=4, n=60, seed=0):
    rng = np.random.default_rng(seed)
    planes = rng.normal(size=(p, a, b, c)).astype(np.float32)
    coords = rng.uniform(-1.4, 1.4, (p, n, 2)).astype(np.float32)
    grad = rng.normal(size=(p, n, c)).astype(np.float32)
    return planes, coords, grad


@pytest.mark.parametrize(("a", "b"), [(5, 7), (2, 2), (1, 6), (6, 1), (1, 1)])
def test_values_against_scipy(a, b):
    planes, coords, _ = inputs(a=a, b=b)
    out = sample_planes(planes, coords)
    places = (np.float64(coords) + 1) / 2 * (np.array([a, b]) - 1)
    for p in range(3):
        for c in range(4):
            truth = scipy.ndimage.map_coordinates(np.float64(planes[p, :, :, c]), places[p].T, order=1, mode="nearest")
            np.testing.assert_allclose(out[p, :, c], truth, atol=3e-6)


def test_nodes_and_borders():
    planes = np.arange(12, dtype=np.float32).reshape(1, 3, 4, 1)
    coords = np.float32([[[-1, -1], [-1, 1], [1, -1], [1, 1], [0, -1], [-5, 9], [0, 0]]])
    np.testing.assert_allclose(sample_planes(planes, coords)[0, :, 0], [0, 3, 8, 11, 4, 3, 5.5])


@pytest.mark.parametrize(("a", "b", "n"), [(5, 7, 60), (1, 6, 20), (4, 3, op.BLOCK + 1)])
def test_gradients_against_reference(a, b, n):
    planes, coords, grad = inputs(a=a, b=b, n=n)
    (dp, dc), (tp, tc) = (gradients(f, planes, coords, grad) for f in (sample_planes, reference.sample_planes))
    np.testing.assert_allclose(dp, tp, atol=2e-6 * float(jnp.abs(tp).max()))
    np.testing.assert_allclose(dc, tc, atol=5e-6 * max(float(jnp.abs(tc).max()), 1))


def test_gradients_against_finite_differences():
    """Bilinear in float64 through SciPy; points keep clear of the nodes, where the slope jumps."""
    planes, coords, grad = inputs(p=1, a=4, b=3, c=2, n=8)
    coords = np.clip(coords, -0.9, 0.9)
    _, dc = gradients(sample_planes, planes, coords, grad)

    def loss(coords):
        places = ((coords + 1) / 2 * (np.array([4, 3]) - 1))[0].T
        sampled = [scipy.ndimage.map_coordinates(np.float64(planes[0, :, :, c]), places, order=1) for c in range(2)]
        return (np.stack(sampled, -1) * grad[0]).sum()

    for at in np.ndindex(coords.shape):
        delta = np.zeros(coords.shape)
        delta[at] = 1e-6
        numeric = (loss(coords + delta) - loss(coords - delta)) / 2e-6
        np.testing.assert_allclose(dc[at], numeric, atol=1e-4)


def test_sorted_and_blocked_sums_agree():
    """The accelerator's and the CPU's way to the same gradient."""
    planes, coords, grad = map(jnp.asarray, inputs(n=100))
    points = op._locate(coords, *planes.shape[1:3])
    a, b = (jax.jit(f)(planes, points, grad.reshape(-1, 4)) for f in (op._sum_sorted, op._sum_in_blocks))
    np.testing.assert_allclose(a[0], b[0], atol=1e-5)
    np.testing.assert_allclose(a[1], b[1], atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 7), (1, 6), (6, 1), (1, 1)])
def test_whole_and_blocked_features_agree(shape):
    """The accelerator's and the CPU's way to the same values, with a last block that is not full."""
    planes, coords, _ = map(jnp.asarray, inputs(a=shape[0], b=shape[1], n=op.BLOCK // 3 + 1))
    points = op._locate(coords, *shape)
    blocked, whole = (jax.jit(f)(planes, points) for f in (op._mix_in_blocks, op._mix))
    np.testing.assert_allclose(blocked, whole, rtol=1e-5, atol=1e-6)


def test_vmap_equals_loop_and_jit_equals_eager():
    planes, _, _ = inputs()
    coords = np.stack([inputs(seed=s)[1] for s in range(3)])

    def loss(planes, coords):
        return jnp.square(sample_planes(planes, coords)).sum()

    both = jax.value_and_grad(loss, argnums=(0, 1))
    mapped = jax.jit(jax.vmap(both, in_axes=(None, 0)))(planes, coords)
    looped = [both(planes, c) for c in coords]
    for i, one in enumerate(looped):
        for x, y in zip(jax.tree.leaves(mapped), jax.tree.leaves(one), strict=True):
            np.testing.assert_allclose(x[i], y, rtol=1e-5, atol=1e-5 * float(jnp.abs(y).max()))


def test_broken_coordinates_stay_by_themselves():
    planes, coords, grad = inputs()
    bad = coords.copy()
    bad[0, 3], bad[1, 0, 1], bad[2, 9, 0] = np.nan, np.nan, np.nan
    rows = np.isnan(bad).any(-1)
    out, good = sample_planes(planes, bad), sample_planes(planes, coords)
    np.testing.assert_array_equal(np.isnan(out).all(-1), rows)
    np.testing.assert_array_equal(out[~rows], good[~rows])
    dp, dc = gradients(sample_planes, planes, bad, grad)
    truth, _ = gradients(sample_planes, planes, coords, np.where(rows[..., None], np.float32(0), grad))
    np.testing.assert_allclose(dp, truth, atol=1e-6)
    assert np.isfinite(dc).all()
    assert not np.isnan(sample_planes(planes, np.full_like(coords, np.inf))).any()


def test_no_points():
    planes, coords, grad = inputs(n=0)
    dp, dc = gradients(sample_planes, planes, coords, grad)
    assert not dp.any()
    assert dc.shape == coords.shape


def test_bad_input_is_named():
    planes, coords, _ = inputs()
    with pytest.raises(ValueError, match="coords has shape"):
        sample_planes(planes, coords[..., :1])
    with pytest.raises(ValueError, match="no nodes"):
        sample_planes(planes[:, :0], coords)
