"""The template, and weights that would run code, with real torch: `python3 run.py test-external`."""

import subprocess
import sys

import numpy as np
import pytest

from mom3d_jax import artifacts, pipeline
from mom3d_jax.config import default_config, external_model
from mom3d_jax.external import ExternalError, ask, make_model
from mom3d_jax.external.registry import WORKERS
from mom3d_jax.synthetic import landscape, write_scene

pytestmark = pytest.mark.external

SAVE = """
import sys, torch
torch.manual_seed(3)
net = torch.nn.Conv2d(3, 1, kernel_size=5, padding=2)
kind, path = sys.argv[1:]

class Options:
    pass

class Trap:
    def __reduce__(self):
        return open, (path + ".sprung", "w")

legacy = kind == "legacy"
content = {"state": net.state_dict(), "more": net.state_dict() | {"x": torch.zeros(1)}}.get(kind, net.state_dict())
if kind == "options":
    content["options"] = Options()
if kind == "trap":
    content["trap"] = Trap()
torch.save(content, path, _use_new_zipfile_serialization=not legacy)
"""


@pytest.fixture(scope="module")
def save(torch_python, tmp_path_factory):
    """Weights for the template of some kind."""
    folder = tmp_path_factory.mktemp("weights")

    def make(kind):
        path = folder / f"{kind}.pth"
        if not path.exists():
            subprocess.run([torch_python, "-c", SAVE, kind, str(path)], check=True)
        return path

    return make


@pytest.fixture
def template(torch_python, tmp_path):
    def make(seed=0, **settings):
        c = {**external_model().to_dict(), "python": torch_python, "device": "cpu", "timeout": 300.0, **settings}
        return make_model("template", "depth", c, seed=seed, store=tmp_path / "store")

    return make


