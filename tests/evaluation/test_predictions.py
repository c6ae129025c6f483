"""Frames of other methods, scored by the protocol of ours."""

import shutil

import cv2
import numpy as np
import pytest

from mom3d_jax.evaluation import tables
from mom3d_jax.evaluation.columns import COLUMNS
from mom3d_jax.evaluation.command import evaluate
from mom3d_jax.evaluation.scores import value_of
from mom3d_jax.export import write_video

LAKES = ("alpine_lake_0", "alpine_lake_4")
PATHS = ("input", "up-down", "side", "zoom-in", "circle")


@pytest.fixture
def predicted(dataset, tmp_path):
    """A method that gives back the truth."""
    folder = tmp_path / "theirs"
    for lake in LAKES:
        for path in PATHS:
            source = dataset / lake / "truth" / "advected" / path
            shutil.copytree(source, folder / lake / path, ignore=shutil.ignore_patterns("*.npz"))
    return folder


def score(settings, folder, workdir, method="Theirs", **changes):
    return evaluate(settings(**changes), workdir, str(folder), method)


def test_the_truth_scores_perfectly_under_its_name(settings, predicted, tmp_path):
    title, cells, stale = score(settings, predicted, tmp_path / "out")
    assert {(cell.variant, cell.scene) for cell in cells} == {("Theirs", lake) for lake in LAKES}
    for cell in cells:
        values = {c.name: c.value(cell.result["records"]) for c in COLUMNS}
        assert values["psnr"] == values["m_psnr"] == values["psnr_pooled"] == np.inf
        assert values["ssim"] == pytest.approx(1, abs=1e-6)
        assert values["warping_error"] == values["warping_error_of_truth"] > 0
    tables.write_tables(tmp_path / "out", cells, stale, title)
    row = next(t for t in (tmp_path / "out" / "table.csv").read_text().splitlines() if t.startswith("Theirs,(mean)"))
    assert row.startswith("Theirs,(mean),2 of 2,advected,inf,1,")
    assert "| Theirs | advected | 2 | ∞ |" in (tmp_path / "out" / "table.md").read_text()


def test_one_wrong_pixel_counts_and_is_scored_anew(settings, predicted, tmp_path):
    score(settings, predicted, tmp_path / "out", scenes=LAKES[0])
    file = predicted / LAKES[0] / "side" / "000002.png"
    picture = cv2.imread(str(file))
    picture[3, 4] = 255 - picture[3, 4]
    cv2.imwrite(str(file), picture)
    _, cells, _ = score(settings, predicted, tmp_path / "out", scenes=LAKES[0])
    (record,) = [
        r for r in cells[0].result["records"]
        if (r["metric"], r.get("path"), r.get("variant")) == ("psnr", "side", "valid")
    ]  # fmt: skip
    assert record["equal_frames"] == 3
    assert value_of(record) == np.inf


def test_videos_and_frames_without_the_standing_camera(settings, predicted, tmp_path):
    for lake in LAKES:
        shutil.rmtree(predicted / lake / "input")
        folder = predicted / lake / "circle"
        frames = [cv2.imread(str(f))[..., ::-1] for f in sorted(folder.iterdir())]
        shutil.rmtree(folder)
        write_video(predicted / lake / "circle.mp4", frames)
    _, cells, _ = score(settings, predicted, tmp_path / "out")
    records = cells[0].result["records"]
    circle = [r for r in records if r["metric"] == "psnr" and r.get("path") == "circle" and r["variant"] == "valid"]
    assert 25 < value_of(circle[0]) < 60
    assert cells[0].result["notes"] == ["compressed video: its losses count", "no frames of the standing camera"]
    assert not [r for r in records if r.get("path") == "input"]


def test_frames_of_the_truths_size_are_averaged_down_like_it(settings, predicted, tmp_path):
    config = settings()
    config.override.size.width = 32
    # 32 px is the least that the pipeline takes; the scene is 36 px high.
    with pytest.raises(ValueError, match="at least 32 px"):
        evaluate(config, tmp_path / "out", str(predicted), "Theirs")
    config.override.size.width = 58
    _, cells, _ = evaluate(config, tmp_path / "out", str(predicted), "Theirs")
    assert cells[0].result["size"] == [58, 32]
    assert COLUMNS[0].value(cells[0].result["records"]) == np.inf


def spoil_count(folder):
    (folder / LAKES[0] / "side" / "000003.png").unlink()


def spoil_size(folder):
    cv2.imwrite(str(folder / LAKES[0] / "side" / "000001.png"), np.zeros((9, 16, 3), np.uint8))


def spoil_missing(folder):
    shutil.rmtree(folder / LAKES[1] / "zoom-in")


def spoil_both(folder):
    (folder / LAKES[1] / "zoom-in.mp4").write_bytes(b"")


def spoil_video(folder):
    shutil.rmtree(folder / LAKES[1] / "zoom-in")
    (folder / LAKES[1] / "zoom-in.mp4").write_bytes(b"not a video")


def spoil_short_video(folder):
    shutil.rmtree(folder / LAKES[1] / "zoom-in")
    write_video(folder / LAKES[1] / "zoom-in.mp4", [np.zeros((36, 64, 3), np.uint8)] * 3)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_count, "alpine_lake_0/side: 3 frames, 4 wanted, 000003.png is missing"),
        (spoil_size, "alpine_lake_0/side, frame 1: 16x9 px, 64x36 wanted"),
        (spoil_missing, "alpine_lake_4/zoom-in: no frames 000000.png …, and no zoom-in.mp4 either"),
        (spoil_both, "both zoom-in/ and zoom-in.mp4 are there"),
        (spoil_video, "zoom-in.mp4: not a video that can be read"),
        (spoil_short_video, "zoom-in.mp4: 3 frames, 4 wanted"),
        (shutil.rmtree, "no such folder"),
    ],
)
def test_clips_that_cannot_be_scored_are_named_before_anything_is(settings, predicted, tmp_path, spoil, said):
    spoil(predicted)
    with pytest.raises(ValueError) as error:
        score(settings, predicted, tmp_path / "out")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("out/runs/*/*/result.json"))


def test_several_wrong_clips_have_a_line_each(settings, predicted, tmp_path, caplog):
    spoil_count(predicted)
    spoil_missing(predicted)
    with pytest.raises(ValueError, match="2 clips cannot be scored"):
        score(settings, predicted, tmp_path / "out")
    assert [r.getMessage().split(":")[0].split("theirs/")[1] for r in caplog.records if r.levelname == "ERROR"] == [
        "alpine_lake_0/side", "alpine_lake_4/zoom-in"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "changes", "said"),
    [
        (None, {}, "--method=NAME"),
        ("a/b", {}, "letters, digits"),
        ("full", {}, "a variant of ours has this name"),
        ("Theirs", {"study": "init"}, "do not go together"),
    ],
)
def test_names_of_methods(settings, predicted, tmp_path, method, changes, said):
    with pytest.raises(ValueError, match=said):
        score(settings, predicted, tmp_path / "out", method, **changes)
