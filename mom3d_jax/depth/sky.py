"""Where the sky is: everything above a skyline, one height for each column of the photo.

What makes a pixel sky: it lies high, is bright or blue, and has little texture. What makes a row the skyline: an edge.
Both are costs, and dynamic programming finds the line that is cheapest as a whole (as the border of sky and ground is
sought in Shen and Wang, "Sky region detection in a single image for autonomous ground robot navigation", 2013, there
with a threshold on the gradient). Then the colours found on either side sharpen the costs, and the line is sought
again. A long straight edge is likely the horizon and expensive to cross.

The constants were chosen by the overlap with the true sky on six photos and six procedural landscapes.
"""

import dataclasses

import cv2
import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage

from mom3d_jax.depth.skyline import best_line
from mom3d_jax.types import Array, Scene

WIDTH = 256
"""Skies are large: they are sought at this width, px, which all sizes below refer to; then the line is refined."""
ROUNDS = 4
BINS = 8
TEXTURE_WINDOW = 7
HORIZON_WINDOW = 0.35
"""Share of the width over which a straight edge is summed."""
LEAST_SHARE = 0.01
"""A sky under this share of the photo is none."""


@dataclasses.dataclass(frozen=True)
class Features:
    """What is looked at, all [h, w]: CIELAB with lightness in [0, 1], edges and texture in lightness per px."""

    lightness: Float[np.ndarray, "h w"]
    green_red: Float[np.ndarray, "h w"]
    blue_yellow: Float[np.ndarray, "h w"]
    edge: Float[np.ndarray, "h w"]
    texture: Float[np.ndarray, "h w"]
    straight: Float[np.ndarray, "h w"]
    """Vertical gradient where it agrees with its average along the row, at most that average."""


def find_sky(scene: Scene) -> Float[np.ndarray, "h w"]:
    """The sky as its owner drew it, or as it is detected; 0 or 1."""
    if scene.layout.sky is not None:
        return (np.asarray(scene.layout.sky) > 0.5).astype(np.float32)
    return detect_sky(scene.image)


def detect_sky(image: Float[Array, "h w 3"]) -> Float[np.ndarray, "h w"]:
    """The sky of a photo.

    Args:
      image: RGB in [0, 1].

    Returns:
      1 in the sky, else 0; all 0 if there is none. In each column the sky begins at the top border.
    """
    image = np.ascontiguousarray(image, np.float32)
    height, width = image.shape[:2]
    line = _coarse_skyline(image)
    if width > WIDTH:
        line = _refine(image, line)
    sky = np.arange(height)[:, None] < line[None]
    return sky.astype(np.float32) if sky.mean() >= LEAST_SHARE else np.zeros((height, width), np.float32)


def _coarse_skyline(image: Float[np.ndarray, "h w 3"]) -> Int[np.ndarray, " w"]:
    """The number of sky rows in each column, found at `WIDTH`."""
    height, width = image.shape[:2]
    # Photos that are smaller are enlarged: costs are sums over pixels, whose balance depends on their number.
    size = (WIDTH, max(8, round(height * WIDTH / width)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if width >= WIDTH else cv2.INTER_LINEAR)
    f = _features(small)
    prior = _prior_cost(f)
    barrier = 3.0 * np.clip((f.straight - 0.02) / 0.02, 0, 2)
    gain = 10.0 * _edge_gain(f.edge)
    rows = np.arange(small.shape[0])[:, None]
    cost = prior
    for _ in range(ROUNDS):
        total = np.concatenate([np.zeros((1, small.shape[1])), np.cumsum(cost + barrier, axis=0)])
        line = best_line(total - gain, slope=2.0, jump=60.0)
        sky = rows < line
        if not LEAST_SHARE < sky.mean() < 1 - LEAST_SHARE:
            break
        cost = 0.5 * prior + 0.5 * _colour_cost(f, sky)
    x = (np.arange(width) + 0.5) * small.shape[1] / width - 0.5
    return np.round(np.interp(x, np.arange(small.shape[1]), line) * height / small.shape[0]).astype(np.int64)


def _features(image: Float[np.ndarray, "h w 3"]) -> Features:
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB) / np.float32(100)
    soft = cv2.GaussianBlur(lab[..., 0], (0, 0), 0.8)
    edge = np.hypot(*(cv2.Sobel(soft, cv2.CV_32F, dx, 1 - dx, scale=1 / 8) for dx in (0, 1)))
    around = cv2.blur(edge, (TEXTURE_WINDOW, TEXTURE_WINDOW), borderType=cv2.BORDER_REFLECT)
    # The calmer of the windows above and below: the skyline itself is no texture of the sky that ends there.
    reach = TEXTURE_WINDOW // 2 + 1
    padded = np.pad(around, ((reach, reach), (0, 0)), mode="edge")
    texture = np.minimum(padded[: -2 * reach], padded[2 * reach :])
    step = np.diff(soft, axis=0, append=soft[-1:])
    window = 2 * round(HORIZON_WINDOW * image.shape[1] / 2) + 1
    along = cv2.blur(step, (window, 1), borderType=cv2.BORDER_REFLECT)
    straight = np.clip(np.sign(along) * step, 0, np.abs(along))
    return Features(lab[..., 0], lab[..., 1], lab[..., 2], edge, texture, straight)


