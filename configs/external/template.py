"""The worker to copy for a new model: depth of a random network, to see that everything works.

python3 -m venv ENV && ENV/bin/pip install torch numpy
python train.py --config=configs/preview.py:depth=template --config.external.template.python=ENV/bin/python ...
"""

from mom3d_jax.config import external_model


def get_config():
    c = external_model()
    c.device = "cpu"
    c.timeout = 300.0
    return c
