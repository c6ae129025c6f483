"""Every backend gives the image that the definition gives, for ordinary and for degenerate scenes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mom3d_jax.kernels import backends, bucket, count_intersections, rasterize

# The Triton kernels take part everywhere: interpreted, and as they are where there is a GPU for them.
BACKENDS = backends.available()
# Tests share shapes where they can: compiling takes most of their time.
SIZE = {"width": 21, "height": 19}
CAPACITY = 512
ROWS = 400
GEOMETRY = ("means2d", "conics", "opacities", "depths")


def compare(out, truth, atol=2e-6):
    color, alpha, depth = truth
    np.testing.assert_allclose(out.color, color, atol=atol)
    np.testing.assert_allclose(out.alpha, alpha, atol=atol)
    np.testing.assert_allclose(out.depth, depth, atol=3 * atol)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("n", "width", "height", "channels"),
    [(150, 37, 29, 3), (12, 5, 3, 5), (30, 8, 33, 0)],
)
def test_values(backend, n, width, height, channels, scene, loop):
    gaussians = scene(n, width, height, channels)
    background = np.linspace(0.2, 0.9, channels).astype(np.float32)
    size = {"width": width, "height": height}
    out = rasterize(**gaussians, **size, background=background, backend=backend)
    compare(out, loop(**gaussians, **size, background=background))
    assert out.used.culled == 0
    assert int(out.used.intersections) <= out.used.capacity == bucket(int(out.used.intersections))


def test_several_batches_of_tiles(scene, loop):
    """More tiles than one batch holds, a last batch that is not full, and lists of many chunks."""
    gaussians = scene(300, 150, 131, scale=8.0)
    size = {"width": 150, "height": 131}
    compare(rasterize(**gaussians, **size, backend="xla"), loop(**gaussians, **size))


def one(mean=(8.0, 8.0), sigma=3.0, opacity=0.8, depth=1.0, color=(1.0, 0.5, 0.2)):
    return {
        "means2d": np.array([mean], np.float32),
        "conics": np.array([[sigma**-2, 0, sigma**-2]], np.float32),
        "colors": np.array([color], np.float32),
        "opacities": np.array([opacity], np.float32),
        "depths": np.array([depth], np.float32),
    }


def joined(*scenes):
    return {name: np.concatenate([s[name] for s in scenes]) for name in scenes[0]}


DEGENERATE = {
    "one": one(),
    "behind": joined(one(depth=-1.0), one(depth=0.0)),
    "far outside": one(mean=(-500.0, 1e7)),
    "enormous": joined(one(sigma=1e5, opacity=0.3), one()),
    "sub-pixel on a centre": one(mean=(8.5, 8.5), sigma=0.02),
    "sub-pixel between centres": one(mean=(8.0, 8.0), sigma=0.02),
    "opaque stack": joined(*[one(opacity=1.0, depth=1 + 0.1 * i, color=(0.1 * i, 0.5, 1)) for i in range(10)]),
    "all on one pixel": joined(*[one(mean=(4.5, 4.5), sigma=0.3, opacity=0.05) for _ in range(400)]),
    "equal depths": joined(*[one(opacity=0.6, color=(i / 8, 0, 1 - i / 8)) for i in range(8)]),
    "faint": joined(one(opacity=1 / 254), one(opacity=1 / 256)),
    "on a tile border": joined(one(mean=(8.0, 16.0), sigma=1.0), one(mean=(0.0, 0.0)), one(mean=(21.0, 19.0))),
    "needle": one() | {"conics": np.array([[2.000004, -1.999996, 2.000004]], np.float32)},
}


def draw(gaussians, backend):
    """With hidden ones beside them: all scenes have one shape and compile once."""
    spare = ROWS - len(gaussians["depths"])
    padded = {k: jnp.pad(x, ((0, spare),) + ((0, 0),) * (x.ndim - 1)) for k, x in gaussians.items()}
    return rasterize(**padded, **SIZE, capacity=CAPACITY, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_scenes(backend, name, loop):
    gaussians = DEGENERATE[name]
    out = draw(gaussians, backend)
    # In float32 the form of a needle is a difference of numbers a hundred times larger.
    compare(out, loop(**gaussians, **SIZE), atol=1e-4 if name == "needle" else 2e-6)
    assert out.used.culled == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_gaussians(backend):
    empty = {name: x[:0] for name, x in one().items()}
    out = rasterize(**empty, **SIZE, background=np.array([0.1, 0.2, 0.3], np.float32), backend=backend)
    np.testing.assert_array_equal(out.color, np.broadcast_to(np.float32([0.1, 0.2, 0.3]), (19, 21, 3)))
    assert not out.alpha.any()
    assert out.used.intersections == 0


BROKEN = {
    "means2d": [np.nan, np.inf],
    "conics": [np.nan, np.inf, 0.0, 1e-40, -1.0],
    "colors": [np.nan, -np.inf],
    "opacities": [np.nan, np.inf],
    "depths": [np.nan, np.inf],
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_broken_gaussians_are_culled_counted_and_spread_nothing(backend, scene):
    """A scene with broken members equals the scene with hidden ones in their place, in values and gradients."""
    whole = scene(40, **SIZE)
    first, last = ({k: v[part] for k, v in whole.items()} for part in (slice(20), slice(20, 40)))
    broken = [one() | {name: np.full_like(one()[name], v)} for name, values in BROKEN.items() for v in values]
    bad, good = joined(first, *broken, last), joined(first, *[one(opacity=0.0)] * len(broken), last)
    keep = np.r_[:20, 20 + len(broken) : 40 + len(broken)]

    @jax.jit
    def value_and_gradients(gaussians):
        def loss(gaussians):
            out = rasterize(**gaussians, **SIZE, capacity=CAPACITY, backend=backend)
            return (out.color.sum(-1) * out.alpha * out.depth).sum(), out.used.culled

        return jax.value_and_grad(loss, has_aux=True)(gaussians)

    (value, culled), gradients = value_and_gradients(bad)
    (true_value, none), true_gradients = value_and_gradients(good)
    assert (culled, none) == (len(broken), 0)
    np.testing.assert_allclose(value, true_value, rtol=1e-6)
    for name, gradient in gradients.items():
        scale = np.abs(true_gradients[name]).max()
        np.testing.assert_allclose(gradient, true_gradients[name], atol=1e-6 * scale, err_msg=name)
        assert not np.delete(gradient, keep, 0).any(), name


@pytest.mark.parametrize("backend", BACKENDS)
def test_hidden_gaussians_change_nothing(backend, scene):
    """Opacity 0 or depth ≤ 0 neither draws nor counts, even with broken values elsewhere.

    To the bit in backends with lists; the reference sums over all Gaussians, in an order that depends on their number.
    """
    good = scene(50, **SIZE)
    hidden = joined(
        one(opacity=0.0),
        one(depth=0.0),
        one(opacity=0.0, mean=(np.nan, 0)),
        one(depth=-2.0, color=(np.inf, 0, 0)),
    )
    more = joined(good, hidden)
    a, b = (draw(g, backend) for g in (good, more))
    for x, y in ((a.color, b.color), (a.alpha, b.alpha), (a.depth, b.depth)):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-6 if backend == "reference" else 0)
    assert a.used == b.used


@pytest.mark.parametrize("backend", BACKENDS)
def test_capacity_exactly_met_and_exceeded_by_one(backend, scene, loop):
    gaussians = scene(80, **SIZE)
    missing = CAPACITY - int(count_intersections(*(gaussians[k] for k in GEOMETRY), **SIZE))
    assert 0 < missing < ROWS - 80
    in_one_tile = one(mean=(4.5, 4.5), sigma=0.3, opacity=0.05)
    gaussians = joined(gaussians, *[in_one_tile] * missing)
    met = draw(gaussians, backend)
    compare(met, loop(**gaussians, **SIZE))
    assert int(met.used.intersections) == CAPACITY == met.used.capacity
    exceeded = draw(joined(gaussians, in_one_tile), backend)
    assert int(exceeded.used.intersections) == CAPACITY + 1 > exceeded.used.capacity
    assert np.isfinite(exceeded.color).all()


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b not in ("reference", "pallas_triton_interpreted")])
def test_vmap_over_views_equals_loop(backend, scene):
    """Means, conics and depths per view; colours and opacities shared, so their gradients are sums over views.

    Of the interpreted kernels `test_pallas_triton.py` proves more than this.
    """
    views = [scene(50, **SIZE, seed=s) for s in range(3)]
    batched = [np.stack([v[k] for v in views]) for k in ("means2d", "conics", "depths")]
    shared = [views[0][k] for k in ("colors", "opacities")]

    def render(means2d, conics, depths, colors, opacities):
        return rasterize(means2d, conics, colors, opacities, depths, **SIZE, capacity=CAPACITY, backend=backend)

    def loss(render_all):
        def total(batched, shared):
            out = render_all(batched, shared)
            return jnp.square(out.color).sum() + (out.depth * out.alpha).sum(), out

        return jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))

    def mapped(batched, shared):
        return jax.vmap(render, in_axes=(0, 0, 0, None, None))(*batched, *shared)

    def looped(batched, shared):
        return jax.lax.map(lambda view: render(*view, *shared), tuple(batched))

    (_, a), da = loss(mapped)(batched, shared)
    (_, b), db = loss(looped)(batched, shared)
    np.testing.assert_array_equal(a.color, b.color)
    np.testing.assert_array_equal(a.used.intersections, b.used.intersections)
    for x, y in zip(jax.tree.leaves(da), jax.tree.leaves(db), strict=True):
        np.testing.assert_allclose(x, y, atol=1e-6 * float(jnp.abs(y).max()))


@pytest.mark.parametrize("backend", BACKENDS)
def test_jit_equals_eager(backend, scene):
    gaussians = scene(50, **SIZE)
    a, b = draw(gaussians, backend), jax.jit(draw, static_argnums=1)(gaussians, backend)
    np.testing.assert_allclose(a.color, b.color, atol=1e-6)
    assert a.used == b.used


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conics": np.zeros((4, 2), np.float32)}, "conics has shape"),
        ({"depths": np.zeros(5, np.float32)}, "depths has shape"),
        ({"colors": np.zeros((4, 3), np.float16)}, "dtype float16"),
        ({"opacities": np.zeros(4, np.int32)}, "dtype int32"),
        ({"background": np.zeros(2, np.float32)}, "background has shape"),
        ({"width": 0}, "0x13 is not positive"),
        ({"capacity": 0}, "capacity 0"),
        ({"backend": "cuda"}, "unknown rasterizer backend 'cuda'"),
    ],
)
def test_bad_input_is_named(change, message, scene):
    with pytest.raises(ValueError, match=message):
        rasterize(**({**scene(4, 19, 13), "width": 19, "height": 13} | change))


def test_counting_needs_concrete_arrays(scene):
    with pytest.raises(ValueError, match="count_intersections"):
        jax.jit(lambda g: rasterize(**g, width=19, height=13))(scene(4, 19, 13))
