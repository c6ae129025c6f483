import dataclasses
import json

import numpy as np
import pytest

from mom3d_jax.cameras import project, select, unproject
from mom3d_jax.motion3d import Priors, as_solved, consistency_epe, motion_report, predict, solve
from mom3d_jax.motion3d.consistency import consistency_of_motion
from mom3d_jax.motion3d.truth import truth_report
from mom3d_jax.motion3d.view_errors import view_errors, weighted_quantile


def with_error(problem, motion, size, views):
    """Targets that are `size` px beside the motion in some views, along x."""
    target = np.array(predict(problem, motion))
    target[views, :, 0] += size
    return dataclasses.replace(problem, target=target)


def test_report_is_json_and_knows_the_optimum(corrupted):
    best, _ = solve(corrupted, "irls", iterations=80, tolerance=0.0)
    good = json.loads(json.dumps(motion_report(corrupted, best), allow_nan=False))
    assert 1 <= good["residual_l1_ratio"] <= 1.002
    assert good["radial_observed"]
    bad = motion_report(corrupted, 0 * best)
    assert bad["residual_l1_ratio"] > 1.3
    r = np.asarray(predict(corrupted, best), np.float64) - corrupted.target
    length, weight = np.linalg.norm(r, axis=-1), corrupted.weight
    mean = lambda values: (values * weight).sum() / weight.sum()
    assert good["residual_l1_px"] == pytest.approx(mean(np.abs(r).sum(-1)), rel=1e-4)
    assert good["residual_epe_px"] == pytest.approx(mean(length), rel=1e-4)
    assert good["share_within_tenth_px"] == pytest.approx(mean(length <= 0.1), abs=1e-3)
    assert good["share_within_half_px"] == pytest.approx(mean(length <= 0.5), abs=1e-3)
    for v in (0, 2, 24):
        seen = length[v][weight[v] > 0]
        assert good["residual_epe_px_per_view"][v] == pytest.approx(seen.mean(), rel=1e-4)
        assert good["residual_median_px_per_view"][v] == pytest.approx(np.median(seen), rel=0.03)
        assert good["share_within_half_px_per_view"][v] == pytest.approx((seen <= 0.5).mean(), abs=0.01)
    # 15 % of the targets are off by a vector of about 1 px on noise of 0.1 px.
    assert 0.09 < good["outlier_share"] < 0.18


def test_a_view_that_is_beside_the_others_is_told_apart(plane):
    problem, motion = plane()
    figures = motion_report(with_error(problem, motion, 0.3, [4]), motion)
    for v in range(25):
        expected = 0.3 if v == 4 else 0.0
        assert figures["residual_l1_px_per_view"][v] == pytest.approx(expected, abs=1e-4)
        assert figures["residual_median_px_per_view"][v] == pytest.approx(expected, abs=1e-4)
        assert figures["share_within_tenth_px_per_view"][v] == (0.0 if v == 4 else 1.0)
        assert figures["share_within_half_px_per_view"][v] == 1.0
        # All of a view's observations are alike: none stands out among them.
        assert figures["outlier_share_per_view"][v] == 0.0


@pytest.mark.parametrize(("loss", "found"), [("l1", 0.1), ("huber", 0.1), ("cauchy", 0.1), ("l2", 0.0)])
def test_outliers_are_what_the_loss_ignores(plane, loss, found):
    problem, motion = plane()
    target = np.array(predict(problem, motion))
    wrong = np.arange(target.shape[1]) % 10 == 0
    target[:, wrong, 1] += 2
    errors, _ = view_errors(dataclasses.replace(problem, target=target, loss=loss), motion)
    expected = found * (problem.weight * wrong).sum(1) / problem.weight.sum(1) / wrong.mean()
    np.testing.assert_allclose(errors.outliers, expected, atol=1e-6)


