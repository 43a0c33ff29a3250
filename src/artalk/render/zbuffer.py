"""A z-buffer in numpy: which triangle is nearest at each sample of a screen.

Each triangle gives one span a row of samples, each span its samples; both are made for all triangles at once by
repeating indices, so that large and small triangles cost what they cover.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk.rigs.rig import FloatArray, IntArray

Float = NDArray[np.float64]
Steps = NDArray[np.floating[Any]]
Int = NDArray[np.int64]

EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)

DEEP = 4294967294.0
"""Depth 0..1 is kept in 32 bits, above the 32 bits of the triangle's number."""

TILE = 8
"""Samples a side of the squares in which triangles that lie behind others are found."""

MOST = 1 << 22
"""Samples that are filled in one go: bounds the memory, however many surfaces lie behind each other."""


class Triangles:
    """Triangles on a screen of `width` x `height` samples, y downwards, as `matrix` (4, 4) projects them.

    `x`, `y` and `z` (0 near to 1 far) are (3, F) corners; `side` (F,) is 1 where the front is seen and -1 where the
    back is; `away` (F,) is the distance; `shown` numbers those that may be seen. Of the first `single` triangles only
    the fronts may.
    """

    def __init__(
        self, positions: FloatArray, faces: IntArray, matrix: Float, width: int, height: int, single: int = 0
    ) -> None:
        clip = matrix[:, :3] @ positions.T.astype(np.float64) + matrix[:, 3:]
        behind = clip[3] <= 0
        w = np.where(behind, 1.0, clip[3])
        corners = faces.T
        self.x = ((clip[0] / w + 1) * (width / 2))[corners]
        self.y = ((1 - clip[1] / w) * (height / 2))[corners]
        self.z = (clip[2] / w * 0.5 + 0.5)[corners]
        inverse = (1 / w)[corners]
        ax, ay, az = (part[1] - part[0] for part in (self.x, self.y, self.z))
        bx, by, bz = (part[2] - part[0] for part in (self.x, self.y, self.z))
        area = ax * by - bx * ay
        self.side = np.where(area < 0, 1, -1).astype(np.int32)
        seen = ~behind[corners].any(axis=0) & (area != 0) & (self.z.min(axis=0) >= 0) & (self.z.max(axis=0) <= 1)
        seen &= (self.x.max(axis=0) >= 0) & (self.x.min(axis=0) <= width)
        seen &= (self.y.max(axis=0) >= 0) & (self.y.min(axis=0) <= height)
        seen &= (self.side > 0) | (np.arange(len(faces)) >= single)
        self.shown = np.flatnonzero(seen)
        scale = 1 / np.where(area == 0, 1, area)
        self.slope_x = (az * by - bz * ay) * scale
        self.slope_y = (bz * ax - az * bx) * scale
        self.away = 3 / inverse.sum(axis=0)
        plane = self.x[0], self.y[0], by * scale, -bx * scale, -ay * scale, ax * scale, *inverse
        self._plane = np.stack(plane, axis=1).astype(np.float32)

    def shares(self, number: Int, x: Steps, y: Steps) -> FloatArray:
        """The perspective-correct shares (3, n) of the corners of triangles `number` at `x`, `y`, kept inside them."""
        plane = self._plane[number].T
        right, down = x.astype(np.float32) - plane[0], y.astype(np.float32) - plane[1]
        shares = np.empty((3, len(number)), np.float32)
        shares[1] = plane[2] * right + plane[3] * down
        shares[2] = plane[4] * right + plane[5] * down
        shares[0] = 1 - shares[1] - shares[2]
        shares = np.clip(shares, 0, 1) * plane[6:]
        return shares / shares.sum(axis=0)


def fill(triangles: Triangles, buffer: NDArray[np.uint64], width: int, height: int) -> None:
    """Write depth (upper half) and number (lower half) of the nearest triangle at each sample's centre."""
    buffer.fill(EMPTY)
    shown = triangles.shown
    front = triangles.side[shown] > 0
    _draw(triangles, shown[front], buffer, width, height)
    back = shown[~front]
    if len(back):
        _draw(triangles, back[~_hidden(triangles, back, buffer, width, height)], buffer, width, height)


