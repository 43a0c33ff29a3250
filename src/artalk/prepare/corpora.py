"""What a corpus is worth: whether lips go with the sound, how loud it is, how often eyes blink and lips close."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT
from artalk.data.clips import Clip, Corpus, Entry, as_int16
from artalk.errors import needs
from artalk.formats.atomic import atomic
from artalk.prepare import sync
from artalk.prepare.film import Sound
from artalk.prepare.quality import APART, SEALED, levels, lip_gap
from artalk.prepare.take import runs
from artalk.summary import summarise

Float = NDArray[np.float64]

LOOKED_AT = 40
"""Clips of each source that are looked at, evenly spread."""

MOUTH = ("jaw", "mouth")


@dataclass(frozen=True)
class Checked:
    """One source of a corpus by some of its clips: (mean, sd) of each figure, None where it is not to be told.

    `level` of speech in dB of full scale; `offset` in seconds by which the motion comes after the sound and `together`,
    the share of clips in which lips and sound agree; `closures` of the lips and `blinks` a minute; `apart`, the share
    of silent frames with lips 4 mm apart.
    """

    source: str
    clips: int
    level: tuple[float, float] | None
    offset: tuple[float, float] | None
    together: float
    closures: tuple[float, float] | None
    blinks: tuple[float, float] | None
    apart: tuple[float, float] | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def words(self) -> str:
        """A line for a person."""
        parts = [
            f"speech at {self.level[0]:.0f} dB (sd {self.level[1]:.0f})" if self.level else "no sound",
            f"lips and sound agree in {self.together:.0%}",
        ]
        if self.offset:
            parts.append(f"lips {1000 * self.offset[0]:+.0f} ms (sd {1000 * self.offset[1]:.0f})")
        if self.closures:
            parts.append(f"{self.closures[0]:.0f} closures a minute")
        if self.apart:
            parts.append(f"lips apart in {self.apart[0]:.0%} of the silence")
        if self.blinks:
            parts.append(f"{self.blinks[0]:.0f} blinks a minute")
        return f"quality   {self.source}, {self.clips} clips: {', '.join(parts)}"


def check(corpus: Corpus, most: int = LOOKED_AT) -> list[Checked]:
    """Every source of a corpus by at most so many of its clips."""
    found: list[Checked] = []
    for source in dict.fromkeys(entry.source for entry in corpus.entries):
        entries = corpus.select(source=source)
        found.append(_checked(source, [_figures(corpus.read(entry)) for entry in _spread(entries, most)]))
    return found


def draw(corpus: Corpus, path: Path) -> None:
    """A picture of how much each channel moves, by kind of motion. Needs the extra `plot`."""
    needs("matplotlib", "plot", "drawing a corpus")
    from matplotlib.figure import Figure

    names = [name for name in ARKIT.names if any(name in facts for facts in corpus.statistics.values())]
    figure = Figure(figsize=(9, 0.2 * len(names) + 1.5), layout="constrained")
    axis: Any = figure.subplots()
    height = 0.8 / max(len(corpus.statistics), 1)
    for k, (kind, facts) in enumerate(corpus.statistics.items()):
        spread = [facts[name][1] if name in facts else 0.0 for name in names]
        axis.barh(np.arange(len(names)) + k * height, spread, height=height, label=kind)
    axis.set_yticks(np.arange(len(names)), names, fontsize="x-small")
    axis.invert_yaxis()
    axis.set_xlabel("standard deviation")
    axis.legend(frameon=False)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=100)  # pyright: ignore[reportUnknownMemberType]


def _spread(entries: Sequence[Entry], most: int) -> list[Entry]:
    chosen = np.linspace(0, len(entries) - 1, min(len(entries), most)).round().astype(int)
    return [entries[int(k)] for k in chosen]


def _figures(clip: Clip) -> dict[str, float]:
    """The figures of one clip; what it cannot tell is missing."""
    sound, motion = Sound(as_int16(clip.audio.samples)), clip.motion
    minutes, fps = max(float(motion.duration) / 60, 1e-9), float(motion.fps)
    found: dict[str, float] = {}
    quiet = np.zeros(len(motion), np.bool_)
    if len(sound.samples) and len(motion):
        found["level"], quiet = levels(sound, len(motion), fps)
    if any(clip.observed[ARKIT.slice(group)].any() for group in MOUTH):
        gap = lip_gap(motion)
        found["closures"] = sum(1 for _ in runs(gap < SEALED)) / minutes
        if quiet.sum() > 5:
            found["apart"] = float((gap[quiet] > APART).mean())
        offset = sync.offset(motion, np.ones(len(motion), np.bool_), sound)
        if offset is not None:
            found["together"] = float(offset.told)
            if offset.told:
                found["offset"] = offset.seconds
    blinks = summarise(motion).blinks
    if blinks is not None and clip.observed[ARKIT.index("eyeBlinkLeft")]:
        found["blinks"] = blinks.per_minute
    return found


def _checked(source: str, clips: Sequence[dict[str, float]]) -> Checked:
    def of(name: str) -> tuple[float, float] | None:
        values = [clip[name] for clip in clips if name in clip]
        return (round(float(np.mean(values)), 4), round(float(np.std(values)), 4)) if values else None

    together = of("together")
    return Checked(
        source,
        len(clips),
        of("level"),
        of("offset"),
        0.0 if together is None else together[0],
        of("closures"),
        of("blinks"),
        of("apart"),
    )
