import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk.channels import ARKIT_SHAPES
from artalk.errors import BadInput
from artalk.retarget.solve import Solver, kkt_residual, minimise, pairs_of


def brute_force(hessian, linear, low, high):
    """The minimum by trying every way of fixing weights at their bounds."""
    size = len(linear)
    best, least = None, np.inf
    for fixed in itertools.product((low, None, high), repeat=size):
        free = [k for k in range(size) if fixed[k] is None]
        w = np.array([0.0 if value is None else value for value in fixed])
        if free:
            rest = linear[free] - hessian[np.ix_(free, range(size))] @ w
            w[free] = np.linalg.lstsq(hessian[np.ix_(free, free)], rest, rcond=None)[0]
        if (w >= low - 1e-9).all() and (w <= high + 1e-9).all():
            value = w @ hessian @ w / 2 - linear @ w
            if value < least - 1e-12:
                best, least = w, value
    return best, least


@given(
    st.integers(1, 5), st.integers(1, 8), st.sampled_from([(0.0, 1.0), (-0.5, 0.25), (0.0, 100.0)]), st.integers(0, 99)
)
def test_the_minimum_is_the_one_that_trying_everything_finds(size, rows, bounds, seed):
    rng = np.random.default_rng(seed)
    design = rng.normal(size=(rows, size))
    hessian, linear = design.T @ design + 1e-6 * np.eye(size), design.T @ rng.normal(size=rows)
    found = minimise(hessian, linear[None], bounds)[0]
    _, least = brute_force(hessian, linear, *bounds)
    assert found @ hessian @ found / 2 - linear @ found <= least + 1e-9
    assert (found >= bounds[0]).all()
    assert (found <= bounds[1]).all()


@given(st.integers(1, 60), st.sampled_from([1.0, 1e-3, 1e-6]), st.integers(0, 99))
def test_the_conditions_of_optimality_hold(size, spread, seed):
    rng = np.random.default_rng(seed)
    # Shapes that are mixes of three, and a little of their own: badly conditioned, as faces are.
    design = rng.normal(size=(80, 3)) @ rng.normal(size=(3, size)) + spread * rng.normal(size=(80, size))
    hessian, linear = design.T @ design, rng.normal(size=(4, 80)) @ design
    found = minimise(hessian, linear)
    scale = np.abs(hessian).max()
    assert kkt_residual(hessian / scale, linear / scale, found, (0.0, 1.0)).max() < 1e-6


def test_shapes_that_are_the_same_share():
    np.testing.assert_allclose(minimise(np.ones((4, 4)), np.full((1, 4), 2.0)), np.full((1, 4), 0.5), atol=1e-6)


def rig(shapes=20, vertices=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(vertices, 3)), rng.normal(0, 0.01, (shapes, vertices, 3))


@given(st.integers(1, 30), st.integers(0, 99))
def test_weights_come_back_from_vertices(shapes, seed):
    neutral, deltas = rig(shapes, seed=seed)
    weights = np.random.default_rng(seed).uniform(-0.5, 1.5, (3, shapes)).clip(0, 1)
    vertices = neutral + np.einsum("fs,svc->fvc", weights, deltas)
    np.testing.assert_allclose(Solver(neutral, deltas).weights(vertices), weights, atol=1e-5)
    np.testing.assert_allclose(Solver(neutral, deltas).weights(vertices[0]), weights[0], atol=1e-5)


def energy(solver, vertices, w, before=None):
    """The documented objective, term by term."""
    emphasis = np.ones(len(solver.neutral)) if solver.vertex_weights is None else solver.vertex_weights
    off = np.einsum("s,svc->vc", w, solver.deltas) - (vertices - solver.neutral)
    total = (emphasis[:, None] * off**2).sum() + solver.l2 * (w**2).sum() + solver.l1 * np.abs(w).sum()
    total += solver.symmetry * sum((w[left] - w[right]) ** 2 for left, right in solver.pairs)
    return total + (0 if before is None else solver.temporal * ((w - before) ** 2).sum())


