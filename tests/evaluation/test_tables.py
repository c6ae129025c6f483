"""Aggregates by hand, and a report that opens from disk."""

import csv
import io
import math
import re
import statistics

import pytest

from mom3d_jax.evaluation import tables
from mom3d_jax.evaluation.columns import COLUMNS, rows_of
from mom3d_jax.evaluation.command import evaluate
from mom3d_jax.evaluation.plan import Cell
from mom3d_jax.evaluation.published import PUBLISHED
from mom3d_jax.evaluation.report import write_report
from mom3d_jax.evaluation.studies import STUDIES, variants_of
from mom3d_jax.metrics import record

WHAT = {"variant": "valid", "resolution": [8, 8], "crop": 0, "validity": 1.0, "frames": 2, "path": "all"}


def cell(variant, scene, psnr=None, seconds=None, error=None):
    said = {"about": f"about {variant}", "truth": "advected"}
    if error:
        return Cell(variant, scene, None, {"error": error, **said})
    records = [record("psnr", psnr, **WHAT)]
    return Cell(variant, scene, {"records": records, "seconds": seconds or {}, "notes": [f"{scene} | x"], **said}, None)


CELLS = [
    cell("a", "lake", 20.0, {"depth": 1.0, "score": 2.0}),
    cell("a", "sea", 23.0, {"depth": 3.0}),
    cell("a", "river", error="it rained"),
    cell("b", "lake", 30.0),
]


def test_mean_and_deviation_are_those_of_the_statistics_module():
    a, b = rows_of(CELLS)
    assert (a.scenes, a.failed, b.scenes, b.failed) == (2, 1, 1, 0)
    assert a.means[0] == statistics.mean([20, 23])
    assert a.deviations[0] == pytest.approx(statistics.stdev([20, 23]))
    assert math.isnan(b.deviations[0])


def test_csv_has_a_row_for_everything():
    rows = list(csv.DictReader(io.StringIO(tables.comma_separated(CELLS))))
    assert [(r["variant"], r["scene"], r["status"], r["psnr"]) for r in rows] == [
        ("a", "lake", "done", "20"), ("a", "sea", "done", "23"), ("a", "river", "failed", ""),
        ("a", "(mean)", "2 of 3", "21.5"), ("a", "(deviation)", "2 of 3", "2.12132"),
        ("b", "lake", "done", "30"), ("b", "(mean)", "1 of 1", "30"), ("b", "(deviation)", "1 of 1", ""),
    ]  # fmt: skip
    assert rows[2]["error"] == "it rained"
    assert list(rows[0])[4:-1] == [column.name for column in COLUMNS]


def test_timings_are_elsewhere():
    rows = list(csv.DictReader(io.StringIO(tables.timings(CELLS[:3]))))
    assert [(r["scene"], r["depth"], r["score"], r["total"]) for r in rows] == [
        ("lake", "1.00", "2.00", "3.00"), ("sea", "3.00", "", "3.00"), ("(mean)", "2.00", "2.00", "3.00")
    ]  # fmt: skip


def test_markdown_shows_failures_notes_and_quotes():
    text = tables.markdown(CELLS, ["c/lake"], "Title")
    assert "| a | advected | 2 (1 failed) | 21.50 ± 2.12 |" in text
    assert "* a/river: it rained" in text
    assert "c/lake." in text
    assert text.count("not comparable") == len(PUBLISHED)
    # Only columns that have figures.
    assert "SSIM ↑ |" not in text.split("## Published")[0]


def test_every_study_has_variants_of_different_names_that_exist():
    from mom3d_jax.config import default_config
    from mom3d_jax.evaluation.methods import METHODS
    from mom3d_jax.evaluation.variants import NAME, configured
    from mom3d_jax.stages import check

    settings: dict[str, object] = {}
    for name in STUDIES:
        variants = STUDIES[name].variants
        assert len({v.name for v in variants}) == len(variants) > 1
        for variant in variants:
            assert NAME.fullmatch(variant.name)
            assert variant.kind in METHODS
            check(configured(default_config(), variant, {}))
            # One name is one thing, whichever study it is asked for in: results are shared by name.
            assert settings.setdefault(variant.name, variant) == variant
    assert [v.name for v in variants_of("")] == ["full"]


