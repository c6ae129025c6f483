"""Reading the photo between its pixels, and closing small holes of a view."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from mom3d_jax.views.geometry import Surface

# Holes within one surface are closed up to this share of the width, cracks of at most 2 px between any two.
HOLE = 0.01
CRACK = 2


def linear(x: jax.Array) -> jax.Array:
    """Tent of half-width 1."""
    return jnp.maximum(1 - jnp.abs(x), 0)


def cubic(x: jax.Array) -> jax.Array:
    """Cubic convolution with a = -1/2 (Keys 1981), half-width 2.

    Images are read with it because Gaussians fitted to a photo interpolate it much like a cubic spline does: between
    pixels the two agree to about 50 dB, a linear reading to about 43 dB.
    """
    x = jnp.abs(x)
    inner = 1 + x * x * (1.5 * x - 2.5)
    outer = 2 + x * (-4 + x * (2.5 - 0.5 * x))
    return jnp.where(x < 1, inner, jnp.where(x < 2, outer, 0))


def sample(
    values: Float[jax.Array, "h0 w0 c"],
    surface: Surface,
    source: Float[jax.Array, "h w 2"],
    owner: Int[jax.Array, "h w"],
    kernel: Callable[[jax.Array], jax.Array],
    edge_ratio: float,
) -> Float[jax.Array, "h w c"]:
    """Interpolate an image of the photo at `source`, within one surface.

    A tap counts if its inverse depth fits the plane of the owner; any other tap repeats the owner's value, so nothing
    bleeds across depth edges and the weights always add up to one.

    Args:
      values: what to read, on the photo's grid.
      surface: inverse depth and slopes on the same grid.
      source: positions in the photo, px.
      owner: row-major index of the pixel whose plane was hit; -1 reads 0.
      kernel: `linear` or `cubic`.
      edge_ratio: largest ratio of a tap's inverse depth and the plane's.
    """
    h, w, channels = values.shape
    reach = 1 if kernel is linear else 2
    flat, rho, slope = values.reshape(-1, channels), surface.inverse_depth.reshape(-1), surface.slope.reshape(-1, 2)
    at = jnp.maximum(owner, 0)
    own, own_rho, own_slope = flat[at], rho[at], slope[at]
    own_centre = jnp.stack([at % w, at // w], -1).astype(jnp.float32) + 0.5
    first = jnp.floor(source - 0.5).astype(jnp.int32)
    width = 2 * reach

    def add(n: jax.Array, total: jax.Array) -> jax.Array:
        column, row = first[..., 0] + n % width + 1 - reach, first[..., 1] + n // width + 1 - reach
        tap = jnp.clip(row, 0, h - 1) * w + jnp.clip(column, 0, w - 1)
        centre = jnp.stack([column, row], -1).astype(jnp.float32) + 0.5
        plane = own_rho + (own_slope * (centre - own_centre)).sum(-1)
        tap_rho = rho[tap]
        same = (tap_rho < edge_ratio * plane) & (plane < edge_ratio * tap_rho)
        same &= (column >= 0) & (column < w) & (row >= 0) & (row < h)
        weight = jnp.where(same, kernel(source - centre).prod(-1), 0.0)
        return total + weight[..., None] * (flat[tap] - own)

    total = jax.lax.fori_loop(0, width * width, add, own)
    return jnp.where((owner >= 0)[..., None], total, 0.0)


def _nearest_before(valid: Bool[jax.Array, "h w"], axis: int, sign: int, reach: int) -> Int[jax.Array, "h w"]:
    """Steps along an axis (against it for sign -1) to the nearest valid pixel, 0 if there is none within reach."""
    steps = jnp.zeros(valid.shape, jnp.int32)
    size = valid.shape[axis]
    index = jnp.arange(size)
    for d in range(reach, 0, -1):
        there = index + sign * d
        hit = jnp.take(valid, jnp.clip(there, 0, size - 1), axis)
        inside = ((there >= 0) & (there < size))[:, None] if axis == 0 else ((there >= 0) & (there < size))[None, :]
        steps = jnp.where(hit & inside, d, steps)
    return steps


def fill_holes(
    values: Float[jax.Array, "h w c"], depth: Float[jax.Array, "h w"], edge_ratio: float
) -> tuple[Float[jax.Array, "h w c"], Float[jax.Array, "h w"]]:
    """Close small holes linearly, inside the covered area only.

    A hole of at most 1 % of the width is bridged along its row or column, whichever is shorter, if both ends belong
    to one surface. A gap that opens between two surfaces stays unknown unless it is a crack of at most 2 px.

    Args:
      values: channels of the view.
      depth: z of the view, 0 where nothing was seen.
      edge_ratio: depths of one surface differ by less than this factor across the hole.

    Returns:
      Channels and depth with the holes closed.
    """
    reach = max(CRACK, round(HOLE * depth.shape[1]))
    stacked = jnp.concatenate([values, depth[..., None]], -1)
    valid = depth > 0
    best_length = jnp.full(depth.shape, reach + 2, jnp.int32)
    best = stacked
    row, column = jnp.meshgrid(jnp.arange(depth.shape[0]), jnp.arange(depth.shape[1]), indexing="ij")
    for axis in (0, 1):
        back, ahead = (_nearest_before(valid, axis, sign, reach) for sign in (-1, 1))
        step = (1, 0) if axis == 0 else (0, 1)
        a = stacked[row - back * step[0], column - back * step[1]]
        b = stacked[row + ahead * step[0], column + ahead * step[1]]
        length = back + ahead
        one_surface = jnp.maximum(a[..., -1], b[..., -1]) < edge_ratio * jnp.minimum(a[..., -1], b[..., -1])
        use = ~valid & (back > 0) & (ahead > 0) & (one_surface | (length <= CRACK + 1)) & (length < best_length)
        share = (back.astype(jnp.float32) / jnp.maximum(length, 1).astype(jnp.float32))[..., None]
        best = jnp.where(use[..., None], a + share * (b - a), best)
        best_length = jnp.where(use, length, best_length)
    return best[..., :-1], best[..., -1]
