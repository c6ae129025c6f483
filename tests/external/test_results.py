"""Nothing that a worker gives is used before it was looked at."""

import dataclasses

import numpy as np
import pytest

from mom3d_jax.external import ExternalError, Item, ask
from mom3d_jax.external.check import check_result

H, W, FRAMES = 6, 8, 5
IMAGE = np.full((H, W, 3), 0.5, np.float32)
PLANE = np.ones((H, W), np.float32)
ITEMS = {
    "depth": Item("lake", {"image": IMAGE}),
    "flow": Item("lake/view_07", {"image": IMAGE, "mask": PLANE, "valid": PLANE, "hints": np.ones((3, 4), np.float32)}),
    "animation": Item(
        "lake/view_07",
        {"image": IMAGE, "mask": PLANE, "valid": PLANE, "flow": np.ones((H, W, 2), np.float32)},
        {"frames": FRAMES, "loop": True},
    ),
    "scene": Item("lake", {"image": IMAGE, "mask": PLANE, "depth": PLANE}, {"focal": [8.0, 8.0], "centre": [4.0, 3.0]}),
}
GOOD = {
    "depth": [
        "draft(0, depth=np.linspace(1, 2, 48, dtype='f4').reshape(6, 8)); finish({'kind': 'metric', 'unit': 'm'})",
        "draft(0, depth=np.linspace(0, 2, 48).reshape(6, 8)); finish({'kind': 'inverse'})",
        "draft(0, depth=np.linspace(-9, 2, 48).reshape(6, 8).astype('f2')); finish({'kind': 'relative'})",
    ],
    "flow": ["draft(0, flow=np.full((6, 8, 2), -0.5)); finish({})"],
    "animation": [
        "draft(0, video=np.full((5, 6, 8, 3), 255, np.uint8)); finish({})",
        "draft(0, video=np.ones((5, 6, 8, 3), np.float32)); finish({})",
    ],
    "scene": [
        "draft(0, points=np.ones((9, 3)), colors=np.ones((9, 3))); finish({})",
        """
        R = np.tile(np.eye(4), (2, 1, 1))
        draft(0, cameras=R, intrinsics=np.ones((2, 4)), images=np.ones((2, 4, 5, 3)), new=np.ones((2, 4, 5)))
        (folder / "result.tmp" / "items" / "0000" / "gaussians.ply").write_bytes(b"ply")
        finish({})
        """,
    ],
}


@pytest.mark.parametrize(("task", "body"), [(task, body) for task, bodies in GOOD.items() for body in bodies])
def test_what_is_well_formed_is_taken(model, task, body):
    mine = model(body, task=task)
    for _ in range(2):  # as it comes, and as it was kept
        (result,) = ask(mine, [ITEMS[task]])
        assert result.name == ITEMS[task].name
        for name, array in result.arrays.items():
            assert array.dtype == (np.uint8 if name == "video" and "uint8" in body else np.float32)
            assert np.isfinite(array).all()
        if "gaussians" in body:
            assert result.files["gaussians.ply"].read_bytes() == b"ply"


METRIC, INVERSE, RELATIVE = {"kind": "metric", "unit": "m"}, {"kind": "inverse"}, {"kind": "relative"}
COLORS, EYES = np.ones((9, 3)), np.tile(np.eye(4), (2, 1, 1))
BAD = [
    ("depth", {"depth": np.ones((6, 9))}, METRIC, r"shape \[6, 9\], wanted \[6, 8\]"),
    ("depth", {"depth": np.ones((1, 6, 8))}, METRIC, r"shape \[1, 6, 8\]"),
    ("depth", {"depth": np.full((6, 8), np.nan)}, METRIC, "48 of 48 values are not finite"),
    ("depth", {"depth": np.full((6, 8), 1e300)}, METRIC, "48 of 48 values are not finite"),
    ("depth", {"depth": np.ones((6, 8), np.uint8)}, METRIC, "is uint8; save it as float32$"),
    ("depth", {"depth": -np.ones((6, 8))}, METRIC, r"100\.0% of the metric depth is not positive"),
    ("depth", {"depth": PLANE, "more": PLANE}, METRIC, "array 'more' is not known; known: depth"),
    ("depth", {}, METRIC, "array depth is missing"),
    ("depth", {"depth": PLANE}, {"kind": "metric"}, r"unit=None in result\.json; one of m, cm"),
    ("depth", {"depth": PLANE}, {"kind": "zoe"}, r"kind='zoe' in result\.json; one of metric"),
    ("depth", {"depth": -PLANE}, INVERSE, "inverse depth goes from -1 to -1"),
    ("depth", {"depth": 0 * PLANE}, INVERSE, "inverse depth goes from 0 to 0"),
    ("depth", {"depth": PLANE}, RELATIVE, "relative depth is 1 nearly everywhere; are"),
    ("depth", {"depth": np.linspace(7, 7.01, 48).reshape(6, 8)}, METRIC, "metric depth is 7.* nearly everywhere; are"),
    ("depth", {"depth": PLANE}, INVERSE, "inverse depth is 1 nearly everywhere; are"),
    ("flow", {"flow": np.ones((2, 6, 8))}, {}, r"shape \[2, 6, 8\], wanted \[6, 8, 2\]"),
    ("flow", {"flow": np.full((6, 8, 2), 0.9)}, {}, "longest flow vector has 1.27 px on an image of 8 px"),
    ("animation", {"video": np.ones((4, 6, 8, 3))}, {}, r"shape \[4, 6, 8, 3\], wanted \[5, 6, 8, 3\]"),
    ("animation", {"video": np.full((5, 6, 8, 3), 1.1)}, {}, r"goes from 1\.1 to 1\.1; wanted 0 to 1"),
    ("animation", {"video": np.ones((5, 6, 8, 3), np.int32)}, {}, "int32; save it as float32 or uint8"),
    ("scene", {"cameras": EYES, "intrinsics": np.ones((2, 4))}, {}, r"neither points nor gaussians\.ply"),
    ("scene", {"points": np.ones((9, 3))}, {}, "points without colors"),
    ("scene", {"points": np.ones((8, 3)), "colors": COLORS}, {}, r"\[9, 3\], wanted \[8, 3\]"),
    ("scene", {"points": COLORS, "colors": COLORS, "cameras": EYES}, {}, "cameras without intrinsics"),
    (
        "scene",
        {"points": COLORS, "colors": COLORS, "cameras": EYES + 1, "intrinsics": np.ones((2, 4))},
        {},
        "not world-to-camera matrices",
    ),
]


