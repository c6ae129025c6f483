"""The columns of the table: which record each shows, and how."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from mom3d_jax.evaluation.samples import INPUT_PATH
from mom3d_jax.evaluation.scores import ALL_PATHS, MARKS, value_of


@dataclasses.dataclass(frozen=True)
class Column:
    """One figure of a scene."""

    name: str
    """In table.csv."""
    heading: str
    metric: str
    match: dict[str, Any]
    """What else its record has to say."""
    digits: int = 2
    better: str = "↑"
    """Which way is better; empty where neither is."""
    in_csv_only: bool = False

    def value(self, records: Sequence[dict[str, Any]]) -> float:
        """The figure of a scene; NaN where there is none."""
        for record in records:
            plain = "frame" in self.match or "frame" not in record
            if record["metric"] == self.metric and plain and all(record.get(k) == v for k, v in self.match.items()):
                return value_of(record)
        return float("nan")

    def shown(self, value: float) -> str:
        """The figure in words."""
        return "–" if np.isnan(value) else "∞" if np.isinf(value) else f"{value:.{self.digits}f}"


def _mean(name: str, heading: str, metric: str, variant: str, digits: int, better: str, **more: Any) -> Column:
    pooled = metric == "psnr_pooled"
    return Column(name, heading, metric, {"path": ALL_PATHS, "variant": variant, **more}, digits, better, pooled)


COLUMNS: tuple[Column, ...] = (
    _mean("psnr", "PSNR", "psnr", "valid", 2, "↑"),
    _mean("ssim", "SSIM", "ssim", "valid", 3, "↑"),
    _mean("lpips", "LPIPS", "lpips_vgg", "valid", 3, "↓"),
    _mean("m_psnr", "M.PSNR", "psnr", "masked", 2, "↑"),
    _mean("m_ssim", "M.SSIM", "ssim", "masked", 3, "↑"),
    _mean("m_lpips", "M.LPIPS", "lpips_vgg", "masked", 3, "↓"),
    _mean("piqe", "PIQE", "piqe", "all", 1, "↓"),
    _mean("warping_error", "E warp", "warping_error", "valid", 5, "↓", of="prediction"),
    _mean("warping_error_of_truth", "E warp, truth", "warping_error", "valid", 5, "", of="truth"),
    *(
        Column(f"m_psnr_{k}", f"M.PSNR @{k}", "psnr", {"path": INPUT_PATH, "variant": "masked", "frame": k}, 2)
        for k in MARKS
    ),
    Column("input_m_psnr", "M.PSNR, input view", "psnr", {"path": INPUT_PATH, "variant": "masked"}, 2),
    Column("epe", "EPE", "end_point_error", {"of": "generation views"}, 3, "↓"),
    Column("epe_input_view", "EPE, input view", "end_point_error", {"of": "input view"}, 3, "↓"),
    Column("consistency_before", "consistency, flows", "consistency_epe", {"flows": "per view"}, 3, "↓"),
    Column("consistency_after", "consistency, 3D", "consistency_epe", {"flows": "scene flow"}, 3, "↓"),
    Column("loop_seam_percentile", "seam, %", "loop_seam_percentile", {"path": INPUT_PATH}, 0, "50"),
    Column("flicker", "flicker", "flicker", {"path": INPUT_PATH}, 3, "↓"),
    _mean("psnr_pooled", "PSNR pooled", "psnr_pooled", "valid", 2, "↑"),
    _mean("m_psnr_pooled", "M.PSNR pooled", "psnr_pooled", "masked", 2, "↑"),
)


@dataclasses.dataclass(frozen=True)
class Row:
    """A variant over its scenes."""

    variant: str
    about: str
    truth: str
    scenes: int
    """With a result."""
    failed: int
    means: tuple[float, ...]
    """Of each column over the scenes that have the figure."""
    deviations: tuple[float, ...]
    """Sample standard deviation over these; NaN below two."""
    counts: tuple[int, ...]
    """How many have it."""


def rows_of(cells: Sequence[Any]) -> list[Row]:
    """One row per variant, in the order of the cells (`plan.Cell`)."""
    rows = []
    for variant in dict.fromkeys(cell.variant for cell in cells):
        own = [cell for cell in cells if cell.variant == variant]
        done = [cell.result for cell in own if cell.result]
        values = np.array([[c.value(r["records"]) for c in COLUMNS] for r in done]).reshape(len(done), len(COLUMNS))
        said = done[0] if done else own[0].error
        about, truth = said.get("about") or "", said.get("truth") or "none"
        failed = len(own) - len(done)
        rows.append(Row(variant, about, truth, len(done), failed, *over_scenes(values)))
    return rows


def over_scenes(
    values: Float[np.ndarray, "scenes figures"],
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[int, ...]]:
    """Mean and sample standard deviation of each figure, and how many scenes have it.

    Args:
      values: figures of scenes, each in its own unit; NaN where a scene has none.

    Returns:
      Means (NaN where no scene has the figure), deviations (NaN below two scenes, and where one is infinite), counts.
    """
    means, deviations, counts = [], [], []
    for figure in values.T:
        there = figure[~np.isnan(figure)]
        counts.append(len(there))
        with np.errstate(invalid="ignore"):  # +∞ and -∞ have no mean
            means.append(float(there.mean()) if len(there) else float("nan"))
        finite = len(there) > 1 and bool(np.isfinite(there).all())
        deviations.append(float(there.std(ddof=1)) if finite else float("nan"))
    return tuple(means), tuple(deviations), tuple(counts)


def used(rows: Sequence[Row]) -> list[int]:
    """Numbers of the columns that any row has a figure in, but for those that only table.csv has."""
    shown = [i for i, column in enumerate(COLUMNS) if not column.in_csv_only]
    return [i for i in shown if any(row.counts[i] for row in rows)]
