"""The best line through a cost table: one row per column, found by dynamic programming."""

import numpy as np
from jaxtyping import Float, Int


def best_line(cost: Float[np.ndarray, "s w"], slope: float, jump: float) -> Int[np.ndarray, " w"]:
    """The states y that minimise Σ_x cost[y(x), x] + Σ_x min(slope · |y(x) - y(x-1)|, jump).

    Viterbi's recursion. The cheapest predecessor under a linear penalty is a running minimum from either side, so a
    column costs O(s) instead of O(s²).

    Args:
      cost: of each state in each column.
      slope: penalty per step of height between neighbouring columns.
      jump: largest penalty, paid for any larger step.
    """
    states, width = cost.shape
    ramp = slope * np.arange(states)
    best = np.empty((width, states))
    best[0] = cost[:, 0]
    for x in range(1, width):
        before = best[x - 1]
        from_above = np.minimum.accumulate(before - ramp) + ramp
        from_below = np.minimum.accumulate((before + ramp)[::-1])[::-1] - ramp
        best[x] = cost[:, x] + np.minimum(np.minimum(from_above, from_below), before.min() + jump)
    line = np.empty(width, np.int64)
    line[-1] = best[-1].argmin()
    for x in range(width - 2, -1, -1):
        step = np.minimum(slope * np.abs(np.arange(states) - line[x + 1]), jump)
        line[x] = (best[x] + step).argmin()
    return line
