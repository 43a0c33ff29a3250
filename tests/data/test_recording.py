"""A recording becomes clips, or is rejected with a reason."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from artalk.audio import Audio
from artalk.channels import ARKIT, FLAME
from artalk.data.clips import Clip, Entry
from artalk.data.cut import speech
from artalk.data.recording import Fit, Recording, Rejected, Wishes, clips
from artalk.errors import BadInput
from artalk.motion import Motion
from tests.data.recordings import RATE, performance, voice

ENTRY = Entry("me-one", "me", "me", "en", "", 0, 0.0, "real", "train", "", "", "")
ALL = np.ones(len(ARKIT), bool)


def recording(seconds=4.0, **changes):
    samples, opening = voice(seconds)
    motion = performance(opening)
    return replace(Recording(motion, Audio(samples, RATE), ALL, np.ones(len(motion), bool)), **changes)


def made(parts):
    return [part for part in parts if isinstance(part, Clip)]


def reasons(parts):
    return [part.reason for part in parts if isinstance(part, Rejected)]


def test_a_short_recording_is_one_clip_at_25_fps_and_16_khz():
    given = recording()
    given = replace(given, sound=given.sound.resampled(44100))
    (clip,) = made(clips(given, ENTRY))
    assert clip.entry.id == "me-one"
    assert len(clip.motion) == 100
    assert len(clip.audio) == 64000
    assert np.abs(clip.motion.channel("jawOpen") - given.motion.resample(25).channel("jawOpen")).max() < 1e-6


def test_a_long_one_is_cut_and_nothing_of_it_is_lost_or_doubled():
    given = recording(31.0)
    found = made(clips(given, ENTRY))
    assert [clip.entry.id for clip in found] == [f"me-one-{k:03d}" for k in range(len(found))]
    assert len(found) >= 4
    np.testing.assert_array_equal(np.concatenate([clip.audio.samples for clip in found]), given.sound.samples)
    assert sum(len(clip.motion) for clip in found) == 31 * 25


def test_sound_and_motion_of_different_lengths_are_cut_to_what_both_have():
    given = recording(4.0)
    longer = replace(given, sound=Audio(np.pad(given.sound.samples, (0, RATE)), RATE))
    (clip,) = made(clips(longer, ENTRY))
    assert len(clip.motion) == 100
    assert len(clip.audio) == 64000


@pytest.mark.parametrize("late", [0.4, -0.4])
def test_lips_that_are_surely_late_or_early_are_moved(late):
    given = recording(6.0)
    shift = round(abs(late) * 60)
    ends = (shift, 0) if late > 0 else (0, shift)
    values = np.pad(given.motion.values, (ends, (0, 0)))
    values = values[: len(values) - shift] if late > 0 else values[shift:]
    moved = replace(given, motion=Motion(values, ARKIT, Fraction(60)))
    (clip,) = made(clips(moved, ENTRY, align=lambda *_: Fit(late, 0.8, 6.0)))
    assert together(clip) > 0.85
    (left,) = made(clips(moved, ENTRY, Wishes(aligned=False), align=lambda *_: Fit(late, 0.8, 6.0)))
    assert len(left.motion) == 150
    assert together(left) < 0.4


def together(clip):
    """The correlation of the jaw and the loudness."""
    jaw = clip.motion.channel("jawOpen")[:-15]
    loud = np.abs(clip.audio.samples[: len(jaw) * 640]).reshape(-1, 640).mean(axis=1)
    return np.corrcoef(jaw, loud)[0, 1]


def test_what_is_no_use_is_rejected_with_its_reason():
    given = recording()
    still = Motion(np.zeros_like(given.motion.values), ARKIT, Fraction(60))
    quiet = Audio(np.random.default_rng(0).standard_normal(64000).astype(np.float32) * 1e-4, RATE)
    cases = {
        "no sound": replace(given, sound=Audio(np.zeros(64000, np.float32), RATE)),
        "no speech": replace(given, sound=quiet),
        "lips still": replace(given, motion=still),
        "no face": replace(given, seen=np.arange(240) < 100),
        "too short": recording(0.5),
    }
    for reason, case in cases.items():
        assert reasons(clips(case, ENTRY)) == [reason]
        assert not made(clips(case, ENTRY))
    assert reasons(clips(replace(given, observed=~ALL), ENTRY)) == ["lips still"]
    assert reasons(clips(given, ENTRY, align=lambda *_: Fit(0.0, 0.1, 16.0))) == ["out of sync"]
    assert len(made(clips(given, ENTRY, align=lambda *_: Fit(0.0, 0.1, 60.0)))) == 1
    assert len(made(clips(given, ENTRY, align=lambda *_: Fit(0.0, 0.0, 3.0)))) == 1
    assert len(made(clips(given, ENTRY, align=lambda *_: None))) == 1
    empty = Recording(Motion(np.zeros((0, 55), np.float32), ARKIT, Fraction(25)), given.sound, ALL, np.zeros(0, bool))
    assert reasons(clips(empty, ENTRY)) == ["too short"]


def test_a_rejected_part_costs_only_itself():
    given = recording(31.0)
    seen = np.ones(31 * 60, bool)
    seen[: 9 * 60] = False
    parts = list(clips(replace(given, seen=seen), ENTRY))
    assert reasons(parts)[0] == "no face"
    assert made(parts)[-1].entry.id == f"me-one-{len(parts) - 1:03d}"
    total = sum(part.seconds if isinstance(part, Rejected) else float(part.audio.duration) for part in parts)
    assert total == pytest.approx(31.0)


def test_phones_are_counted_from_where_a_piece_begins():
    given = replace(recording(31.0), phones=((0.0, 20.0, "sil"), (20.0, 31.0, "a")))
    found = made(clips(given, ENTRY))
    assert sum(end - start for clip in found for start, end, _ in clip.phones) == pytest.approx(31.0)
    assert all(clip.phones[0][0] == 0 for clip in found)
    assert {label for _, _, label in found[-1].phones} == {"a"}


def test_speech_is_what_stands_out_of_the_quiet():
    samples, opening = voice(4.0)
    told = speech(Audio(samples, RATE))
    loud = np.interp(np.arange(100) / 25, np.arange(240) / 60, opening)
    assert told[loud > 0.5].all()
    assert told[loud < 1e-4].mean() < 0.1
    assert not speech(Audio(np.zeros(RATE, np.float32), RATE)).any()
    assert speech(Audio(np.full(RATE, 0.3, np.float32), RATE)).all()
    assert len(speech(Audio(np.zeros(0, np.float32), RATE))) == 0


def test_wrong_recordings_and_wishes():
    given = recording()
    with pytest.raises(BadInput, match="ARKit"):
        replace(given, motion=Motion(np.zeros((5, 106), np.float32), FLAME, Fraction(25)))
    with pytest.raises(BadInput, match="seen"):
        replace(given, seen=np.ones(3, bool))
    with pytest.raises(BadInput, match="at least"):
        Wishes(least=0.0)
