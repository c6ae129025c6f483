"""Lifting: X = z K⁻¹ (u + 1/2, v + 1/2, 1) for the pixel in column u, row v."""

import numpy as np

from mom3d_jax.cameras import pixel_grid, unproject
from mom3d_jax.pointcloud.edges import snap_between
from mom3d_jax.pointcloud.neighbours import grid_neighbours
from mom3d_jax.types import Cameras, Depth, PointCloud, Scene


def lift(scene: Scene, depth: Depth, camera: Cameras, *, edge_ratio: float = 1.1, neighbours: int = 8) -> PointCloud:
    """Lift the photo to world points, one per pixel, row-major.

    Args:
      scene: the photo and its motion mask, [H,W].
      depth: positive z of the photo, same size.
      camera: the input camera, same size.
      edge_ratio: two neighbouring pixels are on one surface if their depths differ by less than this factor. Depths
        in between two surfaces are moved to one of them (`edges`).
      neighbours: K of `PointCloud.neighbours`.

    Raises:
      ValueError: sizes that do not agree, depth that is not positive and finite, or a ratio of 1 or less.
    """
    z = np.asarray(depth.z, np.float32)
    sizes = {"image": scene.image.shape[:2], "mask": scene.mask.shape, "depth": z.shape}
    for name, size in sizes.items():
        if size != (camera.height, camera.width):
            raise ValueError(f"{name} of scene {scene.name!r} is {size}, the camera {camera.height, camera.width}")
    bad = int(np.sum(~(np.isfinite(z) & (z > 0))))
    if bad:
        raise ValueError(f"depth ({depth.source}) has {bad} of {z.size} pixels that are not positive; repair the map")
    if not edge_ratio > 1:
        raise ValueError(f"edge_ratio={edge_ratio} is not above 1; 1.1 allows 10 % between neighbours")

    between, z = z, snap_between(z, edge_ratio)
    return PointCloud(
        points=np.asarray(unproject(camera, pixel_grid(camera.width, camera.height), z)).reshape(-1, 3),
        colors=np.asarray(scene.image, np.float32).reshape(-1, 3),
        mask=np.asarray(scene.mask, np.float32).reshape(-1),
        pixels=np.arange(z.size, dtype=np.int32),
        neighbours=grid_neighbours(z, scene.mask, neighbours, edge_ratio),
        snapped=int(np.sum(z != between)),
    )
