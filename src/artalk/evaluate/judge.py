"""Judging performers on the validation split of a corpus: figures clip by clip, then seeds, then styles."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from artalk.audio import Audio
from artalk.data.clips import FPS, SAMPLE_RATE, Clip, Corpus, Entry
from artalk.evaluate import metrics, style
from artalk.evaluate.face import Face
from artalk.evaluate.metrics import Spread
from artalk.evaluate.performers import Performer
from artalk.motion import Motion

MINUTE = 60
"""Seconds of speech in which life is looked for."""

MINUTES = 4
"""Takes of that length at most."""

SEEDS = 3
SEED_CLIPS = 8
"""Seeds a clip, and clips, from which diversity is told."""

TAKE = 20
"""Seconds of clips joined for the dynamics of the upper face: in a sentence of three seconds other sentences of the
very same face are half as wrong as a dead face, in twenty a quarter."""


@dataclass(frozen=True)
class Judged:
    """A performer's figures: one dictionary a clip, in the order of `clips`; `overall` figures of several clips; FDD
    of each of the `takes` that clips are joined to."""

    name: str
    clips: tuple[str, ...]
    figures: tuple[dict[str, float], ...]
    overall: dict[str, Spread]
    takes: tuple[float, ...] = ()

    def interval(self, name: str) -> Spread:
        """Mean over clips and the ends of its 95 % bootstrap interval."""
        return metrics.interval(self.each(name))

    def each(self, name: str) -> list[float]:
        """A figure clip by clip; NaN where a clip has none."""
        return [row.get(name, float("nan")) for row in self.figures]

    def names(self) -> tuple[str, ...]:
        """The figures that any clip has."""
        return tuple(dict.fromkeys(name for row in self.figures for name in row))


def chosen(corpus: Corpus, most: int, source: str | None = None, with_motion: bool = True) -> list[Entry]:
    """At most `most` clips of the validation split, evenly spread: with measured motion of the mouth, or any."""
    entries = [
        entry
        for entry in corpus.select("validation")
        if (source is None or entry.source == source)
        and (not with_motion or (entry.kind == "real" and {"jaw", "mouth"} <= set(entry.observed)))
    ]
    places = np.linspace(0, len(entries) - 1, min(most, len(entries)))
    return [entries[round(float(place))] for place in places]


def judge(
    performer: Performer,
    corpus: Corpus,
    entries: Sequence[Entry],
    face: Face,
    styled: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Judged:
    """Perform each clip once and measure; then seeds and, with `styled`, the styles of the clips' sources, where the
    performer knows them.
    """
    judged = measure(performer, corpus, entries, face, styled, progress)
    overall = judged.overall | life(performer, corpus, entries)
    if performer.chancy:
        overall |= diversity(performer, corpus, entries, face)
    if performer.styled and styled:
        overall |= style.trials(performer, corpus, face, sources={entry.source for entry in entries})
    return replace(judged, overall=overall)


def measure(
    performer: Performer,
    corpus: Corpus,
    entries: Sequence[Entry],
    face: Face,
    styled: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Judged:
    """Perform each clip once and measure it.

    With `styled` a performer that follows styles is given the longest training clip of the same way of moving, as the
    paper does; without it has to do with its own.
    """
    rows: list[dict[str, float]] = []
    seen: list[Shown] = []
    for number, entry in enumerate(entries):
        clip = corpus.read(entry)
        sample = example(corpus, entry) if styled and performer.styled else None
        made = performer.perform(clip.audio, sample)[: len(clip.motion)]
        rows.append(_measured(face, clip, made))
        seen.append(shown(clip, made))
        if progress:
            progress(number + 1, len(entries))
    return _judged(performer.name, entries, rows, dynamics(face, seen))


def truth(corpus: Corpus, entries: Sequence[Entry], face: Face) -> Judged:
    """The clips' own motion, measured like a performance: what closures, silences, jitter of real faces come to.

    Its `fdd_takes` is that of other, training clips of the same face: what a perfect stranger to the take comes to. Its
    `style_right` is the ceiling of the style trials.
    """
    clips = [corpus.read(entry) for entry in entries]
    rows = [_measured(face, clip, clip.motion.values) for clip in clips]
    judged = _judged("truth", entries, rows, dynamics(face, _others(corpus, clips)))
    return replace(
        judged, overall=judged.overall | style.ceiling(corpus, face, sources={entry.source for entry in entries})
    )


def _judged(name: str, entries: Sequence[Entry], rows: Sequence[dict[str, float]], takes: Sequence[float]) -> Judged:
    overall = {"fdd_takes": metrics.interval(takes)} if takes else {}
    return Judged(name, tuple(entry.id for entry in entries), tuple(rows), overall, tuple(takes))


@dataclass(frozen=True, eq=False)
class Shown:
    """Motion made for a clip and the true one (frames, 55); what nobody measured is at rest in both."""

    entry: Entry
    made: NDArray[np.float32]
    true: NDArray[np.float32]


def shown(clip: Clip, made: NDArray[np.float32]) -> Shown:
    """What can be compared of a motion made for a clip."""
    true = clip.motion.values[: len(made)]
    return Shown(clip.entry, np.where(clip.observed, made, 0), np.where(clip.observed, true, 0))


def _measured(face: Face, clip: Clip, made: NDArray[np.float32]) -> dict[str, float]:
    figures = metrics.alone(face, made, clip.phones)
    if clip.entry.kind != "real" or not clip.entry.observed:
        return figures
    seen = shown(clip, made)
    return figures | metrics.compared(face, seen.made, seen.true)


def dynamics(face: Face, seen: Sequence[Shown]) -> list[float]:
    """FDD (mm) of takes of at least `TAKE` seconds, joined of clips of one speaker and style.

    Clips of which the upper face was not measured do not count.
    """
    by_way: dict[tuple[str, str], list[Shown]] = {}
    for one in seen:
        if "brows" in one.entry.observed:
            by_way.setdefault((one.entry.speaker, one.entry.style), []).append(one)
    return [metrics.fdd(face, *take) for clips in by_way.values() for take in _takes(clips)]


def _takes(clips: Sequence[Shown]) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Motion made and true motion of clips one after the other, as soon as they are long enough."""
    made: list[NDArray[np.float32]] = []
    true: list[NDArray[np.float32]] = []
    for clip in clips:
        made.append(clip.made)
        true.append(clip.true)
        if sum(map(len, true)) >= TAKE * FPS:
            yield np.concatenate(made), np.concatenate(true)
            made, true = [], []


