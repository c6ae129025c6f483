"""The recipes in `configs/`: all load and make sense; the official one says what the released code says."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from mom3d_jax import pipeline
from mom3d_jax.stages import check

RECIPES = sorted(p for p in (Path(__file__).parents[2] / "configs").glob("*.py") if not p.stem.startswith("eval_"))
"""Of the pipeline; those of the evaluation hold other settings."""


def load(name: str):
    (path,) = (p for p in RECIPES if p.stem == name)
    return runpy.run_path(str(path))["get_config"]()


@pytest.mark.parametrize("recipe", [p.stem for p in RECIPES])
def test_recipes_hold_settings_that_every_stage_accepts(recipe):
    check(load(recipe))


def test_official_learning_rates_are_those_of_the_release():
    c = load("official")
    # Of step k out of 20 000, log-linear: after stage 1's 3 000 steps the positions have come this far.
    first, last = c.stage1.rates.means
    reached = first * (last / first) ** (c.stage1.steps / c.stage1.decay_steps)
    assert reached == pytest.approx(np.exp((1 - 0.15) * np.log(1.6e-4 * 0.41749) + 0.15 * np.log(1.6e-6 * 0.41749)))
    # The solver's steps add up to the reach that its paper-sized schedule has.
    sgd = c.motion3d.options.official_sgd
    assert sgd.rate * (1 - sgd.decay**sgd.iterations) / (1 - sgd.decay) == pytest.approx(16.63, abs=0.01)
    # Degree 3 is reached with the last step of stage 1.
    assert c.stage1.steps // c.stage1.sh_every == c.gaussians.sh_degree


def test_the_official_recipe_runs_end_to_end(landscape_folder, tmp_path):
    c = load("official")
    c.input = str(landscape_folder)
    c.size.width = 64
    c.size.focal = 64.0
    c.time.frames, c.render.frames, c.render.poses, c.render.circle_poses, c.render.crop = 6, 5, 6, 8, 4
    c.render.paths = ("side",)
    c.stage1.steps, c.stage1.sh_every, c.stage2.steps = 8, 2, 4
    c.deformation.options.hexplane.update({"resolution": 8, "features": 4, "width": 8, "time_resolution": 5})
    figures = pipeline.run(c, tmp_path)
    assert figures["depth"]["scale"] == 1
    assert figures["animation"]["views"] == [2]
    assert np.isfinite(figures["stage2"]["train_psnr_masked"])
    from mom3d_jax.export import read_ply

    assert read_ply(tmp_path / "frame_0000.ply").sh.shape[1:] == (16, 3)


def test_thirty_views_run_up_to_the_motion(tiny_config, tmp_path):
    c = tiny_config()
    c.views.count = 30
    figures = pipeline.run(c, tmp_path, until="motion3d")
    assert len(figures["views"]["coverage"]) == 30
    # A step ahead the photo fills the whole view.
    assert figures["views"]["coverage"][27] == 1
    assert figures["motion"]["residual_l1_ratio"] < 1.2
