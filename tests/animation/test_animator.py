import itertools

import numpy as np
import pytest

from mom3d_jax.animation import animate

H, W = 24, 40
RNG = np.random.default_rng(0)
IMAGE = RNG.random((H, W, 3)).astype(np.float32)


def box(top=4, bottom=20, left=6, right=34):
    mask = np.zeros((H, W), np.float32)
    mask[top:bottom, left:right] = 1
    return mask


def constant(mask, u, v=0.0):
    return (np.array([u, v], np.float32) * (mask > 0)[..., None]).astype(np.float32)


@pytest.mark.parametrize("rule", ["fill", "loop"])
def test_still_pixels_and_frame_zero_are_the_photo_to_the_bit(make_views, rule):
    mask = box()
    result, _ = animate(make_views([IMAGE], [mask]), constant(mask, 0.7, 0.2)[None], [0], frames=8, rule=rule)
    video = result.images[0]
    assert video.shape == (8, H, W, 3)
    np.testing.assert_array_equal(video[0], IMAGE)
    np.testing.assert_array_equal(
        video[:, mask == 0], np.broadcast_to(IMAGE[mask == 0], (8, int((mask == 0).sum()), 3))
    )
    assert (np.abs(video[6] - IMAGE)[mask > 0] > 1e-3).mean() > 0.8


@pytest.mark.parametrize("rule", ["fill", "loop"])
def test_without_motion_nothing_changes(make_views, rule):
    mask = box()
    result, report = animate(make_views([IMAGE], [mask]), np.zeros((1, H, W, 2)), [0], frames=8, rule=rule)
    np.testing.assert_array_equal(result.images[0], np.broadcast_to(IMAGE, (8, H, W, 3)))
    assert np.sum(report["hole_share"]) == 0


def test_whole_pixel_steps_are_shifts_and_the_rear_copy_fills(make_views):
    mask = np.ones((H, W), np.float32)
    frames = 8
    result, report = animate(make_views([IMAGE], [mask]), constant(mask, 1.0)[None], [0], frames=frames)
    for n in range(1, frames):
        np.testing.assert_allclose(result.images[0, n][:, n:], IMAGE[:, :-n], atol=2e-4)
        # Open on the left: the copy that still has T - n frames to go. A column beside a seam may blend.
        back = frames - n
        np.testing.assert_allclose(result.images[0, n][:, : n - 1], IMAGE[:, back : back + n - 1], atol=2e-4)
    assert np.max(report["hole_share"]) == 0


@pytest.mark.parametrize("torn", [(1.1, 1.2), (50.0, 60.0)])
def test_torn_content_gives_way_to_the_copy_behind(make_views, torn):
    """u = a (x - W/2) stretches the forward copy by (1 + a)^n and squeezes the backward one by (1 - a)^(T - n)."""
    a, n, frames = 0.08, 5, 10
    mask = np.ones((H, W), np.float32)
    offset = np.arange(W) + 0.5 - W / 2
    ramp = np.broadcast_to((0.5 + offset / W)[None, :, None], (H, W, 3)).astype(np.float32)
    flow = np.zeros((1, H, W, 2), np.float32)
    flow[..., 0] = a * offset
    video = animate(make_views([ramp], [mask]), flow, [0], frames=frames, torn=torn)[0].images[0]
    middle = np.abs(offset) < 8
    came_from = offset / (1 - a) ** (frames - n) if torn[1] < (1 + a) ** n else offset / (1 + a) ** n
    expected = np.tile((0.5 + came_from / W)[middle], (H, 1))
    np.testing.assert_allclose(video[n][:, middle, 0], expected, atol=8e-3)  # a third of a px


