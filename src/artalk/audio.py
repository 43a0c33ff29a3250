"""Sound: samples and their rate, from arrays and from files."""

import math
import warnings
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from artalk import decode
from artalk.errors import BadAudio, BadInput
from artalk.resampler import HIGHEST_RATE, LOWEST_RATE, whole_rate
from artalk.resampler import Resampler as Resampler
from artalk.source import Source

LOUDEST = 16.0
"""Peak above which floats are taken for unscaled integers: 24 dB over full scale, which no recorder gives."""

FULL_SCALES = (1 << 15, 1 << 23, 1 << 31)


class AudioWarning(UserWarning):
    """A sound had a fault that was mended; the message says which and what is left."""


@dataclass(frozen=True, eq=False)
class Audio:
    """Mono sound: `samples` (n,) float32, nominally in -1..1, at `sample_rate` a second.

    Raises `BadAudio` unless samples are finite real numbers in one dimension and the rate a whole number in
    1000..768000. `Audio.from_array` takes more shapes and types, and scales integers.
    """

    samples: NDArray[np.float32]
    sample_rate: int

    def __post_init__(self) -> None:
        given = np.asarray(self.samples)
        if given.ndim != 1 or given.dtype.kind != "f":
            raise BadAudio(
                f"samples are (n,) floats in -1..1, got {given.dtype} of shape {given.shape}; "
                "Audio.from_array takes channels and integers"
            )
        with np.errstate(over="ignore"):
            samples = np.ascontiguousarray(given, np.float32)
        if not np.isfinite(samples).all():
            raise BadAudio(
                f"samples are finite, got {int((~np.isfinite(samples)).sum())} that are NaN or infinite; "
                "Audio.from_array replaces them by 0"
            )
        rate = whole_rate(self.sample_rate)
        if rate is None:
            raise BadAudio(
                f"a sample rate is a whole number in {LOWEST_RATE}..{HIGHEST_RATE}, got {self.sample_rate!r}: "
                "is it in samples a second, not in kHz?"
            )
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "sample_rate", rate)

    @classmethod
    def from_array(cls, array: ArrayLike, sample_rate: int) -> "Audio":
        """Mono sound from an array of (n,), (n, channels) or (channels, n) with 1 to 8 channels.

        Of two axes the shorter one is the channels, the second one if both are equal; channels are averaged. Integers
        are scaled by their full range to -1..1 (unsigned ones around their middle), booleans are refused. NaN and
        infinity become 0, and floats that peak above 16 are taken for unscaled integers of 16, 24 or 32 bits and
        scaled down; both give an `AudioWarning`.

        Raises `BadAudio` for other shapes, types and rates.
        """
        try:
            given: NDArray[Any] = np.asarray(array)
        except ValueError as error:
            raise BadAudio(
                f"samples are an array of numbers, got {type(array).__name__} that is none: {error}"
            ) from error
        if given.dtype.kind not in "iuf":
            raise BadAudio(f"samples are integers or floats, got {given.dtype}")
        if given.ndim == 2:
            channels = given.T if given.shape[1] <= given.shape[0] or given.shape[0] == 0 else given
        else:
            channels = given[None]
        if given.ndim not in (1, 2) or not 1 <= len(channels) <= 8:
            raise BadAudio(
                f"samples are (n,), (n, channels) or (channels, n) with 1 to 8 channels, got shape {given.shape}"
            )
        samples = decode.mean_of(channels)
        finite = np.isfinite(samples)
        if not finite.all():
            _warn(f"{len(samples) - int(np.count_nonzero(finite))} samples that are NaN or infinite became 0")
            samples = np.where(finite, samples, np.float32(0))
        return cls(_levelled(samples), sample_rate)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def duration(self) -> Fraction:
        """Seconds, exactly."""
        return Fraction(len(self.samples), self.sample_rate)

    def frames_at(self, fps: Fraction) -> int:
        """How many frames cover this sound: ceil(duration · fps)."""
        return math.ceil(self.duration * fps)

    def resampled(self, rate: int) -> "Audio":
        """The same sound at another rate in 1000..768000: ceil(n · rate / sample_rate) samples, nothing shifted."""
        resampler = Resampler(self.sample_rate, rate)
        return Audio(np.concatenate([resampler.feed(self.samples), resampler.finish()]), rate)

    def cut(self, start_s: float | Fraction = 0, stop_s: float | Fraction | None = None) -> "Audio":
        """The sound from `start_s` to before `stop_s` seconds (None: the end), to the nearest sample.

        What lies past the end is left out. Raises `BadInput` unless 0 ≤ start ≤ stop.
        """
        stop = self.duration if stop_s is None else stop_s
        in_order = start_s >= 0 and (stop_s is None or start_s <= stop)
        if not (math.isfinite(start_s) and math.isfinite(stop) and in_order):
            raise BadInput(f"a cut has 0 <= start <= stop in seconds, got {start_s} to {stop_s}")
        first, last = round(start_s * self.sample_rate), round(stop * self.sample_rate)
        return Audio(self.samples[first:last], self.sample_rate)


def load(
    source: Source, *, channel: int | None = None, max_duration: float | None = None, max_rate: int | None = None
) -> Audio:
    """Read the sound of a file, as mono at its own rate.

    `source` is a path, bytes, an open binary file (read from where it stands) or "-" for standard input: wav, flac,
    mp3, ogg, opus, m4a, webm, aiff and the like, or the sound of an mp4, mov or mkv (its first one that can be
    decoded). Channels are averaged; `channel` takes one, counted from 0.

    What can be decoded of a damaged file is kept with an `AudioWarning` that says how many seconds; holes become
    silence as far as the file's time stamps tell, so that the rest stays in time. A well-formed file without a sample
    gives an `Audio` of 0 samples.

    At most `max_duration` seconds are accepted; the default is 4 hours, or as many samples as 4 hours have at 48 kHz.
    `max_rate` is the most samples a second that are: of a small file they may take gigabytes.

    Raises `MissingFile` where there is no file, `BadAudio` where there is no sound, too much of it or no permission,
    and `BadInput` for arguments that make no sense.
    """
    if channel is not None and (isinstance(channel, bool) or not hasattr(channel, "__index__") or channel < 0):
        raise BadInput(f"a channel is a number counted from 0, got {channel!r}")
    if max_duration is not None and not max_duration > 0:
        raise BadInput(f"max_duration is a positive number of seconds, got {max_duration!r}")
    decoded = decode.decode(source, channel, max_duration, max_rate)
    for remark in decoded.remarks:
        _warn(remark)
    return Audio(_levelled(decoded.samples), decoded.sample_rate)


def _levelled(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Floats that hold unscaled integers, brought to -1..1 with a warning."""
    peak = float(max(samples.max(), -samples.min())) if len(samples) else 0.0
    if peak <= LOUDEST:
        return samples
    scale = next((float(full) for full in FULL_SCALES if peak <= full), peak)
    _warn(f"the samples reach {peak:.6g} where -1..1 is the range; they were divided by {scale:.6g}")
    return samples / np.float32(scale)


def _warn(message: str) -> None:
    warnings.warn(message, AudioWarning, stacklevel=3)
