"""Several studies in one work folder: what is asked for, sections, and rows against rows. Results are made up."""

import csv
import io
import math
import re
import runpy
import statistics

import jax
import numpy as np
import pytest

from mom3d_jax.evaluation import plan, report, results, tables
from mom3d_jax.evaluation.pictures import write_shown
from mom3d_jax.evaluation.report import write_report
from mom3d_jax.evaluation.sections import OTHERS, sections_of
from mom3d_jax.evaluation.studies import ALL, STUDIES, chosen, variants_of
from mom3d_jax.inputs.images import working_size
from mom3d_jax.metrics import record

WHAT = {"resolution": [8, 8], "crop": 0, "validity": 1.0, "frames": 2}
SCENES = ("lake", "sea", "river")


def records(m_psnr=None, psnr=None, epe=None, still=None):
    figures = {
        ("psnr", m_psnr): {"variant": "masked", "path": "all"},
        ("psnr", psnr): {"variant": "valid", "path": "all"},
        ("psnr", still): {"variant": "masked", "path": "input"},
        ("end_point_error", epe): {"variant": "masked", "of": "generation views"},
    }
    return [record(name, value, **WHAT | more) for (name, value), more in figures.items() if value is not None]


@pytest.fixture
def folder(tmp_path):
    """Write results of variants and read them as the command does: cells with their studies."""

    def made(rows, studies=(), failed=()):
        keys = {}
        for variant, (truth, scenes) in rows.items():
            keys[variant] = dict.fromkeys(scenes, f"key of {variant}")
            for scene, figures in scenes.items():
                place, about = tmp_path / "runs" / variant / scene, {"about": f"about {variant}", "truth": truth}
                place.mkdir(parents=True, exist_ok=True)
                if (variant, scene) in failed:
                    results.write_error(place, keys[variant][scene], ValueError("it rained"), about)
                    continue
                content = about | {"records": records(**figures), "seconds": {}, "notes": []}
                results.write_result(place, keys[variant][scene], content)
        planned = plan.extend(tmp_path, {}, keys, studies)
        cells, stale = plan.collect(tmp_path, planned, keys)
        assert not stale
        return cells

    return made


def row(*m_psnr, truth="advected", **more):
    """A variant's truth and its figures in the first scenes."""
    scenes = zip(SCENES, m_psnr, strict=False)
    return truth, {s: {"m_psnr": v, **{k: x[i] for k, x in more.items()}} for i, (s, v) in enumerate(scenes)}


def compared(cells):
    return {(s.study, c.variant): c for s in sections_of(cells) for c in s.comparisons}


def written(cells, title="Title"):
    """The tables of table.md by heading: lists of rows of fields."""
    parts = re.split(r"^#+ (.*)$", tables.markdown(cells, [], title), flags=re.MULTILINE)[1:]
    found = {}
    for heading, text in zip(parts[::2], parts[1::2], strict=True):
        found[heading] = [
            [line.strip("| ").split(" | ") for line in block.splitlines()]
            for block in text.split("\n\n")
            if block.startswith("|")
        ]
    return found


def test_studies_are_chosen_by_name_and_each_variant_comes_once():
    both = variants_of("init, baselines")
    assert [v.name for v in both[:2]] == ["full", "without-initialisation"]
    names = [v.name for v in both]
    assert sorted(names) == sorted({v.name for s in ("init", "baselines") for v in STUDIES[s].variants})
    assert chosen("all") == chosen("init,all") == tuple(STUDIES)
    assert {v.name for v in variants_of("all")} == {v.name for s in STUDIES.values() for v in s.variants}
    assert len({v.name for v in variants_of("all")}) == len(variants_of("all"))
    assert ALL not in STUDIES
    assert chosen("") == ()
    with pytest.raises(
        ValueError, match=r"study='init,feild': no study 'feild'; did you mean field\? known: motion3d,"
    ):
        variants_of("init,feild")


