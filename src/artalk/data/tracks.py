"""Real motion: the tracked landmarks of a video solved to ARKit weights.

A track is freed of the head's pose by a similarity fit on the parts of the face that do not move, and of the person's
looks by taking what moved since the person's rest pose. Those displacements are explained by the shapes of a face model
through bounded least squares. Lids and gaze, of which landmarks tell directly, are measured instead.
"""

import io
import lzma
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.channels import ARKIT
from artalk.data.landmarks import (
    BROWS,
    CHEEKS,
    CHIN,
    CORNERS,
    COUNT,
    IRIS,
    LEFT_CORNER,
    LEFT_EYE,
    LIDS,
    LIPS,
    LOWER_LIP,
    RIGHT_CORNER,
    RIGHT_EYE,
    STABLE,
    UPPER_LIP,
    Face,
    laid,
    similarity,
)
from artalk.errors import BadFile, BadInput, MissingFile
from artalk.motion import Motion
from artalk.retarget.joints import GAZE
from artalk.retarget.solve import Solver, pairs_of
from artalk.rigs.blendshape import BlendshapeRig

Float = NDArray[np.float64]

GRID_IMAGE = (360, 288)
"""Width and height in pixels of GRID's video."""

_NAMES = """
jawLeft jawRight jawOpen mouthClose mouthFunnel mouthPucker mouthLeft mouthRight mouthSmileLeft mouthSmileRight
mouthFrownLeft mouthFrownRight mouthDimpleLeft mouthDimpleRight mouthStretchLeft mouthStretchRight mouthRollLower
mouthRollUpper mouthShrugLower mouthShrugUpper mouthPressLeft mouthPressRight mouthLowerDownLeft mouthLowerDownRight
mouthUpperUpLeft mouthUpperUpRight browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight
"""

SOLVED: tuple[str, ...] = tuple(_NAMES.split())
"""The shapes that landmarks of a frontal face tell apart."""

_HIDDEN = """
jawForward cheekPuff cheekSquintLeft cheekSquintRight eyeSquintLeft eyeSquintRight noseSneerLeft noseSneerRight
tongueOut
"""

UNSEEN: tuple[str, ...] = tuple(_HIDDEN.split())
"""What 2-D landmarks do not show: neither solved nor measured."""

OBSERVED: NDArray[np.bool_] = np.array([name not in UNSEEN for name in ARKIT.names])

DEPTH = 0.35
"""How much a landmark's depth counts: the tracker guesses it from the picture."""

L2, SYMMETRY, TEMPORAL = 6e-6, 2e-5, 1e-6
"""Strengths (square metres) that keep alike shapes apart; the residual hardly feels them."""

LIP_DISTANCES: tuple[tuple[int, int, float], ...] = ((13, 14, 6.0), (308, 78, 5.0))
"""Landmarks whose distance counts, and how much: the gap of the inner lips, their width."""

CLOSING = 0.003
"""Metres between the lips below which they are brought as near together as they were seen."""

OTHERS = 5.0
"""How much more a distance counts on other rigs, on which it is the only thing that counts."""

DISTANCES = (*LIP_DISTANCES, (291, 61, 5.0))
"""The same and the outer corners, which rigs of other makers do not name."""

CONTACT = 0.0008
"""Metres by which lips in contact may seem apart."""

_FLAT = np.array([1.0, 1.0, DEPTH])

EASE: dict[str, float] = {
    "mouthFrown": 0.25, "mouthRoll": 0.35, "mouthPress": 0.4, "mouthLeft": 0.5, "mouthRight": 0.5, "jawLeft": 0.3,
    "jawRight": 0.3, "mouthShrug": 0.3, "mouthDimple": 0.5, "mouthFunnel": 0.5, "mouthStretch": 0.6,
    "mouthLowerDown": 0.4, "mouthUpperUp": 0.6,
}  # fmt: skip
"""How readily a shape is used, and its largest weight: below 1 for shapes that speech needs little."""

EYE_RADIUS = 0.0125
"""Metres from the centre of an eyeball to its iris."""


