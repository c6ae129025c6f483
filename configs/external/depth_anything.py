r"""Depth Anything V2 (Yang et al. 2024) from the transformers library: relative depth; the smallest is quick on a CPU.

python3 -m venv ENV && ENV/bin/pip install torch torchvision transformers pillow
ENV/bin/hf download depth-anything/Depth-Anything-V2-Small-hf
python train.py --config=configs/landscape.py:depth=depth_anything \
  --config.external.depth_anything.python=ENV/bin/python ...
"""

from mom3d_jax.config import external_model


def get_config():
    c = external_model()
    # Or a folder; -Base- and -Large- (CC-BY-NC-4.0); Depth-Anything-V2-Metric-Outdoor-Small-hf gives metres.
    c.weights = "depth-anything/Depth-Anything-V2-Small-hf"
    c.options.flip = False  # averages with the mirrored image; doubles the time
    c.options.kind = ""  # metric, inverse, relative: of a model that the worker's table does not know
    c.options.unit = "m"  # of that metric: m, cm, mm, km, ft
    return c
