"""Scenes with exact ground truth: an image and everything that the pipeline has to guess about it."""

import dataclasses

import numpy as np
from jaxtyping import Float

from mom3d_jax.cameras import input_camera, pixel_grid
from mom3d_jax.synthetic.correspondence import rays, turn_of
from mom3d_jax.synthetic.families import FAMILIES
from mom3d_jax.synthetic.world import World
from mom3d_jax.types import Cameras


@dataclasses.dataclass(frozen=True)
class Rendering:
    """One view of a world at one frame. Depth, masks and motion belong to the ray through each pixel's centre."""

    image: Float[np.ndarray, "h w 3"]
    depth: Float[np.ndarray, "h w"]
    """z in the camera of the view."""
    sky: Float[np.ndarray, "h w"]
    """1 on clouds and sky."""
    mask: Float[np.ndarray, "h w"]
    """1 where content moves: water, clouds and sky."""
    surface: Float[np.ndarray, "h w"]
    """What is there: 0 on the ground, i on surface i - 1 of the world."""
    motion: Float[np.ndarray, "h w 3"]
    """3D motion of the surface point in the next frame, world units."""
    flow: Float[np.ndarray, "h w 2"]
    """Its projection: where the point lands in the next frame of the same camera, minus the pixel, px."""


@dataclasses.dataclass(frozen=True)
class SyntheticScene(Rendering):
    """The input view of a world at frame 0, and the world for any other view."""

    camera: Cameras
    world: World
    name: str


def _image(camera: Cameras, world: World, frame: float, supersample: int, loop: bool) -> Float[np.ndarray, "h w 3"]:
    """Mean display colour of supersample² rays per pixel."""
    h, w, k = camera.height, camera.width, supersample
    pixels = (pixel_grid(w * k, h * k) / np.float32(k)).reshape(-1, 2)
    origin, direction = rays(camera, world, pixels)
    distance, kind = world.trace(origin, direction, bisections=6)
    colour = world.colour(origin + distance[:, None] * direction, kind, frame, loop)
    return colour.reshape(h, k, w, k, 3).mean(axis=(1, 3), dtype=np.float32)


def render(
    scene: "SyntheticScene | World", camera: Cameras, frame: float = 0.0, supersample: int = 2, loop: bool = False
) -> Rendering:
    """A view of a scene from one camera at one time.

    Args:
      scene: what to look at.
      camera: one camera (no leading axis), in the world of the input camera.
      frame: time in frames, whole or not, also negative.
      supersample: rays per pixel and axis for the image.
      loop: show the periodic truth instead of the advected one; they differ in colours only.

    Raises:
      ValueError: a camera that looks past the landscape (behind the input camera nothing is modelled).
    """
    world = scene if isinstance(scene, World) else scene.world
    h, w = camera.height, camera.width
    origin, direction = rays(camera, world, pixel_grid(w, h).reshape(-1, 2))
    distance, kind = world.trace(origin, direction)
    points = origin + distance[:, None] * direction
    if not (np.isfinite(points).all() and (points[:, 2] > 0).all()):
        raise ValueError(
            "a camera looks past the synthetic landscape, which has nothing behind the input camera (z <= 0)"
        )
    motion = world.motion(points, kind)
    focal, turn = np.asarray(camera.focal, np.float64), turn_of(camera, world)
    # In camera axes; a point (x, y, z) moved by m lands at f (x + m_x) / (z + m_z).
    start, step = (points - origin) @ turn, motion @ turn
    flow = focal * ((start + step)[:, :2] / (start + step)[:, 2:] - start[:, :2] / start[:, 2:])
    as_image = lambda a: a.reshape(h, w, *a.shape[1:]).astype(np.float32)
    return Rendering(
        image=_image(camera, world, frame, supersample, loop),
        depth=as_image(distance),
        sky=as_image(kind == world.sky),
        surface=as_image(kind),
        mask=as_image((motion != 0).any(axis=-1)),
        motion=as_image(motion @ world.from_camera),
        flow=as_image(flow),
    )


def landscape(
    seed: int = 0, width: int = 512, height: int = 288, family: str = "alpine_lake", period: int = 60
) -> SyntheticScene:
    """A procedural landscape and its exact ground truth.

    Args:
      seed: which landscape of the family.
      width: image width, px.
      height: image height, px.
      family: a key of `FAMILIES`.
      period: T of the periodic truth, frames.

    Raises:
      ValueError: an unknown family, or an image under 32 px.
    """
    if family not in FAMILIES:
        raise ValueError(f"unknown landscape family {family!r}; known: {', '.join(FAMILIES)}")
    if min(width, height) < 32:
        raise ValueError(f"a landscape of {width}x{height} px is too small: at least 32 px per side")
    world = FAMILIES[family](np.random.default_rng(seed), max(width, height), period)
    camera = input_camera(width, height)
    view = render(world, camera)
    truth = {field.name: getattr(view, field.name) for field in dataclasses.fields(view)}
    return SyntheticScene(**truth, camera=camera, world=world, name=f"{family}_{seed}")