def test_loop_arrives_at_the_still(make_views):
    mask = np.ones((H, W), np.float32)
    frames = 8
    views, flow = make_views([IMAGE], [mask]), constant(mask, 1.0)[None]
    loop = animate(views, flow, [0], frames=frames, rule="loop", crossfade=0.5)[0].images[0]
    fill = animate(views, flow, [0], frames=frames)[0].images[0]
    np.testing.assert_allclose(loop[: frames // 2 + 1], fill[: frames // 2 + 1], atol=1e-6)
    for n in range(frames // 2 + 1, frames):
        w = (frames - n) / (frames / 2)
        back = frames - n
        inner = slice(n, W - back)
        mixed = (
            IMAGE[:, inner.start + back : inner.stop + back] * (1 - w) + w * IMAGE[:, inner.start - n : inner.stop - n]
        )
        np.testing.assert_allclose(loop[n][:, inner], mixed, atol=5e-4)


def test_near_content_passes_in_front(make_views):
    """A near strip moves down over far content that moves up."""
    mask = np.ones((H, W), np.float32)
    near = np.zeros((H, W), bool)
    near[4:8] = True
    depth = np.where(near, 1.0, 4.0)
    image = np.where(near[..., None], 1.0, 0.0) * np.ones(3)
    flow = np.where(near[..., None], np.array([0, 1.0]), np.array([0, -1e-3])).astype(np.float32)
    # Held constant along the path of the strip, or the strip would stop at its own border.
    flow[4:16] = [0, 1.0]
    depth[8:16] = 4.0
    result, _ = animate(make_views([image], [mask], [depth]), flow[None], [0], frames=8)
    np.testing.assert_allclose(result.images[0, 5][9:13], 1, atol=1e-2)


def test_pixels_whose_content_is_unknown_are_not_valid(make_views):
    mask = np.ones((H, W), np.float32)
    valid = np.ones((H, W), np.float32)
    valid[:, 30:] = 0
    views = make_views([IMAGE], [mask], valid=[valid])
    frames = 8
    fill = animate(views, constant(mask, 1.0)[None], [0], frames=frames)[0].valid[0]
    expected = valid.copy()
    expected[:, :frames] = 0
    np.testing.assert_array_equal(fill, expected)
    loop, report = animate(views, constant(mask, 1.0)[None], [0], frames=frames, rule="loop", crossfade=0.5)
    expected[:, 26:] = 0
    np.testing.assert_array_equal(loop.valid[0], expected)
    assert report["valid_share"][0] == pytest.approx(expected[:, :30].mean())
    away = animate(views, constant(mask, -1.0)[None], [0], frames=frames)[0].valid[0]
    assert (away[:, 22:] == 0).all()
    assert (away[:, :22] == 1).all()


def test_several_views_with_different_masks(make_views):
    masks = np.stack([box(), box(2, 10, 2, 12), np.zeros((H, W)), box(right=40)])
    images = RNG.random((4, H, W, 3)).astype(np.float32)
    views = make_views(images, masks)
    flow = np.stack([constant(m, 0.5) for m in masks])[[3, 1, 2]]
    result, report = animate(views, flow, [3, 1, 2], frames=8)
    np.testing.assert_array_equal(result.views, [3, 1, 2])
    np.testing.assert_array_equal(result.images[:, 0], images[[3, 1, 2]])
    np.testing.assert_array_equal(result.masks, masks[[3, 1, 2]].astype(np.float32))
    np.testing.assert_array_equal(result.images[2], np.broadcast_to(images[2], (8, H, W, 3)))
    alone, _ = animate(views, flow[1:2], [1], frames=8)
    np.testing.assert_allclose(alone.images[0], result.images[1], atol=1e-6)
    assert np.shape(report["hole_share"]) == (3, 8)


def test_holes_are_filled_with_moving_content_and_counted(make_views):
    """A stream too short for its speed: halfway the one copy has left it and the other has not yet arrived."""
    mask = box(0, H, 15, 25)
    image = np.where(mask[..., None] > 0, 0.25, 1) * np.ones(3)
    result, report = animate(make_views([image], [mask]), constant(mask, 2.0)[None], [0], frames=8)
    assert report["hole_share"][0][0] == 0
    assert 0.2 < report["hole_share"][0][4] < 0.8
    np.testing.assert_allclose(result.images[0], np.broadcast_to(image, (8, H, W, 3)), atol=0.01)


def test_soft_masks_blend(make_views):
    mask = np.full((H, W), 0.5, np.float32)
    result, _ = animate(make_views([IMAGE], [mask]), constant(mask, 1.0)[None], [0], frames=8)
    np.testing.assert_allclose(result.images[0, 2][:, 2:], (IMAGE[:, 2:] + IMAGE[:, :-2]) / 2, atol=2e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": "bounce"}, "unknown animation rule 'bounce'"),
        ({"crossfade": 0.0}, "crossfade 0.0"),
        ({"torn": (2.0, 1.5)}, "two rising multiples"),
        ({"frames": 0}, "at least one frame"),
        ({"view_index": [0, 0]}, "flow of shape"),
        ({"view_index": [3]}, "to animate"),
        ({"flow": np.full((1, H, W, 2), np.nan)}, "not finite"),
    ],
)
def test_bad_input(make_views, change, message):
    arguments = {"flow": np.zeros((1, H, W, 2)), "view_index": [0], "frames": 8} | change
    with pytest.raises(ValueError, match=message):
        animate(make_views([IMAGE], [box()]), **arguments)


def test_no_views(make_views):
    result, report = animate(make_views([IMAGE], [box()]), np.zeros((0, H, W, 2)), [], frames=8)
    assert result.images.shape == (0, 8, H, W, 3)
    assert report == {"hole_share": [], "valid_share": []}


def test_real_water_moves_as_asked(make_views, real_data):
    """Optical flow read off the frames agrees with the flow that was asked for."""
    import cv2

    folder = real_data / "flows" / "IMG_6036"
    if not folder.is_dir():
        pytest.skip(f"no real flows in {folder}")
    size = 192
    resize = lambda a: cv2.resize(a.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    image = resize(cv2.imread(str(folder / "IMG_6036.png"))) / 255
    mask = (resize(cv2.imread(str(folder / "IMG_6036_mask.png"), 0)) > 127).astype(np.float32)
    flow = resize(np.load(folder / "IMG_6036_motion.npy")[0].transpose(1, 2, 0)) * (2 * size / 512) * mask[..., None]
    result, report = animate(make_views([image], [mask]), flow[None], [0], frames=20)
    grey = [cv2.cvtColor((f * 255).astype(np.uint8), cv2.COLOR_BGR2GRAY) for f in result.images[0]]
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    inner = cv2.erode(mask, np.ones((11, 11))) > 0
    error = [np.linalg.norm(dis.calc(a, b, None) - flow, axis=-1)[inner].mean() for a, b in itertools.pairwise(grey)]
    assert np.mean(error) < 0.5 * np.linalg.norm(flow, axis=-1)[inner].mean()
    assert max(report["hole_share"][0]) < 0.02
