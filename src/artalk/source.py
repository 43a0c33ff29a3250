"""Where a sound's bytes come from: paths, pipes, bytes and open files, read so that no source can do harm."""

import io
import os
import stat
import sys
import tempfile
from contextlib import ExitStack
from typing import IO, Any

from artalk.errors import BadAudio, BadInput, MissingFile

Source = str | os.PathLike[str] | bytes | bytearray | IO[bytes]

HEAD = 1 << 16
"""Bytes looked at before anything is decoded."""

SPOOL = 4 << 30
"""Bytes of a stream that is kept on disk because its format (mp4) has to be read back and forth."""

FRUITLESS_BYTES = 1 << 30
"""Bytes read without a sample of sound after which reading is given up."""

LONGEST_CHUNK = 64 << 20
"""Bytes of a wav chunk of remarks: ffmpeg reserves and clears what it declares, up to 2 GB, before it reads it."""

MOST_CHUNKS = 1000
"""Chunks before the sound of a wav file."""

UNKNOWN_SIZE = 0x7FFF_0000
"""Sizes of a wav's sound from here on, and 0, are what writers put who did not know it."""


def open_source(source: Any, stack: ExitStack) -> tuple[str, "Reader", bytes]:
    """How messages call `source`, a reader at its beginning, and its first bytes; `stack` closes what is opened.

    Raises `MissingFile`, `BadAudio` or `BadInput` as `artalk.audio.load` says.
    """
    name, file = _opened(source, stack)
    reader = Reader(file, name)
    head = reader.peek()
    if not head:
        raise BadAudio(f"{name} holds no sound: it is empty (0 bytes)")
    if not reader.seekable() and head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        reader = _spooled(reader, name, stack)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64"):
        _bound_wav(reader, head, name)
    return name, reader, head


class Reader:
    """What PyAV reads from: never more bytes than asked for, `peek`, and a limit on reading without result.

    PyAV copies whatever `read` returns into a buffer of the size it asked for without looking at the length; a
    file-like object that returns more would overwrite memory.
    """

    def __init__(self, file: Any, name: str) -> None:
        self._file = file
        self._name = name
        self._left = b""
        self._at = 0
        self.fruitless = 0
        self.furthest = 0
        """Bytes from the beginning to the last one that was there to be read."""
        self.sound: tuple[int, int] | None = None
        """Where a wav's sound begins, and how many bytes of it are declared; nothing after it is shown."""
        try:
            self._start = file.tell() if file.seekable() else None
        except (AttributeError, OSError, ValueError):
            self._start = None

    def readable(self) -> bool:
        """Always: PyAV asks."""
        return True

    def seekable(self) -> bool:
        """Whether `seek` and `tell` may be called."""
        return self._start is not None

    def peek(self) -> bytes:
        """The first bytes, to be read again; before anything else is read."""
        self._left = self._read(HEAD)
        return self._left

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        if self.sound is not None:
            size = max(min(size, sum(self.sound) - self._at), 0)
        block, self._left = (self._left[:size], self._left[size:]) if self._left else (self._read(size), b"")
        self._at += len(block)
        self.furthest = max(self.furthest, self._at)
        self.fruitless += len(block)
        if self.fruitless > FRUITLESS_BYTES:
            raise BadAudio(f"{self._name} is no sound: {FRUITLESS_BYTES >> 20} MB of it hold none")
        return block

    def _read(self, size: int) -> bytes:
        try:
            block = self._file.read(size)
        except Exception as error:  # whatever the caller's own object raises
            raise BadAudio(f"{self._name} cannot be read: {reason(error)}") from error
        if not isinstance(block, bytes) or len(block) > size:
            what = f"{len(block)} bytes" if isinstance(block, bytes) else type(block).__name__
            raise BadInput(f"a sound is read from a file opened in binary mode: asked for {size} bytes, got {what}")
        return block

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move; places are counted from where the source stood when it was given."""
        assert self._start is not None, "PyAV asks `seekable` first"
        if whence == 1:
            offset += self._at
        elif whence == 2:
            offset += self._file.seek(0, 2) - self._start
        if offset < 0:
            raise ValueError("a place before the beginning")
        self._left = b""
        self._at = self._file.seek(offset + self._start) - self._start
        return self._at

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at


def _bound_wav(reader: Reader, head: bytes, name: str) -> None:
    """Find the sound of a wav file; refuse remarks before it that would take gigabytes, hide those after it."""
    order = "big" if head[:4] == b"RIFX" else "little"
    file = reader if reader.seekable() else io.BytesIO(head)
    at, long_size = 12, 0
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        label = file.read(24)
        if len(label) < 8:
            break
        kind, size = label[:4], int.from_bytes(label[4:8], order)
        if kind == b"data":
            size = long_size or size
            if 0 < size < UNKNOWN_SIZE or long_size:
                reader.sound = at + 8, size
            break
        if kind in (b"LIST", b"_PMX") and size > LONGEST_CHUNK:
            raise BadAudio(f"{name} is a broken wav file: its remarks declare {size} bytes")
        if kind == b"ds64":
            long_size = int.from_bytes(label[16:24], order)
        at += 8 + size + size % 2
    else:
        raise BadAudio(f"{name} is a broken wav file: {MOST_CHUNKS} chunks and no sound among them")
    file.seek(0)
    reader.furthest = 0


def _spooled(reader: Reader, name: str, stack: ExitStack) -> Reader:
    spool = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    size = 0
    while block := reader.read(1 << 20):
        reader.fruitless = 0  # its own limit holds
        size += len(block)
        if size > SPOOL:
            raise BadAudio(f"{name} is longer than {SPOOL >> 30} GB: save it to a file first")
        spool.write(block)
    spool.seek(0)
    fresh = Reader(spool, name)
    fresh.peek()
    return fresh


def _opened(source: Any, stack: ExitStack) -> tuple[str, Any]:
    """How messages call the source, and an open binary file."""
    if isinstance(source, bytes | bytearray):
        return "the given sound", io.BytesIO(source)
    if isinstance(source, str) and source == "-":
        if sys.stdin is None or sys.stdin.isatty():  # pyright: ignore[reportUnnecessaryComparison]
            raise BadInput("'-' reads sound from standard input, where nothing is piped in: give a path, or a pipe")
        return "standard input", getattr(sys.stdin, "buffer", sys.stdin)
    if isinstance(source, str | os.PathLike):
        return _open_path(os.fspath(source), stack)
    if callable(getattr(source, "read", None)):
        return str(getattr(source, "name", "the given file")), source
    raise BadInput(
        f"a sound is a path, bytes, an open binary file or '-' for standard input, got {type(source).__name__}; "
        "for samples there is Audio.from_array"
    )


def _open_path(path: str, stack: ExitStack) -> tuple[str, IO[bytes]]:
    name = repr(path)
    if not path:
        raise BadInput("a sound's path is empty")
    try:
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            what = "folder" if stat.S_ISDIR(mode) else "device or a socket"
            raise BadAudio(f"{name} is a {what}; wanted a sound file")
        return name, stack.enter_context(open(path, "rb"))
    except BadAudio:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        hint = ": download it first, addresses are not opened" if "://" in path else ""
        raise MissingFile(f"there is no sound file {name}{hint}") from error
    except PermissionError as error:
        raise BadAudio(f"{name} may not be read (permission denied): change its permissions or copy it") from error
    except (OSError, ValueError) as error:
        raise BadAudio(f"{name} cannot be opened: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """What went wrong, as part of a sentence."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).strip().rstrip(".").replace("\n", " ")
