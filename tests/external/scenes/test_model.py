"""Static scenes from a model: what its images show beyond the photo is added, and what happens where it fails."""

import sys

import numpy as np
import pytest

from mom3d_jax.cameras import input_camera, project
from mom3d_jax.config import external_model
from mom3d_jax.external import ExternalError, make_model

WIDTH, HEIGHT = 64, 36
CAMERA = input_camera(WIDTH, HEIGHT)
MODEL = """
for number, item in enumerate(request["items"]):
    given = arrays(number)
    h, w = given["depth"].shape
    (fx, fy), (cx, cy) = item["values"]["focal"], item["values"]["centre"]
    v, u = np.mgrid[:h, :w] + 0.5
    z = given["depth"]
    points = np.stack([(u - cx) / fx * z, (v - cy) / fy * z, z], -1).reshape(-1, 3)
    far = float(np.median(z))
    camera = np.eye(4)
    camera[0, 3] = -far / 4
    note(given["cameras"].shape)
    draft(number, points=points, colors=given["image"].reshape(-1, 3), cameras=camera[None],
          intrinsics=np.array([[2 * fx, 2 * fy, 2 * cx, 2 * cy]]),
          images=np.full((1, 2 * h, 2 * w, 3), 200, np.uint8))
finish({})
"""


@pytest.fixture
def mine(config, prelude, tmp_path):
    """Choose a scene model whose worker is the text given."""

    def choose(body=MODEL, fallback=""):
        worker = tmp_path / "worker.py"
        worker.write_text(prelude + body)
        settings = {"worker": str(worker), "python": sys.executable, "device": "cpu", "timeout": 120.0, "task": "scene"}
        config.external.mine = external_model()
        config.external.mine.update({**settings, "fallback": fallback})
        config.external.mine.environment.NOTES = str(tmp_path / "notes.txt")
        config.scene.model = "mine"
        return make_model("mine", "scene", config.external.mine.to_dict(), seed=0, store=tmp_path / "store")

    return choose


def test_what_its_images_show_is_added(mine, again, plain, tmp_path):
    mine()
    result, figures = again("stage1")
    wider = figures["stage1"]["wider"]
    assert wider["source"] == wider["external"]["name"] == "mine"
    assert wider["scale"] == pytest.approx(1, rel=1e-4)
    assert (tmp_path / "notes.txt").read_text() == "(25, 4, 4)\n"
    g, own = result("stage1")["gaussians"], plain("stage1")["gaussians"]
    assert wider["gaussians"] > 50
    assert g.alive.sum() == own.alive.sum() + wider["gaussians"]
    # New points lie where the second camera looks and the photo does not, a part of them to its right.
    x = np.asarray(project(CAMERA, g.means)[0])[:, 0]
    new = np.asarray(g.alive) & (x > WIDTH)
    assert new.sum() > 30
    np.testing.assert_allclose(0.5 + 0.28209479 * g.sh[new, 0], 200 / 255, atol=0.1)
    assert not (np.asarray(g.alive) & (x > 2 * WIDTH)).any()


def test_it_may_say_what_is_new_in_its_images(mine, wider):
    body = MODEL.replace("note(", "new = np.zeros((1, 2 * h, 2 * w))\n    new[:, :h] = 1\n    note(")
    theirs, _ = wider(mine(body.replace("draft(number,", "draft(number, new=new,")))
    pixels = np.asarray(project(CAMERA, theirs.gaussians.means)[0])
    beyond = pixels[:, 0] > WIDTH
    assert beyond.sum() > 10
    assert (pixels[beyond, 1] < HEIGHT / 2).all()


def test_where_it_fails_the_photo_may_do_alone(mine, wider):
    with pytest.raises(ExternalError, match="mine: exit code 1: RuntimeError: no stars"):
        wider(mine("raise RuntimeError('no stars')"))
    theirs, figures = wider(mine("raise RuntimeError('no stars')", fallback="builtin"))
    assert theirs is None
    assert "no stars" in figures["fallback"]
