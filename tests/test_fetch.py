"""Fetching from a server that cuts, lies, moves and refuses: the file appears whole and right, or not at all."""

import hashlib
import resource
import shutil
import socket
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk import fetch as web
from artalk.errors import BadFile, BadInput, Unreachable
from artalk.fetch import fetch
from tests.web import Shelf, serving

CONTENT = bytes(range(256)) * 40
SIZE = len(CONTENT)
SUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "PAUSE", 0.0)
    monkeypatch.setattr(web, "TIMEOUT", 5.0)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def shelf() -> Generator[Shelf]:
    with serving(Shelf(CONTENT)) as shelf:
        yield shelf


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "file.bin"


def get(shelf: Shelf, target: Path, size: int = SIZE, sha256: str = SUM) -> None:
    fetch(shelf.address, target, size, sha256)


def left(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def part(target: Path, sha256: str = SUM) -> Path:
    return target.with_name(f".{target.name}.{sha256[:12]}.part")


def test_a_file_comes_whole_and_alone(shelf: Shelf, target: Path) -> None:
    said: list[tuple[int, int]] = []
    fetch(shelf.address, target, SIZE, SUM, lambda done, total: said.append((done, total)))
    assert target.read_bytes() == CONTENT
    assert left(target) == ["file.bin"]
    assert said[0] == (0, SIZE)
    assert said[-1] == (SIZE, SIZE)
    assert shelf.asked == [""]


def test_it_replaces_what_was_there_only_when_whole(shelf: Shelf, target: Path) -> None:
    target.write_text("old")
    shelf.codes = [404, 0]
    with pytest.raises(Unreachable):
        get(shelf, target)
    assert target.read_text() == "old"
    get(shelf, target)
    assert target.read_bytes() == CONTENT


@given(cuts=st.lists(st.integers(1, SIZE - 1), max_size=4), ranges=st.booleans(), length=st.sampled_from([None, -1]))
def test_however_the_line_breaks_the_file_is_right(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], ranges: bool, length: int | None
) -> None:
    target = tmp_path_factory.mktemp("cuts") / "file.bin"
    with serving(Shelf(CONTENT, [*cuts, None], ranges=ranges, length=length)) as shelf:
        get(shelf, target)
    assert target.read_bytes() == CONTENT
    assert left(target) == ["file.bin"]


def test_it_asks_only_for_what_is_missing(shelf: Shelf, target: Path) -> None:
    shelf.cuts = [1000, 500, None]
    get(shelf, target)
    assert shelf.asked == ["", "bytes=1000-", "bytes=1500-"]


def test_what_came_before_giving_up_is_gone_on_with(shelf: Shelf, target: Path) -> None:
    shelf.cuts = [700, *[0] * 20]
    with pytest.raises(Unreachable, match="700 of 10,240 bytes are kept, the same command goes on"):
        get(shelf, target)
    assert left(target) == [part(target).name]
    assert len(shelf.asked) == 1 + web.TRIES - 1
    shelf.cuts = [None]
    get(shelf, target)
    assert shelf.asked[-1] == "bytes=700-"
    assert target.read_bytes() == CONTENT


