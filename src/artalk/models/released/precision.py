"""Linear layers in fewer bits: for speed, at a deviation that docs/released.md states."""

from typing import Any, Literal, cast, final, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artalk.models.released.weights import still

Precision = Literal["float32", "bfloat16", "int8"]

PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@final
class Bfloat16Linear(nn.Module):
    """Weights and products in bfloat16 (fast where the processor has AMX or AVX-512 BF16); what lies between stays."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        bias = cast("Tensor | None", layer.bias)
        self.weight = still(layer.weight.bfloat16().contiguous())
        self.bias = None if bias is None else still(bias.bfloat16())

    def forward(self, x: Tensor) -> Tensor:
        """As the layer it stands for."""
        return F.linear(x.bfloat16(), self.weight, self.bias).to(x.dtype)


@final
class Int8Linear(nn.Module):
    """Weights in 8 bits with a scale for each output; what comes in is scaled as it comes, each token by itself."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight, bias = layer.weight.detach(), cast("Tensor | None", layer.bias)
        scale = (weight.abs().amax(dim=1, keepdim=True) / 127).clamp(min=1e-12)
        self.weight = still((weight / scale).round().to(torch.int8).contiguous().t())
        self.scale = still(scale[:, 0])
        self.bias = None if bias is None else still(bias)

    def forward(self, x: Tensor) -> Tensor:
        """As the layer it stands for."""
        rows = x.reshape(-1, x.shape[-1])
        scale = rows.abs().amax(dim=1, keepdim=True).clamp_(min=1e-12) / 127
        small = (rows / scale).round_().to(torch.int8)
        # The one product of int8 in torch that is not on its way out.
        made = cast(Any, torch)._int_mm(small, self.weight) * scale * self.scale
        return (made if self.bias is None else made + self.bias).view(*x.shape[:-1], -1)


def lower(module: nn.Module, precision: Precision) -> nn.Module:
    """`module` with its linear layers replaced, in place; int8 is for the CPU."""
    if precision == "float32":
        return module
    make = Bfloat16Linear if precision == "bfloat16" else Int8Linear
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, name, make(child))
    return module
