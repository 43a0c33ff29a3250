"""Corpora on disk: clips of sound, motion, words and phones, readable with numpy and json alone.

    FOLDER/index.json       channels, fps, sample rate, statistics, and one entry a clip
    FOLDER/clips/ID.npz     `entry` (JSON), `audio` int16, `motion` (frames, 55) float16, `observed` (55,) bool,
                            `phone_starts`, `phone_ends` (seconds, float32), `phone_labels`

Every clip carries its own entry, so that a killed build loses nothing: what is not yet in the index is found again.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np
from numpy.typing import NDArray

from artalk.audio import Audio
from artalk.channels import ARKIT
from artalk.errors import ArtalkError, BadFile, BadInput, MissingFile
from artalk.formats.atomic import atomic
from artalk.motion import Motion

FORMAT, VERSION = "artalk-corpus", 1

SAMPLE_RATE, FPS = 16000, Fraction(25)

Split = Literal["train", "validation"]
Kind = Literal["real", "taught", "styled"]

KINDS: dict[str, str] = {
    "real": "measured on a face",
    "styled": "measured, then changed to a planted way of speaking",
    "taught": "made by the teacher from phones and sound",
}

Phone = tuple[float, float, str]
"""Start and end in seconds, and a label of `phones.PHONES`."""

LATER = frozenset({"consent", "face"})
"""Fields of `Entry` that corpora lack which are older than they are."""


@dataclass(frozen=True)
class Entry:
    """What the index says of a clip.

    `observed` names the channel groups of which the source shows anything (the clip itself says which channels);
    `style` is the way of moving: "" for the speaker's own. `sha256` is that of the clip's file. `consent` says how the
    speaker agreed: without it, a licence and a credit a clip is not to be shared. `face` is the face model that the
    motion was solved on, "head" (built in) or "ict"; "" for captures, and where nobody knows.
    """

    id: str
    source: str
    speaker: str
    language: str
    text: str
    frames: int
    seconds: float
    kind: Kind
    split: Split
    style: str
    licence: str
    credit: str
    observed: tuple[str, ...] = ()
    sha256: str = ""
    consent: str = ""
    face: str = ""

    @property
    def shareable(self) -> bool:
        """Whether licence, credit and consent are filled."""
        return all(text.strip() for text in (self.licence, self.credit, self.consent))

    def under(self, terms: Mapping[str, str]) -> bool:
        """Whether these are its `licence`, `credit` and `consent`."""
        return all(getattr(self, name) == text for name, text in terms.items())


@dataclass(frozen=True, eq=False)
class Clip:
    """A recording with its motion: `motion` at 25 fps in ARKit's channels, `observed` (55,) which of them are known."""

    entry: Entry
    audio: Audio
    motion: Motion
    observed: NDArray[np.bool_]
    phones: tuple[Phone, ...] = ()

    def __post_init__(self) -> None:
        if self.audio.sample_rate != SAMPLE_RATE or self.motion.fps != FPS or self.motion.channels != ARKIT:
            raise BadInput(
                f"a clip has sound at {SAMPLE_RATE} Hz and ARKit motion at {FPS} fps, got {self.audio.sample_rate} Hz "
                f"and {self.motion.channels.name} at {self.motion.fps}"
            )
        if self.observed.shape != (len(ARKIT),):
            raise BadInput(f"observed is ({len(ARKIT)},), got {self.observed.shape}")


