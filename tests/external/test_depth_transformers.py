"""Depth by models of the transformers library: small ones with random weights, saved as published ones are."""

import json
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from mom3d_jax.config import default_config
from mom3d_jax.external import ExternalError, Item, ask, make_model
from mom3d_jax.external.registry import WORKERS

pytestmark = pytest.mark.external

MODELS = """
import pathlib, sys
import numpy as np, torch, transformers as t
from PIL import Image
from safetensors.torch import load_file, save_file

out = pathlib.Path(sys.argv[1])
torch.set_num_threads(1)
torch.manual_seed(0)
vit = dict(hidden_size=16, num_hidden_layers=4, num_attention_heads=2)
stages = dict(out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False)
neck = dict(neck_hidden_sizes=[4, 4, 4, 4], fusion_hidden_size=8)
beit = t.BeitConfig(image_size=64, use_relative_position_bias=True, intermediate_size=16, **vit, **stages)
dino = t.Dinov2Config(image_size=70, patch_size=14, mlp_ratio=1, **vit, **stages)
bins = [dict(name=n, n_bins=8, min_depth=0.001, max_depth=d) for n, d in (("nyu", 10.0), ("kitti", 80.0))]
router = dict(num_patch_transformer_layers=4, patch_transformer_hidden_size=128)
router.update(patch_transformer_intermediate_size=8, patch_transformer_num_attention_heads=2)
zoe = t.ZoeDepthConfig(backbone_config=beit, bottleneck_features=8, num_relative_features=4, bin_embedding_dim=8,
    num_attractors=[4, 2, 2, 1], bin_configurations=bins, **router, **neck)
dpt = t.DPTConfig(image_size=64, intermediate_size=16, backbone_out_indices=[0, 1, 2, 3], **vit, **neck)
anything = dict(backbone_config=dino, reassemble_hidden_size=16, head_hidden_size=4, **neck)
metric = t.DepthAnythingConfig(depth_estimation_type="metric", max_depth=20, **anything)
square = dict(size={"height": 64, "width": 64})  # plain DPT takes no other
of_64 = dict(ensure_multiple_of=32, keep_aspect_ratio=True, **square)
of_70 = dict(size={"height": 70, "width": 70}, ensure_multiple_of=14, keep_aspect_ratio=True)
for name, net, processor in [
    ("zoedepth", t.ZoeDepthForDepthEstimation(zoe), t.ZoeDepthImageProcessor(**of_64)),
    ("dpt", t.DPTForDepthEstimation(dpt), t.DPTImageProcessor(**square)),
    ("anything", t.DepthAnythingForDepthEstimation(t.DepthAnythingConfig(**anything)), t.DPTImageProcessor(**of_70)),
    ("metric", t.DepthAnythingForDepthEstimation(metric), t.DPTImageProcessor(**of_70)),
]:
    # Random weights hardly answer to the picture; wilder ones do.
    for parameter in net.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(std=0.3)
    if name == "anything":
        net.head.conv3.bias.data.fill_(1.0)  # not all behind its last ReLU
    net.eval().save_pretrained(out / name)
    processor.save_pretrained(out / name)
    # The library's own way, to compare with. Without torchvision it does not work for ZoeDepth.
    official = t.pipeline("depth-estimation", model=str(out / name), device="cpu") if name != "zoedepth" else None
    for number, image in enumerate(np.load(out / "images.npz").values()):
        picture = Image.fromarray(image)
        with torch.no_grad():
            raw = net(**processor(images=picture, return_tensors="pt")).predicted_depth
        depth = official(picture)["predicted_depth"] if official else torch.zeros(())
        np.savez(out / f"{name}_{number}.npz", depth=depth.numpy(), raw=raw[0].numpy())

state = load_file(out / "dpt" / "model.safetensors")
unused = {k: v for k, v in state.items() if not k.startswith("neck.fusion_stage.layers.0.residual_layer1.")}
assert len(unused) < len(state)
lacking = {k: v for k, v in state.items() if k != "head.head.0.weight"}
save_file(unused, out / "as_published.safetensors", metadata={"format": "pt"})
save_file(lacking, out / "lacking.safetensors", metadata={"format": "pt"})
"""

