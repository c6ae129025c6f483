"""A quick look at a photo, 256 px wide.

python train.py --config=configs/preview.py --input=PATH --workdir=OUT
"""

from mom3d_jax.config import default_config


def get_config():
    c = default_config()
    c.size.width = 256
    c.stage1.steps = 400
    c.deformation.options = {"resolution": 32, "features": 8, "width": 32}
    c.stage2.steps = 250
    return c
