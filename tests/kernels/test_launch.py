"""The kernels are cut up as the table of the device says, and a broken table is named."""

import functools
import json

import jax
import pytest
from mom3d_jax.kernels.rasterize import launch, pallas_triton
from mom3d_jax.kernels.rasterize.launch import Launch, choose_launch, heuristic_launch, read_table, table_file

DEVICE = "NVIDIA H200"
TUNED = Launch(8, 2, 32, 4, 16, 4, 2)


def write(folder, launches, device=DEVICE):
    file = table_file(device, folder)
    file.write_text(json.dumps({"device": device, "launches": launches, "times": "anything"}))
    return file


@pytest.fixture
def tables(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "TABLES", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("device", "name"), [("NVIDIA H200", "nvidia_h200.json"), ("NVIDIA A100-SXM4-80GB", "nvidia_a100_sxm4_80gb.json")]
)
def test_file_of_a_device(device, name):
    assert table_file(device).name == name
    assert table_file(device).parent.name == "launches"


def test_tables_that_are_shipped_are_sound():
    files = list(launch.TABLES.glob("*.json"))
    assert launch.TABLES.is_dir()
    for file in files:
        device = json.loads(file.read_text())["device"]
        assert file == table_file(device)
        assert read_table(file, device)


def test_first_row_that_is_wide_enough(tables):
    wide = TUNED._replace(forward_unroll=1)
    write(tables, {"4": TUNED._asdict(), "16": wide._asdict()})
    assert [choose_launch(k, DEVICE) for k in (1, 4, 5, 16)] == [TUNED, TUNED, wide, wide]
    assert choose_launch(17, DEVICE) == heuristic_launch(17)


def test_no_table_is_a_miss(tables):
    assert choose_launch(4, "NVIDIA B200") == choose_launch(4) == heuristic_launch(4)


def test_kernels_are_launched_as_the_table_says(tables, scene, equations):
    """Programs of the sums, and the warps of all kernels."""
    size = {"width": 13, "height": 9, "capacity": 64, "deterministic": True}
    gaussians = scene(33, 13, 9, channels=4)
    arrays = [gaussians[name] for name in ("means2d", "conics", "colors", "opacities", "depths")]

    def gradient(*arrays):
        blend = functools.partial(pallas_triton.blend_interpreted, **size)
        return jax.grad(lambda *g: blend(*g)[0].sum())(*arrays)

    write(tables, {"4": TUNED._asdict()}, jax.devices()[0].device_kind)
    calls = [call.params for call in equations(gradient, *arrays, name="pallas_call")]
    assert [call["grid_mapping"].grid for call in calls] == [(4,), (4,), (3,)]  # tiles, tiles, ⌈33 / 16⌉
    assert [call["compiler_params"].num_warps for call in calls] == [2, 4, 2]


GOOD = TUNED._asdict()


@pytest.mark.parametrize(
    ("launches", "message"),
    [
        ({"4": GOOD | {"sum_block": 12}}, r'"launches\.4\.sum_block" is 12, not a power of two from 1 to 128'),
        ({"4": GOOD | {"forward_warps": 16}}, r'"launches\.4\.forward_warps" is 16, not a power of two from 1 to 8'),
        ({"4": GOOD | {"backward_group": 4}}, r'"launches\.4\.backward_group" is 4, not a power of two from 8 to 64'),
        ({"4": GOOD | {"forward_unroll": 0}}, r'"launches\.4\.forward_unroll" is 0'),
        ({"4": GOOD | {"forward_unroll": True}}, r'"launches\.4\.forward_unroll" is True'),
        ({"4": GOOD | {"sum_warps": "4"}}, r"\"launches\.4\.sum_warps\" is '4'"),
        ({"4": GOOD | {"tile": 8}}, r'"launches\.4\.tile" is unknown'),
        ({"4": {k: v for k, v in GOOD.items() if k != "sum_warps"}}, r'"launches\.4\.sum_warps" is missing'),
        ({"5": GOOD}, r"\"launches\" has '5', which is none of 1, 4, 8, 16, 32"),
        ({"4": [4, 1]}, r'"launches\.4" is \[4, 1\], not an object'),
        ([GOOD], r'has no object "launches"'),
    ],
)
def test_broken_tables_are_named(launches, message, tables):
    file = write(tables, launches)
    with pytest.raises(ValueError, match=message) as error:
        choose_launch(4, DEVICE)
    assert str(file) in str(error.value)
    assert "delete it" in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_are_no_tables_are_named(tables):
    file = table_file(DEVICE, tables)
    for text, message in (("{", "is not JSON"), ("[]", 'no object "launches"'), ('{"launches": {}}', "is None, but")):
        file.write_text(text)
        with pytest.raises(ValueError, match=message):
            choose_launch(4, DEVICE)
    # Two kinds may be one to a file name.
    write(tables, {"4": GOOD})
    with pytest.raises(ValueError, match="\"device\" is 'NVIDIA H200', but this is 'NVIDIA-H200'"):
        choose_launch(4, "NVIDIA-H200")
