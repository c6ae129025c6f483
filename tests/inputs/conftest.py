"""Scene folders to order."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest


def shape(label, points, shape_type="polygon", **more):
    return {"label": label, "points": points, "shape_type": shape_type, "group_id": None, "flags": {}, **more}


MOTION = shape("motion_0", [[20, 40], [80, 40], [80, 56], [20, 56]])
HINT = shape("hint_0", [[30, 50], [60, 45]], "line")


class Folder:
    """A folder with a photo of 100 x 60 px, to which files are added."""

    def __init__(self, path: Path, width: int = 100, height: int = 60):
        path.mkdir(exist_ok=True)
        self.path, self.width, self.height = path, width, height
        self.photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        cv2.imwrite(str(path / "image.png"), self.photo[..., ::-1])

    def labelme(self, *shapes, **more) -> Path:
        content = {"version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": "image.png",
                   "imageData": None, "imageWidth": self.width, "imageHeight": self.height} | more  # fmt: skip
        file = self.path / "image.json"
        file.write_text(json.dumps(content))
        return file

    def png(self, name: str, values: np.ndarray) -> Path:
        cv2.imwrite(str(self.path / name), values)
        return self.path / name

    def npy(self, name: str, values: np.ndarray) -> Path:
        np.save(self.path / name, values)
        return self.path / name


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "lake")


@pytest.fixture
def annotated(folder: Folder) -> Folder:
    folder.labelme(MOTION, HINT)
    return folder


@pytest.fixture
def shapes():
    """Builder of LabelMe shapes, and a usual pair."""
    shape.motion, shape.hint = MOTION, HINT
    return shape


@pytest.fixture
def make_folder():
    return Folder
