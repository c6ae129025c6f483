import json
import math

import jax.numpy as jnp
import pytest

from mom3d_jax.metrics import METRICS, Unavailable, record

WHAT = {
    "variant": "masked",
    "resolution": [64, 32],
    "crop": 0,
    "validity": 0.5,
    "frames": 3,
    "padding": "valid",
    "net": "vgg16",
    "masking": "multiplied",
    "flow": "exact",
    "flows": "scene flow",
    "views": 25,
}


def needed(name):
    return {key: WHAT[key] for key in METRICS[name]["needs"]}


@pytest.mark.parametrize("name", sorted(METRICS))
def test_records_say_what_was_measured(name):
    what = needed(name)
    entry = record(name, jnp.float32(0.5), **what, view=3)
    definition = {key: METRICS[name][key] for key in ("unit", "definition", "version")}
    assert entry == {"metric": name, "value": 0.5, **definition, **what, "view": 3}
    assert json.loads(json.dumps(entry, allow_nan=False)) == entry
    for key in what:
        with pytest.raises(ValueError, match=f"record of '{name}': say {key}; without it"):
            record(name, 0.5, **{k: v for k, v in what.items() if k != key})


def test_values_that_json_cannot_hold():
    for value, reason in (
        (math.nan, "nothing was counted or a value is NaN"),
        (math.inf, "the value is inf"),
        (Unavailable("no weights"), "no weights"),
    ):
        entry = json.loads(json.dumps(record("psnr", value, **needed("psnr")), allow_nan=False))
        assert entry["value"] is None
        assert entry["reason"] == reason
    assert "reason" not in record("psnr", 0.0, **needed("psnr"))


@pytest.mark.parametrize(
    ("name", "key", "value", "said"),
    [
        ("psnr", "variant", "M.", "one of all, valid, masked"),
        ("psnr", "resolution", [64, 0], r"\[width, height\] in px"),
        ("psnr", "resolution", None, r"\[width, height\] in px"),
        ("psnr", "validity", "0.5", r"a share in \[0, 1\]"),
        ("psnr", "crop", -1, "px of each border, 0 or more"),
        ("psnr", "validity", 50, r"a share in \[0, 1\]"),
        ("psnr", "validity", math.nan, r"a share in \[0, 1\]"),
        ("psnr", "frames", 1.5, "a count, 0 or more"),
        ("ssim", "padding", "reflect", "valid or same"),
        ("lpips_vgg", "masking", "grey", "multiplied, filled or none"),
        ("lpips_vgg", "net", "", "a name"),
        ("warping_error", "flow", None, "a name"),
        ("consistency_epe", "views", 1, "a count, 2 or more"),
    ],
)
def test_what_cannot_be_true(name, key, value, said):
    with pytest.raises(ValueError, match=f"record of '{name}': {key} is .*, not {said}"):
        record(name, 1.0, **needed(name) | {key: value})


def test_unknown_and_overwritten():
    with pytest.raises(ValueError, match="unknown metric 'psnrr'; known: consistency_epe, end_point_error"):
        record("psnrr", 1.0)
    with pytest.raises(ValueError, match="reason, unit is part of the definition"):
        record("psnr", 1.0, unit="dB", reason="none")
