"""The benchmark of grid sampling compares ways that compute the same."""

import importlib
import json
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator


@pytest.fixture
def benchmark(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repository))
    return importlib.import_module("benchmarks.gridsample")


def test_report(benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    benchmark.main(["--points=200", "--channels=2", "--repeats=2", f"--out={out}"])
    report = json.loads(out.read_text())
    assert [row["way"] for row in report["results"]] == list(benchmark.WAYS)
    assert report["planes"] == [[6, 64, 64], [6, 25, 64]]
    assert all(0 < row["forward_ms"] <= row["p90_forward_ms"] for row in report["results"])
    assert "| map_coordinates |" in capsys.readouterr().out


@pytest.mark.parametrize("way", ["sample_planes", "map_coordinates", "gather"])
def test_ways_against_scipy(benchmark: ModuleType, way: str) -> None:
    for planes, coords in benchmark.make_inputs(points=50, channels=2):
        features = benchmark.WAYS[way](planes, coords)
        for plane, where, ours in zip(planes, coords, features, strict=True):
            axes = [np.linspace(-1, 1, size) for size in plane.shape[:2]]
            truth = RegularGridInterpolator(axes, plane.astype(np.float64))(where)
            np.testing.assert_allclose(ours, truth, atol=1e-5)


def test_a_way_that_is_wrong_is_found(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(benchmark.WAYS, "wrong", lambda planes, coords: benchmark.gather(planes, 0.99 * coords))
    with pytest.raises(SystemExit, match="wrong differs from map_coordinates by"):
        benchmark.compare(points=50, channels=2)


def test_bad_options(benchmark: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        benchmark.main(["--points=0"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "--points, --channels and --repeats: give at least 1 each\n"


@pytest.mark.parametrize(("name", "reason"), [("", "Is a directory"), ("file/out.json", "exists|Not a directory")])
def test_no_place_for_the_result_is_found_first(
    benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, reason: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as ended:
        benchmark.main([f"--out={tmp_path / name}"])
    assert ended.value.code == 2
    assert re.search(rf"cannot write {tmp_path}.*({reason})", capsys.readouterr().err)
