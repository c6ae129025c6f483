import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mom3d_jax import cameras, gaussians
from mom3d_jax.types import PointCloud


def cloud(n: int = 700) -> PointCloud:
    rng = np.random.default_rng(0)
    points = rng.uniform([-1, -1, 1], [1, 1, 8], (n, 3)).astype(np.float32)
    return PointCloud(
        points=points,
        colors=rng.uniform(size=(n, 3)).astype(np.float32),
        mask=(np.arange(n) % 3 == 0).astype(np.float32),
        pixels=np.arange(n, dtype=np.int32),
        neighbours=np.zeros((n, 1), np.int32),
    )


def test_creation_puts_movable_points_first_and_pads_with_dead_rows():
    source = cloud()
    made, pixel_size = gaussians.from_points(source, cameras.input_camera(64, 48))
    moving = np.flatnonzero(source.mask)
    assert made.movable % 512 == 0
    assert made.movable >= len(moving)
    assert int(made.alive.sum()) == 700
    np.testing.assert_array_equal(made.means[: len(moving)], source.points[moving])
    assert not made.alive[len(moving) : made.movable].any()
    np.testing.assert_allclose(pixel_size[: len(moving)], source.points[moving, 2] / 64, rtol=1e-6)
    colours = 0.5 + 0.28209479177387814 * made.sh[:, 0]
    np.testing.assert_allclose(colours[: len(moving)], source.colors[moving], atol=1e-6)
    assert float(gaussians.opacities(made)[~np.asarray(made.alive)].max()) == 0


def test_rows_concatenate_back():
    made, _ = gaussians.from_points(cloud(), cameras.input_camera(64, 48))
    again = gaussians.concatenate(gaussians.movable_rows(made), gaussians.rest_rows(made))
    assert again.movable == made.movable
    jax.tree.map(np.testing.assert_array_equal, again, made)
    with pytest.raises(ValueError, match="only the first set"):
        gaussians.concatenate(made, made)


@pytest.mark.parametrize("factor", [0.0, 0.25, 1.0])
def test_fade_multiplies_opacities_with_finite_gradients(factor):
    made, _ = gaussians.from_points(cloud(30), cameras.input_camera(64, 48))
    logits = np.linspace(-6, 20, len(made.alive), dtype=np.float32)
    made = dataclasses.replace(made, opacity_logits=logits)
    faded = gaussians.fade(made, jnp.float32(factor))
    np.testing.assert_allclose(gaussians.opacities(faded), factor * gaussians.opacities(made), rtol=1e-4, atol=1e-6)

    def total(x):
        return jnp.sum(
            gaussians.opacities(gaussians.fade(dataclasses.replace(made, opacity_logits=x), jnp.float32(factor)))
        )

    assert np.isfinite(jax.grad(total)(jnp.asarray(logits))).all()


@pytest.mark.parametrize("bad", [{"sh_degree": 4}, {"opacity": 1.0}])
def test_bad_options_are_refused(bad):
    with pytest.raises(ValueError, match=r"SH degree|opacity"):
        gaussians.from_points(cloud(5), cameras.input_camera(64, 48), **bad)


def test_neighbours_give_the_size_by_the_three_nearest_points():
    source = cloud(60)
    made, step = gaussians.from_points(source, cameras.input_camera(64, 48), extent="neighbours", unit="world")
    squared = ((source.points[:, None] - source.points[None]) ** 2).sum(-1)
    nearest = np.sort(squared + np.diag(np.full(60, np.inf)), axis=1)[:, :3]
    moving = np.flatnonzero(source.mask)
    np.testing.assert_allclose(
        np.exp(made.log_scales[: len(moving)]), np.repeat(np.sqrt(nearest.mean(1))[moving, None], 3, 1), rtol=1e-5
    )
    np.testing.assert_array_equal(step, 1)


@pytest.mark.parametrize(("wrong", "said"), [({"extent": "area"}, "extent 'area'"), ({"unit": "m"}, "unit 'm'")])
def test_unknown_sizes_and_units_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        gaussians.from_points(cloud(10), cameras.input_camera(64, 48), **wrong)


def test_three_points_have_no_three_neighbours():
    with pytest.raises(ValueError, match="3 points do not have three neighbours"):
        gaussians.from_points(cloud(3), cameras.input_camera(64, 48), extent="neighbours")