class Corpus:
    """A corpus that exists. Clips are read one at a time; nothing but the index stays in memory."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        index = self.folder / "index.json"
        if not index.is_file():
            raise MissingFile(f"a corpus is a folder with index.json, {str(folder)!r} has none")
        self._index = read_index(index)
        self.entries: tuple[Entry, ...] = tuple(as_entry(raw, str(index)) for raw in self._index["clips"])

    def __len__(self) -> int:
        return len(self.entries)

    def file(self, name: str) -> bytes:
        """The bytes of a clip's file, by the clip's id."""
        path = _place(self.folder, name)
        if not path.is_file():
            raise MissingFile(f"no clip at {str(path)!r}")
        return path.read_bytes()

    def read(self, clip: str | Entry) -> Clip:
        """A clip by its id or entry."""
        name = clip if isinstance(clip, str) else clip.id
        return _clip_in(io.BytesIO(self.file(name)), f"{name!r} of {str(self.folder)!r}")

    def select(self, split: Split | None = None, **wanted: str) -> tuple[Entry, ...]:
        """The entries of a split, and of one source, speaker, language, kind or style."""
        return tuple(
            entry
            for entry in self.entries
            if (split is None or entry.split == split)
            and all(getattr(entry, name) == value for name, value in wanted.items())
        )

    @property
    def statistics(self) -> dict[str, dict[str, list[float]]]:
        """By kind of motion and by channel: mean, sd, least, largest and seconds, of observed frames of training clips.

        What is held out says nothing of them; a corpus of nothing but held-out clips has theirs.
        """
        return cast("dict[str, dict[str, list[float]]]", self._index["statistics"])

    def mean(self) -> NDArray[np.float32]:
        """(55,) the mean of each channel over all that was observed in training clips, 0 where nothing was."""
        mean = np.zeros(len(ARKIT), np.float32)
        for column, name in enumerate(ARKIT.names):
            rows = np.array([kind[name] for kind in self.statistics.values() if name in kind]).reshape(-1, 5)
            if len(rows):
                mean[column] = np.average(rows[:, 0], weights=rows[:, 4])
        return mean

    def verify(self) -> list[str]:
        """The ids of clips whose file is missing or differs from the index' checksum."""
        return [entry.id for entry in self.entries if not self._is_whole(entry)]

    def _is_whole(self, entry: Entry) -> bool:
        try:
            return hashlib.sha256(self.file(entry.id)).hexdigest() == entry.sha256
        except ArtalkError:
            return False

    @property
    def facts(self) -> dict[str, Any]:
        """What the index says of all clips: rates, channels, statistics, entries."""
        return {name: self._index[name] for name in ("sample_rate", "fps", "channels", "statistics", "clips")}

    def words(self) -> str:
        """A few lines for a person: minutes by source, what they are, licences."""
        minutes = sum(entry.seconds for entry in self.entries) / 60
        lines = [f"corpus    {len(self.entries)} clips, {minutes:.1f} minutes, {_tally(self.entries, 'split')}"]
        for kind, meaning in KINDS.items():
            if chosen := self.select(kind=kind):
                lines.append(f"{kind:<9} {_minutes(chosen)}, {meaning}: {_tally(chosen, 'source')}")
        lines.append(f"languages {_tally(self.entries, 'language')}")
        lines.append(f"speakers  {_tally(self.entries, 'speaker')}")
        lines.append(f"styles    {_tally(self.entries, 'style', '(own)')}")
        if solved := [entry for entry in self.entries if entry.face]:
            lines.append(f"solved on {_tally(solved, 'face')}")
        for source in dict.fromkeys(entry.source for entry in self.entries):
            first = self.select(source=source)[0]
            lines.append(f"licence   {source}: {first.licence}; {first.credit}; observed: {', '.join(first.observed)}")
        return "\n".join(lines)


