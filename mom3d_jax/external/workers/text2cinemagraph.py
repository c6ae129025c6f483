"""Videos and flow of views by the networks of Text2Cinemagraph, and what it made of a text as a scene.

    python text2cinemagraph.py REQUEST
    python text2cinemagraph.py outputs/EXPERIMENT SCENE [SPEED]

The second form makes a scene folder (image.png, mask.png, flow.npy) from what its `inference_t2c.py` wrote.

Runs in the model's own environment: Python 3.8 or newer, numpy, torch 1.13 or newer. The networks are those of the
clone; its scripts are not used, as they load the checkpoints for every image and read the command line of whoever
imports them. Its CUDA kernel is replaced by the same sum in torch, so that neither cupy nor a GPU is needed.
docs/external.md says what is converted.
"""

import json
import math
import platform
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

FORMAT = 1
UNUSED = ("cupy", "lz4framed", "PIL", "torchvision", "einops")
"""Libraries that files of the clone import, and these networks do not use."""
SIZE = 512
"""px of the square that its networks work at."""
NORM = 64.0
"""Its motion networks take and give flow in units of so many px per frame at 512 px."""
LIMIT = 1.0
"""px per frame at 512 px, each way, to which its video stage cuts the flow of its motion stage."""


class Model:
    """Loads the network of the task once and answers for one view after the other."""

    def __init__(self, settings, task):
        """Everything that the settings of the model say, and "animation" or "flow"."""
        if not settings["repo"] or not settings["weights"]:
            sys.exit(
                "error: repo or weights are not set: name clone and checkpoints in the settings; see docs/external.md"
            )
        self.options, self.answer = settings["options"], {"animation": self.animate, "flow": self.flow}[task]
        self.device = use_device(settings["device"])
        sys.modules.update({name: Unused(name) for name in UNUSED})
        sys.path.insert(0, settings["repo"])
        from models import networks, softsplat

        softsplat._FunctionSoftsplat = types.SimpleNamespace(apply=splat)
        if task == "animation":
            file = Path(settings["weights"], "video-pretrained", "latest_net_G.pth")
            from options.test_options import TestOptions

            told = TestOptions()
            told.initialize()
            options = told.parser.parse_args([])
            options.fineSize = SIZE
            self.net = networks.define_G(8, 3, 64, "spadeunet4softmaxsplating", opt=options)
        else:
            file = Path(settings["weights"], "motion-direction-pretrained", "latest_net_G.pth")
            self.net = networks.define_G(6, 2, 64, "spadeunet", no_tanh=False)
        state = torch.load(file, map_location="cpu", weights_only=file.name not in settings["trust"])
        self.net.load_state_dict(state)
        self.net.to(self.device).eval()

    @torch.no_grad()
    def __call__(self, arrays, values):
        """Arrays and values of one item -> arrays and values of its result."""
        return self.answer(arrays, values)

    def animate(self, arrays, values):
        """The video of a view. Its cut of flow to 1 px per frame is left out: the video is to show the 3D motion."""
        height, width = arrays["mask"].shape
        moving = arrays["mask"] * arrays["valid"]
        image = to_square(arrays["image"] * 2 - 1, SIZE)
        flow = to_square(arrays["flow"] * arrays["valid"][..., None] * per_axis(width, height), SIZE)
        stacked = torch.cat([image, image, flow], 1).to(self.device)
        frames, period = values["frames"], period_of(values, self.options)
        video, lost = np.empty((frames, height, width, 3), np.uint8), 0.0
        for t in range(frames):
            # Forward by t, backward by period - t, blended by 1 - t / period: frame `period` would be frame 0.
            square = self.net(stacked, torch.tensor([[0, t, period - 1]]))
            drawn = to_view(square * 0.5 + 0.5, height, width)
            if t == 0:
                lost = loss_of(drawn, arrays["image"], moving)
            video[t] = composite(drawn, arrays["image"], moving if t else 0 * moving)
        longest = float(torch.linalg.vector_norm(flow, dim=1).max())
        return {"video": video}, {"period": period, "network_error_at_0": lost, "longest_flow_at_512_px": longest}

    def flow(self, arrays, values):
        """The flow of a view, from its picture, mask and arrows."""
        height, width = arrays["mask"].shape
        scale = per_axis(width, height)
        moving = (arrays["mask"] * arrays["valid"] > 0.5).astype(np.float32)
        mask = to_square(moving[..., None], SIZE)
        mask = (mask > 0.5).float()
        hints = arrays["hints"].astype(np.float64)
        dense = torch.from_numpy(spread_hints(hints[:, :2] * scale, hints[:, 2:] * scale, SIZE))[None] * mask
        image = to_square(arrays["image"] * 2 - 1, SIZE)
        given = torch.cat([image, mask, dense / NORM], 1).to(self.device)
        square = self.net(given).float().cpu() * NORM * mask
        if self.options["limit"]:
            square = square.clamp(-float(self.options["limit"]), float(self.options["limit"]))
        flow = resize(square, height, width)[0].permute(1, 2, 0).numpy() / scale * moving[..., None]
        return {"flow": flow.astype(np.float32)}, {}


