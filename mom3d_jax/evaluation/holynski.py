"""The validation set of Holynski et al., "Animating Pictures with Eulerian Motion Fields" (CVPR 2021), as published.

One flat folder; SSSSS is the scene, FFFFF where in its recording the sample begins. `docs/holynski.md` says where to
get it, and how it is used.
"""

import dataclasses
import re
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float

from mom3d_jax.atomic import replacing
from mom3d_jax.evaluation.safe_pickle import PickleError, read_array
from mom3d_jax.inputs import InputError, read_video
from mom3d_jax.inputs.images import read_photo, resize, same_aspect, working_size

PARTS = {
    "image": "_input.jpg",
    "video": "_gt.mp4",
    "motion": "_motion.pth",
    "hints": "_sparse_motion.flo",
}
"""Endings of the files of a sample."""
NEEDED = ("image", "video", "motion")
NAME = re.compile(r"\d{5}_\d{5}")
LARGEST = 1 << 28
"""Bytes that a motion file may unpack to; 1280x720 takes 7.4 million."""
MOVES = 0.1
"""Share of the mean speed above which a pixel moves (the rule of SLR-SFS)."""
SAME_MOMENT = 25.0
"""dB of the first frame against the photo under which they are said to differ; JPEG and H.264 alone cost less."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """The files of one sample."""

    name: str
    """SSSSS_FFFFF."""
    image: Path
    video: Path
    motion: Path
    hints: Path | None = None
    """Sparse motion that SLR-SFS adds. It may have another size than the photo, and is not read here."""


def read(folder: Path) -> list[Entry]:
    """The samples of the folder `validation/`, by name. Files with other endings are not looked at.

    Raises:
      InputError: no such folder, no sample in it, a sample whose files are not all there, or one that is not called
        SSSSS_FFFFF.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder validation/ of the data set")
    found: dict[str, dict[str, Path]] = {}
    for file in sorted(folder.iterdir()):
        part = next((part for part, ending in PARTS.items() if file.name.endswith(ending)), None)
        if part is None or file.name.startswith("."):
            continue
        name = file.name.removesuffix(PARTS[part])
        if not NAME.fullmatch(name):
            raise InputError(
                f"{file}: not called SSSSS_FFFFF{PARTS[part]}, all digits; rename it, or move it elsewhere"
            )
        found.setdefault(name, {})[part] = file
    if not found:
        raise InputError(f"{folder}: no SSSSS_FFFFF_gt.mp4 in it; give the folder validation/ of the data set")
    for name, parts in found.items():
        if missing := [name + PARTS[part] for part in NEEDED if part not in parts]:
            raise InputError(f"{folder}: {' and '.join(missing)} missing; fetch what is missing, or remove {name}_*")
    return [Entry(name, **parts) for name, parts in found.items()]


def load_motion(path: Path) -> Float[np.ndarray, "h w 2"]:
    """The motion of a sample, px per frame at its own size, x then y; constant in time, forward.

    The file is an LZ4 frame around the pickle of an array or tensor [1,2,h,w]. Nothing that the pickle asks for is run.

    Raises:
      InputError: a missing or damaged file, one that asks for anything but an array, another shape, or NaN; or LZ4
        support is not installed.
    """
    try:
        motion = read_array(_decompress(path))
    except PickleError as error:
        raise InputError(f"{path}: {error}") from error
    if motion.ndim != 4 or motion.shape[:2] != (1, 2) or 0 in motion.shape:
        raise InputError(f"{path}: shape {list(motion.shape)}, not [1, 2, height, width]; fetch it again")
    if not np.isfinite(motion).all():
        raise InputError(f"{path}: {np.sum(~np.isfinite(motion))} values are not finite; fetch it again")
    return np.ascontiguousarray(np.moveaxis(motion[0], 0, -1), np.float32)


def _decompress(path: Path) -> bytes:
    try:
        import lz4.frame
    except ImportError as error:
        raise InputError(
            f"{path}: reading it needs lz4; install the extra: pip install 'mom3d_jax[datasets]'"
        ) from error
    try:
        compressed = path.read_bytes()
        frame = lz4.frame.LZ4FrameDecompressor()
        data = frame.decompress(compressed, max_length=LARGEST)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error
    except (RuntimeError, EOFError) as error:
        raise InputError(f"{path}: not an LZ4 frame, or a damaged one; fetch it again") from error
    if len(data) >= LARGEST:
        raise InputError(f"{path}: unpacks to more than {LARGEST >> 20} MiB, no motion field does; fetch it again")
    if not frame.eof:
        raise InputError(f"{path}: cut short after {len(compressed)} bytes; fetch it again")
    return data


def moving(motion: Float[np.ndarray, "h w 2"]) -> Bool[np.ndarray, "h w"]:
    """Which pixels move: |F| > 0.1 mean |F|."""
    speed = np.linalg.norm(motion, axis=-1)
    return speed > MOVES * speed.mean()


def motion_at(entry: Entry, size: tuple[int, int]) -> Float[np.ndarray, "h w 2"]:
    """The motion of a sample, averaged over areas, px per frame at a size.

    Args:
      entry: the sample.
      size: (width, height) wanted.

    Raises:
      InputError: as `load_motion`; another aspect; or nothing moves.
    """
    motion = load_motion(entry.motion)
    height, width = motion.shape[:2]
    if not same_aspect((width, height), size):
        raise InputError(f"{entry.motion}: {width}x{height}, which does not cover {entry.image.name}; fetch both again")
    if not motion.any():
        raise InputError(f"{entry.motion}: nothing moves in it; fetch it again, or remove {entry.name}_*")
    return resize(motion, size) * np.array([size[0] / width, size[1] / height], np.float32)


def frames_at(entry: Entry, count: int, size: tuple[int, int]) -> tuple[Float[np.ndarray, "k h w 3"], tuple[str, ...]]:
    """The first real frames of a sample, and notes on them.

    Args:
      entry: the sample.
      count: frames wanted.
      size: (width, height) wanted.

    Raises:
      InputError: a video that cannot be read, has fewer frames, or another aspect.
    """
    frames, notes = read_video(entry.video, count, size)
    photo = resize(read_photo(entry.image)[0], size)
    agreement = -10 * np.log10(max(float(np.mean((frames[0] - photo) ** 2)), 1e-12))
    if agreement < SAME_MOMENT:
        notes = [*notes, f"{entry.video.name}: its first frame is only {agreement:.1f} dB from {entry.image.name}"]
    return frames, tuple(notes)


def write_input(entry: Entry, folder: Path, width: int) -> tuple[int, int]:
    """Write a sample as an input folder of the pipeline: `image.png`, `flow.npy` and `mask.png`, all of one size.

    The flow is the true motion; the mask is where it moves (`moving`).

    Args:
      entry: the sample.
      folder: made where it is not there; existing files are replaced.
      width: of what is written, px; 0 for the photo's own. The height follows (`inputs.images`).

    Returns:
      (width, height) of what was written.

    Raises:
      InputError: something wrong with a file; one line that names it.
      OSError: the folder cannot be written.
    """
    photo, _ = read_photo(entry.image)
    size = working_size(photo.shape[1], photo.shape[0], width)
    motion = motion_at(entry, size)
    with replacing(folder / "flow.npy") as draft:
        np.save(draft, motion)
    for name, picture in {
        "mask.png": moving(motion).astype(np.float32),
        "image.png": resize(photo, size)[..., ::-1],
    }.items():
        _, code = cv2.imencode(".png", np.round(255 * picture).astype(np.uint8))
        with replacing(folder / name) as draft:
            draft.write_bytes(code.tobytes())
    return size
