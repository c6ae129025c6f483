"""Tiled rasterizer as Triton kernels for NVIDIA GPUs, written in Pallas.

Lists and table are those of the XLA backend; `triton_forward.py` and `triton_backward.py` hold what happens within a
tile. There are no atomics, so the gradients are the same to the bit in every run.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.experimental import pallas as pl
from jaxtyping import Float, Int

from .. import backends
from ..binning.op import Bins, bin_gaussians
from . import triton_backward, triton_forward
from .tiles import Image, from_tiles, gaussian_table, to_tiles
from .xla import Residuals, parameter_gradients


class Launch(NamedTuple):
    """How the kernels are cut up and compiled. The tile is that of the lists, `binning.TILE`."""

    forward_unroll: int
    """Gaussians per pass of the forward loop."""
    forward_warps: int
    """Warps per tile."""
    backward_group: int
    """Gaussians per pass of the backward loop, which is one matrix product."""
    backward_warps: int
    sum_block: int
    """Gaussians per program of the last sums."""
    sum_unroll: int
    """Rows of each of them that are read together."""
    sum_warps: int
    interpret: bool
    """Run the kernels as ordinary XLA operations, to prove them where there is no GPU."""


def choose_launch(channels: int, interpret: bool) -> Launch:
    """Sizes for any NVIDIA GPU, from registers and instruction counts of the code compiled for an H200.

    * Forward: one warp with two pixels per thread halves the loads of Gaussians per pixel. With 4 Gaussians at a time
      and up to 12 channels it fits 64 registers, which lets 32 tiles run on a multiprocessor, as many as there can be.
      From 32 channels on the sums take more than that, and two warps share them.
    * Backward: 16 Gaussians fill the rows of the matrix units; with two warps each thread has one pixel, and everything
      stays in registers. Four warps would split the Gaussians over threads and do the work twice.
    * Sums: most Gaussians touch a few tiles; large ones are summed 8 rows at a time.
    """
    return Launch(
        forward_unroll=4,
        forward_warps=1 if channels < 32 else 2,
        backward_group=16,
        backward_warps=2,
        sum_block=8,
        sum_unroll=8,
        sum_warps=4,
        interpret=interpret,
    )


def blend(
    means2d: Float[Array, "n 2"],
    conics: Float[Array, "n 3"],
    features: Float[Array, "n k"],
    opacities: Float[Array, " n"],
    depths: Float[Array, " n"],
    *,
    width: int,
    height: int,
    capacity: int,
    deterministic: bool,
    interpret: bool = False,
) -> tuple[Float[Array, "h w k"], Float[Array, "h w"], Int[Array, ""]]:
    """Σ f α T, T_final and the number of intersections; see `reference.blend_image`. Always deterministic."""
    del deterministic
    launch = choose_launch(features.shape[1], interpret)
    return _blend(Image(width, height, capacity), launch, means2d, conics, features, opacities, depths)


blend_interpreted = functools.partial(blend, interpret=True)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _blend(image: Image, launch: Launch, *gaussians: Array) -> tuple[Array, Array, Array]:
    return _blend_forward(image, launch, *gaussians)[0]


def _blend_forward(image: Image, launch: Launch, *gaussians: Array) -> tuple[tuple[Array, Array, Array], Residuals]:
    # Under vmap one image after the other, as the op promises: room for the lists of one image at a time.
    forward = jax.custom_batching.sequential_vmap(functools.partial(_forward, image, launch))
    blended, transmittance, bins = forward(*gaussians)
    means2d, conics, features, opacities, _ = gaussians
    residuals = Residuals(means2d, conics, features, opacities, bins, blended, transmittance)
    return (blended, transmittance, bins.intersections), residuals


def _blend_backward(
    image: Image, launch: Launch, residuals: Residuals, grads: tuple[Array, Array, Array]
) -> tuple[Array, ...]:
    backward = jax.custom_batching.sequential_vmap(functools.partial(_backward, image, launch))
    return (*backward(residuals, *grads[:2]), jnp.zeros_like(residuals.opacities))


_blend.defvjp(_blend_forward, _blend_backward)


def _call(
    kernel: functools.partial[None],
    out_shape: list[jax.ShapeDtypeStruct],
    programs: int,
    warps: int,
    launch: Launch,
    inputs: list[Array],
    aliases: dict[int, int] | None = None,
) -> Any:
    """Run a kernel. Its references are whole arrays: how much of a list a program reads is known only as it runs."""
    whole = pl.BlockSpec(memory_space=pl.ANY)
    return pl.pallas_call(
        kernel,
        grid=(programs,),
        in_specs=[whole] * len(inputs),
        out_specs=[whole] * len(out_shape),
        out_shape=out_shape,
        input_output_aliases=aliases or {},
        # Given even where its values are the default: it is what selects Triton.
        compiler_params=backends.triton().CompilerParams(num_warps=warps, num_stages=1),
        interpret=launch.interpret,
        name=f"rasterize_{kernel.func.__name__}",
    )(*inputs)


def _forward(
    image: Image,
    launch: Launch,
    means2d: Float[Array, "n 2"],
    conics: Float[Array, "n 3"],
    features: Float[Array, "n k"],
    opacities: Float[Array, " n"],
    depths: Float[Array, " n"],
) -> tuple[Float[Array, "h w k"], Float[Array, "h w"], Bins]:
    """Bin and blend one image."""
    columns, rows = image.grid
    bins = bin_gaussians(
        means2d, conics, opacities, depths, width=image.width, height=image.height, capacity=image.capacity
    )
    table = gaussian_table(means2d, conics, features, opacities)
    shape = (columns * rows, 1 + features.shape[1], triton_forward.PIXELS)
    (out,) = _call(
        functools.partial(triton_forward.forward, launch.forward_unroll, columns),
        [jax.ShapeDtypeStruct(shape, jnp.float32)],
        columns * rows,
        launch.forward_warps,
        launch,
        [bins.starts, bins.lengths, bins.gaussians, table],
    )
    transmittance, *blended = (from_tiles(out[:, k], image) for k in range(shape[1]))
    return jnp.stack(blended, -1), transmittance, bins


def _backward(
    image: Image,
    launch: Launch,
    residuals: Residuals,
    grad_blended: Float[Array, "h w k"],
    grad_transmittance: Float[Array, "h w"],
) -> tuple[Float[Array, "n 2"], Float[Array, "n 3"], Float[Array, "n k"], Float[Array, " n"]]:
    """Gradients of means, conics, features and opacities."""
    r = residuals
    channels = r.features.shape[1]
    columns, rows = image.grid
    table = gaussian_table(r.means2d, r.conics, r.features, r.opacities)
    final = (r.blended * grad_blended).sum(-1) + r.transmittance * grad_transmittance
    pixels = jnp.stack([to_tiles(a, image) for a in (final, *jnp.moveaxis(grad_blended, -1, 0))], 1)
    # Three products of rounded parts are exact to float32; a CPU has no such mode and needs none.
    precision = lax.Precision.HIGHEST if launch.interpret else lax.DotAlgorithmPreset.TF32_TF32_F32_X3
    # Where a tile ends early, the rows of the Gaussians that it did not reach stay zero.
    untouched = jnp.zeros((image.capacity, triton_backward.MOMENTS + channels), jnp.float32)
    (partials,) = _call(
        functools.partial(triton_backward.backward, launch.backward_group, columns, precision, backends.triton().store),
        [jax.ShapeDtypeStruct(untouched.shape, untouched.dtype)],
        columns * rows,
        launch.backward_warps,
        launch,
        [r.bins.starts, r.bins.lengths, r.bins.gaussians, table, r.bins.slots, pixels, untouched],
        aliases={6: 0},
    )
    return parameter_gradients(r, _sum_rows(launch, partials, r.bins.begins, r.bins.counts))


def _sum_rows(
    launch: Launch, rows: Float[Array, "capacity 6+k"], begins: Int[Array, " n"], counts: Int[Array, " n"]
) -> Float[Array, "n 6+k"]:
    """Sum the rows of each Gaussian, which follow each other, in their order."""
    n = begins.shape[0]
    programs = -(-n // launch.sum_block)
    shape = (programs * launch.sum_block, triton_backward.matrix_width(rows.shape[1] - triton_backward.MOMENTS))
    (sums,) = _call(
        functools.partial(triton_backward.sum_rows, launch.sum_block, launch.sum_unroll, backends.triton().load),
        [jax.ShapeDtypeStruct(shape, jnp.float32)],
        programs,
        launch.sum_warps,
        launch,
        [begins, counts, rows],
    )
    return sums[:n, : rows.shape[1]]