def convolved(weight, bias, image):
    """The template's network on an image, in NumPy."""
    padded = np.pad(image.astype(np.float64), ((2, 2), (2, 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(0, 1))
    return np.einsum("hwcij,cij->hw", windows, weight[0].astype(np.float64)) + bias[0]


def test_the_template_runs_its_weights(template, items, save, torch_python, tmp_path):
    code = (
        "import sys, torch, numpy as np; s = torch.load(sys.argv[1]); np.savez(sys.argv[2], w=s['weight'], b=s['bias'])"
    )
    subprocess.run([torch_python, "-c", code, str(save("state")), str(tmp_path / "s.npz")], check=True)
    state = np.load(tmp_path / "s.npz")
    asked = items(3)
    results = ask(template(weights=str(save("state"))), asked)
    for item, result in zip(asked, results, strict=True):
        expected = convolved(state["w"], state["b"], item.arrays["image"])
        np.testing.assert_allclose(result.arrays["depth"], expected, atol=1e-5)
        assert result.provenance["versions"]["torch"].startswith("2.")
    assert len(results[0].provenance["weights_sha256"]) == 64


def test_a_seed_repeats(template, items):
    first = ask(template(seed=1), items(1))[0].arrays["depth"]
    again = ask(template(seed=1, options={"x": 1}), items(1))[0].arrays["depth"]  # asked anew: another setting
    other = ask(template(seed=2), items(1))[0].arrays["depth"]
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


@pytest.mark.parametrize("kind", ["options", "trap"])
def test_weights_that_would_run_code_are_refused(template, items, save, kind):
    path = save(kind)
    with pytest.raises(ExternalError, match=r"name the file in external\.template\.trust"):
        ask(template(weights=str(path)), items(1))
    assert not path.with_name(path.name + ".sprung").exists()
    with pytest.raises(ExternalError, match=r"name the file in external\.template\.trust"):
        ask(template(weights=str(path), trust=("another.pth",)), items(1))
    if kind == "trap":
        # By its name it is opened as it is, and then does not fit.
        with pytest.raises(ExternalError, match="the weights do not fit this model"):
            ask(template(weights=str(path), trust=(path.name,)), items(1))
        assert path.with_name(path.name + ".sprung").exists()


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("state", lambda data: data[: len(data) // 2], r"cut short \(\d+ bytes\); fetch the file again"),
        ("legacy", lambda data: data[: len(data) // 2], "damaged or cut short: fetch them again"),
        ("legacy", lambda data: data[:-4], "damaged or cut short: fetch them again"),
        ("state", lambda data: b"\x80\x02" + data[:40], "damaged or cut short: fetch them again"),
        ("state", lambda data: b"not weights at all, just words", "damaged or cut short: fetch them again"),
    ],
)
def test_damaged_weights(template, items, save, tmp_path, kind, change, said):
    path = tmp_path / "damaged.pth"
    path.write_bytes(change(save(kind).read_bytes()))
    with pytest.raises(ExternalError, match=said):
        ask(template(weights=str(path)), items(1))


def test_weights_of_another_network(template, items, save):
    with pytest.raises(ExternalError, match="the weights do not fit this model"):
        ask(template(weights=str(save("more"))), items(1))


def test_a_device_that_there_is_not(template, items):
    with pytest.raises(ExternalError, match=r"device 'cuda:77' cannot be used from there"):
        ask(template(device="cuda:77"), items(1))


def test_memory_that_there_is_not(torch_python, items, tmp_path):
    worker = tmp_path / "worker.py"
    worker.write_text("import torch\ntorch.empty(1 << 60, dtype=torch.uint8)\n")
    c = {**external_model().to_dict(), "python": torch_python, "worker": str(worker)}
    with pytest.raises(ExternalError, match="not enough memory"):
        ask(make_model("mine", "depth", c, seed=0, store=tmp_path / "store"), items(1))


def test_an_environment_without_torch(items, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    c = {**external_model().to_dict(), "python": str(tmp_path / "bare" / "bin" / "python")}
    with pytest.raises(ExternalError, match=r"bin/python has no (numpy|torch): install it there"):
        ask(make_model("template", "depth", c, seed=0, store=tmp_path / "store"), items(1))


FLOW = """
        x = torch.from_numpy(arrays["image"]).permute(2, 0, 1)[None]
        flow = torch.tanh(self.net(x))[0, 0, :, :, None] * torch.tensor([0.5, 0.25])
        return {"flow": flow.detach().numpy()}, {}
"""
ANIMATION = """
        image, flow = (torch.from_numpy(arrays[name]) for name in ("image", "flow"))
        h, w = image.shape[:2]
        y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
        frames = []
        for t in range(values["frames"]):
            at = torch.stack([x, y], -1) - t * flow
            grid = (at / torch.tensor([w, h]) * 2 - 1)[None].float()
            warped = torch.nn.functional.grid_sample(
                image.permute(2, 0, 1)[None], grid, padding_mode="border", align_corners=False)
            frames.append((warped[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).numpy())
        return {"video": np.stack(frames)}, {}
"""


def test_end_to_end_with_three_models(torch_python, tmp_path, save):
    """The same artifacts as by the built-ins, with what the models say in them."""
    write_scene(tmp_path / "lake", landscape(seed=0, width=96, height=54))
    source = (WORKERS / "template.py").read_text()
    start = source.index("        image = torch.from_numpy")
    end = source.index("\n\ndef main")
    c = default_config("depth=template")
    c.external.template.python = torch_python
    c.external.template.weights = str(save("state"))
    for stage, body in (("flow", FLOW), ("animation", ANIMATION)):
        worker = tmp_path / f"{stage}.py"
        worker.write_text(source[:start] + body.lstrip("\n") + source[end:])
        c.external[stage] = external_model()
        c.external[stage].update({"worker": str(worker), "python": torch_python, "device": "cpu", "task": stage})
        c[stage].model = stage
    c.input = str(tmp_path / "lake")
    c.size.width = 64
    c.time.frames = c.render.frames = 6
    c.stage1.steps = c.stage2.steps = 10
    c.deformation.options.hexplane.update({"resolution": 8, "features": 4, "width": 8, "time_resolution": 5})
    c.render.paths = ("circle",)
    figures = pipeline.run(c, tmp_path / "theirs")
    for stage in ("depth", "flow", "animation"):
        assert figures[stage]["external"]["versions"]["torch"]
        c[stage].model = "builtin"
    pipeline.run(c, tmp_path / "ours")
    made = {
        # Without the files inside of checkpoints, whose names are drawn.
        name: sorted(
            str(f.relative_to(tmp_path / name)) for f in (tmp_path / name).rglob("*") if "state" not in f.parts
        )
        for name in ("ours", "theirs")
    }
    assert [f for f in made["theirs"] if not f.startswith("external")] == made["ours"]
    for stage in pipeline.STAGES:
        ours, theirs = (artifacts.load(pipeline.artifact_file(tmp_path / n, stage.name)) for n in ("ours", "theirs"))
        assert structure(ours) == structure(theirs), stage.name
    frames = artifacts.load(pipeline.artifact_file(tmp_path / "theirs", "animation"))
    # Frame 0 of the warp is the image, as 8 bits hold it.
    views = artifacts.load(pipeline.artifact_file(tmp_path / "theirs", "views"))
    np.testing.assert_allclose(frames.images[:, 0], views.images[frames.views], atol=0.51 / 255)


def structure(tree):
    """Classes and keys of an artifact."""
    if isinstance(tree, dict):
        return {name: structure(value) for name, value in tree.items()}
    if hasattr(tree, "__dataclass_fields__"):
        return type(tree).__name__, {name: structure(getattr(tree, name)) for name in tree.__dataclass_fields__}
    return type(tree).__name__
