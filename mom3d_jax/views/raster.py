"""Which point each pixel of a view shows, and where in the photo it lies.

Every point is drawn as the image of its own pixel square under the plane's homography (`geometry`): a pixel of the
view belongs to a point if it maps back into that square. The squares tile each surface, so a magnified foreground has
no gaps for the background to shine through, and at the input pose each point covers exactly its own pixel. The
nearest point wins. As the result is a position in the photo, images stay as sharp as one interpolation lets them and
agree between views, which splatted colours do not.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from mom3d_jax.cameras import pixel_grid
from mom3d_jax.types import Array, Cameras, PointCloud, pytree, static
from mom3d_jax.views.geometry import Homographies, Surface, homographies, surface

# A square is looked for in this many pixels of the view around its centre: complete up to 3-fold magnification.
WINDOW = [(dx, dy) for dy in (-1.0, 0.0, 1.0) for dx in (-1.0, 0.0, 1.0)]
# A point is seen if it is at most this share behind the surface in front, or within 1.5 px of what its pixel shows.
DEPTH_TOLERANCE = 0.02
SAME_PLACE = 1.5


@pytree
class Raster:
    """Correspondence of every view with the photo; `carry` moves any image of the photo along it."""

    source: Float[Array, "v h w 2"]
    """Position in the photo that each pixel of a view shows, px."""
    owner: Int[Array, "v h w"]
    """Row-major index of the photo's pixel whose square was hit; -1 where nothing was seen."""
    depth: Float[Array, "v h w"]
    """z in the view, 0 where nothing was seen."""
    seen: Bool[Array, "v h0 w0"]
    """Whether the point of each pixel of the photo is in front, in bounds and unoccluded in each view."""
    surface: Surface
    homographies: Homographies
    edge_ratio: float = static(default=1.1)