TABLE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from depth_transformers import what_it_gives
for config, options in json.loads(sys.argv[2]):
    try:
        print(json.dumps(what_it_gives(config, options)))
    except SystemExit as end:
        print(json.dumps(str(end)))
"""


@pytest.fixture(scope="module")
def images():
    """Photos of two sizes, and the first as in a mirror; in 8 bits, as photos are."""
    rng = np.random.default_rng(3)

    def patches(height, width):
        coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
        return np.kron(coarse, np.ones((8, 8, 1), np.uint8))[:height, :width]

    wide, tall = patches(40, 61), patches(56, 33)
    return [wide, tall, wide[:, ::-1]]


@pytest.fixture(scope="module")
def saved(torch_python, images, tmp_path_factory):
    """A folder of models, and what the library's own pipeline says about the images."""
    folder = tmp_path_factory.mktemp("models")
    np.savez(folder / "images.npz", *images)
    # -I: without the folder it runs in, whose `kernels` the library would take for a package that it can use.
    subprocess.run([torch_python, "-I", "-c", MODELS, str(folder)], check=True)
    return folder


@pytest.fixture
def asked(torch_python, images, tmp_path):
    """What a model says about the images."""

    def ask_them(name, weights, count=2, environment=(), **options):
        c = default_config().external[name].to_dict() | {"python": torch_python, "device": "cpu", "timeout": 300.0}
        c["weights"] = str(weights)
        c["environment"] = {"OMP_NUM_THREADS": "1", **dict(environment)}
        c["options"] = c["options"] | options
        items = [Item(f"photo {n}", {"image": i.astype(np.float32) / 255}) for n, i in enumerate(images[:count])]
        return ask(make_model(name, "depth", c, seed=0, store=tmp_path / "store"), items)

    return ask_them


def official(saved, name, number):
    """The library's own result, without what resampling put outside the network's range."""
    said = np.load(saved / f"{name}_{number}.npz")
    depth, raw = said["depth"], said["raw"]
    if name == "zoedepth":
        h, w = np.load(saved / "images.npz")[f"arr_{number}"].shape[:2]
        above, left = int(3 * (h / 2) ** 0.5), int(3 * (w / 2) ** 0.5)
        padded = cv2.resize(raw, (w + 2 * left, h + 2 * above), interpolation=cv2.INTER_CUBIC)
        depth = padded[above:-above, left:-left]
    assert np.ptp(depth) > 0.01 * np.abs(depth).max()  # or there is nothing to compare
    return np.clip(depth, raw.min(), raw.max())


@pytest.mark.parametrize(
    ("name", "folder", "kind"),
    [
        ("depth_anything", "anything", {"kind": "relative"}),
        ("depth_anything", "metric", {"kind": "metric", "unit": "m"}),
    ],
)
def test_results_are_the_librarys_own(saved, asked, images, name, folder, kind):
    for number, result in enumerate(asked(name, saved / folder, flip=False)):
        assert result.arrays["depth"].shape == images[number].shape[:2]
        np.testing.assert_allclose(result.arrays["depth"], official(saved, folder, number), rtol=1e-4, atol=1e-5)
        assert {k: v for k, v in result.values.items() if k != "overshoot"} == kind
    assert set(result.provenance["versions"]) >= {"torch", "transformers"}
    assert len(result.provenance["weights_sha256"]) == 64


def test_depth_of_photo_and_mirror_image_is_averaged(saved, asked):
    """ZoeDepth, padded by the library, at its own size in the end: in metres."""
    here, _, mirrored = asked("zoedepth", saved / "zoedepth", count=3)
    expected = (official(saved, "zoedepth", 0) + official(saved, "zoedepth", 2)[:, ::-1]) / 2
    assert np.abs(expected - official(saved, "zoedepth", 0)).max() > 1e-3 * expected.max()
    np.testing.assert_allclose(here.arrays["depth"], expected, rtol=1e-4)
    np.testing.assert_allclose(mirrored.arrays["depth"], expected[:, ::-1], rtol=1e-4)
    assert (here.values["kind"], here.values["unit"]) == ("metric", "m")
    assert here.arrays["depth"].min() > 0


