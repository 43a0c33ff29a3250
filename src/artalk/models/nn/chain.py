"""Bits of a token drawn one after the other, each seeing those before it."""

from typing import final

import torch
from torch import Tensor, nn
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
        hidden = self.context(x)
        mixed = (logits * mix[..., None, None]).sum(dim=1)
        signs: list[Tensor] = []
        # The fewest operations a bit that will do: an exported model has them once a bit, and loads no faster.
        for bit, (base, least) in enumerate(
            zip(torch.split(mixed, 1, dim=-1), torch.split(thresholds, 1, dim=-1), strict=True)
        ):
            more = F.silu(hidden) @ self.says[bit][:, None]
            more = (more * mix[..., None, None]).sum(dim=1)
            signs.append(torch.where(base + more > least, 1.0, -1.0))
            hidden = hidden + signs[-1][:, None] * self.seen[bit]
        return (torch.cat(signs, dim=-1) + 1) / 2
