"""table.md, table.csv, comparisons.csv and timings.csv from the results of a work folder.

All but timings.csv hold no times and no names of machines: the same results give the same bytes.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mom3d_jax.atomic import replacing
from mom3d_jax.evaluation.columns import COLUMNS, Row, rows_of, used
from mom3d_jax.evaluation.comparisons import BETTER, DIFFERENCES, Comparison, compared_by, heads_of, words_of
from mom3d_jax.evaluation.plan import Cell
from mom3d_jax.evaluation.published import PUBLISHED, WHY
from mom3d_jax.evaluation.sections import sections_of

MEAN, DEVIATION = "(mean)", "(deviation)"
"""In the place of a scene's name."""
LEGEND = (
    "Mean ± standard deviation over scenes. `M.`: inside what moves; `@k`: frame k of the standing camera;",
    "`E warp`: warping error; EPE in px. `docs/evaluation.md` has the protocol.",
)
LEGEND_OF_COMPARISONS = (
    "Scene by scene, over those that both have: Δ in dB, row less the one it stands against; ratio, row over it;",
    "mean ± standard deviation over scenes.",
)


def write_tables(workdir: Path, cells: Sequence[Cell], stale: Sequence[str], title: str) -> list[Path]:
    """Write the files; the result is their paths.

    Args:
      workdir: of the evaluation.
      cells: results and failures.
      stale: names of results that are left out because other code or settings made them.
      title: what was evaluated.

    Raises:
      OSError: a file cannot be written; the message names it.
    """
    texts = {
        "table.md": markdown(cells, stale, title),
        "table.csv": comma_separated(cells),
        "comparisons.csv": differences(cells),
        "timings.csv": timings(cells),
    }
    for name, text in texts.items():
        with replacing(workdir / name) as draft:
            draft.write_text(text, encoding="utf-8")
    return [workdir / name for name in texts]


def markdown(cells: Sequence[Cell], stale: Sequence[str], title: str) -> str:
    """Means over scenes with deviations, comparisons, failures, and what papers print."""
    sections = sections_of(cells)
    lines = [f"# {title}", ""]
    compared = next((section for section in sections if section.comparisons), None)
    for section in sections:
        if len(sections) > 1:
            lines += [f"## {section.heading}", "", f"{section.about}.", ""]
        lines += _means(section.rows, LEGEND if section is sections[0] else ())
        lines += _comparisons(section.comparisons, LEGEND_OF_COMPARISONS if section is compared else ())
        lines += _ended([f"* **{row.variant}**: {row.about}" for row in section.rows if row.about])
    failures = [f"* {cell.variant}/{cell.scene}: {cell.error['error']}" for cell in cells if cell.error]
    if failures:
        lines += ["## Failures", "", *failures, ""]
    if stale:
        why = "Not in this table, as other code or other settings made them (run their command again): "
        lines += ["## Left out", "", why + ", ".join(stale) + ".", ""]
    if notes := noted(cells):
        lines += ["## Notes", "", *(f"* {note} ({', '.join(names)})" for note, names in notes.items()), ""]
    lines += ["## Published figures, as quoted", "", WHY, ""]
    lines += [_line(["source", "method", "PSNR", "SSIM", "LPIPS", "PIQE", ""]), _line(["---"] * 7)]
    for p in PUBLISHED:
        figures = ["–" if v is None else f"{v:g}" for v in (p.psnr, p.ssim, p.lpips, p.piqe)]
        lines.append(_line([p.source, p.method, *figures, "not comparable"]))
    return "\n".join(lines) + "\n"


