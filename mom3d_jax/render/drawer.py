"""Draw many views outside of training: over the mesh, with as much capacity as they turn out to need."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from mom3d_jax.kernels.rasterize import Rasterized, bucket
from mom3d_jax.render.views import check_cameras, over_views, render_view
from mom3d_jax.types import Cameras, Gaussians


@partial(jax.jit, static_argnames=("mesh", "capacity", "backend"))
def _draw(gaussians: Gaussians, cameras: Cameras, mesh: Mesh, capacity: int, backend: str | None) -> Rasterized:
    def one(_: tuple[()], item: tuple[Gaussians, Cameras]) -> Rasterized:
        return render_view(*item, capacity=capacity, backend=backend)

    return over_views(one, (), (gaussians, cameras), mesh=mesh)


class Drawer:
    """Draws batches of as many views as the mesh has devices, each of Gaussians of its own (`rasterize_views` shares).

    One program is compiled per number of Gaussians and image size, whatever is drawn with it. A view that needs more
    capacity is drawn again with more, which stays.
    """

    def __init__(self, mesh: Mesh, capacity: int, backend: str | None = None):
        self.batch = mesh.size
        self._mesh, self._capacity, self._backend = mesh, capacity, backend

    def __call__(self, gaussians: Gaussians, cameras: Cameras) -> Rasterized:
        """Draw a batch: leading axis `batch` on both arguments and on the result.

        Raises:
          ValueError: a camera that `views.check_cameras` refuses.
        """
        check_cameras("Drawer", cameras, leading=1)
        while True:
            views = _draw(gaussians, cameras, mesh=self._mesh, capacity=self._capacity, backend=self._backend)
            needed = int(jnp.max(views.used.intersections))
            if needed <= self._capacity:
                return views
            self._capacity = bucket(needed)
