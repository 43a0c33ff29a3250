"""A video's pictures, upright and with their times, and its sound on the same clock: read as a stream.

The clock starts with the first picture. Phones turn the sensor and write the angle into the file, vary the frame rate
with the light and let the sound begin a little before or after the picture: all three are undone here.
"""

import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from artalk.audio import Audio
from artalk.decode import FORMATS
from artalk.errors import ArtalkError, BadFile, BadInput, MissingFile
from artalk.source import reason

SUFFIXES = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".3gp", ".flv", ".wmv")
"""What files of video are called; others are tried all the same where only a video makes sense."""

LONGEST_SIDE = 1920
"""Pixels of the longer side; larger pictures are made smaller, which a tracker of faces does not feel."""

SOUND_RATE = 16000

BLOCK = 30 * SOUND_RATE
"""Samples worked on at a time."""

FRUITLESS = 1000
"""Packets in a row without a picture after which reading ends."""


@dataclass(frozen=True, eq=False)
class Picture:
    """`time` in seconds since the first picture, `pixels` (height, width, 3) sRGB, upright, with square pixels."""

    time: float
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Facts:
    """What a file says of itself: the (width, height) of its pictures as coded, pictures a second, degrees by which
    they are turned, whether there is sound, and seconds by which the sound begins after the first picture.
    """

    size: tuple[int, int]
    rate: Fraction
    turned: int
    has_sound: bool
    sound_after: float
    seconds: float | None


@dataclass(frozen=True, eq=False)
class Sound:
    """Mono sound at 16 kHz on the picture's clock, lying on disk: `samples` (n,) int16."""

    samples: NDArray[np.int16]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / SOUND_RATE

    def cut(self, start: float, stop: float) -> Audio:
        """The sound between two times in seconds; silence where there is none."""
        first, last = round(start * SOUND_RATE), round(stop * SOUND_RATE)
        part = np.zeros(max(last - first, 0), np.float32)
        have = self.samples[max(first, 0) : max(last, 0)]
        at = max(-first, 0)
        part[at : at + len(have)] = have.astype(np.float32) / 32768
        return Audio(part, SOUND_RATE)

    def blocks(self, size: int = BLOCK, first: int = 0) -> Iterator[NDArray[np.float32]]:
        """All of it from sample `first` on, in pieces in -1..1."""
        for start in range(first, len(self.samples), size):
            yield self.samples[start : start + size].astype(np.float32) / np.float32(32768)


def facts(path: str | Path) -> Facts:
    """What a video file says of itself; raises `MissingFile` and `BadFile`."""
    with _opened(path) as container:
        stream = _video(container, path)
        picture = next(_decoded(container, stream), None)
        if picture is None:
            raise BadFile(f"{str(path)!r} holds no picture that can be decoded")
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        seconds = None if container.duration is None else container.duration / 1e6
        size, turned, began = (picture.width, picture.height), round(picture.rotation), picture.time or 0.0
    after = _sound_begins(path)
    return Facts(size, Fraction(rate), turned, after is not None, (after or 0.0) - began, seconds)


def pictures(path: str | Path) -> Iterator[Picture]:
    """The pictures of a file in the order of their times, one at a time."""
    with _opened(path) as container:
        stream = _video(container, path)
        stream.thread_type = "AUTO"
        step = 1 / float(stream.average_rate or 25)
        stretch = float(stream.sample_aspect_ratio or 1)
        first: float | None = None
        last = -1.0
        for frame in _decoded(container, stream):
            time = last + step if frame.time is None else float(frame.time)
            first = time if first is None else first
            time -= first
            if time <= last:  # damaged or doubled: a clock only goes forwards
                continue
            last = time
            yield Picture(time, _upright(frame, stretch if 0.2 < stretch < 5 else 1.0))


def sound(path: str | Path, after: float) -> Sound | None:
    """The sound of a video that begins `after` seconds after its first picture, spooled to disk; None without sound."""
    with tempfile.TemporaryFile() as file:
        _spool_sound(path, file, after)
        file.flush()
        count = file.seek(0, 2) // 2
        # The map outlives the file's name: what it lies on is given back with the array.
        return Sound(np.memmap(file, np.int16, "r", shape=(count,))) if count else None


def _spool_sound(path: str | Path, file: IO[bytes], after: float) -> None:
    import av

    with _opened(path) as container:
        if not container.streams.audio:
            return
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("s16", "mono", SOUND_RATE)
        skip = max(round(-after * SOUND_RATE), 0)
        file.write(bytes(2 * max(round(after * SOUND_RATE), 0)))
        for frame in _decoded(container, stream):
            frame.pts = None
            for part in resampler.resample(frame):
                samples = part.to_ndarray()[0]
                file.write(samples[skip:].tobytes())
                skip = max(skip - len(samples), 0)
        for part in resampler.resample(None):
            file.write(part.to_ndarray()[0][skip:].tobytes())


def _sound_begins(path: str | Path) -> float | None:
    with _opened(path) as container:
        if not container.streams.audio:
            return None
        frame = next(_decoded(container, container.streams.audio[0]), None)
        return None if frame is None else float(frame.time or 0.0)


@contextmanager
def _opened(path: str | Path) -> Generator[Any]:
    import av
    from av.error import FFmpegError

    place = Path(path)
    if not place.exists():
        raise MissingFile(f"there is no video {str(path)!r}")
    if not place.is_file():
        raise BadInput(f"a video is a file, {str(path)!r} is none")
    # No protocol is allowed: a file that names other files or addresses cannot make us open them.
    options = {"format_whitelist": f"{FORMATS},avi,mpegvideo", "protocol_whitelist": "none"}
    with place.open("rb") as file:
        try:
            with av.open(file, "r", container_options=options, metadata_errors="replace") as container:
                yield container
        except ArtalkError:
            raise
        except (FFmpegError, OSError) as error:
            raise BadFile(f"{str(path)!r} is no video that can be read: {reason(error)}") from error


def _video(container: Any, path: str | Path) -> Any:
    """The moving picture of a file; what has one picture only is the cover of a sound."""
    for stream in container.streams.video:
        if "attached_pic" not in str(stream.disposition) and stream.codec_context:
            return stream
    others = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise BadFile(f"{str(path)!r} has no video: it holds {others}")


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    """Frames of a stream; packets that cannot be decoded are passed over, a broken end is the end."""
    from av.error import FFmpegError

    packets = container.demux(stream)
    fruitless = 0
    while fruitless < FRUITLESS:
        try:
            packet = next(packets)
        except (StopIteration, EOFError, FFmpegError):
            return
        fruitless += 1
        try:
            frames = packet.decode()
        except EOFError:
            return
        except ArtalkError:
            raise
        except (FFmpegError, ValueError, MemoryError):
            continue
        for frame in frames:
            fruitless = 0
            yield frame


def _upright(frame: Any, stretch: float) -> NDArray[np.uint8]:
    """The pixels of a frame whose pixels are `stretch` times as wide as high, turned as the file asks for."""
    width, height = frame.width * stretch, float(frame.height)
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    pixels = frame.to_ndarray(format="rgb24", width=round(width * scale), height=round(height * scale))
    # Rows of a decoder's picture are padded, which the tracker would take for pixels.
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90) % 4))
