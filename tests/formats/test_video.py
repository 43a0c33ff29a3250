import itertools
import math
import tracemalloc
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from artalk.audio import Audio
from artalk.errors import BadFile, BadInput, MissingFile, Unsupported
from artalk.formats import video

RATES = [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(50), Fraction(60)]


def plain(count, width=64, height=48, color=(90, 60, 40)):
    return [np.full((height, width, 3), color, np.uint8) for _ in range(count)]


def hum(seconds, rate=16000):
    return Audio((0.2 * np.sin(np.arange(round(seconds * rate)) * 0.1)).astype(np.float32), rate)


def pictures(path):
    """Each picture's time in seconds (exact) and its pixels."""
    with av.open(str(path)) as container:
        return [(frame.pts * frame.time_base, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def sound(path):
    """The samples as a player hears them, by their times, and their rate."""
    with av.open(str(path)) as container:
        blocks = [(frame.pts * frame.time_base, frame.to_ndarray()[0]) for frame in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    samples = np.zeros(round(blocks[-1][0] * rate) + len(blocks[-1][1]), np.float32)
    for time, block in blocks:
        start = round(time * rate)
        samples[max(start, 0) : start + len(block)] = block[max(-start, 0) :]
    return samples, rate


CLIPS = [(fps, rate, ".mp4") for fps in RATES for rate in (16000, 44100, 48000)]


@pytest.mark.parametrize(("fps", "rate", "suffix"), [*CLIPS, (Fraction(30000, 1001), 44100, ".webm")])
def test_flashes_and_clicks_stay_together(tmp_path, fps, rate, suffix):
    flashes = [round(second * fps) for second in (0.2, 0.9, 1.6)]
    frames = plain(math.ceil(2 * fps), color=(0, 0, 0))
    samples = np.zeros(2 * rate, np.float32)
    for k in flashes:
        frames[k][:] = 255
        samples[round(k / fps * rate)] = 0.9
    video.write(tmp_path / f"clip{suffix}", frames, fps, Audio(samples, rate))
    shown = pictures(tmp_path / f"clip{suffix}")
    exact = 0 if suffix == ".mp4" else Fraction(1, 1000)
    assert len(shown) == len(frames)
    assert max(abs(time - k / fps) for k, (time, _) in enumerate(shown)) <= exact
    seen = [float(time) for time, picture in shown if picture.mean() > 128]
    assert len(seen) == len(flashes)
    heard, heard_rate = sound(tmp_path / f"clip{suffix}")
    for time in seen:
        start = int((time - 0.1) * heard_rate)
        peak = start + int(np.abs(heard[start : start + heard_rate // 5]).argmax())
        assert abs(peak / heard_rate - time) < 0.001


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 96000, 192000])
def test_any_rate_of_sound_is_carried_whole(tmp_path, rate):
    video.write(tmp_path / "clip.mp4", plain(25), Fraction(25), hum(1, rate))
    heard, heard_rate = sound(tmp_path / "clip.mp4")
    assert heard_rate <= 48000
    assert len(heard) / heard_rate == pytest.approx(1, abs=1100 / heard_rate)
    assert np.sqrt((heard[1000 : heard_rate - 1000] ** 2).mean()) == pytest.approx(0.2 / np.sqrt(2), rel=0.05)


def test_the_last_picture_is_held_while_sound_goes_on(tmp_path):
    frames = plain(10)
    frames[-1][:] = 200
    video.write(tmp_path / "clip.mp4", frames, Fraction(25), hum(1))
    shown = pictures(tmp_path / "clip.mp4")
    assert len(shown) == 25
    assert shown[-1][1].mean() == pytest.approx(200, abs=3)
    heard, rate = sound(tmp_path / "clip.mp4")
    assert len(heard) >= rate


def test_pictures_go_on_when_sound_ends_and_without_any(tmp_path):
    video.write(tmp_path / "clip.mp4", plain(30), Fraction(25), hum(0.3))
    assert len(pictures(tmp_path / "clip.mp4")) == 30
    video.write(tmp_path / "mute.mp4", plain(3), Fraction(25), Audio(np.zeros(0, np.float32), 16000))
    with av.open(str(tmp_path / "mute.mp4")) as container:
        assert not container.streams.audio


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 4), st.fractions(1, 240, max_denominator=1001))
def test_any_size_and_rate_is_written_and_exactly_timed(tmp_path_factory, width, height, count, fps):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    video.write(path, plain(count, width, height), fps)
    shown = pictures(path)
    assert [time for time, _ in shown] == [k / fps for k in range(count)]
    assert shown[0][1].shape == (height + height % 2, width + width % 2, 3)


def test_colours_are_right_and_tagged(tmp_path):
    colors = [(200, 150, 120), (30, 40, 50), (128, 128, 128), (220, 40, 30), (40, 180, 60), (255, 255, 255)]
    frame = np.concatenate([np.full((64, 32, 3), color, np.uint8) for color in colors], axis=1)
    video.write(tmp_path / "clip.mp4", [frame] * 3, Fraction(25))
    with av.open(str(tmp_path / "clip.mp4")) as container:
        context = container.streams.video[0].codec_context
        tags = context.color_primaries, context.color_trc, context.colorspace, context.color_range
        assert tags == (1, 1, 1, 1)
        assert context.pix_fmt == "yuv420p"
        yuv = next(container.decode(video=0)).to_ndarray().astype(float)
    luma, blue, red = yuv[:64], yuv[64:80].reshape(32, 96), yuv[80:].reshape(32, 96)
    for k, color in enumerate(colors):
        y, cb, cr = (luma[32, k * 32 + 16] - 16) / 219, *((p[16, k * 16 + 8] - 128) / 224 for p in (blue, red))
        r, b = y + 1.5748 * cr, y + 1.8556 * cb  # ITU-R BT.709
        g = (y - 0.2126 * r - 0.0722 * b) / 0.7152
        assert np.array([r, g, b]) * 255 == pytest.approx(color, abs=4)


def test_the_index_comes_first_so_that_a_browser_can_start(tmp_path):
    video.write(tmp_path / "clip.mp4", plain(25), Fraction(25), hum(1))
    data = (tmp_path / "clip.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(("fps", "wanted"), [(25, 0.08), (30, 1 / 15), (15, 1 / 15), (60, 0.05), (10, 0.1)])
def test_a_gif_loops_at_an_even_pace(tmp_path, fps, wanted):
    frames = [np.full((40, 51, 3), (k * 4, 120, 255 - k * 4), np.uint8) for k in range(fps)]
    video.write(tmp_path / "clip.gif", frames, Fraction(fps))
    with Image.open(tmp_path / "clip.gif") as image:
        assert image.info["loop"] == 0
        assert image.size == (51, 40)
        delays = []
        for k in range(image.n_frames):
            image.seek(k)
            delays.append(image.info["duration"] / 1000)
            step = round(k * wanted * fps)
            assert np.abs(np.array(image.convert("RGB")).astype(int) - frames[step]).mean() < 6
    assert delays[:-1] == pytest.approx([wanted] * (len(delays) - 1), abs=0.007)
    assert sum(delays) == pytest.approx(1, abs=0.08)


def test_frames_as_pictures(tmp_path):
    frames = [np.random.default_rng(k).integers(0, 256, (9, 7, 4)).astype(np.uint8) for k in range(3)]
    for target, names in {
        "folder": ["folder/00000.png", "folder/00001.png", "folder/00002.png"],
        "talk.png": ["talk_00000.png", "talk_00001.png", "talk_00002.png"],
        "at%03d.png": ["at000.png", "at001.png", "at002.png"],
    }.items():
        video.write(tmp_path / target, frames, Fraction(25))
        for name, frame in zip(names, frames, strict=True):
            assert (np.array(Image.open(tmp_path / name)) == frame).all()
    assert len(list(tmp_path.iterdir())) == 7


SUFFIXES = ["clip.mp4", "clip.webm", "clip.gif", "clip.png", "clip"]


@pytest.mark.parametrize("name", SUFFIXES)
def test_a_failure_in_the_middle_leaves_nothing(tmp_path, name):
    def failing():
        yield from plain(3)
        raise RuntimeError("the renderer broke")

    with pytest.raises(RuntimeError, match="broke"):
        video.write(tmp_path / name, failing(), Fraction(25), hum(1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SUFFIXES)
def test_frames_that_make_no_sense_are_refused_and_leave_nothing(tmp_path, name):
    for frames, message in [
        ([], "no frames"),
        ([*plain(1), *plain(1, 32)], "all frames have 64 x 48"),
        ([plain(1)[0].astype(float)], "uint8"),
        ([np.zeros((4, 4), np.uint8)], "uint8"),
        ([np.zeros((0, 4, 3), np.uint8)], "pixels"),
    ]:
        with pytest.raises(BadInput, match=message):
            video.write(tmp_path / name, frames, Fraction(25))
    with pytest.raises(BadInput, match="10 x 20"):
        video.write(tmp_path / name, plain(1), Fraction(25), size=(10, 20))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fps", [Fraction(0), Fraction(-25), Fraction(5000)])
def test_rates_that_make_no_sense_are_refused(tmp_path, fps):
    with pytest.raises(BadInput, match="pictures a second"):
        video.write(tmp_path / "clip.mp4", plain(1), fps)


def test_places_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(Unsupported, match=r"\.mp4, \.webm"):
        video.write(tmp_path / "clip.avi", plain(1), Fraction(25))
    for name in ("no/clip.mp4", "no/clip.gif", "no/clip.png", "no/clip"):
        with pytest.raises(MissingFile, match="make it first"):
            video.write(tmp_path / name, plain(1), Fraction(25))
    with pytest.raises(BadInput, match="numbered"):
        video.write(tmp_path / "a%s.png", plain(1), Fraction(25))
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(BadInput, match="is a file"):
        video.write(tmp_path / "taken", plain(1), Fraction(25))
    assert (tmp_path / "taken").read_text() == "mine"


def test_what_the_encoder_refuses_is_a_typed_error(tmp_path):
    with pytest.raises(BadFile, match="clip.mp4"):
        video.write(tmp_path / "clip.mp4", plain(1, 20_000, 2), Fraction(25), quality=18)
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_length(tmp_path):
    frame = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)

    def peak(name, count):
        tracemalloc.start()
        video.write(tmp_path / name, (frame.copy() for _ in itertools.repeat(None, count)), Fraction(25), hum(1))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    for name in ("clip.mp4", "clip.gif"):
        peak(name, 2)
        assert peak(name, 400) < peak(name, 130) + 3 * frame.nbytes
