"""A folder of captures or videos becomes a corpus: planned, prepared item by item, gathered.

    FOLDER/records/SOURCE/plan.json     which speakers are held out: decided once, so that more recordings move nobody
    FOLDER/records/SOURCE/NAME.json     what became of a recording: its clips, what was rejected and why

A record is written after its clips, so a run that is killed goes on with what has none. Clips and records are functions
of their recording and settings alone: whoever makes them, and however often, they are the same bytes.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any, cast

from artalk import audio, captures, config
from artalk.channels import ARKIT
from artalk.data import times
from artalk.data.clips import Clip, Corpus, Entry, Split, Writer, store
from artalk.data.collection import Collection, slug
from artalk.data.layouts import VIDEOS, Item, items, language_of
from artalk.data.recording import REASONS, Align, Recording, Rejected, Wishes, clips
from artalk.errors import ArtalkError, BadAudio, BadFile, Unsupported
from artalk.formats.atomic import atomic

RECORDS, INDEX = "records", "index.json"

Solve = Callable[["captures.Capture | captures.Surface"], captures.Capture]
"""A capture in ARKit's channels from FLAME's coefficients or from vertices."""

Watch = Callable[[Path, Path | None], Recording]
"""A recording from a video, and from a sound where that lies elsewhere."""


@dataclass(frozen=True)
class Tools:
    """What lies above this half of artalk: `watch` for videos, `solve` for FLAME and vertices, `align` for sync."""

    watch: Watch | None = None
    solve: Solve | None = None
    align: Align | None = None


@dataclass(frozen=True)
class Task:
    """One recording to prepare: everything that its clips depend on. Made of plain values, for workers anywhere."""

    folder: str
    out: str
    item: Item
    source: str
    language: str
    fps: float
    wishes: Wishes
    masked: tuple[str, ...]
    held_out: bool | None
    validation: float

    @property
    def record(self) -> Path:
        """Where what becomes of it is written."""
        return records(Path(self.out), self.source) / f"{self.item.name}.json"

    @property
    def motion(self) -> Path:
        """The capture or video."""
        return Path(self.folder) / self.item.motion

    @property
    def sound(self) -> Path | None:
        """The file of its sound, None where it is a video's own."""
        return Path(self.folder) / self.item.sound if self.item.sound else None

    @property
    def needs(self) -> tuple[Path, ...]:
        """Files besides the capture or video on which its clips depend."""
        named = (self.item.sound, self.item.times)
        return tuple(Path(self.folder) / name for name in named if name)

    def settings(self) -> dict[str, Any]:
        """As plain values, but for where it lies: a corpus that is moved is still done. `task` reads them back."""
        return {name: value for name, value in config.to_dict(self).items() if name not in ("folder", "out")}


@dataclass(frozen=True)
class Record:
    """What became of a recording of so many `seconds`.

    `seen` is the share of it with the face in sight, `residual` as of `Recording`; None where nobody knows, as in
    records of earlier versions.
    """

    clips: tuple[str, ...]
    rejected: tuple[Rejected, ...]
    seconds: float | None = None
    seen: float | None = None
    residual: float | None = None


def records(out: Path, source: str) -> Path:
    """The folder of a source's records."""
    return out / RECORDS / source


def task(settings: Mapping[str, Any], folder: str, out: str) -> Task:
    """The task of `Task.settings`, of recordings in `folder`, for the corpus at `out`."""
    return config.from_dict(Task, {**settings, "folder": folder, "out": out})


def plan(folder: Path, out: Path, collection: Collection) -> list[Task]:
    """What there is to do, by name; decides who is held out and notes it in `out`, which is made."""
    found = items(folder, collection.layout)
    place = records(out, collection.source)
    place.mkdir(parents=True, exist_ok=True)
    (out / "clips").mkdir(exist_ok=True)
    _sweep(place)
    _sweep(out / "clips")
    held = _held_out(place / "plan.json", collection, {item.speaker or collection.source for item in found})
    return [
        Task(
            str(folder.resolve()),
            str(out.resolve()),
            replace(item, speaker=item.speaker or collection.source),
            collection.source,
            language_of(item.motion, collection.layout) or collection.language,
            collection.fps,
            collection.clips,
            collection.masked,
            held.get(item.speaker or collection.source),
            collection.validation,
        )
        for item in found
    ]


