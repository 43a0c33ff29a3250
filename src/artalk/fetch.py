"""One file from a public place: it goes on where the line broke, and is kept only if size and SHA-256 are right.

Nothing here runs by itself: `assets.fetch` calls it for what a user asked for by name.
"""

import hashlib
import http.client
import importlib
import os
import re
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from artalk.errors import ArtalkError, BadFile, BadInput, Unreachable

Progress = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes of the whole."""

TIMEOUT = 30.0
"""Seconds without a byte after which a line counts as broken."""

TRIES = 5
"""Broken lines one after the other, none of which brought `ENOUGH`, after which we give up."""

ENOUGH = 1 << 20
"""Bytes that make a try worth another one."""

PAUSE = 1.0
"""Seconds before the second try; doubled before each further one that follows a failure."""

BLOCK = 1 << 20

LOCAL = ("localhost", "127.0.0.1", "::1")
"""Hosts that may be spoken to without encryption: this machine."""

MOVED = (301, 302, 303, 307, 308)
"""HTTP's ways of saying: elsewhere."""

MOST_MOVES = 10

AGAIN = (408, 425, 429, 500, 502, 503, 504)
"""HTTP's ways of saying: later."""


def fetch(address: str, target: Path, size: int, sha256: str, progress: Progress | None = None) -> None:
    """Write the file at `address`, which has `size` bytes and this SHA-256, to `target`; its folder is there.

    What came so far lies beside it until the whole is there and right: a second call goes on from there, if the server
    can send parts, and asks for nothing if nothing is missing. Raises `BadInput` for an address that is not https (http
    to this machine is allowed) or leads to one, `Unreachable` when the line stays broken or the server refuses,
    `BadFile` when what it has is not this file, and when the disk is full.
    """
    _checked(address, local=True)
    part = target.with_name(f".{target.name}.{sha256[:12]}.part")
    with _claimed(part) as file:
        if file.tell() > size:
            _cut(file, 0)
        _room(part, size - file.tell())
        _complete(file, address, size, progress or (lambda done, total: None))
        _verify(file, address, sha256)
        with _writing(part):
            file.close()
            os.replace(part, target)


@contextmanager
def _claimed(part: Path) -> Generator[IO[bytes]]:
    """The file of what came so far, at its end, for one process alone; left behind only if there is something in it."""
    with _writing(part):
        file = part.open("r+b" if part.exists() else "w+b")
    _lock(file, part)
    try:
        file.seek(0, os.SEEK_END)
        yield file
    finally:
        empty = not file.closed and os.fstat(file.fileno()).st_size == 0
        with suppress(OSError):  # what could not be written was complained about when it was written
            file.close()
        if empty:
            part.unlink(missing_ok=True)


def _lock(file: IO[bytes], part: Path) -> None:
    try:
        fcntl: Any = importlib.import_module("fcntl")
    except ImportError:  # Windows: two at once end in a wrong sum and are begun anew
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise BadFile(f"{str(part)!r} is being written by another artalk: wait for it to end") from error


