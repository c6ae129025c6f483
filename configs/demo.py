"""The bundled landscape, start to end: what `python3 run.py demo` runs.

python train.py --config=configs/demo.py --workdir=out/demo
"""

from mom3d_jax.config import default_config


def get_config():
    c = default_config()
    c.input = "bundled"
    c.size.width = 192
    c.stage1.steps = 250
    c.deformation.options = {"resolution": 32, "features": 8, "width": 32}
    c.stage2.steps = 100
    return c