def do(work: Task, tools: Tools = Tools()) -> Record:
    """Prepare one recording: write its clips, then its record. What cannot be read is a rejection, not an error."""
    # An index that is there says that nothing has changed since it was made.
    (Path(work.out) / INDEX).unlink(missing_ok=True)
    made: list[str] = []
    rejected: list[Rejected] = []
    known: dict[str, float | None] = {}
    try:
        recording = _masked(work, _recording(work, tools))
        known = _known(recording)
        for part in clips(recording, _entry(work, recording.face), work.wishes, tools.align):
            if isinstance(part, Clip):
                made.append(store(Path(work.out), part).id)
            else:
                rejected.append(part)
    except BadAudio as error:
        rejected.append(Rejected("no sound", 0.0, _said(error, work)))
    except BadFile as error:
        rejected.append(Rejected("unreadable", 0.0, _said(error, work)))
    record = Record(tuple(made), tuple(rejected), **known)
    with atomic(work.record) as temporary:
        temporary.write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")
    return record


def _said(error: ArtalkError, work: Task) -> str:
    """What an error says, with paths within the folder: a record is the same wherever that lies."""
    return str(error).replace(f"{work.folder}/", "")


def is_done(work: Task) -> bool:
    """Whether a recording has a record and all the clips that it names."""
    try:
        record = _record(work.record)
    except ArtalkError:
        return False
    return all((Path(work.out) / "clips" / f"{name}.npz").is_file() for name in record.clips)


def gather(out: Path, collection: Collection) -> Corpus:
    """Write the corpus' index when all is done.

    Clips of this source that no record names, of earlier settings, are deleted; licence, credit and consent are brought
    up to date in those that stay.
    """
    named = {name for record in read_records(out, collection.source).values() for name in record.clips}
    terms = {"licence": collection.licence, "credit": collection.credit, "consent": collection.consent}
    writer = Writer(out)
    mine = [entry for entry in writer.entries if entry.source == collection.source]
    stray = [entry.id for entry in mine if entry.id not in named]
    if (out / INDEX).is_file() and not stray and all(entry.under(terms) for entry in mine):
        return Corpus(out)
    (out / INDEX).unlink(missing_ok=True)
    for name in stray:
        writer.remove(name)
    writer.renew(collection.source, terms)
    return writer.finish()


def read_records(out: Path, source: str) -> dict[str, Record]:
    """What became of each recording of a source, by name."""
    return {path.stem: _record(path) for path in sorted(records(out, source).glob("*.json")) if _is_record(path)}


@dataclass(frozen=True)
class Tally:
    """The records of a source: recordings, those that gave clips, rejected counts and seconds by reason.

    `examples` names a recording for each reason. `seen` is the share of all seconds with the face in sight, `residual`
    the (mean, sd) over videos of the pixels by which landmarks are off the solved face; None where no record knows.
    """

    source: str
    recordings: int
    used: int
    rejected: dict[str, tuple[int, float]]
    examples: dict[str, str]
    seen: float | None
    residual: tuple[float, float] | None

    def words(self) -> str:
        """A line for a person, and one more for each reason to reject."""
        said = f"prepared  {self.source}: {self.used} of {self.recordings} recordings gave clips"
        return "\n".join([", ".join([said, *self._tracked()]), *(f"rejected  {line}" for line in self._rejected())])

    def _tracked(self) -> list[str]:
        said = [] if self.seen is None else [f"face seen in {self.seen:.1%} of the time"]
        if self.residual is not None:
            said.append("landmarks {:.2f} pixels off (sd {:.2f})".format(*self.residual))
        return said

    def _rejected(self) -> list[str]:
        def example(reason: str) -> str:
            return f": {self.examples[reason]}" if self.examples.get(reason) else ""

        return [
            f"{count} × {REASONS[reason]} ({seconds:.0f} s){example(reason)}"
            for reason, (count, seconds) in self.rejected.items()
        ]


