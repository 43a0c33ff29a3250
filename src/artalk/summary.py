"""What is in a motion, in numbers and in words."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk import rotation
from artalk.channels import ARKIT
from artalk.motion import Motion

BLINK = 0.5
"""eyeBlink weight above which a lid counts as closed."""

OPEN = 0.05
"""jawOpen minus mouthClose above which a mouth counts as open."""


@dataclass(frozen=True)
class Blinks:
    """`count` lid closures, their rate a minute, and the mean time that the lid spends below half, in seconds."""

    count: int
    per_minute: float
    mean_seconds: float


@dataclass(frozen=True)
class Summary:
    """The facts about a motion. `moving` holds (channel, mean, largest, sd) of the channels that move, the liveliest
    first.

    `mouth_open` is the share of frames with the lips apart, `head_range` the degrees between the extremes of pitch, yaw
    and roll; these and `blinks` are None for motion that is not ARKit's.
    """

    channels: str
    columns: int
    frames: int
    fps: str
    seconds: float
    moving: list[tuple[str, float, float, float]]
    mouth_open: float | None = None
    blinks: Blinks | None = None
    head_range: tuple[float, float, float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def words(self) -> str:
        """A few lines for a person."""
        lines = [
            f"{self.channels} motion: {self.frames} frames at {self.fps} fps, {self.seconds:.2f} s, "
            f"{len(self.moving)} of {self.columns} channels move"
        ]
        if self.mouth_open is not None:
            lines.append(f"mouth     open in {self.mouth_open:.0%} of the frames")
        if self.blinks is not None:
            b = self.blinks
            lines.append(f"blinks    {b.count}, {b.per_minute:.0f} a minute, {b.mean_seconds * 1000:.0f} ms each")
        if self.head_range is not None:
            pitch, yaw, roll = self.head_range
            lines.append(f"head      nods over {pitch:.1f}°, turns over {yaw:.1f}°, tilts over {roll:.1f}°")
        if self.moving:
            liveliest = ", ".join(f"{name} {largest:.2f} (sd {sd:.2f})" for name, _, largest, sd in self.moving[:5])
            lines.append(f"liveliest by their largest values: {liveliest}")
        return "\n".join(lines)


def summarise(motion: Motion) -> Summary:
    """The facts about `motion`; a motion of no frames is summed up too."""
    values = motion.values
    spread = np.ptp(values, axis=0) if len(motion) else np.zeros(len(motion.channels))
    order = [int(k) for k in np.argsort(-spread, kind="stable") if spread[k] > 1e-4]
    summary = Summary(
        channels=motion.channels.name,
        columns=len(motion.channels),
        frames=len(motion),
        fps=str(motion.fps),
        seconds=float(motion.duration),
        moving=[
            (motion.channels.names[k], float(x.mean()), float(x[np.abs(x).argmax()]), float(x.std()))
            for k in order
            for x in (values[:, k],)
        ],
    )
    if motion.channels != ARKIT or not len(motion):
        return summary
    gap = motion.channel("jawOpen") - motion.channel("mouthClose")
    angles = np.degrees(rotation.quat_to_euler(rotation.rotvec_to_quat(motion.group("head"))))
    pitch, yaw, roll = (float(extent) for extent in np.ptp(angles, axis=0))
    return replace(
        summary,
        mouth_open=float(np.mean(gap > OPEN)),
        blinks=_blinks(motion),
        head_range=(pitch, yaw, roll),
    )


def _blinks(motion: Motion) -> Blinks:
    closed = np.minimum(motion.channel("eyeBlinkLeft"), motion.channel("eyeBlinkRight")) > BLINK
    starts = _rises(closed)
    seconds = float(motion.duration)
    return Blinks(
        count=starts,
        per_minute=60 * starts / seconds,
        mean_seconds=float(closed.sum() / float(motion.fps) / starts) if starts else 0.0,
    )


def _rises(flags: NDArray[np.bool_]) -> int:
    return int(np.sum(flags & ~np.concatenate([[False], flags[:-1]])))
