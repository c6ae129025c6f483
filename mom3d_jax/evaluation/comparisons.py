"""Row against row, scene by scene: scenes differ more than methods do, and their spread hides what a method does."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from mom3d_jax.evaluation.columns import COLUMNS, Row, over_scenes
from mom3d_jax.evaluation.plan import Cell


@dataclasses.dataclass(frozen=True)
class Difference:
    """One figure of a scene under two variants."""

    name: str
    """In comparisons.csv."""
    heading: str
    figure: str
    """Name of its column."""
    ratio: bool = False
    """Row over reference instead of row less reference."""

    def between(self, value: float, reference: float) -> float:
        """Of one scene, dB or a plain ratio; NaN where either figure is missing."""
        if value == reference:  # two perfect figures, too: ∞ - ∞ and 0 / 0 are no numbers
            return float(self.ratio)
        if not self.ratio:
            return value - reference
        return value / reference if reference else float("inf") if value > 0 else float("nan")

    def shown(self, value: float) -> str:
        """A mean in words."""
        if np.isnan(value):
            return "–"
        if np.isinf(value):
            return "∞" if value > 0 else "-∞"
        return f"{value:.3f}" if self.ratio else f"{value:+z.2f}"

    def spread(self, deviation: float) -> str:
        """A deviation in words."""
        return f"{deviation:.3f}" if self.ratio else f"{deviation:.2f}"


DIFFERENCES = (
    Difference("m_psnr_difference", "ΔM.PSNR", "m_psnr"),
    Difference("psnr_difference", "ΔPSNR", "psnr"),
    Difference("input_m_psnr_difference", "ΔM.PSNR, input view", "input_m_psnr"),
    Difference("epe_ratio", "EPE ratio", "epe", ratio=True),
    Difference("epe_input_view_ratio", "EPE ratio, input view", "epe_input_view", ratio=True),
)
BETTER = 0
"""Of these, the one whose positive signs are counted: M.PSNR."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A variant against its reference, over the scenes that both have."""

    variant: str
    reference: str
    """Empty where no row is compared with the same truth."""
    truth: str
    missing: int
    """Scenes of the variant that the reference has not, or not with the same truth."""
    scenes: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    """Of each scene: `DIFFERENCES`."""
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    """Sample standard deviation over scenes."""
    counts: tuple[int, ...]
    """How many scenes have the figure under both."""

    @property
    def better(self) -> str:
        """In how many scenes M.PSNR is higher than that of the reference."""
        count = self.counts[BETTER]
        return f"{sum(scene[BETTER] > 0 for scene in self.values)} of {count}" if count else "–"


def compare(rows: Sequence[Row], cells: Sequence[Cell], wanted: str) -> list[Comparison]:
    """Every row but the reference against it.

    Args:
      rows: of one section of the table.
      cells: results of these rows, and maybe others.
      wanted: name of the reference; empty: for each row, the first one of the same truth.

    Returns:
      Comparisons in the order of the rows. A row whose truth is not the reference's is compared with the first row of
      its own truth. Without such a row, or where the wanted one is not there, `reference` is empty.
    """
    there = {row.variant for row in rows}
    first = wanted or (rows[0].variant if rows else "")
    compared = []
    for row in rows:
        if row.variant == first:
            continue
        same = [r.variant for r in rows if r.truth == row.truth]
        reference = first if first in same else same[0] if first in there else ""
        compared.append(_pairs(row, "" if reference == row.variant else reference, cells))
    return compared


def _pairs(row: Row, reference: str, cells: Sequence[Cell]) -> Comparison:
    columns = {column.name: column for column in COLUMNS}
    found = {c.scene: c.result for c in cells if c.variant == reference and c.result}
    scenes, values, missing = [], [], 0
    for cell in cells:
        if cell.variant != row.variant or not cell.result:
            continue
        other = found.get(cell.scene)
        if other is None or other["truth"] != cell.result["truth"]:
            missing += 1
            continue
        both = [[columns[d.figure].value(r["records"]) for r in (cell.result, other)] for d in DIFFERENCES]
        scenes.append(cell.scene)
        values.append(tuple(d.between(*pair) for d, pair in zip(DIFFERENCES, both, strict=True)))
    summary = over_scenes(np.array(values).reshape(len(values), len(DIFFERENCES)))
    return Comparison(row.variant, reference, row.truth, missing, tuple(scenes), tuple(values), *summary)


def compared_by(comparisons: Sequence[Comparison]) -> list[int]:
    """Numbers of the differences that any comparison has."""
    return [i for i in range(len(DIFFERENCES)) if any(c.counts[i] for c in comparisons)]


def heads_of(shown: Sequence[int]) -> list[str]:
    """Headings of a table of comparisons with these differences."""
    heads = ["variant", "against", "scenes"]
    for i in shown:
        heads.append(DIFFERENCES[i].heading)
        heads += ["M.PSNR better in"] if i == BETTER else []
    return heads


def words_of(comparison: Comparison, shown: Sequence[int]) -> list[str]:
    """The fields under these headings."""
    c = comparison
    pairs = f"{len(c.scenes)}" + (f" (of {len(c.scenes) + c.missing})" if c.missing and c.reference else "")
    words = [c.variant, c.reference or "–", pairs if c.reference else "–"]
    for i in shown:
        words.append(_figure(DIFFERENCES[i], c, i))
        words += [c.better] if i == BETTER else []
    return words


def _figure(difference: Difference, c: Comparison, i: int) -> str:
    if not c.counts[i]:
        return "–"
    deviation = c.deviations[i]
    spread = f" ± {difference.spread(deviation)}" if not np.isnan(deviation) else ""
    # A mean over fewer scenes than are compared is not that of the comparison.
    fewer = "" if c.counts[i] == len(c.scenes) else f" (of {c.counts[i]})"
    return f"{difference.shown(c.means[i])}{spread}{fewer}"
