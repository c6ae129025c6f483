"""Data sets by kind: a path becomes a list of samples."""

import json
from collections.abc import Callable
from pathlib import Path

from mom3d_jax.cli import meant
from mom3d_jax.evaluation import recordings
from mom3d_jax.evaluation.samples import Sample
from mom3d_jax.evaluation.scene_truth import read_json, read_truth
from mom3d_jax.inputs import InputError, find_files
from mom3d_jax.inputs.images import SUFFIXES
from mom3d_jax.synthetic.dataset import FORMAT


def synthetic(path: Path) -> list[Sample]:
    """Scenes of `python -m mom3d_jax synth`, as its `manifest.json` lists them; all have a truth."""
    file = path / "manifest.json"
    about = read_json(file)
    if about.get("format") != FORMAT:
        raise InputError(f"{file}: format {about.get('format')!r}, this program reads {FORMAT}; make the scenes again")
    samples = _inside(path, file, about.get("scenes"))
    for sample in samples:
        if sample.truth is None:
            raise InputError(f"{sample.source}: no truth/scene.json, so it is incomplete; run synth again to finish it")
    return samples


def folder(path: Path) -> list[Sample]:
    """Every scene folder and every picture in a folder; those with `truth/scene.json` have a truth."""
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; give a folder of scene folders or pictures")
    entries = sorted(e for e in path.iterdir() if not e.name.startswith("."))
    scenes = [e for e in entries if (any(f.stem == "image" for f in e.iterdir()) if e.is_dir() else _picture(e))]
    if not scenes:
        raise InputError(f"{path}: neither scene folders with image.png in it nor pictures; give another folder")
    return _named([_sample(scene) for scene in scenes], path)


def manifest(path: Path) -> list[Sample]:
    """Inputs that a JSON list names by paths relative to it; `{"scenes": [...]}` will do as well."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give the JSON file of the manifest") from error
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({str(error).splitlines()[0]}); write a list of paths") from error
    return _inside(path.parent, path, content.get("scenes") if isinstance(content, dict) else content)


DATASETS: dict[str, Callable[[Path], list[Sample]]] = {"synthetic": synthetic, "folder": folder, "manifest": manifest}
"""Kinds of data sets that lie ready: path -> samples."""
RECORDED = {"holynski": recordings.samples}
"""Kinds whose samples are first made into inputs: (path, folder for the inputs, frames) -> samples."""


def read_dataset(kind: str, path: Path, inputs: Path | None = None, frames: int = 60) -> list[Sample]:
    """The samples of a data set, in its order.

    Args:
      kind: a key of `DATASETS` or `RECORDED`.
      path: its folder or file.
      inputs: where samples of recordings are made into inputs of the pipeline; `inputs` beside the data by default.
      frames: of each recording that are scored.

    Raises:
      InputError: an unknown kind, or something wrong with the data; one line that names it and the remedy.
    """
    if kind in RECORDED:
        return RECORDED[kind](path, inputs or path.parent / "inputs", frames)
    known = [*DATASETS, *RECORDED]
    if kind not in DATASETS:
        raise InputError(f"dataset.kind={kind!r} is unknown{meant(kind, known) or ';'} known: {', '.join(known)}")
    return DATASETS[kind](path)


def choose(samples: list[Sample], names: str) -> list[Sample]:
    """The samples of these names, all where none is given, in the order of the data set.

    Raises:
      InputError: a name that there is not.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = [sample.name for sample in samples]
    for name in wanted:
        if name not in known:
            raise InputError(
                f"scenes={names!r}: no scene {name!r}{meant(name, known) or ';'} known: {', '.join(known)}"
            )
    return [sample for sample in samples if not wanted or sample.name in wanted]


def _inside(root: Path, file: Path, entries: object) -> list[Sample]:
    """Samples of paths that stay inside a folder."""
    if not isinstance(entries, list) or not entries or not all(isinstance(e, str) and e for e in entries):
        raise InputError(f'{file}: not a list of paths such as ["lake", "photos/beach.jpg"]')
    seen: dict[Path, str] = {}
    for entry in entries:
        place = (root / entry).resolve()
        if not place.is_relative_to(root.resolve()) or place == root.resolve():
            raise InputError(f"{file}: {entry!r} leads out of {root}; entries are relative paths inside that folder")
        if place in seen:
            raise InputError(f"{file}: {seen[place]!r} and {entry!r} are the same; keep one")
        if not place.exists():
            raise InputError(f"{file}: {entry!r} is not there; remove the entry, or add the scene")
        seen[place] = entry
    return _named([_sample(root / entry) for entry in entries], file)


def _sample(path: Path) -> Sample:
    return Sample(find_files(path).name, path, read_truth(path) if path.is_dir() else None)


def _named(samples: list[Sample], place: Path) -> list[Sample]:
    """The samples, if their names can tell them apart: results lie in folders of these names."""
    found: dict[str, Path] = {}
    for sample in samples:
        if sample.name in found:
            raise InputError(f"{place}: {found[sample.name]} and {sample.source} have one name; rename one")
        found[sample.name] = sample.source
    return samples


def _picture(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in SUFFIXES
