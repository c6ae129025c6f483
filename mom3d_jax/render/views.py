"""Render one view, or many on a mesh of devices."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Float, Int

from mom3d_jax.cameras import positions
from mom3d_jax.gaussians import opacities, scales
from mom3d_jax.kernels.backends import BACKENDS, choose
from mom3d_jax.kernels.rasterize import Rasterized, bucket, count_intersections, rasterize
from mom3d_jax.render.projection import Projected, project_gaussians
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

    Raises:
      ValueError: a camera that `check_cameras` refuses, or what `kernels.rasterize` refuses.
      NotImplementedError: a backend that cannot run here.
    """
    check_cameras("render_view", camera, leading=0)
    projected = _project(gaussians, camera)
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


def rasterize_views(
    gaussians: Gaussians,
    cameras: Cameras,
    *,
    background: Float[Array, " 3"] | None = None,
    capacity: int | None = None,
    backend: str | None = None,
    mesh: Mesh | None = None,
) -> Rasterized:
    """Render the same Gaussians from V cameras: `render_view` of each, compiled once.

    Differentiable in Gaussians, cameras and background. The Gaussians are shared: their gradients are summed as the
    views are walked. The backward pass renders each view again instead of keeping what all of them need, so that
    memory does not grow with V, apart from the images. `pallas_triton` draws all views in one launch instead, which
    fills a GPU, and takes memory for the lists of each.

    Args:
      gaussians: N Gaussians.
      cameras: V cameras, one leading axis.
      background: colour behind everything, black by default.
      capacity: room for the (tile, Gaussian) intersections of one view. None counts those of all views first, which is
        possible only outside of tracing.
      backend: name of a rasterizer backend; None chooses one for the platform.
      mesh: devices to spread the views over, along its axis `data`; None renders them where the arrays are.

    Returns:
      Colour [V, h, w, 3], alpha [V, h, w] and depth [V, h, w] as of `render_view`; `used` has what each view needed
      [V] and how many Gaussians it left out [V]. A view is right only where `used.intersections <= used.capacity`.

    Raises:
      ValueError: a camera that `check_cameras` refuses, no capacity under tracing, a number of views that is not a
        multiple of the mesh, or what `kernels.rasterize` refuses.
      NotImplementedError: a backend that cannot run here.
    """
    check_cameras("rasterize_views", cameras, leading=1)
    if capacity is None:
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((gaussians, cameras))):
            raise ValueError(
                "rasterize_views: capacity=None needs concrete arrays; under jit, grad or vmap pass "
                "capacity=bucket(int(needed_capacity(gaussians, cameras))) counted outside"
            )
        capacity = bucket(int(needed_capacity(gaussians, cameras)))
    return _rasterize_views(gaussians, cameras, background, capacity=capacity, backend=backend, mesh=mesh)


@partial(jax.jit, static_argnames=("capacity", "backend", "mesh"))
def _rasterize_views(
    gaussians: Gaussians,
    cameras: Cameras,
    background: Float[Array, " 3"] | None,
    *,
    capacity: int,
    backend: str | None,
    mesh: Mesh | None,
) -> Rasterized:
    # Without the checkpoint a view would leave its projected Gaussians and lists behind for the backward pass.
    @partial(jax.checkpoint, prevent_cse=False)
    def one(shared: tuple[Gaussians, Array | None], camera: Cameras) -> Rasterized:
        gaussians, background = shared
        return render_view(gaussians, camera, background=background, capacity=capacity, backend=backend)

    together = BACKENDS[choose(backend)].together
    return over_views(one, (gaussians, background), cameras, mesh=mesh, together=together)


