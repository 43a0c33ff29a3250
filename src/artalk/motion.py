"""`Motion`: rows of named channels with an exact frame rate. Everything in artalk makes, maps or reads it."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from artalk import rotation
from artalk.channels import Channels
from artalk.errors import BadInput

Fps = int | float | str | Fraction


_RATE = re.compile(r"[+-]?\d{1,9}(\.\d{0,20}|/\d{1,9})?", re.ASCII)


def exact_fps(fps: Fps) -> Fraction:
    """Read a frame rate as a fraction; 29.97, 23.976 and 59.94 mean their NTSC rates n·1000/1001.

    Raises `BadInput` unless 1 ≤ fps ≤ 1000.
    """
    if isinstance(fps, Fraction):
        return _as_meant(int(fps.numerator), int(fps.denominator))
    text = str(fps).strip()
    # Digits are counted before they are worth anything: "1e999999999" would fill the memory.
    if isinstance(fps, str | float) and not _RATE.fullmatch(text):
        raise BadInput(f"a frame rate is a number such as 25, 29.97 or 30000/1001, got {text[:40]!r}")
    try:
        rate = Fraction(text if isinstance(fps, str | float) else fps)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise BadInput(f"a frame rate is a number such as 25, 29.97 or 30000/1001, got {fps!r}") from error
    return _as_meant(int(rate.numerator), int(rate.denominator))


@lru_cache(maxsize=64)
def _as_meant(numerator: int, denominator: int) -> Fraction:
    """Each piece of a live session has its rate looked at: it is mostly one of a few."""
    rate = Fraction(numerator, denominator)
    for whole in (24, 30, 48, 60, 120):
        ntsc = Fraction(whole * 1000, 1001)
        if rate != whole and abs(rate - ntsc) < Fraction(1, 200):
            rate = ntsc
    if not 1 <= rate <= 1000:
        raise BadInput(f"a frame rate lies between 1 and 1000, got {rate}")
    return rate


@dataclass(frozen=True, eq=False)
class Motion:
    """What a face does over time.

    `values` is (frames, channels) float32; `fps` an exact fraction; frame k of the motion is the pose at
    (start + k) / fps seconds. Raises `BadInput` where shape and channels disagree or a value is not finite.
    """

    values: NDArray[np.float32]
    channels: Channels
    fps: Fraction
    start: int = 0

    def __post_init__(self) -> None:
        values = np.ascontiguousarray(self.values, np.float32)
        if values.ndim != 2 or values.shape[1] != len(self.channels):
            raise BadInput(
                f"{self.channels.name} motion is (frames, {len(self.channels)}), got shape {tuple(values.shape)}"
            )
        if not np.isfinite(values).all():
            raise BadInput(f"motion is finite, got {int((~np.isfinite(values)).sum())} values that are NaN or infinite")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "fps", exact_fps(self.fps))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def duration(self) -> Fraction:
        """Seconds, exactly."""
        return len(self) / self.fps

    @property
    def times(self) -> NDArray[np.float64]:
        """The (frames,) seconds of the frames."""
        return (self.start + np.arange(len(self))) / float(self.fps)

    def group(self, name: str) -> NDArray[np.float32]:
        """The (frames, size) columns of a group."""
        return self.values[:, self.channels.slice(name)]

    def channel(self, name: str) -> NDArray[np.float32]:
        """The (frames,) values of one channel."""
        return self.values[:, self.channels.index(name)]

    def with_groups(self, **groups: ArrayLike) -> Self:
        """A copy with whole groups replaced: `motion.with_groups(head=0)`."""
        values = self.values.copy()
        for name, value in groups.items():
            values[:, self.channels.slice(name)] = value
        return replace(self, values=values)

    def with_channels(self, **channels: ArrayLike) -> Self:
        """A copy with single channels replaced: `motion.with_channels(jawOpen=0)`."""
        values = self.values.copy()
        for name, value in channels.items():
            values[:, self.channels.index(name)] = value
        return replace(self, values=values)

    def clipped(self) -> Self:
        """A copy with weights limited to 0..1; other kinds are unbounded and stay."""
        values = self.values.copy()
        weights = self.channels.of_kind("weight")
        values[:, weights] = values[:, weights].clip(0.0, 1.0)
        return replace(self, values=values)

    def cut(self, first: int, last: int) -> Self:
        """Frames `first` to before `last`, counted within this piece; the piece keeps its place in time."""
        if not 0 <= first <= last <= len(self):
            raise BadInput(f"a cut lies within 0 and {len(self)} frames, got {first} to {last}")
        return replace(self, values=self.values[first:last], start=self.start + first)

    @classmethod
    def join(cls, pieces: Sequence["Motion"]) -> "Motion":
        """Pieces that follow one another without a gap, as one."""
        if not pieces:
            raise BadInput("joining needs at least one piece of motion, got none")
        head = pieces[0]
        expected = head.start
        for piece in pieces:
            if piece.channels != head.channels or piece.fps != head.fps:
                raise BadInput(
                    f"pieces share channels and fps, got {head.channels.name} at {head.fps} "
                    f"and {piece.channels.name} at {piece.fps}"
                )
            if piece.start != expected:
                raise BadInput(f"pieces follow one another: wanted one from frame {expected}, got {piece.start}")
            expected += len(piece)
        return replace(head, values=np.concatenate([piece.values for piece in pieces]))

    def resample(self, fps: Fps, frames: int | None = None, method: Literal["linear", "cubic"] = "cubic") -> Self:
        """The same motion at another frame rate.

        New frame k is the pose at exactly k / fps seconds after this piece's first frame. Weights are interpolated
        monotonically (`cubic`: no overshoot, so closures stay closed) or linearly, rotation vectors by slerp; after the
        last frame the pose is held. `frames` defaults to ceil(duration · fps); `animate` passes the sound's own count.
        A piece that does not start at frame 0 must start on a frame of the new rate too.
        """
        fps = exact_fps(fps)
        start = self.start / self.fps * fps
        if start.denominator != 1:
            raise BadInput(f"frame {self.start} at {self.fps} fps, where this piece starts, is no frame at {fps} fps")
        count = math.ceil(self.duration * fps) if frames is None else frames
        if count < 0:
            raise BadInput(f"a number of frames is not negative, got {count}")
        values = np.zeros((count, len(self.channels)), np.float32)
        if len(self) and count:
            left, share = _positions(count, self.fps / fps, len(self))
            right = np.minimum(left + 1, len(self) - 1)
            values = _blend(self.values, left, right, share, cubic=method == "cubic").astype(np.float32)
            _slerp_rotations(self, values, left, right, share)
        return replace(self, values=values, fps=fps, start=int(start))


def _positions(count: int, step: Fraction, length: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Left neighbours and shares of `count` samples `step` old frames apart, without rounding drift."""
    ticks = np.arange(count, dtype=np.int64) * step.numerator
    left = ticks // step.denominator
    share = (ticks % step.denominator) / step.denominator
    held = left >= length - 1
    return np.where(held, length - 1, left), np.where(held, 0.0, share)


