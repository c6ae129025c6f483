"""The benchmark runs and its counts are right."""

import importlib
import json

import numpy as np
import pytest


@pytest.mark.slow
def test_report(repository, monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(repository))
    benchmark = importlib.import_module("benchmarks.rasterize")
    out = tmp_path / "out.json"
    benchmark.main(["--scene=dense", "--width=16", "--height=12", "--repeats=2", f"--out={out}"])
    report = json.loads(out.read_text())
    (result,) = report["results"]
    assert report["loop_rate"] > 0
    assert result["gaussians"] == 16 * 12 // 8
    assert 0 < result["forward_ms"] <= result["p90_forward_ms"]
    assert "forward_backward_ms" in capsys.readouterr().out

    # Pairs by brute force in float64.
    scene = benchmark.make_scene("dense", 16, 12, None)
    means2d, conics, _ = (np.asarray(x, np.float64) for x in benchmark.project(scene, scene.parameters))
    y, x = np.mgrid[:12, :16] + 0.5
    dx, dy = (g[None] - m[:, None, None] for g, m in zip((x, y), means2d.T, strict=True))
    a, b, c = conics.T[:, :, None, None]
    opacities = np.asarray(scene.parameters["opacities"], np.float64)[:, None, None]
    alpha = opacities * np.exp(-0.5 * (a * dx * dx + 2 * b * dx * dy + c * dy * dy))
    assert abs(result["pairs"] - (alpha >= 1 / 255).sum()) <= 2
