"""What a prepared video is worth, in numbers, in words and in a picture."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT
from artalk.data.landmarks import LEFT_EYE, LOWER_LIP, RIGHT_EYE, UPPER_LIP
from artalk.errors import BadFile, needs
from artalk.formats.atomic import atomic
from artalk.motion import Motion
from artalk.prepare.film import SOUND_RATE, Sound
from artalk.prepare.solve import Performance
from artalk.prepare.sync import Offset
from artalk.prepare.take import runs
from artalk.retarget.maps import MEDIAPIPE52
from artalk.rigs.head import head
from artalk.summary import summarise

Float = NDArray[np.float64]

SEALED = 0.0005
"""Metres between the lips of the built-in head below which they look shut."""

SILENT = -30.0
"""Decibels below the level of speech under which nothing is said."""

APART = 0.004
"""Metres between the lips that should not be there while nothing is said."""

RESTS = 0.4
"""Seconds of rest below which a recording alone says little of what it is. Of three sentences of 3 s two show 1.0 s."""

AGREEING = ("jawOpen", "mouthFunnel", "mouthPucker", "mouthSmileLeft", "eyeBlinkLeft", "eyeBlinkRight", "browInnerUp")
"""Channels that are held against the tracker's own scores."""

MOVES = 0.02
"""Standard deviation that a channel and its score have at least, or their correlation says nothing."""


@dataclass(frozen=True)
class Quality:
    """What is known of a prepared video; `warnings` are sentences for whoever filmed it.

    `tracked` is the share of frames with a face, `others` that of pictures with more than one; `bridged` and `hidden`
    are seconds, `gaps` (start, stop, why) in seconds. `eyes` is the median distance in pixels of the outer eye corners;
    `residual` (mean, 90th percentile) and `lips` are pixels between tracked and solved landmarks. `agreement` is the
    correlation of channels with the tracker's own scores.

    `blinks` and `closures` of the lips are counted a minute; `sealed` is the share of tracked contact in which the
    built-in head's lips are shut. `head` is the degrees and `place` the metres between the head's extremes. `channels`
    holds (mean, sd, largest) of those that move.

    `offset` is the seconds by which the picture comes after the sound (None: not to be told), with its standard
    deviation `offset_error`; `offset_agreement` is how well they agree there. `level` is that of speech in dB of full
    scale, None without sound; `open_in_silence` the share of silent frames with lips 4 mm apart.
    """

    source: str
    seconds: float
    frames: int
    fps: str
    size: tuple[int, int]
    turned: int
    steady: bool
    shots: int
    others: float
    tracked: float
    gaps: tuple[tuple[float, float, str], ...]
    bridged: float
    hidden: float
    eyes: float
    residual: tuple[float, float]
    lips: tuple[float, float]
    agreement: dict[str, float]
    blinks: float
    closures: float
    sealed: float | None
    head: tuple[float, float, float]
    place: tuple[float, float, float]
    channels: dict[str, tuple[float, float, float]]
    offset: float | None = None
    offset_error: float | None = None
    offset_agreement: float | None = None
    level: float | None = None
    open_in_silence: float | None = None
    warnings: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def as_json(self) -> str:
        """The same as text, which `from_json` reads."""
        return json.dumps(self.as_dict(), ensure_ascii=False)

    def words(self) -> str:
        """A few lines for a person."""
        width, height = self.size
        turned = f", turned by {self.turned}°" if self.turned else ""
        lost = sum(stop - start for start, stop, _ in self.gaps)
        lines = [
            f"video     {self.source}: {width}x{height}{turned}, {self.seconds:.2f} s, {self.frames} frames at "
            f"{self.fps} fps{'' if self.steady else ' (its own rate varies)'}, {_count(self.shots, 'shot')}",
            f"face      seen in {self.tracked:.1%} of the frames, {self.eyes:.0f} pixels between the eyes; "
            f"{_count(len(self.gaps), 'gap')} of {lost:.2f} s, {self.bridged:.2f} s bridged",
            f"fit       {self.residual[0]:.2f} pixels off on average (90 % below {self.residual[1]:.2f}), "
            f"lips {self.lips[0]:.2f}; r with the tracker's scores: "
            + (", ".join(f"{name} {r:.2f}" for name, r in self.agreement.items()) or "nothing moves"),
            f"lips      close {self.closures:.0f} times a minute"
            + ("" if self.sealed is None else f", {self.sealed:.0%} of that shut on the built-in head"),
            f"eyes      {self.blinks:.0f} blinks a minute",
            "head      nods over {:.1f}°, turns over {:.1f}°, tilts over {:.1f}°; moves over ".format(*self.head)
            + "{:.0f} mm sideways, {:.0f} up, {:.0f} towards the camera".format(*(1000 * way for way in self.place)),
            f"sound     {self._heard()}",
        ]
        return "\n".join([*lines, *(f"warning   {warning}" for warning in self.warnings)])

    def _heard(self) -> str:
        if self.level is None:
            return "none"
        said = f"speech at {self.level:.0f} dB"
        if self.open_in_silence is not None:
            said += f", lips apart in {self.open_in_silence:.0%} of the silence"
        if self.offset is None or self.offset_error is None:
            return f"{said}; sound and lips do not agree enough to tell their offset"
        when = "after" if self.offset > 0 else "before"
        apart, error = 1000 * abs(self.offset), 2000 * self.offset_error
        return f"{said}; the picture comes {apart:.0f} ms {when} it, give or take {error:.0f}"


