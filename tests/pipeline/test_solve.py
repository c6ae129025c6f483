"""`python -m mom3d_jax solve`: from a scene or a run to figures and pictures, and what it refuses."""

import json
import re
import time

import cv2
import numpy as np
import pytest

from mom3d_jax import artifacts, pipeline, progress
from mom3d_jax.laboratory import Candidate, candidates_of, read_options, read_truth
from mom3d_jax.laboratory.given import Given
from mom3d_jax.types import PointCloud, Views

SIZE = 64


@pytest.fixture(scope="session")
def flows_run(tmp_path_factory, tiny_config):
    """A work folder that got as far as its flows."""
    folder = tmp_path_factory.mktemp("flows") / "run"
    pipeline.run(tiny_config(), folder, until="flow")
    return folder


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A solver that leaves the finite numbers, as a user would plug it in."""
    (tmp_path / "broken_solver.py").write_text(
        "import jax.numpy as jnp\nfrom mom3d_jax.motion3d.solvers.lift import InputViewLift, Lifted\n"
        "from mom3d_jax.types import pytree\n\n@pytree\nclass Broken(InputViewLift):\n"
        "    def init(self, problem):\n        return Lifted(jnp.full(problem.points.shape, jnp.nan, jnp.float32))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "broken_solver:Broken"


def contents(folder):
    return {p.relative_to(folder): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_a_scene_is_solved_as_the_pipeline_solves_it(command, landscape_folder, tmp_path):
    words = (f"--input={landscape_folder}", "--workdir=lab")
    done = command(*words, f"--size={SIZE}", stage="solve")
    assert done.returncode == 0, done.stderr
    lab = tmp_path / "lab"
    report = json.loads((lab / "report.json").read_text())
    (figures,) = report["results"]
    solver = figures["solver"]
    assert {p.name for p in (lab / solver).iterdir()} == {"scene_flow.npz", "flows.png", "report.json"}
    assert json.loads((lab / solver / "report.json").read_text()) == figures
    assert (report["width"], report["height"], report["views"]) == (SIZE, 36, 25)
    assert len(figures["losses"]) == figures["steps"] + 1
    assert figures["epe_truth_px"] > 0  # the landscape comes with its truth
    for picture in (lab / "convergence.png", lab / solver / "flows.png"):
        assert cv2.imread(str(picture)).std() > 10
        assert str(picture.relative_to(tmp_path)) in done.stdout
    # What the stage finds from the same artifacts with the same settings, which it takes as they are.
    again = command(*words, f"--config.size.width={SIZE}", stage="motion3d")
    assert again.returncode == 0, again.stderr
    assert "flow: done before" in again.stderr
    (stage,) = (artifacts.load(f) for f in lab.glob("artifacts/*_motion3d.npz"))
    mine = artifacts.load(lab / solver / "scene_flow.npz")
    np.testing.assert_array_equal(mine.motion, stage.motion)
    (record,) = (json.loads(f.read_text()) for f in lab.glob("artifacts/*_motion3d.json"))
    said = {name: value for name, value in record["figures"]["motion"].items() if name not in ("seconds", "notes")}
    assert said == {name: {**report, **figures}[name] for name in said}
    assert np.abs(mine.motion).max() > 0


def test_solvers_are_compared_on_a_run(command, flows_run, broken, tmp_path):
    before = contents(flows_run)
    lab = tmp_path / "lab"
    words = (f"--input={flows_run}", f"--workdir={lab}")
    done = command(
        *words, f"--solver=input_view_lift,short=irls,{broken}", "--options=short.iterations=3",
        "--loss=huber", "--priors=damping=0.1", "--no-warm", stage="solve",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert contents(flows_run) == before
    report = json.loads((lab / "report.json").read_text())
    assert [r["label"] for r in report["results"]] == ["input_view_lift", "short"]
    assert (report["loss"], report["priors"]["damping"]) == ("huber", 0.1)
    short = report["results"][1]
    assert (short["solver"], short["steps"]) == ("irls", 3)
    assert list(report["failed"]) == [broken]
    rows = [line.split() for line in done.stdout.splitlines()]
    header = next(row for row in rows if row[:1] == ["solver"])
    (row,) = [row for row in rows if row[:1] == ["short"]]
    shown = dict(zip(header[1:], row[1:], strict=False))
    assert float(shown["L1"]) == pytest.approx(short["residual_l1_px"], abs=1e-4)
    assert int(shown["evals"]) == short["evaluations"]
    assert "truth" not in header
    assert f"{broken} failed: " in done.stdout
    assert sorted(p.name for p in lab.iterdir()) == ["convergence.png", "input_view_lift", "report.json", "short"]


def test_nothing_is_left_of_a_solver_that_fails(command, error_line, flows_run, broken, tmp_path):
    done = command(f"--input={flows_run}", "--workdir=lab", f"--solver={broken}", stage="solve")
    moving = np.asarray(artifacts.load(pipeline.artifact_file(flows_run, "pointcloud")).mask) > 0
    assert error_line(done) == f"solver '{broken}' diverged: {moving.sum()} points"
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--solver=coupld", "unknown solver 'coupld' (did you mean 'coupled'?)"),
        ("--solver=coupled,", "a name is missing between commas"),
        ("--solver=irls,irls", "'irls' would not have a folder of its own; say LABEL=irls"),
        ("--solver=irls --options=iteration=3", "has no option 'iteration' (did you mean 'iterations'?)"),
        ("--solver=irls --options=iterations=few", "irls.iterations=few: a whole number is wanted"),
        ("--solver=optax:adam --options=rate=fast", "optax:adam.rate=fast: a number is wanted"),
        ("--solver=optax:adam --options=beta1=0.8", "solver 'optax:adam': adam() got an unexpected keyword argument"),
        ("--solver=irls --options=iterations=-4", "irls.iterations=-4: a whole number from 0 up is wanted"),
        ("--solver=irls --options=iterations", "'iterations' in 'iterations' is not NAME=VALUE"),
        ("--solver=irls --options=lm.iterations=3", "no solver is called 'lm' here; there are irls"),
        ("--loss=hubr", "--loss: unknown 'hubr'; did you mean huber?"),
        ("--nuisance=gains", "--nuisance: unknown 'gains'; did you mean gain?"),
        ("--priors=dampng=1", "--priors: unknown 'dampng'; did you mean damping?"),
        ("--priors=damping=-1", "--priors=damping=-1: a number that is not negative is wanted"),
        ("--size=wide", "invalid int value: 'wide'"),
        ("--solvr=irls", "unexpected argument '--solvr=irls'; did you mean --solver?"),
        ("--workdir=file", "file: this is a file; --workdir takes a folder"),
        ("--truth=nowhere", "nowhere: no such folder; --truth takes one with motion.npy and depth.npy"),
        ("--input=nowhere.jpg", "nowhere.jpg: no such file or folder"),
        ("--input=run --size=64", "--size: run is a run whose size is settled"),
        ("--input=run", "run/artifacts/03_pointcloud.npz: not there"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(command, error_line, landscape_folder, tmp_path, words, said):
    (tmp_path / "file").write_text("")
    (tmp_path / "run" / "artifacts").mkdir(parents=True)
    given = words.split()
    if not any(word.startswith("--input") for word in given):
        given.append(f"--input={landscape_folder}")
    if not any(word.startswith("--workdir") for word in given):
        given.append("--workdir=out")
    done = command(*given, stage="solve")
    assert said in error_line(done)
    assert not (tmp_path / "out").exists()


def test_a_solver_may_refuse_the_problem_before_others_have_worked(command, error_line, flows_run, tmp_path):
    done = command(f"--input={flows_run}", "--workdir=lab", "--solver=irls,admm", "--loss=huber", stage="solve")
    assert error_line(done).startswith("solver 'admm' solves loss 'l1', not 'huber'")
    assert not (tmp_path / "lab").exists()


def test_a_damaged_run_is_named(command, error_line, flows_run, tmp_path):
    folder = tmp_path / "run" / "artifacts"
    folder.mkdir(parents=True)
    for file in (flows_run / "artifacts").iterdir():
        data = file.read_bytes()
        (folder / file.name).write_bytes(data[: len(data) // 2] if file.name == "04_views.npz" else data)
    done = command("--input=run", stage="solve")
    assert re.match(r"run/artifacts/04_views.npz: damaged, or of other code \(BadZipFile\); make it", error_line(done))


def test_a_long_solution_says_that_it_is_alive(monkeypatch, caplog):
    monkeypatch.setattr(progress, "LOG_EVERY", 0.01)
    with caplog.at_level("INFO", "mom3d_jax"), progress.still_at("irls"):
        while not caplog.messages:
            time.sleep(0.005)
    assert caplog.messages[0] == "irls: still at it after 0 s"
    said = len(caplog.messages)
    time.sleep(0.03)
    assert len(caplog.messages) == said


def test_help_explains_itself(command):
    done = command("--help", stage="solve")
    assert done.returncode == 0
    for word in ("--solver", "--options", "--priors", "coupled", "optax:NAME", "flows.png", "examples"):
        assert word in done.stdout


def test_options_are_read_as_what_they_are():
    assert read_options("a=1, b.c=(2, 3),d=1e-5,e=true,f=name,g=[1,2]") == {
        "a": 1, "b.c": (2, 3), "d": 1e-5, "e": True, "f": "name", "g": [1, 2],
    }  # fmt: skip
    assert read_options("") == {}
    with pytest.raises(ValueError, match="'a' is there twice"):
        read_options("a=1,a=2")


def test_options_find_their_solvers(tiny_config):
    one, other = candidates_of("a=irls,irls", {"iterations": 7, "a.shrink": 1}, tiny_config())
    assert (one.label, one.solver, other.label, other.solver) == ("a", "irls", "irls", "irls")
    assert (one.options["iterations"], other.options["iterations"]) == (7, 7)
    # A whole number is a number, and what is not said is as in the config.
    assert one.options["shrink"] == 1.0
    assert isinstance(one.options["shrink"], float)
    assert other.options.get("shrink") == tiny_config().motion3d.options.irls.get("shrink")
    assert Candidate("optax:adam", "optax:adam", {}).folder == "optax-adam"


def test_truth_is_carried_to_the_depth_of_the_points(tmp_path):
    depth = np.arange(1, 33, dtype=np.float32).reshape(4, 8)
    motion = np.stack([depth, 0 * depth, 2 * depth], -1)
    np.save(tmp_path / "depth.npy", depth)
    np.save(tmp_path / "motion.npy", motion)
    # Four points of a view of half the size, all twice as far as in truth but the last.
    pixels = np.array([0, 1, 4, 7])
    row, column = 2 * (pixels // 4) + 1, 2 * (pixels % 4) + 1
    z = depth[row, column] * np.float32([2, 2, 2, 1])
    cloud = PointCloud(np.stack([z, z, z], -1), None, None, pixels, None)
    views = Views(None, None, None, np.zeros((3, 2, 4)), None, None, None, None, None)
    truth = read_truth(tmp_path, Given("x", cloud, views, None))
    np.testing.assert_allclose(truth, motion[row, column] * np.float32([2, 2, 2, 1])[:, None])


@pytest.mark.parametrize(
    ("depth", "motion", "said"),
    [
        (np.ones((4, 8)), np.ones((4, 8, 2)), r"motion.npy \(4, 8, 2\) and depth.npy \(4, 8\) are not"),
        (np.zeros((4, 8)), np.ones((4, 8, 3)), "a depth in depth.npy that is not positive"),
        (np.ones((4, 8)), np.full((4, 8, 3), np.nan), "NaN in motion.npy"),
        (None, np.ones((4, 8, 3)), "depth.npy: not there"),
    ],
)
def test_a_truth_that_makes_no_sense_is_refused(tmp_path, depth, motion, said):
    for name, array in (("depth", depth), ("motion", motion)):
        if array is not None:
            np.save(tmp_path / f"{name}.npy", array)
    with pytest.raises(ValueError, match=said):
        read_truth(tmp_path, Given("x", None, None, None))
