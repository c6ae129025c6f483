"""Compiled programs are dropped before a process has no memory maps left for more."""

from pathlib import Path

import jax
import jax.numpy as jnp

from mom3d_jax import programs


def maps():
    return Path("/proc/self/maps").read_bytes().count(b"\n")


def test_programs_are_dropped_and_compiled_anew():
    functions = [jax.jit(lambda x, k=k: jnp.sin(k * x) @ jnp.cos(x.T)) for k in range(20)]
    values = [f(jnp.ones((3, 2))) for f in functions]
    before = maps()
    assert not programs.release_programs(share=1.0)
    assert maps() >= before
    assert programs.release_programs(share=0.0)
    assert maps() < before - 4 * len(functions)
    for f, value in zip(functions, values, strict=True):
        assert (f(jnp.ones((3, 2))) == value).all()


def test_without_such_a_limit_nothing_is_dropped(monkeypatch, tmp_path):
    monkeypatch.setattr(programs, "LIMIT", tmp_path / "none")
    assert not programs.release_programs(share=0.0)
