"""Data sets on disk: the layout, what is exact in it, and going on where a run stopped."""

import json

import cv2
import numpy as np
import pytest

from mom3d_jax import __main__ as main
from mom3d_jax.cameras import generation_cameras, path_cameras, pixel_grid, select
from mom3d_jax.inputs import find_files, load_scene
from mom3d_jax.progress import Progress
from mom3d_jax.synthetic import command, dataset, landscape, render
from mom3d_jax.synthetic.correspondence import correspondence
from mom3d_jax.synthetic.film import Shot
from mom3d_jax.synthetic.given import Corruptions, wrong_depth, wrong_flows
from mom3d_jax.synthetic.paths import cameras_of, in_world
from mom3d_jax.synthetic.truth import Track, write_motion

W, H, K = 96, 54, 4
WORDS = ("--size", f"{W}x{H}", "--frames", str(K), "--workers", "1")


def run(out, *words):
    command.run(["--out", str(out), *WORDS, *words], Progress)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp("synth")
    run(out, "--scenes", "1", "--families", "river_to_viewer", "--paths", "circle,zoom-in",
        "--corrupt", "depth=0.05,scale=1.1,flow=1,mask=6,hints=2")  # fmt: skip
    return out


@pytest.fixture(scope="module")
def folder(data):
    return data / "river_to_viewer_0"


@pytest.fixture(scope="module")
def scene():
    return landscape(0, W, H, "river_to_viewer", period=30)


def picture(path):
    return cv2.imread(str(path))[..., ::-1]


def test_the_layout(data, folder):
    truth = [f"{kind}/{path}/{name}" for kind in ("advected", "periodic") for path in ("input", "circle", "zoom-in")
             for name in ("motion.npz", *(f"{k:06d}.png" for k in range(K)))]  # fmt: skip
    truth += ["depth.npy", "flow.npy", "motion.npy", "mask.png", "sky.png", "cameras.json", "scene.json"]
    views = [f"given/flow/view_{v:02d}.npy" for v in range(25)]
    expected = {"image.png", "image.json", "given/image.png", "given/image.json", "given/depth.npy", *views}
    expected |= {f"truth/{name}" for name in truth}
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} == expected
    assert {p.name for p in data.iterdir()} == {"manifest.json", folder.name}
    manifest = json.loads((data / "manifest.json").read_text())
    assert manifest["format"] == 1
    assert manifest["scenes"] == [folder.name]
    assert manifest["command"]["corruption"] == {"depth": 0.05, "scale": 1.1, "flow": 1.0, "mask": 6.0, "hints": 2}


def test_what_is_said_of_a_scene(folder, scene):
    said = json.loads((folder / "truth" / "scene.json").read_text())
    expected = {
        "format": 1, "name": "river_to_viewer_0", "family": "river_to_viewer", "seed": 0, "width": W, "height": H,
        "focal": 96.0, "frames": K, "loop_period": 30, "fps": 30, "paths": ["circle", "zoom-in"],
        "truths": ["advected", "periodic"], "shared_start": True,
    }  # fmt: skip
    assert expected.items() <= said.items()
    assert said["median_depth"] == pytest.approx(np.median(scene.depth))
    assert said["depth_scale"] == pytest.approx(np.percentile(scene.depth, 1))
    cameras = json.loads((folder / "truth" / "cameras.json").read_text())
    for name in ("circle", "zoom-in"):
        unit = path_cameras(scene.camera, name, K)
        np.testing.assert_allclose(
            cameras[name]["translation"], said["depth_scale"] * np.asarray(unit.translation), rtol=1e-5
        )
        np.testing.assert_array_equal(cameras[name]["rotation"], np.asarray(unit.rotation))
        assert cameras[name]["focal"] == [96, 96]
        assert cameras[name]["centre"] == [W / 2, H / 2]


def test_frames_and_photo_belong_together(folder):
    truth = folder / "truth"
    photo = picture(folder / "image.png")
    for kind in ("advected", "periodic"):
        np.testing.assert_array_equal(picture(truth / kind / "input" / "000000.png"), photo)
        # A path that moves in begins at the input camera.
        np.testing.assert_array_equal(picture(truth / kind / "zoom-in" / "000000.png"), photo)
        assert np.abs(picture(truth / kind / "input" / "000002.png") - 1.0 * photo).mean() > 0.1


