"""Sound that another program writes into a pipe: its pace, its end, and the command that hears it."""

import os
import socket
import subprocess
import sys
import threading
import time
import types
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artalk import cli
from artalk.errors import BadInput
from artalk.live import source
from artalk.live.source import WAITING, Pipe

RATE = 16000


class Clock:
    """Time that goes by when a test says so."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(source, "time", types.SimpleNamespace(monotonic=lambda: self.now))

    def wait(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@contextmanager
def piped(burst):
    """A pipe and the end that another program writes to."""
    coming, going = os.pipe()
    with open(coming, "rb") as stream, open(going, "wb", 0) as writer:
        heard = Pipe(stream, RATE, burst)
        yield heard, writer
        heard.close()
        writer.close()


@pytest.fixture
def speech():
    with piped(burst=True) as found:
        yield found


@pytest.fixture
def recorder():
    with piped(burst=False) as found:
        yield found


def ramp(count, start=0):
    return (np.arange(start, start + count) % 30000).astype("<i2")


def until(true, seconds=20):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def waiting(heard):
    with heard._turn:
        return len(heard._waiting) // 2


def test_a_burst_is_heard_at_the_pace_of_time(speech, clock):
    heard, writer = speech
    sound = ramp(RATE)
    writer.write(sound.tobytes())
    until(lambda: waiting(heard) == RATE)
    pieces = [heard.read()]
    for _ in range(10):
        clock.wait(1 / 32)
        pieces.append(heard.read())
    assert [len(piece) for piece in pieces] == [0] + [500] * 10
    assert np.array_equal(np.concatenate(pieces) * 32768, sound[:5000])


def test_what_comes_after_a_silence_is_heard_when_it_comes_and_not_faster(speech, clock):
    heard, writer = speech
    heard.read()
    clock.wait(5.0)
    assert not len(heard.read())
    writer.write(ramp(RATE).tobytes())
    until(lambda: waiting(heard) == RATE)
    clock.wait(1 / 32)
    assert len(heard.read()) == 500


def test_after_a_stall_speech_goes_on_where_it_was(speech, clock):
    heard, writer = speech
    heard.read()
    writer.write(ramp(RATE).tobytes())
    until(lambda: waiting(heard) == RATE)
    clock.wait(1 / 32)
    pieces = [heard.read()]
    clock.wait(5.0)
    pieces += [heard.read()]
    clock.wait(1 / 32)
    pieces += [heard.read()]
    assert [len(piece) for piece in pieces] == [500, 1600, 500]
    assert np.array_equal(np.concatenate(pieces) * 32768, ramp(2600))


def test_what_is_recorded_is_heard_when_it_comes_and_not_what_came_before(recorder, clock):
    heard, writer = recorder
    writer.write(ramp(RATE).tobytes())
    until(lambda: waiting(heard) == RATE)
    assert not len(heard.read()), "nobody listened yet"
    for k in range(20):
        writer.write(ramp(320, 320 * k).tobytes())
        until(lambda: waiting(heard) == 320)
        assert np.array_equal(heard.read() * 32768, ramp(320, 320 * k))


def test_who_records_does_not_wait_and_the_newest_is_kept():
    class Hours:
        def __init__(self):
            self.parts = [ramp(RATE // 2, k * RATE // 2).tobytes() + b"" for k in range(4 * WAITING)]

        def read1(self, size):
            return self.parts.pop(0) if self.parts else b""

    heard = Pipe(Hours(), RATE)
    until(lambda: heard._finished)
    assert waiting(heard) == WAITING * RATE
    last = bytes(heard._waiting[-RATE:])
    assert np.array_equal(np.frombuffer(last, "<i2"), ramp(RATE // 2, (4 * WAITING - 1) * RATE // 2))


def test_a_wav_file_is_no_raw_sound(recorder):
    heard, writer = recorder
    writer.write(b"RIFF\x00\x00")
    until(lambda: heard.came)
    with pytest.raises(BadInput, match="a WAV file comes"):
        heard.read()


def test_it_ends_with_its_last_whole_sample_and_not_before_that_is_heard(speech, clock):
    heard, writer = speech
    writer.write(ramp(400).tobytes() + b"\x01")
    writer.close()
    until(lambda: heard._finished)
    heard.read()
    assert not heard.ended
    clock.wait(0.05)
    assert len(heard.read()) == 400
    assert heard.ended


def test_who_writes_without_end_is_made_to_wait():
    class Endless:
        given = 0

        def read1(self, size):
            self.given += size
            return bytes(size)

    stream = Endless()
    heard = Pipe(stream, RATE, burst=True)
    most = 2 * WAITING * RATE
    until(lambda: len(heard._waiting) >= most)
    time.sleep(0.05)
    assert stream.given <= most + 2**14
    heard.close()
    until(lambda: heard._finished)


def test_a_pipe_that_breaks_has_ended():
    class Broken:
        def read1(self, size):
            raise OSError("gone")

    heard = Pipe(Broken(), RATE)
    until(lambda: heard.ended)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 3000), st.floats(0, 0.3)), max_size=12))
def test_every_sample_is_heard_once_in_its_order_and_never_ahead_of_time(steps):
    """Whatever comes whenever: of what is read nothing is lost, twice or sooner than time has gone by since it came."""

    class Fed:
        def __init__(self):
            self.parts, self.more = [], threading.Condition()

        def read1(self, size):
            with self.more:
                self.more.wait_for(lambda: self.parts)
                return self.parts.pop(0)

    with pytest.MonkeyPatch.context() as patch:
        clock, stream = Clock(patch), Fed()
        heard, sent, got = Pipe(stream, RATE, burst=True), 0, [np.zeros(0, np.float32)]
        for count, seconds in steps:
            with stream.more:
                if count:
                    stream.parts.append(ramp(count, sent).tobytes())
                    stream.more.notify()
            sent += count
            got_so_far = sum(map(len, got))
            until(lambda total=sent - got_so_far: waiting(heard) == total)
            clock.wait(seconds)
            got.append(heard.read())
        for _ in range(200):
            clock.wait(0.1)
            got.append(heard.read())
        assert np.array_equal(np.concatenate(got) * 32768, ramp(sent))
        with stream.more:
            stream.parts.append(b"")
            stream.more.notify()


def test_the_command_hears_it(tmp_path):
    """A second of a voice through a real pipe: the jaw opens, and it ends by itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(60)
        time_ = np.arange(RATE) / RATE
        voice = sum(np.sin(2 * np.pi * 120 * k * time_) / k for k in range(1, 30)) * (np.sin(2 * np.pi * 3 * time_) > 0)
        command = [
            sys.executable,
            "-m",
            "artalk.cli",
            "live",
            "--pcm",
            str(RATE),
            "--burst",
            "--model",
            "visemes",
            "--fps",
            "30",
        ]
        address = f"ifacialmocap://127.0.0.1:{receiver.getsockname()[1]}"
        run = subprocess.run(
            [*command, "--to", address],
            input=(0.2 * 32767 * voice / np.abs(voice).max()).astype("<i2").tobytes(),
            capture_output=True,
            timeout=100,
        )
        assert run.returncode == 0, run.stderr.decode()
        receiver.settimeout(1)
        jaws = []
        try:
            while True:
                shapes = dict(part.split("-", 1) for part in receiver.recv(1 << 16).decode().split("|") if "-" in part)
                jaws.append(int(shapes["jawOpen"]))
        except TimeoutError:
            pass
        assert max(jaws) > 10
        assert jaws[-1] == 0
        assert 30 <= len(jaws) <= 120


