"""Any sound file as mono samples, by ffmpeg's libraries (PyAV), with hostile files in mind."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from artalk.errors import ArtalkError, BadAudio, BadInput
from artalk.resampler import HIGHEST_RATE, LOWEST_RATE
from artalk.source import Reader, Source, open_source, reason

if TYPE_CHECKING:
    from av import AudioFrame, Packet
    from av.audio.stream import AudioStream
    from av.container import InputContainer

DEFAULT_HOURS = 4
"""Hours of sound that are decoded without being asked for; a small file can declare, and hold, days of silence."""

DEFAULT_SAMPLES = DEFAULT_HOURS * 3600 * 48_000
"""The same limit in samples (2.8 GB of memory), which is the tighter one above 48 kHz."""

MOST_CHANNELS = 64

FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,caf,dts,eac3,flac,flv,loas,matroska,webm,mov,mp3,mp4,m4a,mpeg,mpegts,"
    "oga,ogg,opus,rf64,tak,tta,voc,wav,wv"
)
"""What is opened, by ffmpeg's names. Playlists and other formats that name further files or addresses stay shut,
and so do avi and w64, whose lists of remarks can make ffmpeg take 2 GB."""

EXACT = ("aiff", "au", "caf", "flac", "mov", "wv")
"""Formats whose declared length is exact, so that a shorter sound means a piece is missing."""

SHORTFALL = 0.1
"""Seconds that may be missing of a declared length, or between time stamps: codecs pad and trim, clocks are coarse."""

LONGEST_HOLE = 60.0
"""Seconds between time stamps that become silence; longer ones are not believed."""

FRUITLESS_PACKETS = 10_000
"""Packets in a row without a sample of sound after which decoding ends; damaged ones count."""


@dataclass
class Decoded:
    """Mono `samples` (n,) float32 at `sample_rate`, and `remarks`, sentences on what was wrong but bearable."""

    samples: NDArray[np.float32]
    sample_rate: int
    remarks: list[str] = field(default_factory=list[str])


def decode(source: Source, channel: int | None, max_duration: float | None, max_rate: int | None = None) -> Decoded:
    """Decode `source`; see `artalk.audio.load` for what it takes and raises."""
    import av

    with ExitStack() as stack:
        name, reader, head = open_source(source, stack)
        try:
            # `protocol_whitelist` names no protocol: nothing but what we read for it is ever opened.
            options = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
            container = stack.enter_context(
                av.open(reader, "r", container_options=options, metadata_errors="replace", buffer_size=1 << 18)
            )
            return _Decoding(name, container, reader, head, channel, max_duration, max_rate or HIGHEST_RATE).run()
        except ArtalkError:
            raise
        except Exception as error:  # PyAV raises some twenty types, builtin ones among them, for what it cannot read
            raise BadAudio(
                f"{name} is no sound that can be read ({reason(error)}): wanted wav, flac, mp3, ogg, opus, m4a, webm "
                f"or the like, got {_kind(head)}"
            ) from error


class _Decoding:
    """One pass over one container."""

    def __init__(
        self,
        name: str,
        container: "InputContainer",
        reader: Reader,
        head: bytes,
        channel: int | None,
        max_duration: float | None,
        max_rate: int,
    ) -> None:
        self._name = name
        self._head = head
        self._container = container
        self._reader = reader
        self._channel = channel
        self._max_duration, self._max_rate = max_duration, max_rate
        self._sound = bytearray()  # grows in place: no second copy of a long sound
        self._rate = 0
        self._broken = 0
        self._hurt = False
        self._silenced = 0
        self._began: Fraction | None = None
        self._not_finite = 0
        self._stopped = ""
        """Why decoding ended before the end, if it did."""

    def run(self) -> Decoded:
        stream = self._stream()
        self._rate = stream.codec_context.sample_rate or 0
        for frame in self._frames(stream):
            if not frame.samples:
                continue
            if not self._sound:
                self._rate = frame.sample_rate
                self._check_rate()
            elif frame.sample_rate != self._rate:
                self._stopped = f"its sample rate changes from {self._rate} to {frame.sample_rate}"
                break
            self._fill_hole(frame)
            self._take(_mono(frame, self._channel, self._name))
        self._check_rate()
        return self._result(stream)

    def _stream(self) -> "AudioStream":
        from av.stream import Discard

        streams = self._container.streams
        if not streams.audio:
            others = ", ".join(sorted({stream.type for stream in streams})) or "nothing"
            raise BadAudio(f"{self._name} has no sound: it holds {others}")
        stream = next((one for one in streams.audio if _decodable(one)), None)
        if stream is None:
            raise BadAudio(
                f"{self._name} holds sound in a codec that is unknown or broken; convert it to wav or flac first"
            )
        for other in streams:
            if other is not stream:
                other.discard = Discard.all
        return stream

    def _frames(self, stream: "AudioStream") -> "Iterator[AudioFrame]":
        """Frames in order; what cannot be decoded before the first sound is skipped, later it becomes silence."""
        fruitless = 0
        for packet in self._packets(stream):
            if packet.has_sidedata("encryption_info"):  # the decoder would take the cipher for sound
                raise BadAudio(f"{self._name} is encrypted: convert it to wav or flac with the player that may open it")
            before = len(self._sound)
            try:
                yield from packet.decode()  # pyright: ignore[reportReturnType]
            except EOFError:
                return
            except ArtalkError:
                raise
            except Exception:
                self._broken += 1
                self._hurt = True
            if len(self._sound) > before:
                fruitless = 0
                self._reader.fruitless = 0
            fruitless += 1
            if fruitless > FRUITLESS_PACKETS:
                self._stopped = f"{FRUITLESS_PACKETS} pieces in a row hold no sound"
                return

    def _packets(self, stream: "AudioStream") -> "Iterator[Packet[Any]]":
        packets = self._container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, EOFError):
                return
            except Exception as error:  # PyAV's, and what the source itself raised while it was read
                self._stopped = reason(error)
                return
            yield packet

    def _fill_hole(self, frame: "AudioFrame") -> None:
        """Silence in place of what is missing before `frame`, as far as its time stamp tells."""
        if frame.pts is None or frame.time_base is None:
            return
        time = frame.pts * frame.time_base
        if self._began is None:
            self._began = time
        hole = float(time - self._began) - len(self._sound) / 4 / self._rate
        if (0.001 if self._hurt else SHORTFALL) < hole <= LONGEST_HOLE:
            missing = round(hole * self._rate)
            self._silenced += missing
            self._take(np.zeros(missing, np.float32))
        self._hurt = False

    def _take(self, block: NDArray[np.float32]) -> None:
        finite = np.isfinite(block)
        if not finite.all():
            self._not_finite += len(block) - int(np.count_nonzero(finite))
            block = np.where(finite, block, np.float32(0))
        self._sound += block.tobytes()
        samples = len(self._sound) // 4
        if self._max_duration is None:
            most = min(DEFAULT_HOURS * 3600 * self._rate, DEFAULT_SAMPLES)
        else:
            most = self._max_duration * self._rate
        if samples > most:
            raise BadAudio(
                f"{self._name} holds more than {most / self._rate:g} seconds of sound, the limit: cut it, or in Python "
                "raise the limit with max_duration=SECONDS"
            )

    def _check_rate(self) -> None:
        if not LOWEST_RATE <= self._rate <= self._max_rate:
            raise BadAudio(
                f"{self._name} declares {self._rate} samples a second; sound has {LOWEST_RATE} to {self._max_rate}"
            )

    def _result(self, stream: "AudioStream") -> Decoded:
        samples = np.frombuffer(self._sound, np.float32)
        kept = len(samples) / self._rate
        declared = self._declared(stream, kept)
        if not len(samples) and (self._broken or self._stopped or (declared or 0) > 0):
            raise BadAudio(
                f"{self._name} is broken: {self._stopped or 'it holds a header but none of its sound could be decoded'}"
            )
        return Decoded(samples, self._rate, [f"{self._name}: {remark}" for remark in self._remarks(kept, declared)])

    def _remarks(self, kept: float, declared: float | None) -> "Iterator[str]":
        if self._stopped:
            yield f"only the first {kept:.3f} seconds are kept: {self._stopped}"
        elif declared is not None and kept < declared - SHORTFALL:
            yield f"it is cut short: {declared:.3f} seconds are declared, {kept:.3f} seconds are kept"
        elif self._broken or self._silenced:
            yield (
                f"it is damaged: {self._silenced / self._rate:.3f} seconds became silence, {kept:.3f} seconds are kept"
            )
        if self._not_finite:
            yield f"{self._not_finite} samples that are NaN or infinite became 0"

    def _declared(self, stream: "AudioStream", kept: float) -> float | None:
        """The seconds that the file says it holds, where that is exact."""
        if self._reader.sound is not None:
            start, size = self._reader.sound
            there = self._reader.furthest - start
            return kept * size / there if there > 0 else float("inf")
        form = self._container.format.name.split(",")[0]
        tagged = form == "mp3" and any(tag in self._head for tag in (b"Xing", b"Info", b"VBRI"))
        if (form in EXACT or tagged) and stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        if form == "matroska" and len(self._container.streams) == 1 and self._container.duration:
            return self._container.duration / 1e6
        return None


def _decodable(stream: "AudioStream") -> bool:
    # Unknown sound has no decoder: PyAV then gives no context, or none that opens.
    context: Any = stream.codec_context
    if context is None:
        return False
    try:
        context.open(strict=False)
    except Exception:
        return False
    return True


def _mono(frame: "AudioFrame", channel: int | None, name: str) -> NDArray[np.float32]:
    """The mean of the frame's channels, or one of them."""
    channels = frame.layout.nb_channels
    if not 1 <= channels <= MOST_CHANNELS:
        raise BadAudio(f"{name} has {channels} channels; sound has 1 to {MOST_CHANNELS}")
    if channel is not None and not 0 <= channel < channels:
        raise BadInput(f"{name} has {channels} channel(s), counted from 0: there is no channel {channel}")
    values = frame.to_ndarray()
    values = values if frame.format.is_planar else values.reshape(-1, channels).T
    return mean_of(values if channel is None else values[channel : channel + 1])


