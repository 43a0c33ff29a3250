"""What a server may be told, as one frozen dataclass: `artalk serve --config server.toml` reads it."""

import ipaddress
import json
import math
import os
import tomllib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from artalk import api, config
from artalk.errors import BadFile, BadInput
from artalk.stream.session import Pacing


@dataclass(frozen=True)
class Limits:
    """What a client can have at most.

    Of live sessions: how many at once, the seconds of one, the seconds until its `Hello` and between its messages, the
    bytes of a message (a saved session comes in one), messages a second (ten seconds' worth may come at once), frames
    that wait for a slow reader, sample rates. Of uploads: bytes, seconds of sound, seconds that sending one may take,
    files worked on at once and waiting (those that are being sent among them), seconds of work on one, pixels of a
    picture's side, and how many results are kept for how many seconds.
    """

    sessions: int = 64
    session_seconds: float = 4 * 3600.0
    hello_seconds: float = 10.0
    idle_seconds: float = 60.0
    # A session that was saved at the highest rate, with all the sound that may wait (30 s: 23 MB), comes back in one.
    message_bytes: int = 32 << 20
    messages_per_second: float = 1000.0
    unsent_frames: int = 50
    lowest_rate: int = 8000
    highest_rate: int = 192000
    upload_bytes: int = 64 << 20
    upload_seconds: float = 600.0
    sending_seconds: float = 120.0
    jobs: int = 1
    jobs_waiting: int = 8
    job_seconds: float = 300.0
    pixels: int = 1024
    results: int = 8
    results_seconds: float = 600.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < math.inf:
                raise BadInput(f"{name} is a finite number above 0, got {value}")
        if self.lowest_rate > self.highest_rate:
            raise BadInput(f"lowest_rate is at most highest_rate, got {self.lowest_rate} and {self.highest_rate}")
        low, high = api.SIDES
        if not low <= self.pixels <= high:
            raise BadInput(f"pixels, the longest side of a picture, are {low} to {high}, got {self.pixels}")


@dataclass(frozen=True)
class Settings:
    """Where a server listens and whom it serves.

    `token`: what clients have to know, if anything. `origins`: pages other than the server's own that may use it, such
    as "https://example.org". `secret`: signs saved sessions, so that another server with the same one goes on with
    them; drawn anew if empty. `workers`: runs of a model at a time, 0 for one a core, but no more
    than four.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    model: str = api.LIVE
    workers: int = 0
    token: str = ""
    secret: str = ""
    origins: tuple[str, ...] = ()
    drain_seconds: float = 5.0
    limits: Limits = field(default_factory=Limits)
    pacing: Pacing = field(default_factory=Pacing)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise BadInput(f"a port is 0 to 65535, got {self.port}")
        if self.workers < 0:
            raise BadInput(f"workers are at least 1, or 0 for one a core, got {self.workers}")
        if not 0 <= self.drain_seconds < math.inf:
            raise BadInput(f"drain_seconds is a finite number of at least 0, got {self.drain_seconds}")
        for origin in self.origins:
            _check_origin(origin)
        if not (self.token.isascii() and self.token.isprintable() and self.token == self.token.strip()):
            raise BadInput("a token is of visible ASCII characters, as headers carry no others")
        if not self.local and not self.token:
            raise BadInput(f"listening on {self.host} lets others in: give a token that they have to know")

    def url(self, scheme: str, port: int) -> str:
        """Where it is at a port."""
        return f"{scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{port}"

    @property
    def at_once(self) -> int:
        """How many runs of models go on at a time."""
        return self.workers or min(os.cpu_count() or 1, 4)

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def load(path: str, **said: Any) -> Settings:
    """The settings in a file, under what is `said` besides; what is wrong with them is said of that file."""
    try:
        return config.load(Settings, path, **said)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    except BadFile as error:
        cause = error.__cause__
        if isinstance(cause, tomllib.TOMLDecodeError):
            raise BadFile(f"{path}: no TOML: {cause}") from error
        if isinstance(cause, json.JSONDecodeError):
            raise BadFile(f"{path}: no JSON: {cause}") from error
        raise  # it names its file already


def _check_origin(origin: str) -> None:
    """Raise `BadInput` for what no browser would send."""
    wanted = f"an origin is https://HOST, with a port that is not the usual one :PORT, without a path; got {origin!r}"
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError as error:
        raise BadInput(wanted) from error
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    if origin != origin.lower() or origin != f"{parts.scheme}://{parts.netloc}" or not parts.hostname or port == usual:
        raise BadInput(wanted)
