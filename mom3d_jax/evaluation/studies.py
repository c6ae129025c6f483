"""The studies of the paper, and ours: each a list of variants, one row of the table each."""

import dataclasses
from typing import Any

from mom3d_jax.cli import meant
from mom3d_jax.evaluation.samples import ADVECTED, PERIODIC
from mom3d_jax.evaluation.variants import Variant

ALL = "all"
"""In the place of a study's name: every one of them."""
TRUE_INPUTS = ("depth", "mask", "flow")
"""What the upper bound is given: depth, what moves, and the flow of the photo."""
SOLVERS = ("irls", "lm", "admm", "sgd", "official_sgd", "optax:adam")
CROSSFADES = (0.25, 0.5, 0.75, 1.0)

# In several studies. A result is found by the name of its variant, so that the same thing under two names would be
# made twice.
FULL = Variant("full", about="the recipe as it is")
LIFT = Variant("input-view-lift", overrides={"motion3d.solver": "input_view_lift"}, about="no 3D-MOM")
ANIMATOR = Variant("animator", kind="animator", about="the 2D animator's own clip of the photo")


@dataclasses.dataclass(frozen=True)
class Study:
    """A section of the table."""

    about: str
    """What is compared, in one line; `docs/evaluation.md` quotes it."""
    variants: tuple[Variant, ...]
    """Its rows, in their order."""
    reference: str = ""
    """Name of the variant that the others are compared with scene by scene; empty: the first of the same truth."""


def _motion3d(suffix: str = "", given: tuple[str, ...] = (), **flow: str) -> tuple[Variant, ...]:
    """§4.4.1: with and without 3D-MOM, both on flows that were estimated in the same way."""
    both = {f"flow.{name}": value for name, value in flow.items()}
    without = both | {"motion3d.solver": LIFT.overrides["motion3d.solver"], "animation.flow": "per_view"}
    return (
        Variant(f"with-3d-mom{suffix}", overrides=both, given=given, about="videos show the projected scene flow"),
        Variant(
            f"without-3d-mom{suffix}", overrides=without, given=given,
            about="videos show each view's own flow; the scene flow is the lifted flow of the photo",
        ),
    )  # fmt: skip


def _views() -> tuple[Variant, ...]:
    one, five = (
        Variant(f"views-{views.count(',') + 1}", overrides={"animation.views": views}, about=f"videos of views {views}")
        for views in ("2", "2,7,12,17,22")
    )
    return (
        one,
        FULL,
        five,
        Variant("views-all", overrides={"animation.views": "all"}, about="videos of all accepted views, equal steps"),
        Variant("generation-30", overrides={"views.count": 30}, about="a sixth outer pose"),
    )


def _field(name: str, about: str, truth: str = "", **settings: Any) -> Variant:
    """Only the field is judged: depth, mask, flow and 3D motion are true."""
    overrides = {f"time.{key}": value for key, value in settings.items()}
    about = f"{about}; true inputs, true motion"
    return Variant(name, overrides=overrides, given=TRUE_INPUTS, true_motion=True, truth=truth, about=about)


def _fields() -> tuple[Variant, ...]:
    """What a loop is trained on does not depend on what it is compared with: both of its rows are one fit."""
    loops = []
    for share in CROSSFADES:
        name, about = f"loop-{share * 100:.0f}", f"loop, cross-fade over {share:.0%} of the period"
        settings = {"field": "loop", "crossfade": share}
        loops += [
            _field(name, about, PERIODIC, **settings),
            _field(f"{name}-advected", f"{about}, against advected truth", ADVECTED, **settings),
        ]
    return (
        _field("fill", "forward in front, backward behind", ADVECTED, field="fill"),
        _field("one-sided", "forward only", ADVECTED, field="one_sided"),
        *loops,
    )


STUDIES: dict[str, Study] = {
    "motion3d": Study(
        "with and without 3D-MOM, on flows that are estimated as in the paper (§4.4.1)",
        _motion3d(interpolation="image"),
        "with-3d-mom",
    ),
    "corruption": Study(
        "with and without 3D-MOM on inputs spoilt on purpose",
        _motion3d("-corrupted", ("corrupted",)),
        "with-3d-mom-corrupted",
    ),
    "init": Study(
        "with and without motion initialisation (§4.4.2)",
        (
            FULL,
            Variant(
                "without-initialisation", overrides={"displacements.flow_scale": 0.0}, about="motion left to training"
            ),
        ),
        FULL.name,
    ),
    "two_stage": Study(
        "three videos against videos of all accepted views at equal passes (Table 2)",
        (
            FULL,
            Variant("all-views", equal_passes=True, about="stage 2 on videos of all accepted views, equal passes"),
        ),
        FULL.name,
    ),
    "views": Study("how many videos at equal steps, and how many generation views", _views(), FULL.name),
    "solver": Study(
        "solvers of 3D-MOM",
        (
            FULL,
            *(
                Variant(
                    f"solver-{s.replace(':', '-')}", overrides={"motion3d.solver": s}, about=f"3D-MOM solved by {s}"
                )
                for s in SOLVERS
            ),
            LIFT,
        ),
        FULL.name,
    ),
    "animator": Study(
        "parts of the animation left out or made simpler, one at a time",
        (
            FULL,
            Variant("animator-linear", overrides={"displacements.integration": "linear"}, about="constant velocity"),
            Variant(
                "without-videos",
                overrides={"stage2.steps": 0},
                about="stage 2 left out: motion of the scene flow alone",
            ),
            Variant("without-residual", overrides={"deformation.residual": "none"}, about="no learned correction"),
            ANIMATOR,
        ),
        FULL.name,
    ),
    "field": Study("time fields, all with true inputs and true motion", _fields()),
    "baselines": Study(
        "simpler methods, and what knowing the truth would give",
        (
            FULL,
            Variant("still-photo", kind="still", about="the photo as every frame"),
            Variant("static", kind="static", about="Gaussians of stage 1, which stand still"),
            Variant("points", kind="points", about="the lifted photo as points, nearest pixel; stands still"),
            ANIMATOR,
            LIFT,
            Variant("true-depth", given=("depth",), about="depth from the truth, arrows and mask as drawn"),
            Variant("true-inputs", given=TRUE_INPUTS, about="depth, mask and flow of the photo from the truth"),
            Variant("true-motion", given=TRUE_INPUTS, true_motion=True, about="and the true 3D motion: upper bound"),
        ),
        FULL.name,
    ),
}
"""By name."""


def chosen(said: str) -> tuple[str, ...]:
    """The studies of a setting: names with commas between them, or `all`.

    Raises:
      ValueError: an unknown study, with the nearest one.
    """
    names = list(dict.fromkeys(name.strip() for name in said.split(",") if name.strip()))
    known = [*STUDIES, ALL]
    for name in names:
        if name not in known:
            raise ValueError(
                f"study={said!r}: no study {name!r}{meant(name, known) or ';'} known: {', '.join(STUDIES)}, or {ALL}"
            )
    return tuple(STUDIES) if ALL in names else tuple(names)


def variants_of(said: str) -> tuple[Variant, ...]:
    """The variants of all studies of a setting, each name once; of none, the recipe as it is.

    Raises:
      ValueError: an unknown study, with the nearest one.
    """
    variants = {variant.name: variant for name in chosen(said) for variant in STUDIES[name].variants}
    return tuple(variants.values()) or (FULL,)
