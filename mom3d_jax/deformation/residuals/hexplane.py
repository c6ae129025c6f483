"""HexPlane residual: six feature planes over pairs of (x, y, z, t) and small heads (paper §3.3; 4D-GS, CVPR 2024, §4).

At each level the six bilinear samples are multiplied elementwise; the levels are concatenated, passed through one
linear layer, and one two-layer head per corrected attribute. The last layer of every head starts at zero unless
`zero_init` is off, so an untrained residual changes nothing. Time planes start at 1 and are regularised towards it.
"""

import dataclasses
import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn.initializers import Initializer
from jaxtyping import Array as JaxArray
from jaxtyping import Float

from mom3d_jax.deformation.residuals.protocol import Delta
from mom3d_jax.kernels.gridsample import sample_planes
from mom3d_jax.types import Array

SPACE_PAIRS = np.array([[0, 1], [0, 2], [1, 2]])
HEADS = {"pixels": 3, "log_scales": 3, "quaternions": 4, "opacity_logits": 1, "sh_dc": 3}

# Rows per step through the heads on a CPU: their hidden layers stay in its cache.
BLOCK = 1024

Layers = dict[str, tuple[JaxArray, JaxArray]]
"""Kernel and bias by the name of the layer."""


class HexPlaneNetwork(nn.Module):
    """Planes and heads; returns a dict of raw head outputs [k, m, width]."""

    options: "HexPlaneResidual"

    @nn.compact
    def __call__(self, where: Float[Array, "m 3"], times: Float[Array, " k"]) -> dict[str, JaxArray]:
        """Look up the planes and run the heads."""
        o = self.options
        where = jnp.asarray(where)
        m, k = where.shape[0], times.shape[0]
        space = jnp.stack([where[:, pair] for pair in SPACE_PAIRS])
        along = jnp.stack([jnp.zeros_like(where.T), where.T], axis=-1)
        levels = []
        for level, scale in enumerate(o.multires):
            size = o.resolution * scale
            planes = self.param(f"space_{level}", _uniform, (3, size, size, o.features))
            grids = self.param(f"time_{level}", nn.initializers.ones, (3, o.time_resolution, size, o.features))
            # All points share the times, so a time plane is cut at them into a line that holds the features of each.
            lines = jax.vmap(_rows_at, in_axes=(0, None))(grids, times).swapaxes(1, 2)
            in_time = sample_planes(lines.reshape(3, 1, size, k * o.features), along)
            in_space = jnp.prod(sample_planes(planes, space), axis=0)
            levels.append(in_space[:, None] * jnp.prod(in_time, axis=0).reshape(m, k, o.features))
        weights, bias = nn.initializers.lecun_normal(), nn.initializers.zeros
        last = nn.initializers.zeros
        if not o.zero_init:
            weights = last = nn.initializers.xavier_uniform()
            bias = partial(_symmetric, reach=1 / math.sqrt(o.width))
        layer = partial(Layer, kernel_init=weights, bias_init=bias)
        features = jnp.concatenate(levels, axis=-1)
        layers = {"trunk": layer(o.width, name="trunk")(features.shape[2])}
        for name in o.heads:
            layers[f"{name}_hidden"] = layer(o.width, name=f"{name}_hidden")(o.width)
            layers[f"{name}_out"] = layer(HEADS[name], kernel_init=last, name=f"{name}_out")(o.width)
        rows = features.reshape(m * k, features.shape[2])
        outputs = lax.platform_dependent(layers, rows, cpu=_heads_in_blocks, default=_heads)
        return {name: out.reshape(m, k, HEADS[name]).swapaxes(0, 1) for name, out in outputs.items()}


class Layer(nn.Module):
    """Parameters of a dense layer: a kernel [size, width] and a bias [width]."""

    width: int
    kernel_init: Initializer
    bias_init: Initializer

    @nn.compact
    def __call__(self, size: int) -> tuple[JaxArray, JaxArray]:
        """The parameters for inputs of `size` features."""
        kernel = self.param("kernel", self.kernel_init, (size, self.width))
        return kernel, self.param("bias", self.bias_init, (self.width,))


def _heads(layers: Layers, features: Float[JaxArray, "r f"]) -> dict[str, JaxArray]:
    """Raw outputs [r, width] of each head."""

    def dense(name: str, x: JaxArray) -> JaxArray:
        kernel, bias = layers[name]
        return x @ kernel + bias[None]

    hidden = nn.relu(dense("trunk", features))
    names = [name.removesuffix("_out") for name in layers if name.endswith("_out")]
    return {name: dense(f"{name}_out", nn.relu(dense(f"{name}_hidden", hidden))) for name in names}


