import io
import lzma
from fractions import Fraction

import numpy as np
import pytest

from artalk import rotation
from artalk.channels import ARKIT
from artalk.data import landmarks, tracks
from artalk.data.landmarks import BROWS, CHEEKS, CHIN, COUNT, LIPS, STABLE, Face, ict_face
from artalk.data.tracks import SOLVED, Track, Tracker
from artalk.errors import BadFile, BadInput, MissingFile
from artalk.motion import Motion
from artalk.rigs import ict
from tests.shared import shared

FPS = Fraction(25)


def a_face(seed: int = 0) -> tuple[Face, np.ndarray]:
    """A face of landmarks whose shapes move points anyhow, and its 478 points at rest."""
    rng = np.random.default_rng(seed)
    rest = rng.uniform(-0.05, 0.05, (COUNT, 3))
    rest[[33, 263]] = [[-0.045, 0.03, 0], [0.045, 0.03, 0]]
    rest[[13, 14]] = [[0, -0.03, 0.01], [0, -0.0301, 0.01]]
    rest[[61, 291]] = [[-0.025, -0.03, 0], [0.025, -0.03, 0]]
    for side, corners in landmarks.CORNERS.items():
        at = 0.03 if side == "Left" else -0.03
        rest[corners[0]], rest[corners[1]] = [at * 0.5, 0.03, 0], [at * 1.5, 0.03, 0]
        rest[landmarks.IRIS[side]] = [at, 0.03, 0.01]
        for upper, lower in landmarks.LIDS[side]:
            rest[upper], rest[lower] = [at, 0.035, 0.01], [at, 0.027, 0.01]
    numbers = np.array(sorted((LIPS | BROWS | CHIN | CHEEKS) - set(STABLE)))
    deltas = rng.normal(0, 0.01, (len(SOLVED), len(numbers), 3))
    upper, lower = (list(numbers).index(k) for k in (13, 14))
    deltas[SOLVED.index("jawOpen"), lower] = [0, -0.03, 0]
    deltas[SOLVED.index("jawOpen"), upper] = 0
    return Face(numbers, rest[numbers], SOLVED, deltas), rest


def performed(face: Face, rest: np.ndarray, weights: np.ndarray, turns: np.ndarray) -> Track:
    """The track of a face whose weights (frames, SOLVED) and head move."""
    points = np.tile(rest, (len(weights), 1, 1))
    points[:, face.numbers] += np.einsum("ns,skd->nkd", weights, face.deltas)
    turn = rotation.rotvec_to_matrix(turns)
    return Track(900 * np.einsum("nij,nkj->nki", turn, points) + 7, turn, np.ones(len(weights), bool), FPS)


def a_person(rest: np.ndarray) -> tracks.Person:
    middle = {side: np.zeros(2) for side in landmarks.LIDS}
    return tracks.Person(rest, {side: (0.008, 0.0) for side in landmarks.LIDS}, middle)


def test_known_weights_are_found_again_under_a_moving_head():
    face, rest = a_face()
    rng = np.random.default_rng(3)
    weights = np.zeros((20, len(SOLVED)))
    chosen = [SOLVED.index(name) for name in ("jawOpen", "mouthPucker", "browInnerUp", "mouthSmileLeft")]
    weights[:, chosen] = rng.uniform(0.15, 0.6, (20, 4))
    turns = rng.normal(0, 0.1, (20, 3))
    track = performed(face, rest, weights, turns)
    tracker = Tracker(face, a_person(rest))
    motion = tracker.solve(track)
    found = motion.values[:, ARKIT.indices(SOLVED)]
    # Lips that come close are brought together, and small weights cost a little: not exact, but near.
    assert np.abs(found[:, chosen[1:]] - weights[:, chosen[1:]]).max() < 0.08
    assert np.corrcoef(found[:, chosen[0]], weights[:, chosen[0]])[0, 1] > 0.95
    assert tracker.residual(track, motion).mean() < 0.001


def test_motion_is_bounded_and_a_mouth_never_closes_more_than_the_jaw_opens():
    face, rest = a_face(1)
    rng = np.random.default_rng(0)
    track = performed(face, rest, rng.uniform(-0.5, 1.5, (30, len(SOLVED))), np.zeros((30, 3)))
    motion = Tracker(face, a_person(rest)).solve(track)
    weights = motion.values[:, ARKIT.of_kind("weight")]
    assert weights.min() >= 0
    assert weights.max() <= 1
    assert (motion.channel("mouthClose") <= motion.channel("jawOpen") + 1e-6).all()
    assert not motion.values[:, ARKIT.indices(tracks.UNSEEN)].any()