@dataclass
class Writer:
    """Adds clips to a folder, each atomically. `finish` writes the index; a new writer goes on where another ended."""

    folder: Path
    _done: dict[str, Entry] = field(init=False)

    def __post_init__(self) -> None:
        self.folder = Path(self.folder)
        (self.folder / "clips").mkdir(parents=True, exist_ok=True)
        index = self.folder / "index.json"
        known: dict[str, Entry] = {}
        if index.is_file():
            known = {raw["id"]: as_entry(raw, str(index)) for raw in read_index(index)["clips"]}
        present = {path.stem for path in (self.folder / "clips").glob("*.npz") if not path.name.startswith(".")}
        self._done = {name: entry for name, entry in known.items() if name in present}
        for name in sorted(present - set(known)):
            path = _place(self.folder, name)
            self._done[name] = replace(_stored_entry(path), sha256=_sha256(path))

    def __contains__(self, name: object) -> bool:
        return name in self._done

    def add(self, clip: Clip) -> Entry:
        """Write one clip."""
        entry = store(self.folder, clip)
        self._done[entry.id] = entry
        return entry

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What there is so far, in the order of ids."""
        return tuple(self._done[name] for name in sorted(self._done))

    def remove(self, name: str) -> None:
        """Delete a clip."""
        _place(self.folder, name).unlink(missing_ok=True)
        self._done.pop(name, None)

    def renew(self, source: str, terms: Mapping[str, str]) -> None:
        """Bring `licence`, `credit` and `consent` of a source's clips up to date."""
        old = [entry.id for entry in self.entries if entry.source == source and not entry.under(terms)]
        if old:  # killed half-way, the next writer finds the clips as they are
            (self.folder / "index.json").unlink(missing_ok=True)
        for name in old:
            clip = read_clip(self.folder, name)
            self.add(replace(clip, entry=replace(clip.entry, **terms)))

    def finish(self) -> Corpus:
        """Write the index of all clips, in the order of their ids, with statistics of those to train on."""
        entries = self.entries
        learnt = [entry for entry in entries if entry.split == "train"] or entries
        index = {
            "format": FORMAT,
            "version": VERSION,
            "sample_rate": SAMPLE_RATE,
            "fps": [FPS.numerator, FPS.denominator],
            "channels": list(ARKIT.names),
            "statistics": _statistics(read_clip(self.folder, entry.id) for entry in learnt),
            "clips": [asdict(entry) for entry in entries],
        }
        with atomic(self.folder / "index.json") as temporary:
            temporary.write_text(json.dumps(index, ensure_ascii=False, indent=1), encoding="utf-8")
        return Corpus(self.folder)


def read_clip(folder: Path, name: str) -> Clip:
    """A clip of a corpus' folder by its id, whether the index knows it or not."""
    path = _place(folder, name)
    if not path.is_file():
        raise MissingFile(f"no clip at {str(path)!r}")
    with path.open("rb") as file:
        return _clip_in(file, str(path))


def store(folder: Path, clip: Clip) -> Entry:
    """Write one clip into a corpus' folder, whole or not at all; its entry with lengths and checksum.

    The index does not know it yet: the next `Writer` finds it.
    """
    groups = tuple(group.name for group in ARKIT.groups if clip.observed[ARKIT.slice(group.name)].any())
    seconds = round(float(clip.audio.duration), 3)
    entry = replace(clip.entry, frames=len(clip.motion), seconds=seconds, observed=groups, sha256="")
    path = _place(folder, entry.id)
    _write_clip(path, replace(clip, entry=entry))
    return replace(entry, sha256=_sha256(path))


def split_of(key: str, validation: float) -> Split:
    """The side on which a sentence or a speaker falls, by a hash of `key`: the same whatever else there is."""
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return "validation" if number < validation * 2**64 else "train"


def fitted(values: NDArray[Any], frames: int) -> NDArray[np.float32]:
    """Rows cut, or held at the end, to a number of frames: what a sound and its motion differ by at the most."""
    if not len(values):
        raise BadInput("motion of no frames cannot be fitted to a sound")
    return values[np.minimum(np.arange(frames), len(values) - 1)].astype(np.float32)