@pytest.mark.parametrize("name", ["input", "circle", "zoom-in"])
def test_motion_files_are_exact(folder, scene, name):
    """Against a march of every ray, from camera k to camera k + 1 one frame later."""
    with np.load(folder / "truth" / "periodic" / name / "motion.npz") as file:
        moving, flow, hidden = (file[key] for key in ("moving", "flow", "hidden"))
    assert (moving.shape, flow.shape, hidden.shape) == ((K, H, W), (K - 1, H, W, 2), (K - 1, H, W))
    assert (moving.dtype, flow.dtype, hidden.dtype) == (np.uint8, np.float16, np.uint8)
    cameras = cameras_of(scene, name, K)
    for k in range(K):
        mask = render(scene, select(cameras, k), float(k), supersample=1).mask
        assert (moving[k] == mask).mean() > 0.999
    for k in range(K - 1):
        exact = correspondence(scene.world, select(cameras, k), select(cameras, k + 1), 1.0)
        close = np.abs(flow[k].astype(np.float32) - exact.flow).max(-1) < 0.01
        assert close.mean() > 0.998
        assert (hidden[k] == exact.occluded).mean() > 0.999
    ground = moving[0] == 0
    assert (np.abs(flow[0][ground]).max() > 0.5) == (name != "input")


def test_flow_of_a_path_leads_from_frame_to_frame(folder):
    """Where a pixel's flow leads, the next frame of the path shows the same."""
    truth = folder / "truth" / "advected" / "circle"
    with np.load(truth / "motion.npz") as file:
        flow, seen = file["flow"][1].astype(np.float32), file["hidden"][1] == 0
    now, after = (picture(truth / f"{k:06d}.png").astype(np.float32) for k in (1, 2))
    where = pixel_grid(W, H) - np.float32(0.5) + flow
    followed = cv2.remap(after, where, None, cv2.INTER_LINEAR)
    moved, still = (np.abs(image - now)[seen].mean() for image in (followed, after))
    assert moved < 0.4 * still


def test_flow_keeps_single_precision_where_half_is_not_enough(tmp_path, scene):
    track, shot = Track(), Shot(scene.world, scene.camera)
    track.add(shot)
    track.add(shot)
    (match,) = track.matches
    for scale, kind in ((1.0, np.float16), (300.0, np.float32)):
        track.matches = [match._replace(flow=scale * match.flow)]
        write_motion(tmp_path / "motion.npz", track)
        with np.load(tmp_path / "motion.npz") as file:
            assert file["flow"].dtype == kind
            assert np.abs(file["flow"] - scale * match.flow).max() < 0.01
    broken = match.flow.copy()
    broken[3, 4] = np.nan
    track.matches = [match._replace(flow=broken)]
    with pytest.raises(FloatingPointError, match=r"motion\.npz: a flow that is not finite"):
        write_motion(tmp_path / "motion.npz", track)


def test_given_is_an_input_of_the_pipeline(folder, scene):
    files = find_files(folder / "given")
    assert files.depth is not None
    assert list(files.view_flows) == list(range(25))
    sloppy, neat = load_scene(folder / "given", W), load_scene(folder, W)
    assert len(sloppy.hints.start) == 2
    assert len(neat.hints.start) > 2
    assert sloppy.depth is not None
    ratio = np.asarray(sloppy.depth) / scene.depth
    assert np.median(ratio) == pytest.approx(1.1, rel=0.05)
    assert 0.02 < np.std(np.log(ratio)) < 0.08
    overlap = [np.mean((np.asarray(s.mask) > 0.5) == (scene.mask > 0)) for s in (sloppy, neat)]
    assert overlap[0] < overlap[1]


def test_flows_of_views_are_exact_at_level_0(scene):
    """Of a camera that is turned: seen through the corruption's own inverse of nothing."""
    near = np.percentile(scene.depth.astype(np.float64), 1)
    flows = wrong_flows(scene, scene.depth, Corruptions(), 0)
    cameras = in_world(generation_cameras(scene.camera, scene.depth / near), near)
    camera = select(cameras, 8)
    exact = correspondence(scene.world, camera, camera, 1.0).flow
    # Blocks of outliers are there at any level.
    known = np.abs(flows[8] - exact).max(-1) < 1e-3
    assert known.mean() > 0.8
    wrong = wrong_flows(scene, scene.depth, Corruptions(flow=1.0), 0)[8]
    moving = (exact != 0).any(-1)
    assert np.abs(wrong - exact)[moving].mean() > 0.02
    assert not wrong[~moving].any()