@pytest.mark.parametrize("stdin", [types.SimpleNamespace(isatty=lambda: True), None])
def test_a_terminal_is_no_sound_and_neither_is_a_closed_door(monkeypatch, stdin):
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(BadInput, match="what another program writes"):
        cli.live(to=["livelink://localhost"], pcm=RATE)


@pytest.mark.parametrize(
    ("sound", "says"),
    [
        (b"", "no sound came on standard input: see what the program before the | says"),
        (bytes(RATE), "the sound was over before the face was ready: with --burst it waits for its time"),
    ],
)
def test_where_nothing_is_heard_it_is_said(sound, says):
    command = [sys.executable, "-m", "artalk.cli", "live", "--pcm", str(RATE), "--model", "visemes", "-q"]
    run = subprocess.run([*command, "--to", "vmc://127.0.0.1"], input=sound, capture_output=True, timeout=100)
    assert run.returncode == 2
    assert run.stderr.decode() == f"artalk: {says}\n"


def test_what_came_too_fast_is_said():
    """Once it listens, three seconds at once, as if of a microphone: no face can follow that."""
    command = [sys.executable, "-m", "artalk.cli", "live", "--pcm", str(RATE), "--model", "visemes"]
    with subprocess.Popen([*command, "--to", "vmc://127.0.0.1"], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert b"behind the sound" in run.stderr.readline()
        time.sleep(0.5)
        run.stdin.write(bytes(6 * RATE))
        run.stdin.close()
        said = run.stderr.read().decode()
    assert run.returncode == 0
    assert "s faster than time goes by: --burst lets it wait" in said
