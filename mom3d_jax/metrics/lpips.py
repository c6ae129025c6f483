"""LPIPS with VGG16 (R. Zhang et al., CVPR 2018), on the network and the weights of lpips-j.

With unit-normalised features φ̂_s of stage s (after its last ReLU) and learned weights w_s of the channels,

    d = Σ_s mean over positions of Σ_c w_sc (φ̂_sc(x) - φ̂_sc(x₀))².

Values of other networks (AlexNet) are not comparable.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mom3d_jax.metrics.chunks import map_frames
from mom3d_jax.metrics.image import display_values, weighted_mean
from mom3d_jax.metrics.lpips_weights import LpipsWeights
from mom3d_jax.types import Array

STAGES = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
MASKINGS = ("multiplied", "filled")
CHUNK = 4
"""Pairs at a time: 1.5 GiB at 512 x 288 (`docs/metrics.md`)."""


def lpips(
    weights: LpipsWeights,
    image: Array,
    reference: Array,
    weight: Float[Array, "b h w"] | None = None,
    masking: str = "multiplied",
    chunk: int = CHUNK,
) -> Float[np.ndarray, " b"]:
    """Perceptual distance of each pair; 0 for equal images, to rounding (1e-15).

    Args:
      weights: what `load_lpips_weights` returned.
      image: what is judged, [b, h, w, 3] in [0, 1] or bytes.
      reference: the truth, alike.
      weight: of each pixel. Pixels of weight 0 have no influence, NaN or not; an image without any other is NaN.
      masking: what weights do. "multiplied": both images are black where the weight is 0, and the map of distances is
        averaged with the weights, as in DyCheck (H. Gao et al., NeurIPS 2022). "filled": where the weight is 0 the
        image takes the pixels of the reference, and the distance is the plain one over the whole frame, smaller the
        less of it counts.
      chunk: pairs at a time, which bounds the memory.

    Raises:
      ValueError: unknown masking, images of different shapes or below 16 px.
    """
    if masking not in MASKINGS:
        raise ValueError(f"unknown LPIPS masking {masking!r}; known: {', '.join(MASKINGS)}")
    _check(image, reference)
    distance = partial(_distance, weights.vgg, weights.linear, masking=masking)
    return map_frames(distance, image, reference, weight, chunk=chunk)


def lpips_map(weights: LpipsWeights, image: Array, reference: Array, chunk: int = CHUNK) -> Float[np.ndarray, "b h w"]:
    """The distance of each stage enlarged bilinearly to the images' size, and summed.

    Its mean is `lpips` where height and width are multiples of 16, and close to it elsewhere.

    Args:
      weights: what `load_lpips_weights` returned.
      image: what is judged, [b, h, w, 3] in [0, 1] or bytes.
      reference: the truth, alike.
      chunk: pairs at a time.

    Raises:
      ValueError: images of different shapes or below 16 px.
    """
    _check(image, reference)
    return map_frames(partial(_map, weights.vgg, weights.linear), image, reference, chunk=chunk)


def _check(image: Array, reference: Array) -> None:
    if image.shape != reference.shape or image.ndim != 4 or image.shape[-1] != 3:
        shapes = f"{list(image.shape)} and {list(reference.shape)}"
        raise ValueError(f"LPIPS compares two [b, h, w, 3] of one shape, not {shapes}")
    if min(image.shape[1:3]) < 16:
        raise ValueError(f"LPIPS needs images of at least 16x16 px, not {image.shape[2]}x{image.shape[1]}")


def _stage_maps(vgg: dict, linear: tuple, x: jax.Array, y: jax.Array) -> list[Float[jax.Array, "b i j"]]:
    """Σ_c w_c (φ̂_c(x) - φ̂_c(y))² of each stage, for images in [0, 1].

    The network takes off the mean and deviation of ImageNet, which on [0, 1] is what the scaling layer of LPIPS is on
    [-1, 1].
    """
    from flaxmodels.vgg import VGG16

    network = VGG16(output="activations", pretrained=None, include_head=False)
    with jax.default_matmul_precision("highest"):
        features = network.apply({"params": vgg}, jnp.concatenate([x, y]))
        maps = []
        for stage, weight in zip(STAGES, linear, strict=True):
            phi = features[stage]
            phi = phi / (jnp.sqrt(jnp.sum(phi * phi, axis=-1, keepdims=True)) + 1e-10)
            maps.append(jnp.square(phi[: len(x)] - phi[len(x) :]) @ weight)
    return maps


def _enlarged(maps: list[jax.Array], height: int, width: int) -> Float[jax.Array, "b h w"]:
    return jnp.stack([jax.image.resize(m, (len(m), height, width), "bilinear") for m in maps]).sum(axis=0)


@jax.jit
def _map(vgg: dict, linear: tuple, image: Array, reference: Array) -> Float[jax.Array, "b h w"]:
    maps = _stage_maps(vgg, linear, display_values(image), display_values(reference))
    return _enlarged(maps, *image.shape[1:3])


@partial(jax.jit, static_argnames="masking")
def _distance(
    vgg: dict, linear: tuple, image: Array, reference: Array, weight: Array | None, masking: str
) -> Float[jax.Array, " b"]:
    x, y = display_values(image), display_values(reference)
    if weight is not None:
        weight = jnp.asarray(weight, jnp.float32)
        counts = (weight > 0)[..., None]
        known = counts | jnp.isfinite(y) if masking == "filled" else counts
        y = jnp.where(known, y, 0)
        x = jnp.where(counts, x, y)
    maps = _stage_maps(vgg, linear, x, y)
    if weight is not None and masking == "multiplied":
        return jax.vmap(weighted_mean)(_enlarged(maps, *image.shape[1:3]), weight)
    total = jnp.stack([m.mean(axis=(1, 2)) for m in maps]).sum(axis=0)
    return total if weight is None else jnp.where(weight.sum(axis=(1, 2)) > 0, total, jnp.nan)
