"""Bounded least squares: the weights that best explain moved vertices, or any mix of shapes.

The objective is that of Audio2Face-3D's blendshape solver (NVIDIA, "Audio2Face-3D: Audio-driven Realistic Facial
Animation For Digital Avatars", arXiv:2508.16401): a least-squares fit with L2, L1, temporal and symmetry terms in a
box. The minimum is found exactly by block principal pivoting (Portugal, Júdice & Vicente, "A comparison of block
pivoting and interior-point algorithms for linear least squares problems with nonnegative variables", 1994; bounds on
both sides after Júdice & Pires), which needs two or three small linear systems a frame when it starts from the frame
before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from artalk.errors import BadInput

Float = NDArray[np.float64]

_CHUNK = 256
"""Frames whose vertices are multiplied at a time."""


def minimise(
    hessian: ArrayLike, linear: ArrayLike, bounds: tuple[float, float] = (0.0, 1.0), temporal: float = 0.0
) -> Float:
    """The (frames, S) minima of ½ w·H·w - b·w + ½ temporal·|w - previous w|² with every weight within `bounds`.

    `hessian` (S, S) is symmetric and positive semidefinite, `linear` (frames, S) the b of each frame. The first frame
    has no temporal term. Where H leaves the minimum open, the smallest weights are taken.
    """
    h, b = np.asarray(hessian, np.float64), np.asarray(linear, np.float64)
    if h.ndim != 2 or h.shape[0] != h.shape[1] or b.ndim != 2 or b.shape[1] != len(h):
        raise BadInput(f"a solver needs a square matrix (S, S) and (frames, S), got {h.shape} and {b.shape}")
    if not (np.isfinite(h).all() and np.isfinite(b).all()):
        raise BadInput("a solver needs finite numbers, got NaN or infinity")
    low, high = bounds
    if not low < high:
        raise BadInput(f"bounds are (low, high) with low < high, got {bounds}")
    # A touch of ridge keeps every sub-matrix regular when shapes are alike; it moves weights by less than 1e-8.
    h = h + (1e-10 * max(float(np.trace(h)) / max(len(h), 1), 1e-12)) * np.eye(len(h))
    steady = h + temporal * np.eye(len(h))
    weights = np.zeros_like(b)
    state = np.full(len(h), -1, np.int8)
    for frame in range(len(b)):
        if frame and temporal:
            weights[frame], state = _pivot(steady, b[frame] + temporal * weights[frame - 1], low, high, state)
        else:
            weights[frame], state = _pivot(h, b[frame], low, high, state)
    return weights


def kkt_residual(hessian: ArrayLike, linear: ArrayLike, weights: ArrayLike, bounds: tuple[float, float]) -> Float:
    """How far (frames, S) weights are from the minimum, (frames,): the largest projected gradient, 0 at the minimum."""
    w = np.asarray(weights, np.float64)
    gradient = w @ np.asarray(hessian, np.float64) - np.asarray(linear, np.float64)
    return np.abs(w - np.clip(w - gradient, *bounds)).max(axis=-1, initial=0.0)


def _pivot(h: Float, b: Float, low: float, high: float, state: NDArray[np.int8]) -> tuple[Float, NDArray[np.int8]]:
    """One frame. `state` is -1 for weights at the lower bound, 1 at the upper, 0 for free ones, as a first guess."""
    scale = 1e-11 * max(1.0, float(np.abs(b).max(initial=0.0)), float(np.abs(h).max(initial=0.0)))
    slack = 1e-11 * max(1.0, abs(low), abs(high))
    state = state.copy()
    fewest, patience = len(b) + 1, 3
    w = np.where(state < 0, low, high)
    for _ in range(20 * len(b) + 20):
        w = np.where(state < 0, low, high)
        free = np.flatnonzero(state == 0)
        if len(free):
            w[free] = 0.0
            w[free] = np.linalg.solve(h[np.ix_(free, free)], b[free] - h[free] @ w)
        gradient = h @ w - b
        below, above = (state == 0) & (w < low - slack), (state == 0) & (w > high + slack)
        release = ((state < 0) & (gradient < -scale)) | ((state > 0) & (gradient > scale))
        wrong = np.flatnonzero(below | above | release)
        if not len(wrong):
            return np.clip(w, low, high), state
        if len(wrong) < fewest:
            fewest, patience = len(wrong), 3
        elif patience:
            patience -= 1
        else:
            wrong = wrong[-1:]  # one at a time, by index, always ends (Murty 1974)
        state[wrong] = np.where(below[wrong], -1, np.where(above[wrong], 1, 0))
    return _descend(h, b, np.clip(w, low, high), low, high), state


def _descend(h: Float, b: Float, w: Float, low: float, high: float) -> Float:
    """One frame from feasible weights, for matrices on which rounding keeps the pivots turning.

    Stark & Parker, "Bounded-variable least-squares: an algorithm and applications", 1995: one weight is freed at a time
    and every step goes downhill, so that no state comes twice.
    """
    state = np.where(w <= low, -1, np.where(w >= high, 1, 0))
    scale = 1e-11 * max(1.0, float(np.abs(b).max(initial=0.0)), float(np.abs(h).max(initial=0.0)))
    barred = np.zeros(len(w), bool)
    for _ in range(10 * len(w) + 10):
        freed_to = w.copy()
        _settle(h, b, w, state, low, high)
        gradient = h @ w - b
        gain = np.where(state < 0, -gradient, np.where(state > 0, gradient, 0.0))
        # A weight that was freed and went straight back would do so for ever.
        barred = barred & bool(np.array_equal(freed_to, w))
        best = int(np.where(barred, 0.0, gain).argmax())
        if gain[best] <= scale or barred[best]:
            break
        state[best] = 0
        barred[best] = True
    return w


def _settle(h: Float, b: Float, w: Float, state: NDArray[np.int64], low: float, high: float) -> None:
    """Move the free weights to their minimum, in place; those that meet a bound on the way stay there."""
    while True:
        free = np.flatnonzero(state == 0)
        if not len(free):
            return
        held = w.copy()
        held[free] = 0.0
        step = np.linalg.solve(h[np.ix_(free, free)], b[free] - h[free] @ held) - w[free]
        end = w[free] + step
        out = (end < low) | (end > high)
        if not out.any():
            w[free] = end
            return
        bound = np.where(end < low, low, high)
        share = np.where(out, (bound - w[free]) / np.where(out, step, 1.0), np.inf)
        first = int(share.argmin())
        w[free] += max(float(share[first]), 0.0) * step
        np.clip(w, low, high, out=w)
        w[free[first]] = bound[first]
        state[free[first]] = -1 if bound[first] == low else 1


@dataclass(frozen=True, eq=False)
class Solver:
    """Weights of a rig's shapes from vertices.

    Per frame it minimises |D w - d|² + l2 |w|² + l1 |w|₁ + symmetry Σ (w_left - w_right)² + temporal |w - w_previous|²
    within `bounds`, where d are the vertices less `neutral` (V, 3), D the `deltas` (S, V, 3), and squares of vertices
    are multiplied by `vertex_weights` (V,). Strengths are in squared metres, as the fit is. `pairs` are the columns of
    left and right shapes (`pairs_of(names)`).

    Raises `BadInput` for shapes that do not fit, negative strengths, or l1 with weights that may be negative.
    """

    neutral: NDArray[np.floating]
    deltas: NDArray[np.floating]
    l2: float = 0.0
    l1: float = 0.0
    symmetry: float = 0.0
    temporal: float = 0.0
    bounds: tuple[float, float] = (0.0, 1.0)
    pairs: Sequence[tuple[int, int]] = ()
    vertex_weights: NDArray[np.floating] | None = None
    _weighted: Float = field(init=False, repr=False)
    _hessian: Float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        vertices, shapes = len(self.neutral), len(self.deltas)
        if self.neutral.shape != (vertices, 3) or self.deltas.shape != (shapes, vertices, 3):
            raise BadInput(f"wanted (V, 3) and (S, V, 3), got {self.neutral.shape} and {self.deltas.shape}")
        if min(self.l2, self.l1, self.symmetry, self.temporal) < 0:
            raise BadInput("strengths of the solver's terms are not negative")
        if self.l1 and self.bounds[0] < 0:
            raise BadInput(f"l1 is for weights that are not negative, got bounds {self.bounds}")
        flat = self.deltas.reshape(shapes, -1).astype(np.float64)
        object.__setattr__(self, "_weighted", flat * self._emphasis(vertices))
        hessian = self._weighted @ flat.T + self.l2 * np.eye(shapes)
        for left, right in self.pairs:
            hessian[[left, right], [left, right]] += self.symmetry
            hessian[[left, right], [right, left]] -= self.symmetry
        object.__setattr__(self, "_hessian", hessian)

    def weights(self, vertices: ArrayLike) -> NDArray[np.float32]:
        """The (frames, S) weights of (frames, V, 3) vertices, or (S,) of (V, 3)."""
        moved = np.asarray(vertices)
        if moved.shape[-2:] != self.neutral.shape or moved.ndim not in (2, 3):
            raise BadInput(f"wanted (frames, {len(self.neutral)}, 3) vertices, got {moved.shape}")
        frames = moved.reshape(-1, *self.neutral.shape)
        linear = np.zeros((len(frames), len(self.deltas)))
        for first in range(0, len(frames), _CHUNK):
            offset = frames[first : first + _CHUNK].astype(np.float64) - self.neutral
            linear[first : first + _CHUNK] = offset.reshape(len(offset), -1) @ self._weighted.T
        found = minimise(self._hessian, linear - self.l1 / 2, self.bounds, self.temporal)
        return found.astype(np.float32).reshape(*moved.shape[:-2], -1)

    def _emphasis(self, vertices: int) -> Float:
        if self.vertex_weights is None:
            return np.ones(vertices * 3)
        if self.vertex_weights.shape != (vertices,) or (self.vertex_weights < 0).any():
            raise BadInput(f"vertex weights are ({vertices},) and not negative, got {self.vertex_weights.shape}")
        return np.repeat(self.vertex_weights.astype(np.float64), 3)


def pairs_of(names: Sequence[str]) -> list[tuple[int, int]]:
    """The columns of shapes that are each other's mirror image: `eyeBlinkLeft` and `eyeBlinkRight`.

    Names that are directions rather than sides (`jawLeft`, `mouthLeft`) make no pair: a jaw may well go one way.
    """
    at = {name: column for column, name in enumerate(names)}
    return [
        (column, at[name.removesuffix("Left") + "Right"])
        for name, column in at.items()
        if name.endswith("Left") and name not in ("jawLeft", "mouthLeft") and name.removesuffix("Left") + "Right" in at
    ]
