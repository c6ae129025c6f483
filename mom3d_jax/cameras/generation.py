"""The 5 x 5 cameras that the scene is generated from (paper §3.2; angles and order of the released code).

An outer pose turns about the input camera's centre, an inner pose orbits a point `radius` ahead:
R_y(a) R_x(b) with translation radius · (sin a, sin b, 2 - cos a - cos b), which maps the orbit point to itself up to
second order. View 5 · outer + inner; outer 0 and inner 2 are the input pose, so view 2 is the input view.
"""

import numpy as np
from jaxtyping import Float

from mom3d_jax.cameras.pinhole import relative_to
from mom3d_jax.types import Array, Cameras

# Outer (yaw, pitch) as multiples of the outer angles and inner (a, b) as multiples of the orbit angle.
OUTER = ((0, 0), (1, 0), (-1, 0), (0, -1), (0, 1))
INNER = ((1, 0), (0, -1), (0, 0), (0, 1), (-1, 0))
INPUT_VIEW = 2

# Official constants (degrees; orbit radius in its raw depth units).
OFFICIAL = {"yaw": 20.0, "pitch": 22.5, "orbit": 5.0, "radius": 4.3}


def _rotation(yaw: float, pitch: float) -> np.ndarray:
    """R_y(yaw) R_x(pitch) for angles in radians, acting world to camera: yaw > 0 looks right, pitch < 0 looks up."""
    cy, sy, cx, sx = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    return np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]]) @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])


def orbit_pose(a: float, b: float, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """World-to-camera pose of an orbit by angles (a, b) in radians around the point (0, 0, radius)."""
    translation = radius * np.array([np.sin(a), np.sin(b), 2 - np.cos(a) - np.cos(b)])
    return _rotation(a, b), translation


def inner_outer_index(outer: int, inner: int) -> int:
    """Index of a generation view."""
    return len(INNER) * outer + inner


HELDOUT_DEGREES = ((3, 2), (3, -2), (-3, 2), (-3, -2), (0, 4), (0, -4))
"""Orbit angles (a, b) of the poses between the generation views that nothing is trained on."""


def _orbit(camera: Cameras, depth: Float[Array, "h w"]) -> tuple[float, float]:
    """Radius of the orbits of a scene, and the share of their nominal angles that its near content allows."""
    z = np.asarray(depth, np.float64)
    radius = float(np.clip(np.median(z), 1.5, 20.0))
    near = float(np.percentile(z, 5))
    # On the orbit a point at depth z shifts by f · radius · sin(angle) · |1/z - 1/radius|.
    shift = float(np.max(np.asarray(camera.focal))) * abs(radius / near - 1)
    nominal = np.radians(OFFICIAL["orbit"])
    allowed = np.arcsin(min(np.sin(nominal), 0.08 * camera.width / max(shift, 1e-9)))
    return radius, float(allowed / nominal)


def heldout_cameras(camera: Cameras, depth: Float[Array, "h w"]) -> Cameras:
    """Six poses on the orbit of the generation views, at `HELDOUT_DEGREES` under the same cap of the baseline."""
    radius, share = _orbit(camera, depth)
    poses = [orbit_pose(share * np.radians(a), share * np.radians(b), radius) for a, b in HELDOUT_DEGREES]
    return relative_to(camera, *(np.stack(part) for part in zip(*poses, strict=True)))


def generation_cameras(camera: Cameras, depth: Float[Array, "h w"], preset: str = "fov") -> Cameras:
    """The 25 generation cameras of a scene.

    Args:
      camera: the input camera.
      depth: positive z of the input view, 1st percentile 1.
      preset: "fov" turns the outer poses by 0.42 and 0.47 of the horizontal and vertical field of view (the official
        ratio on a square image), orbits the median depth (clipped to [1.5, 20]) by 5°, less where the 5th depth
        percentile would move by more than 8 % of the width; "official" uses the released constants.

    Raises:
      ValueError: an unknown preset.
    """
    fx, fy = np.asarray(camera.focal, np.float64)
    if preset == "official":
        yaw, pitch, orbit = (np.radians(OFFICIAL[k]) for k in ("yaw", "pitch", "orbit"))
        radius = OFFICIAL["radius"]
    elif preset == "fov":
        yaw = 0.42 * 2 * np.arctan(camera.width / (2 * fx))
        pitch = 0.47 * 2 * np.arctan(camera.height / (2 * fy))
        radius, share = _orbit(camera, depth)
        orbit = share * np.radians(OFFICIAL["orbit"])
    else:
        raise ValueError(f"unknown view preset {preset!r}; known: fov, official")
    rotations, translations = [], []
    for yaw_share, pitch_share in OUTER:
        outer = _rotation(yaw_share * yaw, pitch_share * pitch)
        for a_share, b_share in INNER:
            inner, translation = orbit_pose(a_share * orbit, b_share * orbit, radius)
            rotations.append(inner @ outer)
            translations.append(translation)
    return relative_to(camera, np.stack(rotations), np.stack(translations))
