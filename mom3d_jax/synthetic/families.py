"""Kinds of landscape."""

import functools
from collections.abc import Callable

import numpy as np

from mom3d_jax.synthetic import family_rivers as rivers
from mom3d_jax.synthetic import family_seas as seas
from mom3d_jax.synthetic import family_skies as skies
from mom3d_jax.synthetic.alpine_lake import alpine_lake
from mom3d_jax.synthetic.site import Recipe, build
from mom3d_jax.synthetic.world import World

RECIPES: tuple[Callable[[np.random.Generator], Recipe], ...] = (
    seas.open_sea, rivers.waterfall, rivers.river_valley, skies.cloud_sea, seas.beach_surf, rivers.rapids,
    seas.misty_lake, skies.volcano_plume, seas.fjord, rivers.cascade, seas.island_lagoon, skies.desert_clouds,
    rivers.river_to_viewer,
)  # fmt: skip

Maker = Callable[[np.random.Generator, int, int], World]
"""(generator, longer image side in px, period in frames) to a world."""


def _make(recipe: Callable[[np.random.Generator], Recipe], rng: np.random.Generator, width: int, period: int) -> World:
    return build(recipe(rng), rng, width, period)


FAMILIES: dict[str, Maker] = {recipe.__name__: functools.partial(_make, recipe) for recipe in RECIPES}
"""By name, in the order in which data sets take them; a family and a seed are a landscape."""
# Last: its two truths do not begin with the same picture.
FAMILIES["alpine_lake"] = alpine_lake