def _blend(
    values: NDArray[np.float32],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    share: NDArray[np.float64],
    cubic: bool,
) -> NDArray[np.float64]:
    a, b = values[left].astype(np.float64), values[right].astype(np.float64)
    t = share[:, None]
    if not cubic:
        return a + (b - a) * t
    slopes = _monotone_slopes(values.astype(np.float64))
    return (
        a * (1 + 2 * t) * (1 - t) ** 2
        + slopes[left] * t * (1 - t) ** 2
        + b * t**2 * (3 - 2 * t)
        + slopes[right] * t**2 * (t - 1)
    )


def _monotone_slopes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slopes of Fritsch and Carlson (1980) in the harmonic form: zero at extrema, so that nothing overshoots."""
    slopes = np.zeros_like(values)
    if len(values) > 2:
        steps = np.diff(values, axis=0)
        before, after = steps[:-1], steps[1:]
        product = before * after
        total = before + after
        slopes[1:-1] = np.where(product > 0, 2 * product / np.where(product > 0, total, 1.0), 0.0)
    return slopes


def _slerp_rotations(
    motion: Motion,
    values: NDArray[np.float32],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    share: NDArray[np.float64],
) -> None:
    for group in motion.channels.groups:
        if group.kind == "rotvec":
            quat = rotation.rotvec_to_quat(motion.group(group.name))
            between = rotation.slerp(quat[left], quat[right], share)
            values[:, motion.channels.slice(group.name)] = rotation.quat_to_rotvec(between)