def test_a_blink_and_a_glance_are_measured():
    face, rest = a_face()
    track = performed(face, rest, np.zeros((12, len(SOLVED))), np.zeros((12, 3)))
    points = track.points.copy()
    for side in landmarks.LIDS:
        for upper, lower in landmarks.LIDS[side]:
            points[4:6, upper] = points[4:6, lower]
        points[8:, landmarks.IRIS[side], 0] += 900 * tracks.EYE_RADIUS * 0.3
    motion = Tracker(face, a_person(rest)).solve(Track(points, track.turn, track.ok, FPS))
    assert motion.channel("eyeBlinkLeft")[4:6].min() > 0.95
    assert motion.channel("eyeBlinkRight")[[0, 1, 8]].max() < 0.05
    # The iris went towards the subject's left: left eye outwards, right eye inwards.
    assert motion.channel("eyeLookOutLeft")[9] == pytest.approx(np.arcsin(0.3) / 0.5, abs=0.05)
    assert motion.channel("eyeLookInRight")[9] == pytest.approx(np.arcsin(0.3) / 0.5, abs=0.05)
    assert motion.channel("eyeLookInLeft")[9] == 0


def test_the_head_turns_as_it_was_tracked():
    face, rest = a_face()
    turns = np.zeros((60, 3))
    turns[:, 1] = 0.2 * np.sin(np.arange(60) / 10)
    track = performed(face, rest, np.zeros((60, len(SOLVED))), turns)
    head = tracks.head_rotation(track)
    assert np.corrcoef(head[:, 1], turns[:, 1])[0, 1] > 0.999
    assert np.abs(head[:, [0, 2]]).max() < 1e-3


def test_frames_without_a_face_hold_the_one_before():
    face, rest = a_face()
    weights = np.zeros((6, len(SOLVED)))
    weights[:, SOLVED.index("browInnerUp")] = np.linspace(0.1, 0.6, 6)
    track = performed(face, rest, weights, np.zeros((6, 3)))
    ok = np.array([True, True, False, False, True, True])
    motion = Tracker(face, a_person(rest)).solve(Track(track.points, track.turn, ok, FPS))
    brow = motion.channel("browInnerUp")
    assert brow[1] == brow[2] == brow[3]
    assert brow[4] > brow[3]


def test_a_person_without_a_still_moment_is_refused():
    face, rest = a_face()
    rng = np.random.default_rng(0)
    track = performed(face, rest, rng.uniform(0, 1, (20, len(SOLVED))), np.zeros((20, 3)))
    with pytest.raises(BadInput, match="rest pose"):
        tracks.know([track], face)


def test_track_files(tmp_path):
    rng = np.random.default_rng(0)
    whole = rng.integers(-1000, 1000, (5, COUNT, 3)).astype(np.int16)
    buffer = io.BytesIO()
    np.save(buffer, np.diff(whole, axis=0, prepend=np.zeros((1, COUNT, 3), np.int16)).astype(np.int16))
    packed = np.frombuffer(lzma.compress(buffer.getvalue()), np.uint8)
    head = np.tile(np.eye(4), (5, 1, 1))
    path = tmp_path / "track.npz"
    fields = {"fps": 25.0, "ok": np.ones(5, bool), "head": head, "landmarks_scale": 2000.0}
    np.savez(path, landmarks_delta_xz=packed, **fields)
    track = tracks.read(path, (360, 288))
    assert np.allclose(track.points, whole / 2000 * [360, -288, -360])
    assert track.fps == 25
    np.savez(path, **fields)
    with pytest.raises(BadFile):
        tracks.read(path)
    path.write_bytes(b"no zip")
    with pytest.raises(BadFile):
        tracks.read(path)
    with pytest.raises(MissingFile):
        tracks.read(tmp_path / "none.npz")


def test_grid_is_solved_closely():
    files = sorted(shared("corpus/grid_s1/tracks").glob("*.npz"))[::80]
    face = ict_face(ict.load(shared("assets/ict_facekit_light.npz")))
    read = [tracks.read(path) for path in files]
    tracker = Tracker(face, tracks.know(read, face))
    pixel = np.linalg.norm(tracker.person.points[263] - tracker.person.points[33]) / 64.5
    for track in read[:4]:
        motion: Motion = tracker.solve(track)
        posed = tracker.posed(motion)
        upper, lower = face.at(13, 14)
        gap = np.linalg.norm(posed[:, upper] - posed[:, lower], axis=1)
        assert np.corrcoef(gap, tracks.lip_gap(track))[0, 1] > 0.96
        assert tracker.residual(track, motion)[:, face.at(*LIPS & set(face.numbers.tolist()))].mean() < 1.5 * pixel
