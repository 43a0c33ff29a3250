"""The bytes of a client's sound as samples."""

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk.errors import BadAudio, BadInput
from artalk.stream.protocol import Encoding

FloatArray = NDArray[np.float32]

OPUS_RATE = 48000
"""Samples a second that Opus is decoded to."""


class Decoder:
    """Bytes of one encoding in, mono float samples out, at `sample_rate`."""

    def __init__(self, encoding: Encoding, sample_rate: int) -> None:
        self.encoding = encoding
        self.sample_rate = OPUS_RATE if encoding == "opus" else sample_rate
        self._opus = _Opus() if encoding == "opus" else None

    def decode(self, data: bytes) -> FloatArray:
        """The samples (n,). Raises `BadAudio` for bytes that are none in this encoding."""
        if self._opus is not None:
            return self._opus.decode(data)
        kind = np.dtype("<i2" if self.encoding == "pcm16" else "<f4")
        if len(data) % kind.itemsize:
            raise BadAudio(f"{self.encoding} sound is {kind.itemsize} bytes a sample, got {len(data)} bytes")
        values: NDArray[Any] = np.frombuffer(data, kind)
        if self.encoding == "pcm16":
            return values.astype(np.float32) / np.float32(32768)
        return values.astype(np.float32)


class _Opus:
    """One Opus packet after the other."""

    def __init__(self) -> None:
        self._av: Any = importlib.import_module("av")
        try:
            self._context = self._av.CodecContext.create("opus", "r")
        except ValueError as error:  # av.codec.UnknownCodecError
            raise BadInput("this server's ffmpeg has no Opus decoder: send pcm16 or float32") from error
        self._context.sample_rate = OPUS_RATE
        self._context.layout = "mono"

    def decode(self, data: bytes) -> FloatArray:
        try:
            frames: list[Any] = self._context.decode(self._av.Packet(data)) if data else []
        except (self._av.error.FFmpegError, ValueError) as error:
            raise BadAudio(f"this is no Opus packet: {error}") from error
        blocks = [np.asarray(frame.to_ndarray(), np.float32).mean(axis=0) for frame in frames]
        return np.concatenate([np.zeros(0, np.float32), *blocks]).clip(-1, 1)