def _prior_cost(f: Features) -> Float[np.ndarray, "h w"]:
    """How much a pixel looks like ground (> 0) or sky (< 0), by place, colour and texture."""
    height = f.lightness.shape[0]
    row = (np.arange(height)[:, None] + 0.5) / height
    bright = np.clip((f.lightness - max(0.7, np.median(f.lightness[height // 2 :]))) / 0.2, -1, 1)
    blue = np.clip(-(f.blue_yellow + 0.3 * f.green_red) / 0.08, -1, 1)
    rough = np.clip((f.texture - 0.012) / 0.008, -0.2, 1.5)
    return np.clip((row - 0.4) / 0.1, -0.3, 3) + rough - 0.25 * (bright + blue)


def _edge_gain(edge: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h+1 w"]:
    """How much the skyline likes to run above each row, in [0, 1]: on the crest of a strong edge."""
    crest = ndimage.maximum_filter1d(edge, 9, axis=0)
    gain = np.minimum(crest / 0.04, 1) * edge / np.maximum(crest, 1e-6)
    between = 0.5 * np.ones((edge.shape[0] + 1, edge.shape[1]))
    between[1:-1] = 0.5 * (gain[1:] + gain[:-1])
    return between


def _colour_cost(f: Features, sky: np.ndarray) -> Float[np.ndarray, "h w"]:
    """Log ratio of the histograms of ground and sky over lightness, blueness and texture, in [-3, 3]."""
    bin_of = lambda x, low, high: np.clip((x - low) / (high - low) * BINS, 0, BINS - 1).astype(np.int64)
    index = (bin_of(f.lightness, 0, 1) * BINS + bin_of(f.blue_yellow, -0.4, 0.4)) * BINS
    index += bin_of(np.sqrt(f.texture), 0, 0.3)

    def histogram(chosen: np.ndarray) -> np.ndarray:
        counts = np.bincount(index[chosen], minlength=BINS**3).reshape(BINS, BINS, BINS)
        counts = ndimage.gaussian_filter(counts.astype(np.float64), 0.7, mode="nearest").ravel()
        return counts / counts.sum() + 1e-5

    return np.clip(np.log(histogram(~sky) / histogram(sky)), -3, 3)[index]


def _refine(image: Float[np.ndarray, "h w 3"], line: Int[np.ndarray, " w"]) -> Int[np.ndarray, " w"]:
    """Move a skyline that was found at `WIDTH` to the edges of the full image, within two small pixels."""
    height, width = image.shape[:2]
    reach = int(np.ceil(2 * width / WIDTH))
    lightness = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2LAB)[..., 0] / np.float32(100), (0, 0), 0.8)
    step = np.abs(np.diff(lightness, axis=0, prepend=lightness[:1], append=lightness[-1:]))
    offsets = np.arange(-reach, reach + 1)[:, None]
    rows = np.clip(line[None] + offsets, 0, height)
    gain = np.take_along_axis(step, rows, axis=0)
    gain /= np.maximum(gain.max(axis=0, keepdims=True), 0.02)
    # Neighbouring columns have the same offset where the coarse line is right.
    chosen = best_line(-gain.astype(np.float64), slope=0.2, jump=2.0)
    refined = np.take_along_axis(rows, chosen[None], axis=0)[0]
    return np.where((line == 0) | (line == height), line, refined)
