"""Motion as it is, in numpy's `.npz`: exact, small, and readable with `np.load(path, allow_pickle=False)` alone.

| array | holds |
|---|---|
| `format`, `version` | "artalk-motion", 1 |
| `values` | (frames, channels) float32 |
| `channels`, `names` | the name of the channel set; one name a column |
| `groups`, `sizes`, `kinds` | one entry a group: name, number of columns, kind |
| `fps` | two whole numbers, numerator and denominator |
| `start` | the frame at which the piece begins |
| `note_NAME` | text that goes with it, if any: `note_quality` is the report of `artalk prepare` |
"""

import math
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT, FLAME, Channels, Group, Kind
from artalk.errors import ArtalkError, BadFile, MissingFile
from artalk.formats.atomic import atomic
from artalk.motion import Motion

FORMAT, VERSION = "artalk-motion", 1

NOTE = "note_"

MAX_BYTES = 1 << 30
"""Most bytes of one array in a file: a day at 60 frames a second of ARKit motion has 1.1 GB."""


def write(motion: Motion, path: str | Path) -> None:
    """Write motion of any channels."""
    write_noted(motion, path, {})


def write_noted(motion: Motion, path: str | Path, notes: Mapping[str, str]) -> None:
    """Write motion with texts by name, which `notes` reads and everything else ignores."""
    channels = motion.channels
    arrays: dict[str, Any] = {
        "format": np.array(FORMAT),
        "version": np.array(VERSION),
        "values": motion.values,
        "channels": np.array(channels.name),
        "names": np.array(channels.names, np.str_),
        "groups": np.array([group.name for group in channels.groups], np.str_),
        "sizes": np.array([group.size for group in channels.groups], np.int64),
        "kinds": np.array([group.kind for group in channels.groups], np.str_),
        "fps": np.array([motion.fps.numerator, motion.fps.denominator], np.int64),
        "start": np.array(motion.start, np.int64),
        **{f"{NOTE}{name}": np.array(text, np.str_) for name, text in notes.items()},
    }
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)


def read(path: str | Path) -> Motion:
    """Read what `write` wrote; anything else is a `BadFile`. Nothing in the file is executed."""
    return _motion_and_notes(path)[0]


def notes(path: str | Path) -> dict[str, str]:
    """The texts that were written with a motion."""
    return _motion_and_notes(path)[1]


def _motion_and_notes(path: str | Path) -> tuple[Motion, dict[str, str]]:
    path = Path(path)
    if not path.is_file():
        raise MissingFile(f"no file at {str(path)!r}")
    try:
        arrays = _arrays(path)
        if "format" not in arrays or str(arrays["format"]) != FORMAT:
            raise BadFile(f"{path.name} is no motion file of artalk: it holds {', '.join(arrays)[:200]}")
        if int(arrays["version"]) != VERSION:
            raise BadFile(f"{path.name} has version {int(arrays['version'])}, this artalk reads {VERSION}: upgrade it")
        said = {name.removeprefix(NOTE): str(text) for name, text in arrays.items() if name.startswith(NOTE)}
        return _motion(arrays), said
    except ArtalkError as error:
        raise error if isinstance(error, BadFile) else BadFile(f"{path.name}: {error}") from error
    except KeyError as error:
        raise BadFile(f"{path.name} lacks the array {error}") from error
    # What zipfile, zlib and numpy's header parser raise for damaged bytes.
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        ValueError,
        TypeError,
        EOFError,
        IndexError,
        OverflowError,
        NotImplementedError,
        RuntimeError,
        SyntaxError,
        MemoryError,
    ) as error:
        raise BadFile(f"{path.name} is no .npz file, or is damaged: {error or type(error).__name__}") from error


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(path) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for item in archive.infolist()[:64]:
            if item.file_size > MAX_BYTES:
                raise BadFile(f"{path.name}: {item.filename} claims {item.file_size} bytes, more than {MAX_BYTES}")
            with archive.open(item) as file:
                arrays[item.filename.removesuffix(".npy")] = _array(cast(Any, file), item.file_size)
    return arrays


def _array(file: Any, size: int) -> NDArray[Any]:
    # The header is held against the size first: numpy makes room for whatever shape it claims.
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("only version 1.0 of numpy's array format is used here")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.hasobject or dtype.kind not in "fiuU":
        raise ValueError(f"an array holds numbers or text, got {dtype}")
    wanted = math.prod(shape) * dtype.itemsize
    if wanted > size or any(length < 0 for length in shape):
        raise ValueError(f"an array claims {wanted} bytes, there are {size}")
    data = file.read(wanted)
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _motion(arrays: dict[str, NDArray[Any]]) -> Motion:
    names = tuple(str(name) for name in arrays["names"])
    groups = [str(group) for group in arrays["groups"]]
    sizes = [int(size) for size in arrays["sizes"]]
    kinds = [str(kind) for kind in arrays["kinds"]]
    if not len(groups) == len(sizes) == len(kinds) or any(kind not in get_args(Kind) for kind in kinds):
        raise BadFile(
            f"groups have names, sizes and kinds ({', '.join(get_args(Kind))}), got {groups}, {sizes}, {kinds}"
        )
    if any(size < 0 for size in sizes):
        raise BadFile(f"a group's size is not negative, got {sizes}")
    channels = Channels(
        str(arrays["channels"]),
        tuple(Group(*facts) for facts in zip(groups, sizes, cast(list[Kind], kinds), strict=True)),
        names,
    )
    for known in (ARKIT, FLAME):
        if channels == known:
            channels = known
    numerator, denominator = (int(number) for number in arrays["fps"])
    if denominator == 0:
        raise BadFile("a frame rate is a fraction, got a denominator of 0")
    if arrays["values"].dtype.kind != "f":
        raise BadFile(f"values are floats, got {arrays['values'].dtype}")
    return Motion(arrays["values"].astype(np.float32), channels, Fraction(numerator, denominator), int(arrays["start"]))