def from_json(text: str) -> Quality:
    """What `as_json` wrote."""
    try:
        raw = cast("dict[str, Any]", json.loads(text))
        values = {f.name: raw[f.name] for f in fields(Quality)}
        for name in ("size", "residual", "lips", "head", "place", "warnings"):
            values[name] = tuple(values[name])
        values["gaps"] = tuple((float(a), float(b), str(why)) for a, b, why in values["gaps"])
        values["channels"] = {name: tuple(facts) for name, facts in values["channels"].items()}
        return Quality(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadFile(f"this is no report on a prepared video: {error}") from error


@dataclass(frozen=True)
class Source:
    """What is known of a video before anything moves: its name, size, turning, evenness, others in the picture."""

    name: str
    size: tuple[int, int]
    turned: int
    steady: bool
    others: float


def measure(source: Source, done: Performance, sound: Sound | None, offset: Offset | None) -> Quality:
    """Judge a performance, with its sound if there is one."""
    motion, fps = done.motion, float(done.motion.fps)
    facts = summarise(motion)
    gap, minutes = lip_gap(motion), max(done.ok.sum() / fps / 60, 1e-9)
    level, silence = (None, None) if sound is None or not len(sound.samples) else levels(sound, len(motion), fps)
    told = offset if offset is not None and offset.told else None
    quiet = None if silence is None else silence & done.ok
    quality = Quality(
        source=source.name,
        seconds=round(float(motion.duration), 3),
        frames=len(motion),
        fps=str(motion.fps),
        size=source.size,
        turned=source.turned,
        steady=source.steady,
        shots=len(np.unique(done.shots)),
        others=round(source.others, 4),
        tracked=round(float(done.ok.mean()), 4),
        gaps=tuple((round(g.start, 3), round(g.stop, 3), g.why) for g in done.gaps),
        bridged=round(done.bridged / fps, 3),
        hidden=round(done.broken / fps, 3),
        eyes=round(float(np.median(done.eyes)), 1),
        residual=_spread(done.residual),
        lips=_spread(done.lips),
        agreement=_agreement(done),
        blinks=0.0 if facts.blinks is None else round(facts.blinks.count / minutes, 2),
        closures=round(sum(1 for _ in runs(done.contact)) / minutes, 1),
        sealed=round(float((gap[done.contact] < SEALED).mean()), 4) if done.contact.any() else None,
        head=_rounded(facts.head_range or (0.0, 0.0, 0.0), 2),
        place=_rounded(np.ptp(done.place[done.ok], axis=0), 4),
        channels=_moving(motion, done.ok),
        offset=None if told is None else round(told.seconds, 4),
        offset_error=None if told is None else round(told.error, 4),
        offset_agreement=None if offset is None else round(offset.agreement, 3),
        level=level,
        open_in_silence=round(float((gap[quiet] > APART).mean()), 4) if quiet is not None and quiet.sum() > 5 else None,
    )
    apart = offset is not None and offset.sure and abs(offset.seconds) > 0.06 + 3 * offset.error
    return replace(quality, warnings=_warnings(quality, apart, done.rested))


def lip_gap(motion: Motion) -> Float:
    """(frames,) metres between the lips of the built-in head, above what they have at rest."""
    rig = head()
    assert rig.landmarks is not None
    apart = rig.deltas[:, rig.landmarks.inner_upper_lip, 1] - rig.deltas[:, rig.landmarks.inner_lower_lip, 1]
    return motion.values[:, ARKIT.indices(rig.shapes)].astype(np.float64) @ apart.astype(np.float64)


def draw(done: Performance, quality: Quality, path: Path) -> None:
    """A picture of the curves with the gaps, the fit, and how the channels are used. Needs the extra `plot`."""
    needs("matplotlib", "plot", "drawing a report")
    from matplotlib.figure import Figure

    times, motion = done.motion.times, done.motion
    figure = Figure(figsize=(12, 9), layout="constrained")
    axes = figure.subplots(5, 1)
    curves: Sequence[tuple[str, Mapping[str, NDArray[np.floating[Any]]]]] = (
        ("lips apart (mm)", {"solved": 1000 * lip_gap(motion), "tracked": 1000 * _tracked_gap(done)}),
        ("jaw, lips", {name: motion.channel(name) for name in ("jawOpen", "mouthFunnel", "mouthPucker")}),
        ("lids, brows", {name: motion.channel(name) for name in ("eyeBlinkLeft", "browInnerUp", "browDownLeft")}),
        ("head (degrees)", {name: np.degrees(motion.channel(name)) for name in ("headX", "headY", "headZ")}),
        ("pixels off", {"face": done.residual, "lips": done.lips}),
    )
    for axis, (title, lines) in zip(axes, curves, strict=True):
        for name, curve in lines.items():
            axis.plot(times, curve, label=name, linewidth=1.1)
        for start, stop, why in quality.gaps:
            axis.axvspan(start, stop, color="tab:red" if why == "lost" else "tab:orange", alpha=0.2, linewidth=0)
        axis.set_ylabel(title)
        axis.set_xlim(0, max(float(times[-1]), 1e-3))
        axis.grid(alpha=0.25)
        axis.legend(loc="upper right", fontsize="small", ncols=3, frameon=False)
    axes[-1].set_xlabel("seconds (shaded: no face)")
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=100)  # pyright: ignore[reportUnknownMemberType]


