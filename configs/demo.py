"""The bundled landscape at 192 px, start to end: what `python3 run.py demo` runs.

    python train.py --config=configs/demo.py --workdir=out/demo

Under two minutes on 2 CPU cores. Expect: static scene 40.6 dB on its generation views and 39.4 dB on unseen ones,
videos 38.4 dB inside the mask, motion within 0.08 px per frame of what was asked for (the animator's own clip: 0.08).
"""

from mom3d_jax.config import default_config


def get_config(models=""):
    c = default_config(models)
    c.input = "bundled"
    c.size.width = 192
    c.stage1.steps = 250
    c.deformation.options.hexplane.update({"resolution": 32, "features": 8, "width": 32})
    c.stage2.steps = 100
    return c
