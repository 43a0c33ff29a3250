"""When each phone is spoken: forced alignment of English, and any language by warping a synthetic reading onto it.

Warping is dynamic time warping of mel cepstra (Sakoe & Chiba 1978) between the recording and a reading of the same text
by a machine that knows its own phone times; it needs no model of the language.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk.audio import Audio
from artalk.data.clips import as_int16
from artalk.data.espeak import Reading, read_aloud
from artalk.data.phones import SILENCE, filled, from_arpabet, spread
from artalk.errors import BadInput, needs

Float = NDArray[np.float64]
Phone = tuple[float, float, str]

RATE, HOP, WINDOW, FFT = 16000, 160, 400, 512
BANDS, CEPSTRA = 26, 13

STEP = HOP / RATE

DIAGONAL = 1.5
STRAY = 0.3
"""What a step aside costs beside a diagonal one: a little more than nothing, or the path stands still in silences."""

QUIET = 10.0**-4.5
"""Power beside the loudest frame's below which the ends of a recording are silence."""

SETTLED = 0.12
"""Seconds by which aligned words may differ from given ones and still be believed."""


def cepstra(audio: Audio) -> Float:
    """(frames, 26): 13 mel cepstra every 10 ms and their slopes, each of mean 0 and deviation 1 over the recording."""
    samples = audio.resampled(RATE).samples.astype(np.float64)
    if len(samples) < WINDOW:
        samples = np.pad(samples, (0, WINDOW - len(samples)))
    samples = np.append(samples[0], samples[1:] - 0.97 * samples[:-1])
    count = 1 + (len(samples) - WINDOW) // HOP
    pieces = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP][:count] * np.hamming(WINDOW)
    power = np.abs(np.fft.rfft(pieces, FFT, axis=1)) ** 2
    # A floor 60 dB under the loudest frame: digital silence and a room's noise become alike.
    bands = power @ _mel_filters().T
    level = np.log(bands + 1e-6 * bands.sum(axis=1).max() / BANDS + 1e-12)
    ceps = level @ _cosines().T
    slopes = np.gradient(ceps, axis=0) if len(ceps) > 1 else np.zeros_like(ceps)
    return np.concatenate([_standard(ceps), 0.7 * _standard(slopes)], axis=1)


def warp(recording: Float, reading: Float) -> NDArray[np.int64]:
    """For each frame of the reading, the first frame of the recording that it is laid upon: monotone, end to end."""
    cost = _distances(recording, reading)
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    step = np.zeros((rows, columns), np.int8)
    for diagonal in range(rows + columns - 1):
        # Cells of one anti-diagonal depend on the two before it alone.
        i = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1), dtype=np.int64)
        j = np.subtract(diagonal, i, dtype=np.int64)
        options = np.stack([total[i, j] + DIAGONAL * cost[i, j], total[i, j + 1], total[i + 1, j]])
        options[1:] += cost[i, j] + STRAY
        best = options.argmin(axis=0)
        step[i, j] = best
        total[i + 1, j + 1] = options[best, np.arange(len(i))]
    first = np.zeros(columns, np.int64)
    row, column = rows - 1, columns - 1
    while row >= 0 and column >= 0:
        first[column] = row
        move = int(step[row, column])
        row, column = row - (move != 2), column - (move != 1)
    return first


def by_reading(audio: Audio, reading: Reading) -> tuple[Phone, ...]:
    """The phones of a recording, from a reading of the same text."""
    return _placed(audio, reading)[0]


def _placed(audio: Audio, reading: Reading) -> tuple[tuple[Phone, ...], float]:
    """The phones, and how far recording and reading differ in the mean."""
    (begin, stop), (read_begin, read_stop) = spoken(audio), spoken(reading.audio)
    heard, read = cepstra(audio.cut(begin, stop)), cepstra(reading.audio.cut(read_begin, read_stop))
    first = warp(heard, read)

    def placed(seconds: float) -> float:
        # Both windows are centred 12.5 ms after their frame's start: it cancels.
        at = float(np.interp((seconds - read_begin) / STEP, np.arange(len(first)), first))
        return begin + at * STEP if seconds < read_stop - STEP else stop

    spans = [(placed(start), placed(end), phone) for start, end, phone in reading.phones if phone != SILENCE]
    return filled(spans, float(audio.duration)), float(np.linalg.norm(heard[first] - read, axis=1).mean())


