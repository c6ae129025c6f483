import math

import numpy as np
import pytest

from mom3d_jax.export import Curve, Panel, draw_panels
from mom3d_jax.export.curves import COLOURS, HEIGHT, LEGEND, SCALE, WIDTH, limits, short, ticks


def rows_of(picture, colour):
    """Rows of a picture where a colour is, per panel column."""
    return np.argwhere((picture == np.array(colour, np.uint8)).all(-1))


def test_a_falling_curve_falls():
    curve = Curve("a", [1, 10, 100], [1, 0.1, 0.01])
    picture = draw_panels([Panel("t", "x", "y", [curve])])
    assert picture.shape == (HEIGHT * SCALE, (WIDTH + LEGEND) * SCALE, 3)
    drawn = rows_of(picture[:, : WIDTH * SCALE], COLOURS[0])
    left, right = drawn[drawn[:, 1].argmin()], drawn[drawn[:, 1].argmax()]
    assert right[0] - left[0] > HEIGHT * SCALE / 2
    # log-log: this curve is a straight line.
    middle = drawn[np.abs(drawn[:, 1] - (left[1] + right[1]) / 2).argmin()]
    assert abs(middle[0] - (left[0] + right[0]) / 2) < 6 * SCALE


def test_names_share_their_colour_over_panels_and_what_cannot_be_drawn_lies_on_the_floor():
    panels = [
        Panel("t", "x", "y", [Curve("a", [1, 2], [1, 2]), Curve("b", [1, 2], [2, 1])]),
        Panel("t", "x", "y", [Curve("b", [1, 2, 3], [1.0, 0.0, math.nan])]),
    ]
    picture = draw_panels(panels)
    second = picture[:, WIDTH * SCALE : 2 * WIDTH * SCALE]
    assert not len(rows_of(second, COLOURS[0]))
    assert len(rows_of(second, COLOURS[1]))


@pytest.mark.parametrize("panels", [[], [Panel("t", "x", "y", [Curve("a", [0, 1], [1, 1])])],
                                    [Panel("t", "x", "y", [Curve("a", [1], [1, 1])])]])  # fmt: skip
def test_what_makes_no_plot_is_refused(panels):
    with pytest.raises(ValueError, match=r"panel|curve 'a'"):
        draw_panels(panels)


def test_an_empty_panel_and_many_names_fit():
    assert draw_panels([Panel("t", "x", "y", [])]).shape[0] == HEIGHT * SCALE
    many = [Curve(f"solver {k}", [1], [1]) for k in range(40)]
    assert draw_panels([Panel("t", "x", "y", many)]).shape[0] > HEIGHT * SCALE


def test_axes():
    assert limits([0.3, 40]) == pytest.approx((math.log10(0.2), math.log10(50)))
    assert limits([1]) == pytest.approx((0, math.log10(2)))
    assert limits([1e-30, 1])[0] == pytest.approx(-6)
    assert ticks(-1, 0) == pytest.approx([0.1, 0.2, 0.5, 1])
    assert ticks(-6, 0) == pytest.approx([10.0**e for e in range(-6, 1)])
    assert [short(v) for v in (0.5, 200, 1e4, 2e6)] == ["0.5", "200", "10k", "2M"]
