"""A video side by side with what became of it: a person sees at a glance whether it worked."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk.data.landmarks import STABLE, laid, similarity
from artalk.data.tracks import Tracker
from artalk.errors import needs
from artalk.formats.video import write
from artalk.motion import Motion
from artalk.prepare import film
from artalk.prepare.take import Seen
from artalk.prepare.video import Prepared, Progress
from artalk.render import open_renderer
from artalk.rigs.head import head
from artalk.rigs.rig import Rig

Pixels = NDArray[np.uint8]
Float = NDArray[np.float64]

HEIGHT = 480
"""Pixels of the sides of either half."""

LONGEST = 120.0
"""Seconds that are shown: enough to judge by, and little in memory."""

TRACKED, SOLVED, LOST = (255, 190, 60), (70, 220, 120), (230, 60, 60)
"""Colours of landmarks as tracked, as solved, and of the bar over frames without a face."""

AROUND = 1.8
"""Side of what is shown, by the size of the face."""

STABLE_ROWS = list(STABLE)


@dataclass(frozen=True)
class View:
    """The square of a picture that is shown: its upper left corner and its side, in the picture's pixels."""

    left: float
    top: float
    side: float

    def cut(self, pixels: Pixels) -> Pixels:
        """What it shows, (480, 480, 3); black beyond the picture."""
        Image: Any = needs("PIL.Image", "", "drawing a preview")
        box = self.left, self.top, self.left + self.side, self.top + self.side
        square = Image.fromarray(pixels).transform(
            (HEIGHT, HEIGHT), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR
        )
        return np.array(square)

    def place(self, points: Float) -> Float:
        """(N, 2) pixels of the view for landmarks (N, 3), whose y points upwards."""
        return (points[:, :2] * [1, -1] - [self.left, self.top]) * (HEIGHT / self.side)


def save(done: Prepared, path: Path, rig: Rig | None = None, progress: Progress | None = None) -> None:
    """Write the video (.mp4, .webm, .gif) of at most the first two minutes: pictures with landmarks, rig, sound.

    Yellow dots are landmarks as tracked, green ones as the solved motion puts them; a red bar marks a gap.
    """
    motion = done.motion
    frames = min(len(motion), round(LONGEST * float(motion.fps)))
    sound = None if done.sound is None else done.sound.cut(0, frames / float(motion.fps))
    if path.suffix.lower() == ".gif":
        sound = None
    write(path, _frames(done, frames, rig or head(), progress), motion.fps, sound)


def _frames(done: Prepared, frames: int, rig: Rig, progress: Progress | None) -> Iterator[Pixels]:
    view = view_of(done, frames)
    with open_renderer(rig.mesh, HEIGHT, HEIGHT, focus=rig.focus) as renderer:
        for k, picture in zip(range(frames), _nearest(done, frames), strict=False):
            left = view.cut(picture)
            if done.performance.ok[k]:
                _mark(left, view, done, k)
            else:
                left[: HEIGHT // 60] = LOST
            yield np.concatenate([left, renderer.frame(rig.pose(done.motion.values[k]))], axis=1)
            if progress:
                progress(k + 1, frames)


def view_of(done: Prepared, frames: int) -> View:
    """A square about the face wherever it goes, with as much around it as a portrait has."""
    seen = np.flatnonzero(done.performance.ok[:frames])
    seen = seen[:: max(1, len(seen) // 100)] if len(seen) else np.flatnonzero(done.performance.ok)[:1]
    marks = np.stack([done.take.on(done.clock, int(k), int(k) + 1).points[0, :, :2] for k in seen]) * [1, -1]
    low, high = np.percentile(marks.min(axis=1), 5, axis=0), np.percentile(marks.max(axis=1), 95, axis=0)
    side = AROUND * float((high - low).max())
    left, top = (low + high) / 2 - side / 2
    return View(float(left), float(top), side)


def _nearest(done: Prepared, frames: int) -> Iterator[Pixels]:
    """For every frame of the clock the picture nearest to it."""
    wanted = np.where(done.clock.share < 0.5, done.clock.left, done.clock.right)[:frames]
    pictures = enumerate(film.pictures(done.path))
    number, picture = next(pictures)
    for want in wanted:
        while number < want:
            found = next(pictures, None)
            if found is None:
                return
            number, picture = found
        yield picture.pixels


def _mark(picture: Pixels, view: View, done: Prepared, k: int) -> None:
    seen, tracker = done.take.on(done.clock, k, k + 1), done.performance.tracker
    moving = ~np.isin(tracker.face.numbers, STABLE_ROWS)  # the others would show the fit of the pose alone
    _dots(picture, view.place(seen.points[0, tracker.face.numbers[moving]].astype(np.float64)), TRACKED)
    _dots(picture, view.place(solved_points(tracker, seen, done.motion.cut(k, k + 1))[moving]), SOLVED)


def solved_points(tracker: Tracker, seen: Seen, frame: Motion) -> Float:
    """(K, 3) landmarks of one frame as its motion puts them, where `seen` has the head, in the picture's pixels."""
    points, rest = seen.points.astype(np.float64), tracker.person.points
    scale, turn, shift = similarity(points[:, STABLE_ROWS], rest[STABLE_ROWS])
    back = turn.transpose(0, 2, 1)
    return laid(tracker.posed(frame), 1 / scale, back, -np.einsum("nij,nj->ni", back, shift) / scale[:, None])[0]


def _dots(picture: Pixels, places: Float, colour: tuple[int, int, int]) -> None:
    """Squares of two pixels at (N, 2) places."""
    height, width = picture.shape[:2]
    for x, y in np.round(places).astype(int):
        if 0 <= x < width - 1 and 0 <= y < height - 1:
            picture[y : y + 2, x : x + 2] = colour
