"""Mouth cues for drawn characters, in the three layouts of Rhubarb Lip Sync (.tsv, .json, .xml).

A cue says from when to when a mouth shape A to H or X is shown. Times are seconds with two decimals from the motion's
first frame, cues follow one another without a gap, and the first begins at 0: what Rhubarb 1.14 writes, line for line.
"""

import json
import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from artalk.channels import ARKIT
from artalk.errors import BadFile, BadInput, Unsupported
from artalk.formats import table
from artalk.formats.atomic import atomic
from artalk.motion import Fps, Motion, exact_fps
from artalk.retarget import letters
from artalk.retarget.letters import LETTERS, RHUBARB
from artalk.rigs.glb import objects, parse_json

FPS = 100
"""Frames a second of motion read from cues: their times have two decimals, so that each falls on a frame."""

LONGEST = 6 * 60 * 60
"""Seconds of the longest file of cues that is read."""


@dataclass(frozen=True)
class Cue:
    """One mouth shape from `start` to `end`, seconds."""

    start: float
    end: float
    letter: str


def cues_of(motion: Motion) -> list[Cue]:
    """The cues of a motion of ARKit's or Rhubarb's channels; see `artalk.retarget.letters`."""
    if motion.channels == ARKIT:
        motion = letters.from_arkit(motion)
    if motion.channels != RHUBARB:
        raise Unsupported(f"mouth cues come from ARKit motion, got {motion.channels.name!r}: retarget it first")
    if not len(motion):
        raise BadInput("mouth cues need at least one frame, got a motion of none")
    shown = motion.values.argmax(axis=1).astype(np.int64)
    spans = [
        (round(float(first / motion.fps), 2), round(float(end / motion.fps), 2), LETTERS[int(shown[first])])
        for first, end in letters.runs(shown)
    ]
    # Above 100 frames a second a cue may be shorter than the two decimals tell.
    cues = [Cue(*span) for span in spans if span[0] < span[1]]
    return cues or [Cue(0.0, 0.01, spans[0][2])]


def write_tsv(motion: Motion, path: str | Path) -> None:
    """Write `start<TAB>letter` lines and a last one at the end, at rest."""
    cues = cues_of(motion)
    lines = [f"{cue.start:.2f}\t{cue.letter}" for cue in cues] + [f"{cues[-1].end:.2f}\tX"]
    _write(path, "\n".join(lines) + "\n")


def write_json(motion: Motion, path: str | Path, sound: str = "") -> None:
    """Write Rhubarb's JSON; `sound` is the path of the sound file that it names."""
    cues = cues_of(motion)
    rows = [f'    {{ "start": {cue.start:.2f}, "end": {cue.end:.2f}, "value": "{cue.letter}" }}' for cue in cues]
    _write(
        path,
        f'{{\n  "metadata": {{\n    "soundFile": {json.dumps(_absolute(sound), ensure_ascii=False)},\n'
        f'    "duration": {cues[-1].end:.2f}\n  }},\n  "mouthCues": [\n' + ",\n".join(rows) + "\n  ]\n}\n",
    )


def write_xml(motion: Motion, path: str | Path, sound: str = "") -> None:
    """Write Rhubarb's XML; `sound` is the path of the sound file that it names."""
    cues = cues_of(motion)
    rows = [f'    <mouthCue start="{cue.start:.2f}" end="{cue.end:.2f}">{cue.letter}</mouthCue>' for cue in cues]
    _write(
        path,
        '<?xml version="1.0" encoding="utf-8"?>\n<rhubarbResult>\n  <metadata>\n'
        f"    <soundFile>{escape(_absolute(sound))}</soundFile>\n    <duration>{cues[-1].end:.2f}</duration>\n"
        "  </metadata>\n  <mouthCues>\n" + "\n".join(rows) + "\n  </mouthCues>\n</rhubarbResult>\n",
    )


