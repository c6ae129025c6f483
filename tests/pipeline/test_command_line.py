"""Flags, settings and recipes that are spelled wrong: one line that names the nearest right one."""

import pytest


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--config.stage1.step=5", "unknown setting stage1.step; did you mean stage1.steps? all of them are in "),
        ("--config.tme.frames=3", "unknown setting tme.frames; did you mean time.frames?"),
        ("--config.crossfde=3", "unknown setting crossfde; did you mean time.crossfade?"),
        ("--noconfig.depth.normalise", "unknown setting depth.normalise; did you mean depth.normalize?"),
        ("--config.xyz=3", "unknown setting xyz; all of them are in mom3d_jax/config.py"),
        ("--config.stage1=5", "stage1 is a group of settings; name one of them, for example --config.stage1."),
        ("--wrokdir=x", "unknown flag --wrokdir; did you mean --workdir?"),
        ("--time.frames=9", "unknown flag --time.frames; say --config.time.frames"),
        ("--nonsense", "unknown flag --nonsense"),
        ("photo.jpg", "unexpected argument 'photo.jpg'; settings look like --config.time.frames=90"),
        ("--config.stage1.steps=1.5", "stage1.steps='1.5': a whole number is wanted"),
        ("--config.flow.sigma=wide", "flow.sigma='wide': a number is wanted"),
        ("--config.depth.normalize=maybe", "depth.normalize='maybe': true or false is wanted"),
        ("--force=3", "force='3': true or false is wanted"),
        ("--config.render.paths=3", "render.paths=(3,): a list of names such as ('up-down', "),
        ("--config.stage1.rates.means=('a','b')", "stage1.rates.means=('a', 'b'): a list of numbers such as ("),
        ("--config.size.width", "Missing value for flag --config.size.width"),
        ("--config=missing.py", "missing.py: no such recipe; there are some in configs/, for example "),
        ("--workdir=out", "no input given: add --input=PATH"),
        ("--input=nowhere.jpg --workdir=out", "nowhere.jpg: no such file or folder"),
    ],
)  # fmt: skip
def test_one_line_names_what_was_meant(command, error_line, words, said):
    done = command(*words.split())
    assert error_line(done).startswith(said)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ("depth=zoo", "'depth=zoo': no such model; there are builtin, "),
        ("sky=template", "'sky=template': models are chosen by depth=NAME, flow=NAME, animator=NAME"),
    ],
)
def test_models_behind_the_recipe(command, error_line, repository, chosen, said):
    recipe = repository / "configs" / "demo.py"
    assert error_line(command(f"--config={recipe}:{chosen}")).startswith(f"--config={recipe}:{chosen}: {said}")


def test_settings_of_models_are_flags(command, error_line, landscape_folder, tmp_path, repository):
    done = command(
        f"--config={repository / 'configs' / 'demo.py'}:depth=template",
        "--config.external.template.python=nowhere/python",
        "--config.external.template.timeout=5",
        "--config.external.template.trust=('a.pth',)",
        f"--input={landscape_folder}",
        f"--workdir={tmp_path / 'out'}",
    )
    assert (
        error_line(done)
        == "external.template.python=nowhere/python: no such program; docs/external.md says how to make one"
    )


def test_the_recipe_may_be_a_word_of_its_own(command, error_line, repository):
    done = command("--input=x.png", "--config", repository / "configs" / "demo.py", "--config.stage1.step=3")
    assert "did you mean stage1.steps?" in error_line(done)


def test_help_is_its_own(command):
    done = command("--help")
    assert done.returncode == 0
    assert "--config=configs/preview.py" in done.stdout


def test_a_work_folder_is_needed(command, error_line):
    assert error_line(command("--input=x.png")) == "no work folder given: add --workdir=OUT"


def test_a_recipe_nearby_is_suggested(command, error_line, tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "waterfall.py").write_text("")
    for wrong in ("configs/waterfal.py", "config/waterfall.py"):
        assert (
            error_line(command(f"--config={wrong}")) == f"{wrong}: no such recipe; did you mean configs/waterfall.py?"
        )


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("x = 1\n", "r.py: the recipe fails with KeyError: 'get_config'"),
        ("def get_config():\n    return 3\n", "r.py: its get_config() returns no ConfigDict; start from"),
        (
            "from mom3d_jax.config import default_config\n\ndef get_config():\n    c = default_config()\n"
            "    c.stages.steps = 3\n    return c\n",
            "r.py, line 5: the recipe fails with AttributeError: ",
        ),
        (
            "from mom3d_jax.config import default_config\n\ndef get_config():\n    c = default_config()\n"
            "    c.stage1.steps = 'many'\n    return c\n",
            "r.py, line 5: the recipe fails with TypeError: ",
        ),
    ],
)
def test_a_recipe_that_fails_is_one_line(command, error_line, tmp_path, recipe, said):
    (tmp_path / "r.py").write_text(recipe)
    done = command("--config=r.py", "--input=x", "--workdir=out")
    assert error_line(done).startswith(said)
    assert done.stderr.count("\n") == 1


def test_settings_arrive(command, error_line):
    """Values of every kind get past the flags: what is refused is the input that is not there."""
    words = ("--config.animation.views=all", "--config.time.frames=9", "--config.stage1.rates.means=(0.1, 0.05)",
             "--noconfig.depth.normalize", "--config.render.paths=('side',)", "--config.render.frames=9")  # fmt: skip
    for more in ([], ["--config.views.count=30", "--config.animation.views=2, 29"]):
        done = command("--input=nowhere", "--workdir=out", *words, *more)
        assert error_line(done).startswith("nowhere: no such file or folder")
    done = command("--input=nowhere", "--workdir=out", "--config.animation.views=29")
    assert error_line(done) == "animation.views='29' names view 29; there are views 0 to 24"


def test_stages_take_the_same_words(command, error_line):
    assert error_line(command("--config.flow.sigm=2", stage="flow")).startswith(
        "unknown setting flow.sigm; did you mean"
    )
    assert "unknown command 'flw'" in error_line(command(stage="flw"))
