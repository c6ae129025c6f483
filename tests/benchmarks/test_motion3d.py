"""The benchmark's problems are what they are said to be, and their answers are right."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mom3d_jax.cameras import pixel_grid, select
from mom3d_jax.motion3d import solve, viewing_rays

SIZE = (128, 72)


@pytest.fixture
def synthetic(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repository))
    return importlib.import_module("benchmarks.motion3d.synthetic")


@pytest.fixture
def corruption(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repository))
    return importlib.import_module("benchmarks.motion3d.corruption")


def depth64(width: int, height: int) -> np.ndarray:
    """The formula of the issue in float64, one value for each row."""
    v = np.arange(height) + 0.5
    return np.repeat(2 / (0.12 + 0.88 * np.clip((v / height - 0.42) / 0.58, 0, 1))[:, None], width, 1)


def project64(cameras, v: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    R, t, focal, centre = (
        np.asarray(a, np.float64)
        for a in (cameras.rotation[v], cameras.translation[v], cameras.focal[v], cameras.centre[v])
    )
    x = points.astype(np.float64) @ R.T + t
    return focal * x[:, :2] / x[:, 2:] + centre, x[:, 2]


@pytest.mark.parametrize("variant", ["synthetic_free", "synthetic_tangent"])
def test_flows_are_the_differences_of_projections(synthetic: ModuleType, variant: str) -> None:
    case = synthetic.exact_case(variant, *SIZE)
    problem = case.problem
    for v in (0, 2, 9, 24):
        start, z = project64(problem.cameras, v, problem.points)
        end, _ = project64(problem.cameras, v, problem.points + case.truth.astype(np.float64))
        seen = problem.weight[v] > 0
        np.testing.assert_allclose(problem.target[v][seen], (end - start)[seen], atol=5e-5)
        # Half a thousandth of a pixel from the border float32 may decide otherwise.
        margin = np.minimum(start, np.array(SIZE) - start).min(-1)
        sure = np.abs(margin) > 5e-4
        np.testing.assert_array_equal(seen[sure], ((margin > 0) & (z > 0))[sure])


def test_points_lie_on_their_pixels_at_the_formulas_depth(synthetic: ModuleType) -> None:
    ground = synthetic.surface(*SIZE)
    np.testing.assert_allclose(ground.z, depth64(*SIZE), rtol=1e-5)
    np.testing.assert_allclose(ground.points[:, 2], depth64(*SIZE).ravel(), rtol=1e-5)
    pixels = ground.points[:, :2] / ground.points[:, 2:] * 128 + np.array([64, 36])
    np.testing.assert_allclose(pixels, pixel_grid(*SIZE).reshape(-1, 2), atol=1e-3)


def test_official_cameras_see_the_official_share(synthetic: ModuleType) -> None:
    """25 views with a baseline of 0.375, as measured on the released code; half of the pairs are seen."""
    problem = synthetic.exact_case("synthetic_free", *SIZE).problem
    R, t = (np.asarray(a, np.float64) for a in (problem.cameras.rotation, problem.cameras.translation))
    centres = -np.einsum("vji,vj->vi", R, t)
    assert len(centres) == 25
    np.testing.assert_allclose(centres[0], (-0.3748, 0, 0.0164), atol=1e-4)
    np.testing.assert_allclose(centres[2], 0, atol=1e-6)
    assert problem.reference == 2
    assert problem.weight[2].all()
    np.testing.assert_array_equal(problem.population, problem.weight.sum(1))


def test_free_motion_is_the_formula(synthetic: ModuleType) -> None:
    X = np.array([[0.5, -1.0, 4.0]])
    expected = 4 / 128 * np.array([0.8 * np.sin(0.65 + 4.0) + 0.6, 0.2 * np.cos(0.5), 0.5 * np.sin(4.0)])
    np.testing.assert_allclose(synthetic.free_motion(X, 128.0)[0], expected)
    case = synthetic.exact_case("synthetic_free", *SIZE)
    np.testing.assert_allclose(case.truth, synthetic.free_motion(case.problem.points, 128.0), rtol=1e-5)
    length = np.linalg.norm(case.problem.target, axis=-1)
    # About a pixel in the input view; over all views doing nothing is known to leave 0.750 px.
    assert 0.7 < length[2].mean() < 1.0
    assert (length * case.problem.weight).sum() / case.problem.weight.sum() == pytest.approx(0.75, abs=0.01)


def test_tangent_motion_is_tangent_and_of_the_same_size(synthetic: ModuleType) -> None:
    """Tangents are taken from the formula of the depth by differences, without any formula of a plane."""
    width, height = SIZE
    focal, step = float(width), 1e-4
    case, ground = synthetic.exact_case("synthetic_tangent", *SIZE), synthetic.surface(*SIZE)
    p = pixel_grid(width, height).reshape(-1, 2).astype(np.float64)

    def lifted(pixels: np.ndarray) -> np.ndarray:
        z = 2 / (0.12 + 0.88 * np.clip((pixels[:, 1] / height - 0.42) / 0.58, 0, 1))
        return np.stack([(pixels[:, 0] - 64) * z / focal, (pixels[:, 1] - 36) * z / focal, z], -1)

    along, down = (lifted(p + e) - lifted(p - e) for e in np.diag([step, step]))
    normal = np.cross(along, down)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    F = case.truth.astype(np.float64)
    across = np.abs((normal * F).sum(-1)) / np.linalg.norm(F, axis=-1)
    assert across.max() < 1e-5
    assert np.abs(np.abs((normal * ground.normals).sum(-1)) - 1).max() < 1e-6
    free = synthetic.free_motion(case.problem.points, focal)
    assert np.linalg.norm(F) == pytest.approx(np.linalg.norm(free), rel=1e-5)
    # It does move along the rays, which is what the variant is for.
    rays = np.asarray(viewing_rays(case.problem)[0])
    assert np.linalg.norm((rays * F).sum(-1)) > 0.2 * np.linalg.norm(F)


def test_corruption_is_centred_and_of_its_size(corruption: ModuleType) -> None:
    draws = [corruption.draw(25, 1, 0.15, seed) for seed in range(200)]
    for drawn in draws:
        assert drawn.gain.mean() == pytest.approx(1)
        assert drawn.turn.mean() == pytest.approx(0, abs=1e-12)
    # Centring takes one of 25 degrees of freedom.
    assert np.std([d.gain for d in draws]) == pytest.approx(0.15 * np.sqrt(24 / 25), rel=0.05)
    assert np.degrees(np.std([d.turn for d in draws])) == pytest.approx(6 * np.sqrt(24 / 25), rel=0.05)
    assert np.std([d.cells for d in draws]) == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize(("share", "count"), [(0, 0), (0.05, 7), (0.15, 22), (0.4, 58), (1, 144)])
def test_each_view_has_its_share_of_outlier_blocks_with_one_vector(
    corruption: ModuleType, share: float, count: int
) -> None:
    drawn = corruption.draw(25, 0, share, seed=3)
    chosen = (drawn.blocks != 0).any(-1)
    np.testing.assert_array_equal(chosen.sum((1, 2)), count)
    if count:
        vectors = [np.unique(b[c], axis=0) for b, c in zip(drawn.blocks, chosen, strict=True)]
        assert {len(v) for v in vectors} == {1}
        assert len(np.unique(np.concatenate(vectors), axis=0)) == 25
    if 0 < count < 144:
        assert not (chosen == chosen[0]).all()


def test_outlier_vectors_have_a_deviation_of_one_pixel(corruption: ModuleType) -> None:
    vectors = [corruption.draw(25, 0, 1, seed).blocks[:, 0, 0] for seed in range(100)]
    assert np.std(vectors) == pytest.approx(1, rel=0.05)


def test_levels_scale_the_same_draw(corruption: ModuleType) -> None:
    none, one, two = (corruption.draw(25, level, 0.15, seed=1) for level in (0, 1, 2))
    np.testing.assert_allclose(two.gain - 1, 2 * (one.gain - 1))
    np.testing.assert_allclose(two.turn, 2 * one.turn)
    np.testing.assert_allclose(two.cells, 2 * one.cells)
    np.testing.assert_array_equal(two.blocks, one.blocks)
    np.testing.assert_array_equal(none.gain, 1)
    assert not none.turn.any()
    assert not none.cells.any()


def test_gain_and_rotation_by_hand(corruption: ModuleType) -> None:
    nothing = np.zeros((1, 9, 16, 2))
    drawn = corruption.Corruption(np.array([1.2]), np.array([np.pi / 2]), nothing, nothing)
    flow = np.array([[1.0, 0.0], [0.0, 2.0]], np.float32)
    found = corruption.corrupt(drawn, 0, flow, np.full((2, 2), 5.0), (32, 18))
    np.testing.assert_allclose(found, [[0, 1.2], [-2.4, 0]], atol=1e-6)


def test_noise_is_smooth_and_meets_its_cells(corruption: ModuleType) -> None:
    cells = np.random.default_rng(0).normal(size=(1, 9, 16, 2))
    drawn = corruption.Corruption(np.ones(1), np.zeros(1), cells, np.zeros((1, 9, 16, 2)))
    size = (16 * 15, 9 * 15)
    still = np.zeros((size[1], size[0], 2), np.float32)
    image = corruption.corrupt(drawn, 0, still, pixel_grid(*size), size)
    # Cells of 15 px have a pixel at their centre, where an interpolation has to give their value.
    np.testing.assert_allclose(image[7::15, 7::15], cells[0], atol=1e-4)
    assert np.abs(np.diff(image, axis=1)).max() < 0.25 * np.abs(cells).max()
    # Points read the same picture as pixels do.
    p = pixel_grid(*size).reshape(-1, 2)[::977]
    np.testing.assert_allclose(
        corruption.corrupt(drawn, 0, np.zeros_like(p), p, size), image.reshape(-1, 2)[::977], atol=1e-5
    )


def test_outliers_fill_their_blocks(corruption: ModuleType) -> None:
    blocks = np.zeros((1, 9, 16, 2))
    blocks[0, 2, 5] = (3, -4)
    drawn = corruption.Corruption(np.ones(1), np.zeros(1), np.zeros((1, 9, 16, 2)), blocks)
    image = corruption.corrupt(drawn, 0, np.zeros((18, 32, 2), np.float32), pixel_grid(32, 18), (32, 18))
    expected = np.zeros((18, 32, 2))
    expected[4:6, 10:12] = (3, -4)
    np.testing.assert_array_equal(image, expected)


def test_a_case_is_corrupted_in_every_view_and_reproducible(synthetic: ModuleType) -> None:
    settings = {"corruption": 1, "outliers": 0.15}
    exact = synthetic.exact_case("synthetic_free", *SIZE)
    one, same, other = (synthetic.make_case("synthetic_free", *SIZE, **settings, seed=s) for s in (4, 4, 5))
    np.testing.assert_array_equal(one.problem.target, same.problem.target)
    np.testing.assert_array_equal(one.truth, exact.truth)
    for v in range(25):
        seen = exact.problem.weight[v] > 0
        assert np.abs(one.problem.target[v] - exact.problem.target[v])[seen].mean() > 0.02
        assert np.abs(one.problem.target[v] - other.problem.target[v])[seen].mean() > 0.02
    clean = synthetic.make_case("synthetic_free", *SIZE, corruption=0, outliers=0, seed=4)
    np.testing.assert_allclose(clean.problem.target, exact.problem.target, atol=1e-6)


def test_exact_flows_are_explained(synthetic: ModuleType) -> None:
    case = synthetic.exact_case("synthetic_free", 48, 27)
    motion, _ = solve(case.problem, "irls")
    rays = np.asarray(viewing_rays(case.problem)[0])
    error = motion - case.truth
    lateral = error - rays * (rays * error).sum(-1, keepdims=True)
    assert np.linalg.norm(lateral) < 0.02 * np.linalg.norm(case.truth)


@pytest.mark.parametrize(("level", "outliers"), [(-1, 0.1), (np.nan, 0.1), (1, -0.1), (1, 1.1)])
def test_impossible_corruption_is_refused(corruption: ModuleType, level: float, outliers: float) -> None:
    with pytest.raises(ValueError, match="is not a"):
        corruption.draw(25, level, outliers, 0)


def test_unknown_variants_are_refused(synthetic: ModuleType) -> None:
    with pytest.raises(ValueError, match="synthetic_cone"):
        synthetic.exact_case("synthetic_cone", 32, 18)


def test_neighbours_are_on_one_surface(synthetic: ModuleType) -> None:
    problem = synthetic.exact_case("synthetic_free", *SIZE).problem
    z = np.asarray(problem.points)[:, 2]
    ratio = z[problem.neighbours] / z[:, None]
    assert ratio.max() < 1.1
    assert (problem.neighbours[5 * 128 + 9] != 5 * 128 + 9).all()
    np.testing.assert_allclose(select(problem.cameras, 2).focal, 128)