@dataclass(frozen=True, eq=False)
class Track:
    """A face in video: `points` (frames, 478, 3) in metres on no particular scale, x to the subject's left, y up, z
    towards the camera (all in pixels of the image's width); `turn` (frames, 3, 3) the head's rotation; `ok` (frames,).
    """

    points: Float
    turn: Float
    ok: NDArray[np.bool_]
    fps: Fraction

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, eq=False)
class Person:
    """One face at rest: `points` (478, 3) in the model's place and scale (metres),
    `lids` for each side the gap of an open and of a closed eye, `gaze` for each side the iris' usual place (2,).
    """

    points: Float
    lids: dict[str, tuple[float, float]]
    gaze: dict[str, Float]


def read(path: str | Path, image: tuple[int, int] = GRID_IMAGE) -> Track:
    """A track file: `fps`, `ok`, `head` (frames, 4, 4), `landmarks_delta_xz` and `landmarks_scale`.

    Landmarks are normalised coordinates of an image of this width and height, packed as differences of whole numbers.
    """
    if not Path(path).is_file():
        raise MissingFile(f"no track at {str(path)!r}")
    try:
        with np.load(path) as arrays:
            steps = np.load(io.BytesIO(lzma.decompress(arrays["landmarks_delta_xz"].tobytes())))
            points = np.cumsum(steps.astype(np.int32), axis=0) / arrays["landmarks_scale"]
            turn, ok = arrays["head"][:, :3, :3].astype(np.float64), arrays["ok"].astype(bool)
            fps = Fraction(str(float(arrays["fps"])))
    except (KeyError, ValueError, OSError, EOFError, lzma.LZMAError) as error:
        raise BadFile(f"{str(path)!r} is not a track of landmarks: {error}") from error
    if points.ndim != 3 or points.shape[1:] != (COUNT, 3) or not len(points) == len(turn) == len(ok):
        raise BadFile(f"{str(path)!r}: a track has (frames, {COUNT}, 3) landmarks, got {points.shape}")
    return Track(points * np.array([image[0], -image[1], -image[0]], np.float64), turn, ok, fps)


def lip_gap(track: Track) -> Float:
    """The (frames,) distance of the inner lips' middle, by that of the outer eye corners."""
    return _apart(track.points, UPPER_LIP, LOWER_LIP) / _apart(track.points, LEFT_EYE, RIGHT_EYE)


def mouth_width(track: Track) -> Float:
    """The (frames,) distance of the mouth's corners, by that of the outer eye corners."""
    return _apart(track.points, LEFT_CORNER, RIGHT_CORNER) / _apart(track.points, LEFT_EYE, RIGHT_EYE)


def know(tracks: Sequence[Track], face: Face) -> Person:
    """A person's rest pose and ranges from some of their tracks; the more the better.

    At rest the lips are together and still; the eyes are open and look where they mostly look.
    """
    frames = np.concatenate([track.points[track.ok] for track in tracks])
    quiet = np.concatenate([resting(track)[track.ok] for track in tracks])
    if quiet.sum() < 5:
        raise BadInput("a rest pose needs at least 5 frames in which the lips are together and still")
    return person(frames, quiet, face)


def person(frames: Float, quiet: NDArray[np.bool_], face: Face) -> Person:
    """The person of (frames, 478, 3) landmarks, at rest in those that are `quiet` (frames,)."""
    rest = _rest_pose(frames[quiet])
    onto = face.points
    numbers = list(face.numbers)
    inner = np.array([number in LIPS or number in STABLE or number in BROWS for number in numbers])
    scale, turn, shift = similarity(rest[None, face.numbers[inner]], onto[inner])
    rest = laid(rest[None], scale, turn, shift)[0]
    still = stabilised(frames, rest)
    return Person(rest, _lid_ranges(still), _usual_gaze(still))


def seen_again(met: Person, frames: Float) -> Person:
    """A person whom other recordings show, in (frames, 478, 3) landmarks of one more, where the camera is elsewhere."""
    return replace(met, gaze=_usual_gaze(stabilised(frames, met.points)))


def stabilised(points: Float, rest: Float) -> Float:
    """(frames, 478, 3) landmarks laid onto a rest pose by what the skull carries: the head's pose is gone."""
    stable = list(STABLE)
    return laid(points, *similarity(points[:, stable], rest[stable]))


