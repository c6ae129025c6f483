"""HexPlane residual: six feature planes over pairs of (x, y, z, t) and small heads (paper §3.3; 4D-GS, CVPR 2024, §4).

At each level the six bilinear samples are multiplied elementwise; the levels are concatenated, passed through one
linear layer, and one two-layer head per corrected attribute. The last layer of every head starts at zero, so an
untrained residual changes nothing. Time planes start at 1 and are regularised towards it.
"""

import dataclasses

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
    """Planes and heads; returns a dict of raw head outputs [m, width]."""

    options: "HexPlaneResidual"

    @nn.compact
    def __call__(self, where: Float[Array, "m 3"], time: Float[Array, ""]) -> dict[str, JaxArray]:
        o = self.options
        where = jnp.asarray(where)
        along_time = jnp.full_like(where[:, 0], 1.0) * time
        # [3 planes, m points, 2 coordinates], in the order of the planes' axes.
        space = jnp.stack([where[:, pair] for pair in SPACE_PAIRS])
        space_time = jnp.stack([jnp.stack([along_time, where[:, i]], axis=-1) for i in range(3)])
        levels = []
        for level, scale in enumerate(o.multires):
            size = o.resolution * scale
            planes = self.param(f"space_{level}", _uniform, (3, size, size, o.features))
            times = self.param(f"time_{level}", nn.initializers.ones, (3, o.time_resolution, size, o.features))
            feature = jnp.prod(sample_planes(planes, space), axis=0) * jnp.prod(sample_planes(times, space_time), axis=0)
            levels.append(feature)
        hidden = nn.Dense(o.width, name="trunk")(jnp.concatenate(levels, axis=-1))
        outputs = {}
        for name in o.heads:
            h = nn.relu(nn.Dense(o.width, name=f"{name}_hidden")(nn.relu(hidden)))
            outputs[name] = nn.Dense(HEADS[name], kernel_init=nn.initializers.zeros, name=f"{name}_out")(h)
        return outputs


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
    plane_smoothness: float = 1e-4
    time_smoothness: float = 1e-2
    time_deviation: float = 1e-4

    def __post_init__(self) -> None:
        unknown = set(self.heads) - set(HEADS)
        if unknown:
            raise ValueError(f"unknown HexPlane heads {sorted(unknown)}; known: {', '.join(HEADS)}")

    def init(self, key: JaxArray) -> dict:
        """Initial parameters."""
        return HexPlaneNetwork(self).init(key, jnp.zeros((1, 3)), jnp.zeros(()))["params"]

    def apply(self, params: dict, where: Float[Array, "m 3"], time: Float[Array, ""]) -> Delta:
        """Corrections at `where` in [-1, 1]³ and signed `time` in [-1, 1]."""
        out = HexPlaneNetwork(self).apply({"params": params}, where, time)
        m = where.shape[0]
        full = {name: out.get(name, jnp.zeros((m, size))) for name, size in HEADS.items()}
        full["opacity_logits"] = full["opacity_logits"][:, 0]
        return Delta(**full)

    def regularize(self, params: dict) -> dict[str, Float[jax.Array, ""]]:
        """Squared second differences of the planes along space and time, and the time planes' distance from 1."""

        def roughness(plane: JaxArray, axis: int) -> JaxArray:
            return jnp.mean(jnp.diff(plane, n=2, axis=axis) ** 2)

        space = [p for name, p in params.items() if name.startswith("space_")]
        time = [p for name, p in params.items() if name.startswith("time_")]
        return {
            "plane_smoothness": self.plane_smoothness * sum(roughness(p, 1) + roughness(p, 2) for p in space),
            "time_smoothness": self.time_smoothness * sum(roughness(p, 1) for p in time),
            "time_deviation": self.time_deviation * sum(jnp.mean(jnp.abs(1 - p)) for p in time),
        }
