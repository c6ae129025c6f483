"""How true the motion of a fitted scene is, and how consistent the flows were that it was solved from."""

from typing import Any

import numpy as np

from mom3d_jax import metrics
from mom3d_jax.cameras.generation import INPUT_VIEW
from mom3d_jax.evaluation import true_motion
from mom3d_jax.evaluation.task import Run
from mom3d_jax.motion3d import build_problem, project_flow
from mom3d_jax.motion3d.truth import truth_report


def motion_records(run: Run) -> list[dict[str, Any]]:
    """Consistency of the flows before and after 3D-MOM and, where the truth is known, errors of the scene flow.

    The error to the truth is given twice: `of="generation views"` is the mean over all pairs of a moving point and a
    view that see each other, as in `motion3d.truth`; `of="input view"` is that of the photo's dense flow over the
    pixels that truly move, whether they were marked as moving or not.
    """
    scene, views, flows = run.result("scene"), run.result("views"), run.result("flow")
    height, width = np.shape(scene.mask)
    said, seeing = run.figures["motion"], int(np.sum(np.asarray(flows.weight) > 0))
    records = []
    if seeing > 1:
        for flow, name in {"per view": "before", "scene flow": "after"}.items():
            value = said[f"consistency_epe_px_{name}"]
            records.append(
                metrics.record("consistency_epe", value, flows=flow, views=seeing, resolution=[width, height])
            )
    truth = run.task.sample.truth
    if truth is None or not truth.exact_geometry:
        return records
    geometry, cloud, solved = truth.geometry((width, height)), run.result("pointcloud"), run.result("motion3d")
    problem, _ = build_problem(cloud, views, flows)
    known = true_motion.of_points(cloud, geometry)[problem.index]
    error = truth_report(problem, np.asarray(solved.motion)[problem.index], known)["epe_truth_px"]
    counted = float(np.mean(np.asarray(problem.weight) > 0) * len(problem.index) / (width * height))
    what = {"variant": "masked", "resolution": [width, height]}
    missing = metrics.Unavailable("no moving point is seen by any view")
    records.append(
        metrics.record(
            "end_point_error", missing if error is None else error, **what, validity=counted, of="generation views"
        )
    )
    dense = project_flow(solved, views, [INPUT_VIEW])[0]
    value = metrics.end_point_error(dense, geometry.flow, geometry.mask)
    validity = float(np.mean(geometry.mask > 0))
    return [*records, metrics.record("end_point_error", float(value), **what, validity=validity, of="input view")]
