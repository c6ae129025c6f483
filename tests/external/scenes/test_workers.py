"""The workers of LucidDreamer and ViewCrafter against look-alikes: entry points, files and quirks as in the clones."""

import dataclasses
import subprocess
import textwrap

import numpy as np
import pytest

from mom3d_jax.config import default_config
from mom3d_jax.export import read_ply
from mom3d_jax.external import ExternalError, Item, ask, make_model

pytestmark = pytest.mark.external

HEIGHT, WIDTH, FOCAL, UNIT = 36, 64, 70.0, 2.0

LUCIDDREAMER = """
import os, numpy as np, torch
from PIL import Image
torch.set_num_threads(1)

class StableDiffusionInpaintPipeline:
    @classmethod
    def from_pretrained(cls, name, variant=None, safety_checker=None, local_files_only=False, torch_dtype=None):
        assert os.path.isfile(os.path.join(name, "model_index.json")) and local_files_only
        return cls()

class GaussianModel:
    def __init__(self, degree):
        self.degree = degree

class Camera:
    def __init__(self):
        self.H = self.W = 512
        self.focal, self.fov = (582.69, 582.69), (0.83, 0.83)
        self.K = np.array([[582.69, 0, 256.0], [0, 582.69, 256.0], [0, 0, 1]], np.float32)

class Options:
    sh_degree = 3

class LucidDreamer:
    def __init__(self, for_gradio=True, save_dir=None):
        assert not for_gradio
        self.opt, self.cam, self.save_dir = Options(), Camera(), save_dir
        self.rgb_model = StableDiffusionInpaintPipeline.from_pretrained(
            "runwayml/stable-diffusion-inpainting", revision="fp16", torch_dtype=torch.float16)

    def rgb(self, prompt, image, negative_prompt="", generator=None, num_inference_steps=50, mask_image=None):
        # Everything changes, as it does in a latent space; what was masked turns green.
        painted = np.where(mask_image[..., None] > 0.5, 0.5 * image, [0.0, 1.0, 0.0])
        return Image.fromarray(np.round(255 * painted).astype(np.uint8))

    def generate_pcd(self, rgb_cond, prompt, negative_prompt, path, seed, steps):
        assert rgb_cond.size == (512, 512), "others are cropped or spoilt"
        picture, z = np.asarray(rgb_cond, np.float32).reshape(-1, 3) / 255, 3.0
        x, y = np.meshgrid(np.arange(512.0), np.arange(512.0))
        points = np.linalg.inv(self.cam.K) @ np.stack([x * z, y * z, z + 0 * x]).reshape(3, -1)
        behind = np.array([[0.0], [0.0], [-3.0]])
        still = np.diag([1.0, -1.0, -1.0, 1.0])
        right = still.copy()
        right[0, 3] = 1.0
        frames = [{"image": rgb_cond, "transform_matrix": m.tolist()} for m in (still, right)]
        return {"camera_angle_x": self.cam.fov[0], "W": 512, "H": 512, "frames": frames,
                "pcd_points": np.concatenate([points, behind], 1), "pcd_colors": np.concatenate([picture, [[1, 0, 0]]])}

    def create(self, *asked):
        self.traindata = self.generate_pcd(*asked)
        os.makedirs(self.save_dir, exist_ok=True)
        file = os.path.join(self.save_dir, "gsplat.ply")
        assert not os.path.exists(file), "would be loaded instead of written"
        names = ["x", "y", "z", "nx", "ny", "nz"] + ["f_dc_%d" % i for i in range(3)]
        names += ["f_rest_%d" % i for i in range(45)] + ["opacity"] + ["scale_%d" % i for i in range(3)]
        names += ["rot_%d" % i for i in range(4)]
        rows = np.zeros((4, len(names)), "<f4")
        rows[:, :3], rows[:, names.index("opacity")], rows[:, -4] = [1.0, 2.0, 3.0], 1.5, 1.0
        rows[:, names.index("scale_0")] = -1.0
        with open(file, "wb") as out:
            head = ["ply", "format binary_little_endian 1.0", "element vertex 4"]
            head += ["property float " + name for name in names] + ["end_header", ""]
            out.write("\\n".join(head).encode() + rows.tobytes())
        return file
"""

