"""ZoeDepth (Bhat et al. 2023) from the transformers library: depth in metres, indoors and outdoors.

python3 -m venv ENV && ENV/bin/pip install torch torchvision transformers pillow
ENV/bin/hf download Intel/zoedepth-nyu-kitti        # 1.38 GB
python train.py --config=configs/landscape.py:depth=zoedepth --config.external.zoedepth.python=ENV/bin/python ...
"""

from mom3d_jax.config import external_model


def get_config():
    c = external_model()
    c.weights = "Intel/zoedepth-nyu-kitti"  # or a folder; Intel/zoedepth-nyu knows rooms only: the sky ends as a wall
    c.options.flip = True  # averages with the mirrored image, as ZoeDepth does; doubles the time
    c.options.kind = ""  # metric, inverse, relative: of a model that the worker's table does not know
    c.options.unit = "m"  # of that metric: m, cm, mm, km, ft
    return c
