"""The released style encoder: a clip of motion → 128 numbers, blind to the order of its frames."""

import math
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artalk.errors import BadInput
from artalk.models.released.config import ReleasedConfig
from artalk.models.released.wav2vec2 import heads
from artalk.models.released.weights import Weights, linear, still


@final
class Style(nn.Module):
    """(batch, frames, 106) in real units → (batch, width).

    Every frame gets one and the same position, that of the clip's length: a mistake of the release that its weights
    have learned with, so it is copied. Clips have 1 to `longest` - 1 frames; the release has only ever used 50.
    """

    table: Tensor

    def __init__(self, config: ReleasedConfig, weights: Weights) -> None:
        super().__init__()
        sizes = config.style
        self.longest = sizes.longest
        self.mean, self.deviation = still(weights["motion_mean"]), still(weights["motion_std"])
        self.register_buffer("table", positions(sizes.longest, sizes.width), persistent=False)
        self.lift = weights.under("encoder").linear("motion_proj")
        layers = weights.under("encoder").under("transformer").under("layers")
        self.layers = nn.ModuleList(StyleLayer(sizes.heads, layers.under(str(i))) for i in range(sizes.depth))

    def forward(self, clip: Tensor) -> Tensor:
        """The style of a clip."""
        frames = clip.shape[1]
        if not torch.compiler.is_exporting() and not 1 <= frames < self.longest:
            raise BadInput(f"a style clip has 1 to {self.longest - 1} frames, got {frames}")
        x = self.lift((clip - self.mean) / self.deviation) + self.table[frames]
        for layer in self.layers:
            x = layer(x)
        return x.mean(dim=1)


@final
class StyleLayer(nn.Module):
    """Norms after the sub-layers, as in the first transformers."""

    def __init__(self, count: int, weights: Weights) -> None:
        super().__init__()
        self.heads = count
        attention = weights.under("self_attn")
        self.qkv = linear(attention["in_proj_weight"], attention["in_proj_bias"])
        self.out = attention.linear("out_proj")
        self.widen, self.narrow = weights.linear("linear1"), weights.linear("linear2")
        self.attend_norm, self.think_norm = weights.norm("norm1"), weights.norm("norm2")

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, width), all at once."""
        query, key, value = (heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        seen = F.scaled_dot_product_attention(query, key, value)
        x = self.attend_norm(x + self.out(seen.transpose(1, 2).flatten(2)))
        return self.think_norm(x + self.narrow(F.gelu(self.widen(x))))


def positions(count: int, width: int) -> Tensor:
    """(count, width): sines and cosines by turns (Vaswani et al. 2017, section 3.5)."""
    pace = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10000.0) / width))
    angle = torch.arange(count, dtype=torch.float32)[:, None] * pace
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