INFER_CONFIG = """
import argparse

def get_parser():
    parser = argparse.ArgumentParser()
    for name in ("out_dir", "device", "mode", "traj_txt", "ckpt_path", "model_path", "config"):
        parser.add_argument("--" + name, type=str)
    for name in ("elevation", "center_scale"):
        parser.add_argument("--" + name, type=float)
    for name in ("seed", "ddim_steps", "video_length", "height", "width"):
        parser.add_argument("--" + name, type=int)
    parser.add_argument("--dpt_trd", type=float, default=1.0)
    return parser
"""
VIEWCRAFTER = """
import math, numpy as np, torch
from PIL import Image
torch.set_num_threads(1)
DEPTH = 3.0

class Scene:
    n_imgs = 2
    def __init__(self):
        self.focals = torch.tensor([[333.0], [333.0]])
    def preset_focal(self, known):
        self.focals = torch.tensor(known)[:, None]
    def get_depthmaps(self):
        return [torch.full((18, 32), DEPTH) for _ in range(2)]

def global_aligner(output, device, mode):
    return Scene()

def turn(axis, degrees):
    a, matrix = math.radians(degrees), np.eye(4)
    i, j = {"x": (1, 2), "y": (2, 0)}[axis]
    matrix[i, i] = matrix[j, j] = math.cos(a)
    matrix[i, j], matrix[j, i] = -math.sin(a), math.sin(a)
    return matrix

class ViewCrafter:
    def __init__(self, opts, gradio=False):
        assert gradio, "else it asks for an image at once"
        self.opts = opts
        torch.load(opts.ckpt_path, map_location="cpu")
        eval(torch.load(opts.model_path, map_location="cpu")["args"].model)

    def load_initial_images(self, image_dir):
        picture = Image.open(image_dir)
        assert picture.size == (self.opts.width, self.opts.height)
        image = {"true_shape": np.array([[18, 32]]), "idx": 0}
        return [image, dict(image, idx=1)], torch.tensor(np.asarray(picture) / 255.0)

    def run_dust3r(self, input_images, clean_pc=False):
        self.scene = global_aligner(None, device="cpu", mode=None)

    def nvs_single_view(self, gradio=False):
        # A painted wall in the distance DEPTH, from where the trajectory goes; frame 0 is the photo.
        phi, theta, r = [[float(n) for n in line.split()] for line in open(self.opts.traj_txt)]
        n, radius, h, w = self.opts.video_length, DEPTH * self.opts.center_scale, self.opts.height, self.opts.width
        around = turn("x", self.opts.elevation - 180)
        around[2, 3] = radius
        start = np.linalg.inv(around)
        frames = []
        for k in range(n):
            at = [np.interp(k / (n - 1), np.linspace(0, 1, len(v)), v) for v in (phi, theta, r)]
            pose = start.copy()
            pose[2, 3] *= 1 + at[2]
            to_photo = around @ turn("y", at[0]) @ turn("x", at[1]) @ pose
            f = float(self.scene.focals[0]) * w / 32
            v, u = np.mgrid[:h, :w] + 0.5
            ray = np.stack([(u - w / 2) / f, (v - h / 2) / f, np.ones_like(u)], -1) @ to_photo[:3, :3].T
            x = to_photo[:3, 3] + ray * ((DEPTH - to_photo[2, 3]) / ray[..., 2])[..., None]
            frames.append(np.stack([np.sin(2 * x[..., 0]), np.cos(3 * x[..., 1]), 0 * u + 1.01], -1))
        return torch.tensor(np.stack(frames), dtype=torch.float32)
"""


@pytest.fixture(scope="module")
def photo():
    image = np.kron(np.random.default_rng(1).random((9, 16, 3)), np.ones((4, 4, 1))).astype(np.float32)
    depth = np.full((HEIGHT, WIDTH), 3.0 * UNIT, np.float32)
    arrays = {"image": image, "mask": np.ones((HEIGHT, WIDTH), np.float32), "depth": depth}
    return Item("lake", arrays, {"focal": [FOCAL, FOCAL], "centre": [WIDTH / 2, HEIGHT / 2]})


