"""Differentiable array programs: binning, rasterization, grid sampling. Arrays in, arrays out.

Nothing here knows scenes, cameras or configs. Each op has a folder with `op.py` (the public function),
`reference.py` (the dense, readable truth) and one file per backend; `backends.py` chooses between them.
"""

if __name__ == "kernels":
    raise ImportError(
        "the kernels of this repository are imported as mom3d_jax.kernels; "
        "a second copy under the name 'kernels' would carry its own registries"
    )

from .gridsample import sample_planes
from .rasterize import Rasterized, Used, bucket, count_intersections, rasterize, self_check

__all__ = ["Rasterized", "Used", "bucket", "count_intersections", "rasterize", "sample_planes", "self_check"]
