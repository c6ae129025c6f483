"""A data set of synthetic scenes: which ones, rendered by several processes, resumed where it stopped."""

import dataclasses
import itertools
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol, Self

import cv2
import numpy as np

import mom3d_jax
from mom3d_jax.cameras import PATHS
from mom3d_jax.synthetic.families import FAMILIES
from mom3d_jax.synthetic.files import write_scene
from mom3d_jax.synthetic.film import Shot
from mom3d_jax.synthetic.given import Corruptions, write_given
from mom3d_jax.synthetic.paths import INPUT, depth_scale
from mom3d_jax.synthetic.scene import landscape
from mom3d_jax.synthetic.truth import TRUTHS, write_json, write_truth

FORMAT = 1
"""Of the layout; see docs/synthetic.md."""
FPS = 30
POLL = 1.0
"""Seconds between two looks at how far the other processes are."""
SMALLEST = 32
SHORTEST_PERIOD = 30
"""Frames of the periodic truth; what repeats after a few pixels has no texture left."""


class Meter(Protocol):
    """What shows how far the work is."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: Any) -> None: ...

    def update(self, done: int) -> None:
        """So many views are finished."""
        ...


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to render."""

    out: Path
    scenes: int = 1
    width: int = 256
    height: int = 144
    seed: int = 0
    families: tuple[str, ...] = tuple(FAMILIES)
    frames: int = 60
    paths: tuple[str, ...] = tuple(PATHS)
    truths: tuple[str, ...] = tuple(TRUTHS)
    arrows: int = 1
    corruptions: Corruptions = dataclasses.field(default_factory=Corruptions)
    workers: int = 1

    def __post_init__(self) -> None:
        for flag, names, known in (
            ("--families", self.families, list(FAMILIES)),
            ("--paths", self.paths, list(PATHS)),
            ("--loop", self.truths, list(TRUTHS)),
        ):
            unknown = sorted(set(names) - set(known))
            if unknown:
                raise ValueError(f"{flag} {unknown[0]}: unknown; known: {', '.join(known)}")
            if not names or len(set(names)) < len(names):
                raise ValueError(f"{flag} {','.join(names)}: name every one once, and at least one")
        if min(self.width, self.height) < SMALLEST:
            raise ValueError(f"--size {self.width}x{self.height} is too small: at least {SMALLEST} px per side")
        for flag, value, least in (("--scenes", self.scenes, 1), ("--frames", self.frames, 2),
                                   ("--arrows", self.arrows, 1),
                                   ("--workers", self.workers, 1), ("--seed", self.seed, 0)):  # fmt: skip
            if value < least:
                raise ValueError(f"{flag} {value}: a whole number from {least} up is wanted")

    def members(self) -> list[tuple[str, int]]:
        """(family, seed) of every scene: all families with the first seed, then with the next one."""
        pairs = ((family, self.seed + round_) for round_ in itertools.count() for family in self.families)
        return list(itertools.islice(pairs, self.scenes))

    @property
    def period(self) -> int:
        """T of the periodic truth, frames."""
        return max(self.frames, SHORTEST_PERIOD)

    @property
    def views(self) -> int:
        """Views per scene, at one time each."""
        return (1 + len(self.paths)) * self.frames

    def settings(self) -> dict[str, Any]:
        """What a scene has to have been made with to count as done."""
        return {
            "format": FORMAT,
            "width": self.width,
            "height": self.height,
            "frames": self.frames,
            "loop_period": self.period,
            "fps": FPS,
            "paths": list(self.paths),
            "truths": list(self.truths),
            "arrows": self.arrows,
            "corruption": self.corruptions.stated(),
            "versions": {"mom3d_jax": mom3d_jax.__version__, "numpy": np.__version__, "opencv": cv2.__version__},
        }


def is_done(plan: Plan, family: str, seed: int) -> bool:
    """Whether a scene is complete.

    Raises:
      ValueError: there is a scene of this name that was made otherwise, or a damaged one; one line that names it.
    """
    file = plan.out / f"{family}_{seed}" / "truth" / "scene.json"
    if not file.is_file():
        return False
    remedy = "choose another --out, or remove that folder"
    try:
        found = json.loads(file.read_text())
        differing = [key for key, value in plan.settings().items() if found.get(key) != value]
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{file}: no scene of `synth` ({str(error).splitlines()[0]}); {remedy}") from error
    if differing:
        key = differing[0]
        raise ValueError(f"{file}: made with {key} {found.get(key)}, now {plan.settings()[key]}; {remedy}")
    return True


