"""Flow of all views: from each view's own hints, or from fields made elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mom3d_jax.flow.hints import hint_flow
from mom3d_jax.types import Array, Flows, Hints, Scene, Views


def estimate_flow(
    scene: Scene,
    views: Views,
    carried: Float[Array, "v h w 2"] | None = None,
    *,
    sigma: float | None = None,
    input_view: int = 2,
) -> Flows:
    """Eulerian flow of every view.

    Args:
      scene: its flow, where it has one, is the flow of the input view as it is.
      views: masks and hints of the generation views.
      carried: flow of every view that was made elsewhere, px per frame (the scene's flow moved into the views, or one
        file per view). None interpolates each view's own hints.
      sigma: width of the hint weights in px; None takes H / n for the scene's n hints. It is the same in all views:
        the official random width alone changes the speed by about 10 %.
      input_view: index of the view at the input pose.

    Returns:
      Flow of each view, 0 outside its mask. A view with no visible hint, or with nothing that moves, and a view that
      was not accepted have weight 0.

    Raises:
      ValueError: neither hints nor a flow, a flow file that was not moved into the views, or sizes that differ.
    """
    masks = np.asarray(views.masks * views.valid, np.float32)
    if carried is not None:
        if np.shape(carried) != (*masks.shape, 2):
            raise ValueError(f"carried flow is {np.shape(carried)}; the views need {(*masks.shape, 2)}")
        flow = np.array(carried, np.float32)
        if scene.flow is not None:
            flow[input_view] = scene.flow
        flow *= masks[..., None]
        usable = (masks > 0).any((1, 2))
    elif scene.flow is not None:
        raise ValueError(f"scene {scene.name!r} has a flow file: move it into the views and pass it as `carried`")
    else:
        count = int(np.sum(scene.hints.valid))
        if count == 0:
            raise ValueError(f"scene {scene.name!r} has neither hints nor a flow file; draw an arrow labelled hint_0")
        sigma = masks.shape[1] / count if sigma is None else sigma
        if not sigma > 0:
            raise ValueError(f"sigma={sigma} px is not a positive width")
        flow = np.asarray(_all_views(views.hints, masks, sigma))
        usable = np.asarray(views.hints.valid).any(1) & (masks > 0).any((1, 2))
    return Flows(flow=flow, weight=(usable & np.asarray(views.accepted)).astype(np.float32))


def _all_views(hints: Hints, masks: Float[np.ndarray, "v h w"], sigma: float) -> Float[jax.Array, "v h w 2"]:
    """`hint_flow` of each view, one at a time: K weights per pixel of all views at once would not fit at full size."""
    one = lambda view: hint_flow(*view, sigma)
    return jax.lax.map(one, (jax.tree.map(jnp.asarray, hints), jnp.asarray(masks)))
