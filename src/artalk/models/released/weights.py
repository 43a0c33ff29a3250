"""Layers made of a checkpoint's tensors as they lie on disk: nothing is initialised, nothing copied."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Weights:
    """The tensors of a checkpoint whose names begin with `prefix`."""

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str = "") -> None:
        self.tensors = tensors
        self.prefix = prefix

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[self.prefix + name]

    def under(self, name: str) -> "Weights":
        """The tensors of a part."""
        return Weights(self.tensors, f"{self.prefix}{name}.")

    def linear(self, name: str) -> nn.Linear:
        """The linear layer of this name, with a bias where it has one."""
        return linear(self[f"{name}.weight"], self.tensors.get(f"{self.prefix}{name}.bias"))

    def norm(self, name: str, eps: float = 1e-5) -> nn.LayerNorm:
        """The layer norm of this name."""
        weight, bias = self[f"{name}.weight"], self[f"{name}.bias"]
        layer = nn.LayerNorm(len(weight), eps, device="meta")
        layer.weight, layer.bias = still(weight), still(bias)
        return layer


def still(tensor: Tensor) -> nn.Parameter:
    """A parameter that does not learn."""
    return nn.Parameter(tensor, requires_grad=False)


def linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """A linear layer of these very tensors, weight (out, in)."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    layer.weight = still(weight)
    if bias is not None:
        layer.bias = still(bias)
    return layer


def tensor(array: NDArray[np.float32]) -> Tensor:
    """The tensor in an array's memory."""
    return cast(Any, torch).from_numpy(array)