def _tracked_gap(done: Performance) -> Float:
    """The tracked opening in metres of the person's face, above rest."""
    points = done.tracker.person.points
    eyes = float(np.linalg.norm(points[LEFT_EYE] - points[RIGHT_EYE]))
    rest = float(np.linalg.norm(points[UPPER_LIP] - points[LOWER_LIP]))
    return np.where(done.ok, done.aperture * eyes - rest, np.nan)


def levels(sound: Sound, frames: int, fps: float) -> tuple[float, NDArray[np.bool_]]:
    """The level of speech in dB of full scale, and for every frame whether nothing is said around it."""
    power = np.zeros(frames)
    for k in range(frames):
        at = round(k / fps * SOUND_RATE)
        part = sound.samples[max(at - 640, 0) : at + 640].astype(np.float64) / 32768
        power[k] = np.mean(part**2) if len(part) else 0.0
    loud = power[power > max(float(power.max()) * 1e-3, 1e-7)]
    # Twice gated, as loudness is measured (ITU-R BS.1770), so that pauses do not count.
    speech = float(loud[loud > 0.1 * loud.mean()].mean()) if len(loud) else 1e-10
    level = 10 * float(np.log10(max(speech, 1e-10)))
    quiet = 10 * np.log10(np.maximum(power, 1e-10)) < level + SILENT
    calm = np.ones(frames, bool)
    for first, last in runs(~quiet):
        around = round(0.2 * fps)  # lips open before a word and close after it
        calm[max(first - around, 0) : last + around] = False
    return round(level, 1), calm


def _rounded(values: Sequence[float] | Float, digits: int) -> tuple[float, float, float]:
    x, y, z = (round(float(value), digits) for value in values)
    return x, y, z


def _spread(distances: Float) -> tuple[float, float]:
    seen = distances[np.isfinite(distances)]
    return (round(float(seen.mean()), 3), round(float(np.percentile(seen, 90)), 3)) if len(seen) else (0.0, 0.0)


def _agreement(done: Performance) -> dict[str, float]:
    found: dict[str, float] = {}
    seen = done.ok & np.isfinite(done.residual)
    for name in AGREEING:
        ours = done.motion.channel(name)[seen].astype(np.float64)
        theirs = done.scores[seen, MEDIAPIPE52.index(name)].astype(np.float64)
        if len(ours) > 10 and min(ours.std(), theirs.std()) > MOVES:
            found[name] = round(float(np.corrcoef(ours, theirs)[0, 1]), 3)
    return found


def _moving(motion: Motion, ok: NDArray[np.bool_]) -> dict[str, tuple[float, float, float]]:
    values = motion.values[ok].astype(np.float64)
    if not len(values):
        return {}
    facts = zip(ARKIT.names, values.mean(axis=0), values.std(axis=0), np.abs(values).max(axis=0), strict=True)
    return {
        name: (round(float(mean), 4), round(float(sd), 4), round(float(most), 4))
        for name, mean, sd, most in facts
        if most > 1e-3
    }


def _warnings(quality: Quality, apart: bool, rested: float | None) -> tuple[str, ...]:
    """What whoever filmed could do better: sound and picture surely are `apart`, lips `rested` for so many seconds."""
    found = [
        (quality.tracked < 0.9, f"the face is missing in {1 - quality.tracked:.0%} of the video"),
        (quality.eyes < 50, f"the face is small ({quality.eyes:.0f} pixels between the eyes): go nearer, 100 are good"),
        (quality.residual[0] > 0.03 * quality.eyes, "the landmarks fit badly: is the face in light, and not covered?"),
        (quality.others > 0, f"others are in the picture for {quality.others:.0%} of the time: see --face"),
        (quality.level is None, "there is no sound"),
        (quality.level is not None and quality.level < -45, "the sound is very quiet"),
        (
            apart,
            f"sound and picture are {abs(quality.offset or 0) * 1000:.0f} ms apart: --offset auto mends it",
        ),
        (
            quality.level is not None and quality.offset is None and quality.seconds > 5,
            "lips and sound do not go together: is it the speaker whom one sees?",
        ),
        (
            rested is not None and rested < RESTS,
            f"lips rest for {rested or 0:.1f} s: what they do throughout, such as a smile, is taken for their rest; "
            "several videos of a person, in a folder or in one style, are known together",
        ),
        (quality.sealed is not None and quality.sealed < 0.9, "lips that touch do not always shut"),
    ]
    return tuple(text for wrong, text in found if wrong)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
