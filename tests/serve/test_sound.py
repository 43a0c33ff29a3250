"""What a client sends as sound, as samples."""

import importlib

import numpy as np
import pytest

from artalk.errors import BadAudio, BadInput
from artalk.serve.sound import OPUS_RATE, Decoder

av = importlib.import_module("av")


def packets(sound, layout="mono"):
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = OPUS_RATE, layout, "flt", 64000
    for start in range(0, len(sound), 960):
        block = np.repeat(sound[start : start + 960], len(encoder.layout.channels))[None].astype(np.float32)
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout=layout)
        frame.sample_rate = OPUS_RATE
        yield from map(bytes, encoder.encode(frame))


def test_samples_are_what_their_bytes_say():
    np.testing.assert_array_equal(Decoder("pcm16", 16000).decode(b"\x00\x40\x00\x80"), [0.5, -1.0])
    floats = np.array([0.25, -1.5], "<f4")
    np.testing.assert_array_equal(Decoder("float32", 16000).decode(floats.tobytes()), floats)
    assert Decoder("pcm16", 16000).sample_rate == 16000
    for encoding, size in (("pcm16", 2), ("float32", 4)):
        with pytest.raises(BadAudio, match=f"is {size} bytes a sample, got 7"):
            Decoder(encoding, 16000).decode(bytes(7))


@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_opus_packets_come_out_as_the_sound_that_went_in(layout):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(OPUS_RATE) / OPUS_RATE)
    decoder = Decoder("opus", 16000)
    assert decoder.sample_rate == OPUS_RATE
    blocks = [decoder.decode(packet) for packet in packets(tone, layout)]
    assert {len(block) for block in blocks[1:]} == {960}
    heard = np.concatenate(blocks)
    # The encoder looks ahead by 6.5 ms.
    best = max(np.corrcoef(heard[lag : lag + 24000], tone[:24000])[0, 1] for lag in range(0, 400, 2))
    assert best > 0.99


def test_what_is_no_opus_is_said_and_the_next_packet_is_heard():
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(4800) / OPUS_RATE)
    decoder = Decoder("opus", OPUS_RATE)
    for packet in packets(tone):
        with pytest.raises(BadAudio, match="no Opus packet"):
            decoder.decode(b"\xff\xff\xff")
        heard = decoder.decode(packet)
    assert np.abs(heard).max() > 0.2
    assert len(decoder.decode(b"")) == 0


def test_an_ffmpeg_without_opus_is_said(monkeypatch):
    def unknown(name, mode):
        raise av.codec.codec.UnknownCodecError(name)

    monkeypatch.setattr(av, "CodecContext", type("CodecContext", (), {"create": staticmethod(unknown)}))
    with pytest.raises(BadInput, match="no Opus decoder: send pcm16 or float32"):
        Decoder("opus", OPUS_RATE)
