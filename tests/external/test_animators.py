"""Animators of others, on look-alikes of their repositories: entry points, checkpoints, sizes, units, loops as theirs.

Each look-alike splats the picture itself, both ways in time, so what the worker has to give back is known beforehand.
"""

import subprocess

import numpy as np
import pytest

from mom3d_jax.config import default_config
from mom3d_jax.external import ExternalError, Item, ask, make_model

pytestmark = pytest.mark.external

HEIGHT, WIDTH = 32, 64
# Whole px at the size of each network, so that splatting adds no blur; u, v and their signs differ.
FLOW = (3.0, -1.5)

SPLATTING = """
import cupy, torch

@cupy.memoize(for_each_device=True)
def cupy_launch(name, kernel):
    return cupy.cuda.compile_with_cache(kernel).get_function(name)

class _FunctionSoftsplat(torch.autograd.Function):
    @staticmethod
    def forward(self, values, flow):
        cupy_launch("kernel", "")
        raise NotImplementedError("CUDA only")

def blend(image, flow, forward, backward, alpha):
    still = torch.zeros(flow.shape, device="cuda")
    total = 0
    for displacement, weight in ((forward * flow, alpha), (-backward * flow, 1 - alpha)):
        one = torch.ones(1, 1, *image.shape[2:], device="cuda") * weight
        total = total + _FunctionSoftsplat.apply(torch.cat([image.cuda() * weight, one], 1), still + displacement)
    return total[:, :-1] / total[:, -1:].clamp(min=1e-8)
"""
SLR = {
    "models/softsplat.py": SPLATTING,
    "utils/utils.py": "import av, cv2, lz4framed\nfrom PIL import Image\nfrom torchvision import transforms\n"
    "def scale(img, method=Image.BICUBIC): pass\n",
    "options/options.py": """
def get_model(opt):
    from models.animating import Net
    assert opt.model_type == "softmax_splating"
    return Net(opt)
""",
    "models/animating.py": """
import torch, utils.utils
from models import softsplat

class Net(torch.nn.Module):
    def __init__(self, opt):
        super().__init__()
        assert not any("content" in name for name in opt.losses), "would fetch VGG"
        assert opt.bn_noise_misc
        self.opt, self.gain = opt, torch.nn.Parameter(torch.zeros(1))
        self.loss_function = torch.nn.Linear(1, 1)

    def encoder(self, image):
        assert image.shape[2:] == (self.opt.W, self.opt.W)
        return image * self.gain, image[:, :1] * 0

    def forward_flow(self, batch):
        start, middle, end = batch["index"][:, 0], batch["index"][:, 1], batch["index"][:, 2]
        alpha = 1.0 - (middle - start).float() / (end - start + 1).float()
        image, _ = batch["features"][0]
        n, m = int(middle - start), int(end - middle + 1)
        return {"PredImg": softsplat.blend(image, batch["motions"][0].cuda(), n, m, float(alpha))}
""",
}
STYLE = {
    "utils/softmax_splatting.py": SPLATTING,
    "models/stylegan2/op/__init__.py": "raise RuntimeError('no CUDA compiler')\n",
    "models/stylegan2/model.py": """
import torch
from torch.nn import functional as F
from models.stylegan2.op import FusedLeakyReLU, fused_leaky_relu, upfirdn2d
from utils import softmax_splatting

class Generator(torch.nn.Module):
    def __init__(self, size, style_dim, n_mlp, channel_multiplier=2):
        super().__init__()
        self.size, self.gain = size, torch.nn.Parameter(torch.zeros(1))

    def warp_blend_feature(self, styles, feature, idx, n_frames, flow, recon_feature_idx, warp_feature_idx,
                           input_is_latent, randomize_noise, **_):
        assert styles[0].shape == (1, 18, 512) and input_is_latent and not randomize_noise
        assert recon_feature_idx == warp_feature_idx == 9 and flow.shape[2:] == (512, 512)
        while flow.shape[2] != self.size:
            flow = 2 * F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=False)
        image = F.interpolate(feature, (self.size, self.size), mode="bilinear", align_corners=False)
        alpha = 1 - idx / (n_frames - 1)
        drawn = softmax_splatting.blend(image * self.gain, flow, idx, n_frames - 1 - idx, alpha)
        return drawn + styles[0].mean(), styles[0]
""",
    "external_modules/feature_style_encoder/nets/feature_style_encoder.py": """
import torch
from torchvision import models, utils

def iresnet50():
    return torch.nn.Linear(1, 1)

class fs_encoder_v2(torch.nn.Module):
    def __init__(self, n_styles=18, opts=None, stride=(1, 1)):
        super().__init__()
        iresnet50().load_state_dict(torch.load(opts.arcface_model_path))
        assert (n_styles, stride, opts.idx_k) == (18, (2, 2), 9)
        self.offset = torch.nn.Parameter(torch.ones(1))

    def forward(self, x):
        assert x.shape[2:] == (256, 256)
        return torch.zeros(1, 18, 512), x + self.offset
""",
}
TEXT = {
    "models/softsplat.py": SPLATTING,
    "models/networks.py": """
import torch
from einops import rearrange
from util.util import load_image
from . import softsplat

class Video(torch.nn.Module):
    def __init__(self, opt):
        super().__init__()
        self.W, self.gain = opt.fineSize, torch.nn.Parameter(torch.zeros(1))
        assert "bn_noise_misc" in opt and opt.speed == 1.0

    def forward(self, input, index=None):
        assert input.shape == (1, 8, self.W, self.W) and torch.equal(input[:, :3], input[:, 3:6])
        start, middle, end = index[:, 0], index[:, 1], index[:, 2]
        n, m = int(middle - start), int(end + 1 - middle)
        return softsplat.blend(input[:, :3] * self.gain, input[:, 6:].cuda(), n, m, 1 - n / (n + m))

def define_G(input_nc, output_nc, ngf, netG_type, opt=None):
    assert (input_nc, output_nc, netG_type) == (8, 3, "spadeunet4softmaxsplating")
    return Video(opt)
""",
    "util/util.py": "import lz4framed, torchvision\nfrom PIL import Image\ndef load_image(m=Image.BICUBIC): pass\n",
    "options/test_options.py": """
import argparse
class TestOptions:
    def initialize(self):
        self.parser = argparse.ArgumentParser()
        for name, kind, value in (("fineSize", int, 512), ("speed", float, 1.0), ("bn_noise_misc", bool, True)):
            self.parser.add_argument("--" + name, type=kind, default=value)
""",
}
SAVE = {
    "slr_sfs": """
class Other: pass
opts = argparse.Namespace(model_type="softmax_splating", W=256, losses=["1.0_l1", "10.0_content"], more=[(2.0, None)])
state = {"model.module.gain": gain, "model.module.loss_function.weight": one, "netD.netD.weight": one}
torch.save({"epoch": 3, "opts": Other() if other else opts, "state_dict": state}, out / "slr.pth")
""",
    "stylecinegan": """
for name, saved in (("stylegan2-pytorch/sg2-lhq-1024.pt", {"g_ema": {"gain": gain}, "d": {}}),
                    ("stylegan2-pytorch/sg2-lhq-1024-mean.pt", torch.zeros(1, 512)),
                    ("logs/lhq_k9/enc.pth.tar", {"offset": 0 * one})):
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    torch.save(saved, out / name)
""",
    "text2cinemagraph": """
(out / "video-pretrained").mkdir(parents=True)
torch.save({"gain": gain}, out / "video-pretrained/latest_net_G.pth")
""",
}
REPOS = {"slr_sfs": SLR, "stylecinegan": STYLE, "text2cinemagraph": TEXT}


