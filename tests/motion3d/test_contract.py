"""What every solver keeps to, whoever wrote it."""

import dataclasses
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mom3d_jax.motion3d import SOLVERS, Priors, gradient, loss, make_solver, objective, solve, viewing_rays
from mom3d_jax.motion3d.solvers import advance, prepare, run, start
from mom3d_jax.types import pytree, static

FEW = {"official_sgd": 12, "sgd": 12, "admm": 12, "coupled": 4, "irls": 6, "lm": 6, "input_view_lift": 0}
"""Steps enough to tell."""
NAMES = [*sorted(SOLVERS), "optax:adam", "optax:lbfgs", "optax:schedule_free_adamw", "own_solver:Descend"]
KNOB = {
    "official_sgd": "rate", "sgd": "rate", "admm": "stiffness", "coupled": "epsilon", "irls": "epsilon", "lm": "epsilon"
}  # fmt: skip
"""A hyper-parameter of each."""


class Place(dict):
    """A user's state may be any pytree that has a motion."""

    motion = property(lambda self: self["motion"])


jax.tree_util.register_pytree_node(Place, lambda p: ((p["motion"],), None), lambda _, leaves: Place(motion=leaves[0]))


@pytree
class Descend:
    """A user's own solver: gradient descent on the objective, in px."""

    rate: float = 0.2
    iterations: int = static(default=12)
    tolerance: float = 0.0

    def init(self, problem):
        return Place(motion=jnp.zeros(problem.points.shape))

    def step(self, problem, state):
        _, pixel = viewing_rays(problem)
        total = jnp.maximum(jnp.asarray(problem.weight).sum(axis=0), 1e-9)[:, None]
        return Place(motion=state.motion - self.rate * pixel**2 * gradient(problem, state.motion, 0.3) / total)


@pytest.fixture(autouse=True)
def own_solver(monkeypatch):
    module = types.ModuleType("own_solver")
    module.Descend = Descend
    monkeypatch.setitem(sys.modules, "own_solver", module)


def few(name: str, **options):
    if not name.startswith("own"):
        options["iterations"] = FEW.get(name, 12)
    return make_solver(name, **options)


def ready(name: str, problem):
    return jax.tree.map(jnp.asarray, prepare(few(name), problem)[0])


@pytest.fixture(scope="module")
def small(corrupted):
    """Priors, normals and a nuisance model on the corrupted plane."""
    normals = np.tile(np.float32([[0, -0.8, -0.6]]), (len(corrupted.points), 1))
    return dataclasses.replace(
        corrupted, normals=normals, priors=Priors(damping=0.03, smoothness=2.0, tangency=0.1), nuisance="similarity"
    )


SLOW = ("optax:lbfgs", "optax:schedule_free_adamw")


CASES = {n: pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in NAMES}