def as_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Samples in -1..1 as they are stored."""
    return np.round(np.clip(samples, -1.0, 1.0) * 32767).astype(np.int16)


def _place(folder: Path, name: str) -> Path:
    if not name or not all(letter.isalnum() or letter in "-_." for letter in name) or name.startswith("."):
        raise BadInput(f"a clip's id has letters, digits, - and _, got {name!r}")
    return folder / "clips" / f"{name}.npz"


def _write_clip(path: Path, clip: Clip) -> None:
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            entry=np.array(json.dumps(asdict(clip.entry), ensure_ascii=False)),
            audio=as_int16(clip.audio.samples),
            motion=clip.motion.values.astype(np.float16),
            observed=clip.observed,
            phone_starts=np.array([start for start, _, _ in clip.phones], np.float32),
            phone_ends=np.array([end for _, end, _ in clip.phones], np.float32),
            phone_labels=np.array([label for _, _, label in clip.phones], "U8"),
        )


def _clip_in(file: BinaryIO, where: str) -> Clip:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            entry = as_entry(json.loads(str(arrays["entry"])), where)
            audio = Audio(arrays["audio"].astype(np.float32) / np.float32(32767), SAMPLE_RATE)
            motion = Motion(arrays["motion"].astype(np.float32), ARKIT, FPS)
            spans = zip(arrays["phone_starts"], arrays["phone_ends"], arrays["phone_labels"], strict=True)
            phones = tuple((float(start), float(end), str(label)) for start, end, label in spans)
            return Clip(entry, audio, motion, arrays["observed"], phones)
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise BadFile(f"{where} is not a clip of a corpus: {error}") from error


def _stored_entry(path: Path) -> Entry:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return as_entry(json.loads(str(arrays["entry"])), str(path))
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise BadFile(f"{str(path)!r} is not a clip of a corpus: {error}") from error


def read_index(path: Path, kind: str = FORMAT) -> dict[str, Any]:
    """The index of a corpus, or of another `kind` of file with the same facts; `BadFile` for anything else."""
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadFile(f"{str(path)!r} is not JSON: {error}") from error
    if not isinstance(index, dict) or cast("dict[str, Any]", index).get("format") != kind:
        raise BadFile(f"{str(path)!r} is not the index of a corpus")
    index = cast("dict[str, Any]", index)
    if index.get("version") != VERSION or index.get("channels") != list(ARKIT.names):
        raise BadFile(f"{str(path)!r} is of version {index.get('version')} or of other channels; wanted {VERSION}")
    return index


def as_entry(raw: Any, where: str) -> Entry:
    """An entry from its plain values."""
    names = {f.name for f in fields(Entry)}
    if not isinstance(raw, dict) or set(cast("dict[str, Any]", raw)) | LATER != names:
        raise BadFile(f"{where}: a clip's entry has {', '.join(sorted(names))}")
    values = dict(cast("dict[str, Any]", raw))
    values["observed"] = tuple(values["observed"])
    return Entry(**values)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _statistics(clips: Iterable[Clip]) -> dict[str, dict[str, list[float]]]:
    """Sums over one clip at a time: means, deviations and ranges of what was observed."""
    width = len(ARKIT)
    sums: dict[str, NDArray[np.float64]] = {}
    for clip in clips:
        total = sums.setdefault(
            clip.entry.kind, np.stack([np.zeros(width)] * 3 + [np.full(width, np.inf), np.full(width, -np.inf)])
        )
        seen, values = clip.observed, clip.motion.values.astype(np.float64)
        if not len(values):
            continue
        total[0, seen] += len(values)
        total[1, seen] += values.sum(axis=0)[seen]
        total[2, seen] += (values**2).sum(axis=0)[seen]
        total[3, seen] = np.minimum(total[3], values.min(axis=0))[seen]
        total[4, seen] = np.maximum(total[4], values.max(axis=0))[seen]
    return {kind: _described(total) for kind, total in sums.items()}


def _described(total: NDArray[np.float64]) -> dict[str, list[float]]:
    described: dict[str, list[float]] = {}
    for column, name in enumerate(ARKIT.names):
        count, first, second, least, largest = total[:, column]
        if count:
            mean = first / count
            deviation = np.sqrt(max(second / count - mean**2, 0.0))
            described[name] = [round(float(x), 5) for x in (mean, deviation, least, largest, count / float(FPS))]
    return described


def _minutes(entries: Iterable[Entry]) -> str:
    return f"{sum(entry.seconds for entry in entries) / 60:.1f} min"


def _tally(entries: Iterable[Entry], name: str, empty: str = "?") -> str:
    def groups() -> Iterator[tuple[str, float]]:
        totals: dict[str, float] = {}
        for entry in entries:
            value = getattr(entry, name) or empty
            totals[value] = totals.get(value, 0.0) + entry.seconds / 60
        yield from sorted(totals.items(), key=lambda item: -item[1])

    return ", ".join(f"{value} {minutes:.1f}" for value, minutes in groups())
