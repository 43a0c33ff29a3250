"""Bending one cloud of points onto another: a similarity first, then a smooth field that few points pin down."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Similarity:
    """x ↦ scale · rotation · x + shift."""

    scale: float
    rotation: Float
    shift: Float

    def __call__(self, points: Float) -> Float:
        """The moved points (N, 3)."""
        return self.scale * points @ self.rotation.T + self.shift


def similarity(source: Float, target: Float) -> Similarity:
    """The similarity that brings `source` (N, 3) nearest to `target` (N, 3) (Umeyama, 1991)."""
    middle, goal = source.mean(axis=0), target.mean(axis=0)
    left, spread, right = np.linalg.svd((target - goal).T @ (source - middle))
    # A mirror image would fit a flat set of points as well.
    keep = np.array([1.0, 1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    rotation = left @ (keep[:, None] * right)
    scale = float((spread * keep).sum() / np.square(source - middle).sum())
    return Similarity(scale, rotation, goal - scale * rotation @ middle)


class Warp:
    """The smoothest field that moves `points` (N, 3) by about `moves` (N, 3): a biharmonic spline and a linear part.

    `stiffness` (N,) in metres is how little each point insists: 0 is met exactly.
    """

    def __init__(self, points: Float, moves: Float, stiffness: Float) -> None:
        count = len(points)
        linear = np.concatenate([points, np.ones((count, 1))], axis=1)
        system = np.zeros((count + 4, count + 4))
        system[:count, :count] = -_distances(points, points) + np.diag(stiffness)
        system[:count, count:], system[count:, :count] = linear, linear.T
        right = np.concatenate([moves, np.zeros((4, 3))])
        # Two control points that coincide make the system singular by a hair.
        system[:count, :count] += 1e-9 * np.eye(count)
        self._points = points
        self._answer = np.asarray(np.linalg.solve(system, right), np.float64)

    def __call__(self, points: Float) -> Float:
        """The moved points (N, 3)."""
        count = len(self._points)
        linear = np.concatenate([points, np.ones((len(points), 1))], axis=1)
        return points - _distances(points, self._points) @ self._answer[:count] + linear @ self._answer[count:]


def _distances(a: Float, b: Float) -> Float:
    square = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * a @ b.T
    return np.sqrt(np.maximum(square, 0))


def spread_out(points: Float, count: int) -> NDArray[np.int64]:
    """The numbers of `count` points far from each other, by taking the farthest one again and again."""
    chosen = [int(np.square(points - points.mean(axis=0)).sum(axis=1).argmax())] if len(points) else []
    distance = np.full(len(points), np.inf)
    while chosen and len(chosen) < min(count, len(points)):
        distance = np.minimum(distance, np.square(points - points[chosen[-1]]).sum(axis=1))
        chosen.append(int(distance.argmax()))
    return np.array(chosen, np.int64)