def over_views(
    function: Callable[[Any, Any], Any],
    shared: Any,
    per_view: Any,
    *,
    mesh: Mesh | None = None,
    together: bool = False,
) -> Any:
    """Map `function(shared, item)` over the leading axis of `per_view`, sharded over the mesh's `data` axis if any.

    Views run one after the other on their device: a rasterizer's loops have data-dependent lengths, which a vmap
    would all run to the longest. Differentiate outside of this function, never inside: under
    `shard_map(check_vma=False)` the gradient of the replicated `shared` is only right that way.

    Args:
      function: what to do for one view; a pure function of its arguments that closes over no traced array.
      shared: pytree that every view sees whole, such as the Gaussians.
      per_view: pytree with a leading axis of views, such as cameras and frames.
      mesh: devices to spread the views over; None runs them where the arrays are.
      together: `vmap` the views of a device after all, for a function that is made for it.

    Raises:
      ValueError: a number of views that is not a multiple of the mesh's `data` axis.
    """

    def local(shared: Any, per_view: Any) -> Any:
        one = partial(function, shared)
        return jax.vmap(one)(per_view) if together else jax.lax.map(one, per_view)

    if mesh is None:
        return local(shared, per_view)
    views, devices = len(jax.tree.leaves(per_view)[0]), mesh.shape["data"]
    if views % devices:
        raise ValueError(f"{views} views do not divide over {devices} devices; pad them with views of weight 0")
    replicated, split = PartitionSpec(), PartitionSpec("data")
    sharded = jax.shard_map(local, mesh=mesh, in_specs=(replicated, split), out_specs=split, check_vma=False)
    return sharded(shared, per_view)


def needed_capacity(gaussians: Gaussians, cameras: Cameras) -> Int[Array, ""]:
    """The largest number of (tile, Gaussian) intersections in any of the V views (one leading axis), counted exactly.

    Raises:
      ValueError: a camera that `check_cameras` refuses.
    """
    check_cameras("needed_capacity", cameras, leading=1)
    return _needed_capacity(gaussians, cameras)


@jax.jit
def _needed_capacity(gaussians: Gaussians, cameras: Cameras) -> Int[Array, ""]:
    def count(camera: Cameras) -> jax.Array:
        projected = _project(gaussians, camera)
        return count_intersections(
            projected.means,
            projected.conics,
            opacities(gaussians),
            projected.depths,
            width=camera.width,
            height=camera.height,
        )

    return jnp.max(jax.lax.map(count, cameras))


def _project(gaussians: Gaussians, camera: Cameras) -> Projected:
    return project_gaussians(gaussians.means, scales(gaussians), gaussians.quaternions, camera)


def check_cameras(op: str, cameras: Cameras, *, leading: int) -> None:
    """Refuse cameras that show nothing or everything wrong.

    Values are looked at where they are concrete arrays. Under jit, grad or vmap over the cameras there is nothing to
    look at, and a broken one shows in what comes out: its view is empty, or counts its Gaussians in `Used.culled`.

    Args:
      op: name for the message.
      cameras: one camera, or V of them.
      leading: 0 for one, 1 for a batch.

    Raises:
      ValueError: an image without pixels, no view at all, another number of leading axes, a value that is not finite,
        or a focal length that is not positive.
    """
    if cameras.width < 1 or cameras.height < 1:
        raise ValueError(f"{op}: image size {cameras.width}x{cameras.height} is not positive; cameras need 1x1 or more")
    for field, axes in (("rotation", 2), ("translation", 1), ("focal", 1), ("centre", 1)):
        values = getattr(cameras, field)
        if np.ndim(values) != axes + leading or not np.size(values):
            wanted = (
                "one camera, without a leading axis" if leading == 0 else "one or more cameras, on one leading axis"
            )
            raise ValueError(f"{op}: {field} has shape {np.shape(values)}; give {wanted}")
        if isinstance(values, jax.core.Tracer):
            continue
        values = np.asarray(values)
        sound = np.isfinite(values) & ((values > 0) | (field != "focal"))
        if not sound.all():
            index = np.argwhere(~sound)[0].tolist()
            view = f"view {index[0]}" if leading else "the camera"
            raise ValueError(
                f"{op}: {field}{index[leading:]} of {view} is {values[tuple(index)]}; "
                "poses and intrinsics have to be finite and focal lengths positive: repair that view or leave it out"
            )