def test_all_studies_in_one_folder_make_nothing_twice():
    from mom3d_jax.config import default_config
    from mom3d_jax.evaluation.variants import configured

    names: dict[object, list[str]] = {}
    for v in variants_of("all"):
        config = configured(default_config(), v, {}).to_json_best_effort()
        names.setdefault((v.kind, v.given, v.true_motion, v.equal_passes, v.truth, config), []).append(v.name)
    assert not [same for same in names.values() if len(same) > 1]


def test_fields_are_judged_with_perfect_motion_and_every_loop_on_both_truths():
    variants = {v.name: v for v in variants_of("field")}
    assert all(v.given == ("depth", "mask", "flow") and v.true_motion for v in variants.values())
    assert (variants["fill"].truth, variants["one-sided"].truth) == ("advected", "advected")
    for share in (25, 50, 75, 100):
        own, moving = variants.pop(f"loop-{share}"), variants.pop(f"loop-{share}-advected")
        assert (own.truth, moving.truth) == ("periodic", "advected")
        assert own.overrides == moving.overrides == {"time.field": "loop", "time.crossfade": share / 100}
    assert set(variants) == {"fill", "one-sided"}


def test_scores_in_the_mask_at_single_frames_are_columns_of_their_own():
    at = {
        k: record("psnr", 20.0 + k, **WHAT | {"variant": "masked", "path": "input", "frame": k})
        for k in (10, 20, 30, 45)
    }
    whole = record("psnr", 15.0, **WHAT | {"variant": "masked", "path": "input"})
    marked = Cell("fill", "lake", {"records": [*at.values(), whole], "notes": [], "seconds": {}, "truth": "x"}, None)
    text = tables.markdown([marked], [], "Title")
    assert "| M.PSNR @10 ↑ | M.PSNR @20 ↑ | M.PSNR @30 ↑ | M.PSNR @45 ↑ | M.PSNR, input view ↑ |" in text
    assert "| fill | x | 1 | 30.00 | 40.00 | 50.00 | 65.00 | 15.00 |" in text


def test_overrides_reach_the_recipe_and_leave_it_alone():
    from mom3d_jax.config import default_config
    from mom3d_jax.evaluation.variants import Variant, configured

    recipe = default_config()
    config = configured(recipe, Variant("x", overrides={"stage1.steps": 7}), {"stage1.steps": 5, "size.width": 64})
    assert (config.stage1.steps, config.size.width) == (7, 64)
    assert recipe.stage1.steps == default_config().stage1.steps
    with pytest.raises(ValueError, match=r"unknown setting stage1\.step; did you mean"):
        configured(recipe, Variant("x", overrides={"stage1.step": 7}), {})
    with pytest.raises(ValueError, match=r"stage1\.steps='many' is no int"):
        configured(recipe, Variant("x", overrides={"stage1.steps": "many"}), {})


def test_the_report_is_one_file_that_fetches_nothing(settings, quick, tmp_path):
    title, cells, stale = evaluate(settings(study=quick), tmp_path)
    cells.append(cell("cloud", "sea", error="<b>it</b> rained"))
    text = write_report(tmp_path, cells, stale, title).read_text()
    assert not re.search(
        r"https?:|//|url\(|@import|<link|<iframe", re.sub(r"data:image/jpeg;base64,[\w+/=]+", "", text)
    )
    sources = re.findall(r"src='(.{0,31})", text)
    assert set(sources) == {"data:image/jpeg;base64,/9j/4AAQ"}
    # Two scenes: the truth once, two variants with their error maps, five frames each.
    assert len(sources) == 2 * 5 * 5
    assert "&lt;b&gt;it&lt;/b&gt; rained" in text
    assert text == write_report(tmp_path, cells, stale, title).read_text()
