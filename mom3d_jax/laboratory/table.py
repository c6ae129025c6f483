"""The table that a comparison of solvers ends with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("L1", "residual_l1_px", "{:.4f}"),
    ("EPE", "residual_epe_px", "{:.4f}"),
    ("<0.5px", "share_within_half_px", "{:.1%}"),
    ("outl.", "outlier_share", "{:.1%}"),
    ("/best", "residual_l1_ratio", "{:.3f}"),
    ("across", "lateral_px", "{:.3f}"),
    ("along", "radial_px", "{:.3f}"),
    ("truth", "epe_truth_px", "{:.4f}"),
    ("lat.err", "lateral_error", "{:.3f}"),
    ("3D err", "relative_3d_error", "{:.3f}"),
    ("steps", "steps", "{}"),
    ("evals", "evaluations", "{}"),
    ("seconds", "seconds", "{:.2f}"),
)
"""Heading, figure, format; a column that no solver has a figure for is left out."""

MEANT = """\
  L1, EPE: mean residual |rx| + |ry| and |r| against the flows of the views, px; outl.: observations that the loss all
  but ignores; /best: L1 over the least that these points allow, without priors; across, along: mean motion across and
  along the viewing rays, px of the input view; evals: evaluations of all residuals."""
TRUTH_MEANT = """\
  truth: EPE to the true motion over all views, px; lat.err, 3D err: |dF| / |F| across the viewing rays and in space."""


def table(
    stated: Mapping[str, Any], results: Sequence[Mapping[str, Any]], failed: Mapping[str, str], files: Sequence[Path]
) -> str:
    """What was solved, a row of figures per solver, what has to be known beside them, and the files.

    Args:
      stated: of the problem: name, size, counts, loss, priors, nuisance.
      results: figures of each solver, with its `label`.
      failed: reasons by label.
      files: what was written.
    """
    columns = [column for column in COLUMNS if any(r.get(column[1]) is not None for r in results)]
    rows = [["solver", *(heading for heading, _, _ in columns), "ended"]]
    for r in results:
        shown = ["-" if r.get(name) is None else form.format(r[name]) for _, name, form in columns]
        rows.append(
            [r["label"], *shown, r["stopped"] + ("" if r["converged"] else f", last by {r['last_change']:.1%}")]
        )
    rows += [[label, *("-" for _ in columns), "failed"] for label in failed]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["", *(f"  {line}" for line in _problem(stated, results)), ""]
    for row in rows:
        middle = (word.rjust(width) for word, width in zip(row[1:-1], widths[1:-1], strict=True))
        lines.append("  ".join(["", row[0].ljust(widths[0]), *middle, row[-1]]))
    lines += ["", MEANT, *([TRUTH_MEANT] if any("epe_truth_px" in r for r in results) else [])]
    if not all(r["compiled_before"] for r in results):
        lines.append("  seconds: with compilation; --warm solves twice and shows the second time")
    for note, labels in _notes(results).items():
        lines.append(f"  note ({', '.join(labels)}): {note}" if len(results) > 1 else f"  note: {note}")
    lines += [f"  {label} failed: {reason}" for label, reason in failed.items()]
    return "\n".join([*lines, "", *(f"  {file}" for file in files)])


def _problem(stated: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> list[str]:
    priors = ", ".join(
        f"{name} {value:g}" for name, value in stated["priors"].items() if value and name != "depth_edge"
    )
    before = results[0]["consistency_epe_px_before"]
    return [
        f"{stated['name']}, {stated['width']} x {stated['height']} px: {stated['points']} moving points in "
        f"{stated['views']} views ({stated['unseen_points']} more are seen by none; {stated['silent_views']} views are "
        f"silent; {stated['nan_flow_pixels']} pixels of flow are NaN)",
        f"loss {stated['loss']}; priors: {priors or 'none'}; nuisance: {stated['nuisance']}; the flows disagree by "
        f"{before:.3g} px (consistency EPE), any 3D motion by about 0",
    ]


def _notes(results: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Each note once, with the labels that it belongs to."""
    found: dict[str, list[str]] = {}
    for r in results:
        for note in r["notes"]:
            found.setdefault(note, []).append(r["label"])
    return found
