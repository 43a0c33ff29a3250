"""A recording of any length, whoever measured it, cut into the clips of a corpus; what is no use is rejected."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.data.clips import FPS, SAMPLE_RATE, Clip, Entry, Phone
from artalk.data.cut import pieces, speech
from artalk.errors import BadInput
from artalk.motion import Motion

Reason = Literal["unreadable", "no sound", "out of sync", "too short", "no speech", "no face", "lips still"]

REASONS: dict[str, str] = {
    "unreadable": "the file cannot be read",
    "no sound": "no sound goes with it",
    "out of sync": "the lips do not follow the sound",
    "too short": "shorter than the least length",
    "no speech": "nobody speaks",
    "no face": "the face was out of sight for too long",
    "lips still": "somebody speaks and the lips do not move",
}

LEAST_SPEECH = 0.12
"""Share of a clip that is speech, at the least."""

LEAST_MOVE = 0.02
"""Range over a clip that some weight of jaw or mouth has at least where somebody speaks."""

CHANCE, ENOUGH = 0.6, 6.0
"""Lips and sound that have nothing to do with each other agree by up to about CHANCE / sqrt(seconds) at some shift;
below so many seconds nobody is judged by it.
"""

FAR = 0.1
"""Seconds of offset up to which lips are left where they are."""

LIPS = np.r_[ARKIT.slice("jaw"), ARKIT.slice("mouth")]


@dataclass(frozen=True)
class Fit:
    """How sound and lips go together: `late`, seconds by which the lips come after the sound (0 where that is not
    sure), and their `agreement` there, -1..1, over so many seconds.
    """

    late: float
    agreement: float
    seconds: float

    @property
    def strangers(self) -> bool:
        """Whether they agree no better than any lips and any sound."""
        return self.seconds >= ENOUGH and self.agreement < CHANCE / self.seconds**0.5


Align = Callable[[Audio, Motion, NDArray[np.bool_]], Fit | None]
"""Judges 16 kHz sound and 25 fps motion, where `seen`; None where there is too little to tell."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Sound and ARKit `motion`, at any rates, that begin together.

    `observed` (55,) tells which channels were measured, `seen` (frames,) when the face was in sight; `residual` is by
    how many pixels the landmarks of a video are off the solved face on average, None for captures; `face` is the model
    that a video was solved on, as in `Entry`.
    """

    motion: Motion
    sound: Audio
    observed: NDArray[np.bool_]
    seen: NDArray[np.bool_]
    phones: tuple[Phone, ...] = ()
    residual: float | None = None
    face: str = ""

    def __post_init__(self) -> None:
        if self.motion.channels != ARKIT:
            raise BadInput(f"a recording has ARKit motion, got {self.motion.channels.name!r}")
        if self.observed.shape != (len(ARKIT),) or self.seen.shape != (len(self.motion),):
            raise BadInput(
                f"observed is ({len(ARKIT)},) and seen ({len(self.motion)},), "
                f"got {self.observed.shape} and {self.seen.shape}"
            )


@dataclass(frozen=True)
class Rejected:
    """A part of a recording, or all of it, that is no clip: why, how many seconds, and what there is to say."""

    reason: Reason
    seconds: float
    detail: str = ""


@dataclass(frozen=True)
class Wishes:
    """What a clip has to be: at least `least` seconds long, with the face in sight for a share of `sight`; `aligned`
    asks for sync to be checked, and mended where it is clear.
    """

    least: float = 1.0
    sight: float = 0.9
    aligned: bool = True

    def __post_init__(self) -> None:
        if not (self.least >= 0.2 and 0 <= self.sight <= 1):
            raise BadInput(f"clips last at least 0.2 s and are seen for 0 to 1, got {self.least} and {self.sight}")


def clips(
    recording: Recording, entry: Entry, wishes: Wishes = Wishes(), align: Align | None = None
) -> Iterator[Clip | Rejected]:
    """The clips of a recording and what is left out of it, in their order.

    `entry` describes them all; clips of a recording that is cut get its id with a number. Sound is brought to 16 kHz
    and motion to 25 fps. With `align`, lips that are clearly early or late are moved to their sound.
    """
    if not len(recording.sound) or not recording.sound.samples.any():
        yield Rejected("no sound", float(recording.motion.duration))
        return
    sound, motion, seen = _together(recording)
    if align is not None and wishes.aligned and recording.observed[ARKIT.index("jawOpen")]:
        fit = align(sound, motion, seen)
        if fit is not None and fit.strangers:
            yield Rejected("out of sync", float(sound.duration), f"they agree by {fit.agreement:.2f} at best")
            return
        if fit is not None and abs(fit.late) > FAR:
            sound, motion, seen = _moved(sound, motion, seen, round(fit.late * float(FPS)))
    if not len(motion):
        yield Rejected("too short", 0.0)
        return
    voiced = speech(sound)
    cuts = pieces(sound)
    for number, (first, last) in enumerate(cuts):
        part = slice(first, last)
        if (why := _fault(motion.values[part], voiced[part], seen[part], recording.observed, wishes)) is not None:
            yield Rejected(why, (last - first) / float(FPS))
            continue
        yield Clip(
            entry if len(cuts) == 1 else replace(entry, id=f"{entry.id}-{number:03d}"),
            _cut(sound, first, last),
            replace(motion.cut(first, last), start=0),
            recording.observed,
            _within(recording.phones, first / float(FPS), last / float(FPS)),
        )


def _together(recording: Recording) -> tuple[Audio, Motion, NDArray[np.bool_]]:
    """Sound at 16 kHz and motion at 25 fps of one length."""
    sound = recording.sound
    sound = sound if sound.sample_rate == SAMPLE_RATE else sound.resampled(SAMPLE_RATE)
    source = replace(recording.motion, start=0)
    motion = (source if source.fps == FPS else source.resample(FPS)).clipped()
    nearest = (
        np.rint(np.arange(len(motion)) * float(source.fps / FPS)).astype(np.int64).clip(0, max(len(source) - 1, 0))
    )
    return _level(sound, motion, recording.seen[np.minimum(nearest, len(source) - 1)])


def _level(sound: Audio, motion: Motion, seen: NDArray[np.bool_]) -> tuple[Audio, Motion, NDArray[np.bool_]]:
    """What both cover."""
    frames = min(sound.frames_at(FPS), len(motion))
    return _cut(sound, 0, frames), motion.cut(0, frames), seen[:frames]


def _moved(sound: Audio, motion: Motion, seen: NDArray[np.bool_], late: int) -> tuple[Audio, Motion, NDArray[np.bool_]]:
    """With lips that come `late` frames late, or early, brought to their sound."""
    if late > 0:
        return _level(sound, replace(motion.cut(late, len(motion)), start=0), seen[late:])
    return _level(_cut(sound, -late, sound.frames_at(FPS)), motion, seen)


def _cut(sound: Audio, first: int, last: int) -> Audio:
    hop = SAMPLE_RATE // int(FPS)
    return Audio(sound.samples[first * hop : last * hop], SAMPLE_RATE)


def _fault(
    values: NDArray[np.float32],
    voiced: NDArray[np.bool_],
    seen: NDArray[np.bool_],
    observed: NDArray[np.bool_],
    wishes: Wishes,
) -> Reason | None:
    """Why a piece is no clip, or None."""
    if len(values) < wishes.least * FPS:
        return "too short"
    if voiced.mean() < LEAST_SPEECH:
        return "no speech"
    if not seen.any() or seen.mean() < wishes.sight:
        return "no face"
    lips = LIPS[observed[LIPS]]
    if not len(lips) or np.ptp(values[seen][:, lips], axis=0).max() < LEAST_MOVE:
        return "lips still"
    return None


def _within(phones: Sequence[Phone], start: float, stop: float) -> tuple[Phone, ...]:
    """Phones of a piece, counted from where it begins."""
    cut = ((max(a, start) - start, min(b, stop) - start, label) for a, b, label in phones)
    return tuple(span for span in cut if span[1] > span[0])