def tallies(out: Path) -> list[Tally]:
    """What became of each source that was prepared into the corpus at `out`; none where its records do not lie."""
    return [tally(place.name, read_records(out, place.name)) for place in sorted((out / RECORDS).glob("*/"))]


def tally(source: str, known: Mapping[str, Record]) -> Tally:
    """The sums of a source's records by name."""
    parts = [(name, part) for name, record in known.items() for part in record.rejected]
    rejected: dict[str, tuple[int, float]] = {}
    for _, part in parts:
        count, seconds = rejected.get(part.reason, (0, 0.0))
        rejected[part.reason] = (count + 1, seconds + part.seconds)
    watched = [(r.seen, r.seconds) for r in known.values() if r.seen is not None and r.seconds]
    pixels = [record.residual for record in known.values() if record.residual is not None]
    return Tally(
        source,
        len(known),
        sum(bool(record.clips) for record in known.values()),
        dict(sorted(rejected.items(), key=lambda item: -item[1][0])),
        {part.reason: f"{name}{f' ({part.detail})' if part.detail else ''}" for name, part in reversed(parts)},
        round(sum(s * t for s, t in watched) / sum(t for _, t in watched), 4) if watched else None,
        (round(fmean(pixels), 3), round(pstdev(pixels), 3)) if pixels else None,
    )


@dataclass(frozen=True)
class Report(Tally):
    """What became of a collection: besides its tally its clips, speakers, and what is missing."""

    clips: int
    minutes: float
    speakers: int
    held_out: tuple[str, ...]
    missing: tuple[str, ...]
    expected: tuple[int, int]
    absent: tuple[str, ...]

    def words(self) -> str:
        """A few lines for a person."""
        lines = [
            f"{self.source}: {self.used} of {self.recordings} recordings gave {self.clips} clips, "
            f"{self.minutes:.1f} minutes, {self.speakers} speakers"
        ]
        lines += [", ".join(said)] if (said := self._tracked()) else []
        recordings, speakers = self.expected
        if self.recordings < 0.9 * recordings:
            lines.append(
                f"there should be about {recordings} recordings of {speakers} speakers: is the download whole?"
            )
        if self.absent:
            lines.append(f"held_out names {', '.join(self.absent)}, who did not speak here")
        if self.speakers > 1:
            lines.append(f"held out: {', '.join(self.held_out) or 'nobody; name some in held_out'}")
        lines += [f"rejected: {line}" for line in self._rejected()]
        if self.missing:
            lines.append(f"not to be shared while collection.toml (or the recipe) lacks: {', '.join(self.missing)}")
        return "\n".join(lines)


def report(corpus: Corpus, collection: Collection) -> Report:
    """What became of a collection, from its records and the finished corpus."""
    mine = corpus.select(source=collection.source)
    return Report(
        **vars(tally(collection.source, read_records(corpus.folder, collection.source))),
        clips=len(mine),
        minutes=sum(entry.seconds for entry in mine) / 60,
        speakers=len({entry.speaker for entry in mine}),
        held_out=tuple(sorted({entry.speaker for entry in mine if entry.split == "validation"})),
        missing=collection.missing,
        expected=(collection.recordings, collection.speakers),
        absent=tuple(name for name in collection.held_out if slug(name) not in {entry.speaker for entry in mine}),
    )


