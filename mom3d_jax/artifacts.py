"""Artifacts on disk: the result of a stage as one npz file, complete or absent, with the key it was made under."""

import dataclasses
import functools
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import mom3d_jax
from mom3d_jax import types
from mom3d_jax.atomic import replacing


def key_of(*parts: Any) -> str:
    """A short content key of JSON-able parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def key_of_files(files: Iterable[Path]) -> str:
    """A content key of files and their names, wherever they lie."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode())
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:16]


@functools.cache
def key_of_code() -> str:
    """A content key of the project's own sources: results of other code are made again, never taken for today's."""
    digest = hashlib.sha256()
    for folder in mom3d_jax.__path__:  # in a checkout the kernels lie in a second one
        for package in (Path(folder), Path(folder, "kernels")):
            for file in sorted(package.glob("**/*.py")) if (package / "__init__.py").is_file() else ():
                if file.parent.name == "workers":
                    continue  # programs of other environments: each is part of the key of its model
                digest.update(str(file.relative_to(package)).encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, whole or not at all; a value that JSON cannot hold, NaN included, is an error."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    with replacing(path) as draft:
        draft.write_text(text)


def save(path: Path, tree: Any, key: str) -> None:
    """Write a pytree of the classes of `mom3d_jax.types`, dicts and arrays.

    Args:
      path: the npz file.
      tree: what to write.
      key: what it was made under; `load` asks for it.
    """
    arrays: dict[str, np.ndarray] = {}
    layout = _describe(tree, "", arrays)
    with replacing(path) as draft, draft.open("wb") as file:
        np.savez(file, allow_pickle=False, __layout__=np.array(json.dumps({"key": key, "tree": layout})), **arrays)


def exists(path: Path, key: str) -> bool:
    """Whether there is an artifact that was made under this key; reads its directory only."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return json.loads(str(file["__layout__"]))["key"] == key
    except (FileNotFoundError, zipfile.BadZipFile, KeyError, ValueError, EOFError):
        return False


def load(path: Path, key: str | None = None) -> Any:
    """Read what `save` wrote.

    Args:
      path: the npz file.
      key: what it must have been made under; None takes whatever is there.

    Raises:
      ValueError: the file was made under another key.
    """
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        layout = json.loads(str(file["__layout__"]))
        if key is not None and layout["key"] != key:
            raise ValueError(f"{path} was made under other settings; remove it to make it again")
        return _rebuild(layout["tree"], file)


def share(source: Path, target: Path) -> None:
    """Give an artifact and the record beside it a second place.

    The files are linked, or copied where links fail (another disk, a file system without them). Nothing writes into a
    file that is there, so the two places never change each other.

    Raises:
      OSError: the target cannot be written; the message names it.
    """
    # The record first: an artifact that is there is complete.
    for suffix in (".json", source.suffix):
        with replacing(target.with_suffix(suffix)) as draft:
            try:
                os.link(source.with_suffix(suffix), draft)
            except OSError:
                shutil.copyfile(source.with_suffix(suffix), draft)


def _describe(tree: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """JSON structure of a tree; its arrays go into `arrays` under dotted names."""
    if tree is None:
        return None
    if isinstance(tree, dict):
        return {"dict": {k: _describe(v, f"{name}.{k}" if name else k, arrays) for k, v in tree.items()}}
    if dataclasses.is_dataclass(tree):
        fields: dict[str, Any] = {}
        for field in dataclasses.fields(tree):
            value = getattr(tree, field.name)
            if field.metadata.get("static"):
                fields[field.name] = {"value": list(value) if isinstance(value, tuple) else value}
            else:
                fields[field.name] = _describe(value, f"{name}.{field.name}" if name else field.name, arrays)
        return {"class": type(tree).__name__, "fields": fields}
    arrays[name or "array"] = np.asarray(tree)
    return {"array": name or "array"}


def _rebuild(layout: Any, file: Any) -> Any:
    if layout is None:
        return None
    if "array" in layout:
        return file[layout["array"]]
    if "value" in layout:
        return tuple(layout["value"]) if isinstance(layout["value"], list) else layout["value"]
    if "dict" in layout:
        return {k: _rebuild(v, file) for k, v in layout["dict"].items()}
    return getattr(types, layout["class"])(**{k: _rebuild(v, file) for k, v in layout["fields"].items()})
