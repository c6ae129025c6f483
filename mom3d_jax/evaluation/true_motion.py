"""A solver that knows the answer: what the rest of the method makes of a perfect motion."""

import hashlib
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mom3d_jax.atomic import replacing
from mom3d_jax.evaluation.samples import Geometry
from mom3d_jax.motion3d import Problem
from mom3d_jax.motion3d.solvers.lift import Lifted
from mom3d_jax.types import Array, PointCloud, pytree, static

SOLVER = f"{__name__}:read"
"""Its name in `motion3d.solver`."""


@pytree
class Known:
    """A solver whose motion is given."""

    motion: Float[Array, "n 3"]
    """Of every point of the cloud, world units per frame."""
    iterations: int = static(default=0)
    tolerance: float = 0.0

    uses_priors = ()
    evaluations = 0
    refit = 0

    def init(self, problem: Problem) -> Lifted:
        """The answer: there is nothing to iterate."""
        return Lifted(jnp.asarray(self.motion)[problem.index])

    def step(self, problem: Problem, state: Lifted) -> Lifted:
        """Nothing."""
        return state


def read(file: str, content: str) -> Known:
    """The solver for a file that `options` has written.

    Args:
      file: npy, [n, 3].
      content: key of what is in the file; other content is another solver to the pipeline.
    """
    del content
    return Known(motion=np.load(file, allow_pickle=False))


def of_points(cloud: PointCloud, truth: Geometry) -> Float[np.ndarray, "n 3"]:
    """The true motion of the points, in the units of their own depth.

    A point whose depth is z instead of z* gets the true motion times z / z*, which looks the same in the photo.
    """
    pixels = np.asarray(cloud.pixels)
    motion, depth = truth.motion.reshape(-1, 3)[pixels], truth.depth.reshape(-1)[pixels]
    return (motion * (np.asarray(cloud.points)[:, 2] / depth)[:, None]).astype(np.float32)


def options(folder: Path, motion: Float[np.ndarray, "n 3"]) -> dict[str, str]:
    """Write the motion into a folder and give the solver's options for it.

    The file is named by what is in it: variants that share a folder and a motion have the same settings, so that they
    share what is made with them.

    Raises:
      OSError: the file cannot be written; the message names it.
    """
    content = hashlib.sha256(motion.tobytes()).hexdigest()[:16]
    file = folder / f"true_motion-{content}.npy"
    with replacing(file) as draft:
        np.save(draft, motion)
    return {"file": str(file), "content": content}
