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
from jaxtyping import Array as JaxArray
from jaxtyping import Float

from mom3d_jax.deformation.residuals.protocol import Delta
from mom3d_jax.kernels.gridsample import sample_planes
from mom3d_jax.types import Array

SPACE_PAIRS = np.array([[0, 1], [0, 2], [1, 2]])
HEADS = {"pixels": 3, "log_scales": 3, "quaternions": 4, "opacity_logits": 1, "sh_dc": 3}


class HexPlaneNetwork(nn.Module):
    """Planes and heads; returns a dict of raw head outputs [k, m, width]."""

    options: "HexPlaneResidual"

    @nn.compact
    def __call__(self, where: Float[Array, "m 3"], times: Float[Array, " k"]) -> dict[str, JaxArray]:
        """Look up the planes and run the heads."""
        o = self.options
        where, k = jnp.asarray(where), times.shape[0]
        space = jnp.stack([where[:, pair] for pair in SPACE_PAIRS])
        levels = []
        for level, scale in enumerate(o.multires):
            size = o.resolution * scale
            planes = self.param(f"space_{level}", _uniform, (3, size, size, o.features))
            grids = self.param(f"time_{level}", nn.initializers.ones, (3, o.time_resolution, size, o.features))
            # All points share the times, so a time plane is cut into a line per time before it is sampled.
            lines = jax.vmap(_rows_at, in_axes=(0, None))(grids, times).reshape(3 * k, 1, size, o.features)
            along = jnp.repeat(where.T, k, axis=0)
            in_time = sample_planes(lines, jnp.stack([jnp.zeros_like(along), along], axis=-1))
            in_time = in_time.reshape(3, k, -1, o.features)
            levels.append(jnp.prod(sample_planes(planes, space), axis=0)[None] * jnp.prod(in_time, axis=0))
        weights, bias = nn.initializers.lecun_normal(), nn.initializers.zeros
        last = nn.initializers.zeros
        if not o.zero_init:
            weights = last = nn.initializers.xavier_uniform()
            bias = partial(_symmetric, reach=1 / math.sqrt(o.width))
        dense = partial(nn.Dense, kernel_init=weights, bias_init=bias)
        hidden = dense(o.width, name="trunk")(jnp.concatenate(levels, axis=-1))
        outputs = {}
        for name in o.heads:
            h = nn.relu(dense(o.width, name=f"{name}_hidden")(nn.relu(hidden)))
            outputs[name] = dense(HEADS[name], kernel_init=last, name=f"{name}_out")(h)
        return outputs


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
