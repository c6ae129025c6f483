"""Videos by the video stage of Text2Cinemagraph (Mahapatra et al., 2023).

git clone https://github.com/text2cinemagraph/text2cinemagraph repos/text2cinemagraph
python3 -m venv envs/text2cinemagraph && envs/text2cinemagraph/bin/pip install torch numpy
# checkpoints.tar of its README, unpacked into repos/text2cinemagraph/checkpoints; Stable Diffusion is not needed
python train.py --config=configs/landscape.py:animator=text2cinemagraph ...
"""

from mom3d_jax.config import external_model


def get_config():
    c = external_model()
    c.python = "envs/text2cinemagraph/bin/python"
    c.repo = "repos/text2cinemagraph"
    c.weights = "checkpoints"
    c.options.open_period = 2.0  # a clip that does not loop is the first part of a loop so many times as long
    return c
