"""The mesh of devices, and where arrays live on it: state replicated, views split over `data`."""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def make_mesh(devices: int = 0) -> Mesh:
    """A mesh with one axis, `data`.

    Args:
      devices: how many of the local devices; 0 takes all.

    Raises:
      ValueError: more devices than there are.
    """
    local = jax.devices()
    if devices > len(local) or devices < 0:
        raise ValueError(f"{devices} devices asked for, {len(local)} {local[0].platform} device(s) present")
    # Mesh (not jax.make_mesh) keeps the axis in Auto mode on every supported JAX.
    return Mesh(np.array(local[: devices or len(local)]), ("data",))


def replicated(mesh: Mesh) -> NamedSharding:
    """Sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def split_over_data(mesh: Mesh) -> NamedSharding:
    """Sharding of a leading axis over the `data` devices."""
    return NamedSharding(mesh, PartitionSpec("data"))
