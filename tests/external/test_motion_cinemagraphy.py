"""The motion network of 3D-Cinemagraphy: a look-alike of its repository shows what it is given and gives."""

import subprocess

import cv2
import numpy as np
import pytest
from scipy import ndimage

from mom3d_jax.config import default_config
from mom3d_jax.external import ExternalError, Item, ask, make_model

pytestmark = pytest.mark.external

SIZE = 256
ARCHITECTURES = """
import pathlib
import numpy as np, torch, torch.nn as nn

class SPADEUnet4MaskMotion(nn.Module):
    def __init__(self, num_filters=32, channels_in=3, channels_out=2, use_3D=False, config=None, up_mode="bilinear"):
        super().__init__()
        assert "spectral" in config["norm_G"] and config["motion_norm_G"].split(":")[1] == "spectral_instance"
        self.conv1 = nn.utils.spectral_norm(nn.Conv2d(channels_in, channels_out, 1))

    def forward(self, input):
        shown = pathlib.Path("shown")
        shown.mkdir(exist_ok=True)
        np.save(shown / ("%d.npy" % len(list(shown.iterdir()))), input.numpy())
        return self.conv1(input)
"""
CHECKPOINTS = """
import argparse, pathlib, sys
import numpy as np, torch
folder = pathlib.Path(sys.argv[1])
given = {k: torch.from_numpy(v) for k, v in np.load(folder / "state.npz").items()}
net = {"motion_predictor.conv1." + k: v for k, v in given.items()}
torch.save({"netG": {**net, "loss_function.scale": torch.ones(1)}, "epoch": 3}, folder / "sceneflow_model.pth")
torch.save({"netG": net, "opts": argparse.Namespace(name="x")}, folder / "with_options.pth")
torch.save({"state_dict": net}, folder / "of_another_entry.pth")
torch.save({"netG": given}, folder / "of_another_network.pth")
"""
# Flow of the look-alike: half the hint, plus some red, and green the other way. Its spectral norm is told to be 0.5 by
# vectors which are not those that training would find.
WEIGHT = np.zeros((2, 6), np.float32)
WEIGHT[0, [4, 0]] = 0.5, 2.0
WEIGHT[1, [5, 1]] = 0.5, -1.0
BIAS = np.array([0.25, -0.75], np.float32)
STATE = {
    "weight_orig": WEIGHT[:, :, None, None] * 0.5,
    "weight_u": np.array([1.0, 0.0], np.float32),
    "weight_v": np.eye(6, dtype=np.float32)[0] * 0.5,
    "bias": BIAS,
}


@pytest.fixture(scope="module")
def repo(torch_python, tmp_path_factory):
    """A folder that looks like a clone with its checkpoints."""
    repo = tmp_path_factory.mktemp("3d-cinemagraphy")
    code = repo / "lib" / "model" / "motion"
    code.mkdir(parents=True)
    (code / "architectures.py").write_text(ARCHITECTURES)
    (repo / "ckpts").mkdir()
    np.savez(repo / "ckpts" / "state.npz", **STATE)
    subprocess.run([torch_python, "-I", "-c", CHECKPOINTS, str(repo / "ckpts")], check=True)
    return repo


@pytest.fixture
def asked(torch_python, repo, tmp_path):
    """What the model says about items."""

    def ask_them(items, options=(), **settings):
        c = default_config().external.cinemagraphy.to_dict()
        c |= {"python": torch_python, "device": "cpu", "timeout": 300.0, "repo": str(repo)}
        c |= {"environment": {"OMP_NUM_THREADS": "1"}} | settings
        c["options"] = c["options"] | {"size": SIZE} | dict(options)
        return ask(make_model("cinemagraphy", "flow", c, seed=0, store=tmp_path / "store"), items)

    return ask_them


