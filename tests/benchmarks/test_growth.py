"""The series vary what they say and hold the rest; the plot shows what was measured."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import cv2
import pytest


@pytest.fixture
def growth(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repository))
    return importlib.import_module("benchmarks.growth")


def test_series_hold_the_layers_but_the_one_of_layers(growth: ModuleType) -> None:
    layers: dict[str, list[float]] = {}
    for name, scene in growth.series(quick=True, largest=10**9):
        _, counts = growth.prepare(scene, "xla")
        layers.setdefault(name, []).append(counts["pairs"] / scene.photo[..., 0].size)
    assert {name: len(values) for name, values in layers.items()} == dict.fromkeys(growth.AXES, 3)
    for name in ("gaussians", "width"):
        assert max(layers[name]) < 1.25 * min(layers[name])
    assert layers["layers"][-1] > 5 * layers["layers"][0]


def test_largest_leaves_out_gaussians(growth: ModuleType) -> None:
    sizes = [len(scene.parameters["opacities"]) for name, scene in growth.series(quick=True, largest=1000)]
    assert max(sizes[:-3]) <= 1000


def test_report_and_plot(growth: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With times made up: one millisecond per thousand pixels."""

    def made_up(program, repeats: int) -> dict[str, float]:
        pixels = program.scene.photo[..., 0].size
        return {"forward_ms": pixels / 1e3, "forward_backward_ms": 3 * pixels / 1e3, "peak_bytes": 1}

    monkeypatch.setattr(growth, "time_program", made_up)
    monkeypatch.setattr(growth, "bytes_per_intersection", lambda _: 52.0)
    out = tmp_path / "figures" / "growth.json"
    growth.main(["--quick", "--backend=reference", f"--out={out}"])
    report = json.loads(out.read_text())
    assert report["bytes_per_intersection"] == 52
    assert [row["series"] for row in report["results"]] == [name for name in growth.AXES for _ in range(3)]
    widths = [row["width"] for row in report["results"] if row["series"] == "width"]
    assert widths == sorted(set(widths))
    picture = cv2.imread(str(out.with_suffix(".png")))
    rows = report["results"]
    one, three = (growth.draw_panels(growth.panels(some, "x")).shape[1] for some in (rows[:1], rows))
    assert picture.shape[1] == three > 2 * one


def test_geometric(growth: ModuleType) -> None:
    assert growth.timing.geometric(1e4, 1e6, 5) == [10_000, 31_623, 100_000, 316_228, 1_000_000]


def test_table_is_aligned(growth: ModuleType) -> None:
    rows = [{"name": "a", "ms": 1.25}, {"name": "longer", "ms": 1234.5}]
    assert growth.timing.table(rows, {"name": "{}", "ms": "{:,.1f}"}).splitlines() == [
        "| name   |      ms |",
        "|--------|--------:|",
        "| a      |     1.2 |",
        "| longer | 1,234.5 |",
    ]
