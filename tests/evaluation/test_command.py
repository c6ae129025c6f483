"""`eval.py` as a user calls it."""

import importlib
import os
import runpy
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from absl.testing import flagsaver

from mom3d_jax.evaluation.command import evaluate
from mom3d_jax.evaluation.studies import STUDIES, Study
from mom3d_jax.evaluation.variants import Variant

TINY = (
    "--config.frames=4", "--config.override.time.frames=4", "--config.override.size.width=64",
    "--config.override.stage1.steps=3", "--config.override.stage2.steps=2",
)  # fmt: skip


@pytest.fixture
def call(repository, dataset, monkeypatch, capsys, tmp_path):
    """Run eval.py inside this process."""
    importlib.import_module("mom3d_jax.evaluation.command")  # its flags are defined once

    def run(*words):
        given = list(words)
        if not any(word.startswith("--config=") for word in given):
            given.insert(0, f"--config={repository / 'configs' / 'eval_synthetic.py'}")
        monkeypatch.setattr(sys, "argv", ["eval.py", *given])
        code = 0
        with flagsaver.flagsaver(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"the load_module\(\) method", category=DeprecationWarning)
            try:
                runpy.run_path(str(repository / "eval.py"), run_name="__main__")
            except SystemExit as stop:
                code = int(stop.code or 0)
        return code, *capsys.readouterr()

    yield run


def test_a_study_ends_with_its_table_and_where_the_files_are(call, dataset, tmp_path, quick):
    words = (f"--config.dataset.path={dataset}", f"--workdir={tmp_path / 'out'}", f"--config.study={quick}", *TINY)
    code, out, _ = call(*words)
    assert code == 0
    assert "| photo | advected | 2 |" in out
    for name in ("table.md", "table.csv", "comparisons.csv", "timings.csv", "report.html"):
        assert str(tmp_path / "out" / name) in out
        assert (tmp_path / "out" / name).stat().st_size > 100


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--workdir=out", "--config.dataset.kind=folder"], "dataset.kind=folder needs --config.dataset.path=PATH"),
        (["--workdir=out", "--config.dataset.path=nowhere"], "nowhere/manifest.json: cannot be read"),
        (["--workdir=out", "--config.dataset.path=nowhere", "--config.study=motion"], "did you mean motion3d?"),
        (["--workdir=out", "--config.override.stage1.stops=3"], "did you mean override.stage1.steps"),
        (["--workdir=out", "--config.override.stage1.steps=few"], "override.stage1.steps='few'"),
        (["--workdir=out", "--predictions=there"], "--predictions needs --method=NAME"),
        (["--workdir=out", "--config=configs/preview.py"], "--config.recipe=NAME"),
        ([], "add --workdir=OUT"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(call, repository, monkeypatch, tmp_path, words, said):
    monkeypatch.chdir(tmp_path)
    given = [w.replace("configs/", f"{repository / 'configs'}/") for w in words]
    code, _, error = call(*given)
    (line,) = [text for text in error.splitlines() if text.startswith("error: ")]
    assert code == 2
    assert said in line
    assert not list(tmp_path.glob("out/runs"))


def test_scenes_made_on_the_way_have_what_the_study_of_spoilt_inputs_needs(settings, tmp_path, monkeypatch, caplog):
    spoilt = Variant("spoilt", kind="still", given=("corrupted",))
    monkeypatch.setitem(STUDIES, "spoilt", Study("x", (spoilt,)))
    config = settings(study="spoilt", keep_work=True)
    config.dataset.path, config.dataset.count, config.dataset.size = "", 1, "64x36"
    with caplog.at_level("INFO"):
        _, (cell,), _ = evaluate(config, tmp_path)
    assert cell.error is None
    assert "for the study corruption: depth=0.05,flow=1" in caplog.text
    (scene,) = (tmp_path / "dataset").glob("*/truth")
    given = tmp_path / "runs" / "spoilt" / scene.parent.name / "input" / scene.parent.name
    true, wrong = (np.load(folder / "depth.npy") for folder in (scene, given))
    assert 0.01 < np.std(np.log(wrong / true)) < 0.1
    assert len(list((given / "flow").glob("view_*.npy"))) == 25
    # A later study finds the same scenes, and the log says what the pool takes.
    monkeypatch.setitem(STUDIES, "spoilt", Study("x", (spoilt, Variant("photo", kind="still"))))
    with caplog.at_level("INFO"):
        caplog.clear()
        _, cells, _ = evaluate(config, tmp_path)
    assert [cell.error for cell in cells] == [None, None]
    taken = sum(file.stat().st_size for file in (tmp_path / "pool").rglob("*") if file.is_file())
    assert f"pool: {taken / 1e6:.1f} MB of results that studies share" in caplog.text


def test_help_is_its_own(call):
    code, out, _ = call("--help")
    assert code == 0
    assert "--predictions=DIR --method=NAME" in out


WITH_A_STUDY = """
import runpy, sys
from mom3d_jax.evaluation.studies import STUDIES, Study
from mom3d_jax.evaluation.variants import Variant
STUDIES["trained"] = {study}
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
def test_killed_while_it_trains_the_same_command_finishes_with_the_same_table(
    call, repository, dataset, tmp_path, monkeypatch
):
    """SIGKILL between two checkpoints of a fit; what was finished before is kept."""
    study = Study("x", (Variant("photo", kind="still"), Variant("static", kind="static")))
    monkeypatch.setitem(STUDIES, "trained", study)

    def words(out):
        where = (f"--config.dataset.path={dataset}", f"--workdir={tmp_path / out}", "--config.scenes=alpine_lake_0")
        steps = ("--config.override.stage1.steps=60", "--config.override.stage1.checkpoint_every=10")
        recipe = f"--config={repository / 'configs' / 'eval_synthetic.py'}"
        return recipe, "--config.study=trained", "--config.keep_work=true", *where, *TINY, *steps

    photo, static = (tmp_path / "a" / "runs" / name / "alpine_lake_0" for name in ("photo", "static"))
    environment = {**os.environ, "PYTHONPATH": str(repository), "JAX_NUM_CPU_DEVICES": "2"}
    program = [sys.executable, "-c", WITH_A_STUDY.format(study=study), str(repository / "eval.py"), *words("a")]
    with (tmp_path / "log").open("w") as log:
        killed = subprocess.Popen(program, env=environment, stdout=log, stderr=log)
        while not list((static / "work" / "checkpoints" / "stage1").glob("[1-5]0/contents.json")):
            assert killed.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.02)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    before = (photo / "result.json").stat().st_mtime_ns
    assert not (static / "work" / "artifacts" / "08_stage1.npz").exists()
    for out, resumed in (("a", True), ("b", False)):
        code, _, log = call(*words(out))
        assert code == 0, log
        assert ("stage1: going on from step" in log) is resumed
    assert (photo / "result.json").stat().st_mtime_ns == before
    tables = [(tmp_path / out / "table.csv").read_bytes() for out in "ab"]
    assert tables[0] == tables[1]
    assert tables[0].count(b",done,") == 2
