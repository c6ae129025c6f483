"""One training step: render the batch's views on the mesh, differentiate, update."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Bool, Float, Int

from mom3d_jax.deformation import blend, gaussian_sets
from mom3d_jax.render import Used, over_views, render_view
from mom3d_jax.training.losses import photometric
from mom3d_jax.training.pool import Item
from mom3d_jax.training.sharding import replicated, split_over_data
from mom3d_jax.training.state import Frozen, TrainState, scene_gaussians
from mom3d_jax.types import Array


class View(Protocol):
    """How a view is drawn; hashable, so that a step is compiled once for it."""

    @property
    def backend(self) -> str | None:
        """Rasterizer backend."""
        ...

    def __call__(self, params: dict, frozen: Frozen, item: Item, capacity: int, /) -> tuple[jax.Array, Used]:
        """Image [h, w, 3] and what the rasterizer used."""
        ...


@dataclasses.dataclass(frozen=True)
class StaticView:
    """How stage 1 draws a view: the Gaussians as they are."""

    backend: str | None = None

    def __call__(self, params: dict, frozen: Frozen, item: Item, capacity: int) -> tuple[jax.Array, Used]:
        """Image [h, w, 3] and what it took."""
        view = render_view(scene_gaussians(params, frozen), item.camera, capacity=capacity, backend=self.backend)
        return view.color, view.used


@dataclasses.dataclass(frozen=True)
class DynamicView:
    """How stage 2 draws a view: the field's sets at the item's frame, blended."""

    field: str = "fill"
    backend: str | None = None

    def __call__(self, params: dict, frozen: Frozen, item: Item, capacity: int) -> tuple[jax.Array, Used]:
        """Image [h, w, 3] and the most that any set took."""
        gaussians = scene_gaussians(params, frozen)
        sets, weights = gaussian_sets(gaussians, frozen.moving(), params["residual"], item.frame, self.field)
        views = [render_view(g, item.camera, capacity=capacity, backend=self.backend) for g in sets]
        most = jax.tree.map(lambda *counts: jnp.max(jnp.stack(counts)), *(v.used for v in views))
        return blend([v.color for v in views], weights), most


class StepReport(NamedTuple):
    """What the host wants to know of a step."""

    loss: Float[jax.Array, ""]
    intersections: Int[jax.Array, ""]
    """The most that any view of the batch needed."""
    fits: Bool[jax.Array, ""]
    """False where the capacity was exceeded: nothing changed, run the batch again with more."""
    culled: Int[jax.Array, ""]
    """The most Gaussians that a view left out because a value was not finite or a covariance not positive."""


def make_step(
    view: View,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    *,
    capacity: int,
    ssim_weight: float = 0.2,
    sh_rest_share: float = 1 / 20,
    sh_every: int = 0,
) -> Callable[[TrainState, Frozen, Item], tuple[TrainState, StepReport]]:
    """A jitted step over a batch whose size is a multiple of the mesh.

    State and frozen arrays are replicated over the mesh, the batch is split, the old state is donated. The gradient
    is taken outside the sharded rendering (see `render.over_views`). A step that exceeds the capacity changes
    nothing; one whose loss or gradient is not finite changes only the counters.

    Args:
      view: how a view is drawn.
      optimizer: of all parameters.
      mesh: devices.
      capacity: room for the intersections of a view.
      ssim_weight: λ of eq. 3.
      sh_rest_share: learning rate of the spherical harmonics above degree 0, as a share of that of degree 0.
      sh_every: the steps whose number, from 1 on, is a multiple of it bring one more degree of the spherical harmonics;
        0: all take part from the start. Bands that do not take part yet keep their initial zeros.
    """

    def view_loss(shared: tuple[dict, Frozen], item: Item) -> tuple[jax.Array, Used]:
        params, frozen = shared
        image, used = view(params, frozen, item, capacity)
        return photometric(image, item.image, item.valid, ssim_weight), used

    def objective(params: dict, frozen: Frozen, batch: Item) -> tuple[jax.Array, Used]:
        losses, used = over_views(view_loss, (params, frozen), batch, mesh=mesh)
        loss = jnp.sum(batch.weight * losses) / jnp.maximum(jnp.sum(batch.weight), 1.0)
        if frozen.dynamics is not None:
            loss += sum(frozen.dynamics.residual.regularize(params["residual"]).values())
        return loss, jax.tree.map(jnp.max, used)

    def step(state: TrainState, frozen: Frozen, batch: Item) -> tuple[TrainState, StepReport]:
        (loss, used), gradient = jax.value_and_grad(objective, has_aux=True)(state.params, frozen, batch)
        if sh_every:
            gradient = _without_late_bands(gradient, (state.step + 1) // sh_every)
        with jax.numpy_dtype_promotion("standard"):  # optax raises floats to its int32 step count
            updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, _in_world_units(updates, frozen, sh_rest_share))
        fits = used.intersections <= capacity
        finite = jnp.isfinite(loss) & jnp.isfinite(optax.tree.norm(gradient))
        kept = _choose(fits & finite, (params, opt_state), (state.params, state.opt_state))
        new = TrainState(
            step=state.step + fits.astype(jnp.int32),
            params=kept[0],
            opt_state=kept[1],
            skipped=state.skipped + (fits & ~finite).astype(jnp.int32),
        )
        return new, StepReport(loss, used.intersections, fits, used.culled)

    whole, split = replicated(mesh), split_over_data(mesh)
    return jax.jit(step, in_shardings=(whole, whole, split), out_shardings=whole, donate_argnums=0)


def _without_late_bands(gradient: dict, degree: Int[Array, ""]) -> dict:
    """The gradient without the SH bands above a degree."""
    sh = gradient["gaussians"]["sh"]
    takes_part = jnp.arange(sh.shape[1]) < jnp.square(jnp.asarray(degree) + 1)
    return {**gradient, "gaussians": {**gradient["gaussians"], "sh": jnp.where(takes_part[None, :, None], sh, 0.0)}}


def _in_world_units(updates: dict, frozen: Frozen, sh_rest_share: float) -> dict:
    """Turn position updates into world units, and slow down the SH bands above degree 0 as 3DGS does."""
    moved = dict(updates["gaussians"])
    moved["means"] = moved["means"] * frozen.pixel_size[:, None]
    bands = jnp.where(jnp.arange(moved["sh"].shape[1]) == 0, 1.0, sh_rest_share)
    moved["sh"] = moved["sh"] * bands[None, :, None]
    return {**updates, "gaussians": moved}


def _choose(condition: jax.Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)
