"""Who somebody is: their face at rest, by one recording or by several of the same person.

A short recording of somebody who smiles throughout does not show that they smile: the smile is what it takes for their
rest. Sentence bbaf3s of GRID's speaker 1 (3 s) is one; solved by itself its weights are 0.129 (RMS) off those that a
thousand sentences of the speaker give, with the rest of three of them 0.068. So the recordings of a speaker share one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from artalk import archive
from artalk.data.landmarks import COUNT, LEFT_EYE, LIDS, LOWER_LIP, RIGHT_EYE, STABLE, UPPER_LIP, Face
from artalk.data.tracks import Person, Track, person, resting, seen_again, stabilised
from artalk.errors import BadFile, MissingFile
from artalk.formats.atomic import atomic
from artalk.prepare.take import Clock, Take
from artalk.prepare.tracked import between_eyes, tracked

Float = NDArray[np.float64]
Flags = NDArray[np.bool_]
T = TypeVar("T")

KNOWN_BY, STRETCH = 6000, 50
"""Frames of a long video by which a person is known, taken in stretches of this many."""

ENOUGH = 60.0
"""Seconds of a recording that shows by itself who it is: somebody's camera and beard may be others elsewhere."""

GLANCES, GLANCE = 24, 10.0
"""Recordings by which a speaker is met, at the most, and seconds of each."""

LEAST = 5
"""Frames with a face, without which nobody is known."""

SAME = 0.015
"""Share of the distance between the eyes by which the bones of two faces may differ for them to be one person's.

Single sentences of GRID's speaker 1 differ from their mean by 0.0035, at most by 0.0063; he from the faces of two head
models by 0.034 and 0.046.
"""

STABLE_ROWS = list(STABLE)


@dataclass(frozen=True, eq=False)
class Glance:
    """What a recording shows of somebody: landmarks `points` (frames, 478, 3), at rest where `quiet` (frames,)."""

    points: Float
    quiet: Flags


def known(seen: Glance, seconds: float, face: Face, met: Person | None = None) -> Person:
    """Who it is in a recording of so many seconds, laid onto a face model; or who was `met` in others as well.

    One who was met is another where the bones of the face say so, and not needed where the recording is long. Where
    the lips never rest, the frames in which they are nearest to it stand in.
    """
    own = person(seen.points, _at_rest(seen), face)
    if met is None or seconds >= ENOUGH or _differ(own.points, met.points) > SAME:
        return own
    return seen_again(met, seen.points)


def glance(take: Take, clock: Clock, found: Flags) -> Glance:
    """What a take shows of who it is, by `KNOWN_BY` frames at most."""
    starts = np.arange(0, len(clock), STRETCH)
    chosen = np.linspace(0, len(starts) - 1, min(len(starts), KNOWN_BY // STRETCH)).round().astype(int)
    firsts = starts[np.unique(chosen)]
    tracks = [tracked(take, clock, found, int(first), min(int(first) + STRETCH, len(clock))) for first in firsts]
    # A rest needs a neighbourhood: where stretches follow one another, they are looked at as one.
    if len(tracks) * STRETCH >= len(clock):
        tracks = [_one(tracks)]
    return Glance(
        np.concatenate([track.points[track.ok] for track in tracks]),
        np.concatenate([resting(track)[track.ok] for track in tracks]),
    )


def sampled(recordings: Sequence[T]) -> list[T]:
    """Those by which a speaker is met, evenly spread."""
    chosen = np.linspace(0, len(recordings) - 1, min(len(recordings), GLANCES)).round().astype(int)
    return [recordings[int(k)] for k in chosen]


def meet(seen: Sequence[Glance], face: Face) -> Person | None:
    """The person whom most of several recordings show; None where no two show the same."""
    if len(seen) < 2:
        return None
    bones = [_bones(each.points) for each in seen]
    apart = np.array([[_differ(one, other) for other in bones] for one in bones])
    middle = int(np.median(apart, axis=1).argmin())
    alike = [each for each, off in zip(seen, apart[middle], strict=True) if off <= SAME]
    if len(alike) < 2 or 2 * len(alike) < len(seen):
        return None
    whole = Glance(
        np.concatenate([each.points for each in alike]), np.concatenate([_at_rest(each, spare=False) for each in alike])
    )
    return person(whole.points, _at_rest(whole), face)


def save(somebody: Person | None, path: Path) -> None:
    """Keep who was met, or that nobody was, as arrays."""
    arrays = {"points": np.zeros((0, 3))}
    if somebody is not None:
        arrays["points"] = somebody.points
        arrays["lids"] = np.array([somebody.lids[side] for side in LIDS])
        arrays["gaze"] = np.array([somebody.gaze[side] for side in LIDS])
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load(path: Path) -> Person | None:
    """Who was met, None for nobody; raises `BadFile`."""
    try:
        arrays = archive.read(path)
        points, lids, gaze = (arrays.get(name, np.zeros(0)) for name in ("points", "lids", "gaze"))
    except BadFile as error:
        raise BadFile(f"{error}; delete {str(path)!r}, and whom it describes is met again") from error
    if not len(points) and "points" in arrays:
        return None
    if points.shape != (COUNT, 3) or lids.shape != (2, 2) or gaze.shape != (2, 2):
        raise BadFile(f"{str(path)!r} describes nobody's face; delete it, and they are met again")
    ranges = {side: (float(row[0]), float(row[1])) for side, row in zip(LIDS, lids, strict=True)}
    return Person(points, ranges, dict(zip(LIDS, gaze, strict=True)))


def save_glance(seen: Glance | None, path: Path) -> None:
    """Keep what was seen, or that nobody was."""
    none = Glance(np.zeros((0, COUNT, 3)), np.zeros(0, np.bool_))
    points, quiet = (seen or none).points.astype(np.float32), (seen or none).quiet
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, points=points, quiet=quiet)


def load_glance(path: Path) -> Glance | None:
    """What was seen; None for nobody, and for a file that is damaged."""
    try:
        arrays = archive.read(path)
        points, quiet = arrays["points"].astype(np.float64), arrays["quiet"].astype(np.bool_)
    except (MissingFile, BadFile, KeyError, ValueError):
        return None
    right = len(points) == len(quiet) > 0 and points.shape[1:] == (COUNT, 3)
    return Glance(points, quiet) if right else None


def _at_rest(seen: Glance, spare: bool = True) -> Flags:
    """(frames,) where lips rest; where they never do and others may be `spare`, those nearest to it."""
    if seen.quiet.sum() >= LEAST or not spare:
        return seen.quiet
    gap = np.linalg.norm(seen.points[:, UPPER_LIP] - seen.points[:, LOWER_LIP], axis=1) / between_eyes(seen.points)
    return gap <= np.sort(gap)[min(len(gap) - 1, max(LEAST, len(gap) // 50))]


def _bones(points: Float) -> Float:
    """(478, 3) the middle of (frames, 478, 3) landmarks, the head's pose taken out."""
    return np.median(stabilised(points, points[len(points) // 2]), axis=0)


def _differ(one: Float, other: Float) -> float:
    """By how much of the distance between the eyes two faces (478, 3) differ in what the skull carries, as seen."""
    off = (stabilised(one[None], other)[0] - other)[STABLE_ROWS, :2]
    return float(np.linalg.norm(off, axis=1).mean() / np.linalg.norm(other[LEFT_EYE] - other[RIGHT_EYE]))


def _one(tracks: Sequence[Track]) -> Track:
    return Track(
        np.concatenate([track.points for track in tracks]),
        np.concatenate([track.turn for track in tracks]),
        np.concatenate([track.ok for track in tracks]),
        tracks[0].fps,
    )
