"""The contract of every residual; a new one is picked up from the registry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mom3d_jax.deformation.residuals import RESIDUALS, HexPlaneResidual

OPTIONS = {"hexplane": {"resolution": 8, "features": 4, "width": 8, "time_resolution": 5}}
WHERE = np.random.default_rng(0).uniform(-1, 1, (9, 3)).astype(np.float32)


@pytest.fixture(params=sorted(RESIDUALS))
def model(request):
    return RESIDUALS[request.param](**OPTIONS.get(request.param, {}))


def perturbed(model):
    noise = lambda p: p + 0.2 * jax.random.normal(jax.random.key(p.size), p.shape)
    return jax.tree.map(noise, model.init(jax.random.key(1)))


def test_untrained_is_exactly_zero(model):
    delta = jax.jit(model.apply)(model.init(jax.random.key(0)), WHERE, jnp.float32([0.4, -1.0]))
    for part in delta:
        assert part.shape[:2] == (2, len(WHERE))
        np.testing.assert_array_equal(part, 0)


def test_jit_equals_eager_and_times_together_and_vmap_equal_the_loop(model):
    params, times = perturbed(model), jnp.linspace(-1, 1, 5)
    together = jax.jit(model.apply)(params, WHERE, times)
    mapped = jax.jit(jax.vmap(model.apply, in_axes=(None, None, 0)))(params, WHERE, times[:, None])
    for k, t in enumerate(times):
        alone = model.apply(params, WHERE, t[None])
        for a, b, c in zip(together, mapped, alone, strict=True):
            np.testing.assert_allclose(a[k], c[0], rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(b[k], c, rtol=1e-4, atol=1e-6)


def test_gradients_are_finite_and_regularizers_are_scalars(model):
    def loss(params):
        delta = model.apply(params, WHERE, jnp.float32([-0.3]))
        return sum(jnp.sum(d**2) for d in delta) + sum(model.regularize(params).values(), jnp.float32(0))

    gradient = jax.jit(jax.grad(loss))(perturbed(model))
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient))
    assert all(v.shape == () for v in model.regularize(perturbed(model)).values())


def test_hexplane_depends_on_place_and_time():
    model = HexPlaneResidual(**OPTIONS["hexplane"])
    params = perturbed(model)
    a, b = model.apply(params, WHERE, jnp.float32([-0.5, 0.5])).pixels
    assert np.abs(a - b).max() > 1e-3
    assert np.ptp(np.asarray(a), axis=0).min() > 1e-3


def test_hexplane_refuses_unknown_heads():
    with pytest.raises(ValueError, match="unknown HexPlane heads"):
        HexPlaneResidual(heads=("pixels", "taste"))


def test_hexplane_time_lines_equal_the_planes_they_were_cut_from():
    from mom3d_jax.kernels.gridsample import sample_planes

    from mom3d_jax.deformation.residuals.hexplane import _rows_at

    plane = jax.random.normal(jax.random.key(0), (5, 8, 3))
    along, t = jnp.asarray(WHERE[:, 0]), 0.37
    whole = sample_planes(plane[None], jnp.stack([jnp.full_like(along, t), along], axis=-1)[None])[0]
    line = _rows_at(plane, jnp.float32([t]))
    cut = sample_planes(line[:, None], jnp.stack([jnp.zeros_like(along), along], axis=-1)[None])[0]
    np.testing.assert_allclose(cut, whole, rtol=1e-5, atol=1e-6)


def test_hexplane_equals_its_formula_one_point_at_a_time():
    """Six bilinear samples by SciPy, their product and the heads, all in float64."""
    import scipy.ndimage

    from mom3d_jax.deformation.residuals import hexplane

    model, times = HexPlaneResidual(**OPTIONS["hexplane"]), np.float32([-0.7, 0.2])
    params = perturbed(model)
    p = jax.tree.map(np.float64, params)

    def sampled(plane, u, v):
        at = [[(u + 1) / 2 * (plane.shape[0] - 1)], [(v + 1) / 2 * (plane.shape[1] - 1)]]
        return np.array([scipy.ndimage.map_coordinates(c, at, order=1)[0] for c in np.moveaxis(plane, -1, 0)])

    def expected(place, t, head):
        levels = []
        for level in range(len(model.multires)):
            space = [sampled(p[f"space_{level}"][i], *place[list(pair)]) for i, pair in enumerate(hexplane.SPACE_PAIRS)]
            levels.append(np.prod([*space, *(sampled(p[f"time_{level}"][i], t, place[i]) for i in range(3))], axis=0))
        x = np.concatenate(levels)
        for name in ("trunk", f"{head}_hidden"):
            x = np.maximum(x @ p[name]["kernel"] + p[name]["bias"], 0)
        return x @ p[f"{head}_out"]["kernel"] + p[f"{head}_out"]["bias"]

    delta = model.apply(params, WHERE, jnp.asarray(times))
    for head in model.heads:
        truth = [[expected(np.float64(place), t, head) for place in WHERE] for t in times]
        np.testing.assert_allclose(getattr(delta, head), truth, rtol=1e-4, atol=1e-5)


def test_heads_in_blocks_equal_heads_at_once():
    """The CPU's and the accelerator's way, values and gradients, with a last block that is not full."""
    from mom3d_jax.deformation.residuals import hexplane

    params = perturbed(HexPlaneResidual(**OPTIONS["hexplane"]))
    layers = {name: (p["kernel"], p["bias"]) for name, p in params.items() if isinstance(p, dict)}
    features = jax.random.normal(jax.random.key(0), (hexplane.BLOCK + 1, len(layers["trunk"][0])))

    def loss(heads):
        return lambda *x: sum(jnp.sum(out**2) / len(features) for out in heads(*x).values())

    blocked, whole = (
        jax.jit(jax.value_and_grad(loss(heads), argnums=(0, 1)))(layers, features)
        for heads in (hexplane._heads_in_blocks, hexplane._heads)
    )
    for a, b in zip(jax.tree.leaves(blocked), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * float(jnp.abs(b).max()))


def test_released_initialisation_is_not_zero_and_stays_within_its_bounds():
    model = HexPlaneResidual(**OPTIONS["hexplane"], zero_init=False)
    params = model.init(jax.random.key(0))
    delta = model.apply(params, WHERE, jnp.float32([0.0]))
    assert all(np.abs(part).max() > 1e-3 for part in (delta.pixels, delta.log_scales, delta.quaternions))
    last = params["pixels_out"]
    assert np.abs(last["bias"]).max() <= 1 / np.sqrt(8)  # of 8 hidden units
    assert np.abs(last["kernel"]).max() <= np.sqrt(6 / (8 + 3))  # Xavier uniform


def test_smoothness_along_one_axis_is_blind_to_the_other():
    options = OPTIONS["hexplane"]
    wavy = np.random.default_rng(0).normal(size=(1, 8, 1, 1)).astype(np.float32)
    found = {}
    for one_axis in (False, True):
        model = HexPlaneResidual(**options, one_axis=one_axis, multires=(1,))
        params = model.init(jax.random.key(0))
        for name, plane in (("first", wavy), ("second", np.swapaxes(wavy, 1, 2))):
            params["space_0"] = jnp.broadcast_to(plane, params["space_0"].shape)
            found[one_axis, name] = float(model.regularize(params)["plane_smoothness"])
    # The tensors of the released code are [second, first]: its second differences run along the second coordinate.
    assert found[True, "first"] == 0
    assert found[True, "second"] == pytest.approx(found[False, "second"]) == pytest.approx(found[False, "first"])
