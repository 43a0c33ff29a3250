"""Bits of a token drawn one after the other, each seeing those before it."""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artalk.models.nn.quantize import Quantizer


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

    def draw(
        self, x: Tensor, logits: Tensor, mix: Tensor, noise: Tensor, temperature: Tensor, top_p: Tensor, by: Quantizer
    ) -> Tensor:
        """(batch, tokens, bits) codes, drawn in their order `by` the quantizer's own rule.

        `x` (batch, branches, tokens, width) and `logits` (batch, branches, tokens, bits) of branches whose sum by `mix`
        (batch, branches) counts; `noise` (batch, tokens, bits); `temperature` and `top_p` (batch, 1, 1).
        """
        hidden, shares = self.context(x), mix[..., None]
        codes: list[Tensor] = []
        for bit in range(logits.shape[-1]):
            more = (F.silu(hidden) * self.says[bit]).sum(dim=-1)
            mixed = ((logits[..., bit] + more) * shares).sum(dim=1)[..., None]
            codes.append(by.choose(mixed, noise[..., bit : bit + 1], temperature, top_p))
            hidden = hidden + (2 * codes[-1] - 1)[:, None] * self.seen[bit]
        return torch.cat(codes, dim=-1)
