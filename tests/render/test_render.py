import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

from mom3d_jax import cameras, render
from mom3d_jax.render.projection import DILATION
from mom3d_jax.render.spherical_harmonics import basis
from mom3d_jax.types import Gaussians

CAMERA = cameras.input_camera(24, 16)


def scene(n: int = 12, seed: int = 0) -> Gaussians:
    rng = np.random.default_rng(seed)
    return Gaussians(
        means=rng.uniform([-1, -0.6, 2], [1, 0.6, 4], (n, 3)).astype(np.float32),
        log_scales=rng.uniform(-3, -1.5, (n, 3)).astype(np.float32),
        quaternions=rng.normal(size=(n, 4)).astype(np.float32),
        opacity_logits=rng.normal(size=n).astype(np.float32),
        sh=rng.normal(size=(n, 1, 3)).astype(np.float32),
        alive=np.ones(n, bool),
    )


def test_ewa_covariance_matches_the_spread_of_projected_samples():
    g = scene(1)
    g = dataclasses.replace(g, log_scales=np.log(np.full((1, 3), 0.01, np.float32) * np.float32([1, 2, 3])))
    axes = Rotation.from_quat(np.roll(g.quaternions[0], -1)).as_matrix() * [0.01, 0.02, 0.03]
    cov = axes @ axes.T
    samples = np.random.default_rng(3).multivariate_normal(g.means[0], cov, 200_000).astype(np.float32)
    pixels, _ = cameras.project(CAMERA, samples)
    projected = render.project_gaussians(g.means, np.exp(g.log_scales), g.quaternions, CAMERA)
    a, b, c = np.asarray(projected.conics)[0]
    ours = np.linalg.inv([[a, b], [b, c]]) - DILATION * np.eye(2)
    np.testing.assert_allclose(ours, np.cov(np.asarray(pixels).T), rtol=0.02, atol=1e-4)
    np.testing.assert_allclose(projected.means[0], np.asarray(pixels).mean(0), atol=2e-3)


def test_gaussians_behind_the_camera_are_left_out_with_finite_gradients():
    g = scene()
    g.means[:4, 2] = [-1.0, 0.0, 0.1, 1e-9]

    def loss(means):
        moved = dataclasses.replace(g, means=means)
        return jnp.sum(render.render_view(moved, CAMERA, capacity=256, backend="reference").color ** 2)

    gradient = jax.grad(loss)(jnp.asarray(g.means))
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[:4], 0)


def test_sh_basis_is_the_real_spherical_harmonics():
    d = np.random.default_rng(4).normal(size=(40, 3))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    theta, phi = np.arccos(d[:, 2]), np.arctan2(d[:, 1], d[:, 0])
    expected = []
    for l in range(4):
        for m in range(-l, l + 1):
            y = sph_harm_y(l, abs(m), theta, phi)
            # Real form; scipy's Condon-Shortley phase is the sign convention of 3D Gaussian splatting.
            expected.append(y.real if m == 0 else np.sqrt(2) * (y.real if m > 0 else y.imag))
    np.testing.assert_allclose(basis(d.astype(np.float32), 3), np.stack(expected, -1), atol=1e-5)


def test_views_on_two_devices_equal_one_and_gradients_too():
    g, mesh = scene(), jax.sharding.Mesh(np.array(jax.devices()[:2]), ("data",))
    depth = np.full((16, 24), 3.0, np.float32)
    views = cameras.select(cameras.generation_cameras(CAMERA, depth), slice(0, 4))

    def loss(sh, mesh):
        moved = dataclasses.replace(g, sh=sh)

        def draw(shared, camera):
            return render.render_view(shared, camera, capacity=256, backend="reference").color

        return jnp.sum(render.over_views(draw, moved, views, mesh=mesh) ** 2)

    value = jax.jit(jax.value_and_grad(loss), static_argnums=1)
    (one, grad_one), (two, grad_two) = value(jnp.asarray(g.sh), None), value(jnp.asarray(g.sh), mesh)
    np.testing.assert_allclose(one, two, rtol=1e-6)
    np.testing.assert_allclose(grad_one, grad_two, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="do not divide"):
        render.over_views(lambda s, c: c.focal, g, cameras.select(views, slice(0, 3)), mesh=mesh)


def test_needed_capacity_is_the_largest_of_the_views():
    g = scene()
    views = cameras.generation_cameras(CAMERA, np.full((16, 24), 3.0, np.float32))
    needed = int(render.needed_capacity(g, views))
    used = jax.jit(lambda camera: render.render_view(g, camera, capacity=512).used.intersections)
    each = [int(used(cameras.select(views, v))) for v in range(25)]
    assert needed == max(each)


def test_zero_opacity_changes_nothing_to_the_bit():
    g = scene()
    ghost = dataclasses.replace(scene(5, seed=9), opacity_logits=np.full(5, -np.inf, np.float32))
    from mom3d_jax.gaussians import concatenate

    alone = render.render_view(g, CAMERA, capacity=256)
    haunted = render.render_view(concatenate(g, ghost), CAMERA, capacity=256)
    np.testing.assert_array_equal(alone.color, haunted.color)
