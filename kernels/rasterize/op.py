"""The rasterizer as one differentiable op over several backends."""

import functools

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from .. import backends
from ..arrays import ArrayLike, check_shapes
from ..binning.extents import drawable
from ..binning.op import bucket, count
from .types import Rasterized, Used


def count_intersections(
    means2d: Float[ArrayLike, "n 2"],
    conics: Float[ArrayLike, "n 3"],
    opacities: Float[ArrayLike, " n"],
    depths: Float[ArrayLike, " n"],
    *,
    width: int,
    height: int,
) -> Int[Array, ""]:
    """Exact number of (tile, Gaussian) pairs that `rasterize` will need room for; arguments as there."""
    means2d, conics, opacities, depths = map(jnp.asarray, (means2d, conics, opacities, depths))
    _check_image("count_intersections", width, height)
    check_shapes(
        "count_intersections",
        means2d=(means2d, ("n", 2)),
        conics=(conics, ("n", 3)),
        opacities=(opacities, ("n",)),
        depths=(depths, ("n",)),
    )
    return _count(means2d, conics, opacities, depths, width=width, height=height)


@functools.partial(jax.jit, static_argnames=("width", "height"))
def _count(
    means2d: Float[Array, "n 2"],
    conics: Float[Array, "n 3"],
    opacities: Float[Array, " n"],
    depths: Float[Array, " n"],
    *,
    width: int,
    height: int,
) -> Int[Array, ""]:
    drawn, _ = drawable(means2d, conics, opacities, depths)
    means2d, conics, opacities, _ = _only(drawn, means2d, conics, opacities, depths)
    return count(means2d, conics, opacities, width=width, height=height)


def rasterize(
    means2d: Float[ArrayLike, "n 2"],
    conics: Float[ArrayLike, "n 3"],
    colors: Float[ArrayLike, "n c"],
    opacities: Float[ArrayLike, " n"],
    depths: Float[ArrayLike, " n"],
    *,
    width: int,
    height: int,
    background: Float[ArrayLike, " c"] | None = None,
    capacity: int | None = None,
    backend: str | None = None,
    deterministic: bool = True,
) -> Rasterized:
    """Blend 2D Gaussians front to back into an image.

    With α_i and T_i of `reference.py`: colour Σ c α T + T_final · background, alpha 1 - T_final, depth Σ z α T.
    Differentiable in all float arguments (depths: through the blended value, not through the order). `vmap` runs the
    images one after the other, but `pallas_triton` all at once, with room for `capacity` pairs of each. Gaussians
    fainter than 1/255 or not in front of the camera change nothing.

    Args:
      means2d: centres in px, pixel k centred at k + 0.5.
      conics: (a, b, c) of the inverse 2D covariances [[a, b], [b, c]], px⁻².
      colors: any number of channels.
      opacities: in [0, 1].
      depths: z in the camera; nearer first, ties by index.
      width: image width in px.
      height: image height in px.
      background: colour behind everything; black by default.
      capacity: room for (tile, Gaussian) pairs, a static size. The result is valid only where
        `used.intersections <= capacity`; otherwise run again with `bucket(used.intersections)`. None counts first,
        which is possible only outside of tracing.
      backend: a name of `backends.BACKENDS`; the best one for this machine by default.
      deterministic: gradients are the same to the bit in every run. False lets `xla` add them up with atomics on an
        accelerator, in any order; elsewhere nothing changes.

    Raises:
      ValueError: shapes or dtypes that do not fit, an empty image, an unknown backend, no capacity under tracing.
      NotImplementedError: a backend that cannot run here.
    """
    means2d, conics, colors, opacities, depths = map(jnp.asarray, (means2d, conics, colors, opacities, depths))
    background = jnp.zeros(colors.shape[-1:], colors.dtype) if background is None else jnp.asarray(background)
    _check_image("rasterize", width, height)
    check_shapes(
        "rasterize",
        means2d=(means2d, ("n", 2)),
        conics=(conics, ("n", 3)),
        colors=(colors, ("n", "c")),
        opacities=(opacities, ("n",)),
        depths=(depths, ("n",)),
        background=(background, ("c",)),
    )
    if capacity is None:
        capacity = _capacity_now(means2d, conics, opacities, depths, width=width, height=height)
    if capacity < 1:
        raise ValueError(f"rasterize: capacity {capacity} is not positive")
    return _rasterize(
        means2d,
        conics,
        colors,
        opacities,
        depths,
        background,
        width=width,
        height=height,
        capacity=capacity,
        backend=backends.choose(backend, means2d.dtype),
        deterministic=deterministic,
    )


@functools.partial(jax.jit, static_argnames=("width", "height", "capacity", "backend", "deterministic"))
def _rasterize(
    means2d: Float[Array, "n 2"],
    conics: Float[Array, "n 3"],
    colors: Float[Array, "n c"],
    opacities: Float[Array, " n"],
    depths: Float[Array, " n"],
    background: Float[Array, " c"],
    *,
    width: int,
    height: int,
    capacity: int,
    backend: str,
    deterministic: bool,
) -> Rasterized:
    """`rasterize` with every choice made."""
    if not depths.size:
        # Backends gather rows, so that an empty scene becomes one Gaussian of opacity 0.
        means2d, conics, colors = (jnp.pad(x, ((0, 1), (0, 0))) for x in (means2d, conics, colors))
        opacities, depths = (jnp.pad(x, (0, 1)) for x in (opacities, depths))
    features = jnp.concatenate([colors, depths[:, None]], -1)
    drawn, culled = drawable(means2d, conics, opacities, depths, features)
    means2d, conics, opacities, depths = _only(drawn, means2d, conics, opacities, depths)
    blended, transmittance, intersections = backends.load(backend)(
        means2d,
        conics,
        jnp.where(drawn[:, None], features, 0),
        opacities,
        depths,
        width=width,
        height=height,
        capacity=capacity,
        deterministic=deterministic,
    )
    color = blended[..., :-1] + transmittance[..., None] * background[None, None]
    return Rasterized(color, 1 - transmittance, blended[..., -1], Used(intersections, culled, capacity))


def _check_image(op: str, width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise ValueError(f"{op}: image size {width}x{height} is not positive")


def _only(
    drawn: Bool[Array, " n"],
    means2d: Float[Array, "n 2"],
    conics: Float[Array, "n 3"],
    opacities: Float[Array, " n"],
    depths: Float[Array, " n"],
) -> tuple[Float[Array, "n 2"], Float[Array, "n 3"], Float[Array, " n"], Float[Array, " n"]]:
    """Harmless values for the Gaussians that are not drawn, so that no NaN of theirs reaches a value or gradient."""
    row = drawn[:, None]
    round_conic = jnp.array([[1, 0, 1]], conics.dtype)
    return (
        jnp.where(row, means2d, 0),
        jnp.where(row, conics, round_conic),
        jnp.where(drawn, opacities, 0),
        jnp.where(drawn, depths, 1),
    )


def _capacity_now(*gaussians: Float[Array, "..."], width: int, height: int) -> int:
    """Count and bucket on the host."""
    if any(isinstance(x, jax.core.Tracer) for x in gaussians):
        raise ValueError(
            "rasterize: capacity=None needs concrete arrays; under jit, grad or vmap pass "
            "capacity=bucket(count_intersections(...)) counted outside"
        )
    return bucket(int(count_intersections(*gaussians, width=width, height=height)))
