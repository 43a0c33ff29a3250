"""Sequences of registered meshes, as VOCASET's: the same vertices in every frame.

`.npy` of (frames, V, 3) or (frames, 3 V), or `.npz` with `vertices`, in metres, and the person's neutral mesh: a
`templates.pkl` of {person: (V, 3)} beside or above the file, `templates/PERSON.npy`, `.npz` key `template`, else the
first frame. Cudeiro et al., "Capture, Learning, and Synthesis of 3D Speaking Styles" (CVPR 2019).
"""

import zipfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from artalk.captures.flame import arrays_of
from artalk.errors import BadFile
from artalk.motion import Fps, exact_fps
from artalk.rigs import unpickle

TOOL = "registered vertices"

FPS = Fraction(60)
"""VOCASET's rate."""

LEAST = 300
"""Vertices of the coarsest mesh that is taken for one."""

MAX_BYTES = 1 << 31


@dataclass(frozen=True, eq=False)
class Surface:
    """A face as vertices: `vertices` (frames, V, 3) and `template` (V, 3), the person at rest, in metres."""

    vertices: NDArray[np.float32]
    template: NDArray[np.float32]
    fps: Fraction
    tool: str = TOOL


def read(path: str | Path, fps: Fps | None = None) -> Surface:
    """The sequence at `path`, at 60 frames a second unless the file or `fps` says otherwise."""
    path = Path(path)
    arrays = arrays_of(path)
    found = arrays.get("", arrays.get("vertices"))
    if found is None or not _is_sequence(found.shape) or found.dtype.kind != "f":
        raise BadFile(f"{path.name}: vertices are (frames, V, 3) or (frames, 3 V) floats, got {_said(found)}")
    vertices = np.asarray(found, np.float32).reshape(len(found), -1, 3)
    if not (np.abs(vertices) < 1e3).all():
        raise BadFile(f"{path.name}: a vertex is NaN, infinite or a kilometre away: the unit is the metre")
    template = arrays.get("template")
    known = _template(path, vertices.shape[1]) if template is None else np.asarray(template, np.float32)
    if known is None:
        known = vertices[0]
    if known.shape != vertices.shape[1:]:
        raise BadFile(f"{path.name}: its template has shape {known.shape}, its frames {vertices.shape[1:]}")
    rate = FPS if "fps" not in arrays else float(arrays["fps"].reshape(-1)[0])
    return Surface(vertices, known.astype(np.float32), exact_fps(rate if fps is None else fps))


def is_sequence(path: Path) -> bool:
    """Whether a file holds vertices, by its shape alone."""
    try:
        if path.suffix.lower() == ".npy":
            return _is_sequence(np.load(path, mmap_mode="r", allow_pickle=False).shape)
        if path.suffix.lower() == ".npz":
            with zipfile.ZipFile(path) as archive:
                return "vertices.npy" in archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        pass
    return False


def _is_sequence(shape: tuple[int, ...]) -> bool:
    if len(shape) == 3:
        return shape[2] == 3 and shape[1] >= LEAST
    return len(shape) == 2 and shape[1] % 3 == 0 and shape[1] >= 3 * LEAST


def _said(found: NDArray[Any] | None) -> str:
    return "no array of them" if found is None else f"{found.dtype} of shape {found.shape}"


def _template(path: Path, vertices: int) -> NDArray[np.float32] | None:
    """The neutral mesh of the person whose name the file's begins with."""
    for folder in (path.parent, path.parent.parent):
        for place in sorted((folder / "templates").glob("*.npy")):
            if path.stem.startswith(place.stem):
                return np.asarray(arrays_of(place)[""], np.float32).reshape(-1, 3)
        pickled = folder / "templates.pkl"
        if pickled.is_file() and pickled.stat().st_size < MAX_BYTES:
            return _pickled(pickled, path.stem, vertices)
    return None


def _pickled(path: Path, name: str, vertices: int) -> NDArray[np.float32]:
    people: Any = unpickle.records(path.read_bytes(), path.name)
    if not isinstance(people, dict):
        raise BadFile(f"{path.name} is a dictionary of people and their neutral meshes, got {type(people).__name__}")
    people = cast("dict[str, Any]", people)
    for person, record in people.items():
        if name.startswith(person):
            mesh = unpickle.array(record, path.name)
            if mesh is None or mesh.shape != (vertices, 3):
                raise BadFile(f"{path.name}: the neutral mesh of {person!r} is no ({vertices}, 3) array")
            return mesh.astype(np.float32)
    raise BadFile(f"{path.name} knows {', '.join(people)[:200]}; {name!r} begins with none of them")
