"""Takes of any length out of a corpus of short clips, as batches that depend on nothing but the recipe and the step.

A row of a batch is a pure function of (corpus, recipe, stage, step, row): a run that goes on, or that is shared out to
several processes, sees the same takes as one that never stopped.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from artalk.channels import ARKIT
from artalk.data.clips import FPS, SAMPLE_RATE, Clip, Corpus, Entry, Split
from artalk.data.habits import Habits, drawn
from artalk.data.phones import NUMBERS
from artalk.errors import BadInput
from artalk.models.batch import Batch
from artalk.motion import Motion
from artalk.train.recipe import Data
from artalk.train.sound import changed, sped

Float = NDArray[np.float32]

HOP = int(SAMPLE_RATE / FPS)

FRESH = 0.3
"""The share of takes that begin where a recording begins, with silence before."""

REMEMBERED = 4096
"""Clips kept in memory, about 100 kB each."""

Hear = Callable[[Float], NDArray[np.float16]]
"""(frames, features) that a frozen speech encoder makes of whole frames of sound."""

UNHEARD = np.zeros((0, 0), np.float16)

SILENCE = 100
"""Frames of silence that an encoder hears once, for all pauses."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Sound (frames · 640,), motion (frames, 55) and phones (2 · frames,) side by side; `observed` (55,).

    `heard` (frames, features) where an encoder has heard the sound already.
    """

    sound: Float
    motion: Float
    phones: NDArray[np.int64]
    observed: NDArray[np.bool_]
    heard: NDArray[np.floating] = field(default_factory=lambda: UNHEARD)

    def __len__(self) -> int:
        return len(self.motion)


@dataclass(frozen=True)
class Shape:
    """What a model wants: frames of a `window`, and of sound before (`past`) and after (`lookahead`) a take."""

    window: int
    past: int
    lookahead: int


Way = tuple[str, str, str]
"""Source, speaker and style: whose way of moving it is."""


class Takes:
    """The takes of one split. Speech without motion is drawn only where sound is wanted.

    Ways of moving are numbered from `first` on.
    """

    def __init__(
        self,
        corpus: Corpus,
        split: Split,
        data: Data,
        shape: Shape,
        seed: int,
        with_sound: bool,
        with_style: bool,
        hear: Hear | None = None,
        first: int = 0,
    ) -> None:
        self._data, self._shape, self._seed = data, shape, seed
        self._sound, self._styled = with_sound, with_style
        self._corpus = corpus
        self._read: Callable[[Entry], Piece] = lru_cache(REMEMBERED)(self._fresh)
        least = 2 * max(1, round(data.fade * FPS))
        chosen = [entry for entry in corpus.select(split) if self._weight(entry) > 0 and entry.frames > least]
        if not chosen:
            raise BadInput(f"the corpus at {str(corpus.folder)!r} has nothing for {split} that this recipe wants")
        self._entries = chosen
        shares = np.cumsum([self._weight(entry) * entry.seconds for entry in chosen])
        self._shares = shares / shares[-1]
        self._ways: dict[Way, list[Entry]] = {}
        for entry in chosen:
            self._ways.setdefault(_way(entry), []).append(entry)
        self._numbers = {way: number for number, way in enumerate(self._ways, first)}
        self._hear, self._silence = hear, UNHEARD
        if hear is not None:
            self._silence = hear(np.zeros(SILENCE * HOP, np.float32))
            for entry in chosen:  # now, and not on the thread that makes batches while a step draws its chances
                hear(self._fresh(entry).sound)

    def __getstate__(self) -> dict[str, Any]:
        """All but the clips in memory: a worker process has a memory of its own."""
        return {name: value for name, value in vars(self).items() if name != "_read"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin with an empty memory."""
        vars(self).update(state)
        self._read = lru_cache(REMEMBERED)(self._fresh)

    def _fresh(self, entry: Entry) -> Piece:
        piece = _piece(self._corpus.read(entry))
        return piece if self._hear is None else replace(piece, heard=self._hear(piece.sound))

    def _weight(self, entry: Entry) -> float:
        silent = not entry.observed
        if silent and not self._sound:
            return 0.0
        kind = "silent" if silent else entry.kind
        return self._data.sources.get(entry.source, 1.0) * self._data.kinds.get(kind, 1.0)

    @property
    def _follows(self) -> bool:
        """Whether what learns from the takes can know of a habit: from a style clip, or from the motion itself."""
        return self._styled or not self._sound

    @property
    def ways(self) -> int:
        """How many ways of moving there are."""
        return len(self._ways)

    def batch(self, step: int, rows: int, rank: int = 0, ranks: int = 1) -> Batch:
        """The rows of a step that fall to process `rank` of `ranks`."""
        mine = range(rank, rows, ranks)
        return collate([self.row(step, row) for row in mine])

    def row(self, step: int, row: int) -> dict[str, NDArray[np.generic]]:
        """One take: the fields of `Batch` without their first axis."""
        rng = np.random.default_rng([self._seed, step, row])
        shape, data = self._shape, self._data
        entry = self._entries[int(np.searchsorted(self._shares, rng.random()))]
        frames = shape.window * data.windows
        fresh = rng.random() < FRESH
        before = 0 if fresh else shape.past
        wanted = before + frames + shape.lookahead
        tempo = float(np.exp(rng.uniform(-data.sound.tempo, data.sound.tempo))) if self._sound else 1.0
        take = self._joined(entry, int(np.ceil(wanted * tempo)) + 2, rng, fresh)
        take = _played(take, tempo, wanted)
        made: dict[str, NDArray[np.generic]] = {
            "motion": take.motion[before : before + frames],
            "observed": take.observed.astype(np.float32),
        }
        if self._sound:
            sound = changed(take.sound, data.sound, rng, self._babble(rng) if data.sound.noise else None)
            made["sound"] = np.pad(sound, ((shape.past - before) * HOP, 0))
            made["phones"] = take.phones[2 * before : 2 * (before + frames)]
            if take.heard.size:
                made["heard"] = take.heard[before : before + frames].astype(np.float32)
        if self._styled:
            made |= self._style(entry, rng)
        if self._follows and entry.observed and data.habits and rng.random() < data.habits:
            made |= _worn(made, drawn(rng), row)
        return made

    def _style(self, entry: Entry, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
        low, high = (int(seconds * FPS) for seconds in self._data.style_seconds)
        frames = int(rng.integers(low, high + 1))
        other = self._ways[_way(entry)][int(rng.integers(len(self._ways[_way(entry)])))]
        clip = self._joined(other, frames, rng, False).motion[:frames]
        return {
            "style_clip": np.pad(clip, ((0, high - frames), (0, 0))),
            "style_frames": np.array([frames]),
            "style_id": np.array([self._numbers[_way(entry)]]),
        }

    def _babble(self, rng: np.random.Generator) -> Float:
        return self._read(self._entries[int(rng.integers(len(self._entries)))]).sound

    def _joined(self, first: Entry, frames: int, rng: np.random.Generator, fresh: bool) -> Piece:
        """Clips of one way of moving, `first` the first, until there are at least `frames`."""
        ways, data = self._ways[_way(first)], self._data
        fade = max(1, round(data.fade * FPS))
        piece = self._read(first)
        start = 0 if fresh else int(rng.integers(max(len(piece) - 2 * fade, 1)))
        parts, length = [_cut(piece, start)], len(piece) - start
        while length < frames:
            if rng.random() < data.pauses:
                pause = int(rng.integers(2 * fade, 2 * fade + 1 + int(data.pause * FPS)))
                parts.append(_pause(pause, parts[-1], self._silence))
                length += len(parts[-1]) - fade
            parts.append(self._read(ways[int(rng.integers(len(ways)))]))
            length += len(parts[-1]) - fade
        return _chained(_bridged(parts), fade)


def _way(entry: Entry) -> Way:
    return entry.source, entry.speaker, entry.style


def _piece(clip: Clip) -> Piece:
    """A clip with its sound cut or padded to whole frames, and a phone for every 20 ms (-1 unknown)."""
    motion = clip.motion.values
    frames = len(motion)
    sound = clip.audio.samples[: frames * HOP]
    phones = np.full(2 * frames, -1)
    for start, end, label in clip.phones:
        first, last = (round(2 * second * float(FPS)) for second in (start, end))
        phones[max(first, 0) : last] = NUMBERS.get(label, -1)
    return Piece(np.pad(sound, (0, frames * HOP - len(sound))), motion, phones, clip.observed)


def _cut(piece: Piece, first: int) -> Piece:
    phones = piece.phones[2 * first :]
    return Piece(piece.sound[first * HOP :], piece.motion[first:], phones, piece.observed, piece.heard[first:])


def _pause(frames: int, after: Piece, silence: NDArray[np.floating] = UNHEARD) -> Piece:
    """Digital silence, and what an encoder makes of it; its motion is filled in by `_bridged`.

    Beside clips whose phones nobody knows it is no phone either: of silence alone a phone head learns nothing else.
    """
    known = 0 if (after.phones >= 0).any() else -1
    motion = np.full((frames, len(ARKIT)), np.nan, np.float32)
    heard = silence[np.arange(frames) % len(silence)] if len(silence) else silence
    return Piece(np.zeros(frames * HOP, np.float32), motion, np.full(2 * frames, known), after.observed, heard)


def _bridged(parts: list[Piece]) -> list[Piece]:
    """Pauses whose motion goes from the pose before to the pose after, slowly in and out."""
    made = list(parts)
    for i, piece in enumerate(parts):
        if len(piece) and np.isnan(piece.motion[0, 0]):
            first, last = parts[i - 1].motion[-1], parts[i + 1].motion[0]
            share = (1 - np.cos(np.linspace(0, np.pi, len(piece), dtype=np.float32)))[:, None] / 2
            made[i] = replace(piece, motion=first + (last - first) * share)
    return made


def _chained(parts: list[Piece], fade: int) -> Piece:
    """One piece of several, each overlapping the one before by `fade` frames in which one goes over into the other."""
    sound, motion, phones = parts[0].sound, parts[0].motion, parts[0].phones
    observed, heard = parts[0].observed, parts[0].heard
    for part in parts[1:]:
        sound, motion = _faded(sound, part.sound, fade * HOP), _faded(motion, part.motion, fade)
        phones = np.concatenate([phones[: len(phones) - fade], part.phones[fade:]])
        observed, heard = observed & part.observed, _faded(heard, part.heard, fade)
    return Piece(sound, motion, phones, observed, heard)


def _faded(before: NDArray[np.floating], after: NDArray[np.floating], overlap: int) -> Float:
    overlap = min(overlap, len(before), len(after))
    rise = ((np.arange(overlap, dtype=np.float32) + 0.5) / overlap).reshape(-1, *([1] * (before.ndim - 1)))
    mixed = before[len(before) - overlap :] * (1 - rise) + after[:overlap] * rise
    return np.concatenate([before[: len(before) - overlap], mixed, after[overlap:]]).astype(np.float32)


def _played(piece: Piece, tempo: float, frames: int) -> Piece:
    """The first `frames` of a piece played at `tempo`."""
    if tempo == 1.0:
        sound, motion, phones = piece.sound[: frames * HOP], piece.motion[:frames], piece.phones[: 2 * frames]
        return Piece(sound, motion, phones, piece.observed, piece.heard[:frames])
    places = np.minimum(((np.arange(2 * frames) + 0.5) * tempo).astype(np.int64), len(piece.phones) - 1)
    return Piece(
        sped(piece.sound, tempo, frames * HOP),
        sped(piece.motion, tempo, frames),
        piece.phones[places],
        piece.observed,
    )


def _worn(made: dict[str, NDArray[np.generic]], habits: Habits, row: int) -> dict[str, NDArray[np.generic]]:
    """Motion and style clip of a row with habits that no other row has: a way of moving of its own."""
    worn: dict[str, NDArray[np.generic]] = {
        name: habits.worn(Motion(made[name].astype(np.float32), ARKIT, FPS)).values
        for name in ("motion", "style_clip")
        if name in made
    }
    return worn | ({"style_id": np.array([-1 - row])} if "style_id" in made else {})


def collate(rows: list[dict[str, NDArray[np.generic]]]) -> Batch:
    """A batch of the rows of `Takes.row`."""
    fields = {name: torch.tensor(np.stack([row[name] for row in rows])) for name in rows[0]}
    for name in ("style_frames", "style_id"):
        if name in fields:
            fields[name] = fields[name][:, 0]
    return Batch(**fields)