@pytest.mark.parametrize(("task", "arrays", "values", "said"), BAD)
def test_what_is_not_is_refused(task, arrays, values, said):
    with pytest.raises(ExternalError, match=said) as caught:
        check_result(task, ITEMS[task], arrays, values)
    assert str(caught.value).startswith(ITEMS[task].name)
    assert "\n" not in str(caught.value)


JSON = "(folder / 'result.tmp/result.json').write_text({!r}); (folder / 'result.tmp').rename(folder / 'result')"
REFUSED_NUMBER = r"its result\.json is not one \(ValueError: Out of range float values .*; more in .*mine\.log"
REFUSED = [
    ("draft(0, depth=np.full((6, 8), np.nan)); finish()", "48 of 48 values are not finite"),
    ("draft(0, depth=np.array([{}], object)); finish()", r"depth\.npy of its result is not a whole NumPy array"),
    (
        "draft(0, depth=np.eye(6, 8)); f = folder / 'result.tmp/items/0000/depth.npy'; "
        "f.write_bytes(f.read_bytes()[:200]); finish()",
        r"depth\.npy of its result is not a whole NumPy array",
    ),
    (
        "draft(0, depth=np.eye(6, 8)); (folder / 'result.tmp/items/0000/x.txt').write_text(''); finish()",
        r"holds x\.txt",
    ),
    ("draft(0, depth=np.eye(6, 8)); finish(names=['sea'])", r"about \['sea'\], asked about \['lake'\]"),
    ("draft(0, depth=np.eye(6, 8)); finish(format=2)", "format 2, task 'depth'; wanted 1, 'depth'"),
    ("draft(0, depth=np.eye(6, 8)); finish(task='flow')", "format 1, task 'flow'; wanted 1, 'depth'"),
    ("draft(0, depth=np.eye(6, 8)); finish({'kind': 'relative', 'scale': float('nan')})", REFUSED_NUMBER),
    ("draft(0, depth=np.eye(6, 8)); finish({'kind': 'relative', 'scale': float('inf')})", REFUSED_NUMBER),
    ("draft(0); " + JSON.format("{"), r"its result\.json is not one \(JSONDecodeError"),
    ("draft(0); " + JSON.format("[]"), r"its result\.json is not one \(TypeError"),
]


@pytest.mark.parametrize(("body", "said"), REFUSED)
def test_a_result_that_is_refused_is_not_kept(model, body, said):
    mine = model(body)
    with pytest.raises(ExternalError, match=said) as caught:
        ask(mine, [ITEMS["depth"]])
    assert str(caught.value).startswith("mine: ")
    assert "\n" not in str(caught.value)
    assert [path.name for path in mine.store.iterdir()] == ["mine.log"]


def test_one_bad_item_keeps_the_good_ones_out_too(model):
    body = "draft(0, depth=np.eye(6, 8)); draft(1, depth=np.full((6, 8), np.inf)); finish()"
    mine, other = model(body), dataclasses.replace(ITEMS["depth"], name="sea", arrays={"image": IMAGE / 2})
    with pytest.raises(ExternalError, match="sea: result array depth: 48 of 48 values are not finite"):
        ask(mine, [ITEMS["depth"], other])
    assert [path.name for path in mine.store.iterdir()] == ["mine.log"]


def test_what_is_asked_is_checked_as_well(model):
    bright = dataclasses.replace(ITEMS["depth"], arrays={"image": IMAGE * 255})
    with pytest.raises(ExternalError, match=r"request array image goes from 127\.5 to 127\.5; wanted 0 to 1"):
        ask(model(), [bright])
