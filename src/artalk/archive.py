"""Arrays of numbers and text in a stranger's zip: what numpy.savez writes, without objects, within limits."""

import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk.errors import BadFile, MissingFile

Arrays = dict[str, NDArray[Any]]

MAX_BYTES = 1 << 30
"""Most bytes that all parts of a zip may claim."""

MAX_PARTS = 1024


def read(path: str | Path) -> Arrays:
    """The arrays of an `.npz` by name; `MissingFile`, or `BadFile` for anything else. Nothing in it is run."""
    path = Path(path)
    if not path.is_file():
        raise MissingFile(f"no file at {str(path)!r}")
    try:
        with zipfile.ZipFile(path) as archive:
            return arrays(archive, path.name)
    except zipfile.BadZipFile as error:
        raise BadFile(f"{path.name} is no .npz file, or is damaged: {error}") from error
    except OSError as error:
        raise BadFile(f"{path.name} cannot be read: {error.strerror or error}") from error


def arrays(archive: zipfile.ZipFile, name: str) -> Arrays:
    """The arrays in an open zip; `name` is for messages."""
    return {key.removesuffix(".npy"): _array(data, f"{name}: {key}") for key, data in parts(archive, name).items()}


def parts(archive: zipfile.ZipFile, name: str) -> dict[str, bytes]:
    """All files of a zip by name, or `BadFile` when they are too many, too large or damaged."""
    items = archive.infolist()
    total = sum(item.file_size for item in items)
    if len(items) > MAX_PARTS or total > MAX_BYTES:
        raise BadFile(f"{name} claims {len(items)} parts of {total} bytes, more than is read")
    try:
        return {item.filename: archive.read(item) for item in items}
    # An encrypted part is a RuntimeError, an unknown compression a NotImplementedError.
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise BadFile(f"{name} is damaged: {error or type(error).__name__}") from error


def _array(data: bytes, name: str) -> NDArray[Any]:
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
        if dtype.hasobject or dtype.kind not in "fiubU":
            raise BadFile(f"{name} holds Python objects and not numbers: save the arrays themselves with numpy.savez")
        rest = data[file.tell() :]
        # The header is held against the bytes that are there: numpy would make room for whatever shape it claims.
        if math.prod(shape) * dtype.itemsize != len(rest):
            raise ValueError(f"shape {shape} does not fit {len(rest)} bytes")
        return np.frombuffer(rest, dtype).reshape(shape, order="F" if fortran else "C")
    except BadFile:
        raise
    # What numpy's header parser raises for damaged bytes.
    except (ValueError, TypeError, SyntaxError, EOFError, OverflowError, MemoryError, RecursionError) as error:
        raise BadFile(f"{name} is no array, or is damaged: {type(error).__name__}") from error
