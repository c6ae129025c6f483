"""Many views of shared Gaussians, and cameras that cannot be rendered."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mom3d_jax import cameras, render
from mom3d_jax.types import Cameras, Gaussians

WIDTH, HEIGHT, N, V = 24, 16, 23, 4
CAMERA = cameras.input_camera(WIDTH, HEIGHT)
BACKGROUND = np.float32([0.3, 0.6, 0.1])
DIFFERENTIABLE = ("means", "log_scales", "quaternions", "opacity_logits", "sh")


def scene() -> Gaussians:
    rng = np.random.default_rng(0)
    return Gaussians(
        means=rng.uniform([-1, -0.6, 2], [1, 0.6, 4], (N, 3)).astype(np.float32),
        log_scales=rng.uniform(-3, -1.5, (N, 3)).astype(np.float32),
        quaternions=rng.normal(size=(N, 4)).astype(np.float32),
        opacity_logits=rng.normal(size=N).astype(np.float32),
        sh=rng.normal(size=(N, 4, 3)).astype(np.float32),
        alive=np.arange(N) > 0,
    )


def views(count: int = V) -> Cameras:
    every = cameras.generation_cameras(CAMERA, np.full((HEIGHT, WIDTH), 3.0, np.float32))
    return cameras.select(every, slice(count))


def parameters(gaussians: Gaussians) -> dict:
    return {name: jnp.asarray(getattr(gaussians, name)) for name in DIFFERENTIABLE}


def weights(count: int = V) -> list[np.ndarray]:
    """Of a loss that weights every number of the colour, alpha and depth of every view differently."""
    rng = np.random.default_rng(5)
    return [rng.normal(size=(count, HEIGHT, WIDTH, *c)).astype(np.float32) for c in ((3,), (), ())]


def weighted(image: render.Rasterized, weights: list[np.ndarray]) -> jax.Array:
    return sum((x * w).sum() for x, w in zip((image.color, image.alpha, image.depth), weights, strict=True))


def two_devices() -> jax.sharding.Mesh:
    return jax.sharding.Mesh(np.array(jax.devices()[:2]), ("data",))


@pytest.fixture(scope="module")
def one_after_the_other() -> tuple[render.Rasterized, dict]:
    """Every view by itself: images, and the sums of the gradients."""

    @jax.jit
    def gradient(parameters, background, camera, weights):
        def loss(parameters, background):
            g = dataclasses.replace(scene(), **parameters)
            out = render.render_view(g, camera, background=background, capacity=512, backend="reference")
            return weighted(out, weights), out

        return jax.grad(loss, argnums=(0, 1), has_aux=True)(parameters, background)

    poses, wanted = views(), weights()
    each = [
        gradient(parameters(scene()), BACKGROUND, cameras.select(poses, v), [w[v] for w in wanted]) for v in range(V)
    ]
    gradients, images = zip(*each, strict=True)
    by_gaussians, by_background = jax.tree.map(lambda *parts: np.sum(parts, 0), *gradients)
    return jax.tree.map(lambda *x: np.stack(x), *images), {**by_gaussians, "background": by_background}


@pytest.mark.parametrize(
    ("backend", "mesh"),
    [("reference", None), ("reference", "two devices"), ("pallas_triton_interpreted", None)],
)
def test_rasterize_views_equals_one_view_at_a_time(backend, mesh, one_after_the_other):
    """Image, counts, and gradients of Gaussians and background; the gradients of one view are proven elsewhere."""
    mesh, poses = mesh and two_devices(), views()
    images, gradients = one_after_the_other

    def loss(parameters, background):
        g = dataclasses.replace(scene(), **parameters)
        out = render.rasterize_views(g, poses, background=background, capacity=512, backend=backend, mesh=mesh)
        return weighted(out, weights()), out

    (by_gaussians, by_background), out = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(
        parameters(scene()), BACKGROUND
    )
    assert out.color.shape == (V, HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(out.used.intersections, images.used.intersections)
    for name in ("color", "alpha", "depth"):
        np.testing.assert_allclose(getattr(out, name), getattr(images, name), atol=1e-6, err_msg=name)
    for name, gradient in {**by_gaussians, "background": by_background}.items():
        atol = 1e-5 * np.abs(gradients[name]).max()
        np.testing.assert_allclose(gradient, gradients[name], rtol=0, atol=atol, err_msg=name)


def test_capacity_is_counted_over_all_views():
    g, poses = scene(), views()
    needed = int(render.needed_capacity(g, poses))
    out = render.rasterize_views(g, poses, backend="reference")
    assert out.used.capacity == render.bucket(needed)
    assert int(out.used.intersections.max()) == needed
    with pytest.raises(ValueError, match=re.escape("capacity=bucket(int(needed_capacity(gaussians, cameras)))")):
        jax.jit(render.rasterize_views)(g, poses)


def test_nothing_of_the_gaussians_is_kept_for_each_view():
    """Neither forward nor backward has an array with an axis of views and one of Gaussians or intersections."""
    g, poses, wanted, capacity = scene(), views(7), weights(7), 299  # sizes that nothing else has

    def loss(parameters):
        return weighted(render.rasterize_views(dataclasses.replace(g, **parameters), poses, capacity=capacity), wanted)

    shapes = re.findall(r"\b[a-z]+\d+\[([\d,]+)\]", str(jax.make_jaxpr(jax.grad(loss))(parameters(g))))
    shapes = {tuple(map(int, shape.split(","))) for shape in shapes}
    assert {(N, 3), (capacity,), (7, HEIGHT, WIDTH, 3)} <= shapes
    assert not [shape for shape in shapes if 7 in shape and {N, capacity} & set(shape)]


def test_views_have_to_divide_over_the_mesh():
    with pytest.raises(ValueError, match="3 views do not divide over 2 devices; pad them"):
        render.rasterize_views(scene(), views(3), capacity=512, mesh=two_devices())


def draw(gaussians, poses):
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",))
    return render.Drawer(mesh, 512)(jax.tree.map(lambda a: np.stack([a] * 2), gaussians), poses)


OVER_VIEWS = {"rasterize_views": render.rasterize_views, "needed_capacity": render.needed_capacity, "Drawer": draw}


def broken(poses: Cameras, field: str, index: tuple[int, ...], value: float) -> Cameras:
    values = np.array(getattr(poses, field))
    values[index] = value
    return dataclasses.replace(poses, **{field: values})


BROKEN = [
    ("rotation", (2, 0), np.nan, "nan"),
    ("translation", (1,), -np.inf, "-inf"),
    ("focal", (0,), np.inf, "inf"),
    ("focal", (1,), 0.0, "0.0"),
    ("centre", (1,), np.nan, "nan"),
]


@pytest.mark.parametrize(("field", "index", "value", "shown"), BROKEN)
def test_broken_cameras_are_named(field, index, value, shown):
    g, place = scene(), re.escape(f"{field}{list(index)}")
    for name, function in OVER_VIEWS.items():
        with pytest.raises(ValueError, match=f"^{name}: {place} of view 1 is {shown}; .* repair that view") as error:
            function(g, broken(views(2), field, (1, *index), value))
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=f"^render_view: {place} of the camera is {shown}; "):
        render.render_view(g, broken(CAMERA, field, index, value))


@pytest.mark.parametrize("size", [{"width": 0}, {"height": 0}])
def test_images_without_pixels_are_refused(size):
    for name, function in OVER_VIEWS.items():
        with pytest.raises(ValueError, match=f"^{name}: image size .* is not positive"):
            function(scene(), dataclasses.replace(views(2), **size))
    with pytest.raises(ValueError, match=r"^render_view: image size .* is not positive"):
        render.render_view(scene(), dataclasses.replace(CAMERA, **size))


def test_one_camera_and_many_are_not_confused():
    for function in OVER_VIEWS.values():
        with pytest.raises(ValueError, match=r"rotation has shape \(3, 3\); give one or more cameras"):
            function(scene(), CAMERA)
        with pytest.raises(ValueError, match=r"rotation has shape \(0, 3, 3\); give one or more cameras"):
            function(scene(), views(0))
    with pytest.raises(ValueError, match=r"rotation has shape \(2, 3, 3\); give one camera, without"):
        render.render_view(scene(), views(2))


def test_cameras_are_not_looked_at_under_jit():
    """There are no values yet: a broken camera shows in the result, which says how many Gaussians it left out."""
    poses = broken(views(2), "focal", (1, 0), np.nan)
    out = jax.jit(lambda poses: render.rasterize_views(scene(), poses, capacity=512, backend="reference"))(poses)
    np.testing.assert_array_equal(out.used.culled > 0, [False, True])
    assert not out.color[1].any()
