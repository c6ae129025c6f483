"""Which implementation of the rasterizer runs where. Backends are chosen in Python, when a program is traced."""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Backend:
    """One implementation."""

    module: str
    """Module below this package with a function `blend`."""
    obstacle: Callable[[Any], str | None]
    """What keeps it from rendering arrays of a dtype here, or None."""


def _float32_only(dtype: Any) -> str | None:
    return None if dtype == jnp.float32 else f"it computes in float32, not {jnp.dtype(dtype).name}"


# In order of preference.
BACKENDS = {
    "xla": Backend(".rasterize.xla", _float32_only),
    "reference": Backend(".rasterize.reference", lambda dtype: None),
}


def available(dtype: Any = jnp.float32) -> list[str]:
    """Names of the backends that can run here, best first."""
    return [name for name, backend in BACKENDS.items() if backend.obstacle(dtype) is None]


def choose(name: str | None, dtype: Any = jnp.float32) -> str:
    """Name of the backend to use: the best one that can run, or the named one.

    Raises:
      ValueError: an unknown name.
      NotImplementedError: a known backend that cannot run here, with the condition.
    """
    if name is None:
        return available(dtype)[0]
    if name not in BACKENDS:
        raise ValueError(f"unknown rasterizer backend {name!r}; known: {', '.join(BACKENDS)}")
    if obstacle := BACKENDS[name].obstacle(dtype):
        raise NotImplementedError(f"rasterizer backend {name!r} cannot run: {obstacle}; use {available(dtype)[0]!r}")
    return name


def load(name: str) -> Callable[..., Any]:
    """The `blend` function of a backend."""
    return importlib.import_module(BACKENDS[name].module, __package__).blend
