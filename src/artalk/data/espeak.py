"""Synthetic readings whose phone times are known, by the eSpeak NG library (an optional tool, GPL-3)."""

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk.audio import Audio
from artalk.data.phones import filled, from_ipa, spread
from artalk.errors import BadInput, Unsupported, needs

RETRIEVAL, PHONEME_EVENTS, IPA = 1, 1, 2
UTF8 = 1
END, PHONEME = 0, 7
RATE = 1
"""Numbers of speak_lib.h: the output mode, options of initialisation, an encoding, kinds of event, a parameter."""


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique", ctypes.c_uint),
        ("position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("milliseconds", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user", ctypes.c_void_p),
        ("id", _Id),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True, eq=False)
class Reading:
    """A text read by a machine: its sound and its phones (start, end in seconds, label) without gaps."""

    audio: Audio
    phones: tuple[tuple[float, float, str], ...]


@cache
def _library() -> tuple[Any, int]:
    """The initialised library and its sample rate, once in a process."""
    loader = needs("espeakng_loader", "align", "a synthetic reading")
    library = ctypes.CDLL(loader.get_library_path())
    rate = library.espeak_Initialize(RETRIEVAL, 0, str(loader.get_data_path()).encode(), PHONEME_EVENTS | IPA)
    if rate <= 0:
        raise Unsupported(f"eSpeak NG could not start (it answered {rate})")
    return library, int(rate)


def read_aloud(text: str, voice: str, words_a_minute: int = 165) -> Reading:
    """Read a text in a voice such as "de", "nl+f3" or "en-us"; the same text gives the same sound.

    Raises `BadInput` for a voice that is not there, `NeedsExtra` without the library.
    """
    library, rate = _library()
    pieces: list[NDArray[np.int16]] = []
    events: list[tuple[float, str]] = []

    def hear(wave: Any, count: int, given: Any) -> int:
        if wave and count > 0:
            pieces.append(np.ctypeslib.as_array(wave, (count,)).copy())
        k = 0
        while given[k].type != END:
            if given[k].type == PHONEME:
                events.append((given[k].sample / rate, given[k].id.string.decode("utf-8", "ignore")))
            k += 1
        return 0

    callback = _Callback(hear)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise BadInput(f"eSpeak NG has no voice {voice!r}")
    library.espeak_SetParameter(RATE, words_a_minute, 0)
    data = text.encode("utf-8") + b"\0"
    library.espeak_Synth(data, len(data), 0, 1, 0, UTF8, None, None)
    library.espeak_Synchronize()
    samples = np.concatenate(pieces or [np.zeros(0, np.int16)]).astype(np.float32) / np.float32(32768)
    return Reading(Audio(samples, rate), _spans(events, len(samples) / rate))


def _spans(events: list[tuple[float, str]], seconds: float) -> tuple[tuple[float, float, str], ...]:
    """Events are starts; an end is the next event."""
    spans: list[tuple[float, float, str]] = []
    ends = [start for start, _ in events[1:]] + [seconds]
    for (start, name), end in zip(events, ends, strict=True):
        try:
            spans += spread(start, end, from_ipa(name))
        except BadInput:
            spans.append((start, end, "ə"))  # an exotic sign of some voice: some vowel, better than a hole
    return filled(spans, seconds)
