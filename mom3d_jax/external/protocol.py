"""What the project and a worker say to each other: one folder for a request, one inside it for the result.

    REQUEST/request.json                  format, task, model, seed, settings, and of each item its name and values
    REQUEST/items/0003/image.npy          the arrays of item 3
    REQUEST/result/result.json            format, task, values of each item, provenance
    REQUEST/result/items/0003/depth.npy   the arrays and files of its result

The worker writes into `result.tmp` and renames it to `result` when everything is there. `docs/external.md` is the
reference for both sides; `TASKS` below says which arrays and values belong to a task.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = 1
"""Version of the layout above; a worker refuses one that it does not know."""

INFINITY = float("inf")
TINY = float(np.finfo(np.float32).tiny)


class ExternalError(ValueError):
    """Somebody else's model could not be run, or gave nothing usable: one line with the remedy."""


@dataclasses.dataclass(frozen=True)
class Array:
    """What an array has to look like."""

    shape: tuple[str | int, ...]
    """Sizes by name: h and w are those of the item's image, t is its value `frames`, others agree within the item."""
    low: float = -INFINITY
    high: float = INFINITY
    required: bool = True
    pictures: bool = False
    """uint8 is welcome too, 255 for 1."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What a worker is asked for, and what it gives back, per item."""

    takes: Mapping[str, Array]
    gives: Mapping[str, Array]
    says: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """Values that come with the arrays, and what they may be."""
    files: tuple[str, ...] = ()
    """Files that may take the place of arrays."""


IMAGE = Array(("h", "w", 3), 0, 1)
MASK = Array(("h", "w"), 0, 1)
TASKS: Mapping[str, Task] = {
    # kind: metric is z in `unit`; inverse is 1 / z; relative is larger where nearer, up to scale and shift.
    "depth": Task(
        takes={"image": IMAGE},
        gives={"depth": Array(("h", "w"))},
        says={"kind": ("metric", "inverse", "relative"), "unit": ("m", "cm", "mm", "km", "ft")},
    ),
    # px per frame at the size of the image, u right, v down: content at p is at p + flow(p) one frame later.
    "flow": Task(
        takes={"image": IMAGE, "mask": MASK, "valid": MASK, "hints": Array(("k", 4))},
        gives={"flow": Array(("h", "w", 2))},
    ),
    # Frame 0 is the image; frame t is t frames later; with `loop`, frame `frames` would be frame 0 again.
    "animation": Task(
        takes={"image": IMAGE, "mask": MASK, "valid": MASK, "flow": Array(("h", "w", 2))},
        gives={"video": Array(("t", "h", "w", 3), 0, 1, pictures=True)},
    ),
    # OpenCV axes, the input camera is the world, extrinsics map world to camera, lengths in the unit of `depth`.
    "scene": Task(
        takes={
            "image": IMAGE,
            "mask": MASK,
            "depth": Array(("h", "w"), TINY, required=False),
            "cameras": Array(("v", 4, 4), required=False),
        },
        gives={
            "points": Array(("n", 3), required=False),
            "colors": Array(("n", 3), 0, 1, required=False),
            "cameras": Array(("k", 4, 4), required=False),
            "intrinsics": Array(("k", 4), required=False),
            "images": Array(("k", "h2", "w2", 3), 0, 1, required=False, pictures=True),
            "new": Array(("k", "h2", "w2"), 0, 1, required=False),
        },
        files=("gaussians.ply",),
    ),
}
"""The tasks. Floating-point arrays are float32 on both sides; a result may have another precision."""


@dataclasses.dataclass(frozen=True)
class Item:
    """One thing that the model is asked about: a photo, a view, a scene."""

    name: str
    """For people to read, such as `lake/view_07`."""
    arrays: Mapping[str, np.ndarray]
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What JSON can hold: `frames` and `loop` of an animation, `focal` and `centre` (px) of a scene."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What the model says about one item, checked."""

    name: str
    arrays: Mapping[str, np.ndarray]
    values: Mapping[str, Any]
    files: Mapping[str, Path]
    provenance: Mapping[str, Any]
    """Model, hashes of its worker and weights, versions, seed, device and seconds of the run that made it."""


def item_folder(root: Path, number: int) -> Path:
    """Where the arrays of an item lie, in a request or a result."""
    return root / "items" / f"{number:04d}"
