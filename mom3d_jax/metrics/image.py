"""Full-reference image metrics on display values in [0, 1], or on bytes, which are divided by 255.

Weights say which pixels count (validity, masks; any non-negative values). A pixel of weight 0 has no influence, not
even when it is NaN; where all weights are 0 a metric is NaN, never a number that looks like a result.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mom3d_jax.types import Array

Scalar = Float[jax.Array, ""]


def display_values(image: Array) -> Float[jax.Array, "*shape"]:
    """Display values as float32: bytes divided by 255, floating point as it is.

    Raises:
      ValueError: any other type; whole numbers do not say what white is.
    """
    image = jnp.asarray(image)
    if image.dtype == jnp.uint8:
        return image.astype(jnp.float32) / 255
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise ValueError(f"images are uint8 or floating point in [0, 1], not {image.dtype}; convert them first")
    return image.astype(jnp.float32)


def _difference(image: Array, reference: Array) -> Float[jax.Array, "*shape"]:
    """image - reference as display values.

    Bytes are subtracted as whole numbers: compilers fuse the division with the subtraction, and equal bytes then differ
    by a rounding error.
    """
    image, reference = jnp.asarray(image), jnp.asarray(reference)
    if image.dtype == reference.dtype == jnp.uint8:
        return (image.astype(jnp.int32) - reference.astype(jnp.int32)).astype(jnp.float32) / 255
    return display_values(image) - display_values(reference)


def weighted_mean(values: Float[Array, "*b h w"], weight: Float[Array, "*b h w"] | None) -> Scalar:
    """Σ w v / Σ w over everything; the plain mean without weights, NaN where all weights are 0."""
    values = jnp.asarray(values)
    if weight is None:
        return jnp.mean(values)
    w = jnp.asarray(weight, values.dtype)
    return jnp.sum(jnp.where(w > 0, w * values, 0)) / jnp.sum(w)


@jax.jit
def psnr(
    image: Float[Array, "*b h w c"], reference: Float[Array, "*b h w c"], weight: Float[Array, "*b h w"] | None = None
) -> Scalar:
    """Peak signal-to-noise ratio in dB for a peak of 1, -10 log10(Σ w e² / (C Σ w)); inf for equal images.

    One squared error over all pixels of all images: for a mean over images of per-image values, `jax.vmap` it.

    Args:
      image: what is judged.
      reference: the truth.
      weight: of each pixel; None counts all alike.
    """
    error = jnp.mean(jnp.square(_difference(image, reference)), axis=-1)
    return -10 * jnp.log10(weighted_mean(error, weight))


def _window(size: int = 11, sigma: float = 1.5) -> np.ndarray:
    x = np.arange(size) - (size - 1) / 2
    g = np.exp(-(x**2) / (2 * sigma**2))
    return (g / g.sum()).astype(np.float32)


def _band(length: int, padding: str) -> Float[np.ndarray, "i h"]:
    """The matrix that blurs an axis: row i holds the window around position i (+ 5 for "valid")."""
    window = _window()
    half = len(window) // 2
    full = sum(np.eye(length, k=k - half, dtype=np.float32) * g for k, g in enumerate(window))
    return full if padding == "same" else full[half : length - half]


def _blur(a: Float[jax.Array, "*b h w c"], padding: str) -> Float[jax.Array, "*b i j c"]:
    """Separable 11 x 11 Gaussian over rows and columns.

    As two products with banded matrices: their gradient is the fastest on a CPU (`docs/metrics.md`), and they are what
    matrix units are made for.
    """
    rows, columns = (_band(n, padding) for n in a.shape[-3:-1])
    a = jnp.einsum("ih,...hwc->...iwc", rows, a, precision=jax.lax.Precision.HIGHEST)
    return jnp.einsum("jw,...iwc->...ijc", columns, a, precision=jax.lax.Precision.HIGHEST)


def _blur_plane(a: Float[jax.Array, "*b h w"], padding: str) -> Float[jax.Array, "*b i j"]:
    """The same blur as sums of shifted planes."""
    if padding == "same":
        a = jnp.pad(a, [(0, 0)] * (a.ndim - 2) + [(5, 5), (5, 5)])
    window = _window()
    for axis in (-2, -1):
        shifted = partial(jax.lax.slice_in_dim, a, axis=axis)
        n = a.shape[axis] - 10
        a = window[5] * shifted(5, 5 + n)
        for k in range(5):
            a = a + window[k] * (shifted(k, k + n) + shifted(10 - k, 10 - k + n))
    return a


def _similarity(x: jax.Array, y: jax.Array, blur: Callable[[jax.Array], jax.Array]) -> Float[jax.Array, "..."]:
    """The index of each window and channel, whichever axis these are."""
    mx, my, xx, yy, xy = blur(jnp.stack([x, y, x * x, y * y, x * y]))
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mx * my + c1) / (mx * mx + my * my + c1)
    structure = (2 * (xy - mx * my) + c2) / (xx - mx * mx + yy - my * my + c2)
    return luminance * structure


@partial(jax.jit, static_argnames=("padding", "blur"))
def ssim_map(
    image: Float[Array, "*b h w c"],
    reference: Float[Array, "*b h w c"],
    padding: str = "valid",
    blur: str = "products",
) -> Float[jax.Array, "*b i j"]:
    """Structural similarity of each window, mean over channels (Z. Wang et al. 2004, eq. 13).

    Gaussian window 11 x 11 with sigma 1.5, K = (0.01, 0.03), range 1, biased (co)variances.

    Args:
      image: what is judged.
      reference: the truth.
      padding: "valid" keeps the windows that lie inside the image, so the map is 10 smaller in height and width, as
        the original; "same" pads with zeros and keeps the size, as most Gaussian splatting code does (borders score
        higher).
      blur: how the window is applied, to the same result. "products" with banded matrices has the faster gradient and
        suits matrix units; "sums" of shifted planes, one colour after the other, is for scores: a seventh of the time
        on a CPU at 512 x 288 (`docs/metrics.md`).

    Raises:
      ValueError: unknown padding or blur, or an image smaller than the window.
    """
    if blur not in ("products", "sums"):
        raise ValueError(f"unknown SSIM blur {blur!r}; known: products, sums")
    if padding not in ("valid", "same"):
        raise ValueError(f"unknown SSIM padding {padding!r}; known: valid, same")
    x, y = display_values(image), display_values(reference)
    if min(x.shape[-3:-1]) < 11:
        raise ValueError(f"SSIM needs images of at least 11x11 px, not {x.shape[-2]}x{x.shape[-3]}")
    if blur == "products":
        return jnp.mean(_similarity(x, y, partial(_blur, padding=padding)), axis=-1)
    planes = jnp.stack([jnp.moveaxis(x, -1, 0), jnp.moveaxis(y, -1, 0)], axis=1)
    blurred = partial(_blur_plane, padding=padding)
    return jnp.mean(jax.lax.map(lambda pair: _similarity(pair[0], pair[1], blurred), planes), axis=0)


@partial(jax.jit, static_argnames=("padding", "blur"))
def ssim(
    image: Float[Array, "*b h w c"],
    reference: Float[Array, "*b h w c"],
    weight: Float[Array, "*b h w"] | None = None,
    padding: str = "valid",
    blur: str = "products",
) -> Scalar:
    """Mean structural similarity; see `ssim_map`.

    With weights, the map is averaged with the weight of each window's centre, and uncovered pixels (weight 0) are taken
    from the reference in both images, so that they carry no difference into the windows that reach them.

    Args:
      image: what is judged.
      reference: the truth.
      weight: of each pixel; None counts all alike.
      padding: "valid" or "same".
      blur: "products" or "sums".

    Raises:
      ValueError: unknown padding or blur, or an image smaller than the window.
    """
    image, reference = display_values(image), display_values(reference)
    if weight is None:
        return weighted_mean(ssim_map(image, reference, padding, blur), None)
    covered = jnp.asarray(weight)[..., None] > 0
    # Where the reference is unknown too, both images become black.
    reference = jnp.where(covered | jnp.isfinite(reference), reference, 0)
    values = ssim_map(jnp.where(covered, image, reference), reference, padding, blur)
    inside = slice(5, -5) if padding == "valid" else slice(None)
    return weighted_mean(values, jnp.asarray(weight)[..., inside, inside])


@jax.jit
def max_abs_difference(
    image: Float[Array, "*b h w c"], reference: Float[Array, "*b h w c"], weight: Float[Array, "*b h w"] | None = None
) -> Scalar:
    """Largest absolute difference of any value where the weight is positive; 0 says equal to the bit.

    NaN where a counted value is NaN or where nothing is counted.
    """
    difference = jnp.abs(_difference(image, reference))
    counts = jnp.ones(difference.shape, bool)
    if weight is not None:
        counts = jnp.broadcast_to((jnp.asarray(weight) > 0)[..., None], difference.shape)
    # Compiled maxima may step over NaN (XLA on CPU does), so that NaN is asked for by name.
    unknown = jnp.any(counts & jnp.isnan(difference)) | ~jnp.any(counts)
    return jnp.where(unknown, jnp.nan, jnp.max(jnp.where(counts, difference, 0)))
