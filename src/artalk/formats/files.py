"""Which format a file name means: one row a suffix."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from artalk.errors import BadInput, MissingFile, Unsupported
from artalk.motion import Motion


@dataclass(frozen=True)
class Format:
    """What a suffix holds, and the `module:function` that write and read it ("" where that cannot be done).

    One that is `rigged` holds a rig together with its motion: its writer takes `rig`.
    """

    what: str
    writer: str = ""
    reader: str = ""
    rigged: bool = False


FORMATS: dict[str, Format] = {
    ".npz": Format("motion, exactly", "npz:write", "npz:read"),
    ".csv": Format("a Live Link Face take; reads other tables too", "livelink:write", "files:read_csv"),
    ".json": Format("Audio2Face weights; reads Rhubarb's cues too", "a2f_json:write", "files:read_json"),
    ".cues.json": Format("mouth cues, as Rhubarb's JSON", "cues:write_json", "cues:read_json"),
    ".tsv": Format("mouth cues, as Rhubarb's TSV", "cues:write_tsv", "cues:read_tsv"),
    ".xml": Format("mouth cues, as Rhubarb's XML", "cues:write_xml", "cues:read_xml"),
    ".vrma": Format("a clip for VRM avatars", "vrma:write", "vrma:read"),
    ".glb": Format("the rig with its motion, glTF", "gltf:write", "gltf:read", rigged=True),
    ".vrm": Format("your own VRM avatar with its motion", "gltf:write", "gltf:read", rigged=True),
    ".gltf": Format("an animated face, glTF as text", reader="gltf:read"),
    ".usda": Format("the rig with its motion, USD as text", "usd:write", rigged=True),
    ".usdc": Format("the rig with its motion, USD", "usd:write", rigged=True),
}
"""The formats by suffix; pictures and videos are made by `artalk.api.render`."""

PICTURES = (".mp4", ".webm", ".gif", ".png")


def save(motion: Motion, path: str | Path, **options: Any) -> None:
    """Write motion in the format that the suffix means, with the options of its writer.

    Raises `BadInput` for an unknown suffix or option, `Unsupported` for channels that the format does not hold. The
    file appears whole or not at all.
    """
    _run("write", Path(path), (motion, Path(path)), options)


def load(path: str | Path, **options: Any) -> Motion:
    """Read motion from a file in the format that its suffix means; `fps=` overrides the rate of those without one."""
    path = Path(path)
    entry = _find(path)
    if entry.reader and not path.is_file():
        raise MissingFile(f"no motion file at {str(path)!r}")
    made: Motion = _run("read", path, (path,), options)
    return made


def is_rigged(path: str | Path) -> bool:
    """Whether a file of this name holds a rig together with its motion."""
    return _find(Path(path)).rigged


def options(path: str | Path) -> tuple[str, ...]:
    """The names of what can be said to the writer of a file of this name, besides the motion and the path."""
    writer = _find(Path(path)).writer
    return _options(_function(writer), 2) if writer else ()


def readable() -> tuple[str, ...]:
    """The suffixes that `load` reads."""
    return tuple(suffix for suffix, entry in FORMATS.items() if entry.reader)


def writable() -> tuple[str, ...]:
    """The suffixes that `save` writes."""
    return tuple(suffix for suffix, entry in FORMATS.items() if entry.writer)


def read_csv(path: Path, fps: Any = None, degrees: bool | None = None) -> Motion:
    """Read a take of Live Link Face, or any other table with ARKit's names in its header."""
    from artalk.formats import livelink, table

    source = table.parse(path)
    if livelink.is_take(source):
        return livelink.motion(source, fps, degrees)
    return table.motion(source, fps)


SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".wma")
"""Suffixes that are surely meant as sound."""


def read_json(path: Path, fps: Any = None) -> Motion:
    """Read Audio2Face weights or Rhubarb's mouth cues: the content tells."""
    from artalk.formats import a2f_json, cues

    return cues.read_json(path, fps) if cues.is_json(path) else a2f_json.read(path, fps)


def _find(path: Path) -> Format:
    name = path.name.lower()
    # The longest suffix wins, so that .cues.json is not .json.
    for suffix in sorted(FORMATS, key=len, reverse=True):
        if name.endswith(suffix) and len(name) > len(suffix):
            return FORMATS[suffix]
    got = repr(path.suffix) if path.suffix else "none"
    if path.suffix.lower() in PICTURES:
        raise BadInput(f"{got} shows a rig: artalk.render(motion).save({path.name!r}) makes it, it holds no motion")
    listed = "; ".join(f"{suffix} ({entry.what})" for suffix, entry in FORMATS.items())
    if path.suffix.lower() in SOUNDS:
        raise BadInput(
            f"{path.name!r} is sound, and motion is wanted: artalk animate makes it of sound. The suffix of a motion "
            f"file is one of {', '.join(FORMATS)}"
        )
    raise BadInput(f"the suffix of a motion file says its format, got {got} in {path.name!r}. There are {listed}")


def _run(verb: str, path: Path, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    entry = _find(path)
    where = entry.writer if verb == "write" else entry.reader
    if not where:
        can = writable() if verb == "write" else readable()
        raise Unsupported(f"artalk does not {verb} {path.suffix} ({entry.what}); it does {', '.join(can)}")
    function = _function(where)
    accepted = _options(function, len(arguments))
    for option in options:
        if option not in accepted:
            raise BadInput(f"{path.suffix} has no option {option!r}; it has {', '.join(accepted) or 'none'}")
        usual = inspect.signature(function).parameters[option].default
        if isinstance(usual, bool) and not isinstance(options[option], bool):
            raise BadInput(f"{option} is true or false, got {options[option]!r}")
    return function(*arguments, **options)


def _function(where: str) -> Callable[..., Any]:
    module, name = where.split(":")
    return getattr(import_module(f"artalk.formats.{module}"), name)


def _options(function: Callable[..., Any], arguments: int) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)[arguments:]
