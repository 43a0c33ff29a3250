"""Takes of Epic's Live Link Face app (`.csv`), with what the app did not see marked."""

from pathlib import Path

from artalk.captures.capture import Capture, arkit, timed
from artalk.errors import BadFile
from artalk.formats import livelink, table
from artalk.motion import Fps

TOOL = "Live Link Face"

CALIBRATION = ("_neutral", "frame_log", "_raw")
"""Ends of names of tables that the app writes beside a take and that are none."""


def read(path: str | Path, fps: Fps | None = None, degrees: bool | None = None) -> Capture:
    """The take at `path`; see `formats.livelink` for layouts, units and rates.

    Its first frame is the first *row*, with a face or without, because that is when the app's sound begins. Frames
    further than 0.2 s from a row with a face are not seen. Raises `BadFile` where no row has one.
    """
    source = table.parse(path)
    found = livelink.rows_with_face(source)
    if not found:
        raise BadFile(f"{source.name}: no row has a face (BlendshapeCount is 0 throughout)")
    motion = livelink.motion(source, fps, degrees)
    every = livelink.seconds_of(source, range(len(source)))
    if every is None:
        return arkit(motion, TOOL)
    # Timecodes of all rows count from the first row, those of the motion from the first face.
    return timed(motion, every[found], TOOL)


def is_beside(path: Path) -> bool:
    """Whether a table is one that the app writes beside its takes: calibration, raw copies, logs."""
    return path.stem.lower().endswith(CALIBRATION)
