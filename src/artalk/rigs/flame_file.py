"""FLAME's files as named arrays: `.pkl` (numpy, scipy, chumpy), `.npz`, `.pt` (torch's zip); nothing in one is run.

None of the three needs the library that wrote it: a `.pt` is read without torch, a `.pkl` without scipy and chumpy.
"""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from artalk import archive
from artalk.archive import Arrays
from artalk.errors import BadFile, MissingFile
from artalk.rigs.unpickle import MAX_BYTES, Call, array, records

SUFFIXES = (".pkl", ".npz", ".pt", ".pth")

MAX_ARRAYS = 256
"""Entries of a dictionary that are looked at."""


def arrays(path: str | Path) -> Arrays:
    """The arrays of a FLAME file by name; those within dictionaries come as `outer.inner`.

    Raises `MissingFile` or `BadFile`: for another kind of file, one that is damaged, and one that asks for code to be
    run.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFile(f"no file at {str(path)!r}")
    if path.suffix.lower() not in SUFFIXES:
        raise BadFile(f"a FLAME file is called {', '.join(SUFFIXES)}, got {path.name!r}")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadFile(f"{path.name} has {path.stat().st_size} bytes, more than the {MAX_BYTES} that are read")
        if not zipfile.is_zipfile(path):
            return _flat(records(path.read_bytes(), path.name), path.name, {})
        with zipfile.ZipFile(path) as zipped:
            program = next((name for name in zipped.namelist() if re.fullmatch(r"[^/]*/?data\.pkl", name)), None)
            if program is None:
                return archive.arrays(zipped, path.name)
            return _torch(archive.parts(zipped, path.name), program, path.name)
    except (OSError, zipfile.BadZipFile) as error:
        raise BadFile(f"{path.name} cannot be read, or is damaged: {error or type(error).__name__}") from error


def _flat(found: Any, name: str, storages: Mapping[str, bytes], prefix: str = "") -> Arrays:
    """The arrays of a dictionary of arrays, and of dictionaries in it, one level deep."""
    found = _items(found)
    if not isinstance(found, dict):
        raise BadFile(f"{name} holds {type(found).__name__}, a FLAME file holds a dictionary of arrays")
    made: Arrays = {}
    room = MAX_BYTES
    for key, value in list(cast("dict[str | int, Any]", found).items())[:MAX_ARRAYS]:
        if isinstance(_items(value), dict) and not prefix:
            inner = _flat(value, name, storages, f"{key}.")
            made |= inner
            room -= sum(numbers.nbytes for numbers in inner.values())
        elif (numbers := array(value, f"{name}: {str(key)[:40]!r}", storages)) is not None:
            made[f"{prefix}{key}"] = numbers
            room -= numbers.nbytes
        if room < 0:  # views of the same few numbers can claim any amount
            raise BadFile(f"{name} holds more than the {MAX_BYTES} bytes of arrays that are read")
    return made


def _items(found: Any) -> Any:
    """The dictionary that an ordered one is, as `module.state_dict()` gives it; anything else as it is."""
    return found.state if isinstance(found, Call) and found.function == "collections.OrderedDict" else found


def _torch(parts: dict[str, bytes], program: str, name: str) -> Arrays:
    """The arrays of torch's zip: a pickle called `program`, and the numbers beside it."""
    folder = program.removesuffix("data.pkl")
    if parts.get(f"{folder}byteorder", b"little") != b"little":
        raise BadFile(f"{name} was written on a machine with another byte order: save it anew on this one")
    prefix = f"{folder}data/"
    storages = {key.removeprefix(prefix): data for key, data in parts.items() if key.startswith(prefix)}
    return _flat(records(parts[program], name), name, storages)
