"""Settings that cannot work are refused in one line that names the setting and the remedy."""

import ast
import json
import struct
import sys
import zipfile

import numpy as np
import pytest

from mom3d_jax import artifacts
from mom3d_jax.config import choose_models, default_config, external_model
from mom3d_jax.evaluation.command import recipe_of
from mom3d_jax.external import REGISTRY, TASKS, ExternalError, ask, make_model
from mom3d_jax.external.registry import WORKERS
from mom3d_jax.external.weights import hash_files


def safetensors(path, cut=0):
    """A file with one tensor [2, 3], without its last bytes."""
    header = json.dumps({"x": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
    data = struct.pack("<Q", len(header)) + header + bytes(24)
    path.write_bytes(data[: len(data) - cut])


@pytest.mark.parametrize("name", REGISTRY)
def test_every_registered_model_is_whole(name, tmp_path):
    entry, c = REGISTRY[name], default_config()
    assert (WORKERS / entry.worker).is_file()
    assert entry.task in TASKS
    make_model(name, entry.task, c.external[name].to_dict(), seed=0, store=tmp_path)
    ast.parse((WORKERS / entry.worker).read_text(), feature_version=(3, 8))  # environments of models are old


def test_every_model_with_settings_is_registered():
    assert set(default_config().external) == set(REGISTRY)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"python": ""}, r"external\.mine\.python is not set: name the Python that has the model's libraries"),
        ({"python": "nowhere/bin/python"}, r"external\.mine\.python=nowhere/bin/python: no such program"),
        ({"repo": "nowhere"}, r"external\.mine\.repo=.*nowhere: no such folder; clone"),
        ({"weights": "nowhere.pth"}, r"weights nowhere\.pth: no such file or folder"),
        ({"weights": "ckpts/nowhere.pth"}, r"weights ckpts/nowhere\.pth: no such file or folder"),
        (
            {"weights": "some/model"},
            "weights some/model: neither .* nor in the cache .*hub; .*`hf download some/model`",
        ),
        ({"device": "gpu"}, r"external\.mine\.device='gpu': auto, cpu, cuda"),
        ({"use": "fun"}, r"external\.mine\.use='fun': one of 'research', 'commercial'"),
        ({"fallback": "file"}, r"external\.mine\.fallback='file': one of '', 'builtin'"),
        ({"timeout": -1.0}, r"external\.mine\.timeout=-1\.0: seconds"),
        ({"timeout": float("nan")}, r"external\.mine\.timeout=nan: seconds"),
        ({"worker": "nowhere.py"}, r"external\.mine\.worker=.*nowhere\.py: no such file"),
        ({"worker": ""}, "no model 'mine' for depth; known: .*template.*; your own needs external.mine.worker"),
        ({"own_task": "flow"}, "mine is a model for flow, not for depth"),
        ({"own_task": "sound"}, r"external\.mine\.task='sound': one of depth, flow"),
    ],
)
def test_bad_settings(model, items, settings, said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with pytest.raises(ExternalError, match=said) as caught:
        ask(model(**settings), items(1))
    assert "\n" not in str(caught.value)


def test_a_python_that_is_none(model, items, tmp_path):
    python = tmp_path / "python"
    python.write_text("not a program\n")
    python.chmod(0o755)
    with pytest.raises(
        ExternalError, match=r"is no Python that runs here: name another in external\.mine\.python .*Exec format"
    ):
        ask(model(python=str(python)), items(1))


def cut_archive(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", b"x" * 1000)
    path.write_bytes(path.read_bytes()[:500])


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("a.safetensors", lambda p: safetensors(p, cut=4), r"a\.safetensors: cut short \(\d+ bytes\); fetch"),
        ("a.safetensors", lambda p: p.write_bytes(b"\x08"), "cut short"),
        ("a.safetensors", lambda p: p.write_bytes(b"\xff" * 80), "cut short"),
        ("a.pth", cut_archive, r"a\.pth: cut short \(500 bytes\)"),
        ("a.pth", lambda p: p.write_bytes(b""), r"a\.pth: cut short \(0 bytes\)"),
        ("a.pth", lambda p: p.write_text("<!DOCTYPE html><html>Too many users"), "a web page in the place of weights"),
        ("a.pth", lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\n"), "a Git LFS pointer"),
    ],
)
def test_weights_that_are_not_whole(model, items, tmp_path, name, write, said):
    write(tmp_path / name)
    with pytest.raises(ExternalError, match=said):
        ask(model("sys.exit(7)", weights=str(tmp_path / name)), items(1))


def test_weights_are_looked_for_in_the_repository_and_in_the_cache(model, items, tmp_path):
    (tmp_path / "repo" / "ckpts").mkdir(parents=True)
    safetensors(tmp_path / "repo" / "ckpts" / "a.safetensors")
    mine = model(repo=str(tmp_path / "repo"), weights="ckpts/a.safetensors")
    assert mine.weights_path == tmp_path / "repo" / "ckpts" / "a.safetensors"
    kept = tmp_path / "hf" / "hub" / "models--some--model"
    (kept / "snapshots" / "abc").mkdir(parents=True)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("abc")
    safetensors(kept / "snapshots" / "abc" / "model.safetensors")
    settings = {"weights": "some/model", "environment": {"HF_HOME": str(tmp_path / "hf")}}
    assert model(**settings).weights_path == kept / "snapshots" / "abc"
    assert len(model(**settings).weights_hash) == 64


def test_workers_are_no_part_of_the_key_of_the_code(monkeypatch, tmp_path):
    """An edited worker makes its own stage again, through the key of its model, and no other."""
    (tmp_path / "external" / "workers").mkdir(parents=True)
    for name in ("__init__.py", "external/model.py", "external/workers/template.py"):
        (tmp_path / name).write_text("")
    monkeypatch.setattr("mom3d_jax.__path__", [str(tmp_path)])
    key = artifacts.key_of_code.__wrapped__
    before = key()
    (tmp_path / "external" / "workers" / "template.py").write_text("edited")
    assert key() == before
    (tmp_path / "external" / "model.py").write_text("edited")
    assert key() != before


def test_an_evaluation_has_a_recipe_with_models():
    assert recipe_of("preview:depth=template").depth.model == "template"
    assert recipe_of("preview").depth.model == "builtin"


def test_the_hash_of_weights_is_of_their_content(tmp_path):
    file, memory = tmp_path / "w.bin", tmp_path / "store" / "weights.json"
    file.write_bytes(b"one")
    first = hash_files([file], memory)
    assert hash_files([file], memory) == hash_files([file]) == first
    file.write_bytes(b"two")
    assert hash_files([file], memory) == hash_files([file]) != first
    memory.write_text("{")  # a damaged memory is none
    assert hash_files([file], memory) == hash_files([file])


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"use": "commercial", "licence": "CC-BY-NC-4.0"}, "licence CC-BY-NC-4.0 does not allow commercial use"),
        ({"use": "commercial"}, "licence not stated in its settings does not allow commercial use"),
        ({"use": "commercial", "licence": "MIT", "commercial": True}, ""),
        ({"use": "research", "licence": "CC-BY-NC-4.0"}, ""),
    ],
)
def test_a_licence_that_forbids_the_use_is_told(model, items, caplog, settings, warned):
    ask(model(**settings), items(1))
    assert warned in caplog.text
    assert bool(caplog.records) is bool(warned)


