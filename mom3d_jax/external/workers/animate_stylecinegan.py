"""Videos of views by StyleCineGAN, from the clone and the checkpoints of the user.

    python animate_stylecinegan.py REQUEST

Runs in the model's own environment: Python 3.8 or newer, numpy, torch 1.13 or newer. The networks are those of the
clone; its script is not used, as it loads the checkpoints for every image, reads the command line of whoever imports
it and loads networks that it never asks. Its CUDA kernels are replaced by the same sums in torch, so that neither a
compiler nor cupy nor a GPU is needed. docs/external.md says what is converted.
"""

import io
import json
import math
import platform
import sys
import types
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

FORMAT = 1
UNUSED = ("cupy", "torchvision")
"""Libraries that files of the clone import, and its networks do not use."""
SIZE, FLOW_SIZE, ENCODER_SIZE = 1024, 512, 256
"""px: of the square that is drawn, of the flow that the clone scales by octaves, and of what its encoder sees."""
LAYER = 9
"""Of the generator: where the encoder's feature enters, and the first one that is warped."""
GENERATOR, MEAN, ENCODER = (
    "stylegan2-pytorch/sg2-lhq-1024.pt",
    "stylegan2-pytorch/sg2-lhq-1024-mean.pt",
    "logs/lhq_k%d/enc.pth.tar" % LAYER,
)
"""Checkpoints in the folder of weights."""


class Model:
    """Loads generator and encoder once and animates one view after the other."""

    def __init__(self, settings):
        """Everything that the settings of the model say: repo, weights, device, trust, options."""
        if not settings["repo"] or not settings["weights"]:
            sys.exit(
                "error: repo or weights are not set: name clone and checkpoints in the settings; see docs/external.md"
            )
        self.options, self.settings = settings["options"], settings
        self.device = use_device(settings["device"])
        sys.modules.update({name: Unused(name) for name in UNUSED})
        sys.path[:0] = [settings["repo"], str(Path(settings["repo"], "external_modules", "feature_style_encoder"))]
        # Its own build themselves with a CUDA compiler when they are imported.
        operations = types.ModuleType("models.stylegan2.op")
        operations.FusedLeakyReLU, operations.fused_leaky_relu = BiasedLeakyReLU, biased_leaky_relu
        operations.upfirdn2d = upfirdn2d
        sys.modules[operations.__name__] = operations
        self._build()

    def _build(self):
        from models.stylegan2.model import Generator
        from nets.feature_style_encoder import fs_encoder_v2, iresnet50
        from utils import softmax_splatting

        softmax_splatting._FunctionSoftsplat = types.SimpleNamespace(apply=splat)
        self.generator = Generator(SIZE, 512, 8, channel_multiplier=2)
        self.generator.load_state_dict(self._load(GENERATOR)["g_ema"])
        # The encoder wants weights of a face network first, which its own then replace: give it any.
        any_weights = io.BytesIO()
        torch.save(iresnet50().state_dict(), any_weights)
        any_weights.seek(0)
        named = types.SimpleNamespace(arcface_model_path=any_weights, idx_k=LAYER)
        self.encoder = fs_encoder_v2(n_styles=2 * int(math.log2(SIZE)) - 2, opts=named, stride=(2, 2))
        self.encoder.load_state_dict(self._load(ENCODER))
        self.mean = self._load(MEAN).to(self.device)
        for net in (self.generator, self.encoder):
            net.to(self.device).eval()

    def _load(self, name):
        file = Path(self.settings["weights"], name)
        return torch.load(file, map_location="cpu", weights_only=file.name not in self.settings["trust"])

    @torch.no_grad()
    def __call__(self, arrays, values):
        """Arrays and values of one item -> arrays and values of its result."""
        height, width = arrays["mask"].shape
        moving = arrays["mask"] * arrays["valid"]
        image = to_square(arrays["image"] * 2 - 1, SIZE).to(self.device)
        # px per frame at 512 px; the clone doubles or halves them with every octave.
        per_axis = np.array([FLOW_SIZE / width, FLOW_SIZE / height], np.float32)
        flow = to_square(arrays["flow"] * moving[..., None] * per_axis, FLOW_SIZE).to(self.device)
        seen = image
        while seen.shape[-1] > ENCODER_SIZE:
            seen = functional.interpolate(seen, scale_factor=0.5, mode="bilinear", align_corners=False)
        style, feature = self.encoder(seen)
        frames, period = values["frames"], period_of(values, self.options)
        video, lost = np.empty((frames, height, width, 3), np.uint8), 0.0
        for t in range(frames):
            # Blended by 1 - t / (n - 1): its last frame is its first, so a period has one frame less than it makes.
            square, _ = self.generator.warp_blend_feature(
                styles=[style + self.mean],
                feature=feature,
                idx=t,
                n_frames=period + 1,
                flow=flow,
                recon_feature_idx=LAYER,
                warp_feature_idx=LAYER,
                input_is_latent=True,
                randomize_noise=False,
            )
            drawn = to_view(square * 0.5 + 0.5, height, width)
            if t == 0:
                lost = loss_of(drawn, arrays["image"], moving)
            video[t] = composite(drawn, arrays["image"], moving if t else 0 * moving)
        return {"video": video}, {"period": period, "network_error_at_0": lost}