@pytest.fixture
def animator(torch_python, tmp_path):
    """A model of the registry, on its look-alike; `gain` is the one weight of its network."""

    def make(name, gain=1.0, other=False, **options):
        for file, text in REPOS[name].items():
            (tmp_path / "repo" / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "repo" / file).write_text(text)
        weights = tmp_path / "weights"
        weights.mkdir()
        code = f"import argparse, pathlib, torch\nout, other = pathlib.Path({str(weights)!r}), {other}\n"
        code += f"gain, one = torch.tensor([float('{gain}')]), torch.ones(1)\n{SAVE[name]}"
        subprocess.run([torch_python, "-c", code], check=True)
        c = default_config().external[name].to_dict()
        c |= {"python": torch_python, "repo": str(tmp_path / "repo"), "device": "cpu", "timeout": 300.0}
        c["weights"] = str(weights / "slr.pth" if name == "slr_sfs" else weights)
        c["options"] |= options
        return make_model(name, "animation", c, seed=0, store=tmp_path / "store")

    return make


def picture(x, y):
    """A smooth picture without symmetry, in (0, 1)."""
    wave = 0.3 * np.sin(0.16 * x + 0.4) + 0.17 * np.cos(0.3 * y + 0.11 * x)
    return np.stack([0.5 + wave, 0.5 - 0.6 * wave, 0.5 + 0.3 * wave], -1).astype(np.float32)