def _hidden(triangles: Triangles, which: Int, buffer: NDArray[np.uint64], width: int, height: int) -> NDArray[np.bool_]:
    """Which small triangles lie behind all that is drawn round them: most backs of a closed surface."""
    rows, columns = -(-height // TILE), -(-width // TILE)
    depth = np.zeros((rows * TILE, columns * TILE), np.uint32)
    depth[:height, :width] = (buffer >> np.uint64(32)).reshape(height, width)
    far = np.zeros((rows + 1, columns + 1), np.uint32)
    far[:rows, :columns] = depth.reshape(rows, TILE, columns, TILE).max(axis=(1, 3))
    far[:-1] = np.maximum(far[:-1], far[1:])
    far[:, :-1] = np.maximum(far[:, :-1], far[:, 1:])
    left, right = (np.clip(part / TILE, 0, columns - 1).astype(np.int64) for part in _ends(triangles.x[:, which]))
    top, bottom = (np.clip(part / TILE, 0, rows - 1).astype(np.int64) for part in _ends(triangles.y[:, which]))
    nearest = np.clip(triangles.z[:, which].min(axis=0), 0, 1) * DEEP
    return (right - left < 2) & (bottom - top < 2) & (nearest > far[top, left])


def _ends(corners: Float) -> tuple[Float, Float]:
    return corners.min(axis=0), corners.max(axis=0)


def _draw(triangles: Triangles, which: Int, buffer: NDArray[np.uint64], width: int, height: int) -> None:
    left, right = (np.clip(part, 0, width) for part in _ends(triangles.x[:, which]))
    top, bottom = (np.clip(part, 0, height) for part in _ends(triangles.y[:, which]))
    # The running sum of the triangles' boxes cuts the list into pieces of bounded size.
    work = np.cumsum((right - left + 1) * (bottom - top + 1))
    pieces = (work / MOST).astype(np.int64)
    for part in np.split(which, np.flatnonzero(np.diff(pieces)) + 1):
        _draw_part(triangles, part, buffer, width, height)


def _draw_part(triangles: Triangles, which: Int, buffer: NDArray[np.uint64], width: int, height: int) -> None:
    number, row, first, count = _spans(triangles, which, width, height)
    if not len(number):
        return
    depth = triangles.z[0, number] + triangles.slope_y[number] * (row + 0.5 - triangles.y[0, number])
    depth += triangles.slope_x[number] * (first + 0.5 - triangles.x[0, number])
    step = triangles.slope_x[number]
    along = _counted(count)
    deep = np.repeat(depth, count) + np.repeat(step, count) * along
    keys = (np.clip(deep, 0, 1) * DEEP).astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.repeat(number.astype(np.uint64), count)
    np.minimum.at(buffer, np.repeat(row * width + first, count) + along, keys)


def _spans(triangles: Triangles, which: Int, width: int, height: int) -> tuple[Int, Int, Int, Int]:
    """Each row of each triangle that covers sample centres: the triangle's number, row, first sample, samples."""
    x, y = _from_top(triangles.x[:, which], triangles.y[:, which])
    top = np.clip(np.ceil(y[0] - 0.5), 0, height).astype(np.int64)
    rows = np.maximum(np.clip(np.ceil(y[2] - 0.5), 0, height).astype(np.int64) - top, 0)
    local = np.repeat(np.arange(len(which)), rows)
    row = np.repeat(top, rows) + _counted(rows)
    at = row + 0.5
    # An edge that two triangles share is cut by the same sum in both, so that no sample is lost or drawn twice.
    long, upper, lower = (_cut(x, y, a, b) for a, b in ((0, 2), (0, 1), (1, 2)))
    one = long[0][local] + (at - long[1][local]) * long[2][local]
    above = at < y[1][local]
    start, y0, lean = (np.where(above, a[local], b[local]) for a, b in zip(upper, lower, strict=True))
    other = start + (at - y0) * lean
    first = np.clip(np.ceil(np.minimum(one, other) - 0.5), 0, width).astype(np.int64)
    count = np.clip(np.ceil(np.maximum(one, other) - 0.5), 0, width).astype(np.int64) - first
    kept = np.flatnonzero(count > 0)
    return which[local[kept]], row[kept], first[kept], count[kept]


def _from_top(x: Float, y: Float) -> tuple[Float, Float]:
    """The corners (3, F) of each triangle, the highest first."""
    order = np.argsort(y, axis=0, kind="stable")
    return np.take_along_axis(x, order, axis=0), np.take_along_axis(y, order, axis=0)


def _cut(x: Float, y: Float, a: int, b: int) -> tuple[Float, Float, Float]:
    """An edge's upper end (x, y) and how far x goes a row."""
    fall = y[b] - y[a]
    return x[a], y[a], (x[b] - x[a]) / np.where(fall == 0, 1, fall)


def _counted(counts: Int) -> Int:
    """0, 1, .. counts[0] - 1, 0, 1, .. counts[1] - 1, and so on."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
