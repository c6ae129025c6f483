import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mom3d_jax.cameras import path_cameras, project, select, unproject
from mom3d_jax.cameras.paths import PATHS
from mom3d_jax.cameras.pinhole import pixel_grid, relative_to
from mom3d_jax.evaluation.command import evaluate
from mom3d_jax.evaluation.settings import default_evaluation
from mom3d_jax.evaluation.studies import STUDIES, Study
from mom3d_jax.evaluation.tables import write_tables
from mom3d_jax.evaluation.variants import Variant
from mom3d_jax.synthetic import landscape, render, write_scene

WIDTH, HEIGHT, FRAMES = 64, 36, 4
QUICK = Study(
    "what stands still",
    (Variant("photo", kind="still", about="the photo"), Variant("cloud", kind="points", about="points")),
)


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.round(255 * image[..., ::-1]).astype(np.uint8))


def exact_motion(scene, cameras, views):
    """moving, flow and hidden of consecutive views, by following every pixel's point into the next one."""
    flows, hidden = [], []
    for k, (now, after) in enumerate(itertools.pairwise(views)):
        pixels = pixel_grid(WIDTH, HEIGHT).reshape(-1, 2)
        points = np.asarray(unproject(select(cameras, k), pixels, now.depth.reshape(-1)))
        # Motion is given in the axes of the photo; all cameras of the paths look the same way.
        place, z = (np.asarray(a) for a in project(select(cameras, k + 1), points + now.motion.reshape(-1, 3)))
        flows.append((place - pixels).reshape(HEIGHT, WIDTH, 2).astype(np.float32))
        cell = np.clip(np.floor(place).astype(int), 0, [WIDTH - 1, HEIGHT - 1])
        outside = ((place < 0) | (place >= [WIDTH, HEIGHT])).any(axis=1)
        behind = z > 1.05 * after.depth[cell[:, 1], cell[:, 0]]
        hidden.append((outside | behind).reshape(HEIGHT, WIDTH).astype(np.uint8))
    return {"moving": np.stack([v.mask for v in views]).astype(np.uint8), "flow": flows, "hidden": hidden}


def write_truth(folder: Path, seed: int) -> str:
    """One scene in the layout of `python -m mom3d_jax synth`, small enough for tests."""
    scene = landscape(seed, WIDTH, HEIGHT)
    place = write_scene(folder / scene.name, scene)
    truth, unit = place / "truth", float(np.percentile(scene.depth, 1))
    (place / "given").mkdir()
    np.save(place / "given" / "depth.npy", np.float32(1.5) * scene.depth)
    save(truth / "sky.png", np.repeat(scene.sky[..., None], 3, axis=-1))
    standing = relative_to(scene.camera, np.broadcast_to(np.eye(3), (FRAMES, 3, 3)), np.zeros((FRAMES, 3)))
    cameras = {"input": standing} | {name: path_cameras(scene.camera, name, FRAMES) for name in PATHS}
    said = {}
    for name, given in cameras.items():
        path = relative_to(scene.camera, given.rotation, unit * given.translation)
        said[name] = {
            "rotation": path.rotation.tolist(), "translation": path.translation.tolist(),
            "focal": path.focal[0].tolist(), "centre": path.centre[0].tolist(),
        }  # fmt: skip
        # There and back again: a truth that repeats itself after FRAMES frames.
        for kind, times in {"advected": range(FRAMES), "periodic": [min(k, FRAMES - k) for k in range(FRAMES)]}.items():
            views = [render(scene, select(path, k), float(t), supersample=2) for k, t in enumerate(times)]
            for k, view in enumerate(views):
                save(truth / kind / name / f"{k:06d}.png", view.image)
            np.savez_compressed(truth / kind / name / "motion.npz", **exact_motion(scene, path, views))
    (truth / "cameras.json").write_text(json.dumps(said))
    about = {
        "format": 1, "name": scene.name, "family": "alpine_lake", "seed": seed, "width": WIDTH, "height": HEIGHT,
        "focal": float(WIDTH), "frames": FRAMES, "loop_period": FRAMES, "fps": 30, "paths": list(cameras),
        "truths": ["advected", "periodic"], "median_depth": float(np.median(scene.depth)), "depth_scale": unit,
    }  # fmt: skip
    (truth / "scene.json").write_text(json.dumps(about))
    return scene.name


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes with both truths, 64x36 px and 4 frames."""
    folder = tmp_path_factory.mktemp("synthetic")
    names = [write_truth(folder, seed) for seed in (0, 4)]
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "scenes": names, "command": {}}))
    return folder


@pytest.fixture(scope="session")
def settings(dataset):
    """An evaluation of the data set in seconds."""

    def make(**changes):
        c = default_evaluation()
        c.dataset.path = str(dataset)
        c.frames = FRAMES
        small = c.override
        small.size.width, small.time.frames = WIDTH, FRAMES
        small.stage1.steps, small.stage2.steps = 4, 2
        hexplane = small.deformation.options.hexplane
        hexplane.resolution, hexplane.features, hexplane.width, hexplane.time_resolution = 8, 4, 8, 5
        for name, value in changes.items():
            c[name] = value
        return c

    return make


@pytest.fixture
def quick(monkeypatch):
    """A study of two variants that train nothing."""
    monkeypatch.setitem(STUDIES, "quick", QUICK)
    return "quick"


@pytest.fixture(scope="session")
def finished_quick(settings, tmp_path_factory):
    """The work folder of that study, with its tables; to be copied."""
    workdir = tmp_path_factory.mktemp("quick")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STUDIES, "quick", QUICK)
        title, cells, stale = evaluate(settings(study="quick"), workdir)
    write_tables(workdir, cells, stale, title)
    return workdir
