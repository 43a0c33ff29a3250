"""Build a training corpus from folders of recordings.

    python -m artalk.data.build --shared FOLDER --face ict.npz --out CORPUS

FOLDER holds grid_s1/, facegood_zh/, kerstin_de/ and nathalie_nl/ (docs/data.md says what is in them); what is missing
is left out. A build that was stopped goes on where it was.
"""

import argparse
import csv
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artalk import audio
from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.data import align, facegood, grid, teacher, tracks
from artalk.data.clips import FPS, SAMPLE_RATE, Clip, Corpus, Entry, Kind, Phone, Writer, fitted, split_of
from artalk.data.cut import pieces
from artalk.data.landmarks import Face, ict_face
from artalk.data.phones import filled, from_ipa, spread
from artalk.data.styles import OWN, STYLES, Style, named, styled
from artalk.data.teacher import Taught, Teacher, measures
from artalk.errors import BadInput, MissingFile
from artalk.motion import Motion
from artalk.rigs import ict
from artalk.rigs.blendshape import BlendshapeRig
from artalk.rigs.head import head

log = logging.getLogger(__name__)

VALIDATION = {"grid_s1": 0.10, "facegood_zh": 0.12, "kerstin_de": 0.05, "nathalie_nl": 0.05}
"""The share of sentences (by a hash of the words) or of pieces that is kept from training."""

VOLUNTEER = "recorded by a volunteer who answered a call for public-domain voices, as its datasheet says"

TERMS: dict[str, dict[str, str]] = {
    "grid_s1": {
        "licence": "CC BY 4.0",
        "credit": "GRID corpus: Cooke, Barker, Cunningham, Shao (2006); faces tracked with MediaPipe",
        "consent": "recorded for publication as a corpus (University of Sheffield)",
    },
    # Nothing says how its speaker agreed: what is made of it stays with whoever made it.
    "facegood_zh": {"licence": "MIT", "credit": "FACEGOOD-Audio2Face", "consent": ""},
    "kerstin_de": {"licence": "CC0", "credit": "rhasspy dataset-voice-kerstin", "consent": VOLUNTEER},
    "nathalie_nl": {"licence": "CC0", "credit": "rhasspy dataset-voice-nathalie", "consent": VOLUNTEER},
}
"""Licence, credit and consent of the sources; clips with an empty one are not to be shared."""

LENT = (*ARKIT.names[ARKIT.slice("eyes")], *ARKIT.names[ARKIT.slice("head")])
"""Channels of GRID that were measured and are not to be learnt: a reader whose head is propped up and who blinks after
every three seconds' sentence (47 times a minute) is no example for free speech."""

LEAD, TAIL = 0.4, 0.5
"""Seconds of the recording's own quiet put before and after sound that begins and ends with speech."""

KNOWN_BY = 60
"""Tracks from which a person is known."""

DUTCH, GERMAN = ("nl+f3",), ("de+f3", "de+f2")


def build(folder: Path, face: Path, out: Path, sources: Sequence[str], count: int | None = None) -> Corpus:
    """Build the corpus of `sources` at `out`; `count` limits the recordings of each (for trying it out)."""
    unknown = sorted(set(sources) - set(TERMS))
    if unknown:
        raise BadInput(f"sources are {', '.join(TERMS)}, got {', '.join(unknown)}")
    writer = Writer(out)
    where = out / "teacher.json"
    found = [source for source in sources if (folder / source).is_dir()]
    if not found:
        raise MissingFile(f"{str(folder)!r} has none of the folders {', '.join(sources)}")
    if "grid_s1" in found:
        model = ict.load(face)
        _add(writer, _grid(folder / "grid_s1", ict_face(model), writer, count), "grid_s1")
        writer.finish()
        if not where.is_file():
            learnt = _learn(writer.finish())
            learnt.save(where)
    if "facegood_zh" in found:
        _add(writer, _facegood(folder / "facegood_zh", count), "facegood_zh")
    if {"kerstin_de", "nathalie_nl"} & set(found):
        wise = Teacher.load(where)
        if "kerstin_de" in found:
            _add(writer, _kerstin(folder / "kerstin_de", wise, writer, count), "kerstin_de")
        if "nathalie_nl" in found:
            _add(writer, _nathalie(folder / "nathalie_nl", wise, writer, count), "nathalie_nl")
    for source in found:
        writer.renew(source, TERMS[source])
    return writer.finish()


