"""Judging performers on the validation split of a corpus: figures clip by clip, then seeds, then styles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.data.clips import SAMPLE_RATE, Clip, Corpus, Entry
from artalk.evaluate import metrics
from artalk.evaluate.face import Face
from artalk.evaluate.performers import Performer
from artalk.motion import Motion

MINUTE = 60
"""Seconds of speech in which life is looked for."""

SEEDS = 3
SEED_CLIPS = 8
"""Seeds a clip, and clips, from which diversity is told."""


@dataclass(frozen=True)
class Judged:
    """A performer's figures: one dictionary a clip, in the order of `clips`; `overall` figures of several clips."""

    name: str
    clips: tuple[str, ...]
    figures: tuple[dict[str, float], ...]
    overall: dict[str, float]

    def interval(self, name: str) -> tuple[float, float, float]:
        """Mean over clips and the ends of its 95 % bootstrap interval."""
        return metrics.interval([row.get(name, float("nan")) for row in self.figures])

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
    """Perform each clip once and measure; then seeds and styles, where the performer knows them.

    With `styled` a performer that follows styles is given the longest training clip of the same way of moving, as the
    paper does; without it has to do with its own.
    """
    rows: list[dict[str, float]] = []
    for number, entry in enumerate(entries):
        clip = corpus.read(entry)
        sample = example(corpus, entry) if styled and performer.styled else None
        rows.append(_measured(face, clip, performer.perform(clip.audio, sample)[: len(clip.motion)]))
        if progress:
            progress(number + 1, len(entries))
    overall = life(performer, corpus, entries)
    if performer.chancy:
        overall |= diversity(performer, corpus, entries, face)
    if performer.styled:
        overall |= style_trials(performer, corpus)
    return Judged(performer.name, tuple(entry.id for entry in entries), tuple(rows), overall)


def truth(corpus: Corpus, entries: Sequence[Entry], face: Face) -> Judged:
    """The clips' own motion, measured like a performance: what closures, silences, jitter of real faces come to."""
    clips = [corpus.read(entry) for entry in entries]
    rows = tuple(_measured(face, clip, clip.motion.values) for clip in clips)
    return Judged("truth", tuple(entry.id for entry in entries), rows, {})


def _measured(face: Face, clip: Clip, made: NDArray[np.float32]) -> dict[str, float]:
    figures = metrics.alone(face, made, clip.phones)
    if clip.entry.kind != "real" or not clip.entry.observed:
        return figures
    # What nobody measured is neither right nor wrong.
    seen = np.where(clip.observed, clip.motion.values[: len(made)], 0.0).astype(np.float32)
    return figures | metrics.compared(face, np.where(clip.observed, made, 0.0).astype(np.float32), seen)


def life(performer: Performer, corpus: Corpus, entries: Sequence[Entry]) -> dict[str, float]:
    """Blinks and head over a minute of clips one after the other: single ones are too short to tell."""
    sounds: list[NDArray[np.float32]] = []
    for entry in entries:
        sounds.append(corpus.read(entry).audio.samples)
        if sum(map(len, sounds)) > MINUTE * SAMPLE_RATE:
            break
    sound = np.concatenate(sounds)
    return metrics.life(performer.perform(Audio(sound, SAMPLE_RATE)), sound)


def example(corpus: Corpus, entry: Entry) -> Motion | None:
    """The longest training clip with the same way of moving; None where there is none of a second."""
    same = corpus.select("train", source=entry.source, speaker=entry.speaker, style=entry.style)
    longest = max(same, key=lambda e: (e.frames, e.id), default=None)
    return None if longest is None or longest.frames < 25 else corpus.read(longest).motion


def diversity(performer: Performer, corpus: Corpus, entries: Sequence[Entry], face: Face) -> dict[str, float]:
    """How different seeds are, and how alike their lips; means over some clips."""
    rows: list[dict[str, float]] = []
    for entry in entries[:: max(1, len(entries) // SEED_CLIPS)][:SEED_CLIPS]:
        audio = corpus.read(entry).audio
        rows.append(metrics.diversity(face, [performer.perform(audio, None, seed) for seed in range(SEEDS)]))
    return {name: float(np.nanmean([row[name] for row in rows])) for name in rows[0]} if rows else {}


def style_trials(performer: Performer, corpus: Corpus, most: int = 60) -> dict[str, float]:
    """`style_right`: how often motion made in a style is nearer to that style than to any other of the corpus.

    References and sounds are clips of the validation split; a style's own distribution is that of its validation clips
    but the reference. `style_distance` is the mean distance to the right one, in deviations.
    """
    ways: dict[tuple[str, str], list[Entry]] = {}
    for entry in corpus.select("validation"):
        if entry.observed and entry.frames >= 25:
            ways.setdefault((entry.speaker, entry.style), []).append(entry)
    ways = {way: entries for way, entries in ways.items() if len(entries) >= 2}
    if len(ways) < 2:
        return {}
    scale = _deviations(corpus)
    looks = {way: _together(corpus, entries[1:6]) for way, entries in ways.items()}
    trials = [(way, entry) for way, entries in ways.items() for entry in entries[1:6]][:most]
    right, distances = 0, list[float]()
    for way, entry in trials:
        reference = corpus.read(ways[way][0])
        made = performer.perform(corpus.read(entry).audio, reference.motion)
        far = {
            other: metrics.style_distance(made, look, observed & looks[way][1], scale)
            for other, (look, observed) in looks.items()
        }
        right += min(far, key=lambda other: far[other]) == way
        distances.append(far[way])
    return {"style_right": right / len(trials), "style_distance": float(np.mean(distances))}


def _together(corpus: Corpus, entries: Sequence[Entry]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    clips: list[Clip] = [corpus.read(entry) for entry in entries]
    observed = np.logical_and.reduce([clip.observed for clip in clips])
    return np.concatenate([clip.motion.values for clip in clips]), observed


def _deviations(corpus: Corpus) -> NDArray[np.float64]:
    rows = [kind for kind in corpus.statistics.values()]
    return np.array([max((kind[name][1] for kind in rows if name in kind), default=0.0) for name in ARKIT.names])