def mean_of(channels: NDArray[Any]) -> NDArray[np.float32]:
    """(channels, n) samples of any type as (n,) float32; integers by their full range, so that it becomes -1..1."""
    if channels.dtype.kind == "f":
        scaled, scale, offset = channels, 1.0, 0.0
    else:
        limits = np.iinfo(channels.dtype)
        offset = 0.0 if limits.min < 0 else (float(limits.max) + 1) / 2
        scale = (float(limits.max) + 1) / (1.0 if limits.min < 0 else 2.0)
        scaled = channels
    total = scaled[0].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        for other in scaled[1:]:
            total += other
        return ((total / len(scaled) - offset) / scale).astype(np.float32)


_KINDS: list[tuple[str, Callable[[bytes], bool]]] = [
    ("a damaged wav file", lambda head: head[:4] in (b"RIFF", b"RIFX", b"RF64")),
    ("a damaged flac file", lambda head: head[:4] == b"fLaC"),
    ("a damaged ogg file", lambda head: head[:4] == b"OggS"),
    ("a damaged mp4 or m4a file", lambda head: head[4:8] == b"ftyp"),
    ("a damaged mp3 file", lambda head: head[:3] == b"ID3"),
    ("a web page", lambda head: head.lstrip()[:1] == b"<"),
    ("a playlist", lambda head: head[:7] == b"#EXTM3U"),
    ("a zip archive", lambda head: head[:2] == b"PK"),
    ("text", lambda head: all(byte >= 32 or byte in b"\t\r\n" for byte in head)),
]


def _kind(head: bytes) -> str:
    return next((kind for kind, fits in _KINDS if fits(head)), "something else")
