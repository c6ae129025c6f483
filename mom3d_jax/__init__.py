"""mom3d_jax: one landscape photo in, an explicit dynamic 3D scene of 4D Gaussians out.

The folders follow the data: inputs, depth, pointcloud, views, flow, motion3d, animation, gaussians,
deformation, render, training, export; `pipeline` runs them in that order.
"""

from pathlib import Path

__version__ = "0.1.0"

# In a plain checkout the kernels lie beside this package, in a wheel inside it. Only a sibling that says it is
# ours is taken, so that an unrelated top-level `kernels` package is never picked up.
_checkout = Path(__file__).resolve().parent.parent
if (
    not (Path(__file__).resolve().parent / "kernels").is_dir()
    and (_checkout / "kernels" / "MOM3D_JAX_KERNELS").is_file()
):
    __path__.append(str(_checkout))
