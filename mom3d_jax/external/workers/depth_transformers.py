"""Depth by any model that the transformers library has for it: ZoeDepth, DPT, Depth Anything and others.

    python depth_transformers.py REQUEST

Runs in an environment with torch, transformers and pillow, and torchvision where it fits the torch. The weights are a
folder as `save_pretrained` or the hub writes it: config.json, a processor's configuration, safetensors.
docs/external.md has the request's form.
"""

import json
import platform
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image

FORMAT = 1

RELATIVE, METRIC = {"kind": "relative"}, {"kind": "metric", "unit": "m"}
KINDS = ("metric", "inverse", "relative")
BY_TYPE = {"zoedepth": METRIC, "glpn": METRIC, "depth_pro": METRIC, "tipsv2_dpt": METRIC}
"""What models of these types give. Those below give it or that, and their configuration says which."""
ANYTHING = ("depth_anything", "prompt_depth_anything")
ANYTHING_SAYS = {"metric": METRIC, "relative": RELATIVE}
MIDAS_BACKBONES = ("", "bit", "beit", "swinv2")
"""Backbones of the DPT models of MiDaS, which give inverse depth up to scale and shift. Those on DINOv2 were trained
on metres by others, and nothing in their configuration tells."""
NO_DEPTH = {"chmv2": "heights of tree tops seen from above"}
"""Models among the library's depth models that give something else."""
OWN_RESOLUTION = ("depth_pro",)
"""Models whose post-processing is more than resampling."""


def what_it_gives(config, options):
    """`kind` and `unit` of a model's results: what the user says, else by the tables above; never by the numbers.

    `config` is the content of its config.json. Ends the worker where neither says.
    """
    kind, model_type = options.get("kind", ""), config.get("model_type", "")
    if kind not in ("", *KINDS):
        sys.exit("error: options.kind=%r of the model: one of %s, or empty for the table" % (kind, ", ".join(KINDS)))
    if kind:
        return {"kind": kind, "unit": options.get("unit", "m")} if kind == "metric" else {"kind": kind}
    if model_type in NO_DEPTH:
        sys.exit("error: a model of type %s gives %s, not depth; choose another" % (model_type, NO_DEPTH[model_type]))
    found = BY_TYPE.get(model_type)
    if model_type in ANYTHING:
        found = ANYTHING_SAYS.get(config.get("depth_estimation_type", "relative"))
    if model_type == "dpt":
        backbone = (config.get("backbone_config") or {}).get("model_type", "")
        if backbone in MIDAS_BACKBONES and not config.get("backbone"):
            found = RELATIVE
    if found is None:
        sys.exit(
            "error: it is not known what a model of type %r with this configuration gives; read its card and set its "
            "options.kind to metric (z, in options.unit), inverse (1 / z) or relative (larger is nearer)" % model_type
        )
    return found


def without_padding(raw, size, padded):
    """ZoeDepth's output [1, h2, w2] at the size (h, w) of the image, without the border that its processor adds.

    The border is reflected, 3 sqrt(h / 2) px above and below and 3 sqrt(w / 2) px left and right, rounded down. Stated
    here because release 5.23 of the library takes it off with torchvision alone.
    """
    height, width = size
    above, left = (int(3 * np.sqrt(side / 2)) if padded else 0 for side in size)
    whole = (height + 2 * above, width + 2 * left)
    whole = torch.nn.functional.interpolate(raw[:, None], whole, mode="bicubic", align_corners=False)
    return whole[0, 0, above : above + height, left : left + width]


class Model:
    """Loads its weights once and answers for one item after the other."""

    def __init__(self, settings):
        found = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = found if settings["device"] == "auto" else settings["device"]
        if not settings["weights"]:
            sys.exit("error: this model needs weights: a folder, or a name on the hub such as Intel/zoedepth-nyu-kitti")
        folder = Path(settings["weights"])
        if not (folder / "config.json").is_file():
            sys.exit("error: weights %s: no config.json there; name the folder that holds it" % folder)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.values = what_it_gives(config, settings["options"])
        self.flip = bool(settings["options"].get("flip", False))
        self.type = config["model_type"]
        # Only the folder is read, and only tensors: no fetching, no code that comes with a model, no pickles.
        only = {"local_files_only": True, "trust_remote_code": False}
        self.processor = transformers.AutoImageProcessor.from_pretrained(str(folder), **only)
        self.net, loaded = transformers.AutoModelForDepthEstimation.from_pretrained(
            str(folder), use_safetensors=True, output_loading_info=True, **only
        )
        self.net = self.net.float().to(self.device).eval()
        self.missing = sorted(loaded["missing_keys"])
        # The library fills what a file lacks with random numbers. Some models have parameters that they never use and
        # that no file has; in the place of any other one, NaN shows.
        for name, parameter in self.net.named_parameters():
            if name in loaded["missing_keys"]:
                parameter.data.fill_(float("nan"))
        # Processors resample with torchvision where it is there, else with pillow: slightly different pictures.
        self.versions = {"transformers": transformers.__version__, "resampling": type(self.processor).__name__}

    def __call__(self, arrays, values):
        """Image -> depth at its size, and what kind of depth that is."""
        image = np.round(arrays["image"] * 255).astype(np.uint8)  # what processors are made for
        depth, overshoot = self.depth_of(image)
        if self.flip:
            mirrored, more = self.depth_of(image[:, ::-1])
            depth, overshoot = (depth + mirrored[:, ::-1]) / 2, (overshoot + more) / 2
        if not np.isfinite(depth).all() and self.missing:
            sys.exit(
                "error: the weights lack %d parameters that the model uses, such as %s; fetch them again, or another "
                "release of transformers (this one is %s)"
                % (len(self.missing), self.missing[0], transformers.__version__)
            )
        print("%.3f%% of the resampled pixels were beyond what the network gave" % (100 * overshoot))
        return {"depth": depth.astype(np.float32)}, dict(self.values, overshoot=round(overshoot, 6))

    def depth_of(self, image):
        """Depth at the size of an image, and the share of pixels that resampling had put outside the network's range.

        Bicubic resampling overshoots at edges, up to depths that are negative.
        """
        size = [image.shape[:2]]
        # As a picture: of an array the library would have to guess which axis the colours are.
        picture = Image.fromarray(np.ascontiguousarray(image))
        inputs = self.processor(images=picture, return_tensors="pt").to(self.device)
        with torch.no_grad():
            outputs = self.net(**inputs)
        raw = outputs.predicted_depth
        if self.type == "zoedepth":
            depth = without_padding(raw, size[0], padded=getattr(self.processor, "do_pad", True))
        else:
            depth = self.processor.post_process_depth_estimation(outputs, target_sizes=size)[0]["predicted_depth"]
        depth = depth.cpu().numpy().astype(np.float64).reshape(size[0])
        if self.type in OWN_RESOLUTION:
            return depth, 0.0
        low, high = float(raw.min()), float(raw.max())
        return np.clip(depth, low, high), float(np.mean((depth < low) | (depth > high)))


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
    provenance = {"versions": dict(versions, **model.versions), "seed": request["seed"], "device": str(model.device)}
    result = {"format": FORMAT, "task": request["task"], "items": records, "provenance": provenance}
    (draft / "result.json").write_text(json.dumps(result))
    draft.rename(folder / "result")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
