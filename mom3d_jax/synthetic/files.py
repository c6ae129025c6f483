"""A synthetic scene as a folder: what a user would bring, and the truth beside it."""

import json
import os
from pathlib import Path

import cv2
import numpy as np

from mom3d_jax.synthetic.annotation import labelme
from mom3d_jax.synthetic.scene import SyntheticScene


def write_scene(folder: str | os.PathLike[str], scene: SyntheticScene, arrows: int = 1) -> Path:
    """Write a scene as an input folder of the pipeline.

    `image.png`, `image.json` (LabelMe), and in `truth/` `depth.npy` [h,w] in world units, `flow.npy` [h,w,2] in px per
    frame, `motion.npy` [h,w,3] in world units per frame, `mask.png` (255 where content moves) and `sky.png` (255 where
    the sky is). Existing files are replaced; `image.json` comes last, so a folder that has it is complete.

    Args:
      folder: of the scene; made where it is missing.
      scene: what to write.
      arrows: how many times as many arrows as a person would draw.

    Returns:
      The folder.

    Raises:
      OSError: the folder cannot be written; the message names it.
    """
    folder = Path(folder)
    pictures = {"image.png": scene.image[..., ::-1], "truth/mask.png": scene.mask, "truth/sky.png": scene.sky}
    arrays = {"depth": scene.depth, "flow": scene.flow, "motion": scene.motion}
    files = {f"truth/{name}.npy": array for name, array in arrays.items()}
    try:
        (folder / "truth").mkdir(parents=True, exist_ok=True)
        for name, array in files.items():
            np.save(folder / name, array)
        for name, picture in pictures.items():
            _, code = cv2.imencode(".png", np.round(255 * picture).astype(np.uint8))
            (folder / name).write_bytes(code.tobytes())
        draft = folder / ".image.json.tmp"
        draft.write_text(json.dumps(labelme(scene, times=arrows), indent=1) + "\n")
        os.replace(draft, folder / "image.json")
    except OSError as error:
        raise OSError(f"cannot write the synthetic scene to {folder}: {error.strerror or error}") from error
    return folder
