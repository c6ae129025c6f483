"""Flow of all views: from a view's own file, the photo's flow moved into the view, or the hints that are seen in it."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mom3d_jax.flow.hints import hint_flow
from mom3d_jax.flow.space import Velocities, space_flow
from mom3d_jax.types import Array, Cameras, Flows, Hints, Scene, Views


def estimate_flow(
    scene: Scene,
    views: Views,
    carried: Float[Array, "v h w 2"] | None = None,
    *,
    sigma: float | None = None,
    arrows: Velocities | None = None,
    input_view: int = 2,
) -> Flows:
    """Eulerian flow of every view.

    Args:
      scene: its flow, where it has one, is the flow of the input view as it is; flows of single views are theirs as
        they are, before everything else.
      views: masks and hints of the generation views.
      carried: the scene's flow moved into every view, px per frame. None takes the arrows.
      sigma: width of the hint weights in px; None takes H / n for the scene's n hints. It is the same in all views:
        the official random width alone changes the speed by about 10 %.
      arrows: the scene's hints in space, which all views then share (`space_flow`). None interpolates each view's own
        hints over its image (`hint_flow`, paper §3.2.1).
      input_view: index of the view at the input pose.

    Returns:
      Flow of each view, 0 outside its mask. A view with neither a flow nor an arrow of its own or in space, or with
      nothing that moves, and a view that was not accepted have weight 0: they say nothing.

    Raises:
      ValueError: neither hints nor a flow, flow of a view that there is not, a flow file that was not moved into the
        views, or sizes that differ.
    """
    own = {int(view): np.asarray(flow, np.float32) for view, flow in (scene.view_flows or {}).items()}
    beyond = [view for view in own if not 0 <= view < len(views.masks)]
    if beyond:
        raise ValueError(f"flow of view {beyond[0]} is given, but there are only views 0 to {len(views.masks) - 1}")
    masks = np.asarray(views.masks * views.valid, np.float32)
    if carried is not None:
        if np.shape(carried) != (*masks.shape, 2):
            raise ValueError(f"carried flow is {np.shape(carried)}; the views need {(*masks.shape, 2)}")
        flow = np.array(carried, np.float32)
        if scene.flow is not None:
            flow[input_view] = scene.flow
        flow *= masks[..., None]
        known = np.ones(len(flow), bool)
    elif scene.flow is not None:
        raise ValueError(f"scene {scene.name!r} has a flow file: move it into the views and pass it as `carried`")
    elif np.any(scene.hints.valid):
        sigma = width_of(scene, sigma)
        if arrows is None:
            flow = np.array(_all_views(views.hints, masks, sigma))
            known = np.array(np.any(views.hints.valid, axis=1))
        else:
            flow = np.array(_all_views_in_space(arrows, masks, views.depth, views.cameras, sigma))
            known = np.full(len(flow), bool(np.any(arrows.valid)))
    elif own:
        flow, known = np.zeros((*masks.shape, 2), np.float32), np.zeros(len(masks), bool)
    else:
        raise ValueError(f"scene {scene.name!r} has neither hints nor a flow file; draw an arrow labelled hint_0")
    for view, given in own.items():
        flow[view], known[view] = given * masks[view][..., None], True
    usable = known & (masks > 0).any((1, 2))
    return Flows(flow=flow, weight=(usable & np.asarray(views.accepted)).astype(np.float32))


def width_of(scene: Scene, sigma: float | None) -> float:
    """Width of the hint weights in px: what was asked for, else H / n.

    Raises:
      ValueError: a width that is not positive.
    """
    sigma = scene.mask.shape[0] / max(int(np.sum(scene.hints.valid)), 1) if sigma is None else sigma
    if not sigma > 0:
        raise ValueError(f"sigma={sigma} px is not a positive width")
    return sigma


def _all_views(hints: Hints, masks: Float[np.ndarray, "v h w"], sigma: float) -> Float[jax.Array, "v h w 2"]:
    """`hint_flow` of each view, one at a time: K weights per pixel of all views at once would not fit at full size."""
    one = lambda view: hint_flow(*view, sigma)
    return jax.lax.map(one, (jax.tree.map(jnp.asarray, hints), jnp.asarray(masks)))


@jax.jit
def _all_views_in_space(
    arrows: Velocities, masks: Float[Array, "v h w"], depth: Float[Array, "v h w"], cameras: Cameras, sigma: float
) -> Float[jax.Array, "v h w 2"]:
    """`space_flow` of each view, one at a time."""
    one = lambda view: space_flow(arrows, view[0], view[1], view[2], sigma)
    return jax.lax.map(one, (masks, depth, cameras))
