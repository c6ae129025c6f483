"""A quick look at a photo, 256 px wide.

    python train.py --config=configs/preview.py --input=PATH --workdir=OUT

About two minutes on 2 CPU cores that do nothing else. On a photo of a river valley with drawn masks: static scene
44.4 dB on its generation views, 43.1 dB on unseen ones; videos 34.7 dB inside the mask.
"""

from mom3d_jax.config import default_config


def get_config(models=""):
    c = default_config(models)
    c.size.width = 256
    c.stage1.steps = 400
    c.deformation.options.hexplane.update({"resolution": 32, "features": 8, "width": 32})
    c.stage2.steps = 120
    return c