def test_every_study_names_a_reference_of_its_own_and_the_page_quotes_what_it_compares(repository):
    page = (repository / "docs" / "evaluation.md").read_text(encoding="utf-8")
    for name, study in STUDIES.items():
        assert not study.reference or study.reference in {v.name for v in study.variants}
        assert f"| `{name}` | {study.about}" in page
        assert "\n" not in study.about


def test_one_study_is_one_table_without_a_heading(folder):
    cells = folder({"full": row(20, 21), "without-initialisation": row(18, 22), "theirs": row(30, 10)}, ["init"])
    (section,) = sections_of(cells)
    assert [r.variant for r in section.rows] == ["full", "without-initialisation", "theirs"]
    text = tables.markdown(cells, [], "Title")
    assert "## init" not in text
    assert "| without-initialisation | full | 2 | -0.50 ± 2.12 | 1 of 2 |" in text
    assert "| theirs | full | 2 |" in text


def test_each_study_has_its_rows_in_its_order_and_the_columns_that_they_use(folder):
    cells = folder(
        {
            "theirs": row(10, 11),
            "without-initialisation": row(18, 22, psnr=(1.0, 2.0)),
            "static": row(12, 13, epe=(0.5, 0.6)),
            "full": row(20, 21),
        },
        ["baselines", "init"],
    )
    found = written(cells)
    assert list(found) == ["Title", "init", "baselines", OTHERS, "Published figures, as quoted"]
    means = {heading: found[heading][0] for heading in ("init", "baselines", OTHERS)}
    assert [r[0] for r in means["init"][2:]] == ["full", "without-initialisation"]
    assert [r[0] for r in means["baselines"][2:]] == ["full", "static"]  # the others are not there
    assert [r[0] for r in means[OTHERS][2:]] == ["full", "theirs"]
    assert means["init"][0][3:] == ["PSNR ↑", "M.PSNR ↑"]
    assert means["baselines"][0][3:] == ["M.PSNR ↑", "EPE ↓"]
    assert means[OTHERS][0][3:] == ["M.PSNR ↑"]
    text = tables.markdown(cells, [], "Title")
    assert f"## init\n\n{STUDIES['init'].about}.\n" in text
    assert text.count("± standard deviation over scenes. `M.`") == text.count("less the one it stands against") == 1


def test_a_later_command_adds_its_study_to_the_folder(folder):
    one = row(20, 21)
    assert {c.studies for c in folder({"full": one, "without-initialisation": one}, ["init"])} == {("init",)}
    cells = folder({"full": one, "all-views": one}, ["two_stage"])
    studies = {c.variant: set(c.studies) for c in cells}
    assert studies == {
        "full": {"init", "two_stage"}, "without-initialisation": {"init"}, "all-views": {"two_stage"}
    }  # fmt: skip
    assert [s.study for s in sections_of(cells)] == ["init", "two_stage"]


def test_a_comparison_is_the_mean_of_the_scenes_differences(folder):
    cells = folder(
        {
            "full": row(20, 30, 10, psnr=(25, 26, 27), epe=(1.0, 2.0, 4.0)),
            "without-initialisation": row(21, 28, 14, psnr=(25, 25, 28), epe=(2.0, 2.0, 1.0)),
        },
        ["init"],
    )
    (c,) = compared(cells).values()
    assert (c.variant, c.reference, c.scenes, c.better) == ("without-initialisation", "full", SCENES, "2 of 3")
    assert c.means[0] == statistics.mean([1, -2, 4])
    assert c.deviations[0] == pytest.approx(statistics.stdev([1, -2, 4]))
    assert (c.means[1], c.deviations[1]) == (0.0, 1.0)
    assert c.counts[2] == 0
    assert c.means[3] == pytest.approx((2.0 + 1.0 + 0.25) / 3)  # not the ratio of the means, 5/7
    text = tables.markdown(cells, [], "Title")
    assert "| variant | against | scenes | ΔM.PSNR | M.PSNR better in | ΔPSNR | EPE ratio |" in text
    assert "| without-initialisation | full | 3 | +1.00 ± 3.00 | 2 of 3 | +0.00 ± 1.00 | 1.083 ± 0.878 |" in text


