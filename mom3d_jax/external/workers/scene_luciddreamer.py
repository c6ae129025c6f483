"""LucidDreamer (Chung et al. 2023): a photo painted on to all sides, as a point cloud or as fitted 3D Gaussians.

    python scene_luciddreamer.py REQUEST

Drives the user's clone (settings.repo); nothing of it is contained here. Set right on the way:

* The clone works at 512 x 512 with a focal length of 582.69 px, whatever the photo. Here its camera gets the photo's
  own focal length, so that the geometry is the photo's.
* It counts pixel centres as whole numbers when it lifts, and as k + 0.5 when it fits; here both are k + 0.5.
* Of photos that are far from square it repaints the photo and keeps the black bars. Here the bars are painted first,
  and the photo is put back over the result.
* Its inpainting weights are asked for under a name that is gone; here they are loaded from settings.weights.
"""

import functools
import importlib
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

FORMAT = 1
SIDE = 512
"""What Stable Diffusion was trained at, and the clone expects."""
PATHS = ("lookdown", "lookaround", "rotate360")
BLENDER = np.diag([1.0, -1.0, -1.0])
"""OpenGL camera axes <-> OpenCV's."""


class Model:
    """Loads its weights once and answers for one item after the other."""

    def __init__(self, settings):
        """Everything that the settings of the model say: repo, weights, device, trust, options."""
        self.options, self.seed = settings["options"], settings["seed"]
        if self.options["path"] not in PATHS:
            sys.exit("error: options.path=%r: one of %s" % (self.options["path"], ", ".join(PATHS)))
        if not settings["repo"]:
            sys.exit("error: external.luciddreamer.repo is not set: name the clone of LucidDreamer")
        if not settings["weights"]:
            sys.exit("error: external.luciddreamer.weights is not set: name the folder of the inpainting weights")
        self.device = "cuda" if settings["device"] == "auto" else settings["device"]
        if not self.device.startswith("cuda"):
            sys.exit("error: this model runs on cuda alone: choose another external.luciddreamer.device")
        if self.device != "cuda":
            torch.cuda.set_device(self.device)  # the clone asks for the current GPU wherever it is
        careful_loading(settings["trust"])
        sys.path.insert(0, settings["repo"])
        self.theirs = importlib.import_module("luciddreamer")
        self.theirs.StableDiffusionInpaintPipeline = local_pipeline(
            self.theirs.StableDiffusionInpaintPipeline, settings["weights"]
        )
        self.folder = tempfile.TemporaryDirectory()
        self.dreamer = self.theirs.LucidDreamer(for_gradio=False, save_dir=self.folder.name)

    def __call__(self, arrays, values):
        """Arrays and values of one item -> arrays, values and files of its result."""
        torch.manual_seed(self.seed)
        np.random.seed(self.seed % 2**32)
        image = arrays["image"]
        square, box = self.squared(image)
        self.look_through(float(np.mean(values["focal"])) * SIDE / max(image.shape[:2]))
        options, own = self.options, self.dreamer
        asked = (square, options["prompt"], options["negative_prompt"], options["path"], self.seed, options["steps"])
        if options["gaussians"]:
            # Its scene object keeps Gaussians of the photo before; a new one starts empty.
            own.gaussians = self.theirs.GaussianModel(own.opt.sh_degree)
            own.save_dir = tempfile.mkdtemp(dir=self.folder.name)
            made = Path(own.create(*asked))
            data = own.traindata
        else:
            made, data = None, own.generate_pcd(*asked)
        points = np.asarray(data["pcd_points"], np.float32).T
        unit = self.unit(points, arrays.get("depth"), box)
        cameras = np.stack([opencv(frame["transform_matrix"]) for frame in data["frames"]])
        cameras[:, :3, 3] *= unit
        focal = own.cam.focal[0]
        given = {
            "cameras": cameras.astype(np.float32),
            "intrinsics": np.tile(np.array([focal, focal, SIDE / 2, SIDE / 2], np.float32), (len(cameras), 1)),
            "points": points * np.float32(unit),
            "colors": np.clip(np.asarray(data["pcd_colors"], np.float32), 0, 1),
        }
        return given, {}, scaled_ply(made, unit) if made else {}

    def squared(self, image):
        """The photo on a square canvas, its bars painted by the model, and the box that it fills."""
        height, width = image.shape[:2]
        scale = SIDE / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = Image.fromarray(np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)).resize(size, Image.LANCZOS)
        left, top = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
        box = (left, top, left + size[0], top + size[1])
        canvas = Image.new("RGB", (SIDE, SIDE))
        canvas.paste(picture, (left, top))
        if size == (SIDE, SIDE):
            return canvas, box
        known = np.zeros((SIDE, SIDE), np.float32)
        known[box[1] : box[3], box[0] : box[2]] = 1
        # On the processor: the same numbers on every GPU.
        generator = torch.Generator().manual_seed(self.seed)
        painted = self.dreamer.rgb(
            prompt=self.options["prompt"],
            image=np.asarray(canvas, np.float32) / 255,
            negative_prompt=self.options["negative_prompt"],
            generator=generator,
            num_inference_steps=self.options["steps"],
            mask_image=known,
        ).convert("RGB")
        painted.paste(picture, (left, top))
        return painted, box

    def look_through(self, focal):
        """Give the clone a camera of this focal length, px at its size."""
        camera = self.dreamer.cam
        camera.H = camera.W = SIDE
        camera.focal = (focal, focal)
        camera.fov = (2 * np.arctan(SIDE / (2 * focal)),) * 2
        # It lifts column k at k; that is k + 0.5 for a centre half a pixel farther left.
        centre = (SIDE - 1) / 2
        camera.K = np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1]], np.float32)

    @staticmethod
    def unit(points, depth, box):
        """What its metres are to be multiplied by for the depth that was given; its first points are the photo's."""
        if depth is None:
            return 1.0
        theirs = points[: SIDE * SIDE, 2].reshape(SIDE, SIDE)[box[1] : box[3], box[0] : box[2]]
        size = (box[2] - box[0], box[3] - box[1])
        ours = np.asarray(Image.fromarray(depth.astype(np.float32)).resize(size, Image.NEAREST))
        return float(np.median(ours / np.maximum(theirs, 1e-6)))