def read_tsv(path: str | Path, fps: Fps | None = None) -> Motion:
    """Rhubarb motion (one letter a frame, 100 frames a second unless said) from `.tsv`."""
    name = Path(path).name
    lines = [line.split("\t") for line in table.text(path).splitlines() if line.strip()]
    if any(len(line) != 2 for line in lines):
        raise BadFile(f"{name}: a line of cues is a time, a tab and a letter")
    return _motion([(_seconds(time, name), _letter(value, name)) for time, value in lines], None, fps, name)


def read_json(path: str | Path, fps: Fps | None = None) -> Motion:
    """Rhubarb motion (one letter a frame, 100 frames a second unless said) from `.json`."""
    name = Path(path).name
    document = parse_json(table.text(path).encode(), name)
    if "mouthCues" not in document:
        raise BadFile(f"{name}: wanted Rhubarb's mouthCues, got {', '.join(document)[:200]}")
    cues = objects(document, "mouthCues", name)
    items = [(_seconds(cue.get("start"), name), _letter(cue.get("value"), name)) for cue in cues]
    return _motion(items, _seconds(cues[-1].get("end"), name) if cues else 0.0, fps, name)


def read_xml(path: str | Path, fps: Fps | None = None) -> Motion:
    """Rhubarb motion (one letter a frame, 100 frames a second unless said) from `.xml`."""
    name = Path(path).name
    content = table.text(path)
    if "<!DOCTYPE" in content or "<!ENTITY" in content:
        raise BadFile(f"{name}: mouth cues declare no document type; one that does may be an attack and is not read")
    try:
        found = ET.fromstring(content.encode()).findall("./mouthCues/mouthCue")
    except (ET.ParseError, LookupError, ValueError) as error:
        raise BadFile(f"{name} is no XML: {error}") from error
    items = [(_seconds(cue.get("start"), name), _letter(cue.text, name)) for cue in found]
    return _motion(items, _seconds(found[-1].get("end"), name) if found else 0.0, fps, name)


def is_json(path: str | Path) -> bool:
    """Whether a `.json` holds mouth cues rather than weights."""
    return "mouthCues" in parse_json(table.text(path).encode(), Path(path).name)


def _write(path: str | Path, content: str) -> None:
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        file.write(content)


def _absolute(sound: str) -> str:
    return str(Path(sound).absolute()) if sound else ""


def _seconds(value: Any, name: str) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if isinstance(value, bool) or not 0 <= seconds <= LONGEST:
        raise BadFile(f"{name}: a cue's time is seconds, 0 to {LONGEST}, got {str(value)[:20]!r}")
    return seconds


def _letter(value: Any, name: str) -> str:
    letter = str(value).strip()
    if letter not in LETTERS:
        raise BadFile(f"{name}: a mouth shape is one of {' '.join(LETTERS)}, got {letter[:20]!r}")
    return letter


def _motion(items: list[tuple[float, str]], end: float | None, fps: Fps | None, name: str) -> Motion:
    """Letters from their starts; where `end` is None the last item marks it."""
    if not items or (end is None and len(items) < 2):
        raise BadFile(f"{name}: wanted at least one mouth cue and its end")
    if end is None:
        end = items.pop()[0]
    starts = np.array([start for start, _ in items])
    if starts[0] != 0 or (np.diff(starts) <= 0).any() or end <= starts[-1]:
        raise BadFile(f"{name}: cues begin at 0, and each begins after the one before")
    rate = exact_fps(FPS if fps is None else fps)
    # Half a hundredth of slack: a time is only known to two decimals.
    count = max(1, math.ceil((end - 0.005) * float(rate)))
    at = np.searchsorted(starts, (np.arange(count) / float(rate)) + 1e-6, side="right") - 1
    values = np.zeros((count, len(LETTERS)), np.float32)
    values[np.arange(count), [LETTERS.index(items[k][1]) for k in at]] = 1.0
    return Motion(values, RHUBARB, rate)
