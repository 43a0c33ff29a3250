"""Held-out clips that a model is judged on: their sound in, its motion against theirs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artalk.data.clips import Clip, Corpus, Entry
from artalk.evaluate import metrics
from artalk.evaluate.face import Face

Float = NDArray[np.float32]
Perform = Callable[[Tensor, Sequence[Clip]], Tensor]
"""(batch, frames or more, channels) motion of a batch's sound (batch, samples), padded with silence at the end."""

BATCH = 16


@dataclass(frozen=True, eq=False)
class Held:
    """Some clips of the validation split with real motion of the mouth, spread over sources."""

    clips: tuple[Clip, ...]
    face: Face

    def judge(self, perform: Perform) -> dict[str, float]:
        """Means over clips: `aperture` and `width` correlation, `lve` and `mod` in mm; `score` is 0 for perfection."""
        made = self.perform(perform)
        rows = [self._lips(motion, clip) for motion, clip in zip(made, self.clips, strict=True)]
        means = {name: _mean([row[name] for row in rows]) for name in rows[0]} if rows else {}
        return means | {"score": 1 - (means["aperture"] + means["width"]) / 2} if means else {}

    def _lips(self, made: Float, clip: Clip) -> dict[str, float]:
        """The figures of a clip by what was measured of it.

        Lips that stand still where the true ones move correlate by 0.
        Left out as not known, a model that moves in one clip alone would be judged by that one.
        """
        made, true = (np.where(clip.observed, motion, 0) for motion in (made, clip.motion.values))
        row, best = (metrics.lips(self.face, motion, true) for motion in (made, true))
        return {name: 0.0 if np.isnan(value) and not np.isnan(best[name]) else value for name, value in row.items()}

    def perform(self, perform: Perform) -> list[Float]:
        """(frames, channels) motion of each clip."""
        made: list[Float] = []
        order = sorted(range(len(self.clips)), key=lambda i: len(self.clips[i].audio.samples))
        for start in range(0, len(order), BATCH):
            chosen = [self.clips[i] for i in order[start : start + BATCH]]
            longest = max(len(clip.audio.samples) for clip in chosen)
            sound = np.stack([np.pad(c.audio.samples, (0, longest - len(c.audio.samples))) for c in chosen])
            motion = perform(torch.tensor(sound), chosen).float().cpu().numpy()
            made += [row[: len(clip.motion)] for row, clip in zip(motion, chosen, strict=True)]
        return [made[order.index(i)] for i in range(len(order))]


def _mean(values: Sequence[float]) -> float:
    """The mean of what is known, NaN where nothing is."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def held(corpus: Corpus, most: int, face: Face) -> Held:
    """At most `most` validation clips with measured motion of jaw and mouth, evenly spread over what there is."""
    entries = [e for e in corpus.select("validation", kind="real") if {"jaw", "mouth"} <= set(e.observed)]
    places = [float(place) for place in np.linspace(0, len(entries) - 1, min(most, len(entries)))]
    return Held(tuple(corpus.read(entries[round(place)]) for place in places), face)


def example(corpus: Corpus, entry: Entry) -> Clip | None:
    """The longest training clip with the same way of moving as `entry`; None where there is none."""
    same = corpus.select("train", source=entry.source, speaker=entry.speaker, style=entry.style)
    return corpus.read(max(same, key=lambda e: (e.frames, e.id))) if same else None
