"""The benchmark of the rasterizer counts right and reports what it is asked for."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mom3d_jax.cameras import input_camera


@pytest.fixture
def benchmark(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repository))
    return importlib.import_module("benchmarks.rasterize")


def pairs_by_brute_force(benchmark: ModuleType, scene, view: int) -> int:
    """Every pixel of every Gaussian, in float64."""
    camera = benchmark.select(scene.cameras, view)
    means2d, conics, z = (np.asarray(x, np.float64) for x in benchmark.project(scene.parameters, camera))
    y, x = np.mgrid[: camera.height, : camera.width] + 0.5
    dx, dy = (g[None] - m[:, None, None] for g, m in zip((x, y), means2d.T, strict=True))
    a, b, c = conics.T[:, :, None, None]
    opacities = np.asarray(scene.parameters["opacities"], np.float64)[:, None, None]
    alpha = opacities * np.exp(-0.5 * (a * dx * dx + 2 * b * dx * dy + c * dy * dy))
    return int(((alpha >= 1 / 255) & (z > 0)[:, None, None]).sum())


@pytest.mark.parametrize("name", ["photo_cloud", "random", "dense"])
def test_pairs(benchmark: ModuleType, name: str) -> None:
    scene = benchmark.make_scene(name, 24, 14, views=2)
    # One is behind the camera, one is too faint to be seen.
    scene.parameters["means"][0, 2] = -3
    scene.parameters["opacities"][1] = 0.003
    _, counts = benchmark.prepare(scene, "xla")
    expected = sum(pairs_by_brute_force(benchmark, scene, v) for v in range(2))
    # α is exactly at the threshold nowhere, but rounds differently next to it.
    assert abs(counts["pairs"] - expected) <= 2


def test_loss_over_views_is_the_mean_of_each(benchmark: ModuleType) -> None:
    together = benchmark.make_scene("random", 24, 14, views=2)
    program, _ = benchmark.prepare(together, "reference")
    alone = [together._replace(cameras=benchmark.select(together.cameras, slice(v, v + 1))) for v in range(2)]
    each = [benchmark.Program(scene, "reference", 1) for scene in alone]
    losses = [float(one.loss(one.scene.parameters)) for one in each]
    assert losses[0] != losses[1]
    assert float(program.loss(together.parameters)) == pytest.approx(np.mean(losses), rel=1e-5)


def test_photo_cloud_is_the_photo(benchmark: ModuleType) -> None:
    """Seen from the photo's own camera, each Gaussian is on its pixel."""
    scene = benchmark.make_scene("photo_cloud", 24, 14)
    still = input_camera(24, 14, 0.8 * 24)
    means2d, _, z = benchmark.project(scene.parameters, still)
    v, u = np.mgrid[:14, :24].reshape(2, -1) + 0.5
    np.testing.assert_allclose(means2d, np.stack([u, v], -1), atol=1e-4)
    np.testing.assert_allclose(z[0], 1 / 0.12, rtol=1e-5)
    np.testing.assert_allclose(scene.parameters["colors"], scene.photo.reshape(-1, 3))


def test_report(benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    benchmark.main(
        ["--scene=random,dense", "--backend=reference", "--width=16", "--height=12", "--repeats=2", f"--out={out}"]
    )
    report = json.loads(out.read_text())
    rows = report["results"]
    assert [(row["scene"], row["backend"]) for row in rows] == [("random", "reference"), ("dense", "reference")]
    assert report["loop_rate"] > 0
    assert report["command"].startswith("python -m benchmarks.rasterize --scene=random,dense")
    assert {"device", "versions"} <= report.keys()
    for row, gaussians in zip(rows, (16 * 12 // 4, 16 * 12 // 8), strict=True):
        assert row.keys() == benchmark.COLUMNS.keys()
        assert row["gaussians"] == gaussians
        assert 0 < row["forward_ms"] <= row["p90_forward_ms"]
        # The reference has no lists.
        assert row["bytes_per_intersection"] == 0
    assert "| dense" in capsys.readouterr().out


@pytest.mark.slow
def test_lists_take_memory(benchmark: ModuleType) -> None:
    """A list alone has four bytes per place."""
    program, _ = benchmark.prepare(benchmark.make_scene("random", 64, 36), "xla")
    assert 4 <= benchmark.bytes_per_intersection(program) < 400


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scene=forest"], "unknown scene 'forest'; known: photo_cloud, random, dense"),
        (["--backend=xla,opengl"], "unknown rasterizer backend 'opengl'"),
        (["--views=0"], "0 views: give numbers of at least 1"),
        (["--scene=photo_cloud", "--width=16", "--gaussians=7"], "one Gaussian per pixel, 144 of them, not 7"),
        (["--repeats=0"], "--repeats=0: give at least 1"),
    ],
)
def test_bad_options(benchmark: ModuleType, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as ended:
        benchmark.main(words)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_all_leaves_out_what_only_tests_use(benchmark: ModuleType) -> None:
    able = [name for name in benchmark.backends.available() if name not in benchmark.FOR_TESTS]
    assert set(benchmark.FOR_TESTS) <= set(benchmark.backends.BACKENDS)
    assert benchmark.listed("all", able) == able
    assert benchmark.listed("xla, reference", able) == ["xla", "reference"]
