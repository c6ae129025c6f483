"""Flows and photos of a folder: what estimated motion looks like.

The folder has one or both of

* `flows/NAME/`: a photo `NAME.png|jpg`, what moves in it `NAME_mask.png`, and its flow `NAME_motion.npy|flo` (px per
  frame at the file's own size). The flow is carried into every view with the depth of the built-in prior, and corrupted
  there as the synthetic ones are. The answer is known: the flow of the input view at constant depth.
* `scenes/NAME/`: scene folders with hints, as `train.py` takes them. Every view's flow is interpolated from the hints
  that are seen in it, so the views contradict each other without any help. Nobody knows the answer.

Photo, depth, points, views and flows come from the stages of the pipeline with their default settings.
"""

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.motion3d.corruption import corrupt, draw
from benchmarks.motion3d.synthetic import Case
from mom3d_jax.cameras import INPUT_VIEW, pixel_grid, select, to_camera
from mom3d_jax.config import default_config
from mom3d_jax.motion3d import build_problem
from mom3d_jax.stages import prepare
from mom3d_jax.stages.job import Job
from mom3d_jax.types import Flows, PointCloud, Views

PHOTOS, FLOWS = (".png", ".jpg", ".jpeg"), (".npy", ".flo")


@dataclasses.dataclass(frozen=True)
class Photo:
    """A photo with flow or hints, seen from all views; the flow is as exact as it gets."""

    name: str
    cloud: PointCloud
    views: Views
    flows: Flows
    exact: bool
    """Whether the views agree on one motion: flows spread from the input view do."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) at working size, px."""
        return self.views.cameras.width, self.views.cameras.height

    def case(self, *, corruption: float, outliers: float, seed: int) -> Case:
        """The problem with corrupted flows; those of hints are left as they are.

        Raises:
          ValueError: corruption out of range.
        """
        if not self.exact:
            return Case(build_problem(self.cloud, self.views, self.flows)[0], None)
        masks = np.asarray(self.views.masks)
        drawn = draw(len(masks), corruption, outliers, seed)
        flow, grid = np.array(self.flows.flow), pixel_grid(*self.size)
        for v, mask in enumerate(masks):
            flow[v] = np.where(mask[..., None] > 0, corrupt(drawn, v, flow[v], grid, self.size), 0)
        corrupted = dataclasses.replace(self.flows, flow=flow.astype(np.float32))
        problem, _ = build_problem(self.cloud, self.views, corrupted)
        return Case(problem, self._truth(np.asarray(problem.index)))

    def _truth(self, index: np.ndarray) -> np.ndarray:
        """F = z/f · flow of the input view, at constant depth."""
        camera = select(self.views.cameras, INPUT_VIEW)
        at = np.asarray(self.cloud.pixels)[index]
        flow = np.asarray(self.flows.flow)[INPUT_VIEW].reshape(-1, 2)[at]
        z = np.asarray(to_camera(camera, np.asarray(self.cloud.points)[index]))[:, 2:]
        lateral = flow * z / np.asarray(camera.focal)
        return np.concatenate([lateral, np.zeros_like(z)], -1).astype(np.float32)


def find(data: Path) -> list[Path]:
    """The folders of flows and scenes.

    Raises:
      ValueError: no such folder, or neither flows nor scenes in it.
    """
    if not data.is_dir():
        raise ValueError(f"--data={data}: no such folder; give one with flows/NAME/ or scenes/NAME/ in it")
    found = [path for kind in ("flows", "scenes") for path in sorted((data / kind).glob("*/"))]
    if not found:
        raise ValueError(f"--data={data}: neither flows/NAME/ nor scenes/NAME/ in it")
    return found


def read(folders: list[Path], width: int) -> Iterator[Photo]:
    """Prepare the photos one after the other, at a working width.

    Raises:
      ValueError: a file that is missing or bad; one line that names it.
    """
    for folder in folders:
        if folder.parent.name == "scenes":
            yield _prepare(folder, width, exact=False)
            continue
        with tempfile.TemporaryDirectory() as place:
            scene = Path(place) / folder.name
            scene.mkdir()
            for role, end, suffixes in (
                ("image", "", PHOTOS),
                ("mask", "_mask", (".png",)),
                ("flow", "_motion", FLOWS),
            ):
                source = _only(folder, folder.name + end, suffixes)
                (scene / f"{role}{source.suffix}").symlink_to(source.resolve())
            yield _prepare(scene, width, exact=True)


def _only(folder: Path, stem: str, suffixes: tuple[str, ...]) -> Path:
    found = [folder / (stem + suffix) for suffix in suffixes if (folder / (stem + suffix)).is_file()]
    if not found:
        raise ValueError(f"{folder}: no {stem}{'|'.join(suffixes)} in it; add the file, or move the folder away")
    return found[0]


def _prepare(folder: Path, width: int, *, exact: bool) -> Photo:
    config = default_config()
    config.size.width = width
    # Stages write nothing themselves: a work folder is for those that make files for the user.
    job = Job(config, folder, folder, "", {})
    scene, _ = prepare.scene(job)
    depth, _ = prepare.depth(job, scene)
    cloud, _ = prepare.pointcloud(job, scene, depth)
    views, _ = prepare.views(job, scene, depth, cloud)
    flows, _ = prepare.flow(job, scene, depth, cloud, views)
    return Photo(folder.name, cloud, views, flows, exact)
