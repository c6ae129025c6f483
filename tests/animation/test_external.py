"""Videos of another animator in their views."""

import dataclasses

import jax
import numpy as np
import pytest

from mom3d_jax.animation import animate, from_videos, join

V, H, W, T = 3, 20, 32, 4
RNG = np.random.default_rng(0)


@pytest.fixture
def views(make_views):
    images = RNG.random((V, H, W, 3)).astype(np.float32)
    masks = np.zeros((V, H, W))
    masks[:, 5:15, 8:24] = 1
    masks[:, 5, 8:24] = 0.25
    valid = np.ones((V, H, W))
    valid[1, :, :12] = 0
    return make_views(images, masks, valid=valid)


def videos(count):
    return RNG.random((count, T, H, W, 3)).astype(np.float32)


def test_only_the_mask_is_taken_over(views):
    theirs, flow = videos(2), RNG.normal(size=(2, H, W, 2)).astype(np.float32)
    result, report = from_videos(views, flow, [2, 1], iter(theirs), frames=T)
    np.testing.assert_array_equal(result.views, [2, 1])
    for place, view in enumerate((2, 1)):
        still, mask = np.float64(views.images[view]), np.float64(views.masks[view])[..., None]
        np.testing.assert_allclose(result.images[place], (1 - mask) * still + mask * theirs[place], atol=1e-6)
        outside = views.masks[view] == 0
        assert (result.images[place][:, outside] == views.images[view][outside]).all()
        np.testing.assert_array_equal(result.valid[place], views.valid[view])
        inside = views.masks[view] > 0
        expected = np.abs(result.images[place][0] - views.images[view])[inside].mean()
        assert report["still_l1"][place] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(result.flow, flow)
    weight = views.masks[1]
    assert report["valid_share"] == pytest.approx([1, weight[:, 12:].sum() / weight.sum()])


def test_videos_are_asked_for_one_by_one(views):
    given = []

    def one_by_one():
        for number, video in enumerate(videos(3)):
            given.append(number)
            yield video

    from_videos(views, np.zeros((3, H, W, 2)), range(3), one_by_one(), frames=T)
    assert given == [0, 1, 2]


@pytest.mark.parametrize(
    ("video", "message"),
    [
        (np.zeros((T + 1, H, W, 3)), r"video of view 1 is \(5, 20, 32, 3\), the clip needs \(4, 20, 32, 3\)"),
        (np.full((T, H, W, 3), np.nan), "video of view 1 holds values that are not finite"),
    ],
)
def test_bad_videos(views, video, message):
    with pytest.raises(ValueError, match=message):
        from_videos(views, np.zeros((1, H, W, 2)), [1], [video], frames=T)


def test_joined_in_the_order_asked_for(views):
    flow = np.zeros((V, H, W, 2), np.float32)
    flow[..., 0] = np.asarray(views.masks) * 0.5
    ours, _ = animate(views, flow[[0, 2]], [0, 2], frames=T)
    theirs, _ = from_videos(views, flow[[1]], [1], videos(1), frames=T)
    both = join(ours, theirs, [2, 1, 0])
    np.testing.assert_array_equal(both.views, [2, 1, 0])
    for place, (source, row) in enumerate(((ours, 1), (theirs, 0), (ours, 0))):
        for name in ("images", "valid", "masks", "flow"):
            np.testing.assert_array_equal(getattr(both, name)[place], getattr(source, name)[row])


def test_none_of_ours(views):
    nothing, _ = animate(views, np.zeros((0, H, W, 2)), [], frames=T)
    theirs, _ = from_videos(views, np.zeros((1, H, W, 2)), [1], videos(1), frames=T)
    jax.tree.map(np.testing.assert_array_equal, join(nothing, theirs, [1]), theirs)
    assert dataclasses.asdict(theirs).keys() == dataclasses.asdict(nothing).keys()