@dataclass(frozen=True, eq=False)
class Tracker:
    """Solves tracks of a person on a face model.

    The lips' distances count as points of their own, on the model and on the `others`: so the weights open and close
    the mouth of rigs whose shapes are not quite the model's.
    """

    face: Face
    person: Person
    others: tuple[BlendshapeRig, ...] = ()
    _solver: Solver = field(init=False, repr=False)

    def __post_init__(self) -> None:
        missing = [name for name in SOLVED if name not in self.face.shapes]
        if missing:
            raise BadInput(f"a face to solve on has {', '.join(SOLVED)}; this one lacks {', '.join(missing)}")
        shapes = self.face.deltas[[self.face.shapes.index(name) for name in SOLVED]]
        gaps = [self._apart(shapes, upper, lower) for upper, lower, _ in DISTANCES]
        for rig in self.others:
            gaps += _rig_distances(rig)
        deltas = np.concatenate([shapes, np.stack(gaps, axis=1)], axis=1)
        # To the left is the opposite of to the right: both at once would be a way to narrow the mouth.
        for left, right in (("jawLeft", "jawRight"), ("mouthLeft", "mouthRight")):
            one, other = SOLVED.index(left), SOLVED.index(right)
            deltas[one] = (deltas[one] - deltas[other]) / 2
            deltas[other] = -deltas[one]
        # Lips that stay together while the jaw drops are one movement: mouthClose never exceeds jawOpen.
        deltas[SOLVED.index("mouthClose")] += deltas[SOLVED.index("jawOpen")]
        deltas *= _ease()[:, None, None] * _FLAT
        solver = Solver(
            np.zeros(deltas.shape[1:]),
            deltas,
            l2=L2,
            symmetry=SYMMETRY,
            temporal=TEMPORAL,
            pairs=pairs_of(SOLVED),
            vertex_weights=self._emphasis(),
        )
        object.__setattr__(self, "_solver", solver)

    def solve(self, track: Track) -> Motion:
        """ARKit motion at the track's rate; frames without a face keep the one before."""
        still = stabilised(track.points, self.person.points)
        weights = self._solver.weights(self._targets(still))
        values = np.zeros((len(track), len(ARKIT)), np.float64)
        values[:, ARKIT.indices(SOLVED)] = weights * _ease()
        closed = ARKIT.index("mouthClose")
        jaw = ARKIT.index("jawOpen")
        values[:, jaw] = np.minimum(values[:, jaw] + values[:, closed], 1.0)
        values[:, closed] = np.minimum(values[:, closed], values[:, jaw])
        self._seal(values, still)
        for name, column in self._eyes(still).items():
            values[:, ARKIT.index(name)] = column
        values[:, ARKIT.slice("head")] = head_rotation(track)
        return Motion(_held(values, track.ok).astype(np.float32), ARKIT, track.fps)

    def _seal(self, values: Float, still: Float) -> None:
        """Bring lips that are tracked as (nearly) closed as near together as they were seen, on every rig.

        A model's own closed lips are not the person's, and the fit of the other landmarks would hold them apart.
        """
        moved = still[:, self.face.numbers] - self.person.points[self.face.numbers]
        wanted = np.maximum(_sealed(self._apart(moved, UPPER_LIP, LOWER_LIP))[:, 1], 0.0)
        near = np.clip(1.0 - wanted / CLOSING, 0.0, 1.0)
        near = near * near * (3 - 2 * near)
        jaw, closed = ARKIT.index("jawOpen"), ARKIT.index("mouthClose")
        for opens in self._openings():
            excess = np.maximum(values @ opens - wanted, 0.0) * near
            room = values[:, jaw] - values[:, closed]
            values[:, closed] += np.minimum(excess / max(-opens[closed], 1e-6), room)
            excess = np.maximum(values @ opens - wanted, 0.0) * near
            parting = [column for column in np.flatnonzero(opens > 0) if column != jaw]
            parts = np.maximum(values[:, parting] @ opens[parting], 1e-9)
            values[:, parting] *= np.clip(1 - excess / parts, 0.0, 1.0)[:, None]

    def _openings(self) -> list[Float]:
        """For each rig, how far (metres) each of ARKit's channels parts the lips."""
        rows = [self.face.shapes.index(name) for name in SOLVED]
        found = [self._apart(self.face.deltas[rows], UPPER_LIP, LOWER_LIP)]
        found += [_rig_distances(rig)[0] for rig in self.others]
        openings: list[Float] = []
        for gap in found:
            opens = np.zeros(len(ARKIT))
            opens[ARKIT.indices(SOLVED)] = gap[:, 1]
            openings.append(opens)
        return openings

    def residual(self, track: Track, motion: Motion) -> Float:
        """(frames, K) distances in the image plane between tracked and solved landmarks, in metres of the model."""
        still = stabilised(track.points, self.person.points)[:, self.face.numbers]
        return np.linalg.norm((still - self.posed(motion))[..., :2], axis=-1)

    def posed(self, motion: Motion) -> Float:
        """(frames, K, 3) landmarks of the person under a motion, without the head's rotation."""
        rows = [self.face.shapes.index(name) for name in SOLVED]
        weights = motion.values[:, ARKIT.indices(SOLVED)].astype(np.float64)
        return self.person.points[self.face.numbers] + np.einsum("ns,skd->nkd", weights, self.face.deltas[rows])

    def _moved(self, still: Float) -> Float:
        return still[:, self.face.numbers] - self.person.points[self.face.numbers]

    def _targets(self, still: Float) -> Float:
        """What the solver has to explain: displacements of landmarks, then of distances, depth damped."""
        moved = still[:, self.face.numbers] - self.person.points[self.face.numbers]
        gaps = [self._apart(moved, upper, lower) for upper, lower, _ in DISTANCES]
        gaps[0] = _sealed(gaps[0])
        gaps += gaps[: len(LIP_DISTANCES)] * len(self.others)
        return np.concatenate([moved, np.stack(gaps, axis=1)], axis=1) * _FLAT

    def _apart(self, moved: Float, one: int, other: int) -> Float:
        first, second = self.face.at(one, other)
        return moved[:, first] - moved[:, second]

    def _emphasis(self) -> NDArray[np.float64]:
        landmarks = np.zeros(len(self.face.numbers))
        for group, share in ((LIPS, 1.0), (CHIN, 0.5), (CHEEKS, 0.4), (BROWS, 1.0)):
            for number in group & set(self.face.numbers.tolist()):
                landmarks[self.face.at(number)] = share
        shares = [share for _, _, share in DISTANCES]
        others = [OTHERS * share for share in shares[: len(LIP_DISTANCES)]] * len(self.others)
        return np.concatenate([landmarks, shares, others])

    def _eyes(self, still: Float) -> dict[str, Float]:
        found: dict[str, Float] = {}
        gaze = [_iris(still, side) - self.person.gaze[side] for side in LIDS]
        # Both eyes look at one place: their mean halves the jitter of a small picture.
        left, up = np.mean(gaze, axis=0).T
        turn_left, turn_up = (np.arcsin(np.clip(part / EYE_RADIUS, -0.8, 0.8)) for part in (left, up))
        for side, pairs in LIDS.items():
            opened, closed = self.person.lids[side]
            gap = _lid_gap(still, pairs)
            shut = np.clip((opened - gap) / (opened - closed), 0.0, 1.0)
            found[f"eyeBlink{side}"] = np.clip((shut - 0.1) / 0.9, 0.0, 1.0)
            found[f"eyeWide{side}"] = np.clip((gap - 1.1 * opened) / (0.35 * opened), 0.0, 1.0)
            outward = turn_left if side == "Left" else -turn_left
            seen = np.clip(1.5 - 2.5 * found[f"eyeBlink{side}"], 0.0, 1.0)
            looks = {"Out": outward, "In": -outward, "Up": turn_up, "Down": -turn_up}
            for name, angle in looks.items():
                found[f"eyeLook{name}{side}"] = np.clip(angle / GAZE, 0.0, 1.0) * seen
        return found


