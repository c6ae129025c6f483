"""The benchmark measures right, runs as the solvers run, and reports what it is asked for."""

import dataclasses
import importlib
import json
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from mom3d_jax.cameras import input_camera, relative_to
from mom3d_jax.motion3d import Problem, solve
from mom3d_jax.synthetic import landscape, write_scene

FIELDS = (
    *("problem", "solver", "default", "width", "height", "views", "corruption", "outliers", "seed", "loss"),
    *("fit_residual_px", "epe_truth_px", "lateral_error", "relative_3d_error", "consistency_epe_px"),
    *("seconds", "evaluations", "peak_bytes"),
)
Load = Callable[[str], ModuleType]


@pytest.fixture
def load(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.syspath_prepend(str(repository))
    return lambda name: importlib.import_module(f"benchmarks.motion3d.{name}")


def one_point(flow: tuple[float, float]) -> Problem:
    """A point on the axis of a camera with a focal length of 10 px, at depth 2: 0.2 units across are a pixel."""
    return Problem(
        points=np.array([[0, 0, 2]], np.float32),
        cameras=relative_to(input_camera(8, 8, 10), np.eye(3)[None], np.zeros((1, 3))),
        target=np.array([[flow]], np.float32),
        weight=np.ones((1, 1), np.float32),
        neighbours=np.zeros((1, 1), np.int32),
        population=np.ones(1, np.float32),
        index=np.zeros(1, np.int32),
    )


def test_measures_by_hand(load: Load) -> None:
    measure, problem = load("measures").measure, one_point((1, 2))
    truth = np.array([[0.2, 0, 0]], np.float32)
    sideways = measure(problem, np.array([[0.2, 0.1, 0]], np.float32), truth)
    assert sideways["epe_truth_px"] == pytest.approx(0.5, rel=1e-5)
    assert sideways["fit_residual_px"] == pytest.approx(1.5, rel=1e-5)
    assert sideways["lateral_error"] == pytest.approx(0.5, rel=1e-5)
    assert sideways["relative_3d_error"] == pytest.approx(0.5, rel=1e-5)
    # 0.1 nearer or farther moves no point across the ray, and the picture by 1 - 2/2.1 of a pixel.
    inwards = measure(problem, np.array([[0.2, 0, 0.1]], np.float32), truth)
    assert inwards["epe_truth_px"] == pytest.approx(1 - 2 / 2.1, rel=1e-4)
    assert inwards["lateral_error"] == pytest.approx(0, abs=1e-6)
    assert inwards["relative_3d_error"] == pytest.approx(0.5, rel=1e-5)
    unknown = measure(problem, truth, None)
    assert unknown["fit_residual_px"] == pytest.approx(2, rel=1e-5)
    assert [unknown[k] for k in ("epe_truth_px", "lateral_error", "relative_3d_error")] == [None] * 3


def test_hidden_pairs_do_not_count(load: Load) -> None:
    problem = load("synthetic").exact_case("synthetic_free", 32, 18).problem
    hidden = dataclasses.replace(problem, weight=np.where(np.arange(25)[:, None] == 2, problem.weight, 0))
    motion = np.zeros_like(problem.points)
    length = np.linalg.norm(problem.target[2], axis=-1)
    assert load("measures").measure(hidden, motion, None)["fit_residual_px"] == pytest.approx(length.mean(), rel=1e-5)


@pytest.mark.parametrize(("name", "curve"), [("coupled", True), ("official_sgd", False), ("irls", True)])
def test_a_run_in_pieces_is_the_run_of_the_solver(load: Load, name: str, curve: bool) -> None:
    case = load("synthetic").make_case("synthetic_free", 32, 18, corruption=1, outliers=0.15, seed=0)
    setting = load("settings").find(name)
    motion, report = solve(setting.state(case.problem), setting.solver, **setting.options)
    outcome = load("execute").execute(setting, case, curve=curve)
    np.testing.assert_allclose(outcome.motion, motion, rtol=1e-4, atol=1e-6)
    assert outcome.figures["evaluations"] == report["evaluations"]
    assert outcome.figures["loss"] == pytest.approx(report["losses"][-1], rel=1e-5)
    # Memory holds at least the problem.
    assert outcome.figures["peak_bytes"] > case.problem.target.nbytes
    path = outcome.curve
    assert path["steps"][-1] == report["steps"]
    assert path["seconds"][-1] == outcome.figures["seconds"]
    if curve:
        assert path["steps"][0] == 0
        assert (np.diff(path["steps"]) > 0).all()
        np.testing.assert_allclose(path["loss"], np.array(report["losses"])[path["steps"]], rtol=1e-5)


def test_default_is_that_of_the_pipeline(load: Load) -> None:
    from mom3d_jax.config import default_config

    settings, own = load("settings"), default_config().motion3d
    (name,) = (name for name, setting in settings.SETTINGS.items() if setting == settings.DEFAULT)
    assert name == own.solver
    assert settings.DEFAULT.nuisance == own.nuisance
    assert settings.DEFAULT.priors == own.priors.to_dict()
    for setting in settings.SETTINGS.values():
        setting.make()


def test_means_leave_out_what_is_not_known(load: Load) -> None:
    mean = load("report").mean
    blank = dict.fromkeys(FIELDS)
    rows = [
        {**blank, "photo": "a", "problem": "real_flows", "height": 288, "seconds": 1.0, "epe_truth_px": None},
        {**blank, "photo": "b", "problem": "real_flows", "height": 512, "seconds": 3.0, "epe_truth_px": 0.2},
    ]
    found = mean(rows, "photo")
    assert found["seconds"] == 2
    assert found["epe_truth_px"] == 0.2
    assert found["lateral_error"] is None
    assert found["problem"] == "real_flows"
    assert found["height"] is None
    assert "photo" not in found


def test_report_of_a_small_run(load: Load, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out, plots = tmp_path / "out.json", tmp_path / "plots"
    sizes = ["--width", "32", "--seeds", "0,1", "--corruption", "1,0"]
    load("__main__").main(["--solver", "input_view_lift,coupled", *sizes, "--out", str(out), "--plots", str(plots)])
    report = json.loads(out.read_text())
    printed = capsys.readouterr()
    assert "real_flows: skipped" in printed.err
    assert report["skipped"] == ["real_flows"]
    rows = report["results"]
    assert all(tuple(row) == FIELDS for row in rows)
    keys = {(r["problem"], r["solver"], r["corruption"], r["seed"]) for r in rows}
    assert len(keys) == len(rows) == 2 * 2 * 2 * 2
    assert {(r["width"], r["height"], r["views"], r["outliers"]) for r in rows} == {(32, 18, 25, 0.15)}
    assert {r["solver"] for r in rows if r["default"]} == {report["default"]} == {"coupled"}
    assert set(report) >= {"command", "device", "versions", "settings", "curves", "do_nothing", "failed"}
    error = {name: np.mean([r["epe_truth_px"] for r in rows if r["solver"] == name]) for name in report["settings"]}
    nothing = np.mean([r["epe_truth_px"] for r in report["do_nothing"]])
    assert error["coupled"] < error["input_view_lift"] < nothing
    for problem in ("synthetic_free", "synthetic_tangent"):
        for picture in ("convergence", "epe", "levels", "motion"):
            drawn = cv2.imread(str(plots / f"{problem}_{picture}.png"))
            assert drawn is not None
            assert drawn.std() > 5
    load("__main__").main(["--markdown", str(out)])
    table = capsys.readouterr().out
    assert table.strip() in printed.out
    first = next(line for line in table.splitlines() if line.startswith("| `input_view_lift`"))
    cells = [cell.strip() for cell in first.strip("|").split("|")]
    expected = np.mean(
        [
            r["epe_truth_px"]
            for r in rows
            if (r["problem"], r["solver"], r["corruption"]) == ("synthetic_free", "input_view_lift", 1)
        ]
    )
    assert float(cells[6]) == pytest.approx(expected, abs=5e-5)


def test_runs_are_reproducible_but_for_times(load: Load, tmp_path: Path) -> None:
    reports = []
    for name in ("a", "b"):
        words = ["--problem", "synthetic_free", "--solver", "coupled:fast", "--width", "32", "--seeds", "3"]
        load("__main__").main([*words, "--out", str(tmp_path / name)])
        (row,) = json.loads((tmp_path / name).read_text())["results"]
        reports.append({key: value for key, value in row.items() if key != "seconds"})
    assert reports[0] == reports[1]


def test_quick_is_the_two_synthetic_problems_once(load: Load) -> None:
    main = load("__main__")
    plan = main.plan_of(main.parse(["--quick"]))
    assert tuple(plan.problems) == ("synthetic_free", "synthetic_tangent")
    assert (plan.widths, plan.seeds, plan.levels) == ([512], [0], [(1, 0.15)])
    whole = main.plan_of(main.parse(["--sweep", "--width", "512,256"]))
    cells = list(load("runner").cells(whole))
    assert cells[0] == (512, (1, 0.15), 0)
    assert {c[1] for c in cells if c[0] == 512} == {(1, 0.15), (0, 0), (0, 0.15), (2, 0.15), (1, 0.05), (1, 0.4)}
    assert {c[1] for c in cells if c[0] == 256} == {(1, 0.15)}
    assert {c[2] for c in cells} == {0, 1, 2}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--problem", "synthetic_cone"], "unknown problem 'synthetic_cone'"),
        (["--solver", "cuopled"], "did you mean 'coupled'"),
        (["--solver", "no.module:Solver"], "cannot load"),
        (["--width", "wide"], "--width=wide: 'wide' is not a whole number"),
        (["--width", "8"], "from 32"),
        (["--outliers", "2"], "from 0 to 1"),
        (["--corruption", "nan"], "is not a number"),
        (["--seeds", ","], "nothing in it"),
        (["--data", "no/such/folder"], "no such folder"),
        (["--quick", "--width", "64"], "--quick fixes --width"),
        (["--markdown", "no_such_file.json"], "no JSON file"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_bad_arguments_end_with_one_line(
    load: Load, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        load("__main__").main(words)
    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert not printed.out


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A landscape with hints, and another with a flow file."""
    folder = tmp_path_factory.mktemp("data")
    lake = write_scene(folder / "scenes" / "lake", landscape(seed=1, width=96, height=54))
    flows = folder / "flows" / "pond"
    flows.mkdir(parents=True)
    for source, name in (("image.png", "pond.png"), ("truth/mask.png", "pond_mask.png")):
        (flows / name).write_bytes((lake / source).read_bytes())
    np.save(flows / "pond_motion.npy", np.moveaxis(np.load(lake / "truth" / "flow.npy"), -1, 0)[None])
    return folder


def test_real_flows_agree_on_the_truth_until_they_are_corrupted(load: Load, data: Path) -> None:
    real, measure = load("real"), load("measures").measure
    pond, lake = real.read(real.find(data), 96)
    assert (pond.name, lake.name) == ("pond", "lake")
    exact = pond.case(corruption=0, outliers=0, seed=0)
    moving = measure(exact.problem, np.zeros_like(exact.truth), exact.truth)["epe_truth_px"]
    assert measure(exact.problem, exact.truth, exact.truth)["fit_residual_px"] < 0.05 * moving
    wrong = pond.case(corruption=1, outliers=0.15, seed=0)
    assert measure(wrong.problem, wrong.truth, wrong.truth)["fit_residual_px"] > 0.05
    hinted = lake.case(corruption=1, outliers=0.15, seed=0)
    assert hinted.truth is None
    np.testing.assert_array_equal(hinted.problem.target, lake.case(corruption=0, outliers=0, seed=0).problem.target)


def test_real_flows_have_one_row_for_all_photos(load: Load, data: Path, tmp_path: Path) -> None:
    words = ["--problem", "real_flows", "--solver", "input_view_lift", "--width", "96", "--seeds", "0"]
    load("__main__").main([*words, "--data", str(data), "--out", str(tmp_path / "out.json")])
    report = json.loads((tmp_path / "out.json").read_text())
    (row,) = report["results"]
    assert tuple(row) == FIELDS
    assert [photo["photo"] for photo in report["photos"]] == ["pond", "lake"]
    assert row["fit_residual_px"] == pytest.approx(np.mean([p["fit_residual_px"] for p in report["photos"]]))
    assert row["epe_truth_px"] == report["photos"][0]["epe_truth_px"]
    assert report["photos"][1]["epe_truth_px"] is None
    assert report["skipped"] == []


def test_a_missing_file_is_named(load: Load, tmp_path: Path) -> None:
    real = load("real")
    (tmp_path / "flows" / "pond").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"no pond\.png"):
        next(real.read(real.find(tmp_path), 64))
    with pytest.raises(ValueError, match="neither flows"):
        real.find(tmp_path / "flows")


@pytest.fixture
def of_the_page(repository: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The solver that `docs/solvers.md` shows, as a module."""
    (source,) = re.findall(r"^```python\n(.*?)^```$", (repository / "docs" / "solvers.md").read_text(), re.M | re.S)
    assert len([line for line in source.splitlines() if line.strip()]) <= 26
    module = types.ModuleType("my_solvers")
    monkeypatch.setitem(sys.modules, "my_solvers", module)
    exec(compile(source, "my_solvers.py", "exec"), module.__dict__)
    return "my_solvers:HeavyBall"


def test_the_example_of_the_page_works(load: Load, of_the_page: str, tmp_path: Path) -> None:
    words = ["--problem", "synthetic_free", "--width", "64", "--seeds", "0"]
    load("__main__").main([*words, "--solver", f"input_view_lift,{of_the_page}", "--out", str(tmp_path / "out.json")])
    lift, own = json.loads((tmp_path / "out.json").read_text())["results"]
    assert own["solver"] == of_the_page
    assert not own["default"]
    assert own["epe_truth_px"] < 0.5 * lift["epe_truth_px"]


def test_runs_that_diverge_are_told_and_the_others_go_on(
    load: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = load("settings")
    wild = settings.SETTINGS["coupled"]._replace(solver="sgd", options={"rate": float("inf")})
    monkeypatch.setitem(settings.SETTINGS, "wild", wild)
    words = ["--problem", "synthetic_free", "--solver", "wild,input_view_lift", "--width", "32", "--seeds", "0"]
    load("__main__").main([*words, "--out", str(tmp_path / "out.json")])
    report = json.loads((tmp_path / "out.json").read_text())
    assert [row["solver"] for row in report["results"]] == ["input_view_lift"]
    assert [row["solver"] for row in report["failed"]] == ["wild"]
    assert "diverged" in capsys.readouterr().err
