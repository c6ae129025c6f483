"""Sums of rows by index, without contended atomics."""

import functools

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int


def sum_rows(rows: Float[Array, "r d"], ids: Int[Array, " r"], n: int) -> Float[Array, "n d"]:
    """Sum the rows with the same id in 0 … n-1; ids of n and more are dropped.

    A CPU adds one row after the other. Elsewhere that means atomics, slow where they meet and in no fixed order, so the
    rows are sorted first.
    """
    add, sort = (functools.partial(f, n=n) for f in (sum_unsorted, sum_sorted))
    return lax.platform_dependent(rows, ids, cpu=add, default=sort)


def sum_unsorted(rows: Float[Array, "r d"], ids: Int[Array, " r"], n: int) -> Float[Array, "n d"]:
    """`sum_rows` as one scatter."""
    return jax.ops.segment_sum(rows, ids, n)


def sum_sorted(rows: Float[Array, "r d"], ids: Int[Array, " r"], n: int) -> Float[Array, "n d"]:
    """`sum_rows` over rows sorted by id."""
    order = jnp.argsort(ids)
    return jax.ops.segment_sum(rows[order], ids[order], n, indices_are_sorted=True)
