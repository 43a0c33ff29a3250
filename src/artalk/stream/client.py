"""A live session at a server, from Python: `with artalk.connect("ws://localhost:8765") as live: ...`."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from fractions import Fraction
from types import TracebackType
from typing import Any, Self, TypeAlias, cast
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.sync.client import connect as open_socket

from artalk.channels import Channels, Group
from artalk.errors import BadInput, Unreachable
from artalk.generators.mixing import mix
from artalk.motion import Motion
from artalk.resampler import whole_rate
from artalk.retarget.maps import SETS
from artalk.stream import protocol
from artalk.stream.protocol import (
    PACES,
    Change,
    Closing,
    Ended,
    Fault,
    Finish,
    Finished,
    Flush,
    Frames,
    FromClient,
    Health,
    Hello,
    Interrupt,
    Interrupted,
    Pace,
    Ping,
    Placed,
    Pong,
    Save,
    Saved,
    Sound,
    Welcome,
)

FloatArray = NDArray[np.float32]

Event: TypeAlias = Motion | Placed | Ended | Interrupted | Finished | Fault | Closing

BLOCK_SECONDS = 0.5
"""Of sound in one message, at most."""

LEAVING = 1.0
"""Seconds in which the rest of what a server said comes, once it has closed."""

KEEP_ALIVE = 15.0
"""Seconds after which somebody who only listens says that they are there; servers wait for a minute."""

PONG = 20.0
"""Seconds that a server's answer to a ping may take."""

DRIFT = 5e-3
"""By which share the session's time may go slower than ours: machines' clocks differ, and microphones' are followed."""

SPARE = 0.5
"""Seconds of a server's room that are left, at least, to messages on their way and to a mouth that closes first."""


class Refused(BadInput):
    """The server does not want this session; the message says why."""


