import io
import os
import pickle
import pickletools
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk.errors import ArtalkError, BadFile
from artalk.rigs import flame_file, unpickle
from artalk.rigs.unpickle import array, records


class Runs:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.made = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.made


def numpy_pickle(data: bytes, dtype: str = "f8", shape: bytes = b"K\x03", state: bytes = b"") -> bytes:
    """{"v_template": an array of `data`}, written by hand so that it may lie."""
    array_of = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
    kind = b"cnumpy\ndtype\n(U" + bytes([len(dtype)]) + dtype.encode() + b"K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xff"
    kind += b"J\xff\xff\xff\xffK\x00tb" + state
    text = b"T" + struct.pack("<i", len(data)) + data
    return b"\x80\x02}U\nv_template" + array_of + b"(K\x01" + shape + b"\x85" + kind + b"\x89" + text + b"tbs."


def sparse_pickle(indices: bytes, starts: bytes) -> bytes:
    def part(data: bytes, dtype: str, count: int) -> bytes:
        whole = numpy_pickle(data, dtype, b"K" + bytes([count]))
        return whole[len(b"\x80\x02}U\nv_template") : -len(b"s.")]

    body = b"U\x06_shapeK\x05K\x04\x86U\x04data" + part(bytes(16), "f8", 2)
    body += b"U\x07indices" + part(indices, "i4", 2) + b"U\x06indptr" + part(starts, "i4", 5)
    return b"\x80\x02}U\x01Jcscipy.sparse.csc\ncsc_matrix\n)\x81}(" + body + b"ubs."


