"""The bundled landscape, start to end.

python train.py --config=configs/demo.py --workdir=out/demo
"""

from mom3d_jax.config import default_config


def get_config():
    c = default_config()
    c.input = "bundled"
    return c
