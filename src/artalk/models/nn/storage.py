"""Weights in fewer bits: whole numbers with a scale for each output, or float16; and back to what a model computes in.

The same rows and scales go into a `.safetensors` and into an `.onnx`, so that the one made of the other is the same
numbers.
"""

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artalk.errors import BadFile, BadInput

Precision = Literal["float32", "float16", "int8"]

SMALL = 1024
"""Numbers below which a tensor is kept in float32: nothing is saved on it."""

SCALE = ".scale"
"""What follows a tensor's name in the name of its scales."""


def quantize(values: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """`values` as int8, to the nearest, and the scales to multiply them with: one for each place along `axis`.

    Symmetric: 0 stays 0 and the largest of a row is 127. A row of the outputs is what one number is summed from, so its
    scale can be taken out of the sum, and a loud output takes no bits from a quiet one.
    """
    others = tuple(i for i in range(values.ndim) if i != axis)
    scale = np.maximum(np.abs(values).max(axis=others, keepdims=True) / 127, 1e-12).astype(np.float32)
    return np.clip(np.rint(values / scale), -127, 127).astype(np.int8), scale


def check(precision: str) -> None:
    """Refuse what is no `Precision`, with `BadInput`."""
    if precision not in get_args(Precision):
        raise BadInput(f"weights are float32, float16 or int8, got {precision!r}")


def pack(tensors: Mapping[str, Tensor], precision: Precision) -> dict[str, Tensor]:
    """Tensors as a file keeps them.

    With "int8" big tensors of two or more axes are (outputs, …) int8 beside `NAME.scale` (outputs,) float32, other big
    ones float16; with "float16" all big ones. Small ones, and so the normalisation, stay in float32.
    """
    check(precision)
    made: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        if precision == "float32" or tensor.dtype != torch.float32 or tensor.numel() < SMALL:
            made[name] = tensor
        elif precision == "int8" and tensor.ndim >= 2:
            small, scale = quantize(tensor.numpy(), 0)
            made[name], made[name + SCALE] = torch.as_tensor(small), torch.as_tensor(scale.reshape(-1))
        else:
            made[name] = tensor.half()
    return made


def unpack(tensors: Mapping[str, Tensor], precision: str) -> dict[str, Tensor]:
    """What `pack` was given, in float32.

    Raises `BadFile` where whole numbers and their scales do not fit one another or are not what `precision` says.
    """
    if precision not in get_args(Precision):
        raise BadFile(f"weights are stored as float32, float16 or int8, got {precision!r}")
    made: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.dtype == torch.int8:
            if precision != "int8":
                raise BadFile(f"{name} is int8 in a file that says {precision}")
            made[name] = tensor.float() * _scale(tensors, name)
        elif not _scales(tensors, name):
            made[name] = tensor.float() if tensor.dtype == torch.float16 else tensor
    return made


def _scales(tensors: Mapping[str, Tensor], name: str) -> bool:
    """Whether `name` belongs to an int8 tensor."""
    owner = tensors.get(name.removesuffix(SCALE)) if name.endswith(SCALE) else None
    return owner is not None and owner.dtype == torch.int8


def _scale(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    """(outputs, 1, …) of an int8 tensor."""
    tensor, scale = tensors[name], tensors.get(name + SCALE)
    if scale is None:
        raise BadFile(f"{name} is int8 and has no {name + SCALE}")
    if scale.dtype != torch.float32 or scale.shape != tensor.shape[:1]:
        wanted = f"torch.float32 {tuple(tensor.shape[:1])}"
        raise BadFile(f"{name + SCALE} is {wanted}, got {scale.dtype} {tuple(scale.shape)}")
    if not (torch.isfinite(scale * 128) & (scale > 0)).all():
        raise BadFile(f"{name + SCALE} holds a number that is no scale: they are finite and above 0")
    return scale.reshape(-1, *[1] * (tensor.ndim - 1))
