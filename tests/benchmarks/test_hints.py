"""The benchmark of hint interpolation on one small scene."""

import json

import pytest

from benchmarks import hints


def test_a_river_that_comes_nearer(tmp_path, capsys):
    out = tmp_path / "hints.json"
    hints.main(["--families=river_to_viewer", "--width=128", "--arrows=1,3", f"--out={out}"])
    report = json.loads(out.read_text())
    true, prior, more, _ = report["rows"]
    assert (true["depth"], prior["depth"]) == ("true", "prior") and true["image"] == prior["image"]
    assert true["chosen"] == "space" and true["auto"] == true["space"] < 0.2 * true["image"]
    assert more["arrows"] > true["arrows"] and more["space"] < true["space"]
    assert report["means"][0] == {"times": 1, "depth": "true"} | {way: true[way] for way in ("image", "space", "auto")}
    assert "river_to_viewer" in capsys.readouterr().out


@pytest.mark.parametrize("argument", ["--families=sea", "--width=8", "--arrows=2,x"])
def test_bad_options_end_with_one_line(argument, capsys):
    with pytest.raises(SystemExit) as stop:
        hints.main([argument])
    assert stop.value.code == 2 and argument.split("=")[1] in capsys.readouterr().err
