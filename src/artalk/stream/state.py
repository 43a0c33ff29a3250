"""States as bytes and back, without pickle: trees of dataclasses, tuples, mappings, numbers, texts and arrays.

The bytes hold no names of types. Who reads them says which type they are, and every value is checked against that
type's annotations, so that bytes from outside can at worst be refused.
"""

import json
import math
import struct
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from artalk.errors import BadInput

T = TypeVar("T")

DTYPES = ("float32", "float64", "int64", "uint8")


class BadState(BadInput):
    """Bytes that are no state of the kind that was asked for."""


def pack(value: Any) -> bytes:
    """The bytes of a tree; dtypes of arrays are kept."""
    arrays: list[NDArray[Any]] = []
    skeleton = json.dumps(_plain(value, arrays)).encode()
    return struct.pack("<I", len(skeleton)) + skeleton + b"".join(array.tobytes() for array in arrays)


def unpack(kind: type[T], data: bytes) -> T:
    """The tree of type `kind` in `data`. Raises `BadState` where it is none."""
    return _read(data, kind.__name__, lambda reader, skeleton: reader.read(kind, skeleton))


def unpack_like(example: T, data: bytes) -> T:
    """The tree of the type of `example` in `data`; where that is a named tuple, its items are of the types of its own.

    Of a tuple without names there may be more or fewer items than in the example, all of the first one's type.

    Raises `BadState` where it is none.
    """
    return _read(data, type(example).__name__, lambda reader, skeleton: reader.read_like(example, skeleton))


def _read(data: bytes, name: str, read: Callable[["_Reader", Any], T]) -> T:
    try:
        (length,) = struct.unpack_from("<I", data)
        skeleton = json.loads(data[4 : 4 + length])
        reader = _Reader(data, 4 + length)
        value = read(reader, skeleton)
    except BadState:
        raise
    except (struct.error, ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError) as error:
        raise BadState(f"this is no saved {name}: {str(error)[:100]}") from error
    if reader.at != len(data):
        raise BadState(f"a saved {name} ends after {reader.at} bytes, got {len(data)}")
    return value


def _plain(value: Any, arrays: list[NDArray[Any]]) -> Any:
    if isinstance(value, np.ndarray):
        array = cast("NDArray[Any]", value)
        assert array.dtype.name in DTYPES, array.dtype
        arrays.append(np.ascontiguousarray(array))
        return {"dtype": array.dtype.name, "shape": list(array.shape)}
    if is_dataclass(value):
        return [_plain(getattr(value, item.name), arrays) for item in fields(value)]
    if isinstance(value, Mapping):
        return {key: _plain(item, arrays) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, tuple | list):
        return [_plain(item, arrays) for item in cast("list[Any]", value)]
    return value


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


class _Reader:
    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def read(self, hint: Any, value: Any) -> Any:
        origin, inner = get_origin(hint), get_args(hint)
        if origin is np.ndarray:
            return self._array(np.dtype(get_args(inner[1])[0]), value)
        if is_dataclass(hint):
            return self._dataclass(cast("type[Any]", hint), value)
        if origin in (Union, types.UnionType):
            return self._union(inner, value)
        if origin is tuple:
            return tuple(self._items(inner, _list(value)))
        if origin in (dict, Mapping):
            return {key: self.read(inner[1], item) for key, item in _table(value).items()}
        return _scalar(hint, value)

    def read_like(self, example: Any, value: Any) -> Any:
        kind = cast("type[Any]", type(example))
        if kind is tuple:
            items = _list(value)
            if not items:
                raise BadState("a part is missing")
            return tuple(self.read_like(cast("tuple[Any, ...]", example)[0], item) for item in items)
        if not (isinstance(example, tuple) and hasattr(kind, "_fields")):
            return self.read(kind, value)
        pairs = zip(cast("tuple[Any, ...]", example), _list(value), strict=True)
        return kind(*(self.read_like(part, item) for part, item in pairs))

    def _dataclass(self, kind: type[Any], value: Any) -> Any:
        names = [item.name for item in fields(kind)]
        items = self._items(tuple(_hints(kind)[name] for name in names), _list(value))
        return kind(**dict(zip(names, items, strict=True)))

    def _union(self, options: tuple[Any, ...], value: Any) -> Any:
        if value is None and type(None) in options:
            return None
        (hint,) = [option for option in options if option is not type(None)]
        return self.read(hint, value)

    def _items(self, inner: tuple[Any, ...], items: list[Any]) -> list[Any]:
        hints = [inner[0]] * len(items) if len(inner) == 2 and inner[1] is Ellipsis else inner
        return [self.read(hint, item) for hint, item in zip(hints, items, strict=True)]

    def _array(self, dtype: np.dtype[Any], value: Any) -> NDArray[Any]:
        shape = [_scalar(int, size) for size in _list(_table(value)["shape"])]
        if value["dtype"] != dtype.name or min(shape, default=0) < 0:
            raise BadState(f"wanted {dtype.name}, got {str(value)[:60]}")
        count = math.prod(shape)
        if self.at + count * dtype.itemsize > len(self.data):
            raise BadState("the bytes of an array are missing")
        array = np.frombuffer(self.data, dtype, count, self.at).reshape(shape).copy()
        if not np.isfinite(array).all():
            raise BadState("numbers are finite")
        self.at += count * dtype.itemsize
        return array


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise BadState(f"wanted a list, got {str(value)[:40]}")
    return cast("list[Any]", value)


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadState(f"wanted names and values, got {str(value)[:40]}")
    return cast("dict[str, Any]", value)


def _scalar(hint: Any, value: Any) -> Any:
    if hint is Any:
        hint = type(None)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint or (hint is float and not math.isfinite(value)):
        raise BadState(f"wanted {getattr(hint, '__name__', hint)}, got {str(value)[:40]}")
    return value