@pytest.fixture
def luciddreamer(tmp_path, torch_python):
    repo, weights = tmp_path / "LucidDreamer", tmp_path / "weights"
    repo.mkdir()
    (repo / "luciddreamer.py").write_text(LUCIDDREAMER)
    for name in ("model_index.json", "unet/config.json", "vae/config.json", "text_encoder/config.json"):
        (weights / name).parent.mkdir(parents=True, exist_ok=True)
        (weights / name).write_text("{}")

    def make(**options):
        c = default_config().external.luciddreamer.to_dict()
        own = {"python": torch_python, "repo": str(repo), "weights": str(weights), "timeout": 120.0}
        c = {**c, **own, "options": {**c["options"], **options}}
        return make_model("luciddreamer", "scene", c, seed=5, store=tmp_path / "store")

    return make


@pytest.fixture
def viewcrafter(tmp_path, torch_python):
    repo = tmp_path / "ViewCrafter"
    (repo / "configs").mkdir(parents=True)
    (repo / "checkpoints").mkdir()
    (repo / "viewcrafter.py").write_text(VIEWCRAFTER)
    (repo / "configs" / "infer_config.py").write_text(INFER_CONFIG)
    geometry = "DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth"
    write = """
    import argparse, sys, torch
    torch.save({"state_dict": {"w": torch.ones(1)}}, sys.argv[1] + "/model.ckpt")
    torch.save({"args": argparse.Namespace(model="dict()")}, sys.argv[1] + "/" + sys.argv[2])
    """
    words = ["-c", textwrap.dedent(write), str(repo / "checkpoints"), geometry]
    subprocess.run([torch_python, *words], check=True)

    def make(trust=(geometry,), **options):
        c = default_config().external.viewcrafter.to_dict()
        own = {"python": torch_python, "repo": str(repo), "trust": trust, "timeout": 120.0, "device": "auto"}
        small = {"width": 128, "height": 72, "frames": 5, "elevation": 10.0, "center_scale": 0.8}
        small |= {"phi": (0.0, 20.0), "theta": (0.0, -10.0), "r": (0.0, -0.2)}
        c = {**c, **own, "options": {**c["options"], **small, **options}}
        return make_model("viewcrafter", "scene", c, seed=5, store=tmp_path / "store")

    return make


def seen_in_the_photo(points, colors, image):
    """Mean difference between points and the pixels of the photo that they fall on, and how many do."""
    pixels = FOCAL * points[:, :2] / points[:, 2:] + [WIDTH / 2, HEIGHT / 2]
    inside = (points[:, 2] > 0) & (pixels > 0).all(-1) & (pixels < [WIDTH, HEIGHT]).all(-1)
    x, y = pixels[inside].astype(int).T
    return np.abs(colors[inside] - image[y, x]).mean(), inside.sum()


def test_luciddreamer_gets_the_photo_and_its_focal_length(luciddreamer, photo):
    (result,) = ask(luciddreamer(gaussians=False), [photo])
    points, colors = result.arrays["points"], result.arrays["colors"]
    difference, inside = seen_in_the_photo(points, colors, photo.arrays["image"])
    # The photo fills 512 x 288 of its square to the half pixel; the repainted colours would be half as bright.
    assert inside == 512 * 288
    assert difference < 0.06
    np.testing.assert_allclose(points[:-1, 2], 3 * UNIT, rtol=1e-5)
    np.testing.assert_allclose(colors[0], [0, 1, 0])
    np.testing.assert_allclose(points[-1], [0, 0, -3 * UNIT], atol=1e-5)
    pixels = FOCAL * points[: 512 * 512, :2] / points[: 512 * 512, 2:]
    np.testing.assert_allclose(pixels.mean(0), 0, atol=1e-3)


