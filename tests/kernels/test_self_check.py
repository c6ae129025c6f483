"""The check at the start of a run: that its truth is true, its scene hard, and that it sees what is wrong."""

import importlib
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mom3d_jax.kernels import backends, rasterize, self_check
from mom3d_jax.kernels.rasterize.dense_float64 import Inputs, Outputs, image_and_gradients

# The package has a function of that name.
module = importlib.import_module("mom3d_jax.kernels.rasterize.self_check")


def by_autodiff(inputs, gradient):
    """What JAX makes of the reference."""
    height, width = gradient.alpha.shape

    @jax.jit
    def value_and_gradients(inputs, gradient):
        def render(inputs):
            out = rasterize(**inputs._asdict(), width=width, height=height, capacity=1, backend="reference")
            return Outputs(out.color, out.alpha, out.depth)

        image, pull_back = jax.vjp(render, inputs)
        return image, pull_back(gradient)[0]

    return value_and_gradients(inputs, gradient)


def test_numpy_truth_equals_the_reference_and_its_autodiff(scene):
    """A deep scene: capped α, ended pixels, ties in depth, odd size."""
    width, height = 17, 11
    gaussians = scene(120, width, height, seed=5)
    gaussians["opacities"] = gaussians["opacities"] ** 0.3
    inputs = Inputs(**gaussians, background=np.float32([0.2, 0.5, 0.7]))
    rng = np.random.default_rng(6)
    gradient = Outputs(*(rng.normal(size=(height, width, *c)).astype(np.float32) for c in ((3,), (), ())))
    for ours, theirs in zip(image_and_gradients(inputs, gradient), by_autodiff(inputs, gradient), strict=True):
        for name in ours._fields:
            exact = getattr(ours, name)
            scale = np.abs(exact).max()
            np.testing.assert_allclose(getattr(theirs, name), exact, rtol=0, atol=1e-5 * scale, err_msg=name)


def test_numpy_image_equals_the_loop(scene, loop):
    gaussians, background = scene(120, 17, 11, seed=8), np.float32([0.2, 0.5, 0.7])
    gradient = Outputs(np.zeros((11, 17, 3)), np.zeros((11, 17)), np.zeros((11, 17)))
    image, _ = image_and_gradients(Inputs(**gaussians, background=background), gradient)
    truth = loop(**gaussians, width=17, height=11, background=background)
    for ours, exact in zip(image, truth, strict=True):
        np.testing.assert_allclose(ours, exact, rtol=0, atol=1e-13)


def test_scene_shows_what_can_go_wrong():
    """And decides nothing by less than a backend may round."""
    x = Inputs(*(np.asarray(a, np.float64) for a in module.check_scene()[0]))
    row, column = np.mgrid[: module.HEIGHT, : module.WIDTH]
    d = np.stack([column, row], -1)[:, :, None] + 0.5 - x.means2d
    Q = x.conics[:, [0, 1, 1, 2]].reshape(-1, 2, 2)
    alpha = x.opacities * np.exp(-0.5 * np.einsum("hwni,nij,hwnj->hwn", d, Q, d))
    drawn = np.where(alpha >= 1 / 255, np.minimum(alpha, 0.99), 0)[..., np.argsort(x.depths)]
    left = np.cumprod(1 - drawn, -1)
    assert (alpha > 0.99).sum() >= 5  # capped
    assert ((drawn[..., 1:] > 0) & (left[..., :-1] < 1e-4)).sum() > 100  # behind the end of a pixel
    assert (left[..., -1] > 1e-2).sum() > 10  # the background is seen
    beyond = (x.means2d < 0).any(-1) | (x.means2d > [module.WIDTH, module.HEIGHT]).any(-1)
    assert (alpha.max((0, 1)) > 1 / 255)[beyond].any()
    assert module.WIDTH % 8
    assert module.HEIGHT % 8
    seen = [(alpha[y : y + 8, x : x + 8].max((0, 1)) > 1 / 255).sum() for y in (0, 8) for x in (0, 8)]
    assert max(seen) > 16  # the longest chunk of a backend
    for values, threshold in ((alpha, 1 / 255), (alpha, 0.99), (left, 1e-4)):
        assert np.abs(values / threshold - 1).min() > 1e-4


@pytest.mark.parametrize("backend", backends.available())
def test_every_backend_passes(backend):
    report = self_check(backend)
    assert report["passed"], report
    assert report["backend"] == backend
    assert report["image"] < 1e-5
    assert report["gradients"] < 5e-5  # α near the cap enlarges what rounding does to 1 - α


@pytest.mark.parametrize("broken", ["image", *Inputs._fields])
@pytest.mark.parametrize("error", [1e-3, np.nan])
def test_wrong_values_are_seen(broken, error, monkeypatch):
    """One wrong number in the image or in the gradient of one input."""
    sound = module._image_and_gradients(*module.check_scene(), backend="xla")

    def wrong(inputs, gradient, *, backend):
        image, gradients = sound
        spoil = lambda x: x.at[(0,) * x.ndim].add(error * jnp.abs(x).max())
        if broken == "image":
            return image._replace(depth=spoil(image.depth)), gradients
        return image, gradients._replace(**{broken: spoil(getattr(gradients, broken))})

    monkeypatch.setattr(module, "_image_and_gradients", wrong)
    report = self_check("xla")
    assert not report["passed"]
    sound_part = "gradients" if broken == "image" else "image"
    assert report[sound_part] < 5e-5


def test_unknown_and_absent_backends_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="unknown rasterizer backend 'cuda'"):
        self_check("cuda")
    monkeypatch.setitem(backends.BACKENDS, "absent", SimpleNamespace(obstacle=lambda dtype: "no such device"))
    with pytest.raises(NotImplementedError, match="no such device"):
        self_check("absent")
