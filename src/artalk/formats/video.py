"""Pictures in motion: .mp4 and .webm with sound, .gif, and PNG frames.

Picture k stands at exactly k / fps seconds and sound starts at 0 with the first picture; what an encoder puts before
the first sample is cut by the file's edit list (.mp4) or codec delay (.webm).
"""

import itertools
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk.audio import Audio
from artalk.errors import ArtalkError, BadFile, BadInput, MissingFile, Unsupported, needs
from artalk.formats.atomic import atomic

Picture = NDArray[np.uint8]

QUALITY = 18
"""Constant rate factor: 0 is lossless, 18 looks so, 28 is small."""

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)

GIF_FASTEST = 20
"""Pictures a second of a .gif at most: every n-th is kept, evenly."""

GRAIN = 8
"""How many of 255 levels the dither of a .gif spans."""


@dataclass(frozen=True)
class Codecs:
    """How a kind of file is encoded: ffmpeg's names and options."""

    container: str
    picture: str
    picture_options: dict[str, str]
    sound: str
    sound_rates: tuple[int, ...]
    container_options: dict[str, str]


def codecs(suffix: str, quality: int = QUALITY) -> Codecs:
    """The codecs of ".mp4" (H.264 and AAC) or ".webm" (VP9 and Opus)."""
    if suffix == ".webm":
        options = {"crf": str(quality + 12), "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"}
        return Codecs("webm", "libvpx-vp9", options, "libopus", OPUS_RATES, {})
    options = {"crf": str(quality), "preset": "veryfast"}
    return Codecs("mp4", "libx264", options, "aac", AAC_RATES, {"movflags": "+faststart"})


