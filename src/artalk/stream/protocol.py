"""What goes over the live socket: one binary WebSocket message is one of these dataclasses.

A message is one byte, its number in `MESSAGES`, and then its fields in order, little-endian, without padding:

| type here | on the wire |
|---|---|
| `U8`, `U16`, `U32`, `U64` | unsigned; U64 stays below 2^53, so that JavaScript counts it exactly |
| `F32`, `F64` | IEEE 754, finite |
| `bool` | one byte, 0 or 1 |
| a `Literal` | one byte, its place in the list |
| `str` | U16 bytes, then that much UTF-8 |
| `Names` | U16 how many, then each text |
| `Shares` | U8 how many, then each name and F32 |
| `X \\| None` | one byte, 0 or 1; after 1 the value |
| `Blob` | bytes up to the end of the message |
| `Values` | zeros up to the next multiple of 4 bytes from the message's beginning, then F32 up to its end |

`viewer/src/protocol.ts` is generated from this file by `python -m artalk.stream.typescript`.

A session's time runs from 0 and is the server's: frame k stands at k / fps seconds. A client shows it at that time plus
`Welcome.latency` plus what it wants for the network, and plays the sound that a `Placed` names at the same delay.
"""

import struct
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, Union, cast, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from artalk.errors import BadInput

VERSION = 1
"""Of this protocol: a server answers a `Hello` of another one with a `Fault`."""

LARGEST_COUNT = (1 << 53) - 1

U8: TypeAlias = Annotated[int, "u8"]
U16: TypeAlias = Annotated[int, "u16"]
U32: TypeAlias = Annotated[int, "u32"]
U64: TypeAlias = Annotated[int, "u64"]
F32: TypeAlias = Annotated[float, "f32"]
F64: TypeAlias = Annotated[float, "f64"]
Names: TypeAlias = Annotated[tuple[str, ...], "names"]
Shares: TypeAlias = Annotated[Mapping[str, float], "shares"]
Blob: TypeAlias = Annotated[bytes, "blob"]
Values: TypeAlias = Annotated[NDArray[np.float32], "values"]

Encoding: TypeAlias = Literal["pcm16", "float32", "opus"]
"""Of the sound: 16-bit integers, floats in -1..1 (both little-endian, mono), or one Opus packet a message."""

Pace: TypeAlias = Literal["live", "burst", "free"]
"""How sound and time go together.

`live`: a microphone; sound that comes too late for its place is dropped, so that no delay builds up.
`burst`: sound of a text-to-speech may come faster than it is spoken; frames go out by the clock.
`free`: no clock; every frame goes out as soon as it is made, and none while there is no sound.
"""

PACES: tuple[Pace, ...] = get_args(Pace)
"""Their names."""


class BadMessage(BadInput):
    """Bytes that are no message of the protocol."""


# ── from the client ──


@dataclass(frozen=True)
class Hello:
    """The first message. `resume` is the state that a `Saved` or a `Closing` of an earlier session carried."""

    version: U16 = VERSION
    sample_rate: U32 = 16000
    encoding: Encoding = "float32"
    pace: Pace = "live"
    seed: U32 = 0
    model: str = ""
    token: str = ""
    style: Shares = field(default_factory=dict[str, float])
    gains: Shares = field(default_factory=dict[str, float])
    resume: Blob = b""


@dataclass(frozen=True)
class Sound:
    """More sound, directly after what came before, in the encoding that `Hello` named."""

    data: Blob


@dataclass(frozen=True)
class Flush:
    """The turn has ended: what was said becomes frames without waiting for more sound."""


@dataclass(frozen=True)
class Interrupt:
    """Stop speaking. `frame` is the first one that was not shown yet; None leaves it to the server's clock."""

    frame: U64 | None = None


@dataclass(frozen=True)
class Change:
    """Go on with another seed, other shares of named styles ({}: none) or other gains; None leaves each as it is."""

    seed: U32 | None = None
    style: Shares | None = None
    gains: Shares | None = None


@dataclass(frozen=True)
class Save:
    """Ask for the session's state."""


@dataclass(frozen=True)
class Finish:
    """The sound has ended for good: the remaining frames come, then `Finished`, and the server closes."""


@dataclass(frozen=True)
class Ping:
    """Ask for a `Pong`; `time` is the client's own, returned as it is."""

    time: F64


