"""One live socket: messages in, messages out, and what is done where either side is too fast."""

import asyncio
import hashlib
import hmac
import logging
import secrets
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from artalk.errors import ArtalkError, BadInput
from artalk.generators.generator import Generator
from artalk.motion import Motion
from artalk.serve.engine import Engine, Seat
from artalk.serve.guard import bearer, token_fits
from artalk.serve.settings import Limits, Settings
from artalk.serve.sound import Decoder
from artalk.stream import protocol
from artalk.stream.protocol import (
    BadMessage,
    Change,
    Closing,
    Fault,
    Finish,
    Finished,
    Flush,
    Frames,
    FromServer,
    Health,
    Hello,
    Interrupt,
    Interrupted,
    Message,
    Ping,
    Placed,
    Pong,
    Save,
    Saved,
    Sound,
    Welcome,
)
from artalk.stream.session import BufferFull, Event, Session

log = logging.getLogger(__name__)

MOST_UNSENT = 256
"""Messages other than frames that may wait for a reader: more is no reader."""

HEALTH_SECONDS = 1.0

LONGEST_SENTENCE = 500
"""Characters of what is said of a fault: what a client said, of any length, may stand in it."""

READING_ON = 0.5
"""Seconds for which a client that may still be sending is read before its socket is closed: bytes that nobody has read
reset a connection, and what was said last is lost on its way."""

SAVES_APART = 0.2
"""Seconds between two saves of a session, at least."""

MUCH = 1.0
"""Seconds of sound that are left out before a client is told so."""

PARTING = 2.0
"""Seconds that a last message may take to be sent."""

GONE = (WebSocketDisconnect, RuntimeError, OSError, TimeoutError)
"""What sending to a client that left raises."""


class Refused(Exception):
    """The connection ends: why, for a program and for a person."""

    def __init__(self, code: str, message: str, close: int = 1008) -> None:
        super().__init__(message)
        self.fault, self.close = Fault(code, message[:LONGEST_SENTENCE], True), close


