"""One way to make moving pictures of a scene: a kind, and what it changes about the recipe."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from mom3d_jax.cli import meant, settings_of

NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
"""What a variant or a method may be called: a folder has the name."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """A row of the table."""

    name: str
    kind: str = "fit"
    """A key of `methods.METHODS`: fit, static, still, points, animator, predictions."""
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Settings of the pipeline by dotted name, over those of the recipe."""
    given: tuple[str, ...] = ()
    """What of the truth is given as input: depth, mask, flow; corrupted: all that was spoilt on purpose."""
    true_motion: bool = False
    """The true motion of the points instead of a solution."""
    equal_passes: bool = False
    """The steps of stage 2 grow with its number of views, so that each frame is seen equally often."""
    truth: str = ""
    """Truth that it is compared with whatever its field promises: advected, periodic."""
    about: str = ""
    """A few words for the table."""


def configured(recipe: ConfigDict, variant: Variant, overrides: Mapping[str, Any]) -> ConfigDict:
    """The recipe with the changes of a command line, and over them those of a variant.

    Raises:
      ValueError: a setting that there is not, with the nearest one, or a value of another kind.
    """
    config = recipe.copy_and_resolve_references()
    known = settings_of(config)
    for name, value in {**overrides, **variant.overrides}.items():
        if name not in known:
            raise ValueError(
                f"variant {variant.name!r}: unknown setting {name}{meant(name, known) or ';'} see config.py"
            )
        *sections, last = name.split(".")
        place = config
        for section in sections:
            place = place[section]
        try:
            place[last] = value
        except (TypeError, ValueError) as error:
            kind = type(known[name]).__name__
            raise ValueError(f"variant {variant.name!r}: {name}={value!r} is no {kind}, which it has to be") from error
    return config


def check_name(name: str) -> None:
    """Refuse a name that no folder could have.

    Raises:
      ValueError: such a name.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"method {name!r}: use letters, digits, hyphens, dots and underscores; a folder gets the name")