def write_dataset(plan: Plan, meter: Callable[[str, int, int], Meter]) -> list[Path]:
    """Render every scene of a plan that is not there yet, and then the manifest.

    Args:
      plan: what to render.
      meter: makes a meter from (name, views in all, views done before).

    Returns:
      The folders of all scenes of the plan.

    Raises:
      ValueError: a folder that holds something else; one line that names it.
      OSError: something cannot be written.
    """
    members = plan.members()
    missing = [m for m in members if not is_done(plan, *m)]
    with meter("synth", len(members) * plan.views, (len(members) - len(missing)) * plan.views) as shown:
        before = (len(members) - len(missing)) * plan.views
        for done in _rendered(plan, missing):
            shown.update(before + done)
    names = [f"{family}_{seed}" for family, seed in members]
    command = plan.settings() | {"scenes": plan.scenes, "seed": plan.seed, "families": list(plan.families)}
    write_json(plan.out / "manifest.json", {"format": FORMAT, "scenes": names, "command": command})
    return [plan.out / name for name in names]


def _rendered(plan: Plan, members: list[tuple[str, int]]) -> Iterator[int]:
    """Render scenes; yields now and then how many views are finished."""
    if min(plan.workers, len(members)) <= 1:
        finished = 0
        for family, seed in members:
            for views in write_member(plan, family, seed):
                finished += views
                yield finished
        return
    # The processes share the cores among themselves; thin products are no work for more threads than that.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Not forked: the numerical libraries of this process hold locks that a copy of it would wait for.
    context = multiprocessing.get_context("spawn")
    count = context.Value("l", 0)
    with ProcessPoolExecutor(plan.workers, context, initializer=_share, initargs=(count,)) as pool:
        waiting: set[Future] = {pool.submit(_work, plan, *member) for member in members}
        try:
            while waiting:
                done, waiting = wait(waiting, POLL, FIRST_COMPLETED)
                yield count.value
                for future in done:
                    future.result()
        except BrokenProcessPool as error:
            raise OSError(
                f"{plan.out}: a process that rendered was killed, perhaps for memory; the same command goes on, "
                f"with --workers {max(1, plan.workers // 2)} in less memory"
            ) from error
        finally:
            for future in waiting:
                future.cancel()


_COUNT: Any = None


def _share(count: Any) -> None:
    """Runs first in every process of the pool."""
    global _COUNT  # noqa: PLW0603  # the one way in for what is shared between processes
    _COUNT = count
    cv2.setNumThreads(1)


def _work(plan: Plan, family: str, seed: int) -> None:
    for views in write_member(plan, family, seed):
        with _COUNT.get_lock():
            _COUNT.value += views


def write_member(plan: Plan, family: str, seed: int) -> Iterator[int]:
    """Render one scene into its folder; yields the number of views finished since the last time.

    `truth/scene.json` comes last: a folder that has it is complete.
    """
    folder = plan.out / f"{family}_{seed}"
    scene = landscape(seed, plan.width, plan.height, family, period=plan.period)
    # The photo is frame 0 to the bit, rays at silhouettes included.
    scene = dataclasses.replace(scene, image=Shot(scene.world, scene.camera).picture(0.0, loop=False))
    write_scene(folder, scene, plan.arrows)
    yield from write_truth(folder / "truth", scene, (INPUT, *plan.paths), plan.truths, plan.frames)
    if plan.corruptions.stated():
        write_given(folder / "given", scene, plan.corruptions, seed, plan.arrows)
    own = {
        "name": scene.name,
        "family": family,
        "seed": seed,
        "focal": float(scene.camera.focal[0]),
        "median_depth": float(np.median(scene.depth)),
        "depth_scale": depth_scale(scene),
        "shared_start": scene.world.shared_start,
    }
    write_json(folder / "truth" / "scene.json", plan.settings() | own)
