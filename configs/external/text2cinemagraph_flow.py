r"""Flow by the direction-guided motion stage of Text2Cinemagraph (Mahapatra et al., 2023), from mask and arrows.

Set up as in text2cinemagraph.py beside this file.
python train.py --config=configs/landscape.py:flow=text2cinemagraph_flow \
  --config.external.text2cinemagraph_flow.python=ENV/bin/python --config.external.text2cinemagraph_flow.repo=REPO ...
"""

from mom3d_jax.config import external_model


def get_config():
    c = external_model()
    c.weights = "checkpoints"
    c.options.limit = 0.0  # px per frame at 512 px, each way: 1 as in its own videos, 0: none
    return c
