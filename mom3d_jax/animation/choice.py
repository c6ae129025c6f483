"""Which views are animated."""

import numpy as np

from mom3d_jax.types import Views

FLOW_SOURCES = ("scene_flow", "per_view")
"""What the videos of the sampled views show: the projected scene flow (paper §3.2.2), or each view's own estimate."""


def parse_views(asked: str, count: int) -> tuple[int, ...] | None:
    """What `animation.views` says.

    Args:
      asked: "all", or indices of views with commas between them, such as "2,7,12".
      count: how many generation views there are.

    Returns:
      The indices, in the order asked for; None for all.

    Raises:
      ValueError: neither of the two, or a view that there is not.
    """
    if asked.strip() == "all":
        return None
    words = [word.strip() for word in asked.split(",")]
    if not all(word.isdecimal() for word in words):
        raise ValueError(f"animation.views={asked!r} is neither 'all' nor a list of views such as '2,7,12'")
    views = tuple(int(word) for word in words)
    if max(views) >= count:
        raise ValueError(f"animation.views={asked!r} names view {max(views)}; there are views 0 to {count - 1}")
    return views


def choose_views(views: Views, asked: str) -> tuple[list[int], dict[str, int]]:
    """The views to animate: those asked for, a rejected one replaced by the accepted one that looks most like it.

    Args:
      views: the generation views.
      asked: see `parse_views`.

    Returns:
      Their indices without repetition, and rejected -> replacement.

    Raises:
      ValueError: see `parse_views`; or no view was accepted.
    """
    accepted = np.flatnonzero(np.asarray(views.accepted))
    look = np.asarray(views.cameras.rotation)[:, 2]
    if len(accepted) == 0:
        raise ValueError("no generation view is covered enough to be animated; lower views.min_coverage")
    wanted = parse_views(asked, len(look))
    if wanted is None:
        return accepted.tolist(), {}
    nearest = {v: v if v in accepted else int(accepted[np.argmax(look[accepted] @ look[v])]) for v in wanted}
    return list(dict.fromkeys(nearest.values())), {str(v): n for v, n in nearest.items() if n != v}
