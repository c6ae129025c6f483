"""The comparison with gsplat, without gsplat: a stand-in renders the same scene files by brute force in float64."""

import importlib
import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

STAND_IN = '''#!PYTHON
"""In place of a Python with gsplat: each pixel of each Gaussian by matrices, nothing of the project."""
import json
import sys

import numpy as np

if "--probe" in sys.argv:
    print(json.dumps({"device": "none", "versions": {"gsplat": "stand-in"}}))
    raise SystemExit
assert sys.argv[1].endswith("gsplat_worker.py"), sys.argv
scene = {k: x.astype(np.float64) for k, x in np.load(sys.argv[2]).items()}
height, width = scene["photo"].shape[:2]
y, x = np.mgrid[:height, :width] + 0.5
images = []
for R, t, K in zip(scene["rotation"], scene["translation"], scene["intrinsics"]):
    image, T = np.zeros((height, width, 3)), np.ones((height, width))
    points = scene["means"] @ R.T + t
    for i in np.argsort(points[:, 2], kind="stable"):
        p, (w, a, b, c) = points[i], scene["quaternions"][i] / np.linalg.norm(scene["quaternions"][i])
        X = np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]])
        half = R @ (np.eye(3) + 2 * w * X + 2 * X @ X) * scene["scales"][i]
        J = K[:2, :2] @ np.array([[1, 0, -p[0] / p[2]], [0, 1, -p[1] / p[2]]]) / p[2]
        Q = np.linalg.inv(J @ half @ half.T @ J.T + 0.3 * np.eye(2))
        d = np.stack([x, y], -1) - (K @ (p / p[2]))[:2]
        alpha = np.minimum(scene["opacities"][i] * np.exp(-0.5 * np.einsum("hwi,ij,hwj->hw", d, Q, d)), 0.999)
        alpha[alpha < 1 / 255] = 0
        image += (alpha * T)[..., None] * scene["colors"][i]
        T *= 1 - alpha
    images.append(image)
np.save(sys.argv[4], np.stack(images))
figures = {"forward_ms": 2e6, "p90_forward_ms": 2.5e6, "forward_backward_ms": 6e6, "p90_forward_backward_ms": 7e6}
json.dump({**figures, "peak_bytes": 1}, open(sys.argv[3], "w"))
'''


@pytest.fixture
def benchmark(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repository))
    monkeypatch.chdir(repository)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    return importlib.import_module("benchmarks.side_by_side")


def stand_in(folder: Path) -> Path:
    file = folder / "python_with_gsplat"
    file.write_text(STAND_IN.replace("PYTHON", sys.executable))
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def test_same_picture_and_ratios(benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    options = ["--cases=tiny", "--backends=reference", "--repeats=2", f"--out={out}"]
    benchmark.main([*options, f"--gsplat-python={stand_in(tmp_path)}"])
    report = json.loads(out.read_text())
    theirs, ours = report["results"]
    assert (theirs["library"], ours["library"]) == ("gsplat", "reference")
    # Brute force in float64 with gsplat's cap of alpha and without an early end.
    assert ours["psnr"] > 60
    assert ours["forward_speedup"] == pytest.approx(2e6 / ours["forward_ms"])
    assert ours["forward_backward_speedup"] == pytest.approx(6e6 / ours["forward_backward_ms"])
    assert theirs["forward_speedup"] == 1
    assert (ours["views"], ours["gaussians"]) == (2, 200)
    assert report["environment"]["gsplat"]["versions"] == {"gsplat": "stand-in"}
    assert "jax" in report["environment"]["reference"]["versions"]
    assert "| tiny" in capsys.readouterr().out


def test_another_picture_is_no_comparison(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of 0.02 in all pixels is 34 dB."""
    out = tmp_path / "out.json"
    image = np.full((2, 32, 48, 3), 0.5)
    worked = iter([({"forward_ms": 2.0, "forward_backward_ms": 6.0}, image), ({}, image + 0.02)])
    monkeypatch.setattr(benchmark, "work", lambda *_: next(worked))
    monkeypatch.setattr(benchmark, "ask", lambda _: {})
    with pytest.raises(SystemExit) as ended:
        benchmark.main(["--cases=tiny", "--backends=xla", "--repeats=1", f"--out={out}"])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "tiny: the picture of xla differs from that of gsplat: PSNR 34.0 dB, at least 40 dB expected" in said
    assert not out.exists()


def test_a_worker_that_fails_says_why(benchmark: ModuleType, tmp_path: Path) -> None:
    failing = [sys.executable, "-c", "raise SystemExit('out of memory')"]
    with pytest.raises(RuntimeError, match="failed:\nout of memory"):
        benchmark.work(failing, tmp_path / "scene.npz", 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cases=huge"], "unknown case 'huge'; known: random_1m"),
        (["--repeats=0"], "--repeats=0: give at least 1"),
        (["--gsplat-python=no_such_python"], "cannot run no_such_python: No such file or directory; name a Python"),
        (["--gsplat-python={stand_in}", "--backends=opengl"], "unknown rasterizer backend 'opengl'"),
        (["--gsplat-python={stand_in}"], "'pallas_triton' cannot run: it needs an NVIDIA GPU"),
    ],
)
def test_what_cannot_run_is_one_line(
    benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        benchmark.main([word.format(stand_in=stand_in(tmp_path)) for word in words])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_gsplats_worker_says_what_is_missing(benchmark: ModuleType) -> None:
    """It runs in a Python that may know nothing of JAX and of this project."""
    worker = Path(benchmark.__file__).with_name("gsplat_worker.py")
    assert not re.search(r"import.*(jax|mom3d)", worker.read_text(encoding="utf-8"))
    run = f"exec(open({str(worker)!r}).read())"
    code = f"import sys; sys.modules['gsplat'] = None; sys.argv = ['worker', '--probe']; {run}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install torch gsplat==1.5.3" in done.stderr
    assert done.stderr.count("\n") == 1


def test_scene_files_keep_the_scene(benchmark: ModuleType, tmp_path: Path) -> None:
    worker = importlib.import_module("benchmarks.jax_worker")
    scene = benchmark.make_scene("random", 20, 12, views=3)
    worker.save_scene(scene, tmp_path / "scene.npz")
    again = worker.load_scene(tmp_path / "scene.npz")
    assert (again.cameras.width, again.cameras.height) == (20, 12)
    for field in ("rotation", "translation", "focal", "centre"):
        np.testing.assert_array_equal(getattr(again.cameras, field), getattr(scene.cameras, field))
    np.testing.assert_array_equal(again.photo, scene.photo)
    assert all(np.array_equal(again.parameters[name], x) for name, x in scene.parameters.items())