def test_a_name_of_the_hub_is_found_in_its_cache(saved, asked, tmp_path):
    """Published DPT files lack parameters of a layer that is never used."""
    kept = tmp_path / "hf" / "hub" / "models--Intel--dpt-large"
    shutil.copytree(saved / "dpt", kept / "snapshots" / "abc")
    shutil.copy(saved / "as_published.safetensors", kept / "snapshots" / "abc" / "model.safetensors")
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("abc")
    results = asked("dpt", "Intel/dpt-large", environment={"HF_HOME": str(tmp_path / "hf")})
    for number, result in enumerate(results):
        np.testing.assert_allclose(result.arrays["depth"], official(saved, "dpt", number), rtol=1e-4, atol=1e-5)
        assert result.values["kind"] == "relative"


def test_weights_that_lack_what_the_model_uses(saved, asked, tmp_path):
    """The library would put random numbers in their place and go on."""
    folder = shutil.copytree(saved / "dpt", tmp_path / "dpt")
    shutil.copy(saved / "lacking.safetensors", folder / "model.safetensors")
    with pytest.raises(ExternalError, match=r"lack 1 parameters that the model uses, such as head\.head\.0\.weight"):
        asked("dpt", folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ExternalError, match=r"no \*\.safetensors there"):
        asked("dpt", folder)


def test_a_model_that_the_table_does_not_know(saved, asked, tmp_path):
    folder = shutil.copytree(saved / "dpt", tmp_path / "dpt")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"backbone_config": {"model_type": "dinov2"}}))
    with pytest.raises(ExternalError, match=r"type 'dpt' with this configuration gives; read its card and set its opt"):
        asked("dpt", folder)


def test_the_table_of_kinds(torch_python):
    relative, metric = {"kind": "relative"}, {"kind": "metric", "unit": "m"}
    cases = [
        ({"model_type": "zoedepth"}, {}, metric),
        ({"model_type": "depth_pro"}, {"kind": ""}, metric),
        ({"model_type": "glpn"}, {}, metric),
        ({"model_type": "dpt", "backbone_config": None}, {}, relative),
        ({"model_type": "dpt", "backbone_config": {"model_type": "swinv2"}}, {}, relative),
        ({"model_type": "dpt", "backbone_config": {"model_type": "dinov2"}}, {}, "it is not known"),
        ({"model_type": "dpt", "backbone": "facebook/dinov2-small"}, {}, "it is not known"),
        ({"model_type": "depth_anything"}, {}, relative),  # older configurations do not say
        ({"model_type": "depth_anything", "depth_estimation_type": "metric", "max_depth": 80}, {}, metric),
        ({"model_type": "depth_anything", "depth_estimation_type": "stereo"}, {}, "it is not known"),
        ({"model_type": "chmv2"}, {}, "heights of tree tops"),
        ({"model_type": "new"}, {}, "type 'new'"),
        ({}, {}, "type ''"),
        ({"model_type": "new"}, {"kind": "inverse", "unit": "m"}, {"kind": "inverse"}),
        ({"model_type": "new"}, {"kind": "metric", "unit": "cm"}, {"kind": "metric", "unit": "cm"}),
        ({"model_type": "dpt"}, {"kind": "disparity"}, "options.kind='disparity'"),
    ]
    given = json.dumps([case[:2] for case in cases])
    said = subprocess.check_output([torch_python, "-I", "-c", TABLE, str(WORKERS), given], text=True)
    for line, (config, options, expected) in zip(said.splitlines(), cases, strict=True):
        found = json.loads(line)
        if isinstance(expected, str):
            assert found.startswith("error: "), (config, options, found)
            assert expected in found
        else:
            assert found == expected, (config, options)
