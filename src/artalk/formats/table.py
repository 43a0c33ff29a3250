"""Wide tables of text: one row a frame, columns by name, as comma-separated values.

Reads what Audio2Face's sample client writes (`timeCode`, `blendShapes.<Name>`), and any other table whose header names
ARKit shapes and, perhaps, the seconds.
"""

import csv
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT, HEAD
from artalk.errors import BadFile, MissingFile
from artalk.motion import Fps, Motion, exact_fps
from artalk.retarget.names import canonical, match

MAX_BYTES = 1 << 28
"""Largest text file that is read: an hour at 60 frames a second of 63 columns is 180 MB."""

TIMES = ("timecode", "time", "seconds", "timestamp")
"""Headers, ignoring case, of a column of seconds."""


@dataclass(frozen=True)
class Table:
    """A header and lines of as many cells each; `name` is the file's.

    Lines are cut into cells when they are asked for: millions of small strings would take ten times the file's size.
    """

    name: str
    header: list[str]
    lines: list[str]

    def __len__(self) -> int:
        return len(self.lines)

    def cells(self, row: int) -> list[str]:
        """The cells of a row."""
        return _cells(self.lines[row])

    def column(self, *names: str) -> int | None:
        """The first column that has one of these lower-case names."""
        lower = [cell.lower() for cell in self.header]
        return next((lower.index(name) for name in names if name in lower), None)

    def numbers(self, columns: list[int], rows: list[int] | None = None) -> NDArray[np.float64]:
        """The (rows, columns) numbers of these columns, all rows unless said, or `BadFile` with the place."""
        chosen = range(len(self)) if rows is None else rows
        values = np.zeros((len(chosen), len(columns)))
        for k, row in enumerate(chosen):
            cells = self.cells(row)
            try:
                values[k] = [float(cells[column]) for column in columns]
            except ValueError as error:
                raise BadFile(f"{self.name}, row {row + 2}: wanted numbers, {error}") from error
        # Beyond this float32 overflows, and no channel of a face comes near it.
        bad = np.flatnonzero(~(np.abs(values) < 1e30))
        if len(bad):
            row, column = chosen[int(bad[0]) // len(columns)], columns[int(bad[0]) % len(columns)]
            cell = self.cells(row)[column][:20]
            raise BadFile(f"{self.name}, row {row + 2}: {self.header[column]!r} is a finite number, got {cell!r}")
        return values


def text(path: str | Path) -> str:
    """The text of a file, or `MissingFile` or `BadFile`."""
    path = Path(path)
    if not path.exists():
        raise MissingFile(f"no file at {str(path)!r}")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadFile(f"{path.name} has {path.stat().st_size} bytes, more than the {MAX_BYTES} that are read")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile(f"{path.name} is no text in UTF-8") from error
    except OSError as error:
        raise BadFile(f"{path.name} cannot be read: {error.strerror or error}") from error


def parse(path: str | Path) -> Table:
    """The table in a file; empty lines do not count."""
    name = Path(path).name
    lines = [line for line in text(path).splitlines() if line.strip()]
    if not lines:
        raise BadFile(f"{name} is empty: wanted a header line with the names of the columns")
    try:
        header = [cell.strip() for cell in _cells(lines[0])]
        for number, line in enumerate(lines[1:], 2):
            count = len(_cells(line)) if '"' in line else line.count(",") + 1
            if count != len(header):
                raise BadFile(f"{name}, row {number}: wanted {len(header)} cells as in the header, got {count}")
    except csv.Error as error:
        raise BadFile(f"{name} is no comma-separated table: {error}") from error
    return Table(name, header, lines[1:])


def _cells(line: str) -> list[str]:
    return next(csv.reader([line])) if '"' in line else line.split(",")


def shape_columns(table: Table) -> dict[str, int]:
    """ARKit shapes and the columns that hold them; `BadFile` when there is none."""
    names = [name for name in table.header if canonical(name) is not None]
    found = {shape: table.header.index(names[0]) for shape, names in match(names).items()}
    if not found:
        raise BadFile(f"{table.name}: no column is named after an ARKit shape, got {', '.join(table.header)[:200]}")
    return found


def read(path: str | Path, fps: Fps | None = None) -> Motion:
    """ARKit motion from a table with a column of seconds, or from its rows at `fps` (30 unless said).

    Columns are found by name, under any prefix (`blendShapes.JawOpen`); `headX`, `headY`, `headZ` are the head's
    rotation vector; other columns are ignored, shapes without a column are 0. Rows need not be evenly spaced.
    """
    return motion(parse(path), fps)


def motion(table: Table, fps: Fps | None = None) -> Motion:
    """The motion in a table; see `read`."""
    columns = shape_columns(table)
    columns |= {name: at for name in HEAD if (at := table.column(name.lower())) is not None}
    values = np.zeros((len(table), len(ARKIT)), np.float32)
    values[:, ARKIT.indices(columns)] = table.numbers(list(columns.values()))
    time = table.column(*TIMES)
    if time is None:
        return Motion(values, ARKIT, exact_fps(30 if fps is None else fps))
    return spaced(values, table.numbers([time])[:, 0], fps, table.name)


def spaced(values: NDArray[np.float32], seconds: NDArray[np.float64], fps: Fps | None, name: str) -> Motion:
    """ARKit motion at an even rate from rows at rising `seconds`.

    The rate is the rows' own unless given. Every row goes to the nearest frame, and frames that no row is near are
    interpolated. Raises `BadFile` when times do not rise or leave gaps that would make the motion 100 times longer.
    """
    if len(seconds) < 2:
        return Motion(values, ARKIT, exact_fps(30 if fps is None else fps))
    steps = np.diff(seconds)
    if (steps < 0).any() or not steps.any():
        raise BadFile(f"{name}, row {int(np.argmax(steps <= 0)) + 3}: times of rows rise, this one's does not")
    rate = exact_fps(fps) if fps is not None else rate_of(seconds, name)
    frames = _frames(seconds, float(rate))
    if frames[-1] > 100 * len(frames) + 1000:
        raise BadFile(
            f"{name}: {len(frames)} rows are spread over {seconds[-1] - seconds[0]:.0f} s, too few for motion"
        )
    return Motion(_filled(values, frames), ARKIT, rate)


def rate_of(seconds: NDArray[np.float64], name: str) -> Fraction:
    """The frame rate of rows at rising `seconds`, where some may be missing: a common one when it is within 0.05 %."""
    steps = np.diff(seconds)
    typical = float(np.median(steps[steps > 0]))
    counts = np.rint(steps / typical)
    measured = float(counts.sum() / steps[counts > 0].sum())
    if not 0.98 <= measured <= 1010:
        raise BadFile(f"{name}: rows are {1 / measured:.4g} s apart, a frame rate lies between 1 and 1000")
    common = [Fraction(n) for n in range(1, 1001)] + [Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120)]
    nearest = min(common, key=lambda rate: abs(float(rate) - measured))
    if abs(float(nearest) / measured - 1) < 5e-4:
        return nearest
    return exact_fps(max(Fraction(1), min(Fraction(1000), Fraction(measured).limit_denominator(100))))


def _frames(seconds: NDArray[np.float64], rate: float) -> NDArray[np.int64]:
    """The frame numbers of rows at rising `seconds`."""
    at = (seconds - seconds[0]) * rate
    steps = np.diff(at)
    counted = np.concatenate([[0.0], np.cumsum(np.rint(steps))])
    # A clock that drifts less than a frame over the whole take is no reason to merge or to invent one.
    even = bool((steps > 0.5).all() and np.abs(counted - at).max() <= 1)
    return (counted if even else np.rint(at)).astype(np.int64)


def _filled(values: NDArray[np.float32], frames: NDArray[np.int64]) -> NDArray[np.float32]:
    """Rows at their frame numbers; of two at one frame the first, between two far apart the straight line."""
    frames, first = np.unique(frames, return_index=True)
    values = values[first]
    count = int(frames[-1]) + 1
    if count == len(values):
        return values
    at = np.arange(count)
    left = np.clip(np.searchsorted(frames, at, side="right") - 1, 0, len(frames) - 1)
    right = np.minimum(left + 1, len(frames) - 1)
    gap = np.maximum(frames[right] - frames[left], 1)
    share = ((at - frames[left]) / gap)[:, None]
    return (values[left] * (1 - share) + values[right] * share).astype(np.float32)
