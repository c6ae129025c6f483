"""Images, masks and hints of all generation views."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mom3d_jax.cameras import project, unproject
from mom3d_jax.types import Array, Cameras, Hints, PointCloud, Scene, Views
from mom3d_jax.views.carry import carry
from mom3d_jax.views.raster import rasterize


def _points_under(cloud: PointCloud, start: Float[Array, "k 2"], width: int) -> np.ndarray:
    """Index of the lifted point nearest to each hint's start."""
    pixels = np.asarray(cloud.pixels)
    centres = np.stack([pixels % width, pixels // width], -1) + 0.5
    return np.array([np.argmin(((centres - s) ** 2).sum(-1)) for s in np.asarray(start)], dtype=np.int64)


def project_hints(hints: Hints, cloud: PointCloud, cameras: Cameras, input_camera: Cameras, visible: Array) -> Hints:
    """Carry hints to the views; the hint at position k stays at position k.

    Start and end of one frame's motion are lifted with the depth at the start, so an arrow that ends across a depth
    edge does not gain a motion in depth. A hint is valid in a view if its start is in bounds and its point is visible.

    Args:
      hints: hints of the photo, [K].
      cloud: the lifted photo.
      cameras: the views.
      input_camera: camera of the photo.
      visible: [V,N] whether each point is seen in each view.

    Returns:
      Hints of each view, [V,K]; start and motion are 0 where the hint is not valid.
    """
    start, motion = np.asarray(hints.start, np.float32), np.asarray(hints.motion, np.float32)
    under = _points_under(cloud, start, input_camera.width)
    z = project(input_camera, np.asarray(cloud.points)[under])[1]
    ends = [unproject(input_camera, p, z) for p in (start, start + motion)]
    (first, ahead), (last, ahead_last) = (
        jax.vmap(project, in_axes=(0, None))(jax.tree.map(jnp.asarray, cameras), end) for end in ends
    )
    inside = (first >= 0).all(-1) & (first[..., 0] < cameras.width) & (first[..., 1] < cameras.height)
    valid = np.asarray(hints.valid)[None] & np.asarray(inside & (ahead > 0) & (ahead_last > 0))
    valid &= np.asarray(visible)[:, under]
    return Hints(
        start=np.where(valid[..., None], first, 0).astype(np.float32),
        motion=np.where(valid[..., None], last - first, 0).astype(np.float32),
        valid=valid,
    )


def render_views(
    cloud: PointCloud,
    cameras: Cameras,
    scene: Scene,
    input_camera: Cameras,
    *,
    min_coverage: float = 0.4,
    edge_ratio: float = 1.1,
) -> Views:
    """The photo as the generation cameras see it.

    Args:
      cloud: the lifted photo.
      cameras: the views, one leading axis.
      scene: whose hints are carried along.
      input_camera: camera of the photo.
      min_coverage: views whose covered share is smaller are not accepted, nor are those that show nothing at all.
      edge_ratio: neighbouring points are on one surface if their depths differ by less than this factor.

    Raises:
      ValueError: cameras without a leading axis, or a coverage threshold outside [0, 1].
    """
    if np.ndim(cameras.translation) != 2:
        raise ValueError(f"render_views takes a batch of cameras, not translation {np.shape(cameras.translation)}")
    if not 0 <= min_coverage <= 1:
        raise ValueError(f"min_coverage={min_coverage} is not a share between 0 and 1")
    raster = rasterize(cloud, cameras, input_camera, edge_ratio=edge_ratio)
    h, w = input_camera.height, input_camera.width
    pixels = np.asarray(cloud.pixels)
    photo = np.zeros((h * w, 4), np.float32)
    photo[pixels, :3], photo[pixels, 3] = cloud.colors, cloud.mask
    carried, depth = carry(raster, photo.reshape(h, w, 4), "cubic")
    seen = np.asarray(jnp.clip(carried, 0, 1))
    visible = np.asarray(raster.seen).reshape(len(raster.seen), -1)[:, pixels]
    valid = np.asarray(depth > 0, np.float32)
    coverage = valid.mean((1, 2))
    return Views(
        cameras=cameras,
        images=seen[..., :3],
        valid=valid,
        masks=seen[..., 3],
        depth=np.asarray(depth),
        visible=visible,
        hints=project_hints(scene.hints, cloud, cameras, input_camera, visible),
        coverage=coverage,
        accepted=(coverage >= min_coverage) & (coverage > 0),
    )
