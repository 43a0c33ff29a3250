"""Which reader a capture means: by its suffix, then by what is in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from artalk.captures import beat, flame, livelink, mediapipe, vertices
from artalk.captures.capture import Capture, arkit
from artalk.captures.vertices import Surface
from artalk.channels import ARKIT, FLAME
from artalk.errors import ArtalkError, BadFile, MissingFile
from artalk.formats import files, table
from artalk.motion import Fps
from artalk.retarget.maps import retarget
from artalk.rigs.glb import parse_json

SUFFIXES = (".csv", ".json", *flame.SUFFIXES, ".vrma", ".glb", ".gltf")
"""What captures are called; folders with a file a frame count too."""


def read(path: str | Path, fps: Fps | None = None) -> Capture | Surface:
    """The capture at `path`; `fps` is the rate of those that do not say theirs.

    Raises `MissingFile` where nothing is there and `BadFile` for what no reader knows.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFile(f"no capture at {str(path)!r}")
    suffix = path.suffix.lower()
    if path.is_dir():
        return flame.read(path, fps)
    if suffix == ".csv":
        return _table(path, fps)
    if suffix == ".json" and beat.is_beat(parse_json(table.text(path).encode(), path.name, "a JSON object")):
        return beat.read(path, fps)
    if vertices.is_sequence(path):
        return vertices.read(path, fps)
    if flame.is_flame(path):
        return flame.read(path, fps)
    if suffix == ".npy":
        raise BadFile(
            f"{path.name} holds neither FLAME's coefficients (frames, {' | '.join(map(str, flame.WIDTHS))}) nor "
            f"vertices (frames, V, 3)"
        )
    return _motion(path, fps)


def is_capture(path: str | Path) -> bool:
    """Whether a file or folder looks like a capture: by its name, and for arrays by their shapes."""
    path = Path(path)
    suffix = path.suffix.lower()
    if path.name.startswith(".") or livelink.is_beside(path):
        return False
    if path.is_dir() or suffix in (".npz", ".npy"):
        return flame.is_flame(path) or vertices.is_sequence(path) or _is_motion(path)
    if suffix == ".csv":
        return _is_face(path)
    return suffix in SUFFIXES and path.is_file()


def says_rate(path: str | Path) -> bool:
    """Whether a file is motion that keeps its own rate: ours, or an animation."""
    path = Path(path)
    return path.suffix.lower() in (".vrma", ".glb", ".gltf") or _is_motion(path)


Kind = Literal["weights", "coefficients", "vertices"]


def kind(path: str | Path) -> Kind:
    """What a capture holds, by its name and its shapes alone: ARKit's weights, FLAME's coefficients or vertices."""
    path = Path(path)
    if vertices.is_sequence(path):
        return "vertices"
    return "coefficients" if flame.is_flame(path) else "weights"


def find(folder: Path) -> Iterator[Path]:
    """The captures in a folder and those below it, by path; a folder of frames is one capture."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if is_capture(path):
            yield path
        elif path.is_dir():
            yield from find(path)


def _table(path: Path, fps: Fps | None) -> Capture:
    source = table.parse(path)
    if livelink.livelink.is_take(source):
        return livelink.read(path, fps)
    if mediapipe.is_scores(source):
        return mediapipe.read(path, fps)
    return arkit(table.motion(source, fps), "a table of ARKit weights")


def _motion(path: Path, fps: Fps | None) -> Capture:
    motion = files.load(path) if fps is None or path.suffix.lower() == ".npz" else files.load(path, fps=fps)
    if motion.channels == FLAME:
        return flame.capture_of(motion)
    tool = f"a motion file ({path.suffix.lower()})"
    return arkit(motion if motion.channels == ARKIT else retarget(motion, ARKIT), tool)


def _is_motion(path: Path) -> bool:
    try:
        return path.is_file() and path.suffix.lower() == ".npz" and len(files.load(path)) > 0
    except ArtalkError:
        return False


def _is_face(path: Path) -> bool:
    """Whether a table's header names shapes: folders hold lists and logs too."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline(1 << 16)
        source = table.Table(path.name, [cell.strip() for cell in header.split(",")], [])
        return mediapipe.is_scores(source) or bool(table.shape_columns(source))
    except (OSError, ValueError):
        return False
