"""What a less lucky user would bring: the same photo with wrong depth, wrong flows, a sloppy mask or few hints."""

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from mom3d_jax.atomic import replacing
from mom3d_jax.cameras import generation_cameras, pixel_grid, select
from mom3d_jax.synthetic.annotation import labelme
from mom3d_jax.synthetic.corruption import COLUMNS, ROWS, corrupt, draw
from mom3d_jax.synthetic.film import Shot
from mom3d_jax.synthetic.paths import NEAR_PERCENTILE, depth_scale, in_world
from mom3d_jax.synthetic.scene import SyntheticScene
from mom3d_jax.synthetic.truth import link, write_json

OUTLIERS = 0.15
"""Share of the blocks of a view whose flow is an outlier, at any level of flow corruption."""


@dataclasses.dataclass(frozen=True)
class Corruptions:
    """How much is wrong; the defaults say: nothing."""

    depth: float = 0.0
    """Relative depth error, standard deviation of a smooth field."""
    scale: float = 1.0
    """Factor on depth."""
    flow: float = 0.0
    """Level of `corruption`: 1 is the level of the tables of 3D-MOM."""
    mask: float = 0.0
    """px by which polygons are too wide or too narrow, at an image 512 px wide."""
    hints: int = 0
    """Arrows that are left; 0 leaves all."""

    def __post_init__(self) -> None:
        rules = {
            "depth": (0 <= self.depth <= 1, "a share from 0 to 1, such as 0.05"),
            "scale": (0 < self.scale < np.inf, "a positive factor, such as 1.1"),
            "flow": (0 <= self.flow < np.inf, "a level from 0 up; 1 is the level of the tables"),
            "mask": (0 <= self.mask <= 64, "from 0 to 64 px, such as 3"),
            "hints": (self.hints >= 0 and self.hints == int(self.hints), "a whole number of arrows, such as 2"),
        }
        for name, (fine, wanted) in rules.items():
            if not fine:
                raise ValueError(f"--corrupt {name}={getattr(self, name)} is not {wanted}")

    def stated(self) -> dict[str, float]:
        """What is not as it should be."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if getattr(self, f.name) != f.default}


def read_corruptions(words: str) -> Corruptions:
    """From `depth=0.05,scale=1.1,flow=1,mask=3,hints=2`; any of them may be missing.

    Raises:
      ValueError: an unknown name, a value that is no number or out of range.
    """
    known = [f.name for f in dataclasses.fields(Corruptions)]
    values: dict[str, Any] = {}
    for word in filter(None, (w.strip() for w in words.split(","))):
        name, equals, value = word.partition("=")
        if name not in known or not equals:
            raise ValueError(f"--corrupt {word}: unknown; known: {', '.join(f'{k}=…' for k in known)}")
        try:
            values[name] = int(value) if name == "hints" else float(value)
        except ValueError as error:
            raise ValueError(f"--corrupt {word}: {value!r} is not a number") from error
    return Corruptions(**values)


def wrong_depth(depth: Float[np.ndarray, "h w"], wrong: Corruptions, seed: int) -> Float[np.ndarray, "h w"]:
    """Depth times `wrong.scale` times exp(ε).

    ε is a smooth field: 9 × 16 values from N(0, `wrong.depth`), scaled up with cubic interpolation.
    """
    cells = np.random.default_rng(seed).standard_normal((ROWS, COLUMNS)).astype(np.float32)
    field = cv2.resize(cells, depth.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return (depth * wrong.scale * np.exp(wrong.depth * field)).astype(np.float32)


def wrong_flows(
    scene: SyntheticScene, depth: Float[np.ndarray, "h w"], wrong: Corruptions, seed: int
) -> list[Float[np.ndarray, "h w 2"]]:
    """The exact flow of each of the 25 generation views, corrupted view by view; nothing moves where nothing does.

    The cameras stand where the pipeline puts them for the depth that it is given.
    """
    near = float(np.percentile(depth.astype(np.float64), NEAR_PERCENTILE))
    cameras = in_world(generation_cameras(scene.camera, depth / near), depth_scale(scene))
    views, pixels = len(cameras.rotation), pixel_grid(scene.camera.width, scene.camera.height)
    drawn = draw(views, wrong.flow, OUTLIERS, seed)
    flows = []
    for v in range(views):
        exact = Shot(scene.world, select(cameras, v)).flow(1.0).flow
        flow = corrupt(drawn, v, exact, pixels, (scene.camera.width, scene.camera.height))
        flows.append(np.where((exact != 0).any(-1, keepdims=True), flow, 0).astype(np.float32))
    return flows


def write_given(folder: Path, scene: SyntheticScene, wrong: Corruptions, seed: int, arrows: int = 1) -> None:
    """Write an input folder of the pipeline: photo, annotation, and the corrupted files that are asked for.

    Args:
      folder: `given/` of the scene, beside its `image.png`.
      scene: the scene.
      wrong: what is wrong with it.
      seed: of everything random in that.
      arrows: how many times as many arrows as a person would draw.

    Raises:
      OSError: something cannot be written; the message names it.
    """
    link(folder.parent / "image.png", folder / "image.png")
    depth = wrong_depth(scene.depth, wrong, seed)
    if wrong.depth or wrong.scale != 1:
        _save(folder / "depth.npy", depth)
    if wrong.flow:
        for view, flow in enumerate(wrong_flows(scene, depth, wrong, seed)):
            _save(folder / "flow" / f"view_{view:02d}.npy", flow)
    drawn = labelme(scene, seed=seed, slip=wrong.mask, hints=wrong.hints or None, times=arrows)
    write_json(folder / "image.json", drawn)


def _save(path: Path, array: np.ndarray) -> None:
    with replacing(path) as draft:
        np.save(draft, array)
