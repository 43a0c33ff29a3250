"""The example that sends a voice on to other tools, by a clock of the test's."""

import runpy
import sys
from contextlib import contextmanager, nullcontext
from fractions import Fraction

import numpy as np
import pytest

import artalk
from artalk.channels import ARKIT
from artalk.motion import Motion
from artalk.stream.protocol import Ended

WORK = 0.007
"""Seconds that the server's messages take of each frame."""


class Session:
    """A session whose frames are there at once and whose time is the test's."""

    latency, fps = 0.2, Fraction(25)

    def __init__(self):
        self.now = 0.0
        self._events = [Motion(np.zeros((60, len(ARKIT)), np.float32), ARKIT, Fraction(25)), Ended(0, 50)]

    def feed(self, samples):
        pass

    def flush(self):
        pass

    def receive(self):
        self.now += WORK + (0.05 if 1.0 < self.now < 1.02 else 0.0)  # and once the machine is busy with something else
        events, self._events = self._events, []
        return events

    def sleep(self, seconds):
        assert seconds >= 0
        self.now += seconds


class Recorder:
    name, sent, lost = "seen", 0, 0

    def __init__(self, session):
        self.session, self.frames = session, []

    def send(self, pose, frame, fps):
        assert fps == 60
        self.frames.append((frame, self.session.now))

    def close(self):
        pass


def test_frames_go_out_60_times_a_second_and_are_numbered_by_the_clock(monkeypatch):
    session = Session()
    seen = Recorder(session)

    @contextmanager
    def serving():
        yield "ws://nowhere"

    monkeypatch.setattr("artalk.serve.app.serving", serving)
    monkeypatch.setattr("artalk.live.output.open_output", lambda url: seen)
    monkeypatch.setattr(artalk, "connect", lambda *where, **how: nullcontext(session), raising=False)
    monkeypatch.setattr("time.sleep", session.sleep)
    monkeypatch.setattr(sys, "argv", ["example"])
    runpy.run_path("examples/07_voice_to_tools.py")
    numbers, times = np.array(seen.frames).T
    assert times[-1] > 2
    assert np.abs(times - numbers / 60).max() < 0.06
    assert (np.diff(numbers) == 1).mean() > 0.97
    assert np.diff(numbers).min() == 1
    assert len(numbers) / (times[-1] - times[0]) == pytest.approx(60, abs=2.5)
