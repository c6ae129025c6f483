"""DPT of MiDaS (Ranftl et al. 2021) from the transformers library: relative depth.

python3 -m venv ENV && ENV/bin/pip install torch torchvision transformers pillow
ENV/bin/hf download Intel/dpt-large
python train.py --config=configs/landscape.py:depth=dpt --config.external.dpt.python=ENV/bin/python ...
"""

from mom3d_jax.config import external_model


def get_config():
    c = external_model()
    c.weights = "Intel/dpt-large"  # or a folder; Intel/dpt-hybrid-midas is lighter
    c.options.flip = False  # averages with the mirrored image; doubles the time
    c.options.kind = ""  # metric, inverse, relative: of a model that the worker's table does not know
    c.options.unit = "m"  # of that metric: m, cm, mm, km, ft
    return c