def test_what_was_interrupted_is_gone_on_with(shelf: Shelf, target: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    shelf.cuts = [3000]
    with pytest.raises(KeyboardInterrupt):
        fetch(shelf.address, target, SIZE, SUM, interrupt)
    kept = part(target).stat().st_size
    assert 0 < kept <= 3000
    shelf.cuts = [None]
    get(shelf, target)
    assert shelf.asked == ["", f"bytes={kept}-"]


def test_nothing_is_asked_for_when_nothing_is_missing(shelf: Shelf, target: Path) -> None:
    part(target).write_bytes(CONTENT)
    get(shelf, target)
    assert shelf.asked == []
    assert left(target) == ["file.bin"]


def test_a_server_without_parts_begins_anew(shelf: Shelf, target: Path) -> None:
    part(target).write_bytes(b"x" * 100)
    shelf.ranges = False
    get(shelf, target)
    assert shelf.asked == ["bytes=100-"]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("kept", [b"x" * 100, b"x" * SIZE, CONTENT[:-1] + b"x"])
def test_a_wrong_beginning_is_thrown_away(shelf: Shelf, target: Path, kept: bytes) -> None:
    part(target).write_bytes(kept)
    with pytest.raises(BadFile, match="it is thrown away"):
        get(shelf, target)
    assert left(target) == []
    get(shelf, target)
    assert target.read_bytes() == CONTENT


def test_more_than_the_whole_is_begun_anew(shelf: Shelf, target: Path) -> None:
    part(target).write_bytes(b"x" * (SIZE + 1))
    get(shelf, target)
    assert shelf.asked == [""]


@pytest.mark.parametrize("length", [None, -1])
@pytest.mark.parametrize("other", [1, -1, 100_000, -SIZE])
def test_another_size_is_another_file(target: Path, other: int, length: int | None) -> None:
    content = (CONTENT * 20)[: SIZE + other]
    with serving(Shelf(content, length=length)) as shelf, pytest.raises((BadFile, Unreachable)) as refused:
        get(shelf, target)
    if length is None or other > 0:
        assert "not the file that artalk knows" in str(refused.value)
        assert left(target) == []
        assert len(shelf.asked) == 1
    assert not target.exists()


def test_a_size_that_changes_on_the_way_is_noticed(shelf: Shelf, target: Path) -> None:
    part(target).write_bytes(CONTENT[:100])
    shelf.length = SIZE + 5
    with pytest.raises(BadFile, match="10,240 bytes, got 10,245"):
        get(shelf, target)


def test_a_wrong_sum_leaves_nothing(target: Path) -> None:
    with serving(Shelf(CONTENT[::-1])) as shelf, pytest.raises(BadFile, match=f"wanted {SUM}"):
        get(shelf, target)
    assert left(target) == []


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 451])
def test_a_refusal_is_final(shelf: Shelf, target: Path, code: int) -> None:
    shelf.codes = [code]
    with pytest.raises(Unreachable, match=f"it answers {code}"):
        get(shelf, target)
    assert len(shelf.asked) == 1
    assert left(target) == []


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503])
def test_a_server_that_is_busy_is_asked_again(shelf: Shelf, target: Path, code: int) -> None:
    shelf.codes = [code, code, 0]
    get(shelf, target)
    assert len(shelf.asked) == 3
    assert target.read_bytes() == CONTENT


def test_a_server_that_stays_busy_is_given_up(shelf: Shelf, target: Path) -> None:
    shelf.codes = [503]
    with pytest.raises(Unreachable, match="it answers 503"):
        get(shelf, target)
    assert len(shelf.asked) == web.TRIES


def test_a_server_that_says_there_is_no_more_is_asked_for_all(shelf: Shelf, target: Path) -> None:
    part(target).write_bytes(CONTENT[:50])
    shelf.codes = [416, 0]
    get(shelf, target)
    assert shelf.asked == ["bytes=50-", ""]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("answer", ["bytes 7-10239/10240", "lines 50-60/70", "bytes */10240", "50"])
def test_another_part_than_asked_for_is_refused(shelf: Shelf, target: Path, answer: str) -> None:
    part(target).write_bytes(CONTENT[:50])
    shelf.part = answer
    with pytest.raises(Unreachable, match="another part than asked for"):
        get(shelf, target)
    assert len(shelf.asked) == 1
    assert part(target).read_bytes() == CONTENT[:50]


def test_a_silent_line_is_a_broken_one(shelf: Shelf, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "TIMEOUT", 0.05)
    monkeypatch.setattr(web, "TRIES", 2)
    shelf.stall = 0.5
    with pytest.raises(Unreachable, match=r"timed out; [\d,]+ of 10,240 bytes are kept"):
        get(shelf, target)