class Outbox:
    """What waits to be sent: every message, but of frames only the newest."""

    def __init__(self, most_frames: int, drops: bool) -> None:
        self._most, self._drops = most_frames, drops
        self._messages: deque[FromServer] = deque()
        self._frames = 0
        self.dropped = 0
        self.closed = False
        self._there = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether more frames had better wait, where none may be dropped."""
        return not self._drops and self._frames >= self._most

    def put(self, message: FromServer) -> None:
        """Add a message; an interruption takes the frames back that it makes void.

        A reader who has far too much to read is given up: `closed`, and nothing more is added.
        """
        if self.closed:
            return
        if isinstance(message, Interrupted):
            self._recall(message.frame)
        if isinstance(message, Saved):  # one at a time: they are large, and the newest is the one to go on with
            self._messages = deque(m for m in self._messages if not isinstance(m, Saved))
        if isinstance(message, Frames):
            self._frames += len(message.values)
        self._messages.append(message)
        while self._drops and self._frames > self._most:
            oldest = next(m for m in self._messages if isinstance(m, Frames))
            if oldest is message:
                break
            self._messages.remove(oldest)
            self._frames -= len(oldest.values)
            self.dropped += len(oldest.values)
        if len(self._messages) > MOST_UNSENT + self._most:
            self.closed = True
        self._there.set()

    async def get(self) -> FromServer:
        """The next message."""
        while not self._messages:
            self._there.clear()
            await self._there.wait()
        message = self._messages.popleft()
        if isinstance(message, Frames):
            self._frames -= len(message.values)
        return message

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._messages

    def _recall(self, frame: int) -> None:
        kept: deque[FromServer] = deque()
        for message in self._messages:
            if isinstance(message, Frames) and message.first + len(message.values) > frame:
                self._frames -= len(message.values)
                if message.first >= frame:
                    continue
                values = message.values[: frame - message.first]
                message = Frames(message.turn, message.first, message.clock, values)
                self._frames += len(values)
            kept.append(message)
        self._messages = kept


@dataclass
class Allowance:
    """Messages that a client may still send: they come back at a steady rate."""

    rate: float
    left: float
    at: float

    @classmethod
    def of(cls, limits: Limits) -> "Allowance":
        """A full one."""
        return cls(limits.messages_per_second, 10 * limits.messages_per_second, time.monotonic())

    def spend(self) -> bool:
        """Whether one more is allowed."""
        now = time.monotonic()
        self.left = min(self.left + (now - self.at) * self.rate, 10 * self.rate) - 1
        self.at = now
        return self.left >= 0


class Dropped(NamedTuple):
    """What was left out so far."""

    frames: int
    samples: int


class Connection:
    """A client from its `Hello` to its end."""

    def __init__(
        self,
        websocket: WebSocket,
        settings: Settings,
        engine: Engine,
        models: Mapping[str, Generator],
        secret: bytes,
    ) -> None:
        self.websocket, self.settings, self.engine = websocket, settings, engine
        self.models, self.secret = models, secret
        self.metrics, self.limits = engine.metrics, settings.limits
        self.name = secrets.token_urlsafe(9)
        self.closing = asyncio.Event()
        self._heard_at = time.monotonic()
        self._saved_at = 0.0
        self._failure = self._told = False
        self._allowance = Allowance.of(self.limits)

    async def run(self) -> None:
        """Serve the client until it or the server ends."""
        await self.websocket.accept()
        reason, close = "closed", 1000
        try:
            hello = await self._hello()
            await self._open(hello)
            await self._talk()
        except Refused as refused:
            reason, close = refused.fault.code, refused.close
            self.metrics.faults.labels(reason).inc()
            if not hasattr(self, "_seat"):
                log.info("session refused", extra={"session": self.name, "code": reason})
            await self._part(refused.fault)
        except GONE:
            reason = "gone"
        finally:
            self._leave("failed" if self._failure else reason)
            await self._close(close, reason)

    def drain(self) -> None:
        """The server stops: the session goes elsewhere."""
        self.closing.set()

    # ── the beginning ──

    async def _hello(self) -> Hello:
        try:
            async with asyncio.timeout(self.limits.hello_seconds):
                message = await self._receive()
        except TimeoutError:
            raise Refused("no_hello", f"no hello came within {self.limits.hello_seconds:g} s") from None
        if not isinstance(message, Hello):
            raise Refused("no_hello", f"the first message is a Hello, got {type(message).__name__}")
        if message.version != protocol.VERSION:
            raise Refused("version", f"this server speaks version {protocol.VERSION}, got {message.version}")
        offered = message.token or bearer(self.websocket.headers)
        if not token_fits(self.settings, offered):
            raise Refused("wrong_token", "this server wants a token that fits")
        self._check_room()
        return message

    def _check_room(self) -> None:
        if len(self.engine.seats) >= self.limits.sessions:
            raise Refused("busy", f"all {self.limits.sessions} sessions are taken: try again later", 1013)

    async def _open(self, hello: Hello) -> None:
        try:
            # A resampler for a rate that nobody has had takes up to half a second; others are not to wait for it.
            session, self._decoder = await asyncio.to_thread(self._session, hello)
        except ArtalkError as error:
            raise Refused("bad_hello", str(error)) from error
        self._check_room()
        counters = session.counters
        self._counted = Dropped(counters.frames_dropped, counters.samples_dropped)
        self._turn = session.turn
        self._outbox = Outbox(self.limits.unsent_frames, session.pace != "free")
        self._seat = Seat(session, self._deliver, self._failed, lambda: self._outbox.full)
        generator = session.generator
        self._outbox.put(
            Welcome(
                version=protocol.VERSION,
                session=self.name,
                model=generator.name,
                fps_numerator=generator.fps.numerator,
                fps_denominator=generator.fps.denominator,
                latency=session.latency,
                lead=session.pacing.lead if session.pace == "burst" else 0.0,
                buffer_seconds=session.pacing.buffer,
                clock=self._time,
                space=generator.channels.name,
                channels=generator.channels.names,
                styles=generator.styles,
            )
        )
        self.engine.add(self._seat)
        self.metrics.begun.inc()
        log.info("session begins", extra={"session": self.name, "model": generator.name, "pace": session.pace})

    def _session(self, hello: Hello) -> tuple[Session, Decoder]:
        decoder = Decoder(hello.encoding, hello.sample_rate)
        if not self.limits.lowest_rate <= decoder.sample_rate <= self.limits.highest_rate:
            low, high = self.limits.lowest_rate, self.limits.highest_rate
            raise BadInput(f"sound comes at {low} to {high} samples a second, got {hello.sample_rate}")
        generator = self.models.get(hello.model or next(iter(self.models)))
        if generator is None:
            raise BadInput(f"models here are {', '.join(self.models)}, got {hello.model!r}")
        if hello.resume:
            session = Session.restore(generator, verified(hello.resume, self.secret), self.settings.pacing)
            if session.sample_rate != decoder.sample_rate:
                raise BadInput(f"the saved session heard {session.sample_rate} Hz, got {decoder.sample_rate}")
            return session, decoder
        session = Session(
            generator,
            decoder.sample_rate,
            hello.pace,
            hello.seed,
            hello.style or None,
            hello.gains,
            self.settings.pacing,
        )
        return session, decoder

    # ── both ways at once ──

    async def _talk(self) -> None:
        tasks = [
            asyncio.create_task(work) for work in (self._read(), self._write(), self._watch(), self._wait_for_closing())
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if not self._allowance.spend():
                raise Refused("too_fast", f"at most {self.limits.messages_per_second:g} messages a second")
            try:
                await self._do(message)
            except BufferFull as error:
                self._complain("buffer_full", error)
            except ArtalkError as error:
                self._complain("bad_input", error)
            self.engine.wake(self._seat)

    async def _do(self, message: Message) -> None:
        session = self._seat.session
        match message:
            case Sound():
                samples = self._decoder.decode(message.data)
                await self._until_there_is_room(len(samples))
                session.feed(samples)
            case Flush():
                session.flush()
            case Interrupt():
                async with self._seat.still():  # frames on their way would come after it
                    session.interrupt(message.frame)
                    self._deliver(session.events())  # and those that wait are void at once
            case Change():
                session.change(message.seed, message.style, message.gains)
            case Save():
                # A state is large, and signing it takes time that others wait for.
                await asyncio.sleep(max(self._saved_at + SAVES_APART - time.monotonic(), 0.0))
                self._saved_at = time.monotonic()
                async with self._seat.still():
                    self._deliver(session.events())  # who goes on with the state makes what comes after these
                    self._outbox.put(Saved(signed(session.save(), self.secret)))
            case Finish():
                session.finish()
            case Ping():
                self._outbox.put(Pong(message.time, self._time))
            case _:
                raise Refused("bad_message", f"a {type(message).__name__} has no place here", 1002)

    async def _until_there_is_room(self, samples: int) -> None:
        """At pace "free", not reading makes the client wait; that is not its silence."""
        session, made = self._seat.session, -1
        while session.pace == "free" and session.queued and not session.has_room(samples):
            if session.made > made:
                made, self._heard_at = session.made, time.monotonic()
            self.engine.wake(self._seat)
            await asyncio.sleep(0.01)

    async def _receive(self) -> Message:
        event = await self.websocket.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code") or 1005)
        self._heard_at = time.monotonic()
        data = event.get("bytes")
        if data is None:
            raise Refused("bad_message", "messages are binary, got text", 1003)
        try:
            return protocol.decode(data)
        except BadMessage as error:
            raise Refused("bad_message", str(error), 1002) from error

    async def _write(self) -> None:
        while True:
            message = await self._outbox.get()
            await self._send(message)
            if isinstance(message, Finished):
                return
            if isinstance(message, Closing):
                raise _stops()
            self.engine.wake(self._seat)

    async def _watch(self) -> None:
        """Health once a second, and the ends that time sets."""
        while True:
            await asyncio.sleep(HEALTH_SECONDS)
            if time.monotonic() - self._heard_at > self.limits.idle_seconds:
                raise Refused("idle", f"nothing came for {self.limits.idle_seconds:g} s")
            if self._outbox.closed:
                raise Refused("slow_reader", f"{MOST_UNSENT} messages wait to be read")
            if self._seat.clock > self.limits.session_seconds:
                raise Refused("too_long", f"a session lasts {self.limits.session_seconds:g} s at most", 1001)
            self._count_dropped()
            self._say_what_was_dropped()
            if self._seat.session.pace != "free":
                self._outbox.put(self._health())

    def _health(self) -> Health:
        session, counters = self._seat.session, self._seat.session.counters
        return Health(
            clock=self._time,
            queued=session.queued,
            late=1000 * self._seat.take_late(),
            frames=counters.frames,
            frames_dropped=counters.frames_dropped + self._outbox.dropped,
            samples_dropped=counters.samples_dropped,
            samples_filled=counters.samples_filled,
        )

    async def _wait_for_closing(self) -> None:
        await self.closing.wait()
        session = self._seat.session
        deadline = time.monotonic() + self.settings.drain_seconds
        calm = 0
        # Twice, as what the engine has just made may be on its way to the outbox.
        while time.monotonic() < deadline and calm < 2:
            await asyncio.sleep(0.02)
            calm = calm + 1 if session.quiet and self._outbox.empty else 0
        self.engine.remove(self._seat)
        self._deliver(session.events())
        self._outbox.put(Closing("the server stops", signed(session.save(), self.secret)))
        await asyncio.sleep(PARTING)  # in which it is sent, after all that waits
        raise _stops()

    # ── from the engine ──

    def _deliver(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Placed | Interrupted):
                self._turn = event.turn
            if isinstance(event, Motion):
                event = Frames(self._turn, event.start, self._time, event.values)
            self._outbox.put(event)

    @property
    def _time(self) -> float:
        """The session's time, which goes on where it was saved and with a microphone's clock."""
        return self._seat.session.skew + self._seat.clock

    def _failed(self, error: Exception) -> None:
        self._failure = True
        self._outbox.put(Fault("failed", "the model failed; the server's log says why", True))
        self._outbox.put(Finished(self._seat.session.made))

    # ── the end ──

    def _complain(self, code: str, error: ArtalkError) -> None:
        self.metrics.faults.labels(code).inc()
        self._outbox.put(Fault(code, str(error)[:LONGEST_SENTENCE], False))

    async def _send(self, message: FromServer) -> None:
        if self.websocket.application_state is WebSocketState.CONNECTED:
            await self.websocket.send_bytes(protocol.encode(message))

    async def _part(self, message: FromServer) -> None:
        """Send a last message to one who may be gone, or who does not read."""
        with suppress(*GONE):
            async with asyncio.timeout(PARTING):
                await self._send(message)

    async def _close(self, code: int, reason: str) -> None:
        if self.websocket.application_state is not WebSocketState.DISCONNECTED:
            with suppress(*GONE):
                if self.closing.is_set():
                    await self._read_on()
                async with asyncio.timeout(PARTING):
                    await self.websocket.close(code, reason)  # a word, for who reads no `Fault`

    async def _read_on(self) -> None:
        with suppress(*GONE):
            async with asyncio.timeout(READING_ON):
                while (await self.websocket.receive())["type"] != "websocket.disconnect":
                    pass

    def _count_dropped(self) -> None:
        """Tell the metrics what was dropped since the last time; what a resumed session lost before is told already."""
        counters = self._seat.session.counters
        now = Dropped(counters.frames_dropped + self._outbox.dropped, counters.samples_dropped)
        self.metrics.frames_dropped.inc(now.frames - self._counted.frames)
        self.metrics.samples_dropped.inc(now.samples - self._counted.samples)
        self._counted = now

    def _say_what_was_dropped(self) -> None:
        """Once: a file that is fed as a microphone is lost, and nothing but a number of `Health` would tell."""
        session = self._seat.session
        seconds = session.counters.samples_dropped / session.sample_rate
        if seconds < MUCH or self._told:
            return
        self._told = True
        message = (
            f"{seconds:.1f} s of sound were left out, as they came faster than {session.sample_rate} samples a second: "
            "pace 'free' is for files, 'burst' for a voice that is made faster than it speaks"
        )
        self._complain("sound_dropped", BadInput(message))

    def _leave(self, reason: str) -> None:
        seat: Seat | None = getattr(self, "_seat", None)
        if seat is None:
            return
        self.metrics.ended.labels(reason).inc()
        self.engine.remove(seat)
        self._count_dropped()
        counters = seat.session.counters
        facts = {"session": self.name, "reason": reason, "seconds": round(seat.clock, 1), **vars(counters)}
        log.info("session ends", extra=facts)


def signed(state: bytes, secret: bytes) -> bytes:
    """A saved session under the server's seal."""
    return hmac.digest(secret, state, hashlib.sha256) + state


def verified(data: bytes, secret: bytes) -> bytes:
    """The saved session under our own seal. Raises `BadInput` for any other."""
    seal, state = data[:32], data[32:]
    if not hmac.compare_digest(seal, hmac.digest(secret, state, hashlib.sha256)):
        raise BadInput("this session was saved by a server with another secret")
    return state


def _stops() -> Refused:
    return Refused("closing", "the server stops", 1001)
