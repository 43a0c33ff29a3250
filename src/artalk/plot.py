"""A picture of motion as curves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from artalk.channels import ARKIT
from artalk.errors import BadInput, needs
from artalk.formats.atomic import atomic
from artalk.motion import Motion

ROWS: dict[str, tuple[str, ...]] = {
    "jaw and lips": ("jawOpen", "mouthClose", "mouthFunnel", "mouthPucker"),
    "mouth": ("mouthStretchLeft", "mouthSmileLeft", "mouthUpperUpLeft", "mouthLowerDownLeft", "mouthPressLeft"),
    "brows": ("browInnerUp", "browOuterUpLeft", "browDownLeft"),
    "lids": ("eyeBlinkLeft", "eyeBlinkRight", "eyeSquintLeft"),
    "gaze": ("eyeLookUpLeft", "eyeLookDownLeft", "eyeLookOutLeft", "eyeLookInLeft"),
    "head (degrees)": ("headX", "headY", "headZ"),
}


Gap = tuple[float, float, str]
"""Start and stop in seconds, and why nothing is known there."""

SUFFIXES = (".png", ".svg", ".pdf")


def plot(motion: Motion, path: Path, gaps: Sequence[Gap] = ()) -> None:
    """Draw the main channels over seconds into a picture (.png, .svg, .pdf). Needs the extra `plot`.

    `gaps` are shaded: where nothing was seen (red) and where what was seen was no use (orange).
    Raises `BadInput` for another suffix and for a motion of no frames.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise BadInput(f"curves are drawn into {', '.join(SUFFIXES)}, got {path.name!r}")
    needs("matplotlib", "plot", "drawing curves")
    from matplotlib.figure import Figure

    if not len(motion):
        raise BadInput("there is nothing to draw: the motion has no frames")
    rows = ROWS if motion.channels == ARKIT else {g.name: _liveliest(motion, g.name) for g in motion.channels.groups}
    figure = Figure(figsize=(12, 1.7 * len(rows)), layout="constrained")
    axes = np.atleast_1d(figure.subplots(len(rows), 1, sharex=True))
    for axis, (title, names) in zip(axes, rows.items(), strict=True):
        for name in names:
            curve = motion.channel(name)
            axis.plot(motion.times, np.degrees(curve) if "degrees" in title else curve, label=name, linewidth=1.2)
        for start, stop, why in gaps:
            axis.axvspan(start, stop, color="tab:red" if why == "lost" else "tab:orange", alpha=0.2, linewidth=0)
        axis.set_ylabel(title)
        axis.grid(alpha=0.25)
        axis.legend(loc="upper right", fontsize="small", ncols=len(names), frameon=False)
    axes[-1].set_xlabel("seconds (shaded: no face)" if gaps else "seconds")
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=110)  # pyright: ignore[reportUnknownMemberType]


def _liveliest(motion: Motion, group: str, most: int = 6) -> tuple[str, ...]:
    columns = range(*motion.channels.slice(group).indices(len(motion.channels)))
    spread = {motion.channels.names[k]: float(np.ptp(motion.values[:, k])) for k in columns}
    return tuple(sorted(spread, key=lambda name: -spread[name])[:most])
