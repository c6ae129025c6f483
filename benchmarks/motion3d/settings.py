"""The rows of the benchmark: a solver, its options, and the problem that it is given."""

import dataclasses
from typing import Any, NamedTuple

from mom3d_jax.config import default_config
from mom3d_jax.motion3d import Priors, Problem
from mom3d_jax.motion3d.solvers import SOLVERS, Solver, make_solver
from mom3d_jax.stages.job import solver_options


class Setting(NamedTuple):
    """How a problem is stated, and solved."""

    solver: str
    """A key of `SOLVERS`, "optax:name" or "module:attr"."""
    options: dict[str, Any] = {}  # noqa: RUF012  nobody writes into it
    priors: dict[str, float] = {}  # noqa: RUF012  nobody writes into it
    """Fields of `Priors`; the rest is 0: the plain problem of the paper."""
    nuisance: str = "none"
    loss: str = "l1"

    def state(self, problem: Problem) -> Problem:
        """The problem with this setting's priors, nuisance model and loss."""
        return dataclasses.replace(problem, priors=Priors(**self.priors), nuisance=self.nuisance, loss=self.loss)

    def make(self) -> Solver:
        """The solver.

        Raises:
          ValueError: an unknown solver or option.
        """
        return make_solver(self.solver, **self.options)


def project_default() -> Setting:
    """What the pipeline does when nobody says otherwise."""
    config = default_config()
    own = config.motion3d
    return Setting(own.solver, solver_options(config), own.priors.to_dict(), own.nuisance, own.loss)


DEFAULT = project_default()
PLAIN = ("input_view_lift", "official_sgd", "sgd", "irls", "lm", "admm")
"""Solvers on the plain problem, as the paper and the textbooks have them."""
OPTIMIZERS = {
    "optax:adam": {"iterations": 60},
    "optax:lion": {"iterations": 60},
    "optax:schedule_free_adamw": {"iterations": 60},
    "optax:lbfgs": {"iterations": 30, "memory_size": 3},  # more pairs cost 48 bytes per point each and gain nothing
}
"""Optimizers on the problem of the default, with their options."""
SETTINGS: dict[str, Setting] = {
    **{name: Setting(name) for name in PLAIN},
    **{name: DEFAULT._replace(solver=name, options=options) for name, options in OPTIMIZERS.items()},
    "coupled:fast": DEFAULT._replace(solver="coupled", options={**DEFAULT.options, "iterations": 4}),
    "coupled:l1": DEFAULT._replace(loss="l1"),
    "coupled:tangency": DEFAULT._replace(priors={**DEFAULT.priors, "tangency": 1.0}),
    DEFAULT.solver: DEFAULT,
}

SLOW = ("admm", "optax:lion", "optax:schedule_free_adamw", "optax:lbfgs")
"""Settings that a quick run leaves out unless it is asked for them."""


def find(name: str) -> Setting:
    """A setting by its name, or any other solver by its own, on the problem of the default.

    Raises:
      ValueError: neither a setting nor a solver.
    """
    setting = SETTINGS.get(name) or DEFAULT._replace(solver=name, options={})
    try:
        setting.make()
    except ValueError as error:
        named = ", ".join(n for n in SETTINGS if n not in SOLVERS)
        raise ValueError(f"--solver: {error}; settings: {named}") from error
    return setting
