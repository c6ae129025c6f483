"""The solvers by name, and how to plug in one's own."""

import dataclasses
import difflib
import importlib
from collections.abc import Callable, Iterable
from typing import Any

from mom3d_jax.motion3d.solvers.admm import ADMM
from mom3d_jax.motion3d.solvers.base import Solver
from mom3d_jax.motion3d.solvers.coupled import Coupled
from mom3d_jax.motion3d.solvers.irls import IRLS
from mom3d_jax.motion3d.solvers.lift import InputViewLift
from mom3d_jax.motion3d.solvers.lm import LevenbergMarquardt
from mom3d_jax.motion3d.solvers.optax_solver import Optax, factory_of, names
from mom3d_jax.motion3d.solvers.sgd import SGD, OfficialSGD

SOLVERS: dict[str, Callable[..., Solver]] = {
    "admm": ADMM,
    "coupled": Coupled,
    "input_view_lift": InputViewLift,
    "irls": IRLS,
    "lm": LevenbergMarquardt,
    "official_sgd": OfficialSGD,
    "sgd": SGD,
}
OPTAX = "optax:"
"""Prefix of the names of optax's optimizers."""


def make_solver(name: str, **options: Any) -> Solver:
    """A solver by its registered name, an optimizer by "optax:name", or any class by "module:attr".

    Raises:
      ValueError: an unknown name, a module or attribute that does not load, or an option the solver does not have.
    """
    if name.startswith(OPTAX):
        return _optax(name, options)
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            factory = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"cannot load solver {name!r}: {error}") from error
    elif name in SOLVERS:
        factory = SOLVERS[name]
    else:
        known = ", ".join(SOLVERS)
        raise ValueError(f"unknown solver {name!r}{nearest(name, SOLVERS)}; known: {known}, optax:name, module:attr")
    if dataclasses.is_dataclass(factory):
        known_options = [field.name for field in dataclasses.fields(factory)]
        for option in options:
            if option not in known_options:
                raise ValueError(
                    f"solver {name!r} has no option {option!r}{nearest(option, known_options)}; "
                    f"it has: {', '.join(known_options)}"
                )
    return factory(**options)


def _optax(name: str, options: dict[str, Any]) -> Solver:
    optimizer = name.removeprefix(OPTAX)
    if factory_of(optimizer) is None:
        known = names()
        raise ValueError(f"optax has no optimizer {optimizer!r}{nearest(optimizer, known)}; it has: {', '.join(known)}")
    ours = {f.name for f in dataclasses.fields(Optax)} - {"optimizer", "extra"}
    extra = tuple(sorted((k, v) for k, v in options.items() if k not in ours))
    solver = Optax(optimizer=optimizer, extra=extra, **{k: v for k, v in options.items() if k in ours})
    solver.transformation()
    return solver


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint at the known name that a mistyped one is most like, or nothing."""
    close = difflib.get_close_matches(word, list(known), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""
