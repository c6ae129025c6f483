"""What a user sees on the command line: one line and exit code 2 for bad input, and a run that survives a kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

TINY = (
    "--config.size.width=64", "--config.time.frames=6", "--config.stage1.steps=60", "--config.stage2.steps=10",
    "--config.stage1.checkpoint_every=10", "--config.render.frames=6",
)  # fmt: skip


def command(repository: Path, *words: str) -> list[str]:
    return [sys.executable, str(repository / "train.py"), f"--config={repository / 'configs' / 'preview.py'}", *words]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--input=nowhere.jpg", "--workdir=out"], "nowhere.jpg: no such file or folder"),
        (["--input=broken.png", "--workdir=out"], "broken.png"),
        (["--workdir=out"], "add --input=PATH"),
        (["--input=x.png", "--workdir=out", "--config=nope.py"], "nope.py: no such recipe"),
        (["--input=x.png", "--workdir=out", "--config.tme.frames=3"], "unknown setting tme"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(repository, tmp_path, words, said):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    done = subprocess.run(command(repository, *words), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("error: ")]
    assert said in line
    assert not list(tmp_path.glob("out/artifacts/*.npz"))


def test_help_of_train_is_its_own(repository):
    run = [sys.executable, "train.py", "--help"]
    done = subprocess.run(run, cwd=repository, capture_output=True, text=True, check=True)
    assert "--config=configs/preview.py" in done.stdout


def test_help_lists_the_stages(repository):
    run = [sys.executable, "-m", "mom3d_jax", "--help"]
    done = subprocess.run(run, cwd=repository, capture_output=True, text=True, check=True)
    for stage in ("scene", "motion3d", "stage2", "export", "synth"):
        assert stage in done.stdout


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_checkpoint_to_the_same_result(repository, tmp_path, landscape_folder):
    """SIGKILL in the middle of stage 1; the second run resumes there and ends with the bits of an undisturbed one."""
    runs = {
        name: command(repository, f"--input={landscape_folder}", f"--workdir={tmp_path / name}", *TINY) for name in "ab"
    }
    undisturbed = subprocess.run(runs["a"], capture_output=True, text=True, check=False)
    assert undisturbed.returncode == 0, undisturbed.stderr
    process = subprocess.Popen(runs["b"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list((tmp_path / "b" / "checkpoints" / "stage1").glob("[1-5]0/contents.json")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "b" / "artifacts" / "08_stage1.npz").exists()
    resumed = subprocess.run(runs["b"], capture_output=True, text=True, check=False)
    assert resumed.returncode == 0, resumed.stderr
    assert "views: done before" in resumed.stderr
    assert "stage1: going on from step" in resumed.stderr
    for artifact in ("08_stage1.npz", "10_stage2.npz"):
        one, two = (np.load(tmp_path / name / "artifacts" / artifact) for name in "ab")
        for key in one.files:
            if key != "__layout__":
                np.testing.assert_array_equal(one[key], two[key], err_msg=f"{artifact} {key}")
