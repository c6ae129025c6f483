"""Flow files: layouts, sizes and units."""

import numpy as np
import pytest

from mom3d_jax.inputs import InputError
from mom3d_jax.inputs.flow_files import read_flow

PHOTO = (100, 60)


@pytest.fixture
def flow():
    return np.random.default_rng(0).normal(size=(60, 100, 2)).astype(np.float32)


def test_layouts_agree(folder, flow):
    channels_first = np.moveaxis(flow, -1, 0)
    for values in (flow, channels_first, channels_first[None], flow.astype(np.float64)):
        np.testing.assert_allclose(read_flow(folder.npy("flow.npy", values), PHOTO, PHOTO), flow, rtol=1e-6)


def test_middlebury(folder, flow):
    file = folder.path / "flow.flo"
    header = np.float32(202021.25).tobytes() + np.int32([100, 60]).tobytes()
    file.write_bytes(header + flow.tobytes())
    np.testing.assert_array_equal(read_flow(file, PHOTO, PHOTO), flow)
    for broken in (b"", header, b"PIEG" + file.read_bytes()[4:], file.read_bytes() + b"x"):
        file.write_bytes(broken)
        with pytest.raises(InputError, match="not a complete Middlebury"):
            read_flow(file, PHOTO, PHOTO)


@pytest.mark.parametrize("size", [(50, 30), (100, 60), (80, 40)])
def test_values_follow_the_size(folder, size):
    # A file of its own size, of content that moves by a 50th of the width and a 40th of the height per frame.
    values = np.broadcast_to(np.float32([200 / 50, 120 / 40]), (120, 200, 2))
    found = read_flow(folder.npy("flow.npy", values), PHOTO, size)
    assert found.shape == (size[1], size[0], 2)
    np.testing.assert_allclose(found[..., 0], size[0] / 50, rtol=1e-5)
    np.testing.assert_allclose(found[..., 1], size[1] / 40, rtol=1e-5)


def test_bad_flow(folder, flow):
    with pytest.raises(InputError, match=r"flow\.npy: shape \(60, 100\)"):
        read_flow(folder.npy("flow.npy", flow[..., 0]), PHOTO, PHOTO)
    with pytest.raises(InputError, match="60x60, but the photo is 100x60"):
        read_flow(folder.npy("flow.npy", flow[:, :60]), PHOTO, PHOTO)
    # A view of a 1000 x 310 photo at work, 100 x 32, is read as well: its aspect is the working size's.
    assert read_flow(folder.npy("flow.npy", np.zeros((32, 100, 2))), (1000, 310), (50, 16)).shape == (16, 50, 2)
    long = flow.copy()
    long[3, 4] = [101, 0]
    with pytest.raises(InputError, match="the longest vector has 101 px per frame on a 100x60 image"):
        read_flow(folder.npy("flow.npy", long), PHOTO, PHOTO)
    long[3, 4] = np.nan
    with pytest.raises(InputError, match="2 values are not finite"):
        read_flow(folder.npy("flow.npy", long), PHOTO, PHOTO)
