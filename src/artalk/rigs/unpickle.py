"""Arrays out of a stranger's pickle, without running anything in it.

A pickle is a program for a small stack machine, and Python's own loader calls whatever function the program names.
Here the program is *read*: calls become records (`Call`), nothing is ever imported or called, and `arrays` then takes
from the records what is an array. Only these names may occur: numpy's arrays, scaled down to what a raw buffer needs,
scipy's sparse matrices, chumpy's array `Ch` (the `.pkl` of FLAME and SMPL are full of them) and torch's tensors.
Any other name ends the reading with `BadFile`.
"""

import codecs
import io
import math
import pickletools
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from artalk.errors import BadFile

MAX_BYTES = 1 << 30
"""Largest pickle that is read, and largest array that is made of one; FLAME has 53 MB."""

MAX_OPCODES = 1_000_000
"""Steps of the longest program that is read; FLAME's has a few hundred, since arrays are one step each."""

_NUMPY = r"numpy\.(_?core\.(multiarray\.(_reconstruct|scalar)|numeric\._frombuffer)|ndarray|dtype)"
_SPARSE = r"scipy\.sparse\.(_?cs[cr]\.|_?coo\.)?(csc|csr|coo)_matrix"
_PLAIN = r"(copy_reg|copyreg)\._reconstructor|(__builtin__|builtins)\.(object|set)|_codecs\.encode"
_TORCH = (
    r"torch\._utils\._rebuild_(tensor_v2|parameter)|torch\.(Float|Double|Half|Long|Int|Short|Char|Byte|Bool)Storage"
)
ALLOWED = re.compile(rf"({_NUMPY}|{_SPARSE}|{_PLAIN}|{_TORCH}|chumpy\.ch\.Ch|collections\.OrderedDict)")
"""The names that may occur."""


@dataclass(frozen=True)
class Name:
    """A function or class that the program names; it stays a name."""

    path: str


@dataclass(eq=False)
class Call:
    """A call that the program asks for and that is not made, and the `state` that it would then give the result."""

    function: str
    arguments: tuple[Any, ...]
    state: Any = None


@dataclass(frozen=True, eq=False)
class Stored:
    """A reference to something outside of the program: torch's files keep their numbers so."""

    key: Any


_MARK = object()

_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": lambda: (),
    "EMPTY_LIST": lambda: cast(list[Any], []),
    "EMPTY_SET": lambda: cast(list[Any], []),
    "EMPTY_DICT": lambda: cast(dict[Any, Any], {}),
    "MARK": lambda: _MARK,
}

_LITERALS = frozenset(
    """
    INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE
    SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8
    """.split()
)


_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}


def _steps(data: bytes) -> Iterator[tuple[str, Any]]:
    """The names of a program's steps and their arguments, up to its STOP."""
    file = io.BytesIO(data)
    while True:
        opcode = _OPCODES.get(file.read(1).decode("latin-1"))
        if opcode is None:
            raise ValueError("a step is unknown, or the end is missing")
        if opcode.name == "STOP":
            return
        if opcode.name == "STRING":  # bytes of Python 2, in quotes and escaped; pickletools takes letters only
            yield opcode.name, codecs.escape_decode(file.readline()[1:-2])[0].decode("latin-1")
        else:
            yield opcode.name, None if opcode.arg is None else opcode.arg.reader(file)