def test_luciddreamers_cameras_look_our_way(luciddreamer, photo):
    (result,) = ask(luciddreamer(gaussians=False), [photo])
    moved = np.eye(4)
    moved[0, 3] = -UNIT
    np.testing.assert_allclose(result.arrays["cameras"], [np.eye(4), moved], atol=1e-6)
    focal = FOCAL * 512 / WIDTH
    np.testing.assert_allclose(result.arrays["intrinsics"], [[focal, focal, 256, 256]] * 2, rtol=1e-6)


def test_luciddreamers_gaussians_come_in_our_unit(luciddreamer, photo):
    second = Item("sea", photo.arrays, photo.values | {"focal": [60.0, 60.0]})
    for result in ask(luciddreamer(), [photo, second]):
        g = read_ply(result.files["gaussians.ply"])
        np.testing.assert_allclose(g.means, np.tile([2.0, 4.0, 6.0], (4, 1)), rtol=1e-6)
        np.testing.assert_allclose(g.log_scales, np.tile([-1 + np.log(2), np.log(2), np.log(2)], (4, 1)), rtol=1e-5)
        np.testing.assert_allclose(g.opacity_logits, 1.5)
        assert g.sh.shape == (4, 16, 3)


@pytest.mark.parametrize(("device", "path", "said"), [("cpu", "lookdown", "cuda alone"), ("cuda", "up", "one of look")])
def test_what_luciddreamer_cannot_do(luciddreamer, photo, device, path, said):
    with pytest.raises(ExternalError, match=said):
        ask(dataclasses.replace(luciddreamer(path=path), device=device), [photo])


@pytest.mark.parametrize(
    "options",
    [{}, {"phi": (0.0, -15.0, 5.0), "theta": (0.0, 0.0), "r": (0.0, 0.1)}, {"elevation": -20.0, "center_scale": 1.3}],
)
def test_viewcrafters_cameras_are_those_of_its_frames(viewcrafter, photo, options):
    (result,) = ask(viewcrafter(**options), [photo])
    images, cameras, intrinsics = (result.arrays[name] for name in ("images", "cameras", "intrinsics"))
    assert images.shape == (4, 72, 128, 3)  # without the photo
    assert np.abs(cameras[:, :3, 3]).max() > 0.3
    # Rays of every pixel meet the painted wall where its colour is.
    for image, camera, (fx, fy, cx, cy) in zip(images, cameras.astype(float), intrinsics, strict=True):
        v, u = np.mgrid[:72, :128] + 0.5
        to_photo = np.linalg.inv(camera)
        ray = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones_like(u)], -1) @ to_photo[:3, :3].T
        place = to_photo[:3, 3] + ray * ((3 * UNIT - to_photo[2, 3]) / ray[..., 2])[..., None]
        painted = np.stack([np.sin(2 * place[..., 0] / UNIT), np.cos(3 * place[..., 1] / UNIT)], -1)
        np.testing.assert_allclose(image[..., :2] / 255, (painted + 1) / 2, atol=0.01)
        assert (image[..., 2] == 255).all()  # above white, not wrapped


def test_viewcrafters_points_are_the_photo(viewcrafter, photo):
    (result,) = ask(viewcrafter(), [photo])
    difference, inside = seen_in_the_photo(result.arrays["points"], result.arrays["colors"], photo.arrays["image"])
    assert inside == 32 * 18
    assert difference < 0.25 / 2
    np.testing.assert_allclose(result.arrays["points"][:, 2], 3 * UNIT, rtol=1e-6)


def test_viewcrafters_checkpoint_that_runs_code_has_to_be_trusted(viewcrafter, photo):
    with pytest.raises(ExternalError, match=r"DUSt3R_.*\.pth runs code on loading: .* in external\.viewcrafter\.trust"):
        ask(viewcrafter(trust=()), [photo])


@pytest.mark.parametrize("phi", [(5.0, 10.0), (0.0,), tuple(range(26))])
def test_viewcrafters_trajectory_begins_at_the_photo(viewcrafter, photo, phi):
    with pytest.raises(ExternalError, match=r"options\.phi=\[.*\]: 2 to 25 numbers, the first of them 0"):
        ask(viewcrafter(phi=phi), [photo])