# ── from the server ──


@dataclass(frozen=True)
class Welcome:
    """The session stands. `latency` is the seconds of sound past a frame's own time that its making may need.

    `lead` is the seconds that frames of sound which came early are made ahead of the clock; `clock` is the session's
    time when this was sent: 0, or where it was saved.
    """

    version: U16
    session: str
    model: str
    fps_numerator: U32
    fps_denominator: U32
    latency: F64
    lead: F64
    buffer_seconds: F64
    clock: F64
    space: str
    channels: Names
    styles: Names


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames `first`, `first` + 1, … as rows of `values`, of this `turn`; `clock` is the session's time when sent."""

    turn: U32
    first: U64
    clock: F64
    values: Values


@dataclass(frozen=True)
class Placed:
    """The client's sample number `sample` and those after it are heard from `time` seconds of the session on.

    Sent when a turn begins and whenever sound was dropped, frames were left out or silence was put in between.
    """

    turn: U32
    sample: U64
    time: F64


@dataclass(frozen=True)
class Ended:
    """What was said in this turn ends before frame `frame`; after it the face idles."""

    turn: U32
    frame: U64


@dataclass(frozen=True)
class Interrupted:
    """Speech stopped: forget frames from `frame` on. Those that follow begin there and belong to `turn`."""

    turn: U32
    frame: U64


@dataclass(frozen=True)
class Health:
    """How the session fares, about once a second. Counters are since it began.

    `queued` is the seconds of sound that wait, `late` the milliseconds from a window's sound being there to its
    frames being sent, the worst of the last second.
    """

    clock: F64
    queued: F32
    late: F32
    frames: U64
    frames_dropped: U64
    samples_dropped: U64
    samples_filled: U64


@dataclass(frozen=True)
class Pong:
    """The answer to a `Ping`, and the session's `clock`."""

    time: F64
    clock: F64


@dataclass(frozen=True)
class Saved:
    """The session's state, for the `resume` of a later `Hello` at any server with the same secret."""

    state: Blob


@dataclass(frozen=True)
class Finished:
    """All sound is worked through: the session had this many frames."""

    frames: U64


@dataclass(frozen=True)
class Fault:
    """Something was wrong: `code` for programs, `message` for people. After a `fatal` one the server closes."""

    code: str
    message: str
    fatal: bool


@dataclass(frozen=True)
class Closing:
    """The server stops; `state` goes on elsewhere as the `resume` of a `Hello`."""

    reason: str
    state: Blob


FromClient: TypeAlias = Hello | Sound | Flush | Interrupt | Change | Save | Finish | Ping
FromServer: TypeAlias = (
    Welcome | Frames | Placed | Ended | Interrupted | Health | Pong | Saved | Finished | Fault | Closing
)
Message: TypeAlias = FromClient | FromServer

MESSAGES: dict[int, type[Message]] = {
    **dict(enumerate(get_args(FromClient), start=1)),
    **dict(enumerate(get_args(FromServer), start=65)),
}
"""The messages by their first byte."""

_NUMBERS = {kind: number for number, kind in MESSAGES.items()}
_SCALARS = {"u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q", "f32": "<f", "f64": "<d"}


@dataclass(frozen=True)
class Wire:
    """How a field travels: a name of the table above, the `options` of a literal, whether it may be missing."""

    name: str
    options: tuple[str, ...] = ()
    optional: bool = False


@cache
def layout(kind: type[Message]) -> dict[str, Wire]:
    """The fields of a message in order."""
    hints = get_type_hints(kind, include_extras=True)
    return {item.name: _wire(hints[item.name]) for item in fields(kind)}


def encode(message: Message) -> bytes:
    """The bytes of a message. Raises `BadMessage` where a value does not fit its field."""
    out = bytearray([_NUMBERS[type(message)]])
    for name, wire in layout(type(message)).items():
        try:
            _write(out, wire, getattr(message, name))
        except (struct.error, OverflowError, ValueError, TypeError) as error:
            got = repr(getattr(message, name))[:60]
            raise BadMessage(f"{type(message).__name__}.{name} travels as {wire.name}, got {got}") from error
    return bytes(out)


