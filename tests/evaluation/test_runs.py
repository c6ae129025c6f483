"""Many scenes: what is skipped, what is made again, what fails, what is refused. Nothing is trained here."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from mom3d_jax.evaluation import results, tables
from mom3d_jax.evaluation.claims import claimed, holder
from mom3d_jax.evaluation.command import evaluate
from mom3d_jax.evaluation.methods import METHODS
from mom3d_jax.evaluation.studies import STUDIES, Study
from mom3d_jax.evaluation.variants import Variant

LAKES = ("alpine_lake_0", "alpine_lake_4")


@pytest.fixture
def count(monkeypatch):
    """How often each kind was called."""
    calls = []
    for kind in ("still", "points"):
        method = METHODS[kind]
        monkeypatch.setitem(METHODS, kind, lambda task, m=method, k=kind: (calls.append(k), m(task))[1])
    return calls


@pytest.fixture
def run(settings, quick, tmp_path):
    """Evaluate the quick study and write the tables; gives the bytes of table.csv."""

    def evaluated(workdir=tmp_path / "out", retry=False, **changes):
        config = settings(study=quick, **changes)
        title, cells, stale = evaluate(config, workdir, retry=retry)
        tables.write_tables(workdir, cells, stale, title)
        return (workdir / "table.csv").read_bytes()

    return evaluated


@pytest.fixture
def first(finished_quick, tmp_path):
    """What a first run has left in `out`; gives the bytes of table.csv."""
    shutil.copytree(finished_quick, tmp_path / "out")
    return (tmp_path / "out" / "table.csv").read_bytes()


def test_a_second_run_makes_nothing_and_the_same_table(run, first, count, tmp_path):
    assert run() == first
    assert count == []
    assert run(workdir=tmp_path / "other") == first
    assert sorted(count) == ["points", "points", "still", "still"]
    result = json.loads((tmp_path / "out" / "runs" / "photo" / LAKES[0] / "result.json").read_text())
    assert (result["truth"], result["size"], result["frames"]) == ("advected", [64, 36], 4)
    assert result["config"]["stage1"]["steps"] == 4
    assert {r["path"] for r in result["records"]} == {"input", "up-down", "side", "zoom-in", "circle", "all"}
    assert not (tmp_path / "out" / "runs" / "photo" / LAKES[0] / "work").exists()


@pytest.mark.parametrize("spoil", ["damaged", "older version", "other settings", "gone"])
def test_a_result_that_does_not_fit_is_made_again(run, first, count, tmp_path, spoil):
    file = tmp_path / "out" / "runs" / "cloud" / LAKES[1] / "result.json"
    content = json.loads(file.read_text())
    if spoil == "damaged":
        file.write_text(file.read_text()[:1000])
    elif spoil == "gone":
        file.unlink()
    else:
        content |= {"version": 0} if spoil == "older version" else {"hash": "0123456789abcdef"}
        file.write_text(json.dumps(content))
    assert run() == first
    assert count == ["points"]


def test_a_failure_is_a_row_and_is_tried_again_when_asked(run, monkeypatch, tmp_path, count):
    method = METHODS["points"]

    def fails(task):
        if task.sample.name == LAKES[0]:
            raise RuntimeError("the roof fell in\nand more")
        return method(task)

    with monkeypatch.context() as patch:
        patch.setitem(METHODS, "points", fails)
        table = run().decode().splitlines()
        (row,) = [line for line in table if line.startswith(f"cloud,{LAKES[0]}")]
        assert ",failed,advected," in row
        assert row.endswith("RuntimeError: the roof fell in")
        (mean,) = [line for line in table if line.startswith("cloud,(mean)")]
        assert mean.startswith("cloud,(mean),1 of 2,advected,")
        assert mean.split(",")[4:-1] == next(t for t in table if t.startswith(f"cloud,{LAKES[1]}")).split(",")[4:-1]
        assert "cloud/alpine_lake_0: RuntimeError" in (tmp_path / "out" / "table.md").read_text()
        error = json.loads((tmp_path / "out" / "runs" / "cloud" / LAKES[0] / "error.json").read_text())
        assert "fails" in "".join(error["traceback"])
    count.clear()
    assert run().decode().splitlines() == table
    assert count == []
    assert b"failed" not in run(retry=True)
    assert count == ["points"]
    assert not (tmp_path / "out" / "runs" / "cloud" / LAKES[0] / "error.json").exists()


def test_a_table_without_a_result_is_refused(run, monkeypatch):
    monkeypatch.setattr(results, "write_error", lambda *a: None)
    monkeypatch.setitem(METHODS, "points", lambda task: 1 / 0)
    with pytest.raises(
        ValueError, match=r"2 results and failures of 4 wanted.*missing: cloud/alpine_lake_0, cloud/alp"
    ):
        run()


def test_one_scene_more_joins_the_table(run, count):
    part = run(scenes=LAKES[1])
    assert part.count(LAKES[0].encode()) == 0
    count.clear()
    assert run().count(b",done,") == 4
    assert sorted(count) == ["points", "still"]


def test_studies_of_one_command_share_their_variants_and_go_scene_by_scene(
    settings, quick, count, tmp_path, monkeypatch
):
    (photo, cloud) = STUDIES[quick].variants
    monkeypatch.setitem(STUDIES, "second", Study("x", (photo, Variant("again", kind="points"))))
    _, cells, _ = evaluate(settings(study=f"{quick},second"), tmp_path)
    assert count == ["still", "points", "points"] * 2
    assert {c.variant: c.studies for c in cells} == {
        photo.name: (quick, "second"), cloud.name: (quick,), "again": ("second",)
    }  # fmt: skip


@pytest.mark.usefixtures("first")
def test_another_recipe_in_the_same_folder_is_refused(run):
    with pytest.raises(ValueError, match=r"recipe was 'preview', is 'landscape'\): choose another --workdir"):
        run(recipe="landscape")


@pytest.mark.usefixtures("first")
def test_results_of_other_code_are_left_out_and_named(run, tmp_path):
    workdir = tmp_path / "out"
    file = workdir / "plan.json"
    plan = json.loads(file.read_text())
    plan["keys"]["older"] = {LAKES[0]: "0123456789abcdef"}
    file.write_text(json.dumps(plan))
    run()
    text = (workdir / "table.md").read_text()
    assert "Not in this table" in text
    assert "older/alpine_lake_0" in text
    file.write_text("{}")
    with pytest.raises(ValueError, match=r"plan.json: damaged"):
        run()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"study": "baseline"}, "did you mean baselines"),
        ({"recipe": "previw"}, "did you mean preview"),
        ({"scenes": "alpine_lake_5"}, "no scene 'alpine_lake_5'"),
        ({"truth": "perodic"}, "only advected, periodic"),
    ],
)
def test_unknown_names_are_refused_before_anything_runs(settings, tmp_path, changes, said, count):
    with pytest.raises(ValueError) as error:
        evaluate(settings(**changes), tmp_path)
    assert said in str(error.value)
    assert not (tmp_path / "runs").exists()


def test_frames_have_to_fit(settings, tmp_path):
    config = settings()
    config.frames = 3
    with pytest.raises(ValueError, match=r"has 4 frames per path, not 3; add --config\.frames=4"):
        evaluate(config, tmp_path)
    config.frames = 60
    with pytest.raises(ValueError, match=r"more than the clip's 4.*override\.time\.frames=60"):
        evaluate(config, tmp_path)
    config.frames, config.override.time.field, config.override.time.frames = 4, "loop", 5
    with pytest.raises(ValueError, match=r"repeats after 4 frames, the clip after 5"):
        evaluate(config, tmp_path)
    config.override.stage1.batch = 0
    with pytest.raises(ValueError, match=r"stage1\.batch=0 is below 1"):
        evaluate(config, tmp_path)


def test_loops_are_compared_with_the_periodic_truth(settings, quick, tmp_path):
    config = settings(study=quick, scenes=LAKES[0])
    config.override.time.field = "loop"
    _, cells, _ = evaluate(config, tmp_path)
    assert {cell.result["truth"] for cell in cells} == {"periodic"}
    assert "loop_seam" in {r["metric"] for r in cells[0].result["records"]}


def test_a_folder_without_truth_is_judged_by_what_needs_none(settings, quick, dataset, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(dataset / LAKES[0] / "image.png", photos / "lake.png")
    config = settings(study=quick)
    config.dataset.kind, config.dataset.path = "folder", str(photos)
    _, cells, _ = evaluate(config, tmp_path / "out")
    assert [cell.result["truth"] for cell in cells] == [None, None]
    assert {r["metric"] for r in cells[0].result["records"]} == {"piqe"}


KILLED = """
import os, pickle, signal, sys
from mom3d_jax.evaluation import command, methods, studies
config, workdir, quick = pickle.load(open(sys.argv[1], "rb"))
studies.STUDIES["quick"] = quick
points, calls = methods.METHODS["points"], []
def once(task):
    calls.append(task)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return points(task)