def test_models_are_chosen_behind_the_name_of_a_recipe(monkeypatch):
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    c = default_config("depth=template, animator=builtin")
    assert (c.depth.model, c.flow.model, c.animation.model) == ("template", "builtin", "builtin")
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE")
    for said, wrong in (
        ("depth=zoo", "no such model; there are builtin, .*template"),
        ("sky=x", "models are chosen by"),
    ):
        with pytest.raises(ValueError, match=wrong):
            choose_models(c, said)


def test_a_recipe_may_bring_a_model_of_its_own():
    c = default_config()
    c.external.mine = external_model()
    c.external.mine.update({"worker": "mine.py", "python": sys.executable})
    c.depth.model = "mine"
    with pytest.raises(AttributeError):
        c.external.template.pyhton = ""
    c.external.template.environment.HF_HOME = "cache"


def test_options_reach_the_worker(model, items):
    body = """
    assert request["settings"]["options"] == {"passes": 2, "flip": True, "names": ["a"]}, request
    assert (request["seed"], request["model"], request["settings"]["device"]) == (5, "mine", "cpu")
    draft(0, depth=arrays(0)["image"][..., 0]); finish()
    """
    (result,) = ask(model(body, seed=5, options={"passes": 2, "flip": True, "names": ("a",)}), items(1))
    assert np.ptp(result.arrays["depth"]) > 0