def item(name, height, width, hints):
    """Red rises along x and green along y, in steps of whole 8-bit values; the mask has a soft border."""
    image = np.zeros((height, width, 3), np.float32)
    image[..., 0], image[..., 1] = np.arange(width) * 3 / 255 % 1, np.arange(height)[:, None] * 7 / 255
    mask, valid = np.zeros((height, width), np.float32), np.ones((height, width), np.float32)
    mask[height // 4 :] = 1
    mask[height // 4 - 1] = 0.3
    valid[:, -width // 8 :] = 0
    hints = np.array(hints, np.float32).reshape(-1, 4)
    return Item(name, {"image": image, "mask": mask, "valid": valid, "hints": hints})


def spread(item, sigma):
    """The hints over the image: the plain formula, pixel by pixel; one arrow is the same everywhere."""
    height, width = item.arrays["mask"].shape
    if len(item.arrays["hints"]) == 1:
        return np.broadcast_to(item.arrays["hints"][0, 2:], (height, width, 2))
    field = np.zeros((height, width, 2))
    for row in range(height):
        for column in range(width):
            weights = [
                np.exp(-((np.hypot(column + 0.5 - x, row + 0.5 - y) / sigma) ** 2))
                for x, y, _, _ in item.arrays["hints"].tolist()
            ]
            field[row, column] = np.average(item.arrays["hints"][:, 2:], axis=0, weights=weights)
    return field


def flow_of(shown, height, width):
    """What has to be made of the look-alike's answer to what it was shown, by SciPy and OpenCV."""
    mask = shown[3]
    answer = np.einsum("oi,ihw->ohw", WEIGHT, shown) + BIAS[:, None, None]
    faded = np.stack([ndimage.uniform_filter(f * mask, 15, mode="constant") * mask for f in answer], -1)
    return cv2.resize(faded * [width / SIZE, height / SIZE], (width, height), interpolation=cv2.INTER_LINEAR)


@pytest.fixture
def shown(repo):
    """What the network was shown by the last request, [6, SIZE, SIZE] for each item."""
    folder = repo / "shown"
    for file in folder.glob("*.npy"):
        file.unlink()
    return lambda number: np.load(folder / f"{number}.npy")[0]


def test_pictures_masks_and_hints_at_its_size_and_its_flow_at_ours(asked, shown):
    """Views of different sizes in one process; an arrow beyond 512 px; the speeds in px of either size."""
    first = item("a", 32, 64, [(10.5, 20.5, 1.0, 0.5), (50.0, 28.0, -2.0, 0.25)])
    second = item("b", 16, 640, [(530.0, 9.0, 3.0, -1.0)])
    one = np.ones((40, 60), np.float32)
    black = {"image": np.zeros((40, 60, 3), np.float32), "mask": one, "valid": one}
    third = Item("c", black | {"hints": np.array([[5, 6, 0.8, -0.6]], np.float32)})
    results = asked([first, second, third])
    for number, given in enumerate((first, second)):
        height, width = given.arrays["mask"].shape
        factors = (SIZE / width, SIZE / height)
        seen = shown(number)
        moving = (given.arrays["mask"] * given.arrays["valid"]) == 1  # the soft border does not move
        np.testing.assert_allclose(
            seen[3], cv2.resize(moving.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_AREA), atol=0.51
        )
        assert seen[3].mean() == pytest.approx(moving.mean(), abs=1e-6)
        hints = spread(given, sigma=height / len(given.arrays["hints"])) * moving[..., None] * factors
        expected = cv2.resize(hints, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(seen[4:], np.moveaxis(expected, -1, 0), atol=1e-3)
        flow = results[number].arrays["flow"]
        np.testing.assert_allclose(flow, flow_of(seen.astype(np.float64), height, width), atol=2e-4)
        assert np.abs(flow).max() > 0.5
        assert not flow[: height // 4 - 2].any()
    assert results[0].values["arrows"] == 2
    # Black, all of it moving, one arrow: by hand, far from the borders.
    u, v = results[2].arrays["flow"][20, 30]
    assert u == pytest.approx(0.8 / 2 + (0.25 - 2) * 60 / SIZE, rel=1e-4)
    assert v == pytest.approx(-0.6 / 2 + (-0.75 + 1) * 40 / SIZE, rel=1e-4)


def test_the_picture_is_squeezed_to_the_square(asked, shown):
    """A picture that rises by whole steps stays a ramp under cubic resampling, wherever its borders are far."""
    asked([item("a", 32, 64, [(10.5, 20.5, 1.0, 0.5)])])
    seen = shown(0)
    at = np.arange(40, 200)
    x, y = (at + 0.5) * 64 / SIZE - 0.5, (at + 0.5) * 32 / SIZE - 0.5
    np.testing.assert_allclose(seen[0, 128, at], x * 3 / 127.5 - 1, atol=1.1 / 127.5)
    np.testing.assert_allclose(seen[1, at, 100], y * 7 / 127.5 - 1, atol=1.1 / 127.5)
    assert (seen[:3, :, 240:] == -1).all()  # nothing is seen there


def test_a_width_for_all_views_and_no_blur(asked, shown):
    given = item("a", 32, 64, [(10.5, 20.5, 1.0, 0.5), (50.0, 28.0, -2.0, 0.25)])
    (result,) = asked([given], {"sigma": 30.0, "blur": 1})
    seen = shown(0)
    moving = (given.arrays["mask"] * given.arrays["valid"]) == 1
    hints = spread(given, sigma=30.0) * moving[..., None] * (SIZE / 64, SIZE / 32)
    expected = cv2.resize(hints, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(seen[4:], np.moveaxis(expected, -1, 0), atol=1e-4)
    answer = (np.einsum("oi,ihw->hwo", WEIGHT, seen) + BIAS) * seen[3, ..., None] ** 2
    expected = cv2.resize(answer * [64 / SIZE, 32 / SIZE], (64, 32), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(result.arrays["flow"], expected, atol=1e-4)


def test_far_from_all_arrows_the_nearest_counts(asked, shown):
    """Weights of float32 vanish from 9 widths on, and the hint with them."""
    asked([item("a", 32, 64, [(1.0, 20.0, 1.0, 0.5), (2.0, 20.0, -2.0, 0.25)])], {"sigma": 1.0})
    np.testing.assert_allclose(shown(0)[4:, 200, 200], [-2.0 * SIZE / 64, 0.25 * SIZE / 32], rtol=1e-5)


def test_a_view_without_arrows(asked, shown, caplog):
    with caplog.at_level("INFO"):
        (result,) = asked([item("a", 32, 64, [])])
    assert not shown(0)[4:].any()
    assert result.arrays["flow"].any()
    assert "no arrow is seen there" in caplog.text


def test_weights_with_options_are_trusted_by_name(asked, shown):
    given = [item("a", 32, 64, [(10.5, 20.5, 1.0, 0.5)])]
    with pytest.raises(ExternalError, match=r"name the file in external\.cinemagraphy\.trust"):
        asked(given, weights="ckpts/with_options.pth")
    assert asked(given, weights="ckpts/with_options.pth", trust=("with_options.pth",))[0].arrays["flow"].any()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"weights": "ckpts/of_another_entry.pth"},
            r"of_another_entry\.pth: no entry netG; name the file sceneflow_mo",
        ),
        ({"weights": "ckpts/of_another_network.pth"}, r"no parameter in netG begins with motion_predictor\."),
        ({"options": {"size": 700}}, r"options\.size=700 .*a multiple of 256"),
        ({"repo": ""}, r"external\.cinemagraphy\.repo is not set: clone the model's repository and name its folder"),
    ],
)
def test_what_does_not_fit(asked, settings, said):
    with pytest.raises(ExternalError, match=said):
        asked([item("a", 32, 64, [(10.5, 20.5, 1.0, 0.5)])], **settings)


def test_a_folder_that_is_no_clone(asked, tmp_path, repo):
    with pytest.raises(ExternalError, match=r"has no lib: install it there, or look at external\.cinemagraphy\.repo"):
        weights = str(repo / "ckpts" / "sceneflow_model.pth")
        asked([item("a", 32, 64, [(10.5, 20.5, 1.0, 0.5)])], repo=str(tmp_path), weights=weights)
