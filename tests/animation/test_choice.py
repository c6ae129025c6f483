"""Which views are animated: as asked, or what stands in for a rejected one."""

import dataclasses

import numpy as np
import pytest

from mom3d_jax.animation import choose_views, parse_views
from mom3d_jax.cameras import generation_cameras, input_camera


@pytest.fixture
def views(make_views):
    camera = input_camera(64, 36)
    cameras = generation_cameras(camera, np.full((36, 64), 3.0, np.float32))
    many = make_views(np.zeros((25, 36, 64, 3)), np.zeros((25, 36, 64)))
    return dataclasses.replace(many, cameras=cameras)


def reject(views, *rejected):
    accepted = np.ones(len(views.accepted), bool)
    accepted[list(rejected)] = False
    return dataclasses.replace(views, accepted=accepted)


def test_as_asked(views):
    assert choose_views(views, "12, 2,7") == ([12, 2, 7], {})
    assert choose_views(views, "2,2") == ([2], {})


def test_all_are_all_accepted_ones(views):
    assert choose_views(reject(views, 0, 24), "all") == (list(range(1, 24)), {})
    assert parse_views(" all", 30) is None


def test_a_rejected_view_gives_way_to_the_one_that_looks_most_alike(views):
    chosen, replaced = choose_views(reject(views, 7), "2,7,12")
    # The angle between optical axes, from the poses themselves.
    axes = np.linalg.inv(np.asarray(views.cameras.rotation, np.float64))[:, :, 2]
    angles = np.degrees(np.arccos(np.clip(axes @ axes[7], -1, 1)))
    angles[7] = np.inf
    assert chosen == [2, replaced["7"], 12]
    assert angles[replaced["7"]] == pytest.approx(angles.min(), abs=1e-3)
    assert replaced["7"] in (5, 6, 8, 9)  # of the same outer pose


def test_a_view_is_animated_once(views):
    others = [v for v in range(25) if v not in (2, 12)]
    assert choose_views(reject(views, *others), "2,7,12,17") == ([2, 12], {"7": 2, "17": 2})


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("", "animation.views='' is neither 'all' nor a list of views such as '2,7,12'"),
        ("2,,7", "neither 'all' nor"),
        ("2.5", "neither 'all' nor"),
        ("-1", "neither 'all' nor"),
        ("(2, 7)", "neither 'all' nor"),
        ("2,25", "animation.views='2,25' names view 25; there are views 0 to 24"),
    ],
)
def test_what_makes_no_sense(asked, message):
    with pytest.raises(ValueError, match=r"^animation\.views=") as caught:
        parse_views(asked, 25)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert parse_views("2,29", 30) == (2, 29)


def test_no_view_at_all(views):
    with pytest.raises(ValueError, match=r"lower views\.min_coverage"):
        choose_views(reject(views, *range(25)), "2")
