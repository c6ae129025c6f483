"""How far the flow that a few arrows suggest is from the true one: across the image, in space, and as the arrows choose.

    python -m benchmarks.hints --out hints.json

Synthetic landscapes with the arrows and polygons of their annotation, once with the true depth and once with that of the
landscape prior. Errors are mean end-point errors over the pixels that truly move, as shares of the mean flow there.
"""

import argparse
import json
import tempfile
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float

from benchmarks.timing import Row, environment, ready_to_write, table, write
from mom3d_jax.cameras import input_camera
from mom3d_jax.depth import detect_sky, estimate_depth
from mom3d_jax.export import write_png
from mom3d_jax.flow import choose_interpolation, cross_validate, hint_flow, lift_hints, space_flow, width_of
from mom3d_jax.inputs import load_scene
from mom3d_jax.synthetic.annotation import labelme
from mom3d_jax.synthetic.families import FAMILIES
from mom3d_jax.synthetic.scene import landscape
from mom3d_jax.types import Scene