methods.METHODS["points"] = once
command.evaluate(config, workdir)
"""


def test_killed_in_the_middle_a_second_run_finishes_with_the_same_table(
    run, settings, finished_quick, tmp_path, count, repository
):
    import pickle

    from tests.evaluation.conftest import QUICK

    workdir = tmp_path / "killed"
    given = tmp_path / "given"
    given.write_bytes(pickle.dumps((settings(study="quick"), workdir, QUICK)))
    environment = {**os.environ, "PYTHONPATH": str(repository), "JAX_NUM_CPU_DEVICES": "2"}
    done = subprocess.run([sys.executable, "-c", KILLED, str(given)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(workdir.glob("runs/*/*/result.json"))) == 3
    assert run(workdir=workdir) == (finished_quick / "table.csv").read_bytes()
    assert count == ["points"]


def hold(folder, ready):
    with claimed(folder) as ours:
        ready.put(ours)
        time.sleep(60)


def test_a_claim_is_one_process_and_dies_with_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    other = context.Process(target=hold, args=(tmp_path, ready))
    other.start()
    assert ready.get(timeout=60) is True
    with claimed(tmp_path) as ours:
        assert ours is False
    assert holder(tmp_path).startswith(f"process {other.pid} on ")
    other.kill()
    other.join()
    with claimed(tmp_path, wait=True) as ours:
        assert ours is True
    assert holder(tmp_path).startswith(f"process {os.getpid()} on ")


def test_what_another_process_is_at_is_waited_for(run, first, tmp_path):
    (tmp_path / "out" / "runs" / "photo" / LAKES[0] / "result.json").unlink()
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    other = context.Process(target=hold, args=(tmp_path / "out" / "runs" / "photo" / LAKES[0], ready))
    other.start()
    assert ready.get(timeout=60) is True
    import threading

    threading.Timer(1.0, other.kill).start()
    assert run() == first
    other.join()
