"""Adam with a learning rate and an exponential schedule per attribute, on optax."""

from collections.abc import Mapping
from typing import Any

import jax
import optax


def group_of(path: tuple[Any, ...]) -> str:
    """Name of the learning-rate group of a parameter, from its place in the tree.

    Gaussian attributes are groups of their own; a residual's grids are `planes`, everything else of it `heads`.
    """
    keys = [str(getattr(p, "key", p)) for p in path]
    if keys[0] == "gaussians":
        return keys[1]
    return "planes" if keys[1].startswith(("space_", "time_")) else "heads"


def make_optimizer(
    rates: Mapping[str, tuple[float, float]], steps: int, *, adam: tuple[float, float, float] = (0.9, 0.999, 1e-8)
) -> optax.GradientTransformation:
    """Adam over all parameters.

    Args:
      rates: (first, last) learning rate of each group, decayed log-linearly over the steps. Positions are in units of
        `Frozen.pixel_size`, by which `steps.make_step` multiplies their update: px of the input view, or world units.
      steps: length of the schedules.
      adam: β₁, β₂ and ε.

    Raises:
      ValueError: at initialisation, a parameter whose group has no rate.
    """
    b1, b2, eps = adam
    transforms = {
        name: optax.chain(
            optax.scale_by_adam(b1, b2, eps),
            optax.scale_by_learning_rate(optax.exponential_decay(first, max(steps, 1), last / first))
            if first > 0
            else optax.set_to_zero(),
        )
        for name, (first, last) in rates.items()
    }

    def labels(params: Any) -> Any:
        groups = jax.tree_util.tree_map_with_path(lambda path, _: group_of(path), params)
        missing = sorted(set(jax.tree.leaves(groups)) - set(transforms))
        if missing:
            raise ValueError(f"no learning rate for {', '.join(missing)}; rates are given for {', '.join(transforms)}")
        return groups

    return optax.partition(transforms, labels)
