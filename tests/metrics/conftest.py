import h5py
import numpy as np
import pytest

CHANNELS = {1: (64, 2), 2: (128, 2), 3: (256, 3), 4: (512, 3), 5: (512, 3)}


def write_network(folder):
    """Random weights in the files of lpips-j: He-scaled, so that all stages have something to say."""
    rng = np.random.default_rng(0)
    width = 3
    with h5py.File(folder / "vgg16_weights.h5", "w") as vgg, h5py.File(folder / "lpips_lin.h5", "w") as linear:
        for stage, (channels, count) in CHANNELS.items():
            for k in range(1, count + 1):
                kernel = rng.standard_normal((3, 3, width, channels), np.float32) * np.float32((2 / 9 / width) ** 0.5)
                vgg[f"conv{stage}_{k}/weight"] = kernel
                vgg[f"conv{stage}_{k}/bias"] = rng.standard_normal(channels, np.float32) / np.float32(10)
                width = channels
            linear[f"lin{stage - 1}"] = rng.uniform(0, 1, (1, 1, channels, 1)).astype(np.float32)
        vgg["fc6/weight"] = np.zeros((2, 2), np.float32)


@pytest.fixture(scope="session")
def network_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lpips")
    write_network(folder)
    return folder


@pytest.fixture(autouse=True)
def no_weights_from_outside(monkeypatch, tmp_path_factory):
    """Neither the caller's variable nor the caller's cache of Hugging Face."""
    monkeypatch.delenv("MOM3D_LPIPS_WEIGHTS", raising=False)
    empty = str(tmp_path_factory.getbasetemp() / "no-cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", empty)
