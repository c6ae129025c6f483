"""Solvers side by side on one 3D-MOM problem: what they reached, and the files that show it."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, UInt8

from mom3d_jax import artifacts
from mom3d_jax.cameras import select
from mom3d_jax.cameras.generation import INPUT_VIEW
from mom3d_jax.export import Cell, Curve, Panel, ViewFlows, draw_panels, flow_sheet, mask_overlay, write_png
from mom3d_jax.laboratory.candidates import Candidate
from mom3d_jax.laboratory.given import Given
from mom3d_jax.motion3d import Problem, as_solved, assemble, make_solver, motion_report, project_flow, solve
from mom3d_jax.motion3d.solvers import prepare
from mom3d_jax.motion3d.solvers import run as iterate
from mom3d_jax.types import SceneFlow


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a candidate reached."""

    candidate: Candidate
    scene_flow: SceneFlow
    figures: dict[str, Any]
    """Of `motion_report` and of the solver."""


def check_fit(candidate: Candidate, problem: Problem) -> None:
    """Let a solver look at the problem before anything is computed.

    Raises:
      ValueError: it does not solve such problems; the line is its own.
    """
    jax.eval_shape(make_solver(candidate.solver, **candidate.options).init, problem)


def attempt(
    candidate: Candidate,
    problem: Problem,
    given: Given,
    truth: Float[np.ndarray, "n 3"] | None = None,
    *,
    warm: bool = False,
) -> Outcome:
    """Solve a problem and judge the result.

    Args:
      candidate: with what.
      problem: stated from `given`.
      given: cloud, views and flows.
      truth: the true motion of all points of the cloud, where it is known.
      warm: solve twice and take the second time, which has no compilation in it.

    Raises:
      FloatingPointError: the solver left the finite numbers.
    """
    if warm:
        rule = make_solver(candidate.solver, **candidate.options)
        jax.block_until_ready(iterate(rule, prepare(rule, problem)[0]))
    motion, report = solve(problem, candidate.solver, **candidate.options)
    known = None if truth is None else truth[np.asarray(problem.index)]
    scene_flow = assemble(given.cloud, select(given.views.cameras, INPUT_VIEW), problem, motion)
    figures = {
        "label": candidate.label,
        **report,
        "compiled_before": warm,
        **motion_report(as_solved(problem, report), motion, known),
    }
    figures["notes"] += [f"{name} is a prior that this solver does not know" for name in report["ignored_priors"]]
    return Outcome(candidate, scene_flow, figures)


def write_outcome(outcome: Outcome, given: Given, folder: Path) -> list[Path]:
    """Write `scene_flow.npz`, `flows.png` and `report.json`, which comes last.

    Raises:
      OSError: a file cannot be written; the message names it.
    """
    made = [folder / name for name in ("scene_flow.npz", "flows.png", "report.json")]
    candidate, figures = outcome.candidate, outcome.figures
    artifacts.save(made[0], outcome.scene_flow, artifacts.key_of("solve", candidate.solver, candidate.options))
    moving = np.linalg.norm(np.nan_to_num(np.asarray(given.flows.flow)), axis=-1)
    longest = float(np.percentile(moving[moving > 0], 99)) if (moving > 0).any() else 1.0
    title = (
        f"{given.name}, {candidate.label}: residual {figures['residual_epe_px']:.3g} px, flows consistent to "
        f"{figures['consistency_epe_px_before']:.3g} px before, {figures['consistency_epe_px_after']:.1g} px after"
    )
    photo = Cell(mask_overlay(given.views.images[INPUT_VIEW], given.views.masks[INPUT_VIEW]), "what moves (red)")
    flow_sheet(made[1], _view_flows(outcome, given), longest, title=title, first=photo)
    artifacts.write_json(made[2], figures)
    return made


def _view_flows(outcome: Outcome, given: Given) -> Iterator[ViewFlows]:
    """The lines of the sheet."""
    views, figures = given.views, outcome.figures
    responses = figures.get("nuisance", [(1.0, 0.0)] * len(views.masks))
    for v, (a, b) in enumerate(responses):
        median = figures["residual_median_px_per_view"][v]
        half = figures["share_within_half_px_per_view"][v]
        silent = "the view says nothing: not used"
        yield ViewFlows(
            name=f"view {v}{' (input)' if v == INPUT_VIEW else ''}",
            estimated=np.asarray(given.flows.flow[v]),
            projected=project_flow(outcome.scene_flow, views, [v])[0] @ np.array([[a, b], [-b, a]], np.float32),
            known=np.asarray(views.valid[v]),
            remark=silent if median is None else f"median {median:.2g} px, {half:.0%} within 0.5",
        )


def convergence_picture(outcomes: list[Outcome]) -> UInt8[np.ndarray, "h w 3"]:
    """Loss over evaluations and over seconds, and how far each objective is above the lowest that was reached.

    Objectives are compared among solvers that know the same priors. Steps are spread evenly over the evaluations and
    seconds of their solver. RGB.
    """
    losses, times, excess = [], [], []
    lowest: dict[tuple[str, ...], float] = {}
    for figures in (outcome.figures for outcome in outcomes):
        kind = tuple(figures["ignored_priors"])
        lowest[kind] = min(lowest.get(kind, np.inf), *_objective(figures))
    for outcome in outcomes:
        figures, label = outcome.figures, outcome.candidate.label
        steps = len(figures["losses"]) - 1
        share = np.arange(steps + 1) / max(steps, 1)
        evaluations = 1 + share * max(figures["evaluations"] - 1, 0)
        losses.append(Curve(label, list(evaluations), figures["losses"]))
        # A logarithmic axis has no 0: the start stands where half of the first step would end.
        seconds = figures["seconds"] * np.maximum(share, 0.5 / max(steps, 1))
        times.append(Curve(label, list(seconds), figures["losses"]))
        best = lowest[tuple(figures["ignored_priors"])]
        if steps:  # what has one step only does not converge
            excess.append(Curve(label, list(evaluations), [value - best for value in _objective(figures)]))
    return draw_panels(
        [
            Panel("loss over evaluations", "evaluations of the problem", "mean loss per observation", losses),
            Panel("loss over time", "seconds", "mean loss per observation", times),
            Panel("objective above the lowest reached", "evaluations of the problem", "excess", excess),
        ]
    )


def _objective(figures: dict[str, Any]) -> list[float]:
    """With priors, where there are any."""
    return figures.get("objective", figures["losses"])


def write_comparison(outcomes: list[Outcome], stated: dict[str, Any], folder: Path) -> list[Path]:
    """Write `convergence.png`, and `report.json` with what the problem was and all figures.

    Raises:
      OSError: a file cannot be written; the message names it.
    """
    made = [folder / "convergence.png", folder / "report.json"]
    write_png(made[0], convergence_picture(outcomes))
    artifacts.write_json(made[1], stated | {"results": [outcome.figures for outcome in outcomes]})
    return made