def write(
    path: str | os.PathLike[str],
    frames: Iterable[Picture],
    fps: Fraction,
    audio: Audio | None = None,
    size: tuple[int, int] | None = None,
    *,
    quality: int = QUALITY,
) -> None:
    """Write `frames`, each (height, width, 3) sRGB, by the suffix of `path`.

    .mp4 and .webm carry `audio`, whole: the last picture is held while sound goes on. .gif loops, without sound.
    `name_%05d.png` numbers PNG frames (`name.png` becomes that), and a path without a suffix is their folder; these
    may be RGBA. `size` (width, height), if given, is what the frames must have. Nothing is kept but what the encoder
    needs, and a failure, also of `frames`, leaves no file. Raises `BadInput` for frames or rates that make no sense.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if fps <= 0 or fps > 1000:
        raise BadInput(f"a video has more than 0 and at most 1000 pictures a second, got {fps}")
    checked = _checked(frames, size, transparent=suffix in ("", ".png"))
    if suffix in (".mp4", ".webm"):
        _write_video(target, checked, Fraction(fps), audio, codecs(suffix, quality))
    elif suffix == ".gif":
        _write_gif(target, checked, Fraction(fps))
    elif suffix in ("", ".png"):
        _write_pictures(target, checked)
    else:
        raise Unsupported(f"pictures are written as .mp4, .webm, .gif, .png or into a folder, got {target.name!r}")


def _checked(frames: Iterable[Picture], size: tuple[int, int] | None, transparent: bool) -> Iterator[Picture]:
    shape: tuple[int, ...] | None = None if size is None else (size[1], size[0])
    count = 0
    for frame in frames:
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] not in ((3, 4) if transparent else (3,)):
            kinds = "(height, width, 3 or 4)" if transparent else "(height, width, 3)"
            raise BadInput(f"a frame is {kinds} uint8, got {frame.shape} {frame.dtype}")
        shape = shape or frame.shape[:2]
        if frame.shape[:2] != shape or 0 in shape:
            raise BadInput(f"all frames have {shape[1]} x {shape[0]} pixels, got {frame.shape[1]} x {frame.shape[0]}")
        count += 1
        yield frame
    if not count:
        raise BadInput("there is nothing to show: no frames")


def _write_video(path: Path, frames: Iterator[Picture], fps: Fraction, audio: Audio | None, kind: Codecs) -> None:
    av = needs("av", "", f"writing {path.suffix}")
    first = next(frames)
    # 4:2:0 halves the colour's resolution, so both sides are even: the last row or column is doubled.
    odd = ((0, first.shape[0] % 2), (0, first.shape[1] % 2), (0, 0))
    with atomic(path) as temporary:
        try:
            with av.open(str(temporary), "w", format=kind.container, options=kind.container_options) as container:
                picture = _PictureTrack(container, first, fps, kind, odd)
                sound = _SoundTrack(container, audio, kind) if audio is not None and len(audio) else None
                for frame in itertools.chain([first], frames):
                    picture.add(frame)
                    if sound:
                        sound.add_until(picture.time)
                while sound and picture.time < sound.duration:
                    picture.hold()
                    sound.add_until(picture.time)
                picture.finish()
                if sound:
                    sound.finish()
        except av.FFmpegError as error:
            raise BadFile(f"writing {str(path)!r} failed: {error}") from error


class _PictureTrack:
    def __init__(self, container: Any, first: Picture, fps: Fraction, kind: Codecs, odd: tuple[Any, ...]) -> None:
        import av

        self._av, self._container, self._fps, self._odd = av, container, fps, odd
        self._count = 0
        self._last: Any = None
        stream: Any = container.add_stream(kind.picture, rate=fps, options=kind.picture_options)
        stream.height, stream.width = first.shape[0] + odd[0][1], first.shape[1] + odd[1][1]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = 1 / fps
        stream.codec_context.thread_type = "AUTO"
        # 1 is BT.709 in each of these lists; range 1 is the limited one that players expect.
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = context.color_range = 1
        self._stream = stream

    @property
    def time(self) -> Fraction:
        """Seconds shown so far."""
        return self._count / self._fps

    def add(self, frame: Picture) -> None:
        padded = np.pad(frame, self._odd, mode="edge") if self._odd[0][1] or self._odd[1][1] else frame
        rgb = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="rgb24")
        self._last = rgb.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        self.hold()

    def hold(self) -> None:
        """Show the last picture (again)."""
        self._last.pts, self._last.time_base = self._count, 1 / self._fps
        self._last.color_primaries = self._last.color_trc = 1
        self._container.mux(self._stream.encode(self._last))
        self._count += 1

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))


class _SoundTrack:
    def __init__(self, container: Any, audio: Audio, kind: Codecs) -> None:
        import av

        self._av, self._container = av, container
        self._rate = min((r for r in kind.sound_rates if r >= audio.sample_rate), default=kind.sound_rates[-1])
        samples = audio.resampled(self._rate).samples
        self._samples = np.clip(np.nan_to_num(samples), -1, 1).astype(np.float32)
        self._at = 0
        self.duration = audio.duration
        options = {"b": str(min(128_000, 5 * self._rate))}
        self._stream: Any = container.add_stream(kind.sound, rate=self._rate, layout="mono", options=options)
        self._stream.codec_context.time_base = Fraction(1, self._rate)

    def add_until(self, time: Fraction) -> None:
        """Encode the sound up to `time` seconds: it runs along with the pictures, so that little waits in memory."""
        end = min(math.ceil(time * self._rate), len(self._samples))
        for start in range(self._at, end, 8192):
            block = self._samples[start : min(start + 8192, end)]
            frame = self._av.AudioFrame.from_ndarray(block[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = self._rate, start, Fraction(1, self._rate)
            self._container.mux(self._stream.encode(frame))
        self._at = max(self._at, end)

    def finish(self) -> None:
        self.add_until(self.duration + 1)
        self._container.mux(self._stream.encode(None))


def _write_gif(path: Path, frames: Iterator[Picture], fps: Fraction) -> None:
    av = needs("av", "", "writing .gif")
    Image: Any = needs("PIL.Image", "", "writing .gif")
    step = math.ceil(fps / GIF_FASTEST)
    kept = itertools.islice(frames, 0, None, step)
    # The palette comes from the first seconds, where a speaking face shows all its colours; the rest streams.
    start = list(itertools.islice(kept, 3 * GIF_FASTEST))
    if not start:
        next(frames)
    palette = _palette(Image, start)
    colors = np.zeros((256, 4), np.uint8)
    colors[:, 0] = 255
    colors[:, 1:] = np.resize(np.array(palette.getpalette(), np.uint8), (256, 3))
    with atomic(path) as temporary:
        try:
            with av.open(str(temporary), "w", format="gif", options={"loop": "0"}) as container:
                stream: Any = container.add_stream("gif", rate=math.ceil(fps / step))
                stream.height, stream.width = start[0].shape[:2]
                stream.pix_fmt = "pal8"
                stream.time_base = stream.codec_context.time_base = Fraction(1, 100)
                grain = _grain(*start[0].shape[:2])
                for k, picture in enumerate(itertools.chain(start, kept)):
                    grained = np.clip(picture + grain, 0, 255).astype(np.uint8)
                    indexed = Image.fromarray(grained).quantize(palette=palette, dither=Image.Dither.NONE)
                    frame = av.VideoFrame.from_ndarray((np.array(indexed), colors), format="pal8")
                    frame.pts, frame.time_base = round(k * step * 100 / fps), Fraction(1, 100)
                    container.mux(stream.encode(frame))
                container.mux(stream.encode(None))
        except av.FFmpegError as error:
            raise BadFile(f"writing {str(path)!r} failed: {error}") from error


def _palette(image: Any, frames: list[Picture]) -> Any:
    chosen = frames[:: max(1, len(frames) // 20)]
    fine = max(1, min(chosen[0].shape[:2]) // 128)
    return image.fromarray(np.concatenate([frame[::fine, ::fine] for frame in chosen])).quantize(256, kmeans=4)


def _grain(height: int, width: int) -> NDArray[np.int16]:
    """An ordered dither (Bayer 1973), (height, width, 1): it hides the steps of 256 colours, and what stands still
    stays still, which error diffusion would not let it."""
    bayer = np.zeros((1, 1))
    for _ in range(3):
        bayer = np.block([[4 * bayer, 4 * bayer + 2], [4 * bayer + 3, 4 * bayer + 1]])
    tile = np.round((bayer / 63 - 0.5) * GRAIN).astype(np.int16)
    return np.tile(tile, (-(-height // 8), -(-width // 8)))[:height, :width, None]


def _write_pictures(path: Path, frames: Iterator[Picture]) -> None:
    """PNG frames: all are made in a hidden folder beside the target and moved at the end."""
    Image: Any = needs("PIL.Image", "", "writing .png")
    folder, pattern = (path, "%05d.png") if not path.suffix else (path.parent, _numbered(path.name))
    if not path.parent.is_dir():
        raise MissingFile(f"{str(path)!r} needs the folder {str(path.parent)!r}, which is not there: make it first")
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"frames are written into a folder, {str(folder)!r} is a file")
    hidden = path.parent / f".{secrets.token_hex(6)}"
    try:
        hidden.mkdir()
        count = 0
        for count, picture in enumerate(frames, 1):
            Image.fromarray(picture).save(hidden / f"{count - 1}.png")
        folder.mkdir(exist_ok=True)
        for k in range(count):
            os.replace(hidden / f"{k}.png", folder / (pattern % k))
    except ArtalkError:
        raise
    except OSError as error:
        raise BadFile(f"writing {str(path)!r} failed: {error.strerror or error}") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _numbered(name: str) -> str:
    """A file name that takes a number: one with its own `%d` or `%05d`, or the number is put before the suffix."""
    if "%" not in name:
        return f"{name[: -len('.png')]}_%05d{name[-len('.png') :]}"
    if not re.fullmatch(r"[^%]*%(0[1-9])?d[^%]*", name):
        raise BadInput(f"numbered frames are named like talk_%05d.png, got {name!r}")
    return name
