"""`doctor` says what of a model is there, what is missing, and how to set it up."""

import hashlib
import logging
import re
import sys
import warnings
import zipfile

import pytest
from absl.testing import flagsaver

from mom3d_jax import __main__ as main
from mom3d_jax.config import how_to_set_up
from mom3d_jax.external.doctor import check_up, examine, modules_of, readable
from mom3d_jax.external.registry import REGISTRY, WORKERS, Entry, Licence

READY = "import json\nimport numpy\n"


@pytest.fixture
def settings(model, tmp_path):
    """Settings of one model named mine, its worker the text given."""

    def make(body=READY, **changes):
        made = model(body)
        made.worker.write_text(body)
        own = {"worker": str(made.worker), "task": "depth", "python": sys.executable, "device": "cpu", "repo": ""}
        base = {"weights": "", "timeout": 60.0, "use": "research", "fallback": "", "trust": (), "environment": {}}
        return {"mine": {**base, **own, "options": {}, "licence": "", "commercial": False, **changes}}

    return make


def test_a_model_with_everything_is_ready(settings, tmp_path):
    text, ready = check_up(["mine"], settings(), {"mine": "pip install it"}, tmp_path / "not" / "yet")
    assert ready
    row = next(line for line in text.splitlines() if line.startswith("mine"))
    assert row.split()[:3] == ["mine", "depth", sys.version.split()[0]]
    assert row.endswith("yes")
    assert "pip install" not in text
    assert f"free in {tmp_path}" in text


@pytest.mark.parametrize(
    ("body", "changes", "said"),
    [
        (READY, {"python": ""}, r"external\.mine\.python is not set: name the Python"),
        (READY, {"python": "nowhere/python"}, r"external\.mine\.python=nowhere/python: no such program"),
        (READY, {"repo": "nowhere"}, r"external\.mine\.repo=.*nowhere: no such folder"),
        (READY, {"weights": "nowhere.pth"}, r"weights nowhere\.pth: no such file"),
        ("import no_such_library", {}, r"cannot import no_such_library \(ModuleNotFoundError: No module named"),
        ("def f():\n    from no_such.part import x", {}, "cannot import no_such "),
        (READY, {"device": "cuda:1"}, r"device=cuda:1: its torch sees no GPU; choose another"),
    ],
)
def test_what_is_missing_is_told_with_the_commands(settings, tmp_path, body, changes, said):
    commands = "git clone it\n\npip install it"
    text, ready = check_up(["mine"], settings(body, **changes), {"mine": commands}, tmp_path)
    assert not ready
    told = text[text.index("mine is not ready:") :]
    assert re.search(said, told)
    assert told.endswith("    git clone it\n\n    pip install it")
    assert re.search(r"^mine .* no$", text, re.MULTILINE)


def test_everything_that_is_missing_is_told_at_once(settings, tmp_path):
    text, _ = check_up(["mine"], settings("import nothing_1, nothing_2", weights="nowhere.pth"), {}, tmp_path)
    assert len(re.findall("^  - ", text, re.MULTILINE)) == 3


def test_size_and_hash_of_weights(settings, tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    digest = hashlib.sha256()
    for name, content in (("a.bin", b"x" * 1400), ("b.bin", b"y" * 1000)):
        (folder / name).write_bytes(content)
        digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    text, ready = check_up(["mine"], settings(weights=str(folder)), {}, tmp_path)
    assert ready
    assert f"2 kB in 2 files, {digest.hexdigest()[:12]}" in text
    with zipfile.ZipFile(folder / "c.pth", "w") as archive:
        archive.writestr("data", "z" * 100)
    whole = (folder / "c.pth").read_bytes()
    (folder / "c.pth").write_bytes(whole[:60])
    text, ready = check_up(["mine"], settings(weights=str(folder)), {}, tmp_path)
    assert not ready
    assert "c.pth: cut short (60 bytes)" in text


def test_modules_of_the_repository_are_found_but_not_imported(settings, tmp_path):
    inner = tmp_path / "clone" / "lib" / "networks"
    inner.mkdir(parents=True)
    (inner / "flow_net.py").write_text("raise SystemExit('started by importing it')")
    body = "import networks.deep\nfrom flow_net import Net\n"
    text, ready = check_up(["mine"], settings(body, repo=str(tmp_path / "clone")), {}, tmp_path)
    assert ready, text


def test_a_library_that_kills_its_python_is_told(settings, tmp_path):
    (tmp_path / "crashing.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    body, own = "import crashing", {"PYTHONPATH": str(tmp_path)}
    text, ready = check_up(["mine"], settings(body, environment=own), {}, tmp_path)
    assert not ready
    assert "its libraries cannot be imported: ended by SIGSEGV" in text


def test_libraries_that_a_repository_needs_are_looked_for(model, monkeypatch):
    entry = Entry("", "depth", Licence("MIT", commercial=True), imports=("no_such_library",))
    monkeypatch.setitem(REGISTRY, "mine", entry)
    made = model(READY, worker=str(WORKERS / "template.py"))
    assert any("cannot import no_such_library" in problem for problem in examine(made).problems)


def test_what_a_worker_only_tries_is_not_needed(tmp_path):
    worker = tmp_path / "worker.py"
    worker.write_text("import os, numpy.linalg\ntry:\n    import xformers\nexcept ImportError:\n    pass\n")
    assert modules_of(worker) == ["numpy"]


@pytest.mark.parametrize(
    ("count", "words"), [(999, "999 bytes"), (1.4e9, "1.4 GB"), (5e12, "5000.0 GB"), (2e6, "2 MB")]
)
def test_sizes_are_readable(count, words):
    assert readable(count) == words


@pytest.mark.parametrize("name", REGISTRY)
def test_every_model_says_how_it_is_set_up(name):
    assert "pip install" in how_to_set_up(name) or "conda" in how_to_set_up(name)


@pytest.fixture
def doctor(capsys, monkeypatch):
    """Exit code, standard output and error of the command."""
    log = logging.getLogger("mom3d_jax")
    before = log.handlers[:], log.level, log.propagate

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["mom3d_jax", "doctor", *words])
        with flagsaver.flagsaver(), warnings.catch_warnings():
            # How the flag library loads recipes; today's Pythons still have it.
            warnings.filterwarnings("ignore", message=r"the load_module\(\) method", category=DeprecationWarning)
            try:
                main.main()
                code = 0
            except SystemExit as end:
                code = end.code
        return code, *capsys.readouterr()

    yield run
    log.handlers, log.level, log.propagate = before


def test_the_command(doctor):
    code, out, _ = doctor("template")
    assert code == 2
    assert "external.template.python is not set" in out
    assert "python3 -m venv ENV && ENV/bin/pip install torch numpy" in out
    code, _, err = doctor("nobody")
    assert code == 2
    assert err.startswith("error: no model 'nobody'; there are ")


def test_the_command_without_names_asks_for_all_but_the_template(doctor):
    _, out, _ = doctor()
    rows = out.split("\n\n")[0].splitlines()[1:]
    assert {row.split()[0] for row in rows} == set(REGISTRY) - {"template"}


def test_the_command_with_a_recipe_asks_for_its_models(doctor, repository):
    recipe = f"--config={repository / 'configs' / 'preview.py'}:depth=template"
    code, out, err = doctor(recipe, "--config.external.template.python=nowhere/python")
    assert code == 2, err
    assert "external.template.python=nowhere/python: no such program" in out, err
