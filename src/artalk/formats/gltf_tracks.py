"""The animations of a glTF document: the times of keys that are written, and tracks that can be sampled at any time."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.errors import BadFile, Unsupported
from artalk.motion import Motion
from artalk.rigs.glb import Glb, Json, mapping, number

Key = tuple[int, str]
"""A node, and what of it moves: "weights" or "rotation"."""


@dataclass(frozen=True, eq=False)
class Track:
    """Values (keys, width) at `times` (keys,), rising seconds; `step` holds each until the next."""

    times: NDArray[np.float64]
    values: NDArray[np.float64]
    turns: bool
    step: bool

    def at(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values (N, width) at `seconds` (N,), those of the first and the last key beyond them."""
        right = np.searchsorted(self.times, seconds, side="right").clip(1, max(len(self.times) - 1, 1))
        left = right - 1
        right = np.minimum(right, len(self.times) - 1)
        span = self.times[right] - self.times[left]
        share = np.clip((seconds - self.times[left]) / np.where(span > 0, span, 1), 0, 1)
        if self.step:
            share = np.floor(share)
        if self.turns:
            return rotation.slerp(self.values[left], self.values[right], share)
        return self.values[left] + (self.values[right] - self.values[left]) * share[:, None]


def key_times(motion: Motion) -> NDArray[np.float32]:
    """The seconds (frames,) of a motion's keys; `Unsupported` where there are so many that they no longer rise."""
    # Exact integers first: times of an hour must still rise in float32.
    ticks = np.arange(len(motion), dtype=np.int64) * motion.fps.denominator
    times = (ticks / motion.fps.numerator).astype(np.float32)
    if (np.diff(times) <= 0).any():
        raise Unsupported(f"{len(motion)} frames at {motion.fps} fps are too many for glTF's times: cut the motion")
    return times


def tracks(document: Glb, preferred: str) -> dict[Key, Track]:
    """The tracks of the animation called `preferred`, or else of the first that moves shapes; none, if none does."""
    animations = sorted(document.objects("animations"), key=lambda item: item.get("name") != preferred)
    for animation in animations:
        found = _tracks(document, animation)
        if any(path == "weights" for _, path in found):
            return found
    return {}


def _tracks(document: Glb, animation: Json) -> dict[Key, Track]:
    samplers = document.objects_of(animation, "samplers")
    found: dict[Key, Track] = {}
    for channel in document.objects_of(animation, "channels"):
        target = mapping(channel.get("target"), "an animation's target", document.name)
        path = target.get("path")
        if path in ("weights", "rotation") and "node" in target:
            node = number(target["node"], len(document.objects("nodes")), "an animated node", document.name)
            index = number(channel.get("sampler"), len(samplers), "a sampler", document.name)
            found[node, cast(str, path)] = _track(document, samplers[index], path == "rotation")
    return found


def _track(document: Glb, sampler: Json, turns: bool) -> Track:
    times = document.accessor(sampler.get("input")).astype(np.float64).reshape(-1)
    values: NDArray[Any] = document.accessor(sampler.get("output")).astype(np.float64)
    if not len(times) or (np.diff(times) <= 0).any() or times[0] < 0:
        raise BadFile(f"{document.name}: the keys of an animation stand at rising times")
    cubic = sampler.get("interpolation") == "CUBICSPLINE"
    rows = len(times) * (3 if cubic else 1)
    if values.size == 0 or values.size % rows:
        raise BadFile(f"{document.name}: {len(times)} keys cannot share {values.size} values")
    values = values.reshape(len(times), 3 if cubic else 1, -1)[:, 1 if cubic else 0]
    if turns:
        length = np.linalg.norm(values, axis=1, keepdims=True)
        if values.shape[1] != 4 or (length < 1e-3).any():
            raise BadFile(f"{document.name}: a rotation's keys are unit quaternions")
        values = values / length
    return Track(times, values, turns, sampler.get("interpolation") == "STEP")