def test_only_scenes_that_both_have_are_compared_and_the_rest_is_counted(folder):
    cells = folder(
        {"full": row(20, 30), "static": row(21, 28, 99), "points": row(22, 29)},
        ["baselines"],
        failed={("full", "sea"), ("points", "sea")},
    )
    rows = compared(cells)
    static, points = rows["baselines", "static"], rows["baselines", "points"]
    assert (static.scenes, static.missing, static.means[0]) == (("lake",), 2, 1.0)
    assert (points.scenes, points.missing) == (("lake",), 0)
    assert math.isnan(static.deviations[0])
    text = tables.markdown(cells, [], "Title")
    assert "| static | full | 1 (of 3) | +1.00 | 1 of 1 |" in text
    assert "| points | full | 1 | +2.00 | 1 of 1 |" in text


def test_fields_stand_against_the_first_row_of_their_own_truth(folder):
    periodic = {"loop-25": 30, "loop-50": 33}
    advected = {"fill": 20, "loop-25-advected": 15, "one-sided": 18}
    rows = {n: row(v, truth="periodic") for n, v in periodic.items()} | {n: row(v) for n, v in advected.items()}
    found = compared(folder(rows | {"full": row(1)}, ["init", "field"]))
    assert {name: (c.reference, c.means[0]) for (study, name), c in found.items() if c.reference} == {
        "one-sided": ("fill", -2.0), "loop-25-advected": ("fill", -5.0), "loop-50": ("loop-25", 3.0)
    }  # fmt: skip
    assert [key for key, c in found.items() if not c.reference] == [("field", "loop-25")]
    text = tables.markdown(folder({}), [], "Title")
    assert "| loop-25 | – | – | – | – |" in text


def test_without_its_reference_a_study_compares_nothing_and_other_rows_compare_among_themselves(folder):
    cells = folder({"static": row(20), "points": row(21)}, ["baselines"])
    assert {name: c.reference for (_, name), c in compared(cells).items()} == {"static": "", "points": ""}
    cells = folder({"theirs": row(20), "yours": row(21)}, ["init"])  # of which nothing is there
    assert "baselines" in {s.study for s in sections_of(cells)}
    others = compared([c for c in cells if not c.studies])
    assert {name: (c.reference, c.means[0]) for (_, name), c in others.items()} == {"yours": ("theirs", 1.0)}


def test_perfect_figures_compare_as_equal(folder):
    inf = float("inf")
    cells = folder(
        {
            "full": row(inf, 20, inf, epe=(0.0, 0.0, 1.0)),
            "without-initialisation": row(inf, inf, 20, epe=(0.0, 2.0, 0.0)),
        },
        ["init"],
    )
    (c,) = compared(cells).values()
    assert [v[0] for v in c.values] == [0.0, inf, -inf]
    assert [v[3] for v in c.values] == [1.0, inf, 0.0]
    assert c.better == "1 of 3"
    assert math.isnan(c.means[0])
    assert "| without-initialisation | full | 3 | – | 1 of 3 | ∞ |" in tables.markdown(cells, [], "Title")


def test_what_has_the_standing_camera_only_is_compared_there(folder):
    clips = {"animator": ("advected", {scene: {"still": 29.0} for scene in SCENES[:2]})}
    cells = folder({"full": row(20, 21, still=(30, 31)), "static": row(20, 22)} | clips, ["baselines"])
    text = tables.markdown(cells, [], "Title")
    assert "| animator | full | 2 | – | – | -1.50 ± 0.71 |" in text
    assert "| static | full | 2 | +0.50 ± 0.71 | 1 of 2 | – |" in text