def opencv(matrix):
    """World to camera in OpenCV's axes from camera to world in OpenGL's."""
    pose = np.eye(4)
    pose[:3] = np.asarray(matrix, float)[:3]
    pose[:3, :3] = pose[:3, :3] @ BLENDER
    return np.linalg.inv(pose)


def local_pipeline(pipeline, weights):
    """A pipeline class that loads one folder, whatever name is asked for."""

    class Local:
        @staticmethod
        def from_pretrained(name, revision=None, **options):
            options.pop("safety_checker", None)
            variant = "fp16" if any(Path(weights).glob("unet/*.fp16.*")) else None
            return pipeline.from_pretrained(
                weights, variant=variant, safety_checker=None, local_files_only=True, **options
            )

    return Local


def careful_loading(trust):
    """Weights only, in whatever the clone loads with torch.load, but for files that the user trusts by name."""
    load = torch.load

    @functools.wraps(load)
    def weights_only(file, *args, **options):
        name = os.path.basename(file) if isinstance(file, (str, os.PathLike)) else ""
        options["weights_only"] = name not in trust
        return load(file, *args, **options)

    torch.load = weights_only


def scaled_ply(path, unit):
    """The file of fitted Gaussians in another unit: positions times it, logarithms of scales plus its own."""
    data = path.read_bytes()
    end = data.index(b"end_header\n") + len(b"end_header\n")
    lines = data[:end].decode("ascii").splitlines()
    names = [line.split()[2] for line in lines if line.startswith("property float ")]
    if "format binary_little_endian 1.0" not in lines or len(names) != sum(s.startswith("property") for s in lines):
        sys.exit("error: %s has another layout than that of 3D Gaussian Splatting" % path)
    rows = np.frombuffer(data, "<f4", offset=end).reshape(-1, len(names)).copy()
    for number, name in enumerate(names):
        if name in ("x", "y", "z"):
            rows[:, number] *= unit
        elif name.startswith("scale_"):
            rows[:, number] += np.log(unit)
    return {"gaussians.ply": data[:end] + rows.tobytes()}


def main(folder):
    """Answer the request in a folder; the result appears when it is complete."""
    request = json.loads((folder / "request.json").read_text())
    if request["format"] != FORMAT:
        sys.exit("error: request of format %s, this worker knows %d" % (request["format"], FORMAT))
    sys.argv[:] = sys.argv[:1]
    model, draft, records = Model({**request["settings"], "seed": request["seed"]}), folder / "result.tmp", []
    for number, item in enumerate(request["items"]):
        place = Path("items", "%04d" % number)
        given = {file.stem: np.load(file) for file in (folder / place).glob("*.npy")}
        arrays, values, files = model(given, item["values"])
        (draft / place).mkdir(parents=True)
        for name, array in arrays.items():
            np.save(draft / place / (name + ".npy"), array)
        for name, content in files.items():
            (draft / place / name).write_bytes(content)
        records.append({"name": item["name"], "values": values})
        print("progress %d/%d %s" % (number + 1, len(request["items"]), item["name"]), flush=True)
    versions = {"python": platform.python_version(), "numpy": np.__version__, "torch": str(torch.__version__)}
    provenance = {"versions": versions, "seed": request["seed"], "device": str(model.device)}
    result = {"format": FORMAT, "task": request["task"], "items": records, "provenance": provenance}
    (draft / "result.json").write_text(json.dumps(result))
    draft.rename(folder / "result")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