def _others(corpus: Corpus, clips: Sequence[Clip]) -> list[Shown]:
    """Each clip with the motion of another clip of the same speaker and style, from training."""
    found: list[Shown] = []
    for number, clip in enumerate(clips):
        entry = clip.entry
        same = corpus.select("train", source=entry.source, speaker=entry.speaker, style=entry.style, kind=entry.kind)
        if same:
            other = corpus.read(same[number * 37 % len(same)])
            true = shown(clip, clip.motion.values).true
            found.append(Shown(entry, shown(other, other.motion.values).made, true))
    return found


def life(performer: Performer, corpus: Corpus, entries: Sequence[Entry]) -> dict[str, Spread]:
    """Blinks and head over minutes of clips one after the other: single ones are too short to tell."""
    rows = [metrics.life(performer.perform(Audio(sound, SAMPLE_RATE)), sound) for sound in minutes(corpus, entries)]
    return {name: metrics.interval([row[name] for row in rows]) for name in rows[0]} if rows else {}


def minutes(corpus: Corpus, entries: Sequence[Entry], most: int = MINUTES) -> list[NDArray[np.float32]]:
    """At most so many takes of a minute of sound, of different clips; one shorter one if there is no minute."""
    takes: list[NDArray[np.float32]] = []
    sounds: list[NDArray[np.float32]] = []
    for entry in entries:
        sounds.append(corpus.read(entry).audio.samples)
        if sum(map(len, sounds)) >= MINUTE * SAMPLE_RATE:
            takes.append(np.concatenate(sounds))
            sounds = []
            if len(takes) == most:
                return takes
    return takes or ([np.concatenate(sounds)] if sounds else [])


def example(corpus: Corpus, entry: Entry) -> Motion | None:
    """The longest training clip with the same way of moving; None where there is none of a second."""
    same = corpus.select("train", source=entry.source, speaker=entry.speaker, style=entry.style)
    longest = max(same, key=lambda e: (e.frames, e.id), default=None)
    return None if longest is None or longest.frames < 25 else style.sample(corpus, [corpus.read(longest)])


def diversity(performer: Performer, corpus: Corpus, entries: Sequence[Entry], face: Face) -> dict[str, Spread]:
    """How different seeds are, and how alike their lips; over some clips."""
    rows: list[dict[str, float]] = []
    for entry in entries[:: max(1, len(entries) // SEED_CLIPS)][:SEED_CLIPS]:
        audio = corpus.read(entry).audio
        rows.append(metrics.diversity(face, [performer.perform(audio, None, seed) for seed in range(SEEDS)]))
    return {name: metrics.interval([row[name] for row in rows]) for name in rows[0]} if rows else {}
