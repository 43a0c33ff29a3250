"""A web server on this machine that hands out one file, and breaks in the ways that the tests ask for."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep


@dataclass
class Shelf:
    """What the server has and how it answers; of `cuts` and `codes` one a request, the last for all that follow.

    `cuts` bytes of the answer's body after which the line breaks (None: all of it); `codes` answers other than the
    file (0: the file); `redirect` where it sends instead; `ranges` whether it knows of parts; `length` what it says of
    the size (None: the truth, -1: nothing); `part` a Content-Range that it makes up; `stall` seconds of silence in the
    middle.
    """

    content: bytes
    cuts: list[int | None] = field(default_factory=lambda: [None])
    codes: list[int] = field(default_factory=lambda: [0])
    redirect: str = ""
    ranges: bool = True
    length: int | None = None
    part: str = ""
    stall: float = 0.0
    asked: list[str] = field(default_factory=list[str])
    """The Range of each request, "" where none was given."""
    address: str = ""


class _Handler(BaseHTTPRequestHandler):
    shelf: Shelf

    def do_GET(self) -> None:
        shelf, number = self.shelf, len(self.shelf.asked)
        wanted = self.headers.get("Range") or ""
        shelf.asked.append(wanted)
        code = shelf.codes[min(number, len(shelf.codes) - 1)]
        if shelf.redirect and self.path != "/moved":
            return self._say(302, Location=shelf.redirect)
        if code:
            return self._say(code)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and shelf.ranges else 0
        if start >= len(shelf.content) > 0 and start:
            return self._say(416)
        body = shelf.content[start:]
        said = {} if shelf.length == -1 else {"Content-Length": str(shelf.length or len(body))}
        if wanted and shelf.ranges:
            total = shelf.length if shelf.length not in (None, -1) else len(shelf.content)
            said["Content-Range"] = shelf.part or f"bytes {start}-{len(shelf.content) - 1}/{total}"
            said["Content-Length"] = str(len(body))
        self._say(206 if wanted and shelf.ranges else 200, **said)
        cut = shelf.cuts[min(number, len(shelf.cuts) - 1)]
        if shelf.stall:
            self.wfile.write(body[: len(body) // 2])
            sleep(shelf.stall)
        else:
            self.wfile.write(body if cut is None else body[:cut])
        return None

    def _say(self, code: int, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        if code not in (200, 206):
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what some tests are about."""


@contextmanager
def serving(shelf: Shelf) -> Generator[Shelf]:
    """The server, as long as the block lasts; `shelf.address` is where the file is."""
    handler = type("Handler", (_Handler,), {"shelf": shelf})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        shelf.address = f"http://127.0.0.1:{server.server_address[1]}/file.bin"
        try:
            yield shelf
        finally:
            server.shutdown()
            thread.join()