def spoken(audio: Audio) -> tuple[float, float]:
    """Start and end in seconds of what lies within 45 dB of the loudest frame: the rest is no speech to be warped."""
    samples = audio.samples.astype(np.float64)
    size = max(audio.sample_rate // 100, 1)
    power = np.square(samples[: len(samples) // size * size]).reshape(-1, size).mean(axis=1)
    loud = np.flatnonzero(power > power.max(initial=0.0) * QUIET)
    if not len(loud) or not power.max(initial=0.0):
        return 0.0, float(audio.duration)
    return max(loud[0] - 2, 0) * 0.01, min((loud[-1] + 3) * 0.01, float(audio.duration))


def by_synthesis(audio: Audio, text: str, voices: Sequence[str]) -> tuple[Phone, ...]:
    """The phones of a recording of `text`, from the best matching of eSpeak NG's `voices` ("de+f3")."""
    if not voices:
        raise BadInput("warping a reading needs at least one voice")
    pace = _pace(text, audio)
    found = [_placed(audio, read_aloud(text, voice, pace)) for voice in voices]
    return min(found, key=lambda one: one[1])[0]


@dataclass
class English:
    """Forced alignment by pocketsphinx (optional) with CMU's dictionary; `words` adds pronunciations in ARPABET.

    Where it fails or strays from given word times, each word's time is divided by the phones' usual lengths.
    """

    words: Mapping[str, str] = field(default_factory=dict[str, str])
    failures: int = 0
    strayed: int = 0
    total: int = 0
    _decoder: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        sphinx = needs("pocketsphinx", "align", "forced alignment of English")
        self._decoder = sphinx.Decoder(samprate=RATE, bestpath=False, lm=None, loglevel="FATAL")
        for word, phones in self.words.items():
            self._decoder.add_word(word, phones, False)

    def phones(self, audio: Audio, words: Sequence[Phone]) -> tuple[Phone, ...]:
        """The phones of words whose times are known, (start, end, word) in seconds without silences."""
        self.total += 1
        aligned = self.align(audio, " ".join(word for _, _, word in words))
        spans: list[Phone] = []
        if aligned is not None and len(aligned) != len(words):
            aligned = None
        self.failures += aligned is None
        for k, (start, end, word) in enumerate(words):
            if aligned is not None:
                inner = aligned[k]
                if abs(inner[0][0] - start) < SETTLED and abs(inner[-1][1] - end) < SETTLED:
                    spans += [part for a, b, name in inner for part in spread(a, b, from_arpabet(name))]
                    continue
                self.strayed += 1
            spans += self._divided(start, end, word)
        return filled(spans, float(audio.duration))

    def align(self, audio: Audio, text: str) -> list[list[Phone]] | None:
        """For each word of `text` its (start, end, ARPABET phone), or None where the aligner fails."""
        sound = as_int16(audio.resampled(RATE).samples).tobytes()
        try:
            self._decoder.set_align_text(text)
            self._hear(sound)
            self._decoder.set_alignment()
            self._hear(sound)
            found = self._decoder.get_alignment()
        except RuntimeError:
            return None
        if found is None:
            return None
        return [
            [(phone.start * STEP, (phone.start + phone.duration) * STEP, str(phone.name)) for phone in word]
            for word in found
            if not word.name.startswith("<")
        ]

    def _hear(self, sound: bytes) -> None:
        self._decoder.start_utt()
        try:
            self._decoder.process_raw(sound, full_utt=True)
        finally:
            self._decoder.end_utt()

    def _divided(self, start: float, end: float, word: str) -> list[Phone]:
        said = self._decoder.lookup_word(word)
        names = said.split() if said else ["AH"]
        lengths = np.array([USUAL.get(name, 0.08) for name in names])
        ends = start + (end - start) * np.cumsum(lengths) / lengths.sum()
        spans: list[Phone] = []
        for name, begin, stop in zip(names, [start, *ends[:-1]], ends, strict=True):
            spans += spread(float(begin), float(stop), from_arpabet(name))
        return spans


USUAL: dict[str, float] = {
    **dict.fromkeys(("B", "D", "G", "DH", "T"), 0.06),
    **dict.fromkeys(("P", "K", "V", "M", "N", "L", "R", "W", "Y", "HH", "NG"), 0.075),
    **dict.fromkeys(("S", "SH", "F", "TH", "CH", "JH", "Z", "ZH"), 0.1),
    **dict.fromkeys(("IY", "EY", "AY", "OW", "AO", "AA", "AW", "OY", "UW", "ER"), 0.14),
}
"""Seconds that English phones usually take (rounded from forced alignments); 0.08 for the rest."""


def clean(text: str) -> str:
    """Text as a synthesiser reads it well: no quotes, dashes or brackets, one space."""
    return re.sub(r"\s+", " ", re.sub(r"[\"„“”»«()\[\]–—]+", " ", text)).strip()


def _pace(text: str, audio: Audio) -> int:
    """Words a minute of a recording, within what the synthesiser does clearly."""
    letters = sum(letter.isalpha() for letter in text)
    words = max(letters / 5.3, 1.0)
    return int(np.clip(60 * words / max(float(audio.duration), 0.3), 110, 260))


def _standard(values: Float) -> Float:
    return (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-6)


def _distances(a: Float, b: Float) -> Float:
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0.0))


def _mel_filters() -> Float:
    def mel(hertz: float) -> float:
        return 2595 * np.log10(1 + hertz / 700)

    edges = 700 * (10 ** (np.linspace(mel(80), mel(7600), BANDS + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(FFT, 1 / RATE)
    rise = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(np.minimum(rise, fall), 0.0)


def _cosines() -> Float:
    band = np.arange(BANDS) + 0.5
    return np.cos(np.pi * np.arange(CEPSTRA)[:, None] * band / BANDS)
