"""A corpus as a few large files: tar archives that any machine reads, by place or from end to end.

    FOLDER/shards.json        the index of the corpus, and for each clip its shard, and the place of its bytes in it
    FOLDER/NAME-00000.tar     for each clip ID.json, its entry, and ID.npz, its file as it was

The archives are what WebDataset calls shards: members of one clip share their name and stand together. Clips are dealt
out by a hash of their ids, so every shard is a fair sample of all.
"""

import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import cast

from artalk.data.clips import SAMPLE_RATE, VERSION, Corpus, Entry, as_entry, read_index
from artalk.errors import BadFile, BadInput, MissingFile
from artalk.formats.atomic import atomic

FORMAT, INDEX = "artalk-shards", "shards.json"

SIZE = 256 << 20
"""Bytes after which the next shard begins."""


class Shards(Corpus):
    """A corpus in shards. Clips are read by their places: no file stays open, so threads and processes may share it."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        path = self.folder / INDEX
        if not path.is_file():
            raise MissingFile(f"a corpus in shards is a folder with {INDEX}, {str(folder)!r} has none")
        self._index = read_index(path, FORMAT)
        self.entries = tuple(as_entry(raw, str(path)) for raw in self._index["clips"])
        self._places = cast("dict[str, tuple[str, int, int]]", self._index["places"])

    def file(self, name: str) -> bytes:
        """The bytes of a clip's file, by the clip's id."""
        if name not in self._places:
            raise MissingFile(f"no clip {name!r} in the shards at {str(self.folder)!r}")
        shard, first, size = self._places[name]
        try:
            with (self.folder / shard).open("rb") as file:
                file.seek(first)
                data = file.read(size)
        except OSError as error:
            raise MissingFile(f"the shard {shard} of {str(self.folder)!r} cannot be read: {error.strerror}") from error
        if len(data) < size:
            raise BadFile(f"the shard {shard} of {str(self.folder)!r} is cut: {name!r} is not whole")
        return data


def open_corpus(folder: str | Path) -> Corpus:
    """The corpus in a folder, whether in clips or in shards."""
    return Shards(folder) if (Path(folder) / INDEX).is_file() else Corpus(folder)


def write(
    corpus: Corpus, folder: Path, name: str = "corpus", size: int = SIZE, private: bool = False, least: int = 1
) -> Shards:
    """Write a corpus into `folder` as shards called `name`-00000.tar of about `size` bytes, at least `least` of them.

    Refuses clips without licence, credit or consent unless the shards are `private`, for one's own machines. The index
    is written last: shards without one are nobody's. Raises `BadFile` where a clip has changed since it was indexed.
    """
    if not corpus.entries:
        raise BadInput(f"the corpus at {str(corpus.folder)!r} has no clips")
    if not private and (closed := sorted({entry.source for entry in corpus.entries if not entry.shareable})):
        raise BadInput(
            f"clips of {', '.join(closed)} have no licence, credit or consent: where they are known, fill them in "
            "collection.toml and prepare again; else write private shards for your own machines"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX).unlink(missing_ok=True)
    for old in folder.glob(f"{name}-[0-9][0-9][0-9][0-9][0-9].tar"):
        old.unlink()
    places: dict[str, tuple[str, int, int]] = {}
    for number, dealt in enumerate(_dealt(corpus, size, least)):
        shard = f"{name}-{number:05d}.tar"
        with atomic(folder / shard) as temporary:
            _fill(corpus, dealt, temporary, shard, places)
    index = {"format": FORMAT, "version": VERSION, "private": private, **corpus.facts, "places": places}
    with atomic(folder / INDEX) as temporary:
        temporary.write_text(json.dumps(index, ensure_ascii=False, indent=1), encoding="utf-8")
    return Shards(folder)


def _dealt(corpus: Corpus, size: int, least: int) -> list[Sequence[Entry]]:
    """Entries by shard, in the order of a hash of their ids."""
    mixed = sorted(corpus.entries, key=lambda entry: sha256(entry.id.encode()).digest())
    # Sound at 16 bits is nearly all that there is of a clip.
    total = sum(entry.seconds for entry in mixed) * SAMPLE_RATE * 2
    count = min(max(least, ceil(total / size), 1), len(mixed))
    return [mixed[k::count] for k in range(count)]


def _fill(
    corpus: Corpus, entries: Sequence[Entry], path: Path, shard: str, places: dict[str, tuple[str, int, int]]
) -> None:
    """Write one shard and note the places of its clips."""
    with tarfile.open(path, "w") as archive:
        for entry in entries:
            data = corpus.file(entry.id)
            if sha256(data).hexdigest() != entry.sha256:
                raise BadFile(f"the clip {entry.id!r} has changed since it was indexed: build the corpus again")
            _add(archive, f"{entry.id}.json", json.dumps(asdict(entry), ensure_ascii=False).encode())
            places[entry.id] = (shard, _add(archive, f"{entry.id}.npz", data), len(data))


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> int:
    """Append a member without owner or time; where its bytes begin."""
    item = tarfile.TarInfo(name)
    item.size, item.mode = len(data), 0o644
    archive.addfile(item, io.BytesIO(data))
    # Members are padded to blocks of 512 bytes.
    return archive.offset - ceil(len(data) / 512) * 512
