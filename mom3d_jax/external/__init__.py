"""Other people's models, each in a process and an environment of its own.

Nothing here imports torch, and no worker imports anything from here: they meet in a folder (`protocol`).
"""

from mom3d_jax.external.doctor import check_up
from mom3d_jax.external.model import Model, make_model
from mom3d_jax.external.protocol import TASKS, ExternalError, Item, Result
from mom3d_jax.external.registry import REGISTRY
from mom3d_jax.external.runner import ask

__all__ = ["REGISTRY", "TASKS", "ExternalError", "Item", "Model", "Result", "ask", "check_up", "make_model"]