def names(module: str, name: str) -> bytes:
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(U\x05touchtR."


MARK = Path("executed")

HOSTILE: dict[str, Callable[[], bytes]] = {
    "a shell command": lambda: pickle.dumps({"v_template": Runs(os.system, f"touch {MARK}")}),
    "eval": lambda: pickle.dumps({"v_template": Runs(eval, f"open({str(MARK)!r}, 'w')")}),
    "open": lambda: pickle.dumps(Runs(open, str(MARK), "w")),
    "a command inside an array's state": lambda: pickle.dumps(
        {"f": Runs(np.zeros(1).__reduce__()[0], np.ndarray, (0,), b"b", state=(1, Runs(os.system, "touch executed")))}
    ),
    "a command as a dictionary's key": lambda: pickle.dumps({Runs(os.getpid): 1}),
    "a name put together on the stack": lambda: b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x0etouch executed\x85R.",
    "a name that is no text": lambda: b"\x80\x04K\x01K\x02\x93.",
    "a name below an allowed module": lambda: names("numpy.core.multiarray", "fromfile"),
    "a dotted way out of an allowed class": lambda: b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__class__\x93.",
    "numpy's own loader": lambda: names("numpy", "load"),
    "numpy's test runner": lambda: names("numpy.testing._private.utils", "runstring"),
    "torch's loader": lambda: names("torch", "load"),
    "chumpy's other functions": lambda: names("chumpy.utils", "timer"),
    "scipy's file reader": lambda: names("scipy.io", "loadmat"),
    "getattr": lambda: names("builtins", "getattr"),
    "the module loader": lambda: names("importlib", "import_module"),
    "codecs that run Python": lambda: names("_codecs", "decode"),
    "INST": lambda: b"(S'touch executed'\nios\nsystem\n.",
    "OBJ": lambda: b"\x80\x02(cos\nsystem\nU\x0etouch executedo.",
    "an extension code": lambda: b"\x80\x02\x82\x01)R.",
    "a persistent id as text": lambda: b"Pevil\n.",
    "an out-of-band buffer": lambda: b"\x80\x05\x97.",
    "a call of what is no name": lambda: b"\x80\x02K\x01)R.",
    "state for what was not called": lambda: b"\x80\x02}}b.",
    "an unknown step": lambda: b"\x80\x02\xff.",
    "no end": lambda: pickle.dumps({"f": np.zeros(9)}, 2)[:-1],
    "cut short": lambda: pickle.dumps({"f": np.zeros(999)}, 2)[:500],
    "empty": lambda: b"",
    "an empty stack": lambda: b"\x80\x02.",
    "no mark": lambda: b"\x80\x02}u.",
    "an odd dictionary": lambda: b"\x80\x02}(U\x01au.",
    "a memory slot that was never filled": lambda: b"\x80\x02h\x07.",
    "objects in an array": lambda: numpy_pickle(bytes(24), "O8"),
    "a structured array": lambda: numpy_pickle(bytes(24), "V8"),
    "fewer numbers than claimed": lambda: numpy_pickle(bytes(23)),
    "a shape of 2**62": lambda: numpy_pickle(bytes(24), shape=b"\x8a\x08" + struct.pack("<q", 1 << 62)),
    "a negative shape": lambda: numpy_pickle(bytes(24), shape=b"J" + struct.pack("<i", -3)),
    "a shape that is text": lambda: numpy_pickle(bytes(24), shape=b"U\x013"),
    "a sparse matrix with places outside": lambda: sparse_pickle(
        np.array([0, 9], "<i4").tobytes(), np.array([0, 1, 2, 2, 2], "<i4").tobytes()
    ),
    "a sparse matrix with places below": lambda: sparse_pickle(
        np.array([0, -1], "<i4").tobytes(), np.array([0, 1, 2, 2, 2], "<i4").tobytes()
    ),
    "a sparse matrix that does not add up": lambda: sparse_pickle(
        np.array([0, 1], "<i4").tobytes(), np.array([0, 1, 9, 2, 2], "<i4").tobytes()
    ),
    "a key whose hash never ends": lambda: b"\x80\x02})" + b"2\x86" * 90 + b"K\x01s.",
    "more steps than any file has": lambda: b"\x80\x02" + b"N0" * 60_000 + b"}.",
    "a whole number of a million digits": lambda: b"I" + b"9" * 1_000_000 + b"\n.",
}
"""Pickles that run code, lie or are broken."""


def read(folder: Path, data: bytes, name: str = "flame.pkl") -> Any:
    (folder / name).write_bytes(data)
    return flame_file.arrays(folder / name)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_pickle_is_refused_and_nothing_is_run(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(unpickle, "MAX_OPCODES", 100_000)
    began = time.perf_counter()
    with pytest.raises(BadFile, match=r"flame\.pkl"):
        read(tmp_path, HOSTILE[kind]())
    assert time.perf_counter() - began < 20
    assert [path.name for path in tmp_path.iterdir()] == ["flame.pkl"]


def test_the_hostile_ones_do_run_in_pythons_own_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(HOSTILE["a shell command"]())
    assert MARK.exists()


def test_a_far_memory_slot_and_deep_nesting_cost_nothing() -> None:
    # Python's own loader makes room for four thousand million slots.
    assert records(b"\x80\x02}r\xff\xff\xff\xff.", "x") == {}
    assert isinstance(records(b"\x80\x02)" + b"\x85" * 60_000 + b".", "x"), tuple)


def torch_file(program: bytes, numbers: bytes = bytes(48), order: str = "little") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x/data.pkl", program)
        archive.writestr("x/byteorder", order)
        archive.writestr("x/data/0", numbers)
    return file.getvalue()


def tensor(shape: bytes, strides: bytes, offset: bytes = b"K\x00", key: bytes = b"0", kind: str = "Float") -> bytes:
    stored = b"(U\x07storagectorch\n" + kind.encode() + b"Storage\nU\x01" + key + b"U\x03cpuK\x0ctQ"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + stored + offset + shape + strides
    return b"\x80\x02}U\x01t" + call + b"\x89ccollections\nOrderedDict\n)RtRs."


def test_a_tensor_is_read_as_it_lies(tmp_path: Path) -> None:
    numbers = np.arange(12, dtype="<f4")
    made = read(tmp_path, torch_file(tensor(b"K\x03K\x02\x86", b"K\x01K\x04\x86", b"K\x02"), numbers.tobytes()))["t"]
    np.testing.assert_array_equal(made, [[2, 6], [3, 7], [4, 8]])
    assert read(tmp_path, torch_file(tensor(b"K\x00K\x02\x86", b"K\x02K\x01\x86")))["t"].shape == (0, 2)


TENSORS: dict[str, Callable[[], bytes]] = {
    "reads past the end": lambda: torch_file(tensor(b"K\x0d\x85", b"K\x01\x85")),
    "strides past the end": lambda: torch_file(tensor(b"K\x03K\x02\x86", b"K\x04K\x05\x86")),
    "starts past the end": lambda: torch_file(tensor(b"K\x01\x85", b"K\x01\x85", b"K\x0c")),
    "starts before": lambda: torch_file(tensor(b"K\x01\x85", b"K\x01\x85", b"J\xff\xff\xff\xff")),
    "negative strides": lambda: torch_file(tensor(b"K\x03\x85", b"J\xff\xff\xff\xff\x85")),
    "one number a thousand million times": lambda: torch_file(tensor(b"J\x00\x00\x00\x40\x85", b"K\x00\x85")),
    "shape and strides differ": lambda: torch_file(tensor(b"K\x03\x85", b"K\x01K\x01\x86")),
    "a storage that is not there": lambda: torch_file(tensor(b"K\x03\x85", b"K\x01\x85", key=b"7")),
    "a storage of another kind": lambda: torch_file(tensor(b"K\x03\x85", b"K\x01\x85", kind="Quint8")),
    "another byte order": lambda: torch_file(tensor(b"K\x03\x85", b"K\x01\x85"), order="big"),
    "code": lambda: torch_file(HOSTILE["a shell command"]()),
    "no program": lambda: torch_file(b""),
    "half a zip": lambda: torch_file(tensor(b"K\x03\x85", b"K\x01\x85"))[:150],
}


@pytest.mark.parametrize("kind", TENSORS)
def test_a_hostile_torch_file_is_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadFile, match=r"FLAME\.pt"):
        read(tmp_path, TENSORS[kind](), "FLAME.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["FLAME.pt"]


def test_many_views_of_few_numbers_do_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flame_file, "MAX_BYTES", 1 << 20)
    one = tensor(b"J\x00\x00\x02\x00\x85", b"K\x00\x85")[len(b"\x80\x02}U\x01t") : -len(b"s.")]
    program = b"\x80\x02}(" + b"".join(b"U\x01" + bytes([letter]) + one for letter in range(97, 123)) + b"u."
    with pytest.raises(BadFile, match="bytes of arrays"):
        read(tmp_path, torch_file(program), "FLAME.pt")


WHOLE = pickle.dumps({"v_template": np.arange(6.0).reshape(2, 3), "f": np.arange(3), "name": "x"}, 2)


@given(st.binary(max_size=80))
def test_any_bytes_end_in_arrays_or_a_typed_error(data: bytes) -> None:
    settle(data)


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=0, max_size=4), st.integers(0, 3))
def test_any_change_of_a_pickle_ends_in_arrays_or_a_typed_error(at: int, new: bytes, gone: int) -> None:
    settle(WHOLE[:at] + new + WHOLE[at + gone :])


@given(st.lists(st.sampled_from([opcode.code.encode("latin-1") for opcode in pickletools.opcodes]), max_size=40))
def test_any_program_ends_in_arrays_or_a_typed_error(steps: list[bytes]) -> None:
    settle(b"\x80\x02" + b"".join(steps) + b".")


def settle(data: bytes) -> None:
    try:
        found = records(data, "x")
        for value in found.values() if isinstance(found, dict) else ():
            array(value, "x")
    except ArtalkError:
        pass
