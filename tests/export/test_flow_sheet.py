import cv2
import numpy as np
import pytest

from mom3d_jax.export import Cell, ViewFlows, colour_key, flow_sheet
from mom3d_jax.export.contact_sheet import CAPTION, GAP, LABEL
from mom3d_jax.export.flow_sheet import CELL


def uniform(u: float, v: float, height: int = 36, width: int = 64) -> np.ndarray:
    return np.broadcast_to(np.float32([u, v]), (height, width, 2))


def hue_at(picture: np.ndarray, row: int, column: int) -> float:
    return float(cv2.cvtColor(picture[row : row + 1, column : column + 1], cv2.COLOR_RGB2HSV)[0, 0, 0])


def test_key_has_the_colours_of_directions():
    key = colour_key(90, 120, 2.0)
    assert key.shape == (90, 120, 3)
    # right of the middle: rightwards, red; below it: downwards, yellow-green; in the corner: paper.
    assert hue_at(key, 45, 95) == pytest.approx(0, abs=3)
    assert hue_at(key, 80, 60) == pytest.approx(90, abs=3)
    assert key[0, 0] == pytest.approx(0.11)
    assert key[45, 60].max() < key[45, 75].max() < key[45, 95].max()


def test_sheet_shows_flow_motion_and_difference_in_one_scale(tmp_path):
    known = np.ones((36, 64), np.float32)
    estimated = np.array(uniform(1, 0))
    estimated[:, 32:] = np.nan
    views = [
        ViewFlows("view 0", estimated, uniform(0, 1), known, "median 1.4 px"),
        *(ViewFlows(f"view {v}", uniform(1, 0), uniform(1, 0), known) for v in (1, 2)),
    ]
    size = flow_sheet(tmp_path / "a.png", views, 1.5, title="t", first=Cell(np.zeros((36, 64, 3), np.float32)))
    picture = cv2.imread(str(tmp_path / "a.png"))[..., ::-1].astype(np.float32) / 255
    assert size == picture.shape[1::-1]
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    cell = round(CELL * 36 / 64)
    top = 2 * LABEL + cell + CAPTION + GAP + cell // 2
    assert len(picture) == 2 * LABEL + 3 * (cell + CAPTION + GAP)
    place = lambda k, share: int(GAP + k * (CELL + GAP) + share * CELL)
    assert hue_at(picture, top, place(0, 0.25)) == pytest.approx(0, abs=3)
    assert hue_at(picture, top, place(1, 0.25)) == pytest.approx(90, abs=3)
    # (0, 1) - (1, 0) points down and left, and is as bright as its length asks for, up to the rim.
    assert hue_at(picture, top, place(2, 0.25)) == pytest.approx(135, abs=3)
    assert picture[top, place(2, 0.25)].max() == pytest.approx(np.sqrt(2**0.5 / 1.5), abs=0.03)
    # Where the flow is unknown: grey, in the flow and in the difference.
    for k in (0, 2):
        unknown = picture[top, place(k, 0.75)]
        assert np.ptp(unknown) < 0.01
        assert 0.3 < unknown.mean() < 0.45
    # Equal flows: nothing in the difference.
    assert picture[top, place(5, 0.5)].max() < 0.01


def test_no_sheet_without_views_or_scale(tmp_path):
    with pytest.raises(ValueError, match="at least one view"):
        flow_sheet(tmp_path / "a.png", [], 1.0, title="t")
    with pytest.raises(ValueError, match=r"longest=0.0"):
        flow_sheet(tmp_path / "a.png", [], 0.0, title="t")
    assert not list(tmp_path.iterdir())
