"""The tuner writes a table that is used, skips what does not run or is wrong, and refuses where there is no GPU."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import jax
import pytest
from mom3d_jax.kernels.rasterize import launch

TINY = ["--interpret", "--channels=1", "--width=8", "--height=8", "--repeats=1"]


@pytest.fixture
def tune(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The tuner, whose tables go elsewhere."""
    monkeypatch.syspath_prepend(str(repository))
    monkeypatch.setattr(launch, "TABLES", tmp_path)
    return importlib.import_module("benchmarks.tune")


def test_table_is_written_read_and_used(
    tune: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A group of 12 does not compile, and a block of 2 is made to be wrong.
    tried = {
        "forward": {"forward_unroll": (2,), "forward_warps": (2,)},
        "backward": {"backward_group": (8, 12), "backward_warps": (1,)},
        "sum_rows": {"sum_block": (2, 4), "sum_unroll": (1,), "sum_warps": (8,)},
    }
    monkeypatch.setattr(tune, "CANDIDATES", tried)
    # Without unrolled loops, the default compiles in a quarter of the time.
    monkeypatch.setattr(tune, "heuristic_launch", lambda channels: launch.Launch(1, 1, 8, 1, 1, 1, 1))

    class Unreliable(tune.Kernels):
        def sum_rows(self, bins, rows):
            return super().sum_rows(bins, rows) * (2 if self.launch.sum_block == 2 else 1)

    monkeypatch.setattr(tune, "Kernels", Unreliable)
    # The wrong one is the fastest.
    real = tune.timing.measure
    monkeypatch.setattr(
        tune.timing, "measure", lambda run, *args, repeats: _hurried(real(run, *args, repeats=repeats), run)
    )
    tune.main(TINY)

    winner = launch.Launch(2, 2, 8, 1, 4, 1, 8)
    assert launch.choose_launch(1) == winner != launch.heuristic_launch(1)
    device = jax.devices()[0].device_kind
    report = json.loads(launch.table_file(device).read_text())
    assert report["launches"] == {"1": winner._asdict()}
    assert report["device"] == device
    assert report["interpreted"] is True
    assert report["command"].startswith("python -m benchmarks.tune --interpret --channels=1")
    assert {"jax", "python", "platform"} <= report["versions"].keys()
    times = report["times"]["1"]
    assert [row["forward_unroll"] for row in times["forward"]] == [2]
    assert times["forward"][0]["ms"] > 0
    assert "error" in times["backward"][1]
    assert [(row["sum_block"], row["deviation"]) for row in times["sum_rows"]] == [(2, 1.0), (4, 0.0)]
    said = capsys.readouterr().out
    assert "'backward_group': 12, 'backward_warps': 1} is skipped: " in said
    assert "'sum_block': 2, 'sum_unroll': 1, 'sum_warps': 8} is skipped: off by 1.0e+00" in said


def _hurried(timing, run):
    return timing._replace(ms=timing.ms * (1e-6 if run.__self__.launch.sum_block == 2 else 1))


def test_without_a_gpu_it_says_so(tune: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        tune.main(["--channels=4"])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "'pallas_triton' cannot run: it needs an NVIDIA GPU" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--channels=3"], "--channels=3: tables have rows for 1, 4, 8, 16, 32"),
        (["--channels=4,"], "--channels=4,: tables have rows"),
        (["--repeats=0"], "--repeats=0: give at least 1"),
        (["--interpret", "--width=0"], "0x0 px"),
        (["--interpret", "--width=8", "--height=8", "--views=0"], "0 views"),
    ],
)
def test_bad_input(tune: ModuleType, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        tune.main(arguments)
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_ranking(tune: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """No spills first, then many programs, then few registers; what does not compile comes last."""
    found = {
        1: {"error": "RESOURCE_EXHAUSTED: shared memory"},
        2: {"warps": 2, "registers": 64, "spilled": 0, "shared": 0, "programs": 16},
        4: {"warps": 2, "registers": 32, "spilled": 8, "shared": 0, "programs": 32},
        8: {"warps": 2, "registers": 40, "spilled": 0, "shared": 0, "programs": 16},
    }
    monkeypatch.setattr(tune, "CANDIDATES", {"forward": {"forward_unroll": tuple(found)}})
    monkeypatch.setattr(tune.registers, "resources", lambda c: [found[launch.forward_unroll] for _, _, launch in c])
    tune.main(["--compile-only", "--channels=4"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "4 features, forward"
    assert [line.split("|")[1].strip() for line in lines[4:7]] == ["8", "2", "4"]
    assert lines[7] == "{'forward_unroll': 1} does not compile: RESOURCE_EXHAUSTED: shared memory"
