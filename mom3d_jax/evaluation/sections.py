"""How the rows of a work folder are laid out: a section for each study in it, and one for what belongs to none."""

import dataclasses
from collections.abc import Sequence

from mom3d_jax.evaluation.columns import Row, rows_of
from mom3d_jax.evaluation.comparisons import Comparison, compare
from mom3d_jax.evaluation.plan import Cell
from mom3d_jax.evaluation.studies import FULL, STUDIES

OTHERS = "Of no study"
ABOUT_OTHERS = "frames of other methods, and the recipe as it is"


@dataclasses.dataclass(frozen=True)
class Section:
    """A table with its comparisons."""

    study: str
    """Empty for rows of no study."""
    about: str
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def heading(self) -> str:
        """What is written over it where there are several."""
        return self.study or OTHERS


def sections_of(cells: Sequence[Cell]) -> list[Section]:
    """The sections of a table.

    Args:
      cells: results and failures, each with the studies of the work folder that have its variant.

    Returns:
      With one study or none a single section, with all rows in the order of the cells. Otherwise one for each study,
      both studies and rows in the order of `STUDIES`, and then the rows of no study, with `full` as their reference
      where it is there.
    """
    rows = {row.variant: row for row in rows_of(cells)}
    asked = {study for cell in cells for study in cell.studies}
    studies = [name for name in STUDIES if name in asked]
    if len(studies) <= 1:
        return [_section(name, tuple(rows.values()), cells) for name in studies or [""]]
    sections = []
    for name in studies:
        own = tuple(rows[v.name] for v in STUDIES[name].variants if v.name in rows)
        sections.append(_section(name, own, cells))
    within = {cell.variant for cell in cells if cell.studies}
    others = tuple(row for row in rows.values() if row.variant not in within)
    if others:
        reference = tuple(row for row in rows.values() if row.variant == FULL.name and row not in others)
        sections.append(_section("", (*reference, *others), cells))
    return sections


def _section(study: str, rows: tuple[Row, ...], cells: Sequence[Cell]) -> Section:
    if study:
        about, reference = STUDIES[study].about, STUDIES[study].reference
    else:
        about, reference = ABOUT_OTHERS, FULL.name if any(row.variant == FULL.name for row in rows) else ""
    return Section(study, about, rows, tuple(compare(rows, cells, reference)))
