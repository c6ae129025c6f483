"""A photo at 512 px on a CPU, at its own size on a GPU.

    python train.py --config=configs/landscape.py --input=PATH --workdir=OUT

About eleven minutes on 2 CPU cores. On a photo of a beach with a drawn mask, at 512 px: static scene 45.8 dB on its
generation views (worst view 40.2), 40.1 dB on unseen ones. The settings for a GPU have not been tried on one.
"""

import jax

from mom3d_jax.config import default_config


def get_config(models=""):
    c = default_config(models)
    if jax.default_backend() == "cpu":
        c.size.width = 512
        c.stage1.steps = 1500
        c.stage2.steps = 250
        c.deformation.options.hexplane.update({"resolution": 32, "features": 8, "width": 32})
    else:
        c.size.width = 0
        c.stage1.steps = 3000
        c.stage2.steps = 2000
    return c