def test_a_response_belongs_to_the_residual(plane):
    problem, motion = plane()
    response = np.tile(np.float32([[1, 0]]), (25, 1))
    response[7] = 1.2 * np.cos(0.1), 1.2 * np.sin(0.1)
    turn = np.array([[response[7, 0], response[7, 1]], [-response[7, 1], response[7, 0]]])
    target = np.array(problem.target)
    target[7] = target[7] @ turn
    told = dataclasses.replace(problem, target=target, response=response)
    assert motion_report(told, motion)["residual_epe_px_per_view"][7] == pytest.approx(0, abs=1e-4)
    assert motion_report(dataclasses.replace(told, response=None), motion)["residual_epe_px_per_view"][7] > 0.05


def test_a_problem_is_judged_as_it_was_solved(plane):
    problem, motion = plane()
    stated = dataclasses.replace(problem, priors=Priors(damping=0.03, smoothness=2.0))
    told = as_solved(stated, {"ignored_priors": ["damping"], "nuisance": [[2.0, 0.0]] * 25})
    assert (told.priors.damping, told.priors.smoothness) == (0.0, 2.0)
    # Flows that are twice the motion, seen under a response of 2: nothing is left.
    twice = dataclasses.replace(told, target=2 * problem.target)
    assert motion_report(twice, motion)["residual_l1_px"] < 1e-4
    assert motion_report(twice, motion)["notes"] == []


def test_median_is_weighted():
    values, weight = np.float32([5, 1, 9, 3]), np.float32([1, 1, 0, 3])
    assert float(weighted_quantile(values, weight)) == 3
    assert float(weighted_quantile(values, weight, 0.9)) == 5
    assert np.isnan(float(weighted_quantile(values, 0 * weight)))
    assert np.isnan(float(weighted_quantile(values[:0], weight[:0])))


def test_consistency_matches_its_definition(corrupted):
    centre = select(corrupted.cameras, 2)
    start, _ = project(centre, corrupted.points)
    errors = []
    for v in range(25):
        if v == 2:
            continue
        both = (corrupted.weight[v] > 0) & (corrupted.weight[2] > 0)
        camera = select(corrupted.cameras, v)
        p, z = project(camera, corrupted.points)
        carried, _ = project(centre, unproject(camera, p + corrupted.target[v], z))
        errors.append(np.linalg.norm(np.asarray(carried - start) - corrupted.target[2], axis=-1)[both])
    assert float(consistency_epe(corrupted, corrupted.target)) == pytest.approx(np.concatenate(errors).mean(), rel=1e-3)


def test_consistency_of_a_motion_is_that_of_its_flows(plane):
    problem, motion = plane()
    motion = motion * np.float32([1, 1, 0]) + np.float32([0, 0, 0.05])
    one = float(consistency_epe(problem, predict(problem, motion)))
    assert float(consistency_of_motion(problem, motion)) == pytest.approx(one, rel=1e-3)
    assert one > 1e-3


def test_one_motion_is_consistent_whatever_it_is(plane):
    problem, motion = plane()
    figures = motion_report(problem, motion)
    assert figures["consistency_epe_px_after"] < 0.05
    assert figures["residual_l1_px"] < 1e-4
    assert figures["residual_l1_ratio"] == pytest.approx(1, abs=0.2)


def test_lateral_and_radial_parts(plane):
    problem, _ = plane()
    rays = problem.points / np.linalg.norm(problem.points, axis=1, keepdims=True)
    pixel = np.linalg.norm(problem.points, axis=1, keepdims=True) / 20
    radial = (0.5 * rays * pixel).astype(np.float32)
    figures = motion_report(problem, radial)
    assert figures["radial_px"] == pytest.approx(0.5, rel=1e-3)
    assert figures["lateral_px"] == pytest.approx(0, abs=1e-4)
    # What the views see of it, to first order: the root mean square over the views of a very short motion.
    seen = np.square(np.asarray(predict(problem, (1e-2 * radial).astype(np.float32)), np.float64) / 5e-3).sum(-1)
    expected = np.median(np.sqrt((seen * problem.weight).sum(0) / problem.weight.sum(0)))
    assert motion_report(problem, 0 * radial)["radial_sensitivity_px"] == pytest.approx(expected, rel=0.02)