def _add(writer: Writer, clips: Iterator[Clip], source: str) -> None:
    done = 0
    for clip in clips:
        if clip.entry.id not in writer:
            writer.add(clip)
            done += 1
            if done % 100 == 0:
                log.info("%s: %d clips", source, done)
    log.info("%s: %d new clips", source, done)


def _grid(folder: Path, face: Face, writer: Writer, count: int | None) -> Iterator[Clip]:
    """Every sentence as it was, and once more in a planted style."""
    files = sorted((folder / "tracks").glob("*.npz"))
    if not files:
        raise MissingFile(f"{str(folder)!r} has no tracks")
    known = [tracks.read(path) for path in files[:: max(1, len(files) // KNOWN_BY)]]
    tracker = tracks.Tracker(face, tracks.know(known, face), (head(),))
    seen = tracks.OBSERVED & ~np.isin(ARKIT.names, LENT)
    english = grid.aligner()
    for number, sentence in enumerate(grid.sentences(folder)):
        style = _style_of(sentence.name, STYLES)
        names = [f"grid_s1-{sentence.name}", f"grid_s1-{sentence.name}-{style.name}"]
        if count is not None and number >= count:
            break
        if all(name in writer for name in names):
            continue
        motion = _at_25(tracker.solve(tracks.read(sentence.track)), sentence.audio)
        phones = grid.phones(sentence, english)
        entry = replace(_entry(names[0], "grid_s1", "grid_s1", "en", sentence.text, "real"), face="ict")
        yield Clip(entry, sentence.audio, motion, seen, phones)
        habit = replace(entry, id=names[1], kind="styled", style=style.name)
        # A habit tells of what the source shows; what it does not show stays unseen.
        yield Clip(habit, sentence.audio, styled(motion, style), seen, phones)
    log.info("alignment: %d of %d sentences failed, %d words strayed", english.failures, english.total, english.strayed)


def _learn(corpus: Corpus) -> Teacher:
    chosen = corpus.select("train", source="grid_s1", kind="real")
    real = [Taught(clip.phones, clip.motion.values) for clip in (corpus.read(entry) for entry in chosen)]
    return teacher.learn(real, rig_measures(head()))


def rig_measures(rig: BlendshapeRig) -> NDArray[np.float64]:
    """What a teacher has to get right, on a rig: the gap and the width of the mouth, and a little of every channel."""
    if rig.landmarks is None:
        raise BadInput("a rig to learn on names its lips' landmarks")
    marks = rig.landmarks
    upper, lower, left, right = (
        rig.deltas[:, vertex].astype(np.float64) * 1000
        for vertex in (
            marks.inner_upper_lip,
            marks.inner_lower_lip,
            marks.left_mouth_corner,
            marks.right_mouth_corner,
        )
    )
    moved = np.sqrt(sum((part**2).sum(axis=1) for part in (upper, lower, left, right)))
    gap, width = upper[:, 1] - lower[:, 1], left[:, 0] - right[:, 0]
    names = [name for name in rig.shapes if name in ARKIT.names]
    rows = [rig.shapes.index(name) for name in names]
    sizes, gaps, widths = (
        {name: float(values[row]) for name, row in zip(names, rows, strict=True)}
        for values in (0.1 * moved, gap, 0.5 * width)
    )
    return measures(sizes, gaps, widths)


def _facegood(folder: Path, count: int | None) -> Iterator[Clip]:
    names = facegood.read_names(folder / "names.txt")
    for path in sorted(folder.glob("*.npy"))[:count]:
        sound = audio.load(path.with_suffix(".flac")).resampled(SAMPLE_RATE)
        motion = _at_25(facegood.read(path, names), sound)
        for number, (first, last) in enumerate(pieces(sound)):
            name = f"facegood_zh-{path.stem}-{number:02d}"
            part = Audio(sound.samples[first * 640 : last * 640], SAMPLE_RATE)
            cut = replace(motion.cut(first, min(last, len(motion))), start=0)
            entry = _entry(name, "facegood_zh", "facegood_zh", "zh", "", "real", key=name)
            yield Clip(entry, part, cut, facegood.OBSERVED)


def _kerstin(folder: Path, wise: Teacher, writer: Writer, count: int | None) -> Iterator[Clip]:
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row[0], row[1]) for row in csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE) if len(row) >= 2]
    sounds = {path.stem: path for path in (folder / "audio").iterdir()}
    for name, text in rows[:count]:
        if name in sounds and f"kerstin_de-{name}" not in writer:
            sound = audio.load(sounds[name]).resampled(SAMPLE_RATE)
            phones = align.by_synthesis(sound, align.clean(text), GERMAN)
            yield _taught("kerstin_de", name, "de", text, sound, phones, wise)


