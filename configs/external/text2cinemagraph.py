r"""Videos by the video stage of Text2Cinemagraph (Mahapatra et al., 2023).

git clone https://github.com/text2cinemagraph/text2cinemagraph REPO
python3 -m venv ENV && ENV/bin/pip install torch numpy
# checkpoints.tar of its README, unpacked into REPO/checkpoints; Stable Diffusion is not needed
python train.py --config=configs/landscape.py:animator=text2cinemagraph \
  --config.external.text2cinemagraph.python=ENV/bin/python --config.external.text2cinemagraph.repo=REPO ...
"""

from mom3d_jax.config import external_model


def get_config():
    c = external_model()
    c.weights = "checkpoints"
    c.options.open_period = 2.0  # a clip that does not loop is the first part of a loop so many times as long
    return c