def test_depth_noise_is_relative_smooth_and_of_the_size_asked_for():
    depth = np.geomspace(1, 30, 90 * 160).reshape(90, 160).astype(np.float32)
    fields = np.log([wrong_depth(depth, Corruptions(depth=0.05), seed) / depth for seed in range(40)])
    assert fields.std() == pytest.approx(0.05, rel=0.2)
    assert np.abs(np.diff(fields, axis=-1)).max() < 0.06
    np.testing.assert_allclose(wrong_depth(depth, Corruptions(scale=1.3), 0), 1.3 * depth, rtol=1e-6)


def test_a_second_run_goes_on(data, folder, monkeypatch, capsys):
    words = ("--families", "river_to_viewer", "--paths", "circle,zoom-in", "--corrupt",
             "depth=0.05,scale=1.1,flow=1,mask=6,hints=2")  # fmt: skip
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    run(data, "--scenes", "1", *words)
    assert capsys.readouterr().out.split() == [str(folder)]
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    # Killed in the middle of the second scene: no manifest names it, and the next run makes it.
    calls = []

    def stops(*_args):
        calls.append(1)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dataset, "write_truth", stops)
        with pytest.raises(KeyboardInterrupt):
            run(data, "--scenes", "2", *words)
    assert calls
    assert json.loads((data / "manifest.json").read_text())["scenes"] == [folder.name]
    assert not (data / "river_to_viewer_1" / "truth" / "scene.json").exists()
    run(data, "--scenes", "2", *words)
    assert json.loads((data / "manifest.json").read_text())["scenes"] == [folder.name, "river_to_viewer_1"]
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("*")}


def test_processes_make_the_same_files(data, folder, tmp_path):
    words = ["--out", str(tmp_path), "--size", f"{W}x{H}", "--frames", str(K), "--families", "river_to_viewer,open_sea",
             "--scenes", "2", "--paths", "circle,zoom-in", "--workers", "2"]  # fmt: skip
    command.run(words, Progress)
    for file in sorted((folder / "truth").rglob("*.png")):
        assert (tmp_path / folder.name / "truth" / file.relative_to(folder / "truth")).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--families", "moon"], "--families moon: unknown; known: "),
        (["--families", "fjord,fjord"], "--families fjord,fjord: name every one once"),
        (["--paths", "spiral"], "--paths spiral: unknown; known: up-down"),
        (["--size", "wide"], "--size wide is not WIDTHxHEIGHT"),
        (["--size", "64x20"], "--size 64x20 is too small: at least 32 px per side"),
        (["--scenes", "0"], "--scenes 0: a whole number from 1 up"),
        (["--scenes", "x"], "argument --scenes: invalid int value: 'x'"),
        (["--frames", "1"], "--frames 1: a whole number from 2 up"),
        (["--workers", "0"], "--workers 0: a whole number from 1 up"),
        (["--arrows", "0"], "--arrows 0: a whole number from 1 up"),
        (["--seed", "-1"], "--seed -1: a whole number from 0 up"),
        (["--loop", "maybe"], "invalid choice: 'maybe'"),
        (["--corrupt", "fog=1"], "--corrupt fog=1: unknown; known: depth="),
        (["--corrupt", "depth=much"], "--corrupt depth=much: 'much' is not a number"),
        (["--corrupt", "scale=0"], "--corrupt scale=0.0 is not a positive factor"),
        (["--corrupt", "depth=nan"], "--corrupt depth=nan is not a share"),
        (["--colour", "red"], "unrecognized arguments: --colour red"),
    ],
)
def test_bad_requests_are_one_line_and_exit_code_2(tmp_path, capsys, words, said):
    with pytest.raises(SystemExit) as ended:
        main.main(["synth", "--out", str(tmp_path / "out"), *words])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_of_other_settings_is_left_alone(data, folder):
    with pytest.raises(ValueError, match=r"scene\.json: made with width 96, now 64; choose another --out"):
        command.run(["--out", str(data), "--size", "64x36", "--families", "river_to_viewer"], Progress)
    other = data / "fjord_7" / "truth"
    other.mkdir(parents=True)
    (other / "scene.json").write_text("{")
    with pytest.raises(ValueError, match=r"fjord_7/truth/scene.json: no scene of `synth`"):
        command.run(["--out", str(data), "--families", "fjord", "--seed", "7"], Progress)
