import numpy as np
import pytest

from artalk.errors import ArtalkError, BadFile, BadInput, MissingFile
from artalk.prepare import film
from tests.prepare.videos import RATE, drawn, seen, tone, write


def close(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and float(np.abs(one.astype(int) - other).mean()) < 6


def test_pictures_come_with_their_times(tmp_path):
    made = drawn(10)
    path = write(tmp_path / "a.mp4", made)
    found = list(film.pictures(path))
    assert [round(picture.time, 3) for picture in found] == [round(k / 25, 3) for k in range(10)]
    assert all(close(picture.pixels, given) for picture, given in zip(found, made, strict=True))
    facts = film.facts(path)
    assert (facts.size, facts.rate, facts.turned, facts.has_sound) == ((96, 64), 25, 0, False)


@pytest.mark.parametrize("turned", [90, 180, -90])
def test_a_phone_held_any_way_gives_upright_pictures(tmp_path, turned):
    upright = drawn(3)
    # The sensor's picture is turned the other way; the matrix says by how much it is to be turned back.
    sensor = [np.rot90(picture, -turned // 90) for picture in upright]
    path = write(tmp_path / "a.mp4", sensor, turned=turned)
    assert all(close(found, given) for found, given in zip(seen(path), upright, strict=True))
    assert abs(film.facts(path).turned) == abs(turned)


def test_pixels_lie_row_after_row_whatever_the_width(tmp_path):
    path = write(tmp_path / "a.mp4", drawn(2, (112, 64)))
    assert all(picture.flags.c_contiguous for picture in seen(path))


def test_large_pictures_are_made_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr(film, "LONGEST_SIDE", 48)
    assert seen(write(tmp_path / "a.mp4", drawn(2)))[0].shape == (32, 48, 3)


def test_uneven_times_are_kept(tmp_path):
    times = [0, 0.04, 0.11, 0.15, 0.5, 0.53]
    path = write(tmp_path / "a.mp4", drawn(6), times)
    assert np.allclose([picture.time for picture in film.pictures(path)], times, atol=1e-3)


@pytest.mark.parametrize("at", [0.0, 0.3])
def test_sound_lies_on_the_pictures_clock(tmp_path, at):
    path = write(tmp_path / "a.mp4", drawn(50), sound=tone(1.0), sound_at=at)
    facts = film.facts(path)
    sound = film.sound(path, facts.sound_after)
    assert sound is not None
    heard = np.flatnonzero(np.abs(sound.samples) > 3000)
    assert heard[0] / RATE == pytest.approx(at, abs=0.02)
    assert heard[-1] / RATE == pytest.approx(at + 1.0, abs=0.03)
    part = sound.cut(at + 0.5, at + 3.0)
    assert len(part) == 2.5 * RATE
    assert np.abs(part.samples[: RATE // 4]).max() > 0.2
    assert not part.samples[-RATE:].any()
    assert sum(len(block) for block in sound.blocks(4000)) == len(sound.samples)


def test_sound_that_begins_before_the_picture_is_cut(tmp_path):
    path = write(tmp_path / "a.mp4", drawn(25), sound=tone(1.0))
    early, whole = film.sound(path, -0.25), film.sound(path, 0.0)
    assert early is not None
    assert whole is not None
    assert len(whole.samples) - len(early.samples) == RATE // 4


def test_no_sound_is_none(tmp_path):
    assert film.sound(write(tmp_path / "a.mp4", drawn(3)), 0.0) is None


def test_a_broken_end_is_the_end(tmp_path):
    path = write(tmp_path / "a.mkv", drawn(60))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    assert 5 < len(seen(path)) < 60


@pytest.mark.parametrize("content", [b"", b"no video", b"\x00\x00\x00\x18ftypmp42" + bytes(200), b"RIFF" + bytes(60)])
def test_what_is_no_video_is_refused(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(BadFile):
        film.facts(path)


def test_bytes_turned_over_end_in_pictures_or_a_sentence(tmp_path):
    whole = write(tmp_path / "a.mp4", drawn(12), sound=tone(0.4)).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(25):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 20):
            damaged[place] = int(rng.integers(0, 256))
        path = tmp_path / "b.mp4"
        path.write_bytes(bytes(damaged))
        try:
            facts = film.facts(path)
            seen(path)
            film.sound(path, float(np.clip(facts.sound_after, -5, 5)))
        except ArtalkError:
            pass


def test_sound_alone_a_folder_and_nothing_are_refused(tmp_path):
    import wave

    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(32000))
    with pytest.raises(BadFile, match="no video: it holds audio"):
        film.facts(tmp_path / "a.wav")
    with pytest.raises(BadInput, match="is none"):
        film.facts(tmp_path)
    with pytest.raises(MissingFile):
        film.facts(tmp_path / "none.mp4")
