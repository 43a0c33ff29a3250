"""A microphone without a sound card: a module of sounddevice's signatures stands in for it."""

import ast
import importlib.util
import inspect
import sys
import types
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from artalk import cli
from artalk.errors import BadInput, NeedsExtra
from artalk.live.output import Output
from artalk.live.performance import Performance
from artalk.live.source import Microphone
from tests.stream.generators import JAW, Loud


class PortAudioError(Exception):
    """What sounddevice raises where PortAudio refuses."""


class CallbackFlags:
    def __init__(self, flags=0):
        self.input_overflow = bool(flags & 2)


class InputStream:
    """Keeps what it was asked for; `hear` does what PortAudio's thread does."""

    opened = None

    def __init__(
        self,
        samplerate=None,
        blocksize=None,
        device=None,
        channels=None,
        dtype=None,
        latency=None,
        extra_settings=None,
        callback=None,
        finished_callback=None,
        clip_off=None,
        dither_off=None,
        never_drop_input=None,
        prime_output_buffers_using_stream_callback=None,
    ):
        if device == "broken":
            raise PortAudioError("Error opening InputStream: Device unavailable [PaErrorCode -9985]")
        self.asked = {"samplerate": samplerate, "blocksize": blocksize, "device": device, "channels": channels}
        self.asked |= {"dtype": dtype, "latency": latency}
        self._callback, self._buffer = callback, np.zeros((blocksize, channels), dtype)
        self.active = self.closed = False
        InputStream.opened = self

    def start(self):
        self.active = True

    def close(self, ignore_errors=True):
        self.active, self.closed = False, True

    def hear(self, samples, flags=0):
        """Every block comes in the same buffer."""
        for block in samples.reshape(-1, len(self._buffer)):
            self._buffer[:, 0] = block
            self._callback(self._buffer, len(block), None, CallbackFlags(flags))


def query_devices(device=None, kind=None):
    if device == "nothing":
        raise ValueError("No input device matching 'nothing'")
    return {"name": "a microphone", "max_input_channels": 2, "default_samplerate": 44100.0}


@pytest.fixture
def card(monkeypatch):
    module = types.ModuleType("sounddevice")
    vars(module).update(InputStream=InputStream, PortAudioError=PortAudioError, query_devices=query_devices)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


def test_the_stand_in_has_the_real_signatures():
    found = importlib.util.find_spec("sounddevice")
    if found is None or found.origin is None:
        pytest.skip("sounddevice is not here: pip install sounddevice")
    tree = ast.parse(Path(found.origin).read_text(encoding="utf-8"))
    real = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    methods = {node.name: node for node in real["InputStream"].body if isinstance(node, ast.FunctionDef)}
    base = {node.name: node for node in real["_StreamBase"].body if isinstance(node, ast.FunctionDef)}
    pairs = [
        (methods["__init__"], InputStream.__init__),
        (base["start"], InputStream.start),
        (base["close"], InputStream.close),
        (real["query_devices"], query_devices),
    ]
    for theirs, ours in pairs:
        assert [argument.arg for argument in theirs.args.args] == list(inspect.signature(ours).parameters)
    assert {"PortAudioError", "CallbackFlags"} <= set(real)
    assert "input_overflow" in {node.name for node in real["CallbackFlags"].body if isinstance(node, ast.FunctionDef)}
    assert "active" in base


def test_blocks_of_20_ms_come_out_as_they_went_in(card):
    microphone = Microphone()
    stream = InputStream.opened
    asked = {"samplerate": 44100, "blocksize": 882, "device": None, "channels": 1, "dtype": "float32", "latency": "low"}
    assert stream.asked == asked
    assert microphone.sample_rate == 44100
    assert len(microphone.read()) == 0
    sound = np.random.default_rng(1).uniform(-1, 1, 3 * 882).astype(np.float32)
    stream.hear(sound)
    np.testing.assert_array_equal(microphone.read(), sound)
    assert len(microphone.read()) == 0
    assert not microphone.ended
    microphone.close()
    assert stream.closed
    assert microphone.ended


def test_what_the_card_drops_is_counted_and_what_is_no_number_is_silence(card):
    microphone = Microphone("2")
    assert InputStream.opened.asked["device"] == 2
    InputStream.opened.hear(np.full(882, np.nan, np.float32), flags=2)
    InputStream.opened.hear(np.ones(882, np.float32))
    np.testing.assert_array_equal(microphone.read(), np.repeat([0.0, 1.0], 882).astype(np.float32))
    assert microphone.lost == 1


@pytest.mark.parametrize(("device", "says"), [("nothing", "No input device matching"), ("broken", "unavailable")])
def test_a_card_that_will_not_open_is_said(card, device, says):
    with pytest.raises(BadInput, match=f"no microphone can be opened .{device}.*{says}"):
        Microphone(device)


def test_without_portaudio_it_is_said_what_is_missing(monkeypatch):
    def missing(name):
        raise OSError("PortAudio library not found")

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(NeedsExtra, match=r"PortAudio, a system package \(libportaudio2\): PortAudio library not found"):
        Microphone()
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(NeedsExtra, match=r"needs 'sounddevice', .* pip install 'artalk\[live\]'"):
        Microphone()


class Watched(Output):
    """Keeps the jaw of each frame."""

    def __init__(self):
        self.jaws = []

    def send(self, pose, frame, fps):
        self.jaws.append(float(pose[JAW]))

    def close(self):
        """Nothing is open."""


def test_words_at_the_card_move_the_mouth_that_goes_out(card):
    microphone, watched = Microphone(), Watched()
    performance = Performance(Loud(lookahead=0, rate=16000), microphone, [watched], Fraction(50))
    loudness = np.repeat([0.0, 0.5, 0.0], [25, 50, 50]).astype(np.float32)
    for tick, block in enumerate(np.repeat(loudness[:, None], 882, axis=1)):
        InputStream.opened.hear(block)
        assert performance.step(0.02 * (tick + 1))
    jaws = np.array(watched.jaws)
    begins, ends = (at + round(performance.delay * 50) for at in (25, 75))
    assert jaws[: begins - 3].max() < 0.05
    np.testing.assert_allclose(jaws[begins + 4 : ends - 3], 0.5, atol=0.05)
    assert jaws[ends + 4 :].max() < 0.05
    assert performance.session.counters.samples_dropped == 0
    InputStream.opened.active = False
    ticks = 0
    while performance.step(2.52 + 0.02 * ticks):
        ticks += 1
    assert ticks < 100


def test_the_command_says_what_was_lost_and_lets_the_card_go(card, monkeypatch, capsys):
    def start(stream):
        stream.hear(np.zeros(3 * 882, np.float32), flags=2)

    monkeypatch.setattr(InputStream, "start", start)
    monkeypatch.setattr(sys, "argv", ["artalk", "live", "--mic", "--to", "livelink://127.0.0.1", "--quiet"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code
    assert "the microphone is gone" in capsys.readouterr().err
    assert InputStream.opened.closed
    monkeypatch.setattr(sys, "argv", sys.argv[:-1])
    with pytest.raises(SystemExit):
        cli.main()
    assert "sound of the microphone was lost 3 times" in capsys.readouterr().err
