"""Weights: where they lie, whether they are whole, and their hash."""

import functools
import hashlib
import json
import os
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mom3d_jax.external.protocol import ExternalError

SUFFIXES = {".pth", ".pt", ".ckpt", ".safetensors", ".bin", ".tar"}
"""Of files with weights; names on the hub do not end so."""
PAGES = (b"<!doctype html", b"<html")
POINTER = b"version https://git-lfs"


def find_weights(said: str, repo: Path | None, environment: Mapping[str, str]) -> Path:
    """Where weights lie.

    Args:
      said: in the settings: a file or folder (a relative one is looked for in the repository first), or a name on the
        Hugging Face hub, such as `Intel/zoedepth-nyu-kitti`, that was fetched into the cache before.
      repo: the model's repository, where it has one.
      environment: the worker's, which says where the cache is.

    Raises:
      ExternalError: nothing there.
    """
    path = Path(said).expanduser()
    for candidate in ([repo / path] if repo and not path.is_absolute() else []) + [path]:
        if candidate.exists():
            return candidate.absolute()
    cache = Path(
        environment.get("HF_HUB_CACHE")
        or Path(environment.get("HF_HOME") or Path.home() / ".cache" / "huggingface", "hub")
    ).expanduser()
    is_file = path.suffix in SUFFIXES or said.startswith((".", "~", "/"))
    if is_file or said.count("/") != 1:
        raise ExternalError(f"weights {said}: no such file or folder; docs/external.md says where they come from")
    kept = cache / f"models--{said.replace('/', '--')}"
    try:
        snapshot = kept / "snapshots" / (kept / "refs" / "main").read_text().strip()
    except OSError:
        snapshot = kept / "snapshots" / "none"
    if not snapshot.is_dir():
        raise ExternalError(
            f"weights {said}: neither a file or folder nor in the cache {cache}; fetch them first with "
            f"`hf download {said}`"
        )
    return snapshot.absolute()


def files_of(path: Path, needs: Sequence[str]) -> list[Path]:
    """The files that weights consist of.

    Args:
      path: a file, or a folder.
      needs: patterns of files that have to lie in the folder; none: all that do.

    Raises:
      ExternalError: one is missing, or there is none.
    """
    if path.is_file():
        return [path]
    found: list[Path] = []
    for pattern in needs or ("**/*",):
        here = sorted(file for file in path.glob(pattern) if file.is_file())
        if not here:
            raise ExternalError(
                f"weights {path}: no {pattern if needs else 'file'} there; fetch it, see docs/external.md"
            )
        found += here
    return list(dict.fromkeys(found))


def check_whole(file: Path) -> None:
    """Look at what a glance shows: an error page or a pointer in the place of weights, archives that are cut short.

    Raises:
      ExternalError: one line that names the file.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        start = opened.read(64)
    lost = f"weights {file}: cut short ({size} bytes); fetch the file again"
    if size == 0:
        raise ExternalError(lost)
    if start.lstrip().lower().startswith(PAGES) and file.suffix not in {".html", ".htm"}:
        raise ExternalError(f"weights {file}: a web page in the place of weights; fetch the file with a browser")
    if start.startswith(POINTER):
        raise ExternalError(f"weights {file}: a Git LFS pointer; fetch its content with `git lfs pull`")
    if file.suffix == ".safetensors" and size != _safetensors_size(file, start):
        raise ExternalError(lost)
    if start.startswith(b"PK\x03\x04") and not zipfile.is_zipfile(file):
        raise ExternalError(lost)


def _safetensors_size(file: Path, start: bytes) -> int:
    """Bytes that a file has by its own header: u64 length, JSON with the offsets of each tensor, their data."""
    try:
        (length,) = struct.unpack("<Q", start[:8])
        with file.open("rb") as opened:
            opened.seek(8)
            header = json.loads(opened.read(length)) if length < file.stat().st_size else {}
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except (struct.error, ValueError, KeyError, TypeError, IndexError):
        return -1
    return 8 + length + max(ends, default=-1)


def hash_files(files: Sequence[Path], memory: Path | None = None) -> str:
    """SHA-256 of files and their names, wherever they lie.

    Args:
      files: to hash, in this order.
      memory: a JSON file that keeps hashes of files which have not changed since (size and time), as weights are large.
    """
    try:
        known = json.loads(memory.read_text()) if memory else {}
    except (OSError, ValueError):
        known = {}
    before = dict(known)
    digest = hashlib.sha256()
    for file in files:
        there = file.stat()
        mark = f"{there.st_size} {there.st_mtime_ns} {there.st_ctime_ns} {there.st_ino}"
        place = os.path.realpath(file)
        if known.get(place, {}).get("mark") != mark:
            known[place] = {"mark": mark, "sha256": _sha256(place, mark)}
        digest.update(f"{file.name} {known[place]['sha256']}\n".encode())
    if memory and known != before:
        memory.parent.mkdir(parents=True, exist_ok=True)
        draft = memory.with_name(f".{memory.name}.{os.getpid()}")
        draft.write_text(json.dumps(known, indent=2))
        draft.replace(memory)
    return digest.hexdigest()


@functools.lru_cache(maxsize=1000)
def _sha256(place: str, mark: str) -> str:
    """Hash of one file; once per process and `mark`, whatever work folder asks."""
    with open(place, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