def biased_leaky_relu(values, bias, negative_slope=0.2, scale=2**0.5):
    """leaky_relu(values + bias) * scale; the bias lies along axis 1."""
    shape = [1, -1] + [1] * (values.ndim - 2)
    return functional.leaky_relu(values + bias.reshape(shape), negative_slope) * scale


class BiasedLeakyReLU(torch.nn.Module):
    """The same with a bias of its own, by the name that checkpoints have for it."""

    def __init__(self, channels, negative_slope=0.2, scale=2**0.5):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(channels))
        self.negative_slope, self.scale = negative_slope, scale

    def forward(self, values):
        """Values [n,c,...] with the bias of their channel."""
        return biased_leaky_relu(values, self.bias, self.negative_slope, self.scale)


def upfirdn2d(values, kernel, up=1, down=1, pad=(0, 0)):
    """Zeros between samples, padding, convolution with a kernel, every `down`-th sample (Karras et al., 2020).

    Args:
      values: [n,c,h,w].
      kernel: [kh,kw].
      up: samples per sample; those between are 0.
      down: of how many one is kept.
      pad: zeros before and behind, on both axes; negative ones cut off.
    """
    n, c, h, w = values.shape
    spread = values.new_zeros(n, c, h * up, w * up)
    spread[..., ::up, ::up] = values
    padded = functional.pad(spread, [pad[0], pad[1], pad[0], pad[1]])
    flipped = torch.flip(kernel, [0, 1]).to(padded)[None, None]
    filtered = functional.conv2d(padded.reshape(n * c, 1, *padded.shape[2:]), flipped, stride=down)
    return filtered.reshape(n, c, *filtered.shape[2:])


def period_of(values, options):
    """Frames after which the network's loop repeats: a clip that does not loop is the first part of a longer one."""
    if values["loop"]:
        return values["frames"]
    return math.ceil(values["frames"] * max(1.0, float(options["open_period"])))


def to_square(array, size):
    """[h,w,c] in NumPy -> [1,c,size,size] in torch; the aspect is not kept, values stay as they are."""
    tensor = torch.from_numpy(np.ascontiguousarray(array, np.float32)).permute(2, 0, 1)[None]
    return resize(tensor, size, size)


def resize(tensor, height, width):
    """Bilinear between centres of pixels, without aliasing where it becomes smaller."""
    return functional.interpolate(tensor, (height, width), mode="bilinear", align_corners=False, antialias=True)


def to_view(drawn, height, width):
    """[1,3,s,s] -> [h,w,3] in NumPy, in [0, 1]."""
    if not torch.isfinite(drawn).all():
        sys.exit("error: the network drew values that are not finite; look at its weights and at the flow")
    return resize(drawn.float().cpu(), height, width)[0].permute(1, 2, 0).clamp(0, 1).numpy()


def composite(drawn, image, moving):
    """What was drawn where content moves, the photo elsewhere, as 8 bits."""
    mixed = image + moving[..., None] * (drawn - image)
    return np.round(np.clip(mixed, 0, 1) * 255).astype(np.uint8)