class Live:
    """A session at a server. Not for several threads at once, but that one may feed while another receives.

    `receive` gives what the server sends: pieces of `Motion` with their exact place in the session's time, `Placed`,
    `Ended`, `Interrupted`, `Fault`, … of `artalk.stream.protocol`.
    """

    def __init__(self, url: str, hello: Hello, timeout: float = 10.0) -> None:
        self.sample_rate = hello.sample_rate
        self.pace: Pace = hello.pace
        self.health: Health | None = None
        """What the server said last of how the session fares."""
        self.round_trip: float | None = None
        """Seconds that the last `ping` took."""
        self._timeout = timeout
        self._saved: bytes | None = None
        self._waiting: deque[Event] = deque()
        self._hearing = threading.Lock()
        self._over = self._left = False
        self._sent_at = time.monotonic()
        self._zero, self._heeded = math.inf, 0.0
        # When, in the session's time, all that was fed will have been said; infinite where only `Health` can tell.
        self._until = math.inf if hello.resume else -math.inf
        self._interrupting = 0
        self._fault = ""
        self._open = ExitStack()
        try:
            # What has come waits here and not on its way: a server's pings are answered while nobody receives.
            opened = open_socket(
                _address(url),
                max_size=None,
                max_queue=None,
                compression=None,
                open_timeout=timeout,
                # A server that is given sound faster than it works reads no pings meanwhile; what goes on may be such.
                ping_timeout=None if hello.pace == "free" or hello.resume else PONG,
                proxy=None if _loopback(url) else True,
            )
            self._socket = self._open.enter_context(opened)
        except InvalidStatus as error:
            raise Refused(f"{url}: {_why(error)}") from error
        except (OSError, InvalidHandshake, InvalidURI, TimeoutError, ValueError, OverflowError) as error:
            raise Unreachable(f"no artalk server answers at {url!r}: {error}") from error
        try:
            self.welcome = welcome = self._greet(url, hello)
        except BaseException:
            self.close()
            raise
        self.fps = Fraction(welcome.fps_numerator, welcome.fps_denominator)
        self.channels = SETS.get(welcome.space) or _unknown(welcome)

    def _greet(self, url: str, hello: Hello) -> Welcome:
        self._send(hello)
        welcome = self._next(self._timeout)
        if isinstance(welcome, Fault):
            raise Refused(f"{url}: {welcome.message}")
        if not isinstance(welcome, Welcome):
            raise Unreachable(f"{url!r} is no artalk server: it began with {type(welcome).__name__}")
        self._heed(welcome.clock)
        return welcome

    def _heed(self, clock: float) -> None:
        """The session's time when a message was sent: whichever took the shortest way lately knows it best."""
        now = time.monotonic()
        self._zero = min(self._zero + DRIFT * (now - self._heeded), now - clock)
        self._heeded = now

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def now(self) -> float:
        """Seconds of the session's time, which is the server's: as near as messages on their way allow. (At pace "free"
        there is no such time.)

        Frame k is to be shown when this is k / fps + `latency` + d, and the sound that a `Placed` names is to be heard
        when it is its `time` + `latency` + d, with one d of your own for both.
        """
        return time.monotonic() - self._zero

    @property
    def latency(self) -> float:
        """Seconds of sound past a frame's own time that its making may need."""
        return self.welcome.latency

    @property
    def room(self) -> float:
        """Seconds of sound that can be fed now at pace "burst", of which a server keeps `Welcome.buffer_seconds`; a
        message that does not fit is refused by a `Fault`. What is told of it comes with what is received: the room is 0
        after a refusal, and where a session goes on, until the next `Health`. (At other paces there is no end to it:
        "free" makes who feeds wait, and a microphone has its own time.)
        """
        if not self.welcome.lead:
            return math.inf
        # A turn that is flushed may last to the end of a window.
        spare = min(max(SPARE, self.latency), self.welcome.buffer_seconds / 2)
        return max(self.welcome.buffer_seconds - spare - max(self._until - self.now, 0.0), 0.0)

    def feed(self, samples: FloatArray) -> None:
        """More sound (n,), mono float in -1..1; sends it at once, in messages of half a second at most."""
        block = np.asarray(samples, np.float32)
        if block.ndim != 1:
            hint = ": take one channel, or the mean of all" if block.ndim == 2 else ""
            raise BadInput(f"a session is fed mono sound (samples,), got shape {block.shape}{hint}")
        if not np.isfinite(block).all():
            raise BadInput(f"a session is fed finite sound, got NaN or infinity among {len(block)} samples")
        step = max(int(BLOCK_SECONDS * self.sample_rate), 1)
        for start in range(0, len(block), step):
            part = block[start : start + step]
            # Before it is sent: what the server says of it may be received at once by another thread.
            self._until = max(self._until, self.now) + len(part) / self.sample_rate
            self._send(Sound(part.astype("<f4").tobytes()))

    def flush(self) -> None:
        """The turn has ended."""
        self._send(Flush())

    def interrupt(self, frame: int | None = None) -> None:
        """Stop speaking; `frame` is the first one that was not shown yet."""
        self._until, self._interrupting = -math.inf, self._interrupting + 1
        self._send(Interrupt(frame))

    def change(
        self,
        seed: int | None = None,
        style: str | Mapping[str, float] | None = None,
        gains: Mapping[str, float] | None = None,
    ) -> None:
        """Go on with another seed, style or gains, as in `connect`; None leaves each, a style {} is none."""
        _check_seed(seed)
        self._send(Change(seed, _shares(style), _table("gains", gains)))

    def ping(self) -> None:
        """Measure `round_trip`: the answer comes with what is received next."""
        self._send(Ping(time.monotonic()))

    def save(self) -> bytes:
        """The session's state, for the `resume` of another connection to a server with the same secret.

        Frames that come after it are also made by whoever goes on with it.
        """
        self._saved = None
        self._send(Save())
        deadline = time.monotonic() + self._timeout
        while self._saved is None:
            event = self._event(deadline - time.monotonic(), saves=True)
            if event is not None:
                self._waiting.append(event)
            elif self._saved is None:
                raise Unreachable("the server did not save the session in time")
        return self._saved

    def receive(self, timeout: float | None = 0.0) -> Iterator[Event]:
        """What has come; where nothing has, waits up to `timeout` seconds (None: for ever) for the first."""
        wait = timeout
        while True:
            # What was kept comes first, also what is kept meanwhile: by `save`, or by a `feed` to a server that left.
            while self._waiting:
                yield self._waiting.popleft()
                wait = 0.0
            if self._over:
                return
            try:
                event = self._event(wait)
            except Unreachable:
                if self._waiting:
                    continue
                raise
            if event is not None:
                yield event
                wait = 0.0
            elif not self._waiting:
                return

    def finish(self, timeout: float | None = None) -> list[Event]:
        """End the sound; all that is still to come, up to `Finished`.

        Raises `Unreachable` where the server ends the session before; what came until then can still be received.
        """
        self._send(Finish())
        while not (self._waiting and _is_last(self._waiting[-1])):
            event = self._event(self._timeout if timeout is None else timeout)
            if event is None:
                raise Unreachable("the server did not finish in time")
            self._waiting.append(event)
        self._over = True
        if isinstance(self._waiting[-1], Fault):
            raise Unreachable(f"the server ended the session: {self._fault}")
        events = list(self._waiting)
        self._waiting.clear()
        return events

    def close(self) -> None:
        """Leave."""
        self._open.close()

    def _event(self, timeout: float | None, saves: bool = False) -> Event | None:
        """The next event, or None where none comes in time, or where a state comes that somebody `saves`."""
        deadline = None if timeout is None else time.monotonic() + max(timeout, 0.0)
        while True:
            message = self._next(None if deadline is None else max(deadline - time.monotonic(), 0.0))
            if isinstance(message, Frames | Health | Pong):
                self._heed(message.clock)
            match message:
                case None:
                    return None
                case Frames():
                    return Motion(
                        message.values.reshape(-1, len(self.channels)), self.channels, self.fps, message.first
                    )
                case Health():
                    self._note(message)
                case Fault():
                    self._heard_fault(message)
                    return message
                case Pong():
                    self.round_trip = time.monotonic() - message.time
                case Saved():
                    self._saved = message.state
                    if saves:
                        return None
                case Interrupted():
                    self._interrupting -= 1
                    return message
                case Placed() | Ended() | Finished() | Closing():
                    return message
                case _:
                    raise Unreachable(f"the server sent a {type(message).__name__} out of place")

    def _heard_fault(self, fault: Fault) -> None:
        if fault.fatal:
            self._fault = fault.message
        if fault.code == "buffer_full":
            self._until = math.inf  # what of it was taken is not known

    def _note(self, health: Health) -> None:
        self.health = health
        if not self._interrupting:  # else it may be of sound that is forgotten by now
            said = health.clock + health.queued
            self._until = said if self._until == math.inf else max(self._until, said)

    def _next(self, timeout: float | None) -> protocol.Message | None:
        """The next message, or None where none comes in time."""
        left = math.inf if timeout is None else timeout
        while True:
            # A server ends sessions of which nothing comes; who listens is there too.
            if time.monotonic() - self._sent_at > KEEP_ALIVE and not self._left:
                self.ping()
            began = time.monotonic()
            try:
                with self._hearing:
                    data: Any = self._socket.recv(min(left, KEEP_ALIVE))
            except TimeoutError:
                left -= time.monotonic() - began
                if left <= 0:
                    return None
            except ConnectionClosed as error:
                raise Unreachable(f"the server closed the session: {self._fault or error}") from error
            else:
                return protocol.decode(data if isinstance(data, bytes) else b"")

    def _send(self, message: FromClient) -> None:
        if self._left and self._waiting:
            return  # what the server said before it left is to be received first
        try:
            self._socket.send(protocol.encode(message))
            self._sent_at = time.monotonic()
        except ConnectionClosed as error:
            self._hear_out()
            if not self._waiting:
                raise Unreachable(f"the server closed the session: {self._fault or error}") from error

    def _hear_out(self) -> None:
        """Keep what the server said before it left, above all why, and its `Closing` with the state."""
        self._left = True
        with suppress(Unreachable):
            while True:
                event = self._event(LEAVING)
                if event is None:
                    return
                self._waiting.append(event)


