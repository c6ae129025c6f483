"""Rows of a report: what one is made of, means over seeds and photos, and tables."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

Row = dict[str, Any]

STATED = ("problem", "solver", "default", "width", "height", "views", "corruption", "outliers", "seed")
"""What was run."""
FOUND = (
    *("loss", "fit_residual_px", "epe_truth_px", "lateral_error", "relative_3d_error", "consistency_epe_px"),
    *("seconds", "evaluations", "peak_bytes"),
)
"""What came of it."""
CELL = ("problem", "width", "height", "corruption", "outliers")
"""What rows have to agree in to be compared."""
COLUMNS: dict[str, tuple[str, str]] = {
    "seconds": ("seconds", "{:.2f}"),
    "evaluations": ("evaluations", "{:.0f}"),
    "peak_bytes": ("memory, MB", "{:.0f}"),
    "loss": ("loss", "{:.4f}"),
    "fit_residual_px": ("fit residual, px", "{:.4f}"),
    "epe_truth_px": ("EPE to truth, px", "{:.4f}"),
    "lateral_error": ("lateral error", "{:.3f}"),
    "relative_3d_error": ("3D error", "{:.3f}"),
    "consistency_epe_px": ("consistency, px", "{:.4f}"),
}
"""Figure -> heading and format."""
MEGABYTE = 1e6


def mean(rows: Sequence[Row], over: str) -> Row:
    """One row of several that differ in `over` alone; figures that any of them lacks are means of the others.

    Args:
      rows: at least one.
      over: "seed" or "photo"; left out of the result.
    """
    means: Row = {}
    for name in rows[0]:
        values = [row[name] for row in rows if row[name] is not None]
        if name in FOUND:
            means[name] = float(np.mean(values)) if values else None
        elif name != over:
            means[name] = values[0] if len(set(values)) == 1 else None
    return means


def grouped(rows: Iterable[Row], by: Sequence[str]) -> dict[tuple, list[Row]]:
    """Rows that agree in some keys, in the order of their first."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in by), []).append(row)
    return groups


def over_seeds(rows: Iterable[Row]) -> list[Row]:
    """Means over the seeds, with how many there were as `seeds`."""
    groups = grouped(rows, (*CELL, "solver", "default", "views"))
    return [{**mean(group, "seed"), "seeds": len(group)} for group in groups.values()]


def markdown(report: Row) -> str:
    """The tables of a report: all figures at the first size and level of each problem, then the others side by side."""
    nothing = {cell: mean(still, "seed") for cell, still in grouped(report["do_nothing"], CELL).items()}
    parts = []
    for (problem,), rows in grouped(over_seeds(report["results"]), ("problem",)).items():
        cell, first = next(iter(grouped(rows, CELL).items()))
        parts.append(_table(cell, first, nothing.get(cell)))
        sizes = [row for row in rows if _level(row) == _level(first[0])]
        for figure in ("epe_truth_px", "lateral_error", "seconds", "peak_bytes"):
            parts += _side_by_side(problem, figure, sizes, ("width",), lambda row: f"{row['width']} px wide")
        levels = [row for row in rows if row["width"] == first[0]["width"]]
        name = lambda row: f"corruption {row['corruption']:g}, outliers {row['outliers']:.0%}"
        for figure in ("epe_truth_px", "relative_3d_error"):
            parts += _side_by_side(problem, figure, levels, ("corruption", "outliers"), name)
    return "\n\n".join(parts)


def _level(row: Row) -> tuple[float, float]:
    return row["corruption"], row["outliers"]


def _cell(row: Row, column: str) -> str:
    value = row.get(column)
    if value is None:
        return "–"
    return COLUMNS[column][1].format(value / MEGABYTE if column == "peak_bytes" else value)


def _name(row: Row) -> str:
    return f"**`{row['solver']}`** (default)" if row["default"] else f"`{row['solver']}`"


def _table(cell: tuple, rows: Sequence[Row], nothing: Row | None) -> str:
    """One problem, size and level: all solvers, all figures, and what no motion at all leaves."""
    problem, width, height, corruption, outliers = cell
    size = f"{width} px wide" if height is None else f"{width}×{height}"
    title = f"{problem}, {size}, corruption {corruption:g}, outliers {outliers:.0%}, seeds: {rows[0]['seeds']}"
    lines = [["", *(heading for heading, _ in COLUMNS.values())]]
    lines += [[_name(row), *(_cell(row, column) for column in COLUMNS)] for row in rows]
    if nothing is not None:
        lines.append(["no motion", *(_cell(nothing, column) for column in COLUMNS)])
    return f"{title}:\n\n{_aligned(lines)}"


def _side_by_side(
    problem: str, figure: str, rows: Sequence[Row], by: Sequence[str], name: Callable[[Row], str]
) -> list[str]:
    """Solvers down, sizes or levels across; nothing where there is only one."""
    columns = grouped(rows, by)
    if len(columns) < 2:
        return []
    lines = [["", *(name(group[0]) for group in columns.values())]]
    for (solver,), own in grouped(rows, ("solver",)).items():
        cells = ([row for row in group if row["solver"] == solver] for group in columns.values())
        lines.append([_name(own[0]), *(_cell(cell[0], figure) if cell else "–" for cell in cells)])
    return [f"{problem}, {COLUMNS[figure][0]}:\n\n{_aligned(lines)}"]


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [[c.rjust(w) if k else c.ljust(w) for k, (c, w) in enumerate(zip(x, widths, strict=True))] for x in lines]
    rule = "|" + "|".join("-" * (w + 2) if not k else "-" * (w + 1) + ":" for k, w in enumerate(widths)) + "|"
    first, *rest = ["| " + " | ".join(line) + " |" for line in padded]
    return "\n".join([first, rule, *rest])
