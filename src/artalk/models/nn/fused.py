"""Operations that onnxruntime has as one operator each, where torch's exporter would write six: for exported models
alone."""

import torch
from torch import Tensor


def turn(x: Tensor, by: Tensor) -> Tensor:
    """`transformer.turn` of `x` (batch, heads, tokens, head_width)."""
    cosines, sines = by[..., : by.shape[-1] // 2]
    first = torch.zeros(1, dtype=torch.int64)
    return _operator("com.microsoft::RotaryEmbedding", x, first, cosines, sines)


def unit(x: Tensor, least: float) -> Tensor:
    """`x` (…, width) divided by its length; `least` is added to the squared length."""
    width = x.shape[-1]
    # It divides by the root of the mean of squares.
    scale = torch.full((width,), width**-0.5)
    return _operator("::SimplifiedLayerNormalization", x, scale, axis=-1, epsilon=least / width)


def _operator(name: str, x: Tensor, *others: Tensor, **attributes: float) -> Tensor:
    """An operator whose result is like `x`."""
    return torch.onnx.ops.symbolic(name, (x, *others), {**attributes}, dtype=x.dtype, shape=x.shape, version=1)
