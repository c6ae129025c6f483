"""The training loop: batches, capacity, checkpoints, progress."""

import logging
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from mom3d_jax.progress import Progress
from mom3d_jax.render import bucket
from mom3d_jax.training.checkpoints import Checkpoints
from mom3d_jax.training.pool import Pool
from mom3d_jax.training.sharding import replicated
from mom3d_jax.training.state import Frozen, TrainState
from mom3d_jax.training.steps import StepReport

log = logging.getLogger(__name__)

CHUNK = 10
"""Steps dispatched before the host looks at their reports."""


class FitReport(NamedTuple):
    """How a fit went."""

    steps: int
    resumed_at: int
    skipped: int
    capacity: int
    culled: int
    """The most Gaussians that a view of the last chunk had to leave out."""
    losses: list[float | None]
    """Mean loss of each chunk's finite steps since the start or the resumption; None for a chunk without any."""


def fit(
    name: str,
    state: TrainState,
    frozen: Frozen,
    pool: Pool,
    step_for: Callable[[int], Callable],
    mesh: Mesh,
    *,
    steps: int,
    batch: int,
    capacity: int,
    seed: int,
    checkpoints: Checkpoints,
    key: str,
    checkpoint_every: int = 200,
) -> tuple[TrainState, FitReport]:
    """Run a stage to its last step, from its newest checkpoint if it has one.

    Args:
      name: what progress lines call the stage.
      state: the state before the first step; also the template of its checkpoints.
      frozen: what the steps read.
      pool: what to train on.
      step_for: gives the step function for a capacity.
      mesh: devices; `batch` is a multiple of their number.
      steps: how many steps in all.
      batch: images per step.
      capacity: first guess; grown, and the step repeated, whenever a view needs more.
      seed: of the order of the images.
      checkpoints: where to keep states.
      key: what the states belong to.
      checkpoint_every: steps between checkpoints, rounded up to whole chunks; the last state is always saved.

    Raises:
      FloatingPointError: every step of a chunk was skipped because its loss or gradient was not finite.
    """
    whole = replicated(mesh)
    resumed = checkpoints.restore(state, key, whole)
    state = jax.device_put(state if resumed is None else resumed, whole)
    frozen = jax.device_put(frozen, whole)
    start = done = int(state.step)
    if start:
        log.info("%s: going on from step %d of %d", name, start, steps)
    losses: list[float | None] = []
    culled = 0
    run = step_for(capacity)
    with Progress(name, total=steps, done=start) as progress:
        while done < steps:
            skipped_before = int(state.skipped)
            pending = list(range(done, min(done + CHUNK, steps)))
            finished = len(pending)
            chunk: list[float] = []
            while pending:
                reports: list[StepReport] = []
                for number in pending:
                    state, report = run(state, frozen, pool.batch(number, batch, seed))
                    reports.append(report)
                reports = jax.device_get(reports)
                chunk += [float(r.loss) for r in reports if r.fits and np.isfinite(r.loss)]
                culled = int(max(r.culled for r in reports))
                pending = [number for number, r in zip(pending, reports, strict=True) if not r.fits]
                if pending:
                    capacity = bucket(int(max(r.intersections for r in reports)))
                    log.info("%s: views need more intersections; capacity is now %d", name, capacity)
                    run = step_for(capacity)
            if int(state.skipped) - skipped_before == finished:
                raise FloatingPointError(
                    f"{name}: no step from {done} on had a finite loss and gradient; lower the learning rates"
                )
            losses.append(float(np.mean(chunk)) if chunk else None)
            before, done = done, done + finished
            progress.update(done, **({"loss": losses[-1]} if losses[-1] is not None else {}))
            if before // checkpoint_every != done // checkpoint_every or done == steps:
                checkpoints.save(state, key)
    if int(state.skipped):
        log.warning("%s: %d of %d steps were skipped as not finite", name, int(state.skipped), steps)
    if culled:
        log.warning("%s: up to %d Gaussians of a view were not drawable and left out", name, culled)
    return state, FitReport(done, start, int(state.skipped), capacity, culled, losses)
