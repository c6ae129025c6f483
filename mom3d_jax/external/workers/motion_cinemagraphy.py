"""Flow by the controllable motion network of 3D-Cinemagraphy (Li et al. 2023), from a picture, a mask and arrows.

    python motion_cinemagraphy.py REQUEST

Runs in an environment with torch, torchvision and pillow; the network's code is in a clone of the repository, its
weights are the entry `netG` of sceneflow_model.pth. docs/external.md has the request's form and says what of the
released preprocessing is done otherwise here.
"""

import json
import platform
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

FORMAT = 1

STEPS = 256
"""The network halves its input eight times."""
NORMS = {"norm_G": "sync:spectral_batch", "motion_norm_G": "sync:spectral_instance"}
"""Of the published weights; the file configs/config.yaml says the same in tags that YAML readers refuse."""
PREFIX = "motion_predictor."


def hint_field(hints, height, width, sigma):
    """Arrows spread over the image, px per frame [2, height, width]: weights exp(-(distance / sigma)^2), normalised.

    hints: (x, y, u, v) each, px and px per frame; pixel k has its centre at k + 0.5. sigma: px. Weights are taken
    relative to the nearest arrow's, so that they do not vanish far from all; for the rest that changes nothing.
    """
    if not len(hints):
        return np.zeros((2, height, width))
    rows, columns = np.arange(height)[:, None] + 0.5, np.arange(width) + 0.5
    exponents = [-((columns - x) ** 2 + (rows - y) ** 2) / sigma**2 for x, y in hints[:, :2].astype(np.float64)]
    weights = np.exp(exponents - np.max(exponents, axis=0))
    return np.einsum("khw,kc->chw", weights / weights.sum(axis=0), hints[:, 2:].astype(np.float64))


class Model:
    """Loads its weights once and answers for one item after the other."""

    def __init__(self, settings):
        found = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = found if settings["device"] == "auto" else settings["device"]
        options = settings["options"]
        self.size, self.sigma, self.blur = options.get("size", 768), options.get("sigma", 0.0), options.get("blur", 15)
        if self.size < STEPS or self.size % STEPS:
            sys.exit("error: options.size=%s of the model: a multiple of %d; 768 as published" % (self.size, STEPS))
        if not self.sigma >= 0:
            sys.exit("error: options.sigma=%s of the model: px, 0 for height / number of arrows" % self.sigma)
        if self.blur < 1 or self.blur % 2 == 0:
            sys.exit("error: options.blur=%s of the model: an odd number of px; 15 as published" % self.blur)
        if not settings["repo"] or not settings["weights"]:
            sys.exit("error: repo (a clone of xingyi-li/3d-cinemagraphy) and weights (sceneflow_model.pth) are needed")
        self.net = self.load(Path(settings["repo"]), Path(settings["weights"]), settings["trust"])

    def load(self, repo, path, trust):
        """The network of the repository with its weights."""
        # The folder has no __init__.py, so it is found only where no other package is called `lib`.
        sys.path.insert(0, str(repo))
        sys.argv[:] = sys.argv[:1]
        from lib.model.motion.architectures import SPADEUnet4MaskMotion

        net = SPADEUnet4MaskMotion(channels_in=6, channels_out=2, config=dict(NORMS))
        # weights_only: nothing in the file is executed, unless the user trusts it by its name.
        content = torch.load(str(path), map_location="cpu", weights_only=path.name not in trust)
        if not isinstance(content, dict) or "netG" not in content:
            sys.exit("error: weights %s: no entry netG; name the file sceneflow_model.pth" % path)
        # The rest of netG are parts of the training.
        state = {k[len(PREFIX) :]: v for k, v in content["netG"].items() if k.startswith(PREFIX)}
        if not state:
            sys.exit("error: weights %s: no parameter in netG begins with %s; another network's" % (path, PREFIX))
        net.load_state_dict(state)
        # Out of training: there, spectral norms change with every call, and a view would depend on those before it.
        return net.to(self.device).eval()

    def __call__(self, arrays, values):
        """Image, mask, valid and hints -> flow in px per frame at the size of the image."""
        moving = (arrays["mask"] * arrays["valid"] >= 0.5).astype(np.float32)
        height, width = moving.shape
        hints = arrays["hints"]
        if not len(hints):
            print("progress   no arrow is seen there: the network goes by the picture and the mask alone", flush=True)
        sigma = self.sigma or height / max(len(hints), 1)
        hint = hint_field(hints, height, width, sigma) * moving
        inputs = torch.cat([self.picture(arrays), *self.at_size(moving, hint)], 1).to(self.device)
        with torch.no_grad():
            flow = self.net(inputs)
            mask = inputs[:, 3:4]
            # A box whose outside counts as zero: flow fades towards the borders of the mask and of the image.
            flow = torch.nn.functional.avg_pool2d(flow * mask, self.blur, 1, self.blur // 2) * mask
            flow = flow * self.scale(width, height).reciprocal().to(flow)
            flow = torch.nn.functional.interpolate(flow, (height, width), mode="bilinear", align_corners=False)
        said = {"arrows": len(hints), "sigma": float(sigma)}
        return {"flow": flow[0].permute(1, 2, 0).cpu().numpy().astype(np.float32)}, said

    def scale(self, width, height):
        """Of flow, from px of the image to px of the network's square [1, 2, 1, 1]."""
        return torch.tensor([self.size / width, self.size / height]).view(1, 2, 1, 1)

    def picture(self, arrays):
        """The image in [-1, 1] on the network's square [1, 3, size, size]; black where nothing is seen."""
        image = np.round(arrays["image"] * (arrays["valid"][..., None] >= 0.5) * 255).astype(np.uint8)
        square = Image.fromarray(image).resize((self.size, self.size), Image.BICUBIC)
        return torch.from_numpy(np.asarray(square, np.float32) / 127.5 - 1).permute(2, 0, 1)[None]

    def at_size(self, moving, hint):
        """Mask (shares of the area) and hints (px per frame there) on the network's square [1, 1 and 2, size, size]."""
        square = (self.size, self.size)
        mask = torch.nn.functional.interpolate(torch.from_numpy(moving)[None, None], square, mode="area")
        hint = torch.from_numpy(hint.astype(np.float32))[None] * self.scale(moving.shape[1], moving.shape[0])
        return mask, torch.nn.functional.interpolate(hint, square, mode="bilinear", align_corners=False)


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
    main(Path(sys.argv[1]))
