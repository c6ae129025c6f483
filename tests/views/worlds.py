"""A small world with closed-form depth and colour, ray-cast in float64: the truth for rendered views."""

import numpy as np

from mom3d_jax.cameras import input_camera
from mom3d_jax.pointcloud import lift
from mom3d_jax.types import Depth, Hints, Scene

WALL_Z, GROUND_Y = 8.0, 1.2
CARD = (-0.5, 0.35, -0.45, 0.4, 2.5)  # x0, x1, y0, y1, z


def paint(x, y, z, surface):
    """Smooth colour of a world point, different on each surface."""
    phase = 1.7 * surface
    waves = [np.sin(2.1 * x / z**0.3 + 1.3 * y + phase + c) * np.cos(1.7 * y - 0.9 * z + c) for c in range(3)]
    return 0.5 + 0.2 * np.stack(waves, -1) + 0.08 * np.stack([surface % 2, surface / 2, 0 * surface], -1)


def cast(camera, card=CARD):
    """Depth, colour and surface id of every pixel of one camera, by intersecting its rays."""
    R, t = np.float64(camera.rotation), np.float64(camera.translation)
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    ray = np.stack([(u - camera.centre[0]) / camera.focal[0], (v - camera.centre[1]) / camera.focal[1], 1 + 0 * u], -1)
    ray, origin = ray @ R, -R.T @ t
    depth, hit = np.full(u.shape, np.inf), np.full(u.shape, -1)
    point = np.zeros((*u.shape, 3))
    x0, x1, y0, y1, card_z = card
    with np.errstate(divide="ignore", invalid="ignore"):
        for surface, (axis, level) in enumerate(((2, WALL_Z), (1, GROUND_Y), (2, card_z))):
            s = (level - origin[axis]) / ray[..., axis]
            p = origin + s[..., None] * ray
            inside = (s > 0) & (s < depth)
            if surface == 2:
                inside &= (p[..., 0] > x0) & (p[..., 0] < x1) & (p[..., 1] > y0) & (p[..., 1] < y1)
            depth, hit = np.where(inside, s, depth), np.where(inside, surface, hit)
            point = np.where(inside[..., None], p, point)
    return depth, paint(point[..., 0], point[..., 1], point[..., 2], hit), hit, point


def make(width=160, height=120, card=CARD, hints=None, mask=None):
    """Scene, camera, exact depth and lifted cloud of the world."""
    camera = input_camera(width, height)
    z, image, _, _ = cast(camera, card)
    k = 0 if hints is None else len(hints[0])
    start, motion = (np.zeros((0, 2)), np.zeros((0, 2))) if hints is None else hints
    mask = np.zeros(z.shape) if mask is None else mask
    scene = Scene(
        image.astype(np.float32),
        np.asarray(mask, np.float32),
        Hints(np.float32(start), np.float32(motion), np.ones(k, bool)),
        None,
        None,
        name="world",
    )
    depth = Depth(z.astype(np.float32), np.zeros(z.shape, np.float32), np.float32(1))
    return scene, camera, depth, lift(scene, depth, camera)


def psnr(a, b):
    """Peak signal-to-noise ratio in dB of values in [0, 1]."""
    return -10 * np.log10(np.mean((np.float64(a) - b) ** 2) + 1e-12)