def _recording(work: Task, tools: Tools) -> Recording:
    if work.motion.suffix.lower() in VIDEOS:
        if tools.watch is None:
            raise Unsupported(f"{work.item.motion} is a video: tracking faces needs the extra track")
        return _with_times(work, tools.watch(work.motion, work.sound))
    capture = captures.read(work.motion, Fraction(work.fps).limit_denominator(1001) if work.fps else None)
    if work.sound is None:
        raise BadAudio(f"no sound called like {work.item.motion} lies beside it")
    sound = audio.load(work.sound)
    if isinstance(capture, captures.Surface) or capture.motion.channels != ARKIT:
        if tools.solve is None:
            raise Unsupported(f"{work.item.motion} holds {capture.tool}, which a face model turns into ARKit weights")
        capture = tools.solve(capture)
    return _with_times(work, Recording(capture.motion, sound, capture.observed, capture.seen))


def _known(recording: Recording) -> dict[str, float | None]:
    """What a record keeps of its recording."""
    off, seen = recording.residual, recording.seen
    return {
        "seconds": round(float(recording.motion.duration), 3),
        "seen": round(float(seen.mean()), 4) if len(seen) else None,
        "residual": None if off is None else round(off, 3),
    }


def _masked(work: Task, recording: Recording) -> Recording:
    observed = recording.observed.copy()
    for group in work.masked:
        observed[ARKIT.slice(group)] = False
    return replace(recording, observed=observed)


def _with_times(work: Task, recording: Recording) -> Recording:
    if not work.item.times:
        return recording
    return replace(recording, phones=times.phones(Path(work.folder) / work.item.times, recording.sound))


def _entry(work: Task, face: str) -> Entry:
    item = work.item
    return Entry(
        id=f"{work.source}-{item.name}",
        source=work.source,
        speaker=slug(item.speaker),
        language=work.language,
        text=item.text,
        frames=0,
        seconds=0.0,
        kind="real",
        split=_split(work),
        style=item.style,
        licence="",
        credit="",
        face=face,
    )


def _split(work: Task) -> Split:
    if work.held_out is not None:
        return "validation" if work.held_out else "train"
    return "validation" if _share(work.item.name) < work.validation else "train"


def _held_out(place: Path, collection: Collection, speakers: set[str]) -> dict[str, bool]:
    """Who is held out, by speaker; nobody is named where there is one speaker, whose clips are divided instead.

    What was decided before stays; newcomers are held out by a hash of their names.
    """
    known = cast("dict[str, bool]", _json(place)) if place.is_file() else {}
    everybody = speakers | set(known)
    if everybody & set(collection.held_out):
        known = {speaker: speaker in collection.held_out for speaker in everybody}
    elif not known and len(speakers) > 1:
        # The first time the share is kept exactly, and at least one of two is held out.
        ranked = sorted(speakers, key=_share)
        count = max(1, round(collection.validation * len(speakers))) if collection.validation else 0
        known = {speaker: rank < count for rank, speaker in enumerate(ranked)}
    elif len(everybody) > 1:
        known |= {name: _share(name) < collection.validation for name in everybody - set(known)}
    with atomic(place) as temporary:
        temporary.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")
    return known


def _share(text: str) -> float:
    """A number in 0..1 that depends on a name alone."""
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") / 2**64


def _sweep(folder: Path) -> None:
    """Remove what a killed run left half written."""
    for path in folder.glob(".*.npz"):
        path.unlink(missing_ok=True)
    for path in folder.glob(".*.json"):
        path.unlink(missing_ok=True)


def _is_record(path: Path) -> bool:
    return not path.name.startswith(".") and path.name != "plan.json"


def _record(path: Path) -> Record:
    return config.from_dict(Record, cast("dict[str, Any]", _json(path)))


def _json(path: Path) -> Any:
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadFile(f"{str(path)!r} cannot be read: {error}; delete it and prepare again") from error
    if not isinstance(document, dict):
        raise BadFile(f"{str(path)!r} is no record of artalk; delete it and prepare again")
    return cast("dict[str, Any]", document)