def test_nobody_there_is_a_sentence(target: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unreachable, match="refused"):
        fetch(f"http://127.0.0.1:{port}/x", target, SIZE, SUM)
    assert left(target) == []


def test_what_speaks_no_tls_is_a_sentence(shelf: Shelf, target: Path) -> None:
    with pytest.raises(Unreachable, match="SSL|TLS|ssl"):
        fetch(shelf.address.replace("http:", "https:"), target, SIZE, SUM)
    assert shelf.asked == []


def test_redirections_are_followed(shelf: Shelf, target: Path) -> None:
    shelf.redirect = "/moved"
    shelf.cuts = [None, 100, None, None]
    get(shelf, target)
    assert shelf.asked == ["", "", "bytes=100-", "bytes=100-"]
    assert target.read_bytes() == CONTENT


def test_redirections_in_a_circle_end(shelf: Shelf, target: Path) -> None:
    shelf.redirect = "/file.bin"
    with pytest.raises(Unreachable, match="on and on"):
        get(shelf, target)
    assert len(shelf.asked) < 20


@pytest.mark.parametrize(
    "elsewhere",
    ["http://192.0.2.1/x?key=secret", "ftp://localhost/x", "file:///etc/passwd", "data:text/plain,x", "http://[::1/x"],
)
def test_a_redirection_to_an_unsafe_place_is_refused(shelf: Shelf, target: Path, elsewhere: str) -> None:
    shelf.redirect = elsewhere
    with pytest.raises(BadInput, match="begins with https://") as refused:
        get(shelf, target)
    assert "secret" not in str(refused.value)
    assert len(shelf.asked) == 1
    assert left(target) == []


@pytest.mark.parametrize(
    "address",
    [
        "http://192.0.2.1/x",
        "http://localhost.example.org/x",
        "http://127.0.0.1@192.0.2.1/x",
        "https://me:secret@192.0.2.1/x",
        "ftp://localhost/x",
        "file:///etc/passwd",
        "//localhost/x",
        "https:///x",
        "https://[::1/x",
        "https://192.0.2.1/a b",
        "https://192.0.2.1/\r\nHost: x",
        "HTTP",
        "",
    ],
)
def test_unsafe_addresses_are_refused_unasked(target: Path, address: str) -> None:
    with pytest.raises(BadInput, match="begins with https://"):
        fetch(address, target, SIZE, SUM)
    assert left(target) == []


def test_too_little_room_is_said_before_anything_comes(
    shelf: Shelf, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part(target).write_bytes(CONTENT[:100])
    usage = shutil.disk_usage(target.parent)._replace(free=SIZE - 101)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(BadFile, match=r"10,140 bytes are to come and 10,139 are free .* ARTALK_HOME"):
        get(shelf, target)
    assert shelf.asked == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=SIZE - 100))
    get(shelf, target)


def test_a_disk_that_fills_up_keeps_what_came(shelf: Shelf, target: Path) -> None:
    """The system itself refuses to write on: a limit on the size of files stands for the end of a disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    try:
        with pytest.raises(BadFile, match="writing .* failed: File too large; what came before is kept"):
            get(shelf, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(shelf.asked) == 1
    kept = part(target).stat().st_size
    assert 0 < kept <= 4000
    get(shelf, target)
    assert shelf.asked[1] == f"bytes={kept}-"
    assert target.read_bytes() == CONTENT


def test_two_at_once_do_not_write_into_each_other(shelf: Shelf, target: Path) -> None:
    def second(done: int, total: int) -> None:
        with pytest.raises(BadFile, match="another artalk"):
            get(shelf, target)

    fetch(shelf.address, target, SIZE, SUM, second)
    assert target.read_bytes() == CONTENT


def test_a_folder_that_is_not_there_is_a_sentence(shelf: Shelf, target: Path) -> None:
    with pytest.raises(BadFile, match="writing"):
        get(shelf, target.parent / "gone" / "file.bin")
    assert shelf.asked == []