def _rig_distances(rig: BlendshapeRig) -> list[Float]:
    """(shapes, 3) changes of `LIP_DISTANCES` by the solved shapes of a rig."""
    if rig.landmarks is None:
        raise BadInput("a rig to solve for names its lips' landmarks")
    lips = rig.landmarks
    rows = [rig.shapes.index(name) if name in rig.shapes else None for name in SOLVED]
    pairs = ((lips.inner_upper_lip, lips.inner_lower_lip), (lips.left_mouth_corner, lips.right_mouth_corner))
    return [
        np.array([np.zeros(3) if k is None else rig.deltas[k, one] - rig.deltas[k, other] for k in rows], np.float64)
        for one, other in pairs
    ]


def _sealed(gap: Float) -> Float:
    """(frames, 3) changes of the lips' gap, with those too small for a tracker to tell from closed lips made none.

    Landmarks of lips that are pressed together in speech stay up to a millimetre further apart than at rest.
    """
    opened = gap[:, 1]
    share = np.clip(opened / (3 * CONTACT), 0.0, 1.0)
    return gap * np.stack([np.ones_like(share), share * share * (3 - 2 * share), np.ones_like(share)], axis=1)


def _ease() -> Float:
    return np.array([next((ease for start, ease in EASE.items() if name.startswith(start)), 1.0) for name in SOLVED])


