import dataclasses
import json

import numpy as np
import pytest

from mom3d_jax.cameras import project, select, unproject
from mom3d_jax.motion3d import consistency_epe, motion_report, predict, solve


def test_report_is_json_and_knows_the_optimum(corrupted):
    best, _ = solve(corrupted, "irls", damping=0.0, iterations=80, tolerance=0.0)
    good = json.loads(json.dumps(motion_report(corrupted, best)))
    assert 1 <= good["residual_l1_ratio"] <= 1.002
    assert good["radial_observed"]
    bad = motion_report(corrupted, 0 * best)
    assert bad["residual_l1_ratio"] > 1.3
    r = np.asarray(predict(corrupted, best)) - corrupted.target
    weight = corrupted.weight
    l1 = (np.abs(r).sum(-1) * weight).sum() / weight.sum()
    assert good["residual_l1_px"] == pytest.approx(l1, rel=1e-4)
    assert good["residual_epe_px"] == pytest.approx(
        (np.linalg.norm(r, axis=-1) * weight).sum() / weight.sum(), rel=1e-4
    )
    assert len(good["residual_l1_px_per_view"]) == 25


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
    figures = motion_report(problem, (0.5 * rays * pixel).astype(np.float32))
    assert figures["radial_px"] == pytest.approx(0.5, rel=1e-3)
    assert figures["lateral_px"] == pytest.approx(0, abs=1e-4)


def test_degenerate_problems(plane):
    problem, motion = plane()
    alone = np.zeros_like(problem.weight)
    alone[2] = 1
    figures = motion_report(dataclasses.replace(problem, weight=alone), motion)
    assert not figures["radial_observed"]
    assert figures["residual_l1_px_per_view"][0] is None
    nobody = motion_report(dataclasses.replace(problem, weight=0 * alone), 0 * motion)
    assert not nobody["radial_observed"]
    json.dumps(nobody, allow_nan=False)
    empty = dataclasses.replace(
        problem,
        points=problem.points[:0],
        target=problem.target[:, :0],
        weight=problem.weight[:, :0],
        neighbours=problem.neighbours[:0],
        index=problem.index[:0],
    )
    json.dumps(motion_report(empty, motion[:0]), allow_nan=False)
