"""Videos of views by the networks of SLR-SFS, from the clone and the checkpoint of the user.

    python animate_slr_sfs.py REQUEST

Runs in the model's own environment: Python 3.8 or newer, numpy, torch 1.13 or newer. The networks are those of the
clone; its scripts are not used, as they load the checkpoint for every image, and its CUDA kernel is replaced by the
same sum in torch, so that neither cupy nor a GPU is needed. docs/external.md says what is converted.
"""

import argparse
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
UNUSED = ("cupy", "av", "lz4framed", "cv2", "ipdb", "PIL", "torchvision")
"""Libraries that files of the clone import, and its networks do not use."""


class Model:
    """Loads the checkpoint once and animates one view after the other."""

    def __init__(self, settings):
        """Everything that the settings of the model say: repo, weights, device, trust, options."""
        if not settings["repo"] or not settings["weights"]:
            sys.exit(
                "error: repo or weights are not set: name clone and checkpoints in the settings; see docs/external.md"
            )
        self.options = settings["options"]
        self.size = int(self.options["size"])
        if self.size < 64 or self.size % 4:
            sys.exit("error: external.slr_sfs.options.size=%d: a multiple of 4 from 64 on" % self.size)
        self.device = use_device(settings["device"])
        sys.modules.update({name: Unused(name) for name in UNUSED})
        sys.path.insert(0, settings["repo"])
        if hasattr(torch.serialization, "add_safe_globals"):
            # The checkpoint holds its training options; a Namespace is nothing but named values.
            torch.serialization.add_safe_globals([argparse.Namespace])
        weights = Path(settings["weights"])
        saved = torch.load(weights, map_location="cpu", weights_only=weights.name not in settings["trust"])
        if not {"opts", "state_dict"} <= set(saved):
            sys.exit("error: %s is no checkpoint of SLR-SFS: it has no opts and state_dict" % weights)
        self.net = self._build(saved["opts"], saved["state_dict"])

    def _build(self, opts, state):
        """The network that a checkpoint is of, without its losses and discriminators."""
        from models import softsplat
        from options.options import get_model

        softsplat._FunctionSoftsplat = types.SimpleNamespace(apply=splat)
        opts.W, opts.bn_noise_misc = self.size, True  # noise of the normalisation: zero, as in its evaluation
        opts.losses = ["1.0_l1"]  # the perceptual one would fetch VGG
        if getattr(opts, "use_softmax_splatter_v2", False) or getattr(opts, "use_3d_splatter", False):
            sys.exit("error: this checkpoint was trained with another splatting than those that were published")
        net = get_model(opts)
        net.loss_function = torch.nn.Identity()
        prefix = "model.module."
        kept = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
        net.load_state_dict({n: v for n, v in kept.items() if not n.startswith(("loss_function.", "xyzs"))})
        return net.to(self.device).eval()

    @torch.no_grad()
    def __call__(self, arrays, values):
        """Arrays and values of one item -> arrays and values of its result."""
        height, width = arrays["mask"].shape
        image = to_square(arrays["image"] * 2 - 1, self.size).to(self.device)
        # px per frame at the size of the network.
        per_axis = np.array([self.size / width, self.size / height], np.float32)
        flow = to_square(arrays["flow"] * arrays["valid"][..., None] * per_axis, self.size).to(self.device)
        batch = {"images": [image], "features": [self.net.encoder(image)], "motions": [flow]}
        if hasattr(self.net, "net_bg"):
            batch["BGImg"] = [self.net.net_bg(image)]
        frames, period = values["frames"], period_of(values, self.options)
        moving = arrays["mask"] * arrays["valid"]
        video, lost = np.empty((frames, height, width, 3), np.uint8), 0.0
        for t in range(frames):
            # Forward by t, backward by period - t, blended by 1 - t / period: frame `period` would be frame 0.
            batch["index"] = torch.tensor([[0, t, period - 1]])
            drawn = to_view(self.net.forward_flow(batch)["PredImg"] * 0.5 + 0.5, height, width)
            if t == 0:
                lost = loss_of(drawn, arrays["image"], moving)
            video[t] = composite(drawn, arrays["image"], moving if t else 0 * moving)
        return {"video": video}, {"period": period, "network_error_at_0": lost}


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