def connect(
    url: str = "ws://127.0.0.1:8765",
    *,
    sample_rate: int = 16000,
    pace: Pace = "live",
    model: str | None = None,
    style: str | Mapping[str, float] | None = None,
    seed: int = 0,
    gains: Mapping[str, float] | None = None,
    token: str | None = None,
    resume: bytes = b"",
    timeout: float = 10.0,
) -> Live:
    """A live session at the server `url`, ws:// or wss://; see `Live`.

    `pace` is "live" for a microphone, "burst" for speech that comes faster than it is spoken, "free" for as fast as
    it goes; see `artalk.stream.protocol.Pace`. `style` is a name, a mix such as "smiling:0.7,lively:0.3" or a table of
    shares; `seed` lies within 0 and 2^32 - 1. With `resume`, what `Live.save` gave, a session goes on as it was: its
    pace, seed, style and gains are its own. Raises `Unreachable` where no server answers, `Refused` where it will not
    have us, `BadInput` for what no session can be asked.
    """
    rate = whole_rate(sample_rate)
    if rate is None:
        raise BadInput(f"a sample rate is a whole number of samples a second, got {sample_rate!r}")
    if pace not in PACES:
        raise BadInput(f"a pace is {', '.join(PACES)}, got {pace!r}")
    _check_seed(seed)
    hello = Hello(
        sample_rate=rate,
        pace=pace,
        seed=seed,
        model=_text("model", model),
        token=_text("token", token),
        style=_shares(style) or {},
        gains=_table("gains", gains) or {},
        resume=resume,
    )
    return Live(url, hello, timeout)


