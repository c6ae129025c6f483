"""The cameras that the scene is generated from (paper §3.1.2; angles and order of the released code).

An outer pose turns about the input camera's centre, an inner pose orbits a point `radius` ahead:
R_y(a) R_x(b) with translation radius · (sin a, sin b, 2 - cos a - cos b), which maps the orbit point to itself up to
second order. View 5 · outer + inner; outer 0 and inner 2 are the input pose, so view 2 is the input view.

The paper speaks of "about 30" views, the released code has 25. With 30, a sixth outer pose looks ahead from half way
along the evaluation path that moves in, from where near content is seen in more detail than in the photo.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from mom3d_jax.cameras.pinhole import relative_to
from mom3d_jax.types import Array, Cameras

# Outer (yaw, pitch) as multiples of the outer angles and inner (a, b) as multiples of the orbit angle.
OUTER = ((0, 0), (1, 0), (-1, 0), (0, -1), (0, 1))
INNER = ((1, 0), (0, -1), (0, 0), (0, 1), (-1, 0))
INPUT_VIEW = 2
AHEAD = 0.12
"""How far the sixth outer pose stands in front of the input camera, world units: half of `paths`' zoom-in."""
COUNTS = (25, 30)

HELDOUT_DEGREES = ((3, 2), (3, -2), (-3, 2), (-3, -2), (0, 4), (0, -4))
"""Orbit angles (a, b) of the poses between the generation views that nothing is trained on."""


@dataclasses.dataclass(frozen=True)
class Rig:
    """Where the generation cameras stand; angles in degrees.

    The defaults follow the scene: the outer angles keep the official ratio to the field of view of a square image, and
    the orbit shrinks where the near content would leave the view. The released code has yaw 20, pitch 22.5, orbit 5,
    radius 4.3 and no cap, whatever the image.
    """

    count: int = 25
    """25 or 30 views."""
    yaw: float = 0.0
    """Of the outer poses to the sides; 0 takes 0.42 of the horizontal field of view."""
    pitch: float = 0.0
    """Of the outer poses up and down; 0 takes 0.47 of the vertical field of view."""
    orbit: float = 5.0
    """Of the inner poses."""
    radius: float = 0.0
    """Distance of the point that the inner poses orbit, world units; 0 takes the median depth, clipped to [1.5, 20]."""
    cap: float = 0.08
    """The orbit shrinks until the 5th percentile of depth moves by at most this share of the width; 0 leaves it."""

    def __post_init__(self) -> None:
        if self.count not in COUNTS:
            raise ValueError(f"views.count={self.count} is not one of {', '.join(map(str, COUNTS))}")
        for name in ("yaw", "pitch", "orbit", "radius", "cap"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"views.{name}={getattr(self, name)} is not a number from 0 up")


def _rotation(yaw: float, pitch: float) -> np.ndarray:
    """R_y(yaw) R_x(pitch) for angles in radians, acting world to camera: yaw > 0 looks right, pitch < 0 looks up."""
    cy, sy, cx, sx = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    return np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]]) @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])


def orbit_pose(a: float, b: float, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """World-to-camera pose of an orbit by angles (a, b) in radians around the point (0, 0, radius)."""
    translation = radius * np.array([np.sin(a), np.sin(b), 2 - np.cos(a) - np.cos(b)])
    return _rotation(a, b), translation


def _orbit(camera: Cameras, depth: Float[Array, "h w"], rig: Rig) -> tuple[float, float]:
    """Radius of the orbits of a scene, and the share of their angles that its near content allows."""
    z = np.asarray(depth, np.float64)
    radius = rig.radius or float(np.clip(np.median(z), 1.5, 20.0))
    if not rig.cap or not rig.orbit:
        return radius, 1.0
    near = float(np.percentile(z, 5))
    # On the orbit a point at depth z shifts by f · radius · sin(angle) · |1/z - 1/radius|.
    shift = float(np.max(np.asarray(camera.focal))) * abs(radius / near - 1)
    nominal = np.radians(rig.orbit)
    allowed = np.arcsin(min(np.sin(nominal), rig.cap * camera.width / max(shift, 1e-9)))
    return radius, float(allowed / nominal)


def heldout_cameras(camera: Cameras, depth: Float[Array, "h w"], rig: Rig = Rig()) -> Cameras:
    """Six poses on the orbit of the generation views, at `HELDOUT_DEGREES` under the same cap of the baseline."""
    radius, share = _orbit(camera, depth, rig)
    poses = [orbit_pose(share * np.radians(a), share * np.radians(b), radius) for a, b in HELDOUT_DEGREES]
    return relative_to(camera, *(np.stack(part) for part in zip(*poses, strict=True)))


def generation_cameras(camera: Cameras, depth: Float[Array, "h w"], rig: Rig = Rig()) -> Cameras:
    """The generation cameras of a scene, `rig.count` of them.

    Args:
      camera: the input camera.
      depth: positive z of the input view.
      rig: where they stand.
    """
    fx, fy = np.asarray(camera.focal, np.float64)
    yaw = np.radians(rig.yaw) or 0.42 * 2 * np.arctan(camera.width / (2 * fx))
    pitch = np.radians(rig.pitch) or 0.47 * 2 * np.arctan(camera.height / (2 * fy))
    radius, share = _orbit(camera, depth, rig)
    orbit = share * np.radians(rig.orbit)
    outer = [(_rotation(y * yaw, p * pitch), np.zeros(3)) for y, p in OUTER]
    if rig.count == 30:
        outer.append((np.eye(3), np.array([0, 0, -AHEAD])))
    rotations, translations = [], []
    for outer_rotation, outer_translation in outer:
        for a_share, b_share in INNER:
            inner, translation = orbit_pose(a_share * orbit, b_share * orbit, radius)
            rotations.append(inner @ outer_rotation)
            translations.append(inner @ outer_translation + translation)
    return relative_to(camera, np.stack(rotations), np.stack(translations))
