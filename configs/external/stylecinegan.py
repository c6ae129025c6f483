"""Videos by StyleCineGAN (Choi et al., CVPR 2024), the animator of the paper's released code.

git clone https://github.com/jeolpyeoni/StyleCineGAN repos/StyleCineGAN
python3 -m venv envs/stylecinegan && envs/stylecinegan/bin/pip install torch numpy
# the checkpoints of its README, unpacked into repos/StyleCineGAN/pretrained_models
python train.py --config=configs/landscape.py:animator=stylecinegan ...
"""

from mom3d_jax.config import external_model


def get_config():
    c = external_model()
    c.python = "envs/stylecinegan/bin/python"
    c.repo = "repos/StyleCineGAN"
    c.weights = "pretrained_models"
    c.options.open_period = 2.0  # a clip that does not loop is the first part of a loop so many times as long
    return c