@dataclass
class _Machine:
    """The stack and the memory of a pickle program."""

    stack: list[Any] = field(default_factory=list[Any])
    memory: dict[int, Any] = field(default_factory=dict[int, Any])

    def run(self, data: bytes) -> Any:
        for count, (name, argument) in enumerate(_steps(data)):
            if count > MAX_OPCODES:
                raise BadFile(f"it is a program of more than {MAX_OPCODES} steps, which no file of arrays is")
            self._step(name, argument)
        return self.stack.pop()

    def _step(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memory[len(self.memory) if argument is None else argument] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memory[argument])
        elif hasattr(self, f"_{name.lower()}"):  # the names are pickletools' own, not the file's
            getattr(self, f"_{name.lower()}")(argument)
        elif name not in ("PROTO", "FRAME"):
            raise BadFile(f"it uses the step {name}, which no file of arrays needs")

    def _marked(self) -> list[Any]:
        """What lies above the newest mark, taken off the stack."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("a mark is missing")
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def _pop(self, _: Any) -> None:
        self.stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._marked()

    def _dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._marked()))

    def _tuple1(self, _: Any) -> None:
        self.stack[-1:] = [tuple(self.stack[-1:])]

    def _tuple2(self, _: Any) -> None:
        self.stack[-2:] = [tuple(self.stack[-2:])]

    def _tuple3(self, _: Any) -> None:
        self.stack[-3:] = [tuple(self.stack[-3:])]

    def _list(self, _: Any) -> None:
        self.stack.append(self._marked())

    def _dict(self, _: Any) -> None:
        items = self._marked()
        self.stack.append({})
        self._set(items)

    def _append(self, _: Any) -> None:
        item = self.stack.pop()
        self._top(list).append(item)

    def _appends(self, _: Any) -> None:
        items = self._marked()
        self._top(list).extend(items)

    _additems = _appends

    def _setitem(self, _: Any) -> None:
        items = self.stack[-2:]
        del self.stack[-2:]
        self._set(items)

    def _setitems(self, _: Any) -> None:
        self._set(self._marked())

    def _set(self, items: list[Any]) -> None:
        target = self._top(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Other keys would have to be hashed, which nested tuples can make endless.
            if not isinstance(key, str | int):
                raise BadFile(f"a dictionary's key is text, got {type(key).__name__}")
            target[key] = value

    def _top(self, kind: type) -> Any:
        top = self.stack[-1]
        if isinstance(top, Call) and top.function == "collections.OrderedDict":
            top.state = {} if top.state is None else top.state
            return top.state
        if not isinstance(top, kind):
            raise ValueError(f"a {kind.__name__} is wanted, got {type(top).__name__}")
        return top

    def _global(self, argument: str) -> None:
        self._name(*argument.split(" ", 1))

    def _stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._name(module, name)

    def _name(self, module: Any, name: Any) -> None:
        path = f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else "?"
        if not ALLOWED.fullmatch(path):
            raise BadFile(f"it asks for {path[:80]!r}, which is no array; nothing of it was run, and it is refused")
        self.stack.append(Name(path))

    def _reduce(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise ValueError("a call has a name and a tuple of arguments")
        self.stack.append(Call(function.path, cast(tuple[Any, ...], arguments)))

    _newobj = _reduce

    def _build(self, _: Any) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, Call):
            raise ValueError("only the result of a call has a state")
        if target.function != "collections.OrderedDict":  # whose items came already; this is a module's `_metadata`
            target.state = state

    def _binpersid(self, _: Any) -> None:
        self.stack.append(Stored(self.stack.pop()))


def records(data: bytes, name: str) -> Any:
    """What the pickle `data` of the file called `name` would make, with calls as `Call`.

    Raises `BadFile` for anything but a pickle of arrays and plain values.
    """
    if len(data) > MAX_BYTES:
        raise BadFile(f"{name} has {len(data)} bytes, more than the {MAX_BYTES} that are read")
    try:
        with warnings.catch_warnings():  # about escapes in texts that are none
            warnings.simplefilter("ignore")
            return _Machine().run(data)
    except BadFile as error:
        raise BadFile(f"{name}: {error}") from error
    except (ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, MemoryError) as error:
        raise BadFile(f"{name} is no pickle, or is damaged: {type(error).__name__}") from error


Storages = Mapping[str, bytes]
"""The raw numbers of a torch file by their key."""


def array(record: Any, name: str, storages: Storages | None = None) -> NDArray[Any] | None:
    """The array that a record stands for; None where it stands for something else.

    `name` is for messages. Raises `BadFile` where a record claims to be an array and is none.
    """
    if isinstance(record, bool | int | float):
        return np.array(record)
    if not isinstance(record, Call):
        return None
    try:
        return _called(record, name, storages or {})
    except BadFile:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError) as error:
        raise BadFile(f"{name} is no array that can be read: {error or type(error).__name__}") from error


def _called(call: Call, name: str, storages: Storages) -> NDArray[Any] | None:
    path = call.function
    if path.endswith("._reconstruct"):
        _, shape, dtype, fortran, data = _five(call.state)
        return _filled(_bytes(data), _dtype(dtype), shape, bool(fortran))
    if path.endswith("._frombuffer"):
        data, dtype, shape, order = call.arguments
        return _filled(_bytes(data), _dtype(dtype), shape, order == "F")
    if path.endswith(".scalar"):
        dtype, data = call.arguments
        return _filled(_bytes(data), _dtype(dtype), (), False)
    if path == "torch._utils._rebuild_parameter":
        return array(call.arguments[0], name, storages)
    if path == "torch._utils._rebuild_tensor_v2":
        return _tensor(call.arguments, storages)
    kind = call.arguments[0].path if call.arguments and isinstance(call.arguments[0], Name) else path
    if kind == "chumpy.ch.Ch":
        return array(call.state["x"], name, storages)
    if kind.endswith("_matrix"):
        return _dense(kind.rsplit(".", 1)[1][:3], call.state)
    return None


def _five(state: Any) -> tuple[Any, ...]:
    if not isinstance(state, tuple) or len(cast(tuple[Any, ...], state)) != 5:
        raise ValueError("numpy's state of an array has five parts")
    return cast(tuple[Any, ...], state)


def _bytes(data: Any) -> bytes:
    if isinstance(data, Call) and data.function == "_codecs.encode":
        data = data.arguments[0]
    if isinstance(data, bytes | bytearray):
        return bytes(data)
    if isinstance(data, str):
        return data.encode("latin-1")
    raise ValueError(f"an array's data are bytes, got {type(data).__name__}")


def _dtype(record: Any) -> np.dtype[Any]:
    code = record.arguments[0] if isinstance(record, Call) and record.function == "numpy.dtype" else None
    if not isinstance(code, str) or not re.fullmatch(r"[<>|=]?([fiu][1248]|b1)", code, re.ASCII):
        raise ValueError("an array holds numbers")
    order = record.state[1] if record.state is not None else "|"
    return np.dtype(code).newbyteorder(order if order in ("<", ">") else "=")


def _filled(data: bytes, dtype: np.dtype[Any], shape: Any, fortran: bool) -> NDArray[Any]:
    sizes = _sizes(shape)
    if math.prod(sizes) * dtype.itemsize != len(data):
        raise ValueError(f"shape {sizes} of {dtype} does not fit {len(data)} bytes")
    return np.frombuffer(data, dtype).reshape(sizes, order="F" if fortran else "C")


def _whole(values: Any) -> tuple[int, ...]:
    if not isinstance(values, tuple) or len(cast(tuple[Any, ...], values)) > 8:
        raise ValueError("a shape is a short tuple")
    numbers = cast(tuple[Any, ...], values)
    if any(not isinstance(number, int) or not 0 <= number <= MAX_BYTES for number in numbers):
        raise ValueError("a shape's sizes are whole numbers that are not negative")
    return numbers


def _sizes(shape: Any) -> tuple[int, ...]:
    sizes = _whole(shape)
    if math.prod(sizes) * 8 > MAX_BYTES:
        raise ValueError(f"an array of {math.prod(sizes)} numbers is more than is read")
    return sizes


def _dense(kind: str, state: Mapping[str, Any]) -> NDArray[Any]:
    """A sparse matrix in full."""
    rows, columns = _sizes(state["_shape"] if "_shape" in state else state["shape"])
    made = np.zeros(_sizes((rows, columns)))
    values = _part(state["data"])
    if kind == "coo":
        at = _part(state["row"]), _part(state["col"])
    else:
        starts, inner = _part(state["indptr"]), _part(state["indices"])
        counts = np.diff(starts)
        if (counts < 0).any() or len(starts) != (columns if kind == "csc" else rows) + 1 or counts.sum() != len(values):
            raise ValueError("a sparse matrix's parts do not fit together")
        outer = np.repeat(np.arange(len(counts)), counts)
        at = (inner, outer) if kind == "csc" else (outer, inner)
    if len(values) and (min(at[0].min(), at[1].min()) < 0):
        raise ValueError("a sparse matrix's places are not negative")
    np.add.at(made, at, values)
    return made


def _part(record: Any) -> NDArray[Any]:
    made = array(record, "a sparse matrix's part")
    if made is None or made.ndim != 1:
        raise ValueError("a sparse matrix's parts are rows of numbers")
    return made


_STORAGES = {
    "Float": "<f4",
    "Double": "<f8",
    "Half": "<f2",
    "Long": "<i8",
    "Int": "<i4",
    "Short": "<i2",
    "Char": "i1",
    "Byte": "u1",
    "Bool": "?",
}


def _tensor(arguments: tuple[Any, ...], storages: Storages) -> NDArray[Any]:
    """A tensor: a view of numbers that lie beside the program."""
    stored, offset, shape, strides = arguments[:4]
    _, kind, key = stored.key[:3]
    dtype = np.dtype(_STORAGES[kind.path.removeprefix("torch.").removesuffix("Storage")])
    data = np.frombuffer(storages[key], dtype)
    sizes, steps = _sizes(shape), _whole(strides)
    if not isinstance(offset, int) or offset < 0 or len(sizes) != len(steps):
        raise ValueError("a tensor's view makes no sense")
    if 0 in sizes:
        return np.zeros(sizes, dtype)
    last = offset + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
    if last >= len(data):
        raise ValueError(f"a tensor asks for number {last} of {len(data)}")
    bytewise = [step * dtype.itemsize for step in steps]
    return np.lib.stride_tricks.as_strided(data[offset:], sizes, bytewise).copy()
