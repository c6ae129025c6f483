"""The pictures of a report: convergence, errors by solver, errors by level, and the motion itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from benchmarks.motion3d.canvas import INK, PALETTE, Axis, Canvas, Colour, Line, linear_axis, log_axis
from benchmarks.motion3d.synthetic import Case
from mom3d_jax.cameras import project, select
from mom3d_jax.export import Cell, compose, flow_picture, write_png
from mom3d_jax.motion3d import predict
from mom3d_jax.motion3d.projected import splat

PANEL = (400, 300)
KEY = 200
"""Width of a legend."""
FEW_STEPS = 12
"""Up to that many, each step gets a dot."""
SHOWN_VIEW = 5
"""Turned to the right and off its centre: the camera moves as well as turns."""
Rows = Sequence[dict[str, Any]]


def styles(names: Sequence[str], default: str | None) -> dict[str, tuple[Colour, float]]:
    """Colour and thickness of each solver; the default is thick and black."""
    others = [name for name in names if name != default]
    found: dict[str, tuple[Colour, float]] = {n: (PALETTE[k % len(PALETTE)], 1.2) for k, n in enumerate(others)}
    return {name: (INK, 2.4) if name == default else found[name] for name in names}


def draw_convergence(curves: Rows, default: str | None, path: Path) -> None:
    """Loss and EPE over evaluations and seconds, of one problem and seed.

    Solvers that do not iterate have no line; the start, before any evaluation, cannot stand on a logarithmic axis.

    Args:
      curves: one for each solver, as in the report.
      default: the solver that is drawn thick.
      path: PNG file.
    """
    curves = [c for c in curves if len(c["steps"]) > 1]
    if not curves:
        return
    style = styles([c["solver"] for c in curves], default)
    # The thick line goes below the others.
    curves.sort(key=lambda c: c["solver"] != default)
    canvas = Canvas(2 * PANEL[0] + KEY, 2 * PANEL[1])
    for i, (y, y_name) in enumerate((("loss", "loss, each its own"), ("epe_truth_px", "EPE to the truth, px"))):
        for j, (x, x_name) in enumerate((("evaluations", "evaluations"), ("seconds", "seconds, without compilation"))):
            lines = [
                Line(c[x][1:], c[y][1:], *style[c["solver"]], c["steps"][-1] <= FEW_STEPS)
                for c in curves
                if None not in c[y] and min(*c[x][1:], *c[y][1:], 1) > 0
            ]
            if lines:
                across = log_axis(x_name, [v for line in lines for v in line.x])
                up = log_axis(y_name, [v for line in lines for v in line.y])
                canvas.panel((j * PANEL[0], i * PANEL[1]), PANEL, curves[0]["problem"], (across, up), lines)
    canvas.legend((2 * PANEL[0] + 8, 56), style)
    _save(canvas, path)


def draw_bars(rows: Rows, nothing: float, path: Path) -> None:
    """EPE to the truth of each solver, with what doing nothing and the input view's lift leave.

    Args:
      rows: one for each solver, means over seeds, all of one problem.
      nothing: EPE of no motion at all, px.
      path: PNG file.
    """
    rows = sorted((r for r in rows if r["epe_truth_px"] is not None), key=lambda r: r["epe_truth_px"])
    if not rows:
        return
    longest = 1.12 * max(nothing, *(r["epe_truth_px"] for r in rows))
    name_width, row_height, length = 190, 20, 480
    canvas = Canvas(name_width + length + 60, 64 + row_height * len(rows))
    canvas.write(f"{rows[0]['problem']}: EPE to the truth, px", (10, 18), size=0.44)
    across = lambda value: name_width + value / longest * length
    bottom = 50 + row_height * len(rows)
    for k, row in enumerate(rows):
        y, value = 50 + row_height * k, row["epe_truth_px"]
        canvas.block((name_width, y), (across(value), y + 13), INK if row["default"] else PALETTE[0])
        canvas.write(row["solver"], (name_width - 8, y + 11), anchor=1)
        canvas.write(f"{value:.4f}", (across(value) + 5, y + 11))
    lifted = [r["epe_truth_px"] for r in rows if r["solver"] == "input_view_lift"]
    for value, name in ((nothing, "no motion"), *((v, "input view's lift") for v in lifted)):
        canvas.dash((across(value), 44), (across(value), bottom))
        canvas.write(name, (across(value), 39), anchor=0.5)
    _save(canvas, path)


def draw_levels(rows: Rows, default: str | None, path: Path) -> None:
    """EPE to the truth over the level of corruption, and over the share of outliers, of one problem and width.

    Args:
      rows: means over seeds, of any levels.
      default: the solver that is drawn thick.
      path: PNG file; not written where nothing varies.
    """
    rows = [r for r in rows if r["epe_truth_px"]]
    names = list(dict.fromkeys(r["solver"] for r in rows))
    style = styles(names, default)
    canvas, drawn = Canvas(2 * PANEL[0] + KEY, PANEL[1]), 0
    for j, (along, fixed, name) in enumerate(
        (("corruption", "outliers", "corruption, level"), ("outliers", "corruption", "outliers, share of the blocks"))
    ):
        common = _most_varied(rows, along, fixed)
        marks = sorted({r[along] for r in rows if r[fixed] == common})
        if len(marks) < 2:
            continue
        lines = []
        for solver in names:
            chosen = sorted((r[along], r["epe_truth_px"]) for r in rows if r["solver"] == solver and r[fixed] == common)
            lines.append(Line([x for x, _ in chosen], [y for _, y in chosen], *style[solver]))
        x_axis: Axis = linear_axis(name, marks[0], marks[-1], marks)
        y_axis = log_axis("EPE to the truth, px", [y for line in lines for y in line.y])
        title = f"{rows[0]['problem']}, {fixed} {common:g}"
        canvas.panel((j * PANEL[0], 0), PANEL, title, (x_axis, y_axis), [q for q in lines if len(q.x)])
        drawn += 1
    if drawn:
        canvas.legend((2 * PANEL[0] + 8, 56), style)
        _save(canvas, path)


def _most_varied(rows: Rows, along: str, fixed: str) -> float | None:
    """The value of one setting at which the other takes the most values."""
    seen: dict[float, set[float]] = {}
    for row in rows:
        seen.setdefault(row[fixed], set()).add(row[along])
    return max(seen, key=lambda value: len(seen[value])) if seen else None


def draw_motion(case: Case, motion: Float[np.ndarray, "n 3"], title: str, path: Path) -> None:
    """The given flow of one view, the truth, the estimate, and their difference, in two scales of colour.

    Args:
      case: a problem with its truth.
      motion: an estimate.
      title: of the row.
      path: PNG file.
    """
    problem, v = case.problem, SHOWN_VIEW
    camera = select(problem.cameras, v)
    seen = np.asarray(problem.weight)[v] > 0
    pixels = np.asarray(project(camera, problem.points)[0])[seen]
    truth, estimate = (np.asarray(predict(problem, f))[v][seen] for f in (case.truth, motion))
    given = np.asarray(problem.target)[v][seen]
    covered = _covered(pixels, camera.width, camera.height)
    longest = float(np.percentile(np.linalg.norm(truth, axis=-1), 99))
    shown = [(given, longest, "given"), (truth, longest, "truth"), (estimate, longest, "estimate")]
    shown.append((estimate - truth, 0.25 * longest, f"estimate - truth, full brightness {0.25 * longest:.2f} px"))
    cells = [Cell(flow_picture(splat(pixels, flow, covered), scale), name) for flow, scale, name in shown]
    write_png(path, np.clip(compose([(f"{title}, view {v}; full brightness {longest:.2f} px", cells)], 400, 2), 0, 1))


def _covered(pixels: Float[np.ndarray, "n 2"], width: int, height: int) -> np.ndarray:
    """Pixels that points fall on, with the gaps between them closed."""
    hit = np.zeros((height, width), np.uint8)
    hit[pixels[:, 1].astype(int), pixels[:, 0].astype(int)] = 1
    return cv2.morphologyEx(hit, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) > 0


def _save(canvas: Canvas, path: Path) -> None:
    write_png(path, canvas.pixels.astype(np.float32) / 255)