def decode(data: bytes) -> Message:
    """The message in `data`. Raises `BadMessage` for anything that `encode` would not have written."""
    if not data or data[0] not in MESSAGES:
        raise BadMessage(f"a message begins with one of {len(MESSAGES)} numbers, got {data[:1].hex() or 'nothing'}")
    kind = MESSAGES[data[0]]
    reader = _Reader(data)
    values: dict[str, Any] = {}
    for name, wire in layout(kind).items():
        try:
            values[name] = reader.read(wire)
        except (struct.error, UnicodeDecodeError, ValueError) as error:
            raise BadMessage(f"{kind.__name__}.{name} is {wire.name}: {error}") from error
    if reader.at != len(data):
        raise BadMessage(f"{kind.__name__} ends after {reader.at} bytes, got {len(data)}")
    return kind(**values)


def _wire(hint: Any) -> Wire:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return Wire(hint.__metadata__[0])
    if origin is Literal:
        return Wire("choice", inner)
    if origin in (Union, types.UnionType):
        there = next(option for option in inner if option is not type(None))
        return Wire(_wire(there).name, _wire(there).options, optional=True)
    return Wire({str: "text", bool: "bool"}[hint])


def _write(out: bytearray, wire: Wire, value: Any) -> None:
    if wire.optional:
        out.append(value is not None)
        if value is None:
            return
    match wire.name:
        case "choice":
            out.append(wire.options.index(value))
        case "bool":
            out.append(bool(value))
        case "text":
            _write_text(out, value)
        case "names":
            out += struct.pack("<H", len(value))
            for text in value:
                _write_text(out, text)
        case "shares":
            out.append(len(value))
            for text, share in cast("Mapping[str, float]", value).items():
                _write_text(out, text)
                out += struct.pack("<f", _finite(share))
        case "blob":
            out += value
        case "values":
            out += bytes(-len(out) % 4) + np.asarray(value, "<f4").tobytes()
        case scalar:
            out += struct.pack(_SCALARS[scalar], _finite(value))


def _write_text(out: bytearray, text: str) -> None:
    encoded = text.encode()
    out += struct.pack("<H", len(encoded)) + encoded


def _finite(value: float) -> float:
    if not -np.inf < value < np.inf:
        raise ValueError("numbers are finite")
    if isinstance(value, int) and value > LARGEST_COUNT:
        raise ValueError("whole numbers stay below 2^53")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 1

    def read(self, wire: Wire) -> Any:
        if wire.optional and not self._flag():
            return None
        match wire.name:
            case "choice":
                return self._choice(wire.options)
            case "bool":
                return self._flag()
            case "text":
                return self._text()
            case "names":
                return tuple(self._text() for _ in range(self._scalar("u16")))
            case "shares":
                return self._shares()
            case "blob":
                return self._take(len(self.data) - self.at)
            case "values":
                return self._values()
            case scalar:
                return _finite(cast(float, self._scalar(scalar)))

    def _take(self, count: int) -> bytes:
        if self.at + count > len(self.data):
            raise ValueError(f"wanted {count} more bytes, got {len(self.data) - self.at}")
        self.at += count
        return self.data[self.at - count : self.at]

    def _scalar(self, name: str) -> Any:
        return struct.unpack(_SCALARS[name], self._take(struct.calcsize(_SCALARS[name])))[0]

    def _flag(self) -> bool:
        value = self._scalar("u8")
        if value > 1:
            raise ValueError(f"wanted 0 or 1, got {value}")
        return bool(value)

    def _choice(self, options: tuple[str, ...]) -> str:
        place: int = self._scalar("u8")
        if place >= len(options):
            raise ValueError(f"wanted a place in {', '.join(options)}, got {place}")
        return options[place]

    def _text(self) -> str:
        return self._take(self._scalar("u16")).decode()

    def _shares(self) -> dict[str, float]:
        count = self._scalar("u8")
        shares: dict[str, float] = {}
        for _ in range(count):
            name = self._text()
            shares[name] = _finite(self._scalar("f32"))
        if len(shares) != count:
            raise ValueError("a name stands twice")
        return shares

    def _values(self) -> NDArray[np.float32]:
        if any(self._take(-self.at % 4)):
            raise ValueError("the padding is zeros")
        rest = self._take(len(self.data) - self.at)
        if len(rest) % 4:
            raise ValueError(f"values are 4 bytes each, got {len(rest)} bytes")
        return np.frombuffer(rest, "<f4").astype(np.float32)
