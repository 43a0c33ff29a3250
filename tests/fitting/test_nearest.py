import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from artalk.fitting.nearest import Surface
from artalk.fitting.warp import Warp, similarity, spread_out
from artalk.rotation import rotvec_to_matrix


def bumpy(size: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """A sheet of triangles with hills."""
    x, y = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    vertices = np.stack([x, y, 0.2 * np.sin(3 * x) * np.cos(2 * y)], axis=-1).reshape(-1, 3)
    corner = (np.arange(size - 1)[:, None] * size + np.arange(size - 1)).reshape(-1)
    lower = np.stack([corner, corner + 1, corner + size], axis=1)
    upper = np.stack([corner + 1, corner + size + 1, corner + size], axis=1)
    return vertices, np.concatenate([lower, upper])


def by_sampling(point: np.ndarray, corners: np.ndarray) -> float:
    """The distance to triangles (F, 3, 3), from above, by trying many points of each."""
    steps = np.linspace(0, 1, 15)
    u, v = np.meshgrid(steps, steps)
    inside = (u + v) <= 1 + 1e-9
    shares = np.stack([1 - u[inside] - v[inside], u[inside], v[inside]], axis=1)
    return float(np.linalg.norm(np.einsum("sk,fkc->fsc", shares, corners) - point, axis=2).min())


@given(st.integers(0, 99))
def test_the_nearest_point_is_on_the_surface_and_nearest(seed: int) -> None:
    vertices, faces = bumpy()
    points = np.random.default_rng(seed).uniform(-1.3, 1.3, (6, 3)) * [1, 1, 0.3]
    found = Surface(vertices, faces).nearest(points)
    assert found.shares.min() >= -1e-12
    np.testing.assert_allclose(found.shares.sum(axis=1), 1)
    np.testing.assert_allclose((vertices[found.corners] * found.shares[..., None]).sum(axis=1), found.points)
    np.testing.assert_array_equal(faces[found.triangle], found.corners)
    for point, mine in zip(points, found.points, strict=True):
        assert np.linalg.norm(mine - point) <= by_sampling(point, vertices[faces]) + 1e-9


def test_points_of_the_surface_are_their_own_nearest_and_vertices_can_be_barred() -> None:
    vertices, faces = bumpy()
    surface = Surface(vertices, faces)
    np.testing.assert_allclose(surface.nearest(vertices).points, vertices, atol=1e-12)
    left = surface.nearest(vertices, vertices[:, 0] < -0.5).points
    assert left[:, 0].max() < -0.2


def test_flat_triangles_do_no_harm() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0.0]])
    found = Surface(vertices, np.array([[0, 1, 2], [0, 1, 1], [0, 1, 3]])).nearest(np.array([[0.25, 0.25, 1.0]]))
    np.testing.assert_allclose(found.points, [[0.25, 0.25, 0]], atol=1e-12)


@given(st.integers(0, 99), st.floats(0.2, 5))
def test_a_similarity_comes_back(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(6, 3))
    turn = rotvec_to_matrix(rng.normal(size=3))
    target = scale * points @ turn.T + [1, 2, 3]
    found = similarity(points, target)
    np.testing.assert_allclose(found(points), target, atol=1e-9)
    np.testing.assert_allclose(found.rotation, turn, atol=1e-9)
    mirrored = similarity(points, points * [-1, 1, 1])
    assert np.linalg.det(mirrored.rotation) > 0


@given(st.integers(0, 99))
def test_a_warp_meets_its_points_and_keeps_what_is_linear(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, moves = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    np.testing.assert_allclose(Warp(points, moves, np.zeros(20))(points), points + moves, atol=1e-5)
    linear = rng.normal(size=(3, 3))
    others = rng.normal(size=(5, 3))
    shear = Warp(points, points @ linear - points, np.full(20, 0.1))
    np.testing.assert_allclose(shear(others), others @ linear, atol=1e-6)
    stiff = Warp(points, moves, np.full(20, 1e6))(points) - points
    assert np.linalg.norm(stiff) < np.linalg.norm(moves)


def test_points_that_are_spread_out_are_far_apart() -> None:
    points = np.random.default_rng(0).normal(size=(200, 3))
    chosen = spread_out(points, 20)
    assert len(set(chosen.tolist())) == 20
    apart = np.linalg.norm(points[chosen][:, None] - points[chosen], axis=2)
    left = np.linalg.norm(points[:, None] - points[chosen], axis=2).min(axis=1)
    assert apart[np.triu_indices(20, 1)].min() >= left.max() - 1e-9
    assert len(spread_out(points[:0], 5)) == 0
    assert len(spread_out(points[:3], 5)) == 3