def head_rotation(track: Track) -> Float:
    """(frames, 3) rotation vectors from the track's mean pose, smoothed over about five frames (small pictures)."""
    turned = np.einsum("nij,kj->nik", track.turn, mean_turn(track.turn[track.ok]))
    return _smooth(rotation.matrix_to_rotvec(turned), 1.2)


def _smooth(values: Float, frames: float) -> Float:
    reach = int(np.ceil(3 * frames))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / frames) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    columns: list[Float] = [np.convolve(column, kernel, mode="valid") for column in padded.T]
    return np.stack(columns, axis=1)


def _apart(points: Float, a: int, b: int) -> Float:
    return np.linalg.norm(points[:, a] - points[:, b], axis=-1)


def resting(track: Track) -> NDArray[np.bool_]:
    """(frames,) lips together and nothing about them moves for five frames."""
    gap, width = lip_gap(track), mouth_width(track)
    calm = np.ones(len(track), bool)
    for curve in (gap, width):
        speed = np.abs(np.diff(curve, prepend=curve[:1]))
        calm &= np.convolve(speed, np.ones(5), mode="same") < 0.012
    return calm & (gap < max(0.008, float(np.percentile(gap, 5)) + 0.004))


def _rest_pose(frames: Float) -> Float:
    """The median face of some frames, poses taken out: laid onto one frame first, onto the median then."""
    rest = frames[len(frames) // 2]
    for _ in range(3):
        rest = np.median(stabilised(frames, rest), axis=0)
    return rest


def mean_turn(turns: Float) -> Float:
    """The rotation (3, 3) in the middle of (frames, 3, 3)."""
    left, _, right = np.linalg.svd(turns.mean(axis=0))
    return left @ np.diag([1.0, 1.0, float(np.sign(np.linalg.det(left @ right)))]) @ right


def _lid_gap(still: Float, pairs: Sequence[tuple[int, int]]) -> Float:
    return np.mean([still[:, upper, 1] - still[:, lower, 1] for upper, lower in pairs], axis=0)


def _lid_ranges(still: Float) -> dict[str, tuple[float, float]]:
    """The gap of an eye that is open as usual, and of a closed one: the deepest blinks, if there are any."""
    ranges: dict[str, tuple[float, float]] = {}
    for side, pairs in LIDS.items():
        gap = _lid_gap(still, pairs)
        opened = float(np.percentile(gap, 60))
        ranges[side] = opened, min(float(np.percentile(gap, 0.3)), 0.3 * opened)
    return ranges


def _iris(still: Float, side: str) -> Float:
    """(frames, 2) place of the iris, from the middle between the corners of the eye."""
    inner, outer = CORNERS[side]
    return still[:, IRIS[side], :2] - (still[:, inner, :2] + still[:, outer, :2]) / 2


def _usual_gaze(still: Float) -> dict[str, Float]:
    return {side: np.median(_iris(still, side), axis=0) for side in LIDS}


def _held(values: Float, ok: NDArray[np.bool_]) -> Float:
    last = np.maximum.accumulate(np.where(ok, np.arange(len(ok)), 0))
    return values[last]
