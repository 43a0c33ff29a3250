"""States survive, and bytes that are none are refused."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from artalk.stream.state import BadState, pack, unpack


@dataclass(frozen=True, eq=False)
class Inner:
    heard: NDArray[np.float64] | None
    names: dict[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Outer:
    count: int
    time: float
    title: str
    on: bool
    pair: tuple[float, int]
    many: tuple[float, ...]
    inner: Inner


def example():
    inner = Inner(
        np.arange(6.0).reshape(2, 3), {"a": np.ones((0, 2), np.float32), "b": np.array([[1e-30]], np.float32)}
    )
    return Outer(3, 0.1, "é", True, (1.5, 2), (1.0, 2.0, 3.0), inner)


def test_a_tree_survives_to_the_last_bit():
    sent, got = example(), unpack(Outer, pack(example()))
    assert (got.count, got.time, got.title, got.on, got.pair, got.many) == (
        *(sent.count, sent.time, sent.title, sent.on, sent.pair),
        sent.many,
    )
    np.testing.assert_array_equal(got.inner.heard, sent.inner.heard)
    assert {name: array.dtype for name, array in got.inner.names.items()} == {"a": np.float32, "b": np.float32}
    assert got.inner.names["b"][0, 0] == np.float32(1e-30)
    assert unpack(Inner, pack(Inner(None, {}))).heard is None


@given(st.data())
def test_damage_is_refused_or_harmless(data):
    good = bytearray(pack(example()))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        got = unpack(Outer, bytes(good[: data.draw(st.integers(0, len(good)))]))
    except BadState:
        return
    assert isinstance(got.inner, Inner)
    assert got.inner.heard is None or np.isfinite(got.inner.heard).all()


@pytest.mark.parametrize("text", ["[]", "[1,2,3,4,5,6,7]", "{}", "null", '{"dtype":"object","shape":[1]}', "[" * 9000])
def test_another_tree_is_refused(text):
    data = len(text).to_bytes(4, "little") + text.encode()
    with pytest.raises(BadState):
        unpack(Outer, data)
