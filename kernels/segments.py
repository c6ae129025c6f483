"""Sums of rows by index.

A CPU adds one row after the other. Elsewhere that means atomics, slow where they meet and in no fixed order, so that
rows are put in order and summed run by run.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int


def add_rows(rows: Float[Array, "r d"], ids: Int[Array, " r"], n: int) -> Float[Array, "n d"]:
    """Sum the rows with the same id in 0 … n-1 as one scatter; ids of n and more are dropped."""
    return jax.ops.segment_sum(rows, ids, n)


def sum_sorted(rows: Float[Array, "r d"], ids: Int[Array, " r"], n: int) -> Float[Array, "n d"]:
    """`add_rows` in a fixed order on every platform."""
    ids, order = lax.sort((ids, lax.iota(jnp.int32, ids.shape[0])), num_keys=1, is_stable=True)
    edges = jnp.searchsorted(ids, lax.iota(ids.dtype, n + 1)).astype(jnp.int32)
    return sum_runs(rows[order], edges[:-1], edges[1:] - edges[:-1])


def sum_runs(rows: Float[Array, "r d"], begins: Int[Array, " n"], counts: Int[Array, " n"]) -> Float[Array, "n d"]:
    """Sum `counts` rows from `begins` on, for runs that do not overlap; rows of no run change nothing."""
    if not rows.size:
        return jnp.zeros((begins.shape[0], rows.shape[1]), rows.dtype)
    used = counts > 0
    begins_here = jnp.zeros(rows.shape[0], bool).at[jnp.where(used, begins, rows.shape[0])].set(True, mode="drop")

    def add(
        left: tuple[Bool[Array, " r"], Float[Array, "r d"]], right: tuple[Bool[Array, " r"], Float[Array, "r d"]]
    ) -> tuple[Bool[Array, " r"], Float[Array, "r d"]]:
        return left[0] | right[0], jnp.where(right[0][:, None], right[1], left[1] + right[1])

    _, sums = lax.associative_scan(add, (begins_here, rows))
    last = jnp.where(used, begins + counts - 1, rows.shape[0])
    return sums.at[last].get(mode="fill", fill_value=0)
