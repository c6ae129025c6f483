"""3D Gaussians as PLY, in the layout that splatting tools share (B. Kerbl et al. 2023, the INRIA files).

Values are stored before their activations: logarithms of scales, logits of opacities, spherical harmonics with
colour = 0.5 + Σ. Quaternions are (w, x, y, z) and normalised. `f_rest` is channel-major: all coefficients of red, then
green, then blue. Normals are zero. Axes are OpenCV's (x right, y down, z forward).
"""

import dataclasses
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mom3d_jax.atomic import PathLike, replacing
from mom3d_jax.types import Gaussians

POSITION, NORMAL = ("x", "y", "z"), ("nx", "ny", "nz")
DC = ("f_dc_0", "f_dc_1", "f_dc_2")
SCALE, ROTATION = ("scale_0", "scale_1", "scale_2"), ("rot_0", "rot_1", "rot_2", "rot_3")

TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}


@dataclasses.dataclass(frozen=True)
class PlyReport:
    """What became of the rows of a Gaussian set."""

    written: int
    dead: int
    """Left out: free slots."""
    invisible: int
    """Left out: opacity exactly 0 (a logit of minus infinity), as of copies that do not exist at a frame."""
    invalid: int
    """Left out: a value is not finite, or the quaternion has no length."""
    bytes: int
    """Size of the file."""


def properties(bands: int) -> tuple[str, ...]:
    """Names of the columns, in order, for (degree + 1)² spherical harmonics per channel."""
    rest = tuple(f"f_rest_{i}" for i in range(3 * (bands - 1)))
    return POSITION + NORMAL + DC + rest + ("opacity",) + SCALE + ROTATION


