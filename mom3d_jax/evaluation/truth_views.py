"""True views of a recording: its real frames, warped to the cameras of a path by one depth.

A camera on a tripod recorded the frames, so what it saw from elsewhere is not known. As in the evaluations of
3D-Cinemagraphy and 3D-MOM, each frame is rendered with depth from the camera of its time, without filling what the
recording never saw, and only what is covered is scored. Neither of them published how; this is our choice:

* the depth of the first frame serves all frames, so that it does not flicker;
* the z-buffered renderer of `views` draws it: every pixel is a small plane with the frame as its texture, surfaces end
  where the depths of neighbours differ by more than a factor of 1.1, the nearest wins;
* a pixel is covered where its centre lies on a surface; the small holes that `views` closes for training stay open;
* valid is what is covered, eroded by one pixel in all eight directions (nothing is lost at the border of the image).
"""

import dataclasses
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from mom3d_jax.cameras import select
from mom3d_jax.pointcloud import lift
from mom3d_jax.types import Cameras, Depth, Hints, PointCloud, Scene
from mom3d_jax.views import carry, rasterize


@dataclasses.dataclass(frozen=True)
class WarpedClip:
    """Frames along one path."""

    frames: UInt8[np.ndarray, "k h w 3"]
    """RGB; meaningful where valid, black where nothing is covered."""
    valid: Float[np.ndarray, "k h w"]
    """1 where the frame is truth."""
    moving: Float[np.ndarray, "k h w"]
    """1 where valid content moves."""
    covered: Float[np.ndarray, " k"]
    """Share of pixels that some surface covers."""

    def figures(self) -> dict[str, float]:
        """Shares in %, over all frames; `least_covered` is that of the worst frame."""
        return {
            "covered": 100 * float(self.covered.mean()),
            "holes": 100 * float(1 - self.covered.mean()),
            "least_covered": 100 * float(self.covered.min()),
            "valid": 100 * float(self.valid.mean()),
            "moving": 100 * float(self.moving.mean()),
        }


def truth_clip(
    frames: Float[np.ndarray, "k h w 3"],
    depth: Float[np.ndarray, "h w"],
    moving: Bool[np.ndarray, "h w"],
    camera: Cameras,
    cameras: Cameras,
    *,
    edge_ratio: float = 1.1,
) -> WarpedClip:
    """Frame k of a recording as camera k sees it.

    Colours are read with cubic interpolation, whose overshoot beyond [0, 1] becomes 0 or 1.

    Args:
      frames: the recording, RGB in [0, 1].
      depth: z of its first frame, positive, in the units of the cameras; the paths of `cameras` want its 1st percentile
        to be 1.
      moving: where the recording moves, at any time.
      camera: the one that recorded.
      cameras: of the views, one for each frame.
      edge_ratio: neighbouring pixels are on one surface if their depths differ by less than this factor.

    Raises:
      ValueError: sizes or counts that do not agree, frames that are not finite, or depth that is not positive.
    """
    count, size = len(frames), (camera.height, camera.width)
    if frames.shape[1:] != (*size, 3) or moving.shape != size or len(cameras.translation) != count or not count:
        given = f"frames {list(frames.shape)}, moving {list(moving.shape)} and {len(cameras.translation)} cameras"
        raise ValueError(f"{given} do not fit a camera of {size[1]}x{size[0]} px; give one size and one camera a frame")
    if not np.isfinite(frames).all():
        raise ValueError(f"{np.sum(~np.isfinite(frames))} values of the frames are not finite; read the video again")
    cloud = _surfaces(frames[0], depth, camera, edge_ratio)
    layers = (np.concatenate([frame, moving[..., None]], axis=-1).astype(np.float32) for frame in frames)
    views = [_warp(cloud, layer, camera, select(cameras, [k]), edge_ratio) for k, layer in enumerate(layers)]
    return WarpedClip(*(np.stack(part) for part in zip(*views, strict=True)))


def _surfaces(photo: np.ndarray, depth: np.ndarray, camera: Cameras, edge_ratio: float) -> PointCloud:
    nothing = np.zeros((0, 2), np.float32)
    still = np.zeros(photo.shape[:2], np.float32)
    scene = Scene(photo, still, Hints(nothing, nothing, np.zeros(0, bool)), None, None)
    lifted = Depth(depth, still, np.ones((), np.float32), source="of the first frame")
    return lift(scene, lifted, camera, edge_ratio=edge_ratio)


def _warp(cloud: PointCloud, layers: np.ndarray, camera: Cameras, view: Cameras, edge_ratio: float) -> tuple[Any, ...]:
    """One frame of each field of `WarpedClip`; the layers are RGB and what moves."""
    raster = rasterize(cloud, view, camera, edge_ratio=edge_ratio)
    covered = np.asarray(raster.owner[0]) >= 0
    seen = np.asarray(carry(raster, layers, "cubic")[0][0]) * covered[..., None]
    valid = cv2.erode(covered.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    colours = np.round(255 * np.clip(seen[..., :3], 0, 1)).astype(np.uint8)
    return colours, valid, valid * (seen[..., 3] > 0.5), np.float32(covered.mean())