def _nathalie(folder: Path, wise: Teacher, writer: Writer, count: int | None) -> Iterator[Clip]:
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        texts = {row[0]: row[1] for row in csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE) if len(row) >= 2}
    sounds = {path.stem: path for path in (folder / "audio").iterdir()}
    lines = (folder / "nathalie_align.jsonl").read_text(encoding="utf-8").splitlines()
    for line in lines[:count]:
        given = json.loads(line)
        name = str(given["id"])
        if name in sounds and f"nathalie_nl-{name}" not in writer:
            sound = audio.load(sounds[name]).resampled(SAMPLE_RATE)
            spans = [
                part
                for word in given["words"]
                for phone in word["phones"]
                for part in spread(phone["start"], phone["start"] + phone["duration"], from_ipa(phone["phone"]))
            ]
            phones = filled(spans, float(sound.duration))
            yield _taught("nathalie_nl", name, "nl", texts.get(name, ""), sound, phones, wise)


def _taught(
    source: str, name: str, language: str, text: str, sound: Audio, phones: Sequence[Phone], wise: Teacher
) -> Clip:
    style = _style_of(f"{source}-{name}", (OWN, OWN, *STYLES))
    clip_id = f"{source}-{name}"
    sound, phones = with_quiet(sound, phones, _number(clip_id))
    motion = wise.motion(sound, phones, named(style.name), seed=_number(clip_id))
    entry = replace(_entry(clip_id, source, source, language, text, "taught"), style=style.name)
    # The teacher knows of the mouth what tracked faces showed; the rest of the face is all its own.
    return Clip(entry, sound, motion, tracks.OBSERVED, phones)


def with_quiet(sound: Audio, phones: Sequence[Phone], seed: int) -> tuple[Audio, tuple[Phone, ...]]:
    """A recording with its own quiet before and after, and its phones: so that a mouth opens from rest and closes."""
    rng = np.random.default_rng(seed)
    size = SAMPLE_RATE // 100
    power = np.square(sound.samples[: len(sound) // size * size].astype(np.float64)).reshape(-1, size).mean(axis=1)
    loud = float(np.sqrt(np.percentile(power, 2))) if len(power) else 0.0
    level = min(max(loud, 2e-5), 2e-3)
    lead, tail = (level * rng.standard_normal(round(seconds * SAMPLE_RATE)) for seconds in (LEAD, TAIL))
    samples = np.concatenate([lead, sound.samples, tail]).astype(np.float32)
    moved = [(start + LEAD, end + LEAD, phone) for start, end, phone in phones]
    whole = Audio(samples, SAMPLE_RATE)
    return whole, filled(moved, float(whole.duration))


def _at_25(motion: Motion, sound: Audio) -> Motion:
    frames = sound.frames_at(FPS)
    if motion.fps != FPS:
        motion = motion.resample(FPS)
    return replace(motion, values=fitted(motion.values, frames), start=0)


def _entry(name: str, source: str, speaker: str, language: str, text: str, kind: Kind, key: str | None = None) -> Entry:
    split = split_of(key or text or name, VALIDATION[source])
    licence, credit, consent = (TERMS[source][term] for term in ("licence", "credit", "consent"))
    return Entry(
        name, source, speaker, language, text, 0, 0.0, kind, split, "", licence=licence, credit=credit, consent=consent
    )


def _style_of(name: str, styles: Sequence[Style]) -> Style:
    return styles[_number(name) % len(styles)]


def _number(name: str) -> int:
    return int.from_bytes(sha256(name.encode()).digest()[:4], "big")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m artalk.data.build", description="Build a training corpus.")
    parser.add_argument("--shared", type=Path, required=True, help="the folder with the sources' folders")
    parser.add_argument("--face", type=Path, required=True, help="ICT-FaceKit: its folder or a packed .npz")
    parser.add_argument("--out", type=Path, required=True, help="where the corpus goes")
    parser.add_argument("--sources", nargs="+", default=list(TERMS), help="some of %(default)s")
    parser.add_argument("--count", type=int, help="at most this many recordings of each source")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    corpus = build(options.shared, options.face, options.out, options.sources, options.count)
    log.info("%s", corpus.words())


if __name__ == "__main__":
    main()
