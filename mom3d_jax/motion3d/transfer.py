"""Motion of Gaussians that are not the photo's own points: that of the nearest points which move."""

import jax
import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

from mom3d_jax.motion3d.displacements import displacements
from mom3d_jax.types import Array, Displacements, PointCloud, SceneFlow

NEIGHBOURS = 4


def anchors_of(
    x: Float[Array, "m 3"], cloud: PointCloud, movable_above: float
) -> tuple[Int[np.ndarray, "m k"], Float[np.ndarray, "m k"]]:
    """The nearest moving points of the photo, and their weights by inverse distance.

    Raises:
      ValueError: nothing of the photo moves.
    """
    moving = np.flatnonzero(np.asarray(cloud.mask) > movable_above)
    if not len(moving):
        raise ValueError("nothing of the photo moves, so there is no motion to hand on")
    count = min(NEIGHBOURS, len(moving))
    distance, nearest = cKDTree(np.asarray(cloud.points)[moving]).query(np.asarray(x), k=list(range(1, count + 1)))
    weights = 1 / np.maximum(distance, 1e-6)
    weights /= weights.sum(-1, keepdims=True)
    return moving[nearest].astype(np.int32), weights.astype(np.float32)


def transferred(
    own: Displacements,
    scene_flow: SceneFlow,
    anchors: Int[np.ndarray, "m k"],
    weights: Float[np.ndarray, "m k"],
    *,
    integration: str,
    flow_scale: float,
) -> Displacements:
    """Displacements in which rows with anchors travel as those do: D(k) = Σ wⱼ Dⱼ(k).

    Args:
      own: of all rows, looked up where they are.
      scene_flow: the motion of the photo's points.
      anchors: indices of points, -1 throughout for rows that keep their own.
      weights: of the anchors, with sum 1.
      integration: as in `displacements`.
      flow_scale: as in `displacements`.
    """
    taken = anchors[:, 0] >= 0
    if not taken.any():
        return own
    used, slots = np.unique(anchors[taken], return_inverse=True)
    frames = len(own.forward) - 1
    travel = displacements(
        scene_flow, np.asarray(scene_flow.points)[used], frames=frames, integration=integration, flow_scale=flow_scale
    )
    slots, shares = slots.reshape(-1, anchors.shape[1]), weights[taken]

    def mixed(mine: Array, theirs: Array) -> np.ndarray:
        mine, theirs = np.array(mine), np.asarray(theirs)
        at_anchors = theirs[:, slots]
        mine[:, taken] = np.einsum("tmk...,mk->tm...", at_anchors, shares)
        return mine

    return jax.tree.map(mixed, own, travel)
