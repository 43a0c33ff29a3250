"""The face that shows whether network and avatar work."""

from fractions import Fraction

import numpy as np
import pytest

from artalk.channels import ARKIT
from artalk.live import trial
from artalk.live.livelink import LiveLink
from artalk.live.output import Output

SECONDS = np.arange(round(trial.ROUND * 60)) / 60
POSES = np.stack([trial.pose(float(seconds)) for seconds in SECONDS])


def when(name, sign=1):
    """The frames in which a channel moves."""
    return np.flatnonzero(sign * POSES[:, ARKIT.index(name)] > 0.01)


def test_one_thing_happens_after_the_other():
    parts = [when("jawOpen"), when("eyeBlinkLeft"), when("mouthSmileLeft"), when("headY"), when("headY", -1)]
    assert all(len(part) > 20 for part in parts)
    assert all(before[-1] < after[0] for before, after in zip(parts, parts[1:], strict=False))
    peaks = [np.abs(POSES[part]).max() for part in parts]
    assert peaks == pytest.approx([0.7, 1.0, 0.8, 0.4, 0.4], abs=0.02)
    for left, right in (("eyeBlinkLeft", "eyeBlinkRight"), ("mouthSmileLeft", "mouthSmileRight")):
        np.testing.assert_array_equal(POSES[:, ARKIT.index(left)], POSES[:, ARKIT.index(right)])


def test_a_round_begins_and_ends_at_rest_and_the_next_is_the_same():
    assert POSES.shape == (len(SECONDS), len(ARKIT))
    assert POSES.dtype == np.float32
    assert not POSES[:30].any()
    assert not POSES[-30:].any()
    assert np.abs(np.diff(POSES, axis=0)).max() < 0.15, "without a leap"
    for seconds in (0.0, 1.1, 2.45, 6.1):
        np.testing.assert_allclose(trial.pose(seconds + 3 * trial.ROUND), trial.pose(seconds), atol=1e-5)


class Stopping(Output):
    """Keeps what it is sent, and stops the show in the midst of the jaw's opening."""

    def __init__(self):
        super().__init__("seen", "localhost", 1, LiveLink())
        self.jaws = []

    def send(self, pose, frame, fps):
        self.jaws.append(float(pose[ARKIT.index("jawOpen")]))
        if len(self.jaws) == 56:
            raise KeyboardInterrupt


def test_it_goes_out_until_it_is_stopped_and_then_to_rest(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("artalk.live.show.time.monotonic", lambda: now[0])
    monkeypatch.setattr("artalk.live.show.time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    seen, told = Stopping(), []
    with pytest.raises(KeyboardInterrupt):
        trial.Trial([seen], Fraction(50)).run(ready=lambda: told.append(len(seen.jaws)))
    assert told == [0]
    wanted = [float(trial.pose(frame / 50)[ARKIT.index("jawOpen")]) for frame in range(56)]
    assert seen.jaws[:56] == pytest.approx(wanted, abs=1e-4)
    assert wanted[-1] > 0.6
    assert seen.jaws[-2:] == [0, 0]
