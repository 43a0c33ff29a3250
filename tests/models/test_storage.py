"""Fewer bits: what comes back is the nearest that int8 can say, row by row, whatever the numbers are."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from artalk.errors import BadFile, BadInput
from artalk.models.nn import storage

FINITE = st.floats(-(2.0**99), 2.0**99, width=32)
WEIGHTS = arrays(np.float32, array_shapes(min_dims=2, max_dims=3, max_side=6), elements=FINITE)


@given(WEIGHTS, st.data())
@settings(deadline=None)
def test_every_number_is_the_nearest_of_its_row(values, data):
    axis = data.draw(st.integers(0, values.ndim - 1))
    small, scale = storage.quantize(values, axis)
    assert small.min() >= -127  # -128 has no counterpart
    assert scale.size == values.shape[axis]
    assert (np.abs(small * scale.astype(np.float64) - values) <= 0.50001 * scale).all()
    again, _ = storage.quantize(small * scale, axis)
    assert np.array_equal(again, small)


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["float32", "float16", "int8"]), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_packing_keeps_names_shapes_and_all_that_is_small(rows, width, precision, seed):
    rng = torch.Generator().manual_seed(seed)
    tensors = {
        "matrix": torch.randn(rows, width, generator=rng),
        "mean": torch.randn(55, generator=rng),
        "bias": torch.randn(2000, generator=rng),
        "count": torch.arange(2000),
    }
    packed = storage.pack(tensors, precision)
    again = storage.unpack(packed, precision)
    assert again.keys() == tensors.keys()
    assert all(
        again[name].dtype == tensor.dtype and again[name].shape == tensor.shape for name, tensor in tensors.items()
    )
    exact = ["mean", "count"] + ["matrix"] * (rows * width < storage.SMALL or precision == "float32")
    assert all(torch.equal(again[name], tensors[name]) for name in exact)
    assert torch.allclose(again["matrix"], tensors["matrix"], atol=0.02)
    assert (packed["matrix"].dtype == torch.int8) == (precision == "int8" and rows * width >= storage.SMALL)


def test_a_row_of_zeros_stays_zeros_and_a_loud_one_takes_no_bits_from_a_quiet_one():
    values = torch.randn(3, 400, generator=torch.Generator().manual_seed(0)) * torch.tensor([[0.0], [1e-3], [1e3]])
    again = storage.unpack(storage.pack({"x": values}, "int8"), "int8")["x"]
    assert not again[0].any()
    for row in (1, 2):
        assert (again[row] - values[row]).norm() < 0.01 * values[row].norm()


def test_wishes_and_words_that_mean_nothing():
    with pytest.raises(BadInput, match="float32, float16 or int8, got 'int4'"):
        storage.pack({}, "int4")  # pyright: ignore[reportArgumentType]
    with pytest.raises(BadFile, match="float32, float16 or int8, got 'int4'"):
        storage.unpack({}, "int4")
