"""Points that somebody else made beyond what the photo shows: brought to our scale, sorted out, marked as moving.

Their world is the photo's camera (OpenCV axes), in a unit of their own. They are in no order: what hides what is found
with a z-buffer of single points.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import minimum_filter
from scipy.spatial import cKDTree

from mom3d_jax.cameras import pixel_grid, project, select, unproject
from mom3d_jax.types import Array, Cameras, PointCloud

LEAST_SEEN = 0.01
"""Share of the photo that points have to cover for their scale to be known."""
SPLAT = 3
"""Width of a point in the z-buffer, px, so that points in the back do not shine through."""
SAME_SURFACE = 1.1
"""Depths that differ by less than this factor are one surface."""
REACH = 3.0
"""What lies within so many px of a moving point of the photo, at its depth, moves with it."""


def z_buffer(points: Float[Array, "n 3"], camera: Cameras, splat: int = SPLAT) -> Float[np.ndarray, "h w"]:
    """Depth of the nearest point within `splat` px of each pixel; infinite where there is none."""
    pixels, z = (np.asarray(a) for a in project(camera, np.asarray(points, np.float32)))
    column, row, inside = _cells(pixels, z, camera)
    nearest = np.full((camera.height, camera.width), np.inf, np.float32)
    np.minimum.at(nearest, (row[inside], column[inside]), z[inside])
    return minimum_filter(nearest, splat, mode="constant", cval=np.inf)


def scale_of(points: Float[Array, "n 3"], z: Float[Array, "h w"], camera: Cameras) -> tuple[float, float]:
    """What their lengths are to be multiplied by, from their depth and ours in the photo.

    Returns:
      The median of our depth over theirs, and how far pixels are from agreeing with it: the median absolute deviation
      of its logarithm.

    Raises:
      ValueError: hardly anything of theirs is in the photo.
    """
    theirs = z_buffer(points, camera, splat=1)
    seen = np.isfinite(theirs)
    if seen.mean() < LEAST_SEEN:
        raise ValueError(
            f"its points cover {seen.mean():.1%} of the photo: the world has to be the photo's camera, "
            "x right, y down, z forward"
        )
    ratio = np.log(np.asarray(z)[seen] / theirs[seen])
    middle = np.median(ratio)
    return float(np.exp(middle)), float(np.median(np.abs(ratio - middle)))


def beyond_the_photo(
    points: Float[Array, "n 3"], z: Float[Array, "h w"], camera: Cameras
) -> tuple[Bool[np.ndarray, " n"], int]:
    """Which points the photo does not show: outside of it, or behind its surface.

    Returns:
      Those, and how many others were left out because they lie in front of the photo's surface, which they would hide.
    """
    pixels, own = (np.asarray(a) for a in project(camera, np.asarray(points, np.float32)))
    column, row, inside = _cells(pixels, own, camera)
    surface = np.asarray(z)[row, column]
    front = inside & (own * SAME_SURFACE < surface)
    return ~inside | (own > SAME_SURFACE * surface), int(front.sum())


def near_moving(points: Float[Array, "n 3"], cloud: PointCloud, camera: Cameras) -> Bool[np.ndarray, " n"]:
    """Which points lie on content of the photo that moves: the nearest of its points does, and is within `REACH`."""
    distance, nearest = cKDTree(np.asarray(cloud.points)).query(np.asarray(points))
    pixel = np.asarray(cloud.points)[nearest, 2] / float(np.mean(np.asarray(camera.focal)))
    return (np.asarray(cloud.mask)[nearest] > 0.5) & (distance < REACH * pixel)


def marked(
    points: Float[Array, "n 3"], cameras: Cameras, masks: Float[np.ndarray, "v h w"]
) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """What masks of views say about points.

    Args:
      points: any.
      cameras: of the views that have a mask.
      masks: 1 where content moves.

    Returns:
      Which points more than half of the views that show them mark as moving, and which points any view shows.
    """
    seen, moving = np.zeros(len(points), int), np.zeros(len(points), int)
    for v, mask in enumerate(masks):
        camera = select(cameras, v)
        front = z_buffer(points, camera)
        pixels, z = (np.asarray(a) for a in project(camera, np.asarray(points, np.float32)))
        column, row, inside = _cells(pixels, z, camera)
        shown = inside & (z < SAME_SURFACE * front[row, column])
        seen += shown
        moving += shown & (mask[row, column] > 0.5)
    return 2 * moving > seen, seen > 0


def lift_new(
    points: Float[Array, "n 3"],
    cameras: Cameras,
    images: Float[np.ndarray, "k h w 3"],
    allowed: Bool[np.ndarray, "k h w"] | None = None,
) -> tuple[Float[np.ndarray, "m 3"], Float[np.ndarray, "m 3"]]:
    """Points for what images show beyond a cloud, such as the frames of a generated camera move.

    Pixels that no point covers continue the surface beside them: along the row or the column, whichever is nearer to
    known depth, at the farther of its two ends, since what a moving camera uncovers lies behind.

    Args:
      points: the cloud so far.
      cameras: of the images; those that add most come best first.
      images: in [0, 1].
      allowed: which pixels may give points; None: all.

    Returns:
      The new points and their colours.
    """
    found, colors = [np.zeros((0, 3), np.float32)], [np.zeros((0, 3), np.float32)]
    for k, image in enumerate(images):
        camera = select(cameras, k)
        z = z_buffer(np.concatenate([np.asarray(points, np.float32), *found]), camera)
        new = ~np.isfinite(z)
        if new.all():
            continue
        depth = continued(np.where(new, np.nan, z))
        if allowed is not None:
            new &= allowed[k]
        found.append(np.asarray(unproject(camera, pixel_grid(camera.width, camera.height)[new], depth[new])))
        colors.append(np.asarray(image, np.float32)[new])
    return np.concatenate(found), np.concatenate(colors)


def continued(z: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Depth with its gaps (NaN) filled from the nearer of row and column, there from the farther of the two ends."""
    row_z, row_gap = _from_both_sides(z)
    column_z, column_gap = (a.T for a in _from_both_sides(z.T))
    filled = np.where(row_gap <= column_gap, row_z, column_z)
    # Pixels whose row and column are empty take the farthest depth there is.
    return np.where(np.isfinite(filled), filled, np.nanmax(z)).astype(np.float32)


def _from_both_sides(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Along rows: the farther of the known depths on both sides, and how far away the nearer place is, px."""
    width = z.shape[1]
    index = np.broadcast_to(np.arange(width), z.shape)
    known = np.isfinite(z)
    left = np.maximum.accumulate(np.where(known, index, -1), axis=1)
    right = np.minimum.accumulate(np.where(known, index, width)[:, ::-1], axis=1)[:, ::-1]
    at_left = np.where(left >= 0, np.take_along_axis(z, np.maximum(left, 0), 1), -np.inf)
    at_right = np.where(right < width, np.take_along_axis(z, np.minimum(right, width - 1), 1), -np.inf)
    gaps = np.where(left >= 0, index - left, np.inf), np.where(right < width, right - index, np.inf)
    return np.maximum(at_left, at_right), np.minimum(*gaps)


def _cells(pixels: np.ndarray, z: np.ndarray, camera: Cameras) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Column and row that each point falls into, 0 for those that are not in the image, and which are."""
    inside = (z > 0) & (pixels >= 0).all(-1) & (pixels < [camera.width, camera.height]).all(-1)
    cell = np.where(inside[:, None], pixels, 0).astype(int)
    return cell[:, 0], cell[:, 1], inside