def test_errors_against_the_truth(plane):
    problem, truth = plane(motion_px=(3.0, 4.0), depth=2.0)
    pixel = np.float32(2.0 / 20)
    # 1 px too far along x, everywhere: seen as such by the input view, and as 1 part in 5 of the motion.
    wrong = truth + np.float32([1, 0, 0]) * pixel
    found = motion_report(problem, wrong, truth)
    assert found["epe_truth_px_per_view"][2] == pytest.approx(1.0, rel=1e-3)
    assert found["relative_3d_error"] == pytest.approx(0.2, rel=1e-3)
    assert found["truth_share_within_half_px"] < 0.01
    seen = np.linalg.norm(np.asarray(predict(problem, wrong) - predict(problem, truth), np.float64), axis=-1)
    assert found["epe_truth_px"] == pytest.approx((seen * problem.weight).sum() / problem.weight.sum(), rel=1e-3)
    exact = truth_report(problem, truth, truth)
    assert [exact[k] for k in ("epe_truth_px", "lateral_error", "relative_3d_error")] == pytest.approx(
        [0] * 3, abs=1e-6
    )
    assert exact["truth_share_within_tenth_px"] == 1


def test_errors_are_split_along_the_viewing_rays(plane):
    problem, _ = plane()
    rays = problem.points / np.linalg.norm(problem.points, axis=1, keepdims=True)
    across = np.cross(rays, [0, 1, 0])
    truth = (0.1 * across + 0.2 * rays).astype(np.float32)
    found = truth_report(problem, (0.15 * across + 0.1 * rays).astype(np.float32), truth)
    assert found["lateral_error"] == pytest.approx(0.5, rel=1e-3)
    assert found["radial_error"] == pytest.approx(0.5, rel=1e-3)
    lengths = np.linalg.norm(across, axis=1)
    expected = np.sqrt((0.05**2 * lengths**2 + 0.1**2).sum() / (0.1**2 * lengths**2 + 0.2**2).sum())
    assert found["relative_3d_error"] == pytest.approx(expected, rel=1e-3)
    # A true motion without a radial part has no error to measure it by.
    assert truth_report(problem, truth, (0.1 * across).astype(np.float32))["radial_error"] is None


def test_notes_say_what_holds_the_radial_part(plane):
    problem, motion = plane()
    said = lambda p: " ".join(motion_report(p, motion)["notes"])
    assert said(problem) == ""
    damped = dataclasses.replace(problem, priors=Priors(damping=0.03))
    assert "viewing rays is damped" in said(damped)
    normals = np.tile(np.float32([[0, -1, 0]]), (len(problem.points), 1))
    held = dataclasses.replace(damped, priors=Priors(damping=0.03, tangency=1.0))
    assert "viewing rays is damped" in said(held)  # no normal is known anywhere
    assert said(dataclasses.replace(held, normals=normals)) == ""


def test_degenerate_problems(plane):
    problem, motion = plane()
    alone = np.zeros_like(problem.weight)
    alone[2] = 1
    figures = motion_report(dataclasses.replace(problem, weight=alone), motion)
    assert not figures["radial_observed"]
    assert figures["residual_l1_px_per_view"][0] is None
    assert "views 0, 1, 3, 4, 5" in figures["notes"][0]
    assert "share one centre" in figures["notes"][1]
    nobody = motion_report(dataclasses.replace(problem, weight=0 * alone), 0 * motion, motion)
    assert not nobody["radial_observed"]
    assert nobody["epe_truth_px"] is None
    json.dumps(nobody, allow_nan=False)
    empty = dataclasses.replace(
        problem,
        points=problem.points[:0],
        target=problem.target[:, :0],
        weight=problem.weight[:, :0],
        neighbours=problem.neighbours[:0],
        index=problem.index[:0],
    )
    json.dumps(motion_report(empty, motion[:0], motion[:0]), allow_nan=False)
