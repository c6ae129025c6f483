"""Which implementation of the rasterizer runs where. Backends are chosen in Python, when a program is traced."""

import dataclasses
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Backend:
    """One implementation."""

    module: str
    """Module below this package."""
    obstacle: Callable[[Any], str | None]
    """What keeps it from rendering arrays of a dtype here, or None."""
    function: str = "blend"
    """In that module, with the signature and the meaning of `rasterize.xla.blend`."""
    together: bool = False
    """Whether the images of a `vmap` are drawn at once, with room for each, instead of one after the other."""


def _float32_only(dtype: Any) -> str | None:
    return None if dtype == jnp.float32 else f"it computes in float32, not {jnp.dtype(dtype).name}"


def _needs_nvidia_gpu(dtype: Any) -> str | None:
    device = jax.devices()[0]
    is_cuda = device.platform == "gpu" and "cuda" in device.client.platform_version.lower()
    # Older ones know neither Triton nor the arithmetic of its matrix products.
    if is_cuda and float(device.compute_capability) >= 8:
        return _float32_only(dtype)
    return "it needs an NVIDIA GPU of compute capability 8.0 or newer"


# In order of preference. `pallas_triton` moves to the front when the conformance tests have passed on a GPU; until then
# it is used where it is named. Interpreted, it is for tests: exact, and very slow.
BACKENDS = {
    "xla": Backend(".rasterize.xla", _float32_only),
    "pallas_triton": Backend(".rasterize.pallas_triton", _needs_nvidia_gpu, together=True),
    "reference": Backend(".rasterize.reference", lambda dtype: None),
    "pallas_triton_interpreted": Backend(".rasterize.pallas_triton", _float32_only, "blend_interpreted", together=True),
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


def triton() -> ModuleType:
    """Pallas' Triton module. Its kernels import it from here alone, so that its end upstream concerns one file."""
    from jax.experimental.pallas import triton as module

    return module


def load(name: str) -> Callable[..., Any]:
    """The function of a backend; see `Backend.function`."""
    backend = BACKENDS[name]
    return getattr(importlib.import_module(backend.module, __package__), backend.function)
