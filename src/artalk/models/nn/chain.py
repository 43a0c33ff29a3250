"""Bits of a token drawn one after the other, each seeing those before it."""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch.nn import functional as F


@final
class BitChain(nn.Module):
    """What the earlier bits of a token say of the next: P(b) = Π P(bᵢ | b₁ … bᵢ₋₁, x).

    NADE (Larochelle & Murray 2011, eq. 3 and 4) with the token's features x in the hidden layer. Bits that are drawn
    each by itself cannot agree on one of several things that would all go with the sound (a blink, or none): what comes
    out lies between them. It begins as independent bits.
    """

    earlier: Tensor

    def __init__(self, width: int, bits: int, hidden: int) -> None:
        super().__init__()
        self.context = nn.Linear(width, hidden)
        self.seen = nn.Parameter(torch.randn(bits, hidden) / bits**0.5)
        self.says = nn.Parameter(torch.zeros(bits, hidden))
        self.register_buffer("earlier", torch.ones(bits, bits).tril(-1), persistent=False)

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        """(…, bits) to be added to the logits, given features `x` (…, width) and all true `codes` (…, bits)."""
        before = ((2 * codes - 1)[..., None, :] * self.earlier) @ self.seen
        return (F.silu(self.context(x)[..., None, :] + before) * self.says).sum(dim=-1)

    def draw(self, x: Tensor, logits: Tensor, mix: Tensor, thresholds: Tensor) -> Tensor:
        """(batch, tokens, bits) codes, each 1 where its logit lies above its threshold, in their order.

        `x` (batch, branches, tokens, width) and `logits` (batch, branches, tokens, bits) of branches whose sum by `mix`
        (batch, branches) counts; `thresholds` (batch, tokens, bits) as of `BinarySphere.threshold`.
        """
        # A bit is 1 where what the earlier ones add to its logit is more than this. Branches lie side by side in the
        # hidden layer, each with its share in what the layer says: few operations, as there are many bits.
        missing = thresholds - (logits * mix[..., None, None]).sum(dim=1)
        hidden = self.context(x).transpose(1, 2).flatten(2).clone(memory_format=torch.contiguous_format)
        says = (mix[:, None, :, None] * self.says[:, None]).flatten(2)[..., None].transpose(0, 1)
        seen = self.seen[:, None].expand(-1, x.shape[1], -1).flatten(1)[:, None]

        def decide(hidden: Tensor, bit: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
            says, one, zero, least = bit
            up = F.silu(hidden) @ says > least
            return hidden + torch.where(up, one, zero), up

        # An exported model has one loop instead of some hundred bits' nodes, and loads twice as fast.
        loop = scan if torch.compiler.is_exporting() else _in_turn
        _, ups = loop(decide, hidden, (says, seen, -seen, missing.movedim(-1, 0)[..., None]))
        return ups[..., 0].movedim(0, -1).to(x.dtype)


def _in_turn(
    decide: Callable[[Tensor, tuple[Tensor, ...]], tuple[Tensor, Tensor]], carried: Tensor, bits: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """What `scan` does, one after the other."""
    made: list[Tensor] = []
    for bit in zip(*bits, strict=True):
        carried, each = decide(carried, bit)
        made.append(each)
    return carried, torch.stack(made)