def _heads_in_blocks(layers: Layers, features: Float[JaxArray, "r f"]) -> dict[str, JaxArray]:
    """`_heads`, a cache-sized block after the other: on a CPU, hidden layers are faster recomputed than read."""
    rows, f = features.shape
    blocks = -(-rows // BLOCK)
    split = jnp.pad(features, ((0, blocks * BLOCK - rows), (0, 0))).reshape(blocks, BLOCK, f)
    outputs = lax.map(jax.checkpoint(partial(_heads, layers)), split)
    return jax.tree.map(lambda out: out.reshape(blocks * BLOCK, out.shape[2])[:rows], outputs)


def _rows_at(grid: Float[JaxArray, "t s c"], times: Float[Array, " k"]) -> Float[JaxArray, "k s c"]:
    """Rows of a plane at times in [-1, 1], linear between its own rows."""
    last = grid.shape[0] - 1
    place = jnp.clip((times + 1) / 2 * last, 0, last)
    lower = jnp.clip(jnp.floor(place), 0, max(last - 1, 0)).astype(jnp.int32)
    share = (place - lower.astype(place.dtype))[:, None, None]
    return (1 - share) * grid[lower] + share * grid[jnp.minimum(lower + 1, last)]


def _total(terms: Iterable[JaxArray]) -> JaxArray:
    return jnp.sum(jnp.stack(list(terms)))


def _symmetric(key: JaxArray, shape: tuple[int, ...], dtype: Any = jnp.float32, *, reach: float) -> JaxArray:
    return jax.random.uniform(key, shape, dtype, minval=-reach, maxval=reach)


def _uniform(key: JaxArray, shape: tuple[int, ...]) -> JaxArray:
    return jax.random.uniform(key, shape, minval=0.1, maxval=0.5)


@dataclasses.dataclass(frozen=True)
class HexPlaneResidual:
    """Options of the HexPlane residual."""

    resolution: int = 64
    """Cells per spatial axis at the first level."""
    time_resolution: int = 25
    """Cells along signed time, which covers two periods."""
    features: int = 16
    multires: tuple[int, ...] = (1, 2)
    """Spatial resolution of each level, as a multiple of the first."""
    width: int = 64
    """Hidden units."""
    heads: tuple[str, ...] = ("pixels", "log_scales", "quaternions")
    """Attributes that are corrected, of `HEADS`."""
    zero_init: bool = True
    """Whether the heads' last layer starts at zero. False: Xavier weights and uniform biases everywhere, as released,
    so that an untrained residual is not zero."""
    one_axis: bool = False
    """Whether a spatial plane's smoothness looks along its second axis only (y or z, as released) or along both."""
    plane_smoothness: float = 1e-4
    time_smoothness: float = 1e-2
    time_deviation: float = 1e-4

    def __post_init__(self) -> None:
        unknown = set(self.heads) - set(HEADS)
        if unknown:
            raise ValueError(f"unknown HexPlane heads {sorted(unknown)}; known: {', '.join(HEADS)}")
        if not self.multires or min(self.resolution * min(self.multires), self.time_resolution) < 3:
            raise ValueError("HexPlane grids need at least 3 cells along every axis: their second differences are used")

    def init(self, key: JaxArray) -> dict:
        """Initial parameters."""
        return jax.jit(HexPlaneNetwork(self).init)(key, jnp.zeros((1, 3)), jnp.zeros(1))["params"]

    def apply(self, params: dict, where: Float[Array, "m 3"], times: Float[Array, " k"]) -> Delta:
        """Corrections at `where` in [-1, 1]³ and signed `times` in [-1, 1]."""
        out: Any = HexPlaneNetwork(self).apply({"params": params}, where, times)
        full = {name: out.get(name, jnp.zeros((len(times), len(where), size))) for name, size in HEADS.items()}
        full["opacity_logits"] = full["opacity_logits"][..., 0]
        return Delta(**full)

    def regularize(self, params: dict) -> dict[str, Float[jax.Array, ""]]:
        """Squared second differences of the planes along space and time, and the time planes' distance from 1."""

        def roughness(plane: JaxArray, axis: int) -> JaxArray:
            return jnp.mean(jnp.diff(plane, n=2, axis=axis) ** 2)

        axes = (2,) if self.one_axis else (1, 2)
        space = [p for name, p in params.items() if name.startswith("space_")]
        time = [p for name, p in params.items() if name.startswith("time_")]
        return {
            "plane_smoothness": self.plane_smoothness * _total(roughness(p, axis) for p in space for axis in axes),
            "time_smoothness": self.time_smoothness * _total(roughness(p, 1) for p in time),
            "time_deviation": self.time_deviation * _total(jnp.mean(jnp.abs(1 - p)) for p in time),
        }