def _room(part: Path, missing: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < missing:
        raise BadFile(
            f"{missing:,} bytes are to come and {free:,} are free in {str(part.parent)!r}: make room, or set "
            "ARTALK_HOME to a folder on another disk"
        )


def _complete(file: IO[bytes], address: str, size: int, progress: Progress) -> None:
    """Try until `file` has `size` bytes, or nothing comes any more."""
    failures = 0
    while (have := file.tell()) < size:
        progress(have, size)
        try:
            _more(file, address, size, progress)
            reason = "the answer ended early"
        except HTTPError as error:
            reason = f"it answers {error.code} {error.reason}"
            error.close()
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                _cut(file, 0)
            elif error.code not in AGAIN:
                raise Unreachable(f"{address} cannot be fetched: {reason}") from error
        except ArtalkError:
            raise
        except (OSError, http.client.HTTPException) as error:
            reason = _reason(error)
        if file.tell() == size:
            return
        failures = 0 if file.tell() - have >= ENOUGH else failures + 1
        if failures >= TRIES:
            raise Unreachable(
                f"{address} cannot be fetched: {reason}; {file.tell():,} of {size:,} bytes are kept, the same command "
                "goes on from there"
            )
        time.sleep(PAUSE * 2 ** max(failures - 1, 0))


def _more(file: IO[bytes], address: str, size: int, progress: Progress) -> None:
    """One request: what is missing, or all of it from a server that sends no parts."""
    have = file.tell()
    headers = {"User-Agent": "artalk"} | ({"Range": f"bytes={have}-"} if have else {})
    with _opened(address, headers) as answer:
        start, total = _span(answer, have, address)
        if total not in (None, size):
            kind = answer.headers.get_content_type()
            raise BadFile(f"{address} is not the file that artalk knows: {size:,} bytes, got {total:,} of {kind}")
        _cut(file, start)
        while block := answer.read1(BLOCK):
            if file.tell() + len(block) > size:
                _cut(file, 0)
                raise BadFile(f"{address} is not the file that artalk knows: more than its {size:,} bytes came")
            _write(file, block)
            progress(file.tell(), size)


def _span(answer: Any, have: int, address: str) -> tuple[int, int | None]:
    """Where an answer begins in the file, and how long it says that the whole is."""
    if answer.status == http.HTTPStatus.OK:
        length: str | None = answer.headers.get("Content-Length")
        return 0, int(length) if length and length.isdecimal() else None
    found = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", answer.headers.get("Content-Range") or "")
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT or found is None or int(found[1]) != have:
        raise Unreachable(f"{address} cannot be fetched: it answers {answer.status} with another part than asked for")
    return have, None if found[2] == "*" else int(found[2])


def _write(file: IO[bytes], block: bytes) -> None:
    """Whole to the disk now, so that a full one is not mistaken for a broken line."""
    with _writing(Path(file.name)):
        file.write(block)
        file.flush()


def _cut(file: IO[bytes], size: int) -> None:
    """Throw away what lies behind `size` bytes, and go on writing there."""
    with _writing(Path(file.name)):
        file.seek(size)
        file.truncate()


@contextmanager
def _writing(part: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise BadFile(
            f"writing {str(part)!r} failed: {error.strerror or error}; what came before is kept, the same command goes "
            "on from there"
        ) from error


def _verify(file: IO[bytes], address: str, sha256: str) -> None:
    """Look at what lies on the disk; what is wrong is thrown away."""
    file.seek(0)
    found = hashlib.file_digest(file, "sha256").hexdigest()  # pyright: ignore[reportArgumentType]  # any binary file
    if found != sha256:
        _cut(file, 0)
        raise BadFile(
            f"what came from {address} has the SHA-256 {found}, wanted {sha256}: it is thrown away; try again, and if "
            "it comes again the file there is another one"
        )


def _opened(address: str, headers: dict[str, str]) -> Any:
    """The answer of `address`, or of where it leads: to https, and to this machine only from this machine."""
    opener = build_opener(_Still)
    place = address
    for _ in range(MOST_MOVES):
        try:
            return opener.open(Request(place, headers=headers), timeout=TIMEOUT)
        except HTTPError as error:
            if error.code not in MOVED:
                raise
            error.close()
            here = urlsplit(place).hostname in LOCAL
            place = _joined(place, error.headers.get("Location") or "")
            _checked(place, local=here)
    raise Unreachable(f"{address} cannot be fetched: it leads on and on")


class _Still(HTTPRedirectHandler):
    """No redirection is followed unseen."""

    def http_error_302(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any) -> None:
        """Leave the answer to the default handler, which raises it."""

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _joined(address: str, place: str) -> str:
    """Where `place`, maybe a path alone, leads from `address`; `_checked` refuses what is no address at all."""
    try:
        return urljoin(address, place)
    except ValueError:
        return place


def _checked(address: str, local: bool) -> None:
    try:
        parts = urlsplit(address)
        host, odd = parts.hostname, parts.username is not None
    except ValueError:
        host, odd, parts = None, True, urlsplit("")
    here = host in LOCAL
    safe = parts.scheme == "https" and (local or not here) or parts.scheme == "http" and local and here
    if odd or not host or not safe or not re.fullmatch(r"[!-~]+", address):
        # A signed redirection is nobody's business: only its beginning is shown.
        raise BadInput(f"an address to fetch from begins with https://, got {address.partition('?')[0][:80]!r}")


def _reason(error: Exception) -> str:
    reason: Any = error.reason if isinstance(error, URLError) else error
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return " ".join(str(text).split())[:200]