def per_axis(width, height):
    """What flow and positions of a view are multiplied by to be at the size of the networks."""
    return np.array([SIZE / width, SIZE / height], np.float32)


def spread_hints(starts, motions, size):
    """Flow everywhere from that of few points, weighted by exp(-(distance / sigma)^2) with sigma = size / points.

    Args:
      starts: [k,2], px from the left and top edge.
      motions: [k,2], px per frame.
      size: px of the square.

    Returns:
      [2,size,size] float32; 0 without points.
    """
    if not len(starts):
        return np.zeros((2, size, size), np.float32)
    centres = np.arange(size) + 0.5
    squares = (centres[None, :, None] - starts[:, 1, None, None]) ** 2 + (centres - starts[:, 0, None, None]) ** 2
    exponents = -squares / (size / len(starts)) ** 2
    weights = np.exp(exponents - exponents.max(axis=0))  # the nearest point counts, however far it is
    return (np.einsum("khw,kc->chw", weights, motions) / weights.sum(axis=0)).astype(np.float32)


def import_experiment(experiment, scene, speed):
    """What the text became, as a scene folder: its picture, mask, and the flow that its video stage would show.

    Args:
      experiment: folder with samples/0.png, mask_self_attn_erosion.png and Motion.pt.
      scene: folder to make.
      speed: factor of its video stage (`video.speed` of its config).
    """
    files = [experiment / name for name in ("samples/0.png", "mask_self_attn_erosion.png", "Motion.pt")]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        sys.exit("error: %s is missing: run inference_t2c.py with --stage s1 to s5 first" % missing[0])
    motion = torch.load(files[2], map_location="cpu", weights_only=True).float()
    if motion.ndim != 4 or motion.shape[:2] != (1, 2) or motion.shape[2] != motion.shape[3]:
        sys.exit("error: %s has shape %s; wanted [1, 2, s, s]" % (files[2], list(motion.shape)))
    cut = (motion * NORM).clamp(-LIMIT, LIMIT)
    size = motion.shape[-1]
    flow = (cut * speed * (size / SIZE))[0].permute(1, 2, 0).numpy()  # px per frame at the size of the array
    scene.mkdir(parents=True)
    shutil.copyfile(files[0], scene / "image.png")
    shutil.copyfile(files[1], scene / "mask.png")
    np.save(scene / "flow.npy", flow)
    print("%s: longest flow %.3g px per frame at %d px" % (scene, np.linalg.norm(flow, axis=-1).max(), size))


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
    model, draft, records = Model(request["settings"], request["task"]), folder / "result.tmp", []
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
    if len(sys.argv) > 2:
        import_experiment(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 1.0)
    else:
        place = Path(sys.argv[1]).absolute()
        sys.argv[:] = sys.argv[:1]
        main(place)
