"""Tiled rasterizer in plain JAX for every platform.

What decides its speed on a CPU, where a fusion has one output: α of a whole chunk is one fusion; the recurrence over
the Gaussians of a chunk is unrolled with one array per channel; nothing is scattered in a loop. The backward pass walks
front to back as well (what lies behind a Gaussian is the final sum minus what was blended so far), reduces over the
pixels of a tile by matrix products, stores one row per intersection in the order of processing and sums rows by
Gaussian at the end.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Int

from ..binning.op import Bins, bin_gaussians
from ..segments import add_rows, sum_runs
from .tiles import (
    CHUNK,
    MAX_ALPHA,
    MIN_TRANSMITTANCE,
    PIXEL_X,
    PIXEL_Y,
    PIXELS,
    Chunk,
    Image,
    Work,
    from_tiles,
    gaussian_table,
    in_batches,
    load_chunk,
    step,
    to_tiles,
    walk,
)

HIGHEST = lax.Precision.HIGHEST


class Residuals(NamedTuple):
    """What the backward pass needs."""

    means2d: Float[Array, "n 2"]
    conics: Float[Array, "n 3"]
    features: Float[Array, "n k"]
    opacities: Float[Array, " n"]
    bins: Bins
    blended: Float[Array, "h w k"]
    transmittance: Float[Array, "h w"]


class ChunkGradients(NamedTuple):
    """What one chunk of Gaussians does to the loss, per pixel."""

    behind: Float[Array, "t p"]
    """See `_chunk_gradients`."""
    slopes: Float[Array, "t g p"]
    """∂L/∂log α."""
    weights: Float[Array, "t g p"]
    """α T."""


class Partials(NamedTuple):
    """Sums over the pixels of a tile, one row of `CHUNK` Gaussians after the other in the order of processing."""

    end: Int[Array, ""]
    """Chunks in use."""
    places: Int[Array, " r"]
    """In the lists; their capacity where there is nothing."""
    sums: Float[Array, "r 6+k"]


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
) -> tuple[Float[Array, "h w k"], Float[Array, "h w"], Int[Array, ""]]:
    """Σ f α T, T_final and the number of intersections; see `reference.blend_image`."""
    return _blend(Image(width, height, capacity, deterministic), means2d, conics, features, opacities, depths)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _blend(image: Image, *gaussians: Array) -> tuple[Array, Array, Array]:
    return _blend_forward(image, *gaussians)[0]


def _blend_forward(image: Image, *gaussians: Array) -> tuple[tuple[Array, Array, Array], Residuals]:
    # Under vmap one image after the other: a batched loop would copy what it carries and run as long as the slowest.
    forward = jax.custom_batching.sequential_vmap(functools.partial(_forward, image))
    blended, transmittance, bins = forward(*gaussians)
    means2d, conics, features, opacities, _ = gaussians
    residuals = Residuals(means2d, conics, features, opacities, bins, blended, transmittance)
    return (blended, transmittance, bins.intersections), residuals


def _blend_backward(image: Image, residuals: Residuals, grads: tuple[Array, Array, Array]) -> tuple[Array, ...]:
    backward = jax.custom_batching.sequential_vmap(functools.partial(_backward, image))
    return (*backward(residuals, *grads[:2]), jnp.zeros_like(residuals.opacities))


_blend.defvjp(_blend_forward, _blend_backward)


def _forward(
    image: Image,
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

    def batch(work: Work) -> tuple[Float[Array, "t p"], ...]:
        def blend_chunk(index: Array, T: Array, sums: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
            chunk = load_chunk(table, bins, work, index, columns)
            for g in range(CHUNK):
                T, weight = step(T, chunk.alpha[:, g])
                covered, *blended = sums
                blended = [s + weight * chunk.features[:, g, k : k + 1] for k, s in enumerate(blended)]
                sums = (covered + weight, *blended)
            return T, sums

        empty = jnp.zeros((work.tiles.shape[0], PIXELS), jnp.float32)
        T, (covered, *sums) = walk(work, blend_chunk, (empty,) * (1 + features.shape[1]))
        return (jnp.where(T >= MIN_TRANSMITTANCE, T, 1 - covered), *sums)

    work = in_batches(bins)
    blended = []
    for values in lax.map(batch, work):
        tiles = jnp.zeros((columns * rows, PIXELS), jnp.float32)
        tiles = tiles.at[work.tiles].set(values, mode="drop", unique_indices=True)
        blended.append(from_tiles(tiles, image))
    return jnp.stack(blended[1:], -1), blended[0], bins


def _backward(
    image: Image,
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
    pixels = [to_tiles(a, image) for a in (final, *jnp.moveaxis(grad_blended, -1, 0))]

    def batch(partials: Partials, work: Work) -> tuple[Partials, None]:
        final, *grads = (a.at[work.tiles].get(mode="clip") for a in pixels)
        grad = jnp.stack(grads, 1)

        def blend_chunk(
            index: Array, T: Array, state: tuple[ChunkGradients, Partials]
        ) -> tuple[Array, tuple[ChunkGradients, Partials]]:
            gradients, partials = state
            chunk = load_chunk(table, r.bins, work, index, columns)
            T, gradients = _chunk_gradients(T, gradients, chunk, grad)
            colors = jnp.einsum("tgp,tkp->tgk", gradients.weights, grad, precision=HIGHEST)
            listed = (work.lengths > index * CHUNK).sum(dtype=jnp.int32)
            moments = _moments(gradients.slopes, chunk)
            return T, (gradients, _append(partials, listed, chunk.place, moments, colors))

        unset = lax.empty((work.tiles.shape[0], CHUNK, PIXELS), jnp.float32)
        _, (_, partials) = walk(work, blend_chunk, (ChunkGradients(final, unset, unset), partials))
        return partials, None

    work = in_batches(r.bins)
    # A list of m has ⌈m / CHUNK⌉ chunks; those of a whole batch are written from the first unused one on.
    size = (image.capacity // CHUNK + columns * rows + work.tiles.shape[-1]) * CHUNK
    unset = Partials(
        jnp.int32(0), jnp.full(size, image.capacity, jnp.int32), lax.empty((size, 6 + channels), jnp.float32)
    )
    partials, _ = lax.scan(batch, unset, work)
    sums = _sum_by_gaussian(partials, r.bins, image.deterministic)
    return parameter_gradients(r, sums)


def _chunk_gradients(
    T: Float[Array, "t p"], gradients: ChunkGradients, chunk: Chunk, grad: Float[Array, "t k p"]
) -> tuple[Float[Array, "t p"], ChunkGradients]:
    """Walk one chunk: from T and `behind` before it to T and all of `ChunkGradients` after it.

    With w = α T and γ_i = f_i · ∂L/∂A (A the blended features):

        ∂L/∂log α_i = w_i γ_i - behind_i α_i / (1 - α_i),   behind_i = Σ_{j>i} w_j γ_j + T_final ∂L/∂T_final

    Before the first Gaussian `behind` is A · ∂L/∂A + T_final ∂L/∂T_final. Beyond the cap of α nothing flows.
    """
    gains = jnp.einsum("tgk,tkp->tgp", chunk.features, grad, precision=HIGHEST)

    # A loop, because XLA would compute all steps up to the last one anew for each row of an unrolled result.
    def advance(g: Array, carry: tuple[Array, ChunkGradients]) -> tuple[Array, ChunkGradients]:
        T, (behind, slopes, weights) = carry
        alpha, gain = (lax.dynamic_index_in_dim(x, g, 1, keepdims=False) for x in (chunk.alpha, gains))
        T, weight = step(T, alpha)
        seen = weight * gain
        behind = behind - seen
        slope = jnp.where((weight > 0) & (alpha < MAX_ALPHA), seen - behind * (alpha / (1 - alpha)), 0)
        update = lax.dynamic_update_index_in_dim
        return T, ChunkGradients(behind, update(slopes, slope, g, 1), update(weights, weight, g, 1))

    return lax.fori_loop(0, CHUNK, advance, (T, gradients), unroll=2)


def _moments(slopes: Float[Array, "t g p"], chunk: Chunk) -> Float[Array, "t g 6"]:
    """Σ slope · (dx, dy, dx², dx dy, dy², 1) over the pixels of each tile."""
    x, y = PIXEL_X, PIXEL_Y
    monomials = np.stack([x, y, x * x, x * y, y * y, np.ones_like(x)], -1)
    m = jnp.einsum("tgp,pm->tgm", slopes, monomials, precision=HIGHEST)
    # Move the origin from the tile's centre to the mean. No digits cancel: a mean far away makes all terms large.
    mx, my, mxx, mxy, myy, one = jnp.moveaxis(m, -1, 0)
    x, y = chunk.x, chunk.y
    return jnp.stack(
        [
            mx - x * one,
            my - y * one,
            mxx - 2 * x * mx + x * x * one,
            mxy - x * my - y * mx + x * y * one,
            myy - 2 * y * my + y * y * one,
            one,
        ],
        -1,
    )


def _append(
    partials: Partials,
    listed: Int[Array, ""],
    places: Int[Array, "t g"],
    moments: Float[Array, "t g 6"],
    colors: Float[Array, "t g k"],
) -> Partials:
    """Store a chunk. Only the first `listed` tiles still have Gaussians; the next chunk overwrites the others."""
    at = partials.end * CHUNK
    sums = jnp.concatenate([moments, colors], -1).reshape(places.size, partials.sums.shape[1])
    return Partials(
        partials.end + listed,
        lax.dynamic_update_slice(partials.places, places.reshape(places.size), (at,)),
        lax.dynamic_update_slice(partials.sums, sums, (at, 0)),
    )


def _sum_by_gaussian(partials: Partials, bins: Bins, deterministic: bool) -> Float[Array, "n 6+k"]:
    """Add up the rows of each Gaussian: on a CPU one after the other, elsewhere as runs of slots or with atomics."""
    n, capacity = bins.begins.shape[0], bins.slots.shape[0]

    def add(partials: Partials) -> Float[Array, "n 6+k"]:
        return add_rows(partials.sums, bins.gaussians.at[partials.places].get(mode="fill", fill_value=n), n)

    def sum_slots(partials: Partials) -> Float[Array, "n 6+k"]:
        slots = bins.slots.at[partials.places].get(mode="fill", fill_value=capacity)
        rows = jnp.zeros((capacity, partials.sums.shape[1]), jnp.float32).at[slots].set(partials.sums, mode="drop")
        return sum_runs(rows, bins.begins, bins.counts)

    return lax.platform_dependent(partials, cpu=add, default=sum_slots if deterministic else add)


def parameter_gradients(
    r: Residuals, sums: Float[Array, "n 6+k"]
) -> tuple[Float[Array, "n 2"], Float[Array, "n 3"], Float[Array, "n k"], Float[Array, " n"]]:
    """From Σ ∂L/∂log α · (dx, dy, dx², dx dy, dy², 1) with log α = log o - ½ (a dx² + 2 b dx dy + c dy²), d = p - μ."""
    dx, dy, dxx, dxy, dyy, one = (sums[:, i] for i in range(6))
    a, b, c = r.conics[:, 0], r.conics[:, 1], r.conics[:, 2]
    return (
        jnp.stack([a * dx + b * dy, b * dx + c * dy], -1),
        jnp.stack([-0.5 * dxx, -dxy, -0.5 * dyy], -1),
        sums[:, 6:],
        jnp.where(r.opacities > 0, one / r.opacities, 0),
    )
