"""Solvers and their options as words of a command line."""

import ast
import dataclasses
import re
from typing import Any

from ml_collections import ConfigDict

from mom3d_jax.motion3d import make_solver
from mom3d_jax.stages.job import solver_options


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A solver with its options, under the label that it has in table, pictures and folders."""

    label: str
    solver: str
    options: dict[str, Any]

    @property
    def folder(self) -> str:
        """The label as the name of a folder."""
        return re.sub(r"[^\w.-]+", "-", self.label)


def read_options(text: str) -> dict[str, Any]:
    """`a=1,b.c=(2, 3),d=name` as values by name.

    Raises:
      ValueError: a piece that is not NAME=VALUE, or a name that is there twice.
    """
    found: dict[str, Any] = {}
    # Commas inside brackets belong to a value.
    for piece in re.split(r",(?![^(\[]*[)\]])", text) if text.strip() else ():
        name, equals, value = (part.strip() for part in piece.partition("="))
        if not (name and equals and value):
            raise ValueError(f"{piece!r} in {text!r} is not NAME=VALUE; say for example iterations=20,tolerance=1e-5")
        if name in found:
            raise ValueError(f"{name!r} is there twice in {text!r}; keep one")
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    """A number, a list, true or false; anything else is text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def candidates_of(names: str, options: dict[str, Any], config: ConfigDict) -> list[Candidate]:
    """The solvers that are asked for, each tried with its options before anything is computed.

    Args:
      names: `coupled`, `coupled,irls`, `soft=coupled,hard=coupled`.
      options: by name for all of them, by `label.name` for one; they come over those of the config.
      config: of the pipeline.

    Raises:
      ValueError: an unknown solver, option or label, a label that is there twice, or a value of another kind.
    """
    pairs = [(label, name or label) for label, _, name in (word.strip().partition("=") for word in names.split(","))]
    labels = [label for label, _ in pairs]
    folders = [Candidate(label, "", {}).folder for label in labels]
    for label, folder in zip(labels, folders, strict=True):
        if not label:
            raise ValueError(f"--solver={names}: a name is missing between commas; say for example coupled,irls")
        if folders.count(folder) > 1 or folder in ("artifacts", "input") or not folder.strip("."):
            raise ValueError(f"--solver={names}: {label!r} would not have a folder of its own; say LABEL={label}")
    for option in options:
        label, dot, _ = option.rpartition(".")
        if dot and label not in labels:
            raise ValueError(f"--options={option}=…: no solver is called {label!r} here; there are {', '.join(labels)}")
    return [_candidate(label, name, options, config) for label, name in pairs]


def _candidate(label: str, name: str, options: dict[str, Any], config: ConfigDict) -> Candidate:
    chosen = config.copy_and_resolve_references()
    chosen.motion3d.solver = name
    given = {option: value for option, value in options.items() if "." not in option}
    given |= {o.removeprefix(f"{label}."): v for o, v in options.items() if o.rpartition(".")[0] == label}
    configured = solver_options(chosen)
    # A solver may be any object; what a dataclass says of its options is looked at.
    fields: dict[str, Any] = getattr(make_solver(name, **configured), "__dataclass_fields__", {})
    for option in given.keys() & fields.keys():
        if fields[option].default is not dataclasses.MISSING:
            given[option] = _alike(f"{name}.{option}", given[option], fields[option].default)
    rule = make_solver(name, **configured | given)
    if rule.iterations < 0:
        raise ValueError(f"--options={name}.iterations={rule.iterations}: a whole number from 0 up is wanted")
    return Candidate(label, name, configured | given)


def _alike(name: str, value: Any, default: Any) -> Any:
    """The value, if it is of the kind of the default; whole numbers serve as numbers."""
    kinds: dict[type, tuple[type, str]] = {
        bool: (bool, "true or false"),
        int: (int, "a whole number"),
        float: (float, "a number"),
        str: (str, "text"),
    }
    if type(default) not in kinds:
        return value
    kind, words = kinds[type(default)]
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"--options={name}={value}: {words} is wanted")
    return value