def table(gaussians: Gaussians) -> Float[np.ndarray, "n p"]:
    """All rows as float32 columns in the order of `properties`; a quaternion without length gives NaN."""
    means = np.asarray(gaussians.means, np.float32)
    sh = np.asarray(gaussians.sh, np.float32)
    quaternions = np.asarray(gaussians.quaternions, np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        quaternions = quaternions / np.linalg.norm(quaternions, axis=-1, keepdims=True)
    columns = (
        means,
        np.zeros_like(means),
        sh[:, 0],
        sh[:, 1:].transpose(0, 2, 1).reshape(len(sh), 3 * (sh.shape[1] - 1)),
        np.asarray(gaussians.opacity_logits, np.float32)[:, None],
        np.asarray(gaussians.log_scales, np.float32),
        quaternions.astype(np.float32),
    )
    return np.concatenate(columns, axis=-1)


def header(count: int, names: Sequence[str], comments: Sequence[str] = ()) -> bytes:
    """The header of a binary little-endian file with float32 columns."""
    lines = ["ply", "format binary_little_endian 1.0"]
    lines += [f"comment {comment}" for comment in comments]
    lines += [f"element vertex {count}", *(f"property float {name}" for name in names), "end_header", ""]
    return "\n".join(lines).encode("ascii")


def write_ply(path: PathLike, gaussians: Gaussians, comments: Sequence[str] = ()) -> PlyReport:
    """Write the living, visible, valid rows of a Gaussian set.

    Args:
      path: the file; replaced at once when it is complete.
      gaussians: unconstrained parameters.
      comments: single lines of ASCII for the header.

    Returns:
      How many rows were written and how many left out.

    Raises:
      ValueError: a comment that would break the header.
      OSError: the file cannot be written; the message names it.
    """
    for comment in comments:
        if not comment.isascii() or not comment.isprintable():
            raise ValueError(f"PLY comment {comment!r} for {path} is not a single line of ASCII")
    rows = table(gaussians)
    alive = np.asarray(gaussians.alive)
    # No renderer draws these, and few read an infinite logit.
    visible = alive & ~np.isneginf(np.asarray(gaussians.opacity_logits))
    valid = visible & np.isfinite(rows).all(axis=-1)
    kept = rows[valid]
    head = header(len(kept), properties(np.shape(gaussians.sh)[1]), comments)
    with replacing(path) as draft, open(draft, "wb") as file:
        file.write(head)
        file.write(kept.astype("<f4").tobytes())
    return PlyReport(
        written=len(kept),
        dead=int((~alive).sum()),
        invisible=int((alive & ~visible).sum()),
        invalid=int((visible & ~valid).sum()),
        bytes=len(head) + 4 * kept.size,
    )


def _parse_header(path: Path, data: bytes) -> tuple[str, int, np.dtype, int]:
    """Format, vertex count, row type and where the rows begin."""
    end = re.search(rb"^end_header[ \t]*(\r\n|\r|\n)", data, re.MULTILINE)
    if not data.startswith(b"ply") or end is None:
        raise ValueError(f"{path} is not a PLY file: no PLY header")
    layout, count, element, fields = "", -1, "", []
    for line in data[: end.start()].decode("ascii", "replace").splitlines()[1:]:
        match line.split():
            case ["format", name, *_]:
                layout = name
            case ["element", "vertex", number] if element == "" and number.isdigit():
                element, count = "vertex", int(number)
            case ["element", name, *_]:
                if element == "":
                    raise ValueError(f"{path}: PLY element {name!r} stands before the vertices; expected vertex first")
                element = name
            case ["property", kind, name] if element == "vertex" and kind in TYPES:
                fields.append((name, TYPES[kind]))
            case ["property", *rest] if element == "vertex":
                raise ValueError(f"{path}: PLY vertex property {' '.join(rest)!r} is not a plain number")
    if layout not in ("ascii", "binary_little_endian", "binary_big_endian") or count < 0:
        raise ValueError(f"{path}: PLY header lacks a known format or an 'element vertex N' line")
    order = ">" if layout == "binary_big_endian" else "<"
    try:
        return layout, count, np.dtype([(name, order + kind) for name, kind in fields]), end.end()
    except ValueError as error:
        raise ValueError(f"{path}: PLY vertex properties are not distinct: {error}") from error


def read_vertices(path: PathLike) -> dict[str, np.ndarray]:
    """Columns of the vertex element of any PLY file (ascii, little or big endian), by name.

    Raises:
      ValueError: not a PLY file, list properties on the vertices, or fewer rows than announced.
      OSError: the file cannot be read.
    """
    path = Path(path)
    data = path.read_bytes()
    layout, count, dtype, start = _parse_header(path, data)
    names = dtype.names or ()
    if layout == "ascii":
        words = data[start:].split()[: count * len(names)]
        there, announced = len(words), count * len(names)
    else:
        there, announced = len(data) - start, count * dtype.itemsize
    if there < announced:
        unit = "values" if layout == "ascii" else "bytes"
        raise ValueError(f"{path} is cut short: {count} vertices need {announced} {unit}, the file has {there}")
    if layout != "ascii":
        rows = np.frombuffer(data, dtype, count, start)
        return {name: rows[name].astype(dtype[name].newbyteorder("=")) for name in names}
    try:
        values = np.array(words, np.float64).reshape(count, len(names))
    except ValueError as error:
        raise ValueError(f"{path}: a vertex value is not a number ({error})") from error
    return {name: values[:, i].astype(dtype[name]) for i, name in enumerate(names)}


def read_ply(path: PathLike) -> Gaussians:
    """Gaussians of a PLY file with the columns of `properties`, in any order; others (normals too) are ignored.

    Every row is alive and none is movable: the file does not say.

    Raises:
      ValueError: not a PLY file, a column is missing, or `f_rest` does not fill whole degrees.
      OSError: the file cannot be read.
    """
    columns = read_vertices(path)
    rest_count = sum(name.startswith("f_rest_") for name in columns)
    bands = rest_count // 3 + 1
    if rest_count % 3 or math.isqrt(bands) ** 2 != bands:
        raise ValueError(f"{path}: {rest_count} f_rest columns are not 3 ((degree + 1)² - 1)")
    missing = [name for name in properties(bands) if name not in columns and name not in NORMAL]
    if missing:
        raise ValueError(f"{path} holds no 3D Gaussians: without {', '.join(missing[:5])}")

    def stacked(names: Sequence[str]) -> np.ndarray:
        return np.stack([columns[name] for name in names], axis=-1).astype(np.float32)

    n = len(columns["x"])
    rest = np.zeros((n, 0), np.float32) if bands == 1 else stacked([f"f_rest_{i}" for i in range(rest_count)])
    sh = np.concatenate([stacked(DC)[:, None], rest.reshape(n, 3, bands - 1).transpose(0, 2, 1)], axis=1)
    return Gaussians(
        means=stacked(POSITION),
        log_scales=stacked(SCALE),
        quaternions=stacked(ROTATION),
        opacity_logits=stacked(("opacity",))[:, 0],
        sh=sh,
        alive=np.ones(n, bool),
        movable=0,
    )
