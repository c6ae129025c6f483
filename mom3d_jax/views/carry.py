"""Moving images of the photo, and motion in it, into every view."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from mom3d_jax.cameras import pixel_grid
from mom3d_jax.types import Array
from mom3d_jax.views.geometry import Surface
from mom3d_jax.views.raster import Raster, apply, view_by_view
from mom3d_jax.views.resample import cubic, fill_holes, linear, sample

KERNELS: dict[str, Callable[[jax.Array], jax.Array]] = {"linear": linear, "cubic": cubic}


@functools.partial(jax.jit, static_argnames=("kernel", "edge_ratio"))
def _carry_view(
    surface: Surface, values: Float[Array, "h0 w0 c"], view: tuple[jax.Array, ...], kernel: str, edge_ratio: float
) -> tuple[jax.Array, jax.Array]:
    source, owner, depth = view
    seen = sample(jnp.asarray(values), surface, source, owner, KERNELS[kernel], edge_ratio)
    return fill_holes(seen, depth, edge_ratio)


def carry(
    raster: Raster, values: Float[Array, "h0 w0 c"], kernel: str = "linear"
) -> tuple[Float[jax.Array, "v h w c"], Float[jax.Array, "v h w"]]:
    """Any image of the photo (colours, masks, weights) as every view sees it.

    Args:
      raster: correspondence of the views with the photo.
      values: channels on the photo's grid.
      kernel: "linear" or "cubic"; the latter may overshoot.

    Returns:
      The channels, 0 where nothing is known, and the depth with small holes closed, 0 where nothing is known.
    """
    one = functools.partial(_carry_view, raster.surface, values, kernel=kernel, edge_ratio=raster.edge_ratio)
    return view_by_view(one, (raster.source, raster.owner, raster.depth))


@functools.partial(jax.jit, static_argnames="edge_ratio")
def _carry_flow_view(
    surface: Surface, motion: Float[Array, "h0 w0 3"], view: tuple[Any, ...], edge_ratio: float
) -> jax.Array:
    hom, source, owner, depth = view
    change = sample(jnp.asarray(motion), surface, source, owner, linear, edge_ratio)
    known = depth > 0
    # ŝ₃ = B⁻¹q̂ - ρ e scales 1/z' to 1/z.
    q = jnp.asarray(pixel_grid(depth.shape[1], depth.shape[0]))
    rho = jnp.where(known, 1 / jnp.where(known, depth, 1.0), 0.0)
    s3 = apply(hom.backward, q)[2] - rho * hom.epipole[2]
    rho_photo = rho / jnp.where(known, s3, 1.0)
    landing = []
    for position, near in ((source, rho_photo), (source + change[..., :2], rho_photo + change[..., 2])):
        a, b, c = apply(hom.forward, position)
        c = jnp.where(known, c + hom.shift[2] * near, 1.0)
        landing.append(jnp.stack([a + hom.shift[0] * near, b + hom.shift[1] * near], -1) / c[..., None])
    seen = jnp.where(known[..., None], landing[1] - landing[0], 0.0)
    return fill_holes(seen, depth, edge_ratio)[0]


def carry_flow(
    raster: Raster, flow: Float[Array, "h0 w0 2"], approach: Float[Array, "h0 w0"]
) -> Float[jax.Array, "v h w 2"]:
    """Flow of the photo as every view sees it, px per frame of the view.

    s at z(s), and s + F(s) at the z that the content has after a frame, are projected.

    Args:
      raster: correspondence of the views with the photo.
      flow: px per frame on the photo's grid.
      approach: change of 1/z per frame there.
    """
    motion = jnp.concatenate([jnp.asarray(flow), jnp.asarray(approach)[..., None]], axis=-1)
    one = functools.partial(_carry_flow_view, raster.surface, motion, edge_ratio=raster.edge_ratio)
    return view_by_view(one, (raster.homographies, raster.source, raster.owner, raster.depth))
