r"""Videos by StyleCineGAN (Choi et al., CVPR 2024), the animator of the paper's released code.

git clone https://github.com/jeolpyeoni/StyleCineGAN REPO
python3 -m venv ENV && ENV/bin/pip install torch numpy
# the checkpoints of its README, unpacked into REPO/pretrained_models
python train.py --config=configs/landscape.py:animator=stylecinegan \
  --config.external.stylecinegan.python=ENV/bin/python --config.external.stylecinegan.repo=REPO ...
"""

from mom3d_jax.config import external_model


def get_config():
    c = external_model()
    c.weights = "pretrained_models"
    c.options.open_period = 2.0  # a clip that does not loop is the first part of a loop so many times as long
    return c