@pytest.mark.parametrize(
    "terms",
    [
        {"l2": 1e-2},
        {"l1": 1e-2},
        {"symmetry": 1e-1, "pairs": [(0, 1), (2, 3)]},
        {"temporal": 1e-1},
        {"vertex_weights": np.linspace(0, 2, 60)},
        {"l2": 1e-3, "l1": 1e-3, "symmetry": 1e-2, "pairs": [(0, 1)], "temporal": 1e-2, "bounds": (0.1, 0.6)},
    ],
)
def test_no_step_from_the_solution_is_better(terms):
    neutral, deltas = rig(6)
    rng = np.random.default_rng(1)
    solver = Solver(neutral, deltas, **terms)
    vertices = neutral + rng.normal(0, 0.02, (4, 60, 3))
    found = solver.weights(vertices).astype(np.float64)
    for frame in range(4):
        before = found[frame - 1] if frame else None
        least = energy(solver, vertices[frame], found[frame], before)
        for _ in range(200):
            other = (found[frame] + rng.normal(0, 10 ** rng.uniform(-4, 0), 6)).clip(*solver.bounds)
            assert energy(solver, vertices[frame], other, before) >= least - 1e-9


def test_each_term_does_what_it_says():
    neutral, deltas = rig(8)
    rng = np.random.default_rng(2)
    vertices = neutral + rng.normal(0, 0.03, (30, 60, 3))
    plain = Solver(neutral, deltas).weights(vertices)
    assert np.abs(Solver(neutral, deltas, l2=0.1).weights(vertices)).sum() < np.abs(plain).sum()
    assert (Solver(neutral, deltas, l1=0.05).weights(vertices) == 0).sum() > (plain == 0).sum()
    smooth = Solver(neutral, deltas, temporal=1.0).weights(vertices)
    assert np.abs(np.diff(smooth, axis=0)).sum() < 0.2 * np.abs(np.diff(plain, axis=0)).sum()
    even = Solver(neutral, deltas, symmetry=1e3, pairs=[(0, 1)]).weights(vertices)
    np.testing.assert_allclose(even[:, 0], even[:, 1], atol=1e-3)


def test_it_is_fast_enough():
    neutral, deltas = rig(52, 800)
    weights = np.random.default_rng(0).uniform(-0.3, 1, (300, 52)).clip(0, 1)
    vertices = neutral + np.einsum("fs,svc->fvc", weights, deltas)
    solver = Solver(neutral, deltas, l2=1e-4, temporal=1e-4)
    began = time.process_time()
    solver.weights(vertices)
    # Thousands a second on one core, in its own time: other work on a shared machine must not fail this.
    assert 300 / (time.process_time() - began) > 200


def test_pairs_are_sides_and_not_directions():
    pairs = [(ARKIT_SHAPES[a], ARKIT_SHAPES[b]) for a, b in pairs_of(ARKIT_SHAPES)]
    assert len(pairs) == 18
    assert ("mouthSmileLeft", "mouthSmileRight") in pairs
    assert ("jawLeft", "jawRight") not in pairs


def test_what_is_wrong_is_said():
    neutral, deltas = rig(3)
    with pytest.raises(BadInput, match="not negative"):
        Solver(neutral, deltas, l2=-1)
    with pytest.raises(BadInput, match="l1 is for"):
        Solver(neutral, deltas, l1=1, bounds=(-1, 1))
    with pytest.raises(BadInput, match=r"wanted \(V, 3\)"):
        Solver(neutral[:5], deltas)
    with pytest.raises(BadInput, match="vertex weights"):
        Solver(neutral, deltas, vertex_weights=np.ones(3))
    with pytest.raises(BadInput, match="vertices, got"):
        Solver(neutral, deltas).weights(np.zeros((2, 5, 3)))
    with pytest.raises(BadInput, match="finite"):
        Solver(neutral, deltas).weights(np.full((1, 60, 3), np.nan))
    with pytest.raises(BadInput, match="low < high"):
        minimise(np.eye(2), np.zeros((1, 2)), (1, 0))
    with pytest.raises(BadInput, match="square"):
        minimise(np.eye(2), np.zeros((1, 3)))