def comma_separated(cells: Sequence[Cell]) -> str:
    """Every figure of every scene, failures included, and mean and deviation of each variant."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["variant", "scene", "status", "truth", *(column.name for column in COLUMNS), "error"])
    for row in rows_of(cells):
        for cell in (c for c in cells if c.variant == row.variant):
            if cell.result:
                figures = [_number(column.value(cell.result["records"])) for column in COLUMNS]
                table.writerow([row.variant, cell.scene, "done", cell.result["truth"] or "none", *figures, ""])
            elif cell.error:
                blank = [""] * len(COLUMNS)
                table.writerow([row.variant, cell.scene, "failed", row.truth, *blank, cell.error["error"]])
        counts = f"{row.scenes} of {row.scenes + row.failed}"
        for name, values in {MEAN: row.means, DEVIATION: row.deviations}.items():
            table.writerow([row.variant, name, counts, row.truth, *map(_number, values), ""])
    return text.getvalue()


def differences(cells: Sequence[Cell]) -> str:
    """Every comparison of every scene, and mean and deviation of each; none is a row without figures."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    names = [difference.name for difference in DIFFERENCES]
    table.writerow(["study", "variant", "reference", "truth", "scene", *names, "m_psnr_better"])
    for section in sections_of(cells):
        for c in section.comparisons:
            which = [section.study, c.variant, c.reference, c.truth]
            for scene, values in zip(c.scenes, c.values, strict=True):
                better = values[BETTER]
                table.writerow([*which, scene, *map(_number, values), "" if np.isnan(better) else int(better > 0)])
            table.writerow([*which, MEAN, *map(_number, c.means), c.better if c.counts[BETTER] else ""])
            table.writerow([*which, DEVIATION, *map(_number, c.deviations), ""])
    return text.getvalue()


def timings(cells: Sequence[Cell]) -> str:
    """Seconds of each stage; those of a stage whose result was shared are what it took where it was made."""
    done = [cell for cell in cells if cell.result]
    stages = list(dict.fromkeys(stage for cell in done for stage in cell.result["seconds"]))  # type: ignore[index]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["variant", "scene", *stages, "total"])
    for variant in dict.fromkeys(cell.variant for cell in done):
        rows = []
        for cell in (c for c in done if c.variant == variant and c.result):
            seconds = [cell.result["seconds"].get(stage) for stage in stages]  # type: ignore[index]
            rows.append([*seconds, sum(s for s in seconds if s is not None)])
            table.writerow([variant, cell.scene, *("" if s is None else f"{s:.2f}" for s in rows[-1])])
        columns = [[s for s in column if s is not None] for column in zip(*rows, strict=True)]
        table.writerow([variant, MEAN, *(f"{np.mean(c):.2f}" if c else "" for c in columns)])
    return text.getvalue()


def noted(cells: Sequence[Cell]) -> dict[str, list[str]]:
    """Every note once, with the variants that have it."""
    found: dict[str, list[str]] = {}
    for cell in cells:
        for note in cell.result["notes"] if cell.result else ():
            names = found.setdefault(note, [])
            if cell.variant not in names:
                names.append(cell.variant)
    return found


def _means(rows: Sequence[Row], legend: Sequence[str]) -> list[str]:
    columns = used(rows)
    heads = [f"{COLUMNS[i].heading} {COLUMNS[i].better}".strip() for i in columns]
    lines = [_line(["variant", "truth", "scenes", *heads]), _line(["---"] * (3 + len(heads)))]
    for row in rows:
        scenes = f"{row.scenes}" + (f" ({row.failed} failed)" if row.failed else "")
        lines.append(_line([row.variant, row.truth, scenes, *(_shown(row, i) for i in columns)]))
    return [*lines, "", *_ended(legend)]


def _comparisons(comparisons: Sequence[Comparison], legend: Sequence[str]) -> list[str]:
    if not comparisons:
        return []
    shown = compared_by(comparisons)
    heads = heads_of(shown)
    lines = [_line(heads), _line(["---"] * len(heads)), *(_line(words_of(c, shown)) for c in comparisons)]
    return [*lines, "", *_ended(legend)]


def _ended(lines: Sequence[str]) -> list[str]:
    """A paragraph and the empty line after it."""
    return [*lines, ""] if lines else []


def _shown(row: Row, i: int) -> str:
    column = COLUMNS[i]
    if not row.counts[i]:
        return "–"
    deviation = row.deviations[i]
    text = column.shown(row.means[i]) + ("" if np.isnan(deviation) else f" ± {column.shown(deviation)}")
    # A mean over fewer scenes than the row has is not the row's.
    return text if row.counts[i] == row.scenes else f"{text} (of {row.counts[i]})"


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"


def _line(words: Sequence[str]) -> str:
    escaped = [word.replace("|", "\\|") for word in words]
    return f"| {' | '.join(escaped)} |"
