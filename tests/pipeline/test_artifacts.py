import dataclasses

import jax
import numpy as np
import pytest

from mom3d_jax import artifacts
from mom3d_jax.types import Gaussians, Hints, Scene


def scene() -> Scene:
    hints = Hints(np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32), np.array([True, False]))
    image = np.random.default_rng(0).uniform(size=(4, 6, 3)).astype(np.float32)
    return Scene(image, image[..., 0], hints, None, None, name="lake", notes=("one", "two"))


def test_a_tree_comes_back_as_it_was(tmp_path):
    gaussians = Gaussians(*(np.full((3, k), k, np.float32) for k in range(1, 6)), np.ones(3, bool), movable=2)
    tree = {"scene": scene(), "nested": {"gaussians": gaussians, "nothing": None}, "clip": np.arange(5, dtype=np.uint8)}
    artifacts.save(tmp_path / "a.npz", tree, "k")
    again = artifacts.load(tmp_path / "a.npz", "k")
    assert jax.tree.structure(again) == jax.tree.structure(tree)
    jax.tree.map(np.testing.assert_array_equal, tree, again)
    assert again["scene"].notes == ("one", "two")
    assert again["nested"]["gaussians"].movable == 2


def test_another_key_or_a_damaged_file_is_no_artifact(tmp_path):
    file = tmp_path / "a.npz"
    assert not artifacts.exists(file, "k")
    artifacts.save(file, scene(), "k")
    assert artifacts.exists(file, "k")
    assert not artifacts.exists(file, "other")
    with pytest.raises(ValueError, match="other settings"):
        artifacts.load(file, "other")
    file.write_bytes(file.read_bytes()[:-30])
    assert not artifacts.exists(file, "k")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    file = tmp_path / "figures.json"
    artifacts.write_json(file, {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        artifacts.write_json(file, {"a": float("nan")})
    assert file.read_text() == '{\n  "a": 1\n}\n'
    assert list(tmp_path.iterdir()) == [file]


def test_keys_depend_on_names_and_contents_but_not_on_the_place(tmp_path):
    image, annotation, elsewhere = tmp_path / "image.png", tmp_path / "image.json", tmp_path / "other" / "image.png"
    elsewhere.parent.mkdir()
    for file in (image, elsewhere):
        file.write_bytes(b"1")
    alone = artifacts.key_of_files([image])
    assert artifacts.key_of_files([elsewhere]) == alone
    annotation.write_text("{}")
    with_annotation = artifacts.key_of_files([image, annotation])
    annotation.write_text("{ }")
    assert len({alone, with_annotation, artifacts.key_of_files([image, annotation])}) == 3
    assert artifacts.key_of("a", {"x": 1, "y": 2}) == artifacts.key_of("a", {"y": 2, "x": 1})


def test_every_class_of_the_contract_is_a_pytree():
    assert len(jax.tree.leaves(scene())) == 5
    doubled = jax.tree.map(lambda a: a, scene())
    assert dataclasses.astuple(doubled)[-1] == ("one", "two")
