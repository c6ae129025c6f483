"""ViewCrafter (Yu et al. 2024): the frames of a generated camera move around a photo, with the camera of each frame.

    python scene_viewcrafter.py REQUEST

Drives the user's clone (settings.repo); nothing of it is contained here. The clone writes no cameras: they are rebuilt
from the trajectory that it was given (`trajectory`). It estimates a focal length of its own; here that of the photo is
set, so that its depth and its cameras are those of the photo. It works on 16:9, so the middle of other photos is shown.
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
ASPECT = 16 / 9
GEOMETRY = "DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth"
MOVES = ("phi", "theta", "r")


class Model:
    """Loads its weights once and answers for one item after the other."""

    def __init__(self, settings):
        """Everything that the settings of the model say: repo, weights, device, trust, options."""
        self.options, self.seed = settings["options"], settings["seed"]
        for name in MOVES:
            given = self.options[name]
            if not 2 <= len(given) <= 25 or given[0] != 0:
                sys.exit("error: options.%s=%s: 2 to 25 numbers, the first of them 0" % (name, list(given)))
        if not settings["repo"]:
            sys.exit("error: external.viewcrafter.repo is not set: name the clone of ViewCrafter")
        if not Path(settings["weights"]).is_dir():
            sys.exit("error: external.viewcrafter.weights is not a folder: name that of model.ckpt and " + GEOMETRY)
        if GEOMETRY not in settings["trust"]:
            # Beside its tensors it holds the text of a program, which the clone evaluates.
            sys.exit(
                "error: %s runs code on loading: if you trust where it comes from, name it in "
                "external.viewcrafter.trust" % GEOMETRY
            )
        careful_loading(settings["trust"])
        found = "cuda:0" if torch.cuda.is_available() else "cpu"
        self.device = {"auto": found, "cuda": "cuda:0"}.get(settings["device"], settings["device"])
        # Its own folders are named relative to the repository, where this runs.
        sys.path.insert(0, settings["repo"])
        self.theirs = importlib.import_module("viewcrafter")
        parser = importlib.import_module("configs.infer_config").get_parser()
        self.folder = tempfile.TemporaryDirectory()
        self.opts = parser.parse_args(self.arguments(settings["weights"]))
        self.opts.save_dir = self.folder.name
        self.focal = None
        self.theirs.global_aligner = self.with_focal(self.theirs.global_aligner)
        self.crafter = self.theirs.ViewCrafter(self.opts, gradio=True)

    def arguments(self, weights):
        """The words of its command line."""
        o = self.options
        moves = Path(self.folder.name, "trajectory.txt")
        moves.write_text("\n".join(" ".join(map(str, o[name])) for name in MOVES) + "\n")
        words = {
            "out_dir": self.folder.name,
            "device": self.device,
            "mode": "single_view_txt",
            "traj_txt": moves,
            "elevation": o["elevation"],
            "center_scale": o["center_scale"],
            "seed": self.seed % 2**32,
            "ckpt_path": Path(weights, o["checkpoint"]),
            "model_path": Path(weights, GEOMETRY),
            "config": o["config"],
            "ddim_steps": o["steps"],
            "video_length": o["frames"],
            "height": o["height"],
            "width": o["width"],
        }
        return ["--%s=%s" % pair for pair in words.items()]

    def with_focal(self, global_aligner):
        """Its alignment of depth, with the focal length of the photo instead of a guess."""

        def aligned(*args, **options):
            scene = global_aligner(*args, **options)
            scene.preset_focal([self.focal] * scene.n_imgs)
            return scene

        return aligned

    def __call__(self, arrays, values):
        """Arrays and values of one item -> arrays and values of its result."""
        torch.manual_seed(self.seed)
        np.random.seed(self.seed % 2**32)
        picture, box = middle(arrays["image"], (self.opts.width, self.opts.height))
        photo = Path(self.folder.name, "photo.png")
        picture.save(photo)
        crafter, across = self.crafter, box[2] - box[0]
        crafter.images, crafter.img_ori = crafter.load_initial_images(image_dir=str(photo))
        height, width = (int(n) for n in np.ravel(crafter.images[0]["true_shape"])[:2])
        # Of its own working size, px.
        self.focal = float(np.mean(values["focal"])) * width / across
        crafter.run_dust3r(input_images=crafter.images)
        frames = crafter.nvs_single_view().detach().cpu().numpy()
        depth = crafter.scene.get_depthmaps()[-1].detach().cpu().numpy().reshape(height, width)
        centre = float(depth[height // 2, width // 2])
        o = self.options
        cameras = trajectory(centre * o["center_scale"], o["elevation"], *(o[name] for name in MOVES), o["frames"])
        unit = 1.0
        if "depth" in arrays:
            given = Image.fromarray(arrays["depth"].astype(np.float32)).crop(box).resize((width, height), Image.NEAREST)
            unit = float(np.median(np.asarray(given) / np.maximum(depth, 1e-6)))
        cameras[:, :3, 3] *= unit
        points, colors = lifted(depth * unit, self.focal, picture)
        # The first frame is the photo, and so is the last where the camera comes back.
        kept = [k for k in range(len(frames)) if not np.allclose(cameras[k], np.eye(4), atol=1e-6)]
        ratio = frames.shape[2] / width
        intrinsics = [self.focal * ratio, self.focal * ratio, frames.shape[2] / 2, frames.shape[1] / 2]
        return {
            "points": points,
            "colors": colors,
            "cameras": cameras[kept].astype(np.float32),
            "intrinsics": np.tile(np.array(intrinsics, np.float32), (len(kept), 1)),
            "images": np.round(np.clip((frames[kept] + 1) / 2, 0, 1) * 255).astype(np.uint8),
        }, {}


def trajectory(radius, elevation, phi, theta, r, frames):
    """World to camera of each frame, OpenCV axes, the world being the camera of the photo.

    The camera moves on a sphere around the point `radius` in front of it, in axes that are turned by 180° - elevation
    about x: frame k is nearer by the share -r of its own height there, then turned by theta about x and phi about y.

    Args:
      radius: distance of the point around which it turns.
      elevation: of the photo's camera, degrees.
      phi: key values in degrees, spread evenly over the frames; positive to the right.
      theta: the same; negative upwards.
      r: the same as shares; negative forwards.
      frames: how many.
    """
    about = np.eye(4)
    about[:3, :3] = about_x(elevation - 180.0)
    about[2, 3] = radius
    start = np.linalg.inv(about)
    poses = []
    for right, up, back in zip(spread(phi, frames), spread(theta, frames), spread(r, frames)):
        pose = start.copy()
        pose[2, 3] += back * start[2, 3]
        turn = np.eye(4)
        turn[:3, :3] = about_y(right) @ about_x(up)
        poses.append(np.linalg.inv(turn @ pose) @ start)
    return np.stack(poses)


def spread(values, frames):
    """Key values over the frames: straight between up to three, a smoothing cubic with fixed ends through more."""
    places, wanted = np.linspace(0, 1, len(values)), np.linspace(0, 1, frames)
    if len(values) <= 3:
        return np.interp(wanted, places, values)
    from scipy.interpolate import UnivariateSpline

    curve = UnivariateSpline(places, values, k=3)(wanted)
    curve[0], curve[-1] = values[0], values[-1]
    return curve


def about_x(degrees):
    """Rotation about x."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def about_y(degrees):
    """Rotation about y."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def middle(image, size):
    """The middle of a photo at 16:9 and a size, and the box that it had, px."""
    height, width = image.shape[:2]
    across, down = min(width, round(height * ASPECT)), min(height, round(width / ASPECT))
    left, top = (width - across) // 2, (height - down) // 2
    box = (left, top, left + across, top + down)
    picture = Image.fromarray(np.round(255 * np.clip(image, 0, 1)).astype(np.uint8))
    return picture.crop(box).resize(size, Image.LANCZOS), box


def lifted(depth, focal, picture):
    """Points of a depth map [h, w] seen with a focal length in px, pixel k centred at k + 0.5, and their colours."""
    height, width = depth.shape
    v, u = np.mgrid[:height, :width] + 0.5
    points = np.stack([(u - width / 2) / focal * depth, (v - height / 2) / focal * depth, depth], -1)
    colors = np.asarray(picture.resize((width, height), Image.LANCZOS), np.float32) / 255
    return points.reshape(-1, 3).astype(np.float32), colors.reshape(-1, 3)


def careful_loading(trust):
    """Weights only, in whatever the clone loads with torch.load, but for files that the user trusts by name."""
    load = torch.load

    @functools.wraps(load)
    def weights_only(file, *args, **options):
        name = os.path.basename(file) if isinstance(file, (str, os.PathLike)) else ""
        options["weights_only"] = name not in trust
        return load(file, *args, **options)

    torch.load = weights_only


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
