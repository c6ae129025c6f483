"""Everything that makes pictures of a scene, by the kind that a variant names."""

from collections.abc import Callable

from mom3d_jax.evaluation import baselines, fit
from mom3d_jax.evaluation.task import Rendered, Task

METHODS: dict[str, Callable[[Task], Rendered]] = {
    "fit": fit.fit,
    "static": fit.static,
    "still": baselines.still,
    "points": baselines.points,
    "animator": baselines.animator,
}
