"""A quick look at a photo, 256 px wide.

python train.py --config=configs/preview.py --input=PATH --workdir=OUT
"""

from mom3d_jax.config import default_config


def get_config():
    return default_config()
