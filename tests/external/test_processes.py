"""Workers that behave and workers that do not: whatever they do, no process and no half result stays behind."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from mom3d_jax.external import ExternalError, ask


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def pids(notes):
    return [int(line) for line in notes.read_text().split()]


def assert_nothing_kept(store):
    assert [path.name for path in store.iterdir()] in ([], ["mine.log"])


def fails(model, items):
    with pytest.raises(ExternalError) as caught:
        ask(model, items)
    assert_nothing_kept(model.store)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_one_process_serves_all_items_and_nothing_is_asked_twice(model, items, notes, caplog, good):
    caplog.set_level("INFO")
    asked = items(4)
    mine = model("note(os.getpid())\n" + good)
    results = ask(mine, asked)
    assert [r.name for r in results] == ["photo 0", "photo 1", "photo 2", "photo 3"]
    for item, result in zip(asked, results, strict=True):
        np.testing.assert_array_equal(result.arrays["depth"], item.arrays["image"].mean(axis=-1))
        assert result.arrays["depth"].dtype == np.float32
    assert "mine: 3/4 photo 2" in caplog.text
    assert len(pids(notes)) == 1
    # Three of them again, and one that is new: the process sees the new one only.
    again = ask(mine, [*asked[1:], *items(5)[4:]])
    assert len(pids(notes)) == 2
    assert "mine: 1/1 photo 4" in caplog.text
    np.testing.assert_array_equal(again[0].arrays["depth"], results[1].arrays["depth"])
    assert all(map(is_gone, pids(notes)))


def test_a_work_folder_may_be_relative(model, items, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clone").mkdir()
    for repo in ("", "clone"):
        mine = dataclasses.replace(model(repo=repo), store=Path("out"))
        assert len(ask(mine, items(1))) == 1


def test_the_same_item_twice_is_asked_once(model, items):
    (item,) = items(1)
    first, second = ask(model(), [item, item])
    np.testing.assert_array_equal(first.arrays["depth"], second.arrays["depth"])


def test_another_worker_seed_option_or_weight_is_asked_anew(model, items, notes, tmp_path, good):
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"one")
    counted = "note(os.getpid())\n" + good
    variants = [
        {}, {"seed": 1}, {"options": {"x": 1}}, {"device": "auto"}, {"body": counted + "# edited\n"},
        {"weights": str(weights)},
    ]  # fmt: skip
    for variant in variants:
        ask(model(**{"body": counted, **variant}), items(1))
    weights.write_bytes(b"two")
    ask(model(counted, weights=str(weights)), items(1))
    assert len(pids(notes)) == len(variants) + 1
    # What the answer does not depend on asks nothing.
    ask(model(counted, timeout=5.0, fallback="builtin", use="commercial"), items(1))
    assert len(pids(notes)) == len(variants) + 1


def test_a_damaged_kept_result_is_asked_anew(model, items):
    mine, asked = model(), items(1)
    expected = np.array(ask(mine, asked)[0].arrays["depth"])
    (kept,) = mine.store.glob("*/depth.npy")
    kept.write_bytes(kept.read_bytes()[:100])
    np.testing.assert_array_equal(ask(mine, asked)[0].arrays["depth"], expected)


def test_provenance_is_kept(model, items, tmp_path, good):
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"abc")
    repo = tmp_path / "repo"
    (repo / ".git" / "refs" / "heads").mkdir(parents=True)
    (repo / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (repo / ".git" / "refs" / "heads" / "main").write_text("c0ffee\n")
    mine = model(good + "assert os.getcwd() == request['settings']['repo']\n", repo=str(repo), weights=str(weights))
    for _ in range(2):
        said = ask(mine, items(1))[0].provenance
        assert said["name"] == "mine"
        assert said["repo_commit"] == "c0ffee"
        assert re.fullmatch("[0-9a-f]{64}", said["weights_sha256"])
        assert said["seconds"] > 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise RuntimeError('the sky is too blue')", r"exit code 1: RuntimeError: the sky is too blue; more in"),
        ("sys.exit('error: fetch weights.pth first')", r"^mine: fetch weights\.pth first; more in"),
        ("sys.exit(3)", "exit code 3: it said nothing"),
        ("pass", "ended without a result"),
        ("draft(0, depth=np.ones((6, 8))); os.kill(os.getpid(), 9)", "ended by SIGKILL: killed from outside"),
        ("draft(0, depth=np.ones((6, 8))); os.abort()", "ended by SIGABRT"),
        ("import no_such_library", "has no no_such_library: install it there"),
        ("raise ModuleNotFoundError('No module named \\'torch\\'')", "has no torch: install it there, or name"),
        (
            """
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
            draft(0, depth=np.ones((600, 800)))
            """,
            "no room left where results are written",
        ),
        (
            "raise RuntimeError('CUDA out of memory. Tried to allocate 2.00 GiB')",
            "the GPU has not enough memory left: free it, choose a smaller size",
        ),
        ("from json import no_such_name", "versions that do not fit together"),
        ("torch = json; torch.no_such_name", "versions that do not fit together"),
    ],
)  # fmt: skip
def test_a_worker_that_fails_ends_with_one_line(model, items, body, said):
    line = fails(model(body), items(2))
    assert re.search(said, line), line
    assert line.startswith("mine: ")


def test_a_worker_that_hangs_is_ended_with_its_children(model, items, notes):
    body = """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(os.getpid())
    slow_child()
    slow_child(start_new_session=True)
    print("loading", file=sys.stderr, flush=True)
    draft(0, depth=np.ones((6, 8)))
    time.sleep(600)
    """
    line = fails(model(body, timeout=3.0), items(1))
    assert "not finished after 3 s and ended: raise external.mine.timeout" in line
    assert "its last words: loading" in line
    assert len(pids(notes)) == 3
    assert all(map(is_gone, pids(notes)))


def test_children_that_are_left_behind_are_ended(model, items, notes, good):
    body = "slow_child()\n" + ("slow_child(start_new_session=True)\n" if sys.platform == "linux" else "")
    results = ask(model(body + good), items(1))
    assert len(results) == 1
    assert pids(notes)
    assert all(map(is_gone, pids(notes)))


def test_a_grandchild_whose_parent_went_is_ended(model, items, notes, good):
    body = """
    code = "import os, subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
    code += "open(os.environ['NOTES'], 'a').write(str(p.pid))"
    subprocess.run([sys.executable, "-c", code], check=True)
    """
    ask(model(textwrap.dedent(body) + good), items(1))
    assert all(map(is_gone, pids(notes)))


def test_garbage_is_no_trouble(model, items, caplog, good):
    caplog.set_level("INFO")
    body = r"""
    sys.stdout.buffer.write(bytes(range(256)) * 20_000)
    sys.stdout.buffer.write(b"\nprogress \x1b[31m50 %\x07 done\r")
    sys.stdout.buffer.write(b"x" * 300_000 + b"\n")
    sys.stderr.buffer.write(b"\xff\xfe" * 300_000)
    sys.stdout.flush()
    """
    mine = model(textwrap.dedent(body) + good)
    assert len(ask(mine, items(1))) == 1
    assert "mine: [31m50 % done" in caplog.text
    assert "\x1b" not in caplog.text
    log = (mine.store / "mine.log").read_text()
    assert len(log) < 2 * 200 * 2001


def test_the_environment_is_free_of_jax(model, items, notes, monkeypatch, good):
    for name in ("LD_LIBRARY_PATH", "XLA_FLAGS", "JAX_PLATFORMS", "PYTHONPATH", "CUDA_HOME", "LD_PRELOAD"):
        monkeypatch.setenv(name, "" if name == "LD_PRELOAD" else "of the project")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("HF_HOME", "cache")
    body = "note(json.dumps(dict(os.environ)))\n" + good
    ask(model(body, environment={"NOTES": str(notes), "LD_LIBRARY_PATH": "own"}), items(1))
    import json

    seen = json.loads(notes.read_text())
    assert not {"XLA_FLAGS", "JAX_PLATFORMS", "PYTHONPATH", "CUDA_HOME", "LD_PRELOAD"} & set(seen)
    assert seen["LD_LIBRARY_PATH"] == "own"
    assert seen["PATH"].split(os.pathsep)[0] == os.path.dirname(sys.executable)
    assert seen["CUDA_VISIBLE_DEVICES"] == "3"
    assert seen["HF_HOME"] == "cache"
    assert seen["HF_HUB_OFFLINE"] == "1"


ASKING = """
import sys
sys.path.insert(0, {repository!r})
import numpy as np
from pathlib import Path
from mom3d_jax.config import external_model
from mom3d_jax.external import Item, ask, make_model
c = dict(external_model().to_dict(), python=sys.executable, worker={worker!r}, environment=dict(NOTES={notes!r}))
model = make_model("mine", "depth", c, seed=0, store=Path({store!r}))
ask(model, [Item("photo", dict(image=np.zeros((6, 8, 3), np.float32)))])
"""
HANGS = """
draft(0, depth=np.ones((6, 8)))
slow_child(start_new_session=sys.platform == "linux")
note(os.getpid())
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_project_that_is_stopped_takes_the_worker_with_it(model, items, notes, repository, number):
    mine = model(HANGS)
    words = {"repository": str(repository), "worker": str(mine.worker), "notes": str(notes), "store": str(mine.store)}
    project = subprocess.Popen(
        [sys.executable, "-c", ASKING.format(**words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (notes.exists() and notes.read_text().count("\n") == 2):
        assert project.poll() is None, project.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    project.send_signal(number)
    said = project.communicate(timeout=60)[1]
    if number == signal.SIGINT:
        assert "KeyboardInterrupt" in said
        assert all(map(is_gone, pids(notes)))
        assert_nothing_kept(mine.store)
    while not all(map(is_gone, pids(notes))):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # What a killed run could not remove, the next one does, but not what may be at work on another machine.
    elsewhere = mine.store / ".request-another-machine-1-x"
    elsewhere.mkdir()
    ask(model(), items(1))
    assert list(mine.store.glob(".request-*")) == [elsewhere]
