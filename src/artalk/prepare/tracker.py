"""MediaPipe's face landmarker (Google, Apache-2.0) frame by frame: one face followed, others painted over.

Its own smoothing, which is at work when one face is asked for, makes landmarks of small pictures four times calmer and
comes some 20 ms late (measured on GRID against the same frames without it).
"""

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from artalk.data.landmarks import COUNT, LEFT_EYE, RIGHT_EYE
from artalk.errors import BadFile, MissingFile, needs

Which = Literal["largest", "left", "right"]
"""Which of several faces: the largest, or the one furthest to the left or right of the picture."""

SCORES = 52
"""Weights that the tracker guesses itself, `_neutral` first, in MediaPipe's order."""

MOST_FACES = 4

LOOK_AROUND = 1.0
"""Seconds between looks for further faces."""

MARGIN = 0.9
"""How far around the face followed the picture is left as it is, in the face's own size."""

PAINT = 127


@dataclass(frozen=True, eq=False)
class Sighting:
    """A face in a picture: `points` (478, 3) float32 in pixels, x to the subject's left, y up, z towards the camera;
    `pose` (4, 4) of the head in centimetres before the camera; `scores` (52,); how many `others` were in the picture.
    """

    points: NDArray[np.float32]
    pose: NDArray[np.float32]
    scores: NDArray[np.float32]
    others: int = 0


class Tracker:
    """Follows one face through a video. Times go forwards; `restart` forgets where the face was, as after a cut."""

    def __init__(self, model: Path, which: Which = "largest") -> None:
        self._mp: Any = needs("mediapipe", "track", "tracking faces")
        if not model.is_file():
            raise MissingFile(f"the face landmarker's model is a .task file, none is at {str(model)!r}")
        self._model = model.read_bytes()
        self._which: Which = which
        self._scout = self._landmarker("IMAGE", MOST_FACES)
        self._follower = self._landmarker("VIDEO", 1)
        self._looked = -LOOK_AROUND
        self._others: list[Any] = []
        self._last: Sighting | None = None

    def close(self) -> None:
        """Give the models' memory back."""
        self._scout.close()
        self._follower.close()

    def restart(self) -> None:
        """Look for faces anew."""
        self._follower.close()
        self._follower = self._landmarker("VIDEO", 1)
        self._looked, self._others, self._last = -LOOK_AROUND, [], None

    def see(self, pixels: NDArray[np.uint8], time: float) -> Sighting | None:
        """The face followed in a picture (height, width, 3) of `time` seconds, or None where there is none."""
        if time - self._looked >= LOOK_AROUND or self._last is None:
            self._look_around(pixels, time)
        shown = pixels if not self._others or self._last is None else _painted(pixels, self._last, self._others)
        image = self._mp.Image(image_format=self._mp.ImageFormat.SRGB, data=shown)
        found = self._follower.detect_for_video(image, round(time * 1000))
        faces = _sightings(found, pixels.shape, len(self._others))
        self._last = faces[0] if faces else None
        return self._last

    def _look_around(self, pixels: NDArray[np.uint8], time: float) -> None:
        """Count the faces; where there are several, the one to follow is the one followed so far, or as asked for."""
        image = self._mp.Image(image_format=self._mp.ImageFormat.SRGB, data=pixels)
        faces = _sightings(self._scout.detect(image), pixels.shape, 0)
        if not faces:
            return
        self._looked = time
        last = None if self._last is None else self._last.points
        chosen = chosen_face([face.points for face in faces], last, self._which)
        self._others = [face for k, face in enumerate(faces) if k != chosen]
        if self._last is None:
            self._last = faces[chosen]

    def _landmarker(self, mode: str, faces: int) -> Any:
        vision: Any = needs("mediapipe.tasks.python.vision", "track", "tracking faces")
        core: Any = needs("mediapipe.tasks.python.core.base_options", "track", "tracking faces")
        options = vision.FaceLandmarkerOptions(
            base_options=core.BaseOptions(model_asset_buffer=self._model),
            running_mode=getattr(vision.RunningMode, mode),
            num_faces=faces,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        try:
            with _hushed():
                return vision.FaceLandmarker.create_from_options(options)
        except (RuntimeError, ValueError) as error:
            raise BadFile(f"the face landmarker's model cannot be used: {error}") from error


def chosen_face(
    faces: Sequence[NDArray[np.float32]], last: NDArray[np.float32] | None, which: Which = "largest"
) -> int:
    """Which of some faces (478, 3) to follow: the one nearest to where the `last` was, else as asked for."""
    middles = np.array([face[:, :2].mean(axis=0) for face in faces])
    if last is not None:
        return int(np.linalg.norm(middles - last[:, :2].mean(axis=0), axis=1).argmin())
    if which == "largest":
        return int(np.argmax([eye_distance(face) for face in faces]))
    return int(middles[:, 0].argmin() if which == "left" else middles[:, 0].argmax())


def eye_distance(points: NDArray[np.floating[Any]]) -> float:
    """Between the outer corners of the eyes, in the units of `points` (478, 3)."""
    return float(np.linalg.norm(points[LEFT_EYE] - points[RIGHT_EYE]))


def _sightings(found: Any, shape: tuple[int, ...], others: int) -> list[Sighting]:
    height, width = shape[:2]
    scale = np.array([width, -height, -width], np.float32)
    faces: list[Sighting] = []
    for marks, pose, scores in zip(
        found.face_landmarks, found.facial_transformation_matrixes, found.face_blendshapes, strict=True
    ):
        points = np.array([(mark.x, mark.y, mark.z) for mark in marks], np.float32)
        if points.shape == (COUNT, 3) and len(scores) == SCORES:
            values = np.array([score.score for score in scores], np.float32)
            faces.append(Sighting(points * scale, np.asarray(pose, np.float32), values, others))
    return faces


def _painted(pixels: NDArray[np.uint8], followed: Sighting, others: Sequence[Sighting]) -> NDArray[np.uint8]:
    """The picture around one face; what is further away, or nearer to another face, is paint."""
    low, high = _box(followed)
    margin = MARGIN * (high - low)
    left, top, right, bottom = *(low - margin), *(high + margin)
    middle = (low + high) / 2
    for other in others:
        x, y = (sum(_box(other)) / 2) - middle
        if abs(x) >= abs(y):
            left, right = (max(left, middle[0] + x / 2), right) if x < 0 else (left, min(right, middle[0] + x / 2))
        else:
            top, bottom = (max(top, middle[1] + y / 2), bottom) if y < 0 else (top, min(bottom, middle[1] + y / 2))
    shown = np.full_like(pixels, PAINT)
    rows, columns = slice(max(int(top), 0), max(int(bottom), 0)), slice(max(int(left), 0), max(int(right), 0))
    shown[rows, columns] = pixels[rows, columns]
    return shown


def _box(face: Sighting) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The corners of a face in the picture's pixels, y downwards."""
    flat = face.points[:, :2] * np.array([1, -1], np.float32)
    return flat.min(axis=0), flat.max(axis=0)


@contextmanager
def _hushed() -> Generator[None]:
    """MediaPipe's native code talks to stderr while it starts, whatever is set; it is sent nowhere meanwhile."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