def loss_of(drawn, image, moving):
    """Mean difference between the network's frame 0 and the photo where content moves, of 1."""
    return float((np.abs(drawn - image).mean(axis=-1) * moving).sum() / max(moving.sum(), 1e-6))


def splat(values, flow):
    """Every pixel's values, carried by its flow and added to the four pixels around where it comes to lie.

    Args:
      values: [n,c,h,w].
      flow: [n,2,h,w], px; what leaves the image is dropped.
    """
    n, c, h, w = values.shape
    ys, xs = torch.meshgrid(torch.arange(h, device=flow.device), torch.arange(w, device=flow.device), indexing="ij")
    x, y = xs + flow[:, 0], ys + flow[:, 1]
    left, top = torch.floor(x), torch.floor(y)
    summed = values.new_zeros(n, c, h * w)
    for dx in (0, 1):
        for dy in (0, 1):
            column, row = left + dx, top + dy
            weight = (1 - (x - column).abs()) * (1 - (y - row).abs())
            inside = (column >= 0) & (column < w) & (row >= 0) & (row < h)
            index = torch.where(inside, row * w + column, torch.zeros_like(row)).long().reshape(n, 1, h * w)
            share = (values * (weight * inside)[:, None]).reshape(n, c, h * w)
            summed.scatter_add_(2, index.expand(n, c, h * w), share)
    return summed.reshape(n, c, h, w)


class Unused(types.ModuleType):
    """Stands in the place of a library that is imported but not used; its decorators leave functions as they are."""

    def __getattr__(self, name):
        """Whatever is asked for, but for what Python looks for in modules."""
        if name.startswith("__"):
            raise AttributeError(name)
        return Unused(name)

    def __call__(self, *arguments, **_):
        """What a decorator is given, otherwise itself."""
        return arguments[0] if arguments else self


def use_device(said):
    """The device; the clone asks for the current GPU wherever it is, so one that is not is said to be it."""
    found = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(found if said == "auto" else said)
    if device.type == "mps":
        sys.exit("error: this model runs on cuda and cpu, not on mps: choose another device in its settings")
    if device.type == "cuda":
        torch.cuda.set_device(device)
        return device
    torch.Tensor.cuda = lambda self, *_, **__: self.to(device)
    torch.nn.Module.cuda = lambda self, *_, **__: self.to(device)
    for name in ("linspace", "zeros", "ones", "arange", "tensor"):
        setattr(torch, name, _on(device, getattr(torch, name)))
    return device


def _on(device, function):
    """A function of torch that makes on this device what is asked for on the GPU."""

    def made(*arguments, **options):
        if str(options.get("device")).startswith("cuda"):
            options["device"] = device
        return function(*arguments, **options)

    return made


def main(folder):
    """Answer the request in a folder; the result appears when it is complete."""
    request = json.loads((folder / "request.json").read_text())
    if request["format"] != FORMAT:
        sys.exit("error: request of format %s, this worker knows %d" % (request["format"], FORMAT))
    torch.manual_seed(request["seed"])
    model, draft, records = Model(request["settings"]), folder / "result.tmp", []
    for number, item in enumerate(request["items"]):
        place = Path("items", "%04d" % number)
        given = {file.stem: np.load(file) for file in (folder / place).glob("*.npy")}
        arrays, values = model(given, item["values"])
        (draft / place).mkdir(parents=True)
        for name, array in arrays.items():
            np.save(draft / place / (name + ".npy"), array)
        records.append({"name": item["name"], "values": values})
        print("progress %d/%d %s" % (number + 1, len(request["items"]), item["name"]), flush=True)
    versions = {"python": platform.python_version(), "numpy": np.__version__, "torch": str(torch.__version__)}
    provenance = {"versions": versions, "seed": request["seed"], "device": str(model.device)}
    result = {"format": FORMAT, "task": request["task"], "items": records, "provenance": provenance}
    (draft / "result.json").write_text(json.dumps(result))
    draft.rename(folder / "result")


if __name__ == "__main__":
    place = Path(sys.argv[1]).absolute()
    sys.argv[:] = sys.argv[:1]
    main(place)