def grid():
    return np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)


def view(frames, loop, mask=None, valid=None, image=None):
    ones = np.ones((HEIGHT, WIDTH), np.float32)
    arrays = {
        "image": picture(*grid()) if image is None else image,
        "mask": ones if mask is None else mask,
        "valid": ones if valid is None else valid,
        "flow": np.broadcast_to(np.float32(FLOW), (HEIGHT, WIDTH, 2)),
    }
    return Item("view_07", arrays, {"frames": frames, "loop": loop})


def looped(t, period, flow=FLOW):
    """Frame t of a loop: what moved for t frames, and what will have moved in period - t frames, blended."""
    x, y = grid()
    (u, v), back, share = flow, period - t, t / period
    return (1 - share) * picture(x - t * u, y - t * v) + share * picture(x + back * u, y + back * v)


@pytest.mark.parametrize(
    ("name", "options"), [("slr_sfs", {"size": 128}), ("stylecinegan", {}), ("text2cinemagraph", {})]
)
def test_videos_show_the_flow_over_the_period(animator, name, options):
    model = animator(name, **options, open_period=2.0)
    frames = 3
    for loop, period in ((False, 6), (True, 3)):
        item = view(frames, loop)
        (result,) = ask(model, [item])
        video = result.arrays["video"]
        assert result.values["period"] == period
        np.testing.assert_array_equal(video[0], np.round(item.arrays["image"] * 255))
        assert result.values["network_error_at_0"] < 0.01
        inner = np.s_[10:-10, 20:-20]
        wrong = {"longer": 0.0, "shorter": 0.0, "slower": 0.0, "backward": 0.0, "turned": 0.0}
        for t in range(1, frames):
            expected = looped(t, period)
            np.testing.assert_allclose(video[t][inner] / 255, expected[inner], atol=0.01)
            others = (
                looped(t, period + 1),
                looped(t, period - 1),
                looped(t, period, (FLOW[0] / 2, FLOW[1])),
                looped(t, period, (-FLOW[0], -FLOW[1])),
                looped(t, period, FLOW[::-1]),
            )
            for name_of, other in zip(wrong, others, strict=True):
                wrong[name_of] = max(wrong[name_of], float(np.abs(expected - other)[inner].max()))
        assert min(wrong.values()) > 0.02, wrong  # each mistake would have been seen


def test_only_what_moves_and_is_seen_changes(animator):
    mask, valid = np.zeros((HEIGHT, WIDTH), np.float32), np.ones((HEIGHT, WIDTH), np.float32)
    mask[10:], valid[:, 40:] = 1, 0
    item = view(3, True, mask, valid)
    model = animator("slr_sfs", size=64)
    video = ask(model, [item])[0].arrays["video"]
    still = mask * valid == 0
    for frame in video:
        np.testing.assert_array_equal(frame[still], np.round(item.arrays["image"] * 255)[still])
    assert np.abs(video[1].astype(int) - video[0])[~still].max() > 5


def test_too_bright_stays_bright(animator):
    image = np.where(grid()[0][..., None] < WIDTH / 2, 0.1, 0.9).astype(np.float32).repeat(3, -1)
    video = ask(animator("text2cinemagraph", gain=2.0), [view(2, True, image=image)])[0].arrays["video"]
    assert video[1][:, 4:20].max() == 0
    assert video[1][:, 44:60].min() == 255


def test_values_that_are_not_finite_are_refused(animator):
    with pytest.raises(ExternalError, match="drew values that are not finite"):
        ask(animator("slr_sfs", gain="nan", size=64), [view(2, True)])


def test_options_of_training_are_read_but_no_other_objects(animator):
    with pytest.raises(ExternalError, match=r"name the file in external\.slr_sfs\.trust"):
        ask(animator("slr_sfs", other=True, size=64), [view(2, True)])
