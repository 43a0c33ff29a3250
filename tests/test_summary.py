from fractions import Fraction

import numpy as np
import pytest

from artalk.channels import ARKIT, FLAME
from artalk.motion import Motion
from artalk.summary import summarise


def test_blinks_mouth_and_head_are_counted():
    frames = 250
    blink = np.zeros(frames)
    for start in (20, 100, 200):
        blink[start : start + 5] = [0.4, 0.9, 1, 0.9, 0.4]
    motion = Motion(np.zeros((frames, len(ARKIT))), ARKIT, Fraction(25)).with_channels(
        eyeBlinkLeft=blink,
        eyeBlinkRight=blink,
        jawOpen=np.arange(frames) % 2 * 0.3,
        headY=np.linspace(-0.1, 0.1, frames),
    )
    summary = summarise(motion)
    assert summary.blinks is not None
    assert summary.blinks.count == 3
    assert summary.blinks.per_minute == pytest.approx(18)
    assert summary.blinks.mean_seconds == pytest.approx(0.12)
    assert summary.mouth_open == pytest.approx(0.5)
    assert summary.head_range is not None
    assert summary.head_range[1] == pytest.approx(np.degrees(0.2), abs=1e-3)
    assert {name for name, *_ in summary.moving} == {"eyeBlinkLeft", "eyeBlinkRight", "jawOpen", "headY"}
    words = summary.words()
    assert "3, 18 a minute, 120 ms" in words
    assert "turns over 11.5°" in words
    assert "liveliest by their largest values: eyeBlinkLeft 1.00 (sd 0.18)" in words


def test_a_rolled_head_counts_its_true_angles():
    values = np.zeros((2, len(ARKIT)))
    values[1, ARKIT.slice("head")] = [0, 0, np.radians(20)]
    summary = summarise(Motion(values, ARKIT, Fraction(25)))
    assert summary.head_range == pytest.approx((0, 0, 20), abs=1e-4)


def test_nothing_and_other_channels_are_summed_up_too():
    assert "0 frames" in summarise(Motion(np.zeros((0, len(ARKIT))), ARKIT, Fraction(25))).words()
    summary = summarise(Motion(np.ones((3, len(FLAME))), FLAME, Fraction(25)))
    assert summary.blinks is None
    assert summary.moving == []
