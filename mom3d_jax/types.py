"""What the stages hand to each other: frozen pytrees, one per stage.

Conventions, stated once (`docs/conventions.md` has the reasons):

* OpenCV axes: x right, y down, z forward. World = input camera. Extrinsics map world to camera.
* Pixel k has its centre at k + 0.5. Positions in px are (x, y); image arrays are indexed [row, column].
* Images are float32 in [0, 1], masks float32 in [0, 1], depth is positive z.
* 2D flow is in px per frame at the size of its own array; 3D motion is in world units per frame.
* Every field is an array (NumPy on the host, JAX on a device) unless it is marked static.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, dataclass_transform

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

Array = jax.Array | np.ndarray
T = TypeVar("T")


def static(**kwargs: Any) -> Any:
    """A dataclass field that is part of the tree structure (hashable, fixed under jit) instead of a leaf."""
    return dataclasses.field(metadata={"static": True}, **kwargs)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field, static))
def pytree(cls: type[T]) -> type[T]:
    """Make `cls` a frozen dataclass whose non-static fields are pytree leaves."""
    return jax.tree_util.register_dataclass(dataclasses.dataclass(frozen=True)(cls))


@pytree
class Cameras:
    """Pinhole cameras, one (no leading axis) or a batch (leading axes `*v`), all of one image size.

    A world point X lands at `x = R X + t`, `pixel = focal * x[:2] / x[2] + centre`.
    """

    rotation: Float[Array, "*v 3 3"]
    """R, world to camera."""
    translation: Float[Array, "*v 3"]
    """t, world to camera, world units."""
    focal: Float[Array, "*v 2"]
    """(fx, fy) in px."""
    centre: Float[Array, "*v 2"]
    """Principal point (cx, cy) in px, pixel k centred at k + 0.5."""
    width: int = static()
    height: int = static()


@pytree
class Hints:
    """Arrows that say how the content under their start moves."""

    start: Float[Array, "*v k 2"]
    """Start of each arrow, px."""
    motion: Float[Array, "*v k 2"]
    """Motion at the start, px per frame."""
    valid: Bool[Array, "*v k"]
    """False where the arrow is not seen (outside the image, hidden)."""


@pytree
class Layout:
    """What the owner drew of the lie of the land; None where nothing was drawn and the depth stage has to guess."""

    horizon: Float[Array, "2 2"] | None = None
    """Two points (x, y) on the horizon, px."""
    sky: Float[Array, "h w"] | None = None
    """1 where the pixel is sky."""
    standing: Float[Array, "s h w"] | None = None
    """One mask for each thing that stands on the ground."""


@pytree
class Scene:
    """One photo and what its owner said about it, at working size."""

    image: Float[Array, "h w 3"]
    mask: Float[Array, "h w"]
    """1 where content moves."""
    hints: Hints
    depth: Float[Array, "h w"] | None
    """Depth from a file (positive z, unscaled), or None: the depth stage estimates it."""
    flow: Float[Array, "h w 2"] | None
    """Eulerian flow from a file (px per frame at working size), or None: the flow stage estimates it."""
    layout: Layout = Layout()
    view_flows: Mapping[str, Float[Array, "h w 2"]] | None = None
    """Eulerian flow of single generation views from files, by the view's index; there it comes first."""
    name: str = static(default="scene")
    notes: tuple[str, ...] = static(default=())
    """What was decided automatically or corrected on reading; shown to the user and kept in the metrics file."""


@pytree
class Depth:
    """Depth of the input view."""

    z: Float[Array, "h w"]
    """Positive z, scaled so that the 1st percentile is 1."""
    sky: Float[Array, "h w"]
    """1 where the pixel is sky."""
    scale: Float[Array, ""]
    """What the source's values were multiplied by."""
    source: str = static(default="prior")


@pytree
class PointCloud:
    """The photo lifted to world points. A point keeps the pixel that it came from."""

    points: Float[Array, "n 3"]
    colors: Float[Array, "n 3"]
    mask: Float[Array, " n"]
    """1 where the point moves."""
    pixels: Int[Array, " n"]
    """Row-major index of the source pixel in the input view."""
    neighbours: Int[Array, "n k"]
    """Indices of neighbouring points on the same surface; the point's own index where there is none."""
    snapped: int = static(default=0)
    """How many pixels had a depth in between two surfaces and were moved to one of them; none is left out."""


@pytree
class Views:
    """The point cloud seen from the generation cameras."""

    cameras: Cameras
    images: Float[Array, "v h w 3"]
    valid: Float[Array, "v h w"]
    """1 where the image is covered by points; everything else is unknown, never ground truth."""
    masks: Float[Array, "v h w"]
    depth: Float[Array, "v h w"]
    """z in the view's own camera, 0 where nothing was seen."""
    visible: Bool[Array, "v n"]
    """Whether each point is in front, in bounds and unoccluded in each view."""
    hints: Hints
    coverage: Float[Array, " v"]
    """Share of covered pixels."""
    accepted: Bool[Array, " v"]
    """False for views with too little coverage; they weigh nothing in any loss."""


@pytree
class Flows:
    """Eulerian flow of every view: one vector per location, constant in time."""

    flow: Float[Array, "v h w 2"]
    """px per frame at this size; 0 outside the view's mask."""
    weight: Float[Array, " v"]
    """0 for a view without any usable motion estimate, else 1."""


@pytree
class SceneFlow:
    """3D motion of the points, and what is needed to look it up off the points (`motion3d.query`)."""

    points: Float[Array, "n 3"]
    motion: Float[Array, "n 3"]
    """World units per frame; 0 where the point does not move."""
    mask: Float[Array, " n"]
    pixels: Int[Array, " n"]
    camera: Cameras
    """The input camera, in which `pixels` counts."""


@pytree
class Displacements:
    """Where the movable Gaussians are after k frames: positions integrated through the scene flow, minus the start."""

    forward: Float[Array, "t+1 m 3"]
    backward: Float[Array, "t+1 m 3"]
    """The same against the flow."""
    forward_spread: Float[Array, "t+1 m"]
    """How many times their area in the still the surroundings of each Gaussian cover: 1 at k = 0, large where the flow
    tears content apart."""
    backward_spread: Float[Array, "t+1 m"]


@pytree
class Frames:
    """Videos of the sampled views, the supervision of stage 2. Frame 0 is the still where we made the video."""

    views: Int[Array, " s"]
    """Index into `Views` of each video."""
    images: Float[Array, "s t h w 3"]
    valid: Float[Array, "s h w"]
    """1 where the frames may be compared with a rendering."""
    masks: Float[Array, "s h w"]
    flow: Float[Array, "s h w 2"]
    """The flow the videos show: scene flow projected into the view, px per frame."""


@pytree
class Gaussians:
    """3D Gaussians in unconstrained parameters, at fixed capacity.

    The first `movable` rows are those that the scene flow may carry; the rest never moves.
    """

    means: Float[Array, "n 3"]
    log_scales: Float[Array, "n 3"]
    quaternions: Float[Array, "n 4"]
    """(w, x, y, z), normalised on use."""
    opacity_logits: Float[Array, " n"]
    sh: Float[Array, "n b 3"]
    """Spherical harmonics, (degree + 1)² bands per channel; colour = 0.5 + Σ."""
    alive: Bool[Array, " n"]
    """False for free slots."""
    movable: int = static(default=0)
