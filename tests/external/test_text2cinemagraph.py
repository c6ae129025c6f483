"""Flow by Text2Cinemagraph, on a look-alike of its repository, and what it made of a text as a scene."""

import subprocess

import numpy as np
import pytest

from mom3d_jax.config import default_config
from mom3d_jax.external import Item, ask, make_model
from mom3d_jax.external.registry import WORKERS
from mom3d_jax.inputs.flow_files import read_flow

pytestmark = pytest.mark.external

HEIGHT, WIDTH = 32, 64

NETWORKS = """
import torch
from util.util import load_image

class Motion(torch.nn.Module):
    def __init__(self, no_tanh):
        super().__init__()
        self.gain, self.no_tanh = torch.nn.Parameter(torch.zeros(1)), no_tanh

    def forward(self, input):
        assert input.shape == (1, 6, 512, 512) and set(input[:, 3].unique().tolist()) <= {0.0, 1.0}
        out = input[:, 4:] * self.gain
        return out if self.no_tanh else torch.tanh(out)

def define_G(input_nc, output_nc, ngf, netG_type, n_downsample_global=3, no_tanh=True, opt=None):
    assert (input_nc, output_nc, netG_type) == (6, 2, "spadeunet")
    return Motion(no_tanh)
"""
UTIL = "import lz4framed, torchvision\nfrom PIL import Image\ndef load_image(method=Image.BICUBIC): pass\n"


@pytest.fixture
def model(torch_python, tmp_path):
    """The flow model of the registry, on a look-alike that gives the arrows back as its units have them."""

    def make(**options):
        files = {"models/networks.py": NETWORKS, "models/softsplat.py": "import cupy\n", "util/util.py": UTIL}
        for file, text in files.items():
            (tmp_path / "repo" / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "repo" / file).write_text(text)
        weights = tmp_path / "weights" / "motion-direction-pretrained" / "latest_net_G.pth"
        weights.parent.mkdir(parents=True)
        code = "import sys, torch; torch.save({'gain': torch.ones(1)}, sys.argv[1])"
        subprocess.run([torch_python, "-c", code, weights], check=True)
        c = default_config().external.text2cinemagraph_flow.to_dict()
        c |= {"python": torch_python, "repo": str(tmp_path / "repo"), "device": "cpu", "timeout": 300.0}
        c["weights"] = str(tmp_path / "weights")
        c["options"] |= options
        return make_model("text2cinemagraph_flow", "flow", c, seed=0, store=tmp_path / "store")

    return make


@pytest.mark.parametrize("limit", [0.0, 1.0])
def test_flow_of_an_arrow(model, limit):
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[16:] = 1
    ones = np.ones_like(mask)
    motion = np.array([3.0, -1.5])
    arrays = {
        "image": np.full((HEIGHT, WIDTH, 3), 0.5, np.float32),
        "mask": mask,
        "valid": ones,
        "hints": np.float32([[20, 24, *motion]]),
    }
    (result,) = ask(model(limit=limit), [Item("view_07", arrays)])
    at_512 = motion * [512 / WIDTH, 512 / HEIGHT]
    made = 64 * np.tanh(at_512 / 64)  # its units are 64 px per frame
    if limit:
        made = np.clip(made, -1, 1)
    flow = result.arrays["flow"]
    expected = made / [512 / WIDTH, 512 / HEIGHT]
    np.testing.assert_allclose(flow[17:], np.broadcast_to(expected, (15, WIDTH, 2)), rtol=1e-4)
    assert not flow[:16].any()


def test_two_arrows_are_felt_near_their_starts_and_none_gives_no_flow(model):
    mask = np.ones((HEIGHT, WIDTH), np.float32)
    shared = {"image": np.full((HEIGHT, WIDTH, 3), 0.5, np.float32), "mask": mask, "valid": mask}
    hints = np.float32([[8.5, 16.5, 0.2, 0], [56.5, 16.5, 0, 0.4]])
    items = [Item("two", {**shared, "hints": hints}), Item("none", {**shared, "hints": hints[:0]})]
    two, none = ask(model(), items)
    flow, x, y = two.arrays["flow"], *np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    # Distances in units of sigma = 512 / 2 px of the square.
    squares = [((x - a) * 8 / 256) ** 2 + ((y - b) * 16 / 256) ** 2 for a, b in hints[:, :2]]
    share = np.exp(-squares[0]) / (np.exp(-squares[0]) + np.exp(-squares[1]))
    expected = share[..., None] * hints[0, 2:] + (1 - share[..., None]) * hints[1, 2:]
    np.testing.assert_allclose(flow[1:-1, 1:-1], expected[1:-1, 1:-1], atol=2e-3)
    assert not none.arrays["flow"].any()


def test_a_text_becomes_a_scene(torch_python, tmp_path):
    experiment = tmp_path / "outputs" / "example"
    (experiment / "samples").mkdir(parents=True)
    (experiment / "samples" / "0.png").write_bytes(b"photo")
    (experiment / "mask_self_attn_erosion.png").write_bytes(b"mask")
    command = [torch_python, WORKERS / "text2cinemagraph.py", experiment, tmp_path / "scene", "0.5"]
    lacking = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Motion.pt is missing" in lacking.stderr
    assert not (tmp_path / "scene").exists()
    code = "import sys, torch; torch.save(torch.linspace(-0.03, 0.03, 8192).reshape(1, 2, 64, 64), sys.argv[1])"
    subprocess.run([torch_python, "-c", code, experiment / "Motion.pt"], check=True)
    subprocess.run(command, check=True)
    assert (tmp_path / "scene" / "image.png").read_bytes() == b"photo"
    assert (tmp_path / "scene" / "mask.png").read_bytes() == b"mask"
    # Times 64, cut to 1 px per frame at 512 px each way, then the speed.
    motion = np.linspace(-0.03, 0.03, 2 * 64 * 64).reshape(2, 64, 64)
    at_512 = np.moveaxis(np.clip(64 * motion, -1, 1), 0, -1) * 0.5
    flow = read_flow(tmp_path / "scene" / "flow.npy", (512, 512), (64, 64))
    np.testing.assert_allclose(flow, at_512 * 64 / 512, atol=1e-6)
    assert np.abs(at_512).max() == 0.5