def _shares(style: str | Mapping[str, float] | None) -> Mapping[str, float] | None:
    """A style as shares of names; an empty text is none."""
    if isinstance(style, str):
        return mix(style) if style else {}
    return _table("a style", style)


def _table(what: str, given: Any) -> Mapping[str, float] | None:
    if not isinstance(given, Mapping | None):
        raise BadInput(f"{what}: a table of names and numbers is wanted, got {given!r}")
    return cast("Mapping[str, float] | None", given)


def _text(what: str, given: Any) -> str:
    """A text that may not be given, as that of a variable that is not set."""
    if not isinstance(given, str | None):
        raise BadInput(f"a {what} is a text, got {type(given).__name__}")
    return given or ""


def _check_seed(seed: int | None) -> None:
    if seed is not None and not 0 <= seed < 2**32:
        raise BadInput(f"a seed is 0 to 2^32 - 1, got {seed}")


def _is_last(event: Event) -> bool:
    """Whether nothing comes after it."""
    return isinstance(event, Finished | Closing) or (isinstance(event, Fault) and event.fatal)


def _loopback(url: str) -> bool:
    """Whether it is this machine, which no proxy leads to."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _address(url: str) -> str:
    """The live socket of a server whose address was given with or without a path."""
    base = url.replace("http", "ws", 1) if url.startswith("http") else url
    bare, mark, query = base.partition("?")
    whole = bare if bare.count("/") > 2 and not bare.endswith("/") else f"{bare.rstrip('/')}/v1/live"
    return f"{whole}{mark}{query}"


def _why(error: InvalidStatus) -> str:
    """What a server says that does not open a socket."""
    try:
        return str(json.loads(error.response.body or b"")["message"])
    except (ValueError, TypeError, KeyError):
        return str(error)


def _unknown(welcome: Welcome) -> Channels:
    """Channels that this version does not know by name: plain columns."""
    group = Group("values", len(welcome.channels), "coefficient")
    return Channels(welcome.space, (group,), welcome.channels)