@pytest.mark.parametrize("name", CASES.values())
class TestContract:
    def test_states_are_pytrees_and_keep_their_shape(self, name, small):
        solver, problem = few(name), ready(name, small)
        state = solver.init(problem)
        after = jax.eval_shape(solver.step, problem, state)
        assert jax.tree.structure(state) == jax.tree.structure(after)
        assert state.motion.shape == problem.points.shape
        before = [jnp.asarray(a) for a in jax.tree.leaves(state)]
        assert [(a.shape, a.dtype) for a in before] == [(b.shape, b.dtype) for b in jax.tree.leaves(after)]
        assert isinstance(solver.iterations, int)

    def test_a_run_goes_on_from_a_checkpoint(self, name, small):
        """Saved as bare arrays and put together again, it ends where an uninterrupted run ends."""
        solver, problem = few(name), ready(name, small)
        step, straight = jax.jit(lambda r: advance(solver, problem, r)), run(solver, problem)
        half = start(solver, problem)
        for _ in range(solver.iterations // 2):
            half = step(half)
        leaves, structure = jax.tree.flatten(half)
        resumed = jax.tree.unflatten(structure, [jnp.asarray(np.array(leaf)) for leaf in leaves])
        for _ in range(solver.iterations - solver.iterations // 2):
            resumed = step(resumed)
        pixel = viewing_rays(problem)[1]
        np.testing.assert_allclose(resumed.state.motion / pixel, straight.state.motion / pixel, atol=2e-3)
        assert int(resumed.steps) == int(straight.steps)

    def test_does_not_lose_ground(self, name, small):
        rule, problem = few(name), ready(name, small)
        done = run(rule, problem)
        assert np.isfinite(done.state.motion).all()
        reached = int(done.steps)
        assert np.isfinite(done.objectives[: reached + 1]).all()
        if FEW.get(name, 12):
            # The released solver hardly moves in so few steps.
            share = 1 if name == "official_sgd" else 0.95
            assert reached == FEW.get(name, 12)
            assert float(done.objectives[reached]) < share * float(done.objectives[0])
        stated = dataclasses.replace(problem, response=done.response)
        assert float(done.losses[reached]) == pytest.approx(float(loss(stated, done.state.motion)), rel=1e-4)
        assert float(done.objectives[reached]) == pytest.approx(float(objective(stated, done.state.motion)), rel=1e-4)

    def test_still_flows_give_a_still_scene(self, name, small):
        problem = ready(name, dataclasses.replace(small, target=0 * small.target))
        np.testing.assert_array_equal(run(few(name), problem).state.motion, 0)

    def test_points_of_no_weight_change_nothing(self, name, small):
        """As when points are padded to fill the devices of a mesh."""
        n, more = len(small.points), 9
        own = np.tile(np.arange(n, n + more, dtype=np.int32)[:, None], (1, small.neighbours.shape[1]))
        padded = dataclasses.replace(
            small,
            points=np.concatenate([small.points, small.points[:more]]),
            target=np.concatenate([small.target, 7 + small.target[:, :more]], axis=1),
            weight=np.concatenate([small.weight, 0 * small.weight[:, :more]], axis=1),
            neighbours=np.concatenate([small.neighbours, own]),
            normals=np.concatenate([small.normals, small.normals[:more]]),
            index=np.arange(n + more, dtype=np.int32),
        )
        plain, found = (run(few(name), ready(name, p)).state.motion for p in (small, padded))
        pixel = viewing_rays(small)[1]
        np.testing.assert_allclose(found[:n] / pixel, plain / pixel, atol=2e-3)
        np.testing.assert_array_equal(found[n:], 0)

    def test_compiled_is_as_interpreted(self, name, small):
        solver, problem = few(name), ready(name, small)
        state = solver.init(problem)
        compiled, plain = jax.jit(solver.step)(problem, state).motion, solver.step(problem, state).motion
        pixel = viewing_rays(problem)[1]
        np.testing.assert_allclose(compiled / pixel, plain / pixel, atol=1e-3)

    def test_no_points(self, name, small):
        empty = dataclasses.replace(
            small,
            points=small.points[:0],
            target=small.target[:, :0],
            weight=small.weight[:, :0],
            neighbours=small.neighbours[:0],
            normals=small.normals[:0],
            index=small.index[:0],
        )
        options = {} if name.startswith("own") else {"iterations": FEW.get(name, 12)}
        motion, report = solve(empty, name, **options)
        assert motion.shape == (0, 3)
        assert report["losses"][-1] == 0


@pytest.mark.parametrize("name", [case for name, case in CASES.items() if name != "input_view_lift"])
def test_runs_map_over_hyper_parameters(name, small):
    """Of all solvers that have one: the lift of the input view has none."""
    knob = KNOB.get(name, "rate")
    solver, problem = few(name), ready(name, small)
    values = jnp.float32(getattr(solver, knob)) * jnp.float32([1, 0.5])
    together = jax.vmap(lambda x: run(dataclasses.replace(solver, **{knob: x}), problem).objectives[-1])(values)
    apart = [run(dataclasses.replace(solver, **{knob: x}), problem).objectives[-1] for x in values]
    np.testing.assert_allclose(together, apart, rtol=5e-3)


FIXED = {"epsilon": 0.05, "sharpest": 0.05}


@pytest.mark.parametrize(("name", "options"), [("coupled", FIXED | {"inner": 30}), ("irls", FIXED), ("lm", {})])
def test_the_objective_never_rises(name, options, corrupted):
    """At one smoothing of the loss: that is what reweighted least squares promises."""
    solver = make_solver(name, iterations=8, **options)
    problem = prepare(solver, dataclasses.replace(corrupted, priors=Priors(damping=0.03, smoothness=2.0)))[0]
    epsilon, state, values = getattr(solver, "epsilon", 0.05), solver.init(problem), []
    step = jax.jit(solver.step)
    for _ in range(9):
        values.append(float(objective(problem, state.motion, epsilon)))
        state = step(problem, state)
    assert (np.diff(values) <= 1e-5).all()
    assert values[-1] < 0.8 * values[0]
