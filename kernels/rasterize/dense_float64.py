"""The rasterizer and its reverse pass in NumPy: the truth for a machine that should not have to compile one.

The image is that of `reference.py`, one Gaussian after the other over all pixels. The reverse pass walks back to front
and carries B = ∂L/∂T, the gradient of the transmittance behind Gaussian i, which starts as ∂L/∂T_final. With
γ_i = f_i · ∂L/∂A the chain rule through A += f_i α_i T_i and T_{i+1} = T_i (1 - α_i) gives

    ∂L/∂f_i = Σ_pixels α_i T_i ∂L/∂A        ∂L/∂α_i = T_i (γ_i - B)        B ← B + α_i (γ_i - B)

and with d = p - μ_i, through α_i = o_i e_i, e_i = exp(-½ dᵀ Q_i d):

    ∂α_i/∂o_i = e_i        ∂α_i/∂μ_i = α_i Q_i d        ∂α_i/∂(a, b, c) = -α_i (½ dx², dx dy, ½ dy²)

Nothing flows through an α that is capped, below its threshold or behind the end of the pixel.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ..arrays import ArrayLike
from ..binning.extents import MIN_ALPHA
from .reference import MAX_ALPHA, MIN_TRANSMITTANCE


class Inputs(NamedTuple):
    """What `rasterize` differentiates, or the gradients of it."""

    means2d: Float[ArrayLike, "n 2"]
    conics: Float[ArrayLike, "n 3"]
    colors: Float[ArrayLike, "n c"]
    opacities: Float[ArrayLike, " n"]
    depths: Float[ArrayLike, " n"]
    background: Float[ArrayLike, " c"]


class Outputs(NamedTuple):
    """An image, or the gradient of a loss with respect to it."""

    color: Float[ArrayLike, "h w c"]
    alpha: Float[ArrayLike, "h w"]
    depth: Float[ArrayLike, "h w"]


class _Step(NamedTuple):
    """One Gaussian at all pixels."""

    gaussian: int
    dx: Float[np.ndarray, "1 w"]
    dy: Float[np.ndarray, "h 1"]
    falloff: Float[np.ndarray, "h w"]
    alpha: Float[np.ndarray, "h w"]
    varies: Bool[np.ndarray, "h w"]
    """Where α follows its arguments."""
    before: Float[np.ndarray, "h w"]
    """Transmittance in front of it."""


def image_and_gradients(inputs: Inputs, gradient: Outputs) -> tuple[Outputs, Inputs]:
    """The image of 2D Gaussians, and ∂L/∂inputs for a given ∂L/∂image, in float64.

    Args:
      inputs: as of `rasterize`; finite, positive definite, in front of the camera.
      gradient: ∂L/∂image; its shape is the size of the image.
    """
    x = Inputs(*(np.asarray(a, np.float64) for a in inputs))
    g = Outputs(*(np.asarray(a, np.float64) for a in gradient))
    height, width = g.alpha.shape
    features = np.concatenate([x.colors, x.depths[:, None]], -1)
    steps, transmittance = _walk(x, width, height)
    blended = np.zeros((height, width, features.shape[1]))
    for step in steps:
        blended += np.multiply.outer(step.alpha * step.before, features[step.gaussian])
    image = Outputs(
        blended[..., :-1] + np.multiply.outer(transmittance, x.background), 1 - transmittance, blended[..., -1]
    )
    grad_blended = np.concatenate([g.color, g.depth[..., None]], -1)
    return image, _walk_back(x, features, steps, transmittance, grad_blended, g)


def _walk(x: Inputs, width: int, height: int) -> tuple[list[_Step], Float[np.ndarray, "h w"]]:
    """Front to back: every Gaussian at all pixels, and what is left of the light behind the last one."""
    transmittance, ended = np.ones((height, width)), np.zeros((height, width), bool)
    steps = []
    for i in np.argsort(x.depths, kind="stable"):
        (a, b, c), (mx, my) = x.conics[i], x.means2d[i]
        dx, dy = np.arange(width)[None] + 0.5 - mx, np.arange(height)[:, None] + 0.5 - my
        falloff = np.exp(-0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy)
        alpha = x.opacities[i] * falloff
        varies = (alpha >= MIN_ALPHA) & (alpha <= MAX_ALPHA)
        alpha = np.where(alpha >= MIN_ALPHA, np.minimum(alpha, MAX_ALPHA), 0)
        ended = ended | (transmittance * (1 - alpha) < MIN_TRANSMITTANCE)
        alpha = np.where(ended, 0, alpha)
        steps.append(_Step(int(i), dx, dy, falloff, alpha, varies & ~ended, transmittance))
        transmittance = transmittance * (1 - alpha)
    return steps, transmittance


def _walk_back(
    x: Inputs,
    features: Float[np.ndarray, "n c+1"],
    steps: list[_Step],
    transmittance: Float[np.ndarray, "h w"],
    grad_blended: Float[np.ndarray, "h w c+1"],
    g: Outputs,
) -> Inputs:
    """Back to front: the gradients."""
    means2d, conics, opacities = (np.zeros(np.shape(a)) for a in (x.means2d, x.conics, x.opacities))
    grad_features = np.zeros(features.shape)
    behind = g.color @ x.background - g.alpha
    for i, dx, dy, falloff, alpha, varies, before in reversed(steps):
        excess = grad_blended @ features[i] - behind
        behind = behind + alpha * excess
        grad_features[i] = np.einsum("hw,hwk->k", alpha * before, grad_blended)
        slope = np.where(varies, before * excess, 0)
        opacities[i] = (slope * falloff).sum()
        slope = slope * alpha
        a, b, c = x.conics[i]
        means2d[i] = (slope * (a * dx + b * dy)).sum(), (slope * (b * dx + c * dy)).sum()
        conics[i] = [-(slope * form).sum() for form in (dx * dx / 2, dx * dy, dy * dy / 2)]
    background = np.einsum("hw,hwc->c", transmittance, g.color)
    return Inputs(means2d, conics, grad_features[:, :-1], opacities, grad_features[:, -1], background)