def apply(matrix: Float[Array, "3 3"], p: Float[jax.Array, "*n 2"]) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Components of M (x, y, 1); written out because these products need full precision on every device."""
    x, y = p[..., 0], p[..., 1]
    a, b, c = (matrix[i, 0] * x + matrix[i, 1] * y + matrix[i, 2] for i in range(3))
    return a, b, c


def _candidates(
    surf: Surface, hom: Homographies, width: int, height: int
) -> tuple[Int[jax.Array, "c n"], Float[jax.Array, "c n"], Float[jax.Array, "n 2"], Float[jax.Array, " n"]]:
    """Pixels of the view that each point may own, the inverse depth there, and the point's own landing place.

    Rejected candidates have the index `width * height` and inverse depth 0, points behind the camera inverse depth 0.
    """
    h, w = surf.inverse_depth.shape
    rho = jnp.asarray(surf.inverse_depth)
    slope, reach = jnp.asarray(surf.slope), jnp.asarray(surf.reach)
    centres = jnp.asarray(pixel_grid(w, h))
    u, v = centres[..., 0], centres[..., 1]
    e, k = hom.epipole, hom.shift

    # Landing place x̂ = B ŝ + k / z; its third component is z' / z.
    a, b, c = apply(hom.forward, centres)
    a, b, c = a + k[0] * rho, b + k[1] * rho, c + k[2] * rho
    ahead = (rho > 0) & (c > 1e-6)
    c = jnp.where(ahead, c, 1.0)
    x, y = a / c, b / c
    rho_view = jnp.where(ahead, rho / c, 0.0)

    # 1 + w·e < 0: the plane shows its back.
    facing = 1 + rho * e[2] + slope[..., 0] * (e[0] - u * e[2]) + slope[..., 1] * (e[1] - v * e[2])
    drawn = ahead & (facing > 1e-3)
    facing = jnp.where(drawn, facing, 1.0)
    bounded = (x > -2) & (x < width + 2) & (y > -2) & (y < height + 2)
    cell = jnp.floor(jnp.where(bounded[..., None], jnp.stack([x, y], -1), -9.0))

    def square_at(offset: jax.Array) -> tuple[jax.Array, jax.Array]:
        corner = cell + offset[None, None]
        g0, g1, g2 = apply(hom.backward, corner + 0.5)
        at = (rho * g2 + slope[..., 0] * (g0 - u * g2) + slope[..., 1] * (g1 - v * g2)) / facing
        s2 = g2 - at * e[2]
        off = jnp.stack([g0 - at * e[0] - u * s2, g1 - at * e[1] - v * s2], -1)
        within = (off >= -reach[..., :2] * s2[..., None]) & (off <= reach[..., 2:] * s2[..., None])
        hit = drawn & (at > 0) & (s2 > 0) & within.all(-1)
        i, j = corner[..., 0].astype(jnp.int32), corner[..., 1].astype(jnp.int32)
        hit &= (i >= 0) & (i < width) & (j >= 0) & (j < height)
        return jnp.where(hit, j * width + i, width * height).reshape(-1), jnp.where(hit, at, 0.0).reshape(-1)

    index, depths = jax.vmap(square_at)(jnp.array(WINDOW, jnp.float32))
    return index, depths, jnp.stack([x, y], -1).reshape(-1, 2), rho_view.reshape(-1)


def _nearest(
    index: Int[jax.Array, "c n"], depths: Float[jax.Array, "c n"], size: int
) -> tuple[Float[jax.Array, " q"], Int[jax.Array, " q"]]:
    """Largest inverse depth among the candidates of each of `size` pixels and whose it is; 0 and -1 without any."""
    front = jnp.zeros(size, jnp.float32).at[index].max(depths, mode="drop")
    wins = (depths > 0) & (depths == front.at[index].get(mode="fill", fill_value=-1.0))
    points = jnp.broadcast_to(jnp.arange(index.shape[1], dtype=jnp.int32)[None], index.shape)
    # Equal depths go to the lowest index, so that the result does not depend on the order of the scatter.
    nobody = index.shape[1]
    owner = jnp.full(size, nobody, jnp.int32).at[jnp.where(wins, index, size)].min(points, mode="drop")
    return front, jnp.where(owner == nobody, -1, owner)


def view_by_view(function: Callable[[Any], Any], batch: Any) -> Any:
    """A jitted function of one view, applied along the leading axis of a pytree.

    One view after the other bounds the memory, and one compiled program serves any number of views.
    """
    views = [function(jax.tree.map(lambda a, v=v: a[v], batch)) for v in range(len(jax.tree.leaves(batch)[0]))]
    return jax.tree.map(lambda *a: jnp.stack(a), *views)


@functools.partial(jax.jit, static_argnames=("width", "height"))
def _rasterize_view(
    surf: Surface, hom: Homographies, width: int, height: int
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Source, owner, depth and seen of one view."""
    h, w = surf.inverse_depth.shape
    q = jnp.asarray(pixel_grid(width, height))
    centres = jnp.asarray(pixel_grid(w, h)).reshape(-1, 2)
    index, depths, landing, rho_point = _candidates(surf, hom, width, height)
    front, owner = _nearest(index, depths, width * height)

    # Back along the epipolar line: ŝ = B⁻¹q̂ - ρ e.
    rho = front.reshape(height, width)
    covered = rho > 0
    (g0, g1, g2), e = apply(hom.backward, q), hom.epipole
    s2 = jnp.where(covered, g2 - rho * e[2], 1.0)
    source = jnp.stack([g0 - rho * e[0], g1 - rho * e[1]], -1) / s2[..., None]
    source = jnp.where(covered[..., None], source, 0.0)
    depth = jnp.where(covered, 1 / jnp.where(covered, rho, 1.0), 0.0)

    inside = (landing >= 0).all(-1) & (landing[:, 0] < width) & (landing[:, 1] < height) & (rho_point > 0)
    cell = jnp.where(inside[:, None], landing, 0.0).astype(jnp.int32)
    pixel = cell[:, 1] * width + cell[:, 0]
    in_front = rho_point * (1 + DEPTH_TOLERANCE) >= front[pixel]
    shown = jnp.abs(source.reshape(-1, 2)[pixel] - centres).max(-1) < SAME_PLACE
    seen = inside & (in_front | shown)
    return source, owner.reshape(height, width), depth, seen.reshape(h, w)


def rasterize(cloud: PointCloud, cameras: Cameras, input_camera: Cameras, *, edge_ratio: float = 1.1) -> Raster:
    """Find what every pixel of every view shows.

    Args:
      cloud: points that keep the pixel they came from.
      cameras: the views, one leading axis.
      input_camera: the camera in which `cloud.pixels` counts.
      edge_ratio: neighbouring points are on one surface if their depths differ by less than this factor.

    Raises:
      ValueError: a cloud with a point that is not in front of the input camera.
    """
    surf = surface(cloud, input_camera, edge_ratio)
    homs = homographies(cameras, input_camera)
    source, owner, depth, seen = view_by_view(
        lambda hom: _rasterize_view(surf, hom, width=cameras.width, height=cameras.height), homs
    )
    return Raster(source, owner, depth, seen, surf, homs, edge_ratio)
