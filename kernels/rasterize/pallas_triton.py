"""Tiled rasterizer as Triton kernels for NVIDIA GPUs, written in Pallas.

Lists and table are those of the XLA backend; `triton_forward.py` and `triton_backward.py` hold what happens within a
tile, `launch.py` the sizes. There are no atomics, so the gradients are the same to the bit in every run. Arrays have a
leading axis of images, see `images.py`: a `vmap` of the rasterizer is one launch of each kernel.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.experimental import pallas as pl
from jaxtyping import Float, Int

from .. import backends
from ..binning.op import Bins, bin_gaussians
from . import triton_backward, triton_forward
from .images import count_images, each, together
from .launch import Launch, choose_launch
from .tiles import Image, from_tiles, gaussian_table, to_tiles
from .xla import Residuals, parameter_gradients


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
    kernels = Kernels(Image(width, height, capacity), choose_launch(features.shape[1]), interpret)
    return _blend(kernels, means2d, conics, features, opacities, depths)


blend_interpreted = functools.partial(blend, interpret=True)


@dataclasses.dataclass(frozen=True)
class Kernels:
    """The three kernels, ready to be launched for images of one size."""

    image: Image
    launch: Launch
    interpret: bool = False
    """Run the kernels as ordinary XLA operations, to prove them where there is no GPU."""

    def forward(self, bins: Bins, table: Float[Array, "v|1 n 6+k"]) -> Float[Array, "v tiles 1+k p"]:
        """T_final and Σ f α T at the pixels of all tiles. The fields of `bins` have a leading axis of images, too."""
        columns, rows = self.image.grid
        shape = (count_images(table), columns * rows, 1 + table.shape[2] - triton_forward.FORM, triton_forward.PIXELS)
        return self._call(
            functools.partial(triton_forward.forward, self.launch.forward_unroll, columns),
            jax.ShapeDtypeStruct(shape, jnp.float32),
            shape[0] * shape[1],
            self.launch.forward_warps,
            [bins.starts, bins.lengths, bins.gaussians, table],
        )

    def backward(
        self, bins: Bins, table: Float[Array, "v|1 n 6+k"], pixels: Float[Array, "v tiles 1+k p"]
    ) -> Float[Array, "v capacity 6+k"]:
        """Partial gradients of each intersection, those of a Gaussian one after the other; see the kernel."""
        # Three products of rounded parts are exact to float32; a CPU has no such mode and needs none.
        precision = lax.Precision.HIGHEST if self.interpret else lax.DotAlgorithmPreset.TF32_TF32_F32_X3
        store = backends.triton().store
        # Where a tile ends early, the rows of the Gaussians that it did not reach stay zero.
        untouched = jnp.zeros((len(pixels), self.image.capacity, table.shape[2]), jnp.float32)
        return self._call(
            functools.partial(
                triton_backward.backward, self.launch.backward_group, self.image.grid[0], precision, store
            ),
            jax.ShapeDtypeStruct(untouched.shape, untouched.dtype),
            pixels.shape[0] * pixels.shape[1],
            self.launch.backward_warps,
            [bins.starts, bins.lengths, bins.gaussians, table, bins.slots, pixels, untouched],
            aliases={6: 0},
        )

    def sum_rows(self, bins: Bins, rows: Float[Array, "v capacity 6+k"]) -> Float[Array, "v n 6+k"]:
        """Sum the rows of each Gaussian, which follow each other, in their order."""
        images, n, columns = len(rows), bins.begins.shape[1], rows.shape[2]
        programs = -(-n // self.launch.sum_block)
        width = triton_backward.matrix_width(columns - triton_backward.MOMENTS)
        sums = self._call(
            functools.partial(
                triton_backward.sum_rows, self.launch.sum_block, self.launch.sum_unroll, backends.triton().load
            ),
            jax.ShapeDtypeStruct((images, programs * self.launch.sum_block, width), jnp.float32),
            images * programs,
            self.launch.sum_warps,
            [bins.begins, bins.counts, rows],
        )
        return sums[:, :n, :columns]

    def _call(
        self,
        kernel: functools.partial[None],
        out_shape: jax.ShapeDtypeStruct,
        programs: int,
        warps: int,
        inputs: list[Array],
        aliases: dict[int, int] | None = None,
    ) -> Array:
        """Run a kernel. Its references are whole arrays: how much of a list a program reads shows only as it runs."""
        whole = pl.BlockSpec(memory_space=pl.ANY)
        return pl.pallas_call(
            kernel,
            grid=(programs,),
            in_specs=[whole] * len(inputs),
            out_specs=whole,
            out_shape=out_shape,
            input_output_aliases=aliases or {},
            # Given even where its values are the default: it is what selects Triton.
            compiler_params=backends.triton().CompilerParams(num_warps=warps, num_stages=1),
            interpret=self.interpret,
            name=f"rasterize_{kernel.func.__name__}",
        )(*inputs)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _blend(kernels: Kernels, *gaussians: Array) -> tuple[Array, Array, Array]:
    return _blend_forward(kernels, *gaussians)[0]


def _blend_forward(kernels: Kernels, *gaussians: Array) -> tuple[tuple[Array, Array, Array], Residuals]:
    means2d, conics, features, opacities, _ = gaussians
    forward = together(functools.partial(_forward, kernels), _elements(kernels.image, features))
    blended, transmittance, bins = forward(*gaussians)
    residuals = Residuals(means2d, conics, features, opacities, bins, blended, transmittance)
    return (blended, transmittance, bins.intersections), residuals


def _blend_backward(kernels: Kernels, residuals: Residuals, grads: tuple[Array, Array, Array]) -> tuple[Array, ...]:
    backward = together(functools.partial(_backward, kernels), _elements(kernels.image, residuals.features))
    return (*backward(residuals, *grads[:2]), jnp.zeros_like(residuals.opacities))


_blend.defvjp(_blend_forward, _blend_backward)


def _elements(image: Image, features: Float[Array, "n k"]) -> int:
    """Size of the largest array that a kernel sees of one image."""
    n, channels = features.shape
    columns, rows = image.grid
    row = triton_backward.matrix_width(channels)
    return max(max(image.capacity, n) * row, columns * rows * (1 + channels) * triton_forward.PIXELS)


def _forward(
    kernels: Kernels,
    means2d: Float[Array, "v|1 n 2"],
    conics: Float[Array, "v|1 n 3"],
    features: Float[Array, "v|1 n k"],
    opacities: Float[Array, "v|1 n"],
    depths: Float[Array, "v|1 n"],
) -> tuple[Float[Array, "v h w k"], Float[Array, "v h w"], Bins]:
    """Bin and blend. Images that differ in their features alone share their lists."""
    image = kernels.image
    binned = functools.partial(bin_gaussians, width=image.width, height=image.height, capacity=image.capacity)
    bins = each(binned, means2d, conics, opacities, depths)
    out = kernels.forward(bins, each(gaussian_table, means2d, conics, features, opacities))

    def pixels(tiles: Float[Array, "tiles 1+k p"]) -> tuple[Float[Array, "h w k"], Float[Array, "h w"]]:
        transmittance, *blended = (from_tiles(tiles[:, k], image) for k in range(tiles.shape[1]))
        return jnp.stack(blended, -1), transmittance

    return (*each(pixels, out), bins)


def _backward(
    kernels: Kernels,
    residuals: Residuals,
    grad_blended: Float[Array, "v|1 h w k"],
    grad_transmittance: Float[Array, "v|1 h w"],
) -> tuple[Float[Array, "v n 2"], Float[Array, "v n 3"], Float[Array, "v n k"], Float[Array, "v n"]]:
    """Gradients of means, conics, features and opacities. The fields of `residuals` have a leading axis, v or 1."""
    r, image = residuals, kernels.image

    def tiles(
        blended: Float[Array, "h w k"],
        transmittance: Float[Array, "h w"],
        grad_blended: Float[Array, "h w k"],
        grad_transmittance: Float[Array, "h w"],
    ) -> Float[Array, "tiles 1+k p"]:
        final = (blended * grad_blended).sum(-1) + transmittance * grad_transmittance
        return jnp.stack([to_tiles(a, image) for a in (final, *jnp.moveaxis(grad_blended, -1, 0))], 1)

    pixels = each(tiles, r.blended, r.transmittance, grad_blended, grad_transmittance)
    table = each(gaussian_table, r.means2d, r.conics, r.features, r.opacities)
    sums = kernels.sum_rows(r.bins, kernels.backward(r.bins, table, pixels))
    return each(parameter_gradients, r, sums)
