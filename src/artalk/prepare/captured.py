"""A capture becomes motion in ARKit's channels: read, solved where it holds FLAME or vertices, and put in words."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from artalk import captures, mapping
from artalk.captures import Capture, Surface
from artalk.channels import ARKIT, ARKIT_SHAPES
from artalk.data import surfaces
from artalk.data.layouts import sound_named
from artalk.errors import BadInput
from artalk.motion import Fps, Motion


@dataclass(frozen=True, eq=False)
class Taken:
    """A `capture` in ARKit's channels, its file, and the `sound` (or the film with it) that lies beside it, if any."""

    path: Path
    capture: Capture
    sound: Path | None

    @property
    def motion(self) -> Motion:
        """The motion, at the capture's own rate."""
        return self.capture.motion

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return facts(self.capture) | {"sound": None if self.sound is None else str(self.sound)}

    def words(self) -> str:
        """A few lines for a person."""
        return f"{words(self.capture)}\nsound     {'none beside it' if self.sound is None else self.sound.name}"


def is_meant(path: Path) -> bool:
    """Whether a file is to be read as a capture and not as a video: by its name, a folder by the frames in it."""
    return captures.is_capture(path) if path.is_dir() else path.suffix.lower() in captures.SUFFIXES


def take(path: Path, fps: Fps | None = None) -> Taken:
    """The capture at `path` as motion; `fps` is the rate of those that do not say theirs.

    Raises what `read` raises, and `MissingAsset` for FLAME and vertices where the user's FLAME file is wanted.
    """
    return Taken(path, solve(read(path, fps)), sound_named(path))


def read(path: Path, fps: Fps | None = None) -> Capture | Surface:
    """What `captures.read` reads; a rate that is said of motion, which has one, is refused."""
    if fps is not None and captures.says_rate(path):
        expect_no_rate(fps, path, "motion")
    return captures.read(path, fps)


def expect_no_rate(fps: Fps | None, path: Path, what: str) -> None:
    """Refuse a rate for a file that says its own."""
    if fps is not None:
        raise BadInput(f"--source-fps is for captures that do not say their rate; {path} is {what}, which does")


def solve(capture: Capture | Surface) -> Capture:
    """FLAME's coefficients by the user's FLAME map, vertices of FLAME's mesh by the shapes carried onto it."""
    if isinstance(capture, Surface):
        near, deltas = mapping.shapes_on_flame()
        if near.max() >= len(capture.template):
            raise BadInput(f"vertices are solved on FLAME's mesh, these are {len(capture.template)} of another")
        part = replace(capture, vertices=capture.vertices[:, near], template=capture.template[near])
        return surfaces.solve(part, ARKIT_SHAPES, deltas)
    if capture.motion.channels == ARKIT:
        return capture
    return Capture(mapping.retarget(capture.motion, ARKIT).clipped(), capture.observed, capture.tool, capture.seen)


def facts(capture: Capture) -> dict[str, Any]:
    """Who wrote it, the share of frames in which the face was in sight, and the names of the channels that it shows."""
    return {
        "tool": capture.tool,
        "seen": round(float(capture.seen.mean()), 4) if len(capture.seen) else 0.0,
        "observed": [name for name, known in zip(ARKIT.names, capture.observed, strict=True) if known],
    }


def words(capture: Capture) -> str:
    """The same in two lines for a person, channels by their groups."""
    groups = {group.name: capture.observed[ARKIT.slice(group.name)].any() for group in ARKIT.groups}
    shown, hidden = ([name for name, known in groups.items() if known == wanted] for wanted in (True, False))
    lacking = f"; nothing of {', '.join(hidden)}" if hidden else ""
    return (
        f"capture   {capture.tool}: the face is in sight in {facts(capture)['seen']:.1%} of the frames\n"
        f"shows     {', '.join(shown) or 'nothing that moves'}{lacking}"
    )


def surface_facts(surface: Surface) -> dict[str, Any]:
    """Frames, rate and vertices of a sequence that is not solved yet."""
    frames, vertices, _ = surface.vertices.shape
    seconds = frames / float(surface.fps)
    return {
        "tool": surface.tool,
        "frames": frames,
        "fps": str(surface.fps),
        "seconds": seconds,
        "vertices": vertices,
        "largest_mm": round(1000 * float(np.abs(surface.vertices - surface.template).max()), 2),
    }


def surface_words(surface: Surface) -> str:
    """The same in a line for a person."""
    known = surface_facts(surface)
    return (
        "{tool}: {frames} frames at {fps} fps, {seconds:.2f} s, {vertices} vertices, at most {largest_mm:.1f} mm from "
        "rest; artalk prepare solves them".format(**known)
    )
