"""A video becomes motion: track, put on an even clock, solve, listen, judge."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from artalk.data.landmarks import Face, head_face
from artalk.data.tracks import Person
from artalk.errors import BadFile, BadInput
from artalk.motion import Motion
from artalk.prepare import film, people, sync
from artalk.prepare.film import Facts, Sound
from artalk.prepare.people import Glance
from artalk.prepare.quality import Quality, Source, measure
from artalk.prepare.shots import Cuts
from artalk.prepare.solve import Performance, perform
from artalk.prepare.take import Clock, Take
from artalk.prepare.tracker import Tracker, Which
from artalk.rigs.blendshape import BlendshapeRig

Progress = Callable[[int, int], None]

FURTHEST = 5.0
"""Seconds by which sound and picture may be moved against each other."""


@dataclass(frozen=True)
class Wishes:
    """What may be said about a video.

    `which` of several faces; `offset` in seconds by which its picture comes after its sound, "auto" for what is found
    where that is sure, None to leave it as it is; `smooth` takes off the tracker's noise.
    """

    which: Which = "largest"
    offset: float | Literal["auto"] | None = None
    smooth: bool = True

    def __post_init__(self) -> None:
        if self.which not in ("largest", "left", "right"):
            raise BadInput(f"of several faces one takes the largest, left or right one, got {self.which!r}")
        if isinstance(self.offset, float | int) and not abs(self.offset) <= FURTHEST:
            raise BadInput(f"sound and picture are at most {FURTHEST:g} seconds apart, got {self.offset}")


@dataclass(frozen=True, eq=False)
class Prepared:
    """A video's performance, with its sound on the same clock (None without), what it is worth, and what was seen."""

    path: Path
    performance: Performance
    quality: Quality
    sound: Sound | None
    facts: Facts
    take: Take
    clock: Clock
    shift: float
    """Seconds by which the pictures were moved towards the beginning, to go with the sound."""

    @property
    def motion(self) -> Motion:
        """The motion, at the video's own rate."""
        return self.performance.motion

    @property
    def face(self) -> str:
        """The face model that it was solved on, "head" (built in) or "ict"."""
        return "head" if "tongueOut" in self.performance.tracker.face.shapes else "ict"  # which ICT's face lacks


def prepare(
    path: str | Path,
    model: Path,
    wishes: Wishes = Wishes(),
    face: Face | None = None,
    others: tuple[BlendshapeRig, ...] = (),
    progress: Progress | None = None,
    met: Person | None = None,
) -> Prepared:
    """Turn the video at `path` into motion, with the face landmarker's `model` (see `artalk assets`).

    `face` is what is solved on (default: the built-in head); the lips of `others` close with it; `met` is who it is by
    several videos (`meet`). `progress` is called with the pictures done and their likely number. Raises `MissingFile`
    and `BadFile` for what is no video, `BadInput` where no face is in it.
    """
    place = Path(path)
    facts = film.facts(place)
    take = watch(place, model, wishes.which, facts, progress)
    sound = film.sound(place, facts.sound_after) if facts.has_sound else None
    clock, shift = take.clock(), 0.0
    done = perform(take, clock, face, others, wishes.smooth, met)
    offset = None if sound is None else sync.offset(done.motion, done.ok, sound)
    found = offset.seconds if offset is not None and offset.sure else 0.0
    shift = found if wishes.offset == "auto" else float(wishes.offset or 0.0)
    if shift:
        clock = take.clock(shift)
        done = perform(take, clock, face, others, wishes.smooth, met)
        offset = None if sound is None else sync.offset(done.motion, done.ok, sound)
    width, height = facts.size if facts.turned % 180 == 0 else facts.size[::-1]
    others_seen = sum(count > 0 for count in take.others) / len(take.others)
    source = Source(place.name, (width, height), facts.turned, clock.steady, others_seen)
    return Prepared(place, done, measure(source, done, sound, offset), sound, facts, take, clock, shift)


def meet(paths: Sequence[Path], model: Path, which: Which = "largest", face: Face | None = None) -> Person | None:
    """Who it is in several videos of one person, by some seconds of some of them; see `people.meet`."""
    seen = (glance(path, model, which) for path in people.sampled(paths))
    return people.meet([each for each in seen if each is not None], face or head_face())


def glance(path: Path, model: Path, which: Which = "largest") -> Glance | None:
    """What the first seconds of a video show of who it is; None where they cannot be read, or show no face."""
    try:
        take = watch(path, model, which, film.facts(path), seconds=people.GLANCE)
    except BadFile:
        return None
    clock = take.clock()
    found, _ = take.facts(clock)
    return people.glance(take, clock, found) if found.sum() >= people.LEAST else None


def watch(
    path: Path,
    model: Path,
    which: Which,
    facts: Facts,
    progress: Progress | None = None,
    seconds: float = float("inf"),
) -> Take:
    """Everything that the tracker sees in a video, or in its first seconds, on disk."""
    tracker, take, cuts, shot = Tracker(model, which), Take(), Cuts(), 0
    likely = round((facts.seconds or 0) * float(facts.rate))
    try:
        for picture in film.pictures(path):
            if picture.time >= seconds:
                break
            if cuts.add(picture.pixels):
                shot += 1
                tracker.restart()
            take.add(picture.time, shot, tracker.see(picture.pixels, picture.time))
            if progress:
                progress(len(take.times), max(likely, len(take.times)))
    finally:
        tracker.close()
        take.close()
    return take
