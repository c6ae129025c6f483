"""The studies of the paper, and ours: each a list of variants, one row of the table each."""

from mom3d_jax.cli import meant
from mom3d_jax.evaluation.variants import Variant

FULL = Variant("full", about="the recipe as it is")
TRUE_INPUTS = ("depth", "mask", "flow")
"""What the upper bound is given: depth, what moves, and the flow of the photo."""
SOLVERS = ("irls", "lm", "admm", "sgd", "official_sgd", "optax:adam", "input_view_lift")
CROSSFADES = (0.25, 0.5, 0.75, 1.0)


def _motion3d(given: tuple[str, ...] = (), suffix: str = "") -> tuple[Variant, ...]:
    """§4.4.1: both arms read their videos from files, so that nothing differs but the flow that these show."""
    lift = {"motion3d.solver": "input_view_lift"}
    return (
        Variant(f"with-3d-mom{suffix}", given=given, videos="scene_flow", about="videos show the projected scene flow"),
        Variant(
            f"without-3d-mom{suffix}", overrides=lift, given=given, videos="per_view",
            about="videos show each view's own flow; the scene flow is the lifted flow of the photo",
        ),
    )  # fmt: skip


def _views() -> tuple[Variant, ...]:
    few = {"1": "2", "3": "2,7,12", "5": "2,7,12,17,22"}
    sampled = [
        Variant(f"views-{n}", overrides={"animation.views": v}, about=f"videos of {n} views") for n, v in few.items()
    ]
    return (
        *sampled,
        Variant("views-all", overrides={"animation.views": "all"}, about="videos of all accepted views, equal steps"),
        Variant("generation-30", overrides={"views.count": 30}, about="a sixth outer pose"),
    )


def _fields() -> tuple[Variant, ...]:
    loops = []
    for share in CROSSFADES:
        overrides = {"time.field": "loop", "time.crossfade": share}
        name, about = f"loop-{share * 100:.0f}", f"loop, cross-fade over {share:.0%} of the period"
        loops += [
            Variant(name, overrides=overrides, about=about),
            Variant(
                f"{name}-advected", overrides=overrides, truth="advected", about=f"{about}; against advected truth"
            ),
        ]
    return (
        Variant("fill", overrides={"time.field": "fill"}, about="forward in front, backward behind"),
        Variant("one-sided", overrides={"time.field": "one_sided"}, about="forward only"),
        *loops,
    )


STUDIES: dict[str, tuple[Variant, ...]] = {
    "motion3d": _motion3d(),
    "corruption": _motion3d(("corrupted",), "-corrupted"),
    "init": (
        FULL,
        Variant("without-initialisation", overrides={"displacements.flow_scale": 0.0}, about="motion left to training"),
    ),
    "two_stage": (
        FULL,
        Variant("all-views", equal_passes=True, about="stage 2 on videos of all accepted views, equal passes"),
    ),
    "views": _views(),
    "solver": (
        FULL,
        *(
            Variant(f"solver-{s.replace(':', '-')}", overrides={"motion3d.solver": s}, about=f"3D-MOM solved by {s}")
            for s in SOLVERS
        ),
    ),
    "animator": (
        FULL,
        Variant("animator-linear", overrides={"displacements.integration": "linear"}, about="constant velocity"),
        Variant(
            "without-videos", overrides={"stage2.steps": 0}, about="stage 2 left out: motion of the scene flow alone"
        ),
        Variant("without-residual", overrides={"deformation.residual": "none"}, about="no learned correction"),
        Variant("animator", kind="animator", about="the 2D animator's own clip of the photo"),
    ),
    "field": _fields(),
    "baselines": (
        FULL,
        Variant("still-photo", kind="still", about="the photo as every frame"),
        Variant("static", kind="static", about="Gaussians of stage 1, which stand still"),
        Variant("points", kind="points", about="the lifted photo as points, nearest pixel; stands still"),
        Variant("animator", kind="animator", about="the 2D animator's own clip of the photo"),
        Variant("input-view-lift", overrides={"motion3d.solver": "input_view_lift"}, about="no 3D-MOM"),
        Variant("true-inputs", given=TRUE_INPUTS, about="depth, mask and flow of the photo from the truth"),
        Variant("true-motion", given=TRUE_INPUTS, true_motion=True, about="and the true 3D motion: upper bound"),
    ),
}
"""Name -> variants."""


def variants_of(study: str) -> tuple[Variant, ...]:
    """The variants of a study; of none, the recipe as it is.

    Raises:
      ValueError: an unknown study, with the nearest one.
    """
    if not study:
        return (FULL,)
    if study not in STUDIES:
        raise ValueError(f"study={study!r} is unknown{meant(study, STUDIES) or ';'} known: {', '.join(STUDIES)}")
    return STUDIES[study]
