"""Registered vertices become ARKit weights: the shapes of a head of the same topology, fitted frame by frame."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.captures import Capture, Surface
from artalk.captures.capture import arkit
from artalk.channels import ARKIT, ARKIT_SHAPES
from artalk.data.landmarks import laid, similarity
from artalk.errors import BadInput
from artalk.motion import Motion
from artalk.retarget.solve import Solver, pairs_of

Float = NDArray[np.float64]

L2, SYMMETRY, TEMPORAL = 1e-3, 1e-3, 2e-4
"""Strengths that keep alike shapes apart, of the mean energy of a shape."""

STABLE = 0.3
"""The share of vertices, those that shapes move least, by which the head's own movement is taken off."""

TURNS = 0.01
"""Radians that a head turns over a take if it turns at all."""

CHUNK = 256


def solve(surface: Surface, names: Sequence[str], deltas: NDArray[np.floating]) -> Capture:
    """A face as vertices in ARKit's channels, with the head's rotation, at the surface's rate.

    `deltas` (S, V, 3), in metres, are the shapes called `names` on a mesh of the same V vertices. Gaze and tongue,
    which skin does not show, stay at rest, and so does a head that hardly turns: corpora take its movement off. Raises
    `BadInput` for another topology.
    """
    if deltas.shape != (len(names), *surface.template.shape):
        raise BadInput(
            f"shapes for these vertices are ({len(names)}, {len(surface.template)}, 3), got {deltas.shape}: "
            "the mesh is another one"
        )
    chosen = [k for k, name in enumerate(names) if _shows(name)]
    shapes, used = deltas[chosen].astype(np.float64), [names[k] for k in chosen]
    energy = float((shapes**2).sum(axis=(1, 2)).mean())
    solver = Solver(
        surface.template,
        shapes,
        l2=L2 * energy,
        symmetry=SYMMETRY * energy,
        temporal=TEMPORAL * energy,
        pairs=pairs_of(used),
    )
    reach = np.sqrt((shapes**2).sum(axis=2)).max(axis=0)
    stable = np.argsort(reach, kind="stable")[: max(3, int(STABLE * len(reach)))]
    still, turn = _stilled(surface, stable)
    values = np.zeros((len(still), len(ARKIT)), np.float32)
    values[:, ARKIT.indices(used)] = solver.weights(still)
    head = rotation.matrix_to_rotvec(np.swapaxes(turn, 1, 2))
    if np.ptp(head, axis=0).max() > TURNS:
        values[:, ARKIT.slice("head")] = head
    return arkit(Motion(values, ARKIT, surface.fps), surface.tool)


def _shows(name: str) -> bool:
    return name in ARKIT_SHAPES and not name.startswith("eyeLook") and name != "tongueOut"


def _stilled(surface: Surface, stable: NDArray[np.int64]) -> tuple[NDArray[np.float32], Float]:
    """Vertices (frames, V, 3) with the head at rest, and the rotations (frames, 3, 3) that brought them there."""
    template = surface.template.astype(np.float64)
    parts: list[NDArray[np.float32]] = []
    turns: list[Float] = []
    for first in range(0, len(surface.vertices), CHUNK):
        frames = surface.vertices[first : first + CHUNK].astype(np.float64)
        scale, turn, shift = similarity(frames[:, stable], template[stable])
        parts.append(laid(frames, scale, turn, shift).astype(np.float32))
        turns.append(turn)
    return np.concatenate(parts), np.concatenate(turns)
