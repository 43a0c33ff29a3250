"""MediaPipe's 478 landmarks: what they are on a face, and where they lie on ICT-FaceKit and on the built-in head."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from artalk.rigs.blendshape import BlendshapeRig
from artalk.rigs.head import head
from artalk.rigs.ict import MULTIPIE

Float = NDArray[np.float64]

COUNT = 478

MEDIAPIPE68: tuple[int, ...] = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389, 71, 63, 105, 66, 107, 336, 296,
    334, 293, 301, 168, 197, 5, 4, 75, 97, 2, 326, 305, 33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380, 61,
    39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
"""MediaPipe's landmark for each of the 68 of Multi-PIE, in that order."""

MORE_OF_ICT: dict[int, int] = {
    81: 5586, 311: 6091, 178: 5604, 402: 6109, 88: 5576, 318: 6081, 91: 5808, 321: 6313, 146: 5891, 375: 6396,
    18: 10, 200: 8, 199: 964, 205: 30, 425: 2271, 129: 1137, 358: 3357, 57: 166, 287: 2407, 43: 458, 273: 2699,
    53: 496, 52: 1033, 65: 2037, 55: 1999, 285: 4203, 295: 4233, 282: 4116, 283: 2737,
}  # fmt: skip
"""Further landmarks and their nearest vertices: lips between the 68, chin, cheeks by the nose, brows' lower edge."""

HEAD: dict[int, int] = {
    0: 243, 4: 2602, 5: 101, 13: 261, 14: 269, 17: 251, 18: 3201, 152: 26, 168: 118, 197: 111, 199: 2393, 200: 2442,
    291: 247, 61: 523, 269: 3215, 39: 4330, 267: 3211, 37: 4326, 314: 1072, 84: 1624, 405: 1070, 181: 1622,
    375: 1068, 146: 1620, 321: 248, 91: 524, 308: 265, 78: 537, 311: 3287, 81: 4386, 312: 1100, 82: 1640, 317: 3303,
    87: 4402, 402: 3302, 178: 4401, 318: 3299, 88: 4398, 301: 2792, 71: 3927, 293: 5075, 63: 6192, 334: 853,
    105: 1420, 296: 134, 66: 415, 336: 7160, 107: 8275, 283: 5080, 53: 6197, 282: 7269, 52: 8382, 295: 852, 65: 1419,
    285: 2749, 55: 3888, 377: 6827, 148: 7944, 425: 7029, 205: 8148, 358: 7022, 129: 8139, 287: 3185, 57: 4308,
    273: 1049, 43: 1607, 263: 210, 33: 489, 362: 202, 133: 481, 454: 4956, 234: 6097,
}  # fmt: skip
"""Landmarks and their vertices on the built-in head: the lips by their contours, the rest by a warp from ICT's face."""

STABLE: tuple[int, ...] = (33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 129, 358, 127, 356, 234, 454)
"""Landmarks that the skull carries and no expression moves much: eye corners, bridge of the nose, temples."""

UPPER_LIP, LOWER_LIP, RIGHT_CORNER, LEFT_CORNER = 13, 14, 61, 291
"""The middle of the inner lips and the corners of the mouth (the subject's sides)."""

RIGHT_EYE, LEFT_EYE = 33, 263
"""The outer corners of the eyes, by whose distance everything is scaled."""

LIDS: dict[str, tuple[tuple[int, int], ...]] = {
    "Left": ((385, 380), (386, 374), (387, 373)),
    "Right": ((158, 153), (159, 145), (160, 144)),
}
"""Opposite points of the upper and the lower lid."""

CORNERS: dict[str, tuple[int, int]] = {"Left": (362, 263), "Right": (133, 33)}
"""The inner and the outer corner of each eye."""

IRIS: dict[str, int] = {"Left": 473, "Right": 468}
"""The centre of each iris."""

LIPS = frozenset(MEDIAPIPE68[48:]) | {81, 311, 178, 402, 88, 318, 91, 321, 146, 375}
BROWS = frozenset(MEDIAPIPE68[17:27]) | {53, 52, 65, 55, 285, 295, 282, 283}
CHIN = frozenset({148, 152, 377, 199, 200, 18})
CHEEKS = frozenset({205, 425, 129, 358, 57, 287, 43, 273})


@dataclass(frozen=True, eq=False)
class Face:
    """A rig as landmarks: `points` (K, 3) and `deltas` (S, K, 3) in metres of MediaPipe's landmarks `numbers` (K,)."""

    numbers: NDArray[np.int64]
    points: Float
    shapes: tuple[str, ...]
    deltas: Float

    def at(self, *numbers: int) -> list[int]:
        """The rows of some landmarks."""
        row = {int(number): k for k, number in enumerate(self.numbers)}
        return [row[number] for number in numbers]


def ict_face(rig: BlendshapeRig) -> Face:
    """ICT-FaceKit's rig (`rigs.ict.load`) as landmarks."""
    return _face(rig, dict(zip(MEDIAPIPE68, MULTIPIE, strict=True)) | MORE_OF_ICT)


def head_face() -> Face:
    """The built-in head as landmarks: what a face is solved on where nobody added ICT-FaceKit."""
    return _face(head(), HEAD)


def _face(rig: BlendshapeRig, vertex: dict[int, int]) -> Face:
    numbers, vertices = np.array(list(vertex), np.int64), list(vertex.values())
    return Face(
        numbers, rig.mesh.vertices[vertices].astype(np.float64), rig.shapes, rig.deltas[:, vertices].astype(np.float64)
    )


def similarity(points: Float, onto: Float) -> tuple[Float, Float, Float]:
    """Scales (N,), rotations (N, 3, 3) and shifts (N, 3) that lay (N, K, 3) points onto (K, 3) (Umeyama 1991)."""
    middle, target = points.mean(axis=1, keepdims=True), onto.mean(axis=0)
    centred = points - middle
    left, size, right = np.linalg.svd(np.einsum("ki,nkj->nij", onto - target, centred))
    sign = np.sign(np.linalg.det(left @ right))
    left[:, :, 2] *= sign[:, None]
    size[:, 2] *= sign
    turn = left @ right
    scale = size.sum(axis=1) / np.maximum((centred**2).sum(axis=(1, 2)), 1e-12)
    return scale, turn, target - np.einsum("n,nij,nj->ni", scale, turn, middle[:, 0])


def laid(points: Float, scale: Float, turn: Float, shift: Float) -> Float:
    """(N, K, 3) points scaled, turned and shifted."""
    return np.einsum("n,nij,nkj->nki", scale, turn, points) + shift[:, None]
