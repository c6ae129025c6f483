r"""Flow by the direction-guided motion stage of Text2Cinemagraph (Mahapatra et al., 2023), from mask and arrows.

git clone https://github.com/text2cinemagraph/text2cinemagraph REPO
python3 -m venv ENV && ENV/bin/pip install torch numpy
# checkpoints.tar of its README, unpacked into REPO/checkpoints; the same as for text2cinemagraph
python train.py --config=configs/landscape.py:flow=text2cinemagraph_flow \
  --config.external.text2cinemagraph_flow.python=ENV/bin/python --config.external.text2cinemagraph_flow.repo=REPO ...
"""

from mom3d_jax.config import external_model


def get_config():
    c = external_model()
    c.weights = "checkpoints"
    c.options.limit = 0.0  # px per frame at 512 px, each way: 1 as in its own videos, 0: none
    return c
