import json
from dataclasses import replace

import numpy as np
import pytest

from artalk.errors import BadFile, BadInput
from artalk.formats import npz
from artalk.motion import Motion
from artalk.prepare import quality, style
from artalk.prepare.film import SOUND_RATE, Sound
from artalk.prepare.quality import Source, lip_gap, measure
from artalk.prepare.solve import perform
from artalk.prepare.sync import Offset
from tests.prepare.command import run
from tests.prepare.faces import take_of, weights_of

FILE = Source("me.mp4", (640, 480), 0, True, 0.0)


def done(**options):
    take = take_of(weights_of(100), **options)
    return perform(take, take.clock())


def spoken(seconds: float = 4.0, first: float = 1.0, last: float = 3.4, level: float = 0.1) -> Sound:
    at = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    voice = level * np.sin(2 * np.pi * 200 * at) * ((at > first) & (at < last))
    return Sound((32767 * voice).astype(np.int16))


def test_a_good_take_has_nothing_to_complain_of():
    report = measure(FILE, done(), spoken(), Offset(0.01, 0.8, 4.0))
    assert report.tracked == 1
    assert report.gaps == ()
    assert report.shots == 1
    assert report.residual[0] < 2
    assert report.sealed is not None
    assert report.sealed > 0.98
    assert report.agreement["jawOpen"] > 0.98
    assert report.offset == 0.01
    assert report.level == pytest.approx(20 * np.log10(0.1 / np.sqrt(2)), abs=0.5)
    assert report.open_in_silence == 0
    assert report.warnings == ()
    assert "picture comes 10 ms after it" in report.words()


def test_a_bad_take_says_what_is_wrong():
    poor = replace(FILE, others=0.5)
    report = measure(poor, done(lost=list(range(50, 80))), spoken(level=1e-3), Offset(0.4, 0.8, 40.0))
    assert report.tracked == 0.7
    assert report.gaps == ((2.0, 3.2, "lost"),)
    said = " ".join(report.warnings)
    for part in ("missing in 30%", "others are in the picture", "very quiet", "400 ms apart"):
        assert part in said
    assert "warning" in report.words()


def test_without_sound_and_with_another_voice():
    silent = measure(FILE, done(), None, None)
    assert silent.level is None
    assert "there is no sound" in silent.warnings
    take = take_of(np.tile(weights_of(100), (2, 1)))
    other = measure(FILE, perform(take, take.clock()), spoken(8.0), Offset(0.2, 0.1, 8.0))
    assert other.offset is None
    assert "is it the speaker" in " ".join(other.warnings)


def test_lips_apart_in_silence_are_seen():
    report = measure(FILE, done(), spoken(first=0.1, last=0.4), None)
    assert report.open_in_silence is not None
    assert report.open_in_silence > 0.1


def test_a_report_goes_through_text():
    report = measure(FILE, done(lost=[40]), spoken(), Offset(0.01, 0.8, 4.0))
    assert quality.from_json(report.as_json()) == report
    assert json.loads(report.as_json()) == json.loads(json.dumps(report.as_dict()))
    for text in ("", "[]", "{}", '{"source": 1}'):
        with pytest.raises(BadFile):
            quality.from_json(text)


def test_curves_are_drawn_with_gaps(tmp_path):
    made = done(lost=list(range(50, 80)))
    quality.draw(made, measure(FILE, made, None, None), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_show_tells_how_channels_move_and_shades_the_gaps_that_were_noted(tmp_path, capsys):
    made = done(lost=list(range(50, 80)))
    report = measure(FILE, made, None, None)
    npz.write_noted(made.motion, tmp_path / "me.npz", {"quality": report.as_json()})
    npz.write(made.motion, tmp_path / "bare.npz")
    for name, shaded in (("me", 1), ("bare", 0)):
        code, out, _ = run(capsys, "show", tmp_path / f"{name}.npz", "--plot", tmp_path / f"{name}.svg")
        assert code == 0
        assert "liveliest by their largest values: " in out
        assert out.count("(sd 0.") == 5
        assert (tmp_path / f"{name}.svg").read_text().count("fill: #d62728") == 6 * shaded


def test_a_style_is_what_was_seen():
    made = done(lost=list(range(60, 80)))
    found = style.style(made.motion, made.ok)
    assert len(found.motion) == 60
    assert found.seconds == 2.4
    assert "are steadier" in found.words()
    assert set(found.traits) == set(style.TRAITS)
    assert np.array_equal(found.motion.values, made.motion.values[:60])


def test_a_livelier_person_is_called_so():
    made = done().motion
    wide = np.clip(made.values * 2.2, 0, 1)
    calm, lively = (
        style.traits(Motion(v.astype(np.float32), made.channels, made.fps)) for v in (0.3 * made.values, wide)
    )
    assert lively["opening"] > 2 * calm["opening"]
    assert lively["brows"] > 2 * calm["brows"]
    said = style.Style(made, 30.0, lively | {"opening": 40.0}).words()
    assert "wider than usual" in said
    assert "(enough)" in said


def test_the_liveliest_minute_is_kept():
    made = done().motion
    still = np.zeros((2000, len(made.channels)), np.float32)
    still[300:400] = made.values
    found = style.style(Motion(still, made.channels, made.fps), np.ones(2000, bool))
    assert len(found.motion) == 1500
    assert lip_gap(found.motion).max() == pytest.approx(lip_gap(made).max())


def test_a_style_needs_two_seconds(tmp_path):
    made = done()
    with pytest.raises(BadInput, match="at least 2 seconds"):
        style.style(made.motion, np.arange(100) < 45)
    style.draw(style.style(made.motion, made.ok), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000
