"""Opening a `.pt` that someone else made: nothing in it is executed, and it takes no more memory than it has bytes."""

import importlib
import os
import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from artalk.errors import BadFile, MissingFile

LARGEST_PICKLE = 16 << 20
"""Bytes of the file's table of contents: the released checkpoint's has 0.1 MB."""

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def open_checkpoint(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a state dict by name, in the file's own memory (read when they are used).

    Raises `MissingFile`, and `BadFile` for anything but a plain state dict of dense numbers.
    """
    content = _load(path)
    kind = _kind(content)
    table: dict[Any, Any] = cast("dict[Any, Any]", content) if isinstance(content, dict) else {}
    if not table:
        raise BadFile(f"{str(path)!r} holds a state dict, names and tensors; got {kind}")
    tensors: dict[str, Tensor] = {}
    for name, tensor in table.items():
        if not isinstance(name, str) or type(tensor) not in (Tensor, torch.nn.Parameter):
            raise BadFile(f"{str(path)!r}: a state dict has names and tensors, got {name!r}: {_kind(tensor)}")
        tensors[name] = _plain(name, cast(Tensor, tensor).detach(), path)
    _no_larger_than_the_file(tensors, path)
    return tensors


def open_tensor(path: str | os.PathLike[str]) -> Tensor:
    """The one tensor in a `.pt`, such as a style clip of the release (often a view of a longer recording)."""
    content = _load(path)
    if type(content) is not Tensor:
        raise BadFile(f"{str(path)!r} holds one tensor, got {_kind(content)}")
    tensor = _plain("the tensor", content, path)
    _no_larger_than_the_file({"the tensor": tensor}, path)
    return tensor


def _load(path: str | os.PathLike[str]) -> Any:
    if not Path(path).is_file():
        raise MissingFile(f"a .pt file is wanted, none is at {str(path)!r}")
    _check_archive(path)
    load = cast(Any, torch.load)  # its stub leaves the result unknown
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        if wanted is None:
            raise BadFile(f"{str(path)!r} is a damaged .pt file: its table of contents cannot be read") from error
        raise BadFile(f"{str(path)!r} wants to run {wanted[1][:80]}; a checkpoint only holds tensors") from error
    # Damaged contents end in whatever the step of the unpickler raises that they are fed to.
    except (
        RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OSError, MemoryError,
        OverflowError, RecursionError, AssertionError, NotImplementedError, ImportError,
    ) as error:  # fmt: skip
        raise BadFile(f"{str(path)!r} is a damaged .pt file: {_first(error)}") from error


def _check_archive(path: str | os.PathLike[str]) -> None:
    """Refuse what is no archive of torch, before torch sees it."""
    if not zipfile.is_zipfile(path):
        raise BadFile(
            f"{str(path)!r} is no .pt file, is cut off, or is of torch before 1.6: "
            "in that case load and save it with a torch of today"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            items = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadFile(f"{str(path)!r} is a damaged .pt file: {_first(error)}") from error
    packed = [item.filename for item in items if item.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise BadFile(f"{str(path)!r} is packed ({packed[0]}); torch stores as it is, and what unpacks may be a bomb")
    names = [item.filename for item in items]
    if len(set(names)) != len(names):
        raise BadFile(f"{str(path)!r} has two entries of one name")
    tables = [item for item in items if item.filename.split("/")[-1] == "data.pkl"]
    if len(tables) != 1:
        raise BadFile(f"{str(path)!r} is a .zip, but none that torch.save wrote: it has {len(tables)} data.pkl")
    if tables[0].file_size > LARGEST_PICKLE:
        raise BadFile(
            f"{str(path)!r} has a table of contents of {tables[0].file_size} bytes, more than {LARGEST_PICKLE}"
        )
    if sum(item.file_size for item in items) > os.path.getsize(path):
        raise BadFile(f"{str(path)!r} claims more bytes than it has")


def _plain(name: str, tensor: Tensor, path: str | os.PathLike[str]) -> Tensor:
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        raise BadFile(f"{str(path)!r}: {name} is a dense array of numbers, got {tensor.layout} on {tensor.device}")
    if tensor.dtype not in (*FLOATS, torch.int64):
        raise BadFile(f"{str(path)!r}: {name} holds floats or whole numbers, got {tensor.dtype}")
    return tensor


def _no_larger_than_the_file(tensors: dict[str, Tensor], path: str | os.PathLike[str]) -> None:
    """A view may repeat a few numbers for ever: what is claimed is held against what is there."""
    claimed, there = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()), os.path.getsize(path)
    if claimed > there:
        raise BadFile(f"{str(path)!r} claims {claimed} bytes of numbers, the file has {there}")


def _kind(thing: object) -> str:
    return type(thing).__name__


def _first(error: BaseException) -> str:
    """The first sentence of an error of torch, which may go on for a page."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]


def safetensors(part: str = "") -> Any:
    """The package, which brings no types."""
    return importlib.import_module(f"safetensors{part}")