def test_comparisons_are_a_file_of_their_own_that_is_the_same_each_time(folder, tmp_path):
    cells = folder({"full": row(20, 30), "without-initialisation": row(21, 28), "theirs": row(5, truth=None)}, ["init"])
    files = tables.write_tables(tmp_path, cells, [], "Title")
    text = (tmp_path / "comparisons.csv").read_text(encoding="utf-8")
    assert tmp_path / "comparisons.csv" in files
    assert text == tables.differences(cells)
    rows = list(csv.DictReader(io.StringIO(text)))
    which = [
        (r["study"], r["variant"], r["reference"], r["scene"], r["m_psnr_difference"], r["m_psnr_better"]) for r in rows
    ]
    assert which == [
        ("init", "without-initialisation", "full", "lake", "1", "1"),
        ("init", "without-initialisation", "full", "sea", "-2", "0"),
        ("init", "without-initialisation", "full", "(mean)", "-0.5", "1 of 2"),
        ("init", "without-initialisation", "full", "(deviation)", "2.12132", ""),
        ("init", "theirs", "", "(mean)", "", ""),
        ("init", "theirs", "", "(deviation)", "", ""),
    ]
    assert {r["truth"] for r in rows} == {"advected", "none"}
    # In each scene, the difference is that of the figures in table.csv.
    figures = {
        (r["variant"], r["scene"]): r["m_psnr"] for r in csv.DictReader(io.StringIO(tables.comma_separated(cells)))
    }
    for r in (r for r in rows if r["reference"] and not r["scene"].startswith("(")):
        own, other = (float(figures[name, r["scene"]]) for name in (r["variant"], r["reference"]))
        assert float(r["m_psnr_difference"]) == own - other


def test_the_report_has_the_sections_of_the_table(folder, tmp_path):
    one = {"full": row(20, 30), "without-initialisation": row(21, 28)}
    cells = folder(one, ["init"])
    page = write_report(tmp_path, cells, [], "Title").read_text(encoding="utf-8")
    assert "<h2>Means over scenes</h2>" in page
    assert "<h2>init</h2>" not in page
    cells = folder(one | {"all-views": row(23, 29), "<theirs>": row(1, 2)}, ["two_stage"])
    page = write_report(tmp_path, cells, [], "Title").read_text(encoding="utf-8")
    assert re.findall("<h2>(.*?)</h2>", page)[:3] == ["init", "two_stage", OTHERS]
    assert STUDIES["two_stage"].about in page
    assert "<th scope=row>all-views</th><td class=word>full</td><td>2</td><td>+1.00 ± 2.83</td><td>1 of 2</td>" in page
    assert "<theirs>" not in page
    assert "3 variants" not in page
    assert "4 variants" in page


def test_pictures_of_the_first_scenes_only_where_there_are_too_many(folder, tmp_path, monkeypatch):
    cells = folder({"full": row(20, 30, 25)}, ["init"])
    clip = np.zeros((2, 4, 6, 3), np.uint8)
    for scene in SCENES:
        write_shown(tmp_path / "runs" / "full" / scene / "shown", "zoom-in", clip, None)
    page = write_report(tmp_path, cells, [], "Title").read_text(encoding="utf-8")
    assert page.count("<img") == 3
    assert "Too many" not in page
    monkeypatch.setattr(report, "MOST_PICTURES", 2)
    page = write_report(tmp_path, cells, [], "Title").read_text(encoding="utf-8")
    assert page.count("<img") == 2
    assert "those of the last scene are in" in page
    # Its figures are still there.
    assert page.count("<small>M.PSNR") == 3


def test_the_full_set_is_every_study_at_the_size_of_its_scenes(repository, monkeypatch):
    full = runpy.run_path(str(repository / "configs" / "eval_full.py"))["get_config"]()
    assert (full.dataset.count, full.dataset.size, full.dataset.corrupt) == (12, "512x288", "depth=0.05,flow=1")
    assert variants_of(full.study) == variants_of("all")
    for backend in ("cpu", "gpu"):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        recipe = runpy.run_path(str(repository / "configs" / f"{full.recipe}.py"))["get_config"]()
        assert working_size(512, 288, recipe.size.width) == (512, 288)
