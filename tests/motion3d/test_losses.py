import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mom3d_jax.motion3d import LOSSES
from mom3d_jax.motion3d.losses import width

RESIDUALS = np.concatenate([-np.geomspace(1e-4, 20, 60), np.geomspace(1e-4, 20, 60)]).astype(np.float32)


@pytest.mark.parametrize("epsilon", [1e-3, 0.3])
@pytest.mark.parametrize("name", sorted(LOSSES))
class TestEveryLoss:
    def test_weight_is_slope_over_residual(self, name, epsilon):
        loss, e = LOSSES[name], jnp.float32(epsilon)
        slope = jax.vmap(jax.grad(lambda r: loss.value(r, e)))(RESIDUALS)
        np.testing.assert_allclose(loss.weight(jnp.asarray(RESIDUALS), e) * RESIDUALS, slope, rtol=1e-4, atol=1e-6)

    def test_the_weighted_square_lies_above_and_touches(self, name, epsilon):
        """What makes reweighted least squares a descent method."""
        loss, e = LOSSES[name], np.float32(epsilon)
        for r0 in (0.02, 0.5, 5.0):
            start, w = (float(f(jnp.float32(r0), e)) for f in (loss.value, loss.weight))
            above = start + w / 2 * (RESIDUALS.astype(np.float64) ** 2 - r0**2)
            assert (np.asarray(loss.value(jnp.asarray(RESIDUALS), e)) <= above + 1e-4 * (1 + above)).all()

    def test_is_even_and_rises(self, name, epsilon):
        value = np.asarray(LOSSES[name].value(jnp.asarray(RESIDUALS), jnp.float32(epsilon)))
        np.testing.assert_array_equal(value[:60], value[60:])
        assert (np.diff(value[60:]) >= 0).all()


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("l1", abs),
        ("l2", lambda r: r**2 / 2),
        ("huber", lambda r: abs(r) - 0.0538 if abs(r) > 0.1076 else r**2 / 0.2152),
        ("cauchy", lambda r: 0.0954 * np.log(1 + (r / 0.1908) ** 2)),
    ],
)
def test_values(name, truth):
    sharp = LOSSES[name].value(jnp.asarray(RESIDUALS), width(name, 1e-6, 0.08))
    np.testing.assert_allclose(sharp, [truth(float(r)) for r in RESIDUALS], rtol=1e-5, atol=2e-6)


def test_far_residuals_pull_less_the_more_robust_the_loss():
    pull = {name: float(loss.weight(jnp.float32(5), width(name, 1e-6, 0.08)) * 5) for name, loss in LOSSES.items()}
    assert pull["cauchy"] < 0.1 < pull["huber"] == pytest.approx(pull["l1"]) == pytest.approx(1)
    assert pull["l2"] == pytest.approx(5)


def test_smoothing_widens_and_noise_bounds():
    assert float(width("cauchy", 1.0, 0.08)) == 1
    assert float(width("l1", 1e-3, 0.08)) == pytest.approx(1e-3)


@pytest.mark.parametrize("name", ["huber", "cauchy"])
def test_efficiency_where_noise_is_normal(name):
    """95 % of least squares: the variance of an M-estimate of location, E[psi^2] / E[psi']^2, by quadrature."""
    x = np.linspace(-8, 8, 4001)
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    c = float(width(name, 0.0, 1.0))
    psi = np.asarray(LOSSES[name].weight(jnp.asarray(x, jnp.float32), jnp.float32(c)), np.float64) * x
    step = x[1] - x[0]
    variance = (psi**2 * density).sum() * step / ((np.gradient(psi, step) * density).sum() * step) ** 2
    assert 1 / variance == pytest.approx(0.95, abs=0.002)
