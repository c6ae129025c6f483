"""Render one view, or many on a mesh of devices."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Float, Int

from mom3d_jax.cameras import positions
from mom3d_jax.gaussians import covariances, opacities
from mom3d_jax.kernels.rasterize import Rasterized, count_intersections, rasterize
from mom3d_jax.render.projection import project_gaussians
from mom3d_jax.render.spherical_harmonics import sh_colors
from mom3d_jax.types import Array, Cameras, Gaussians


def render_view(
    gaussians: Gaussians,
    camera: Cameras,
    *,
    background: Float[Array, " 3"] | None = None,
    capacity: int | None = None,
    backend: str | None = None,
) -> Rasterized:
    """Render Gaussians from one camera.

    Args:
      gaussians: N Gaussians.
      camera: one camera, no leading axis.
      background: colour behind everything, black by default.
      capacity: room for that many (tile, Gaussian) intersections; needed under jit. See `needed_capacity`.
      backend: name of a rasterizer backend; None chooses one for the platform.

    Returns:
      The view's colour [h, w, 3], alpha [h, w] and depth [h, w] (Σ z α T: divide by alpha for a mean depth); right
      only where `used.intersections <= used.capacity`.
    """
    projected = project_gaussians(gaussians.means, covariances(gaussians), camera)
    return rasterize(
        projected.means,
        projected.conics,
        sh_colors(gaussians.sh, gaussians.means, positions(camera)),
        opacities(gaussians),
        projected.depths,
        width=camera.width,
        height=camera.height,
        background=background,
        capacity=capacity,
        backend=backend,
    )


def over_views(function: Callable[[Any, Any], Any], shared: Any, per_view: Any, *, mesh: Mesh | None = None) -> Any:
    """Map `function(shared, item)` over the leading axis of `per_view`, sharded over the mesh's `data` axis if any.

    Views run one after the other on their device: a rasterizer's loops have data-dependent lengths, which a vmap
    would all run to the longest. Differentiate outside of this function, never inside: under
    `shard_map(check_vma=False)` the gradient of the replicated `shared` is only right that way.

    Args:
      function: what to do for one view; a pure function of its arguments that closes over no traced array.
      shared: pytree that every view sees whole, such as the Gaussians.
      per_view: pytree with a leading axis of views, such as cameras and frames.
      mesh: devices to spread the views over; None runs them where the arrays are.

    Raises:
      ValueError: a number of views that is not a multiple of the mesh's `data` axis.
    """

    def local(shared: Any, per_view: Any) -> Any:
        return jax.lax.map(lambda item: function(shared, item), per_view)

    if mesh is None:
        return local(shared, per_view)
    views, devices = len(jax.tree.leaves(per_view)[0]), mesh.shape["data"]
    if views % devices:
        raise ValueError(f"{views} views do not divide over {devices} devices; pad them with views of weight 0")
    replicated, split = PartitionSpec(), PartitionSpec("data")
    sharded = jax.shard_map(local, mesh=mesh, in_specs=(replicated, split), out_specs=split, check_vma=False)
    return sharded(shared, per_view)


def needed_capacity(gaussians: Gaussians, cameras: Cameras) -> Int[Array, ""]:
    """The largest number of (tile, Gaussian) intersections in any of the views, counted exactly."""

    def count(camera: Cameras) -> jax.Array:
        projected = project_gaussians(gaussians.means, covariances(gaussians), camera)
        return count_intersections(
            projected.means,
            projected.conics,
            opacities(gaussians),
            projected.depths,
            width=camera.width,
            height=camera.height,
        )

    return jnp.max(jax.lax.map(count, cameras))
