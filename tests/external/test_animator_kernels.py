"""What the workers of animators do in torch in the place of CUDA kernels, against loops and SciPy."""

import subprocess

import numpy as np
import pytest
import scipy.signal

from mom3d_jax.external.registry import WORKERS

pytestmark = pytest.mark.external

KERNELS = """
import importlib.util, sys
import numpy as np
import torch

folder, given = sys.argv[1], np.load(sys.argv[2])
made = {}
for name in ("animate_slr_sfs", "animate_stylecinegan", "text2cinemagraph"):
    spec = importlib.util.spec_from_file_location(name, folder + "/" + name + ".py")
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)
    made[name] = worker.splat(torch.from_numpy(given["values"]), torch.from_numpy(given["flow"]))
    if name == "animate_stylecinegan":
        values, kernel = torch.from_numpy(given["values"]), torch.from_numpy(given["kernel"])
        for up, down, first, last in ((1, 1, 2, 1), (2, 1, 2, 1), (1, 2, 1, 1), (2, 1, -1, 0)):
            made["%d_%d_%d_%d" % (up, down, first, last)] = worker.upfirdn2d(values, kernel, up, down, (first, last))
        made["leaky"] = worker.BiasedLeakyReLU(2)(values)
np.savez(sys.argv[3], **{name: value.detach().numpy() for name, value in made.items()})
"""


def test_what_stands_in_for_cuda_kernels(torch_python, tmp_path):
    rng = np.random.default_rng(5)
    values, flow = rng.normal(size=(1, 2, 6, 7)).astype(np.float32), rng.normal(size=(1, 2, 6, 7)).astype(np.float32)
    flow[0, 0, 2, 3] = 100.0  # out of the picture
    kernel = rng.random((4, 4), np.float32)
    np.savez(tmp_path / "given.npz", values=values, flow=flow, kernel=kernel)
    command = [torch_python, "-c", KERNELS, str(WORKERS), str(tmp_path / "given.npz"), str(tmp_path / "made.npz")]
    subprocess.run(command, check=True)
    made = np.load(tmp_path / "made.npz")
    summed = np.zeros((1, 2, 6, 7))
    for row, column in np.ndindex(6, 7):
        x, y = column + float(flow[0, 0, row, column]), row + float(flow[0, 1, row, column])
        for q in np.ndindex(6, 7):
            tent = max(0.0, 1 - abs(q[1] - x)) * max(0.0, 1 - abs(q[0] - y))
            summed[0, :, q[0], q[1]] += tent * values[0, :, row, column]
    for name in ("animate_slr_sfs", "animate_stylecinegan", "text2cinemagraph"):
        np.testing.assert_allclose(made[name], summed, atol=1e-5)
    for up, down, first, last in ((1, 1, 2, 1), (2, 1, 2, 1), (1, 2, 1, 1), (2, 1, -1, 0)):
        spread = np.zeros((2, 6 * up, 7 * up))
        spread[:, ::up, ::up] = values[0]
        cut = spread[:, max(-first, 0) :, max(-first, 0) :]
        padded = np.pad(cut, ((0, 0), (max(first, 0), last), (max(first, 0), last)))
        expected = [scipy.signal.convolve2d(p, kernel, mode="valid")[::down, ::down] for p in padded]
        np.testing.assert_allclose(made[f"{up}_{down}_{first}_{last}"][0], expected, atol=1e-5)
    np.testing.assert_allclose(made["leaky"], np.sqrt(2) * np.where(values > 0, values, 0.2 * values), rtol=1e-6)
