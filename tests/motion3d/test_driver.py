"""What `solve` does around a solver: names, bad input, degenerate problems, the report."""

import dataclasses
import json

import numpy as np
import pytest

from mom3d_jax.motion3d import Priors, make_solver, predict, solve, viewing_rays
from mom3d_jax.motion3d.problem import across_rays


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cuopled", {}, "did you mean 'coupled'"),
        ("coupled", {"smoothnes": 1.0}, "has no option 'smoothnes'; it has: epsilon"),
        ("coupled", {"shrik": 1.0}, "did you mean 'shrink'"),
        ("no.such.module:Solver", {}, "cannot load solver"),
        ("json:Solver", {}, "cannot load solver"),
        ("optax:adm", {}, "did you mean 'adam'"),
        ("optax:chain", {}, "optax has no optimizer 'chain'"),
        ("optax:adam", {"b3": 0.5}, "b3"),
    ],
)
def test_bad_names(name, options, message):
    with pytest.raises(ValueError, match=message) as error:
        make_solver(name, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": "l3"}, "unknown loss 'l3'"),
        ({"nuisance": "similarty"}, "did you mean 'similarity'"),
        ({"priors": Priors(damping=-1.0)}, "damping=-1.0 is not a number from 0 up"),
        ({"priors": Priors(smoothness=float("nan"))}, "smoothness=nan"),
        ({"priors": Priors(depth_edge=0.0)}, "depth_edge=0.0"),
        ({"noise": 0.0}, "noise=0.0 is not a number of px above 0"),
    ],
)
def test_bad_problems(plane, change, message):
    with pytest.raises(ValueError, match=message):
        solve(dataclasses.replace(plane()[0], **change))


def test_admm_says_that_it_knows_l1_alone(plane):
    with pytest.raises(ValueError, match="solves loss 'l1', not 'cauchy'; take"):
        solve(dataclasses.replace(plane()[0], loss="cauchy"), "admm")


def test_divergence_is_an_error(plane):
    problem, _ = plane()
    with pytest.raises(FloatingPointError, match="diverged"):
        solve(dataclasses.replace(problem, target=problem.target * np.float32(np.nan)), "input_view_lift")


def test_options_of_optax_itself(plane):
    _, report = solve(plane()[0], "optax:adam", iterations=3, b1=0.5)
    assert report["options"] == {"iterations": 3, "b1": 0.5}
    assert report["evaluations"] == 3


def test_report(corrupted):
    stated = dataclasses.replace(corrupted, priors=Priors(damping=0.03, smoothness=2.0), nuisance="gain")
    _, report = solve(stated, "coupled", tolerance=0.0)
    json.dumps(report)
    assert report["stopped"] == "iterations"
    assert report["steps"] == report["evaluations"] == len(report["losses"]) - 1 == len(report["objective"]) - 1
    assert all(o > f for o, f in zip(report["objective"][1:], report["losses"][1:], strict=True))
    assert np.shape(report["nuisance"]) == (25, 2)
    assert report["ignored_priors"] == []
    _, report = solve(stated, "irls")
    assert report["ignored_priors"] == ["smoothness"]
    assert report["stopped"] == "tolerance"
    assert report["converged"]
    assert report["evaluations"] == 3 * report["steps"]
    _, report = solve(stated, "official_sgd", iterations=2)
    assert report["ignored_priors"] == ["damping", "smoothness"]
    assert "nuisance" not in report
    assert "objective" not in report


def test_exact_flows_are_not_called_unfinished(plane, caplog):
    """Where next to nothing is left, a step changes much of it."""
    _, report = solve(dataclasses.replace(plane()[0], loss="cauchy"), "coupled", iterations=4)
    assert report["last_change"] > 0.01
    assert report["converged"]
    assert not caplog.records


def test_what_has_not_converged_is_said(corrupted, caplog):
    _, report = solve(corrupted, "sgd", iterations=3)
    assert not report["converged"]
    assert report["last_change"] > 0.01
    assert f"the residual is {report['losses'][-1]:.3g} px" in caplog.text
    _, report = solve(corrupted, "input_view_lift")
    assert report["stopped"] == "nothing to iterate"


def test_points_that_nobody_sees_stay_and_are_counted(plane):
    problem, _ = plane()
    weight = problem.weight.copy()
    weight[:, 5] = 0
    neighbours = np.where(problem.neighbours == 5, np.arange(len(weight[0]))[:, None], problem.neighbours)
    neighbours[5] = 5
    hidden = dataclasses.replace(
        problem, weight=weight, neighbours=neighbours.astype(np.int32), priors=Priors(smoothness=1.0)
    )
    motion, report = solve(hidden)
    np.testing.assert_array_equal(motion[5], 0)
    assert np.isfinite(motion).all()
    assert report["idle_points"] == 1


@pytest.mark.parametrize("name", ["coupled", "irls", "sgd", "admm", "optax:adam"])
@pytest.mark.parametrize("cameras", ["one view", "equal centres"])
def test_where_no_view_sees_the_radial_part_it_is_zero(plane, name, cameras):
    problem, _ = plane(motion_px=(1, 0.5))
    weight = problem.weight.copy()
    if cameras == "one view":
        weight[np.arange(25) != 2] = 0
    else:
        weight[np.arange(25) % 5 != 2] = 0  # the inner pose that stays in the middle: rotations only
    motion, report = solve(dataclasses.replace(problem, weight=weight), name)
    assert report["radial_fixed"]
    rays, pixel = viewing_rays(problem)
    np.testing.assert_allclose((rays * motion / pixel).sum(-1), 0, atol=1e-4)
    np.testing.assert_allclose(np.asarray(predict(problem, motion))[2].mean(0), (1, 0.5), atol=0.02)
    assert not solve(problem, name)[1]["radial_fixed"]


def test_setting_the_radial_part_to_zero_moves_no_pixel_of_the_input_view(plane):
    problem, motion = plane()
    rng = np.random.default_rng(0)
    motion = motion + 0.05 * rng.normal(size=motion.shape).astype(np.float32)
    flat = across_rays(problem, motion)
    np.testing.assert_allclose(
        np.asarray(predict(problem, flat))[2], np.asarray(predict(problem, motion))[2], atol=1e-4
    )
    rays, pixel = viewing_rays(problem)
    np.testing.assert_allclose((rays * flat / pixel).sum(-1), 0, atol=1e-4)


def test_flows_that_agree_are_followed_closely(plane):
    """With the noise that the problem is stated for, priors would bend what is known exactly."""
    problem, motion = plane()
    stated = dataclasses.replace(problem, loss="cauchy", priors=Priors(damping=0.03, smoothness=2.0))
    found, _ = solve(stated, "coupled")
    bent, _ = solve(stated, "coupled", sharpest=0.08)
    assert np.linalg.norm(found - motion) < 0.75 * np.linalg.norm(bent - motion)
