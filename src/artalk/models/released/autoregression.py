"""Speech features → the bits of a window, scale by scale, given those of the window before.

The published code runs all scales so far through all layers at every scale, and the window before through keys and
values of every layer at every scale. Here each thing is computed once: a token's keys and values are kept for the
finer scales, what the sound does to the layers comes before the first of them, and the keys and values of the window
before come straight from its bits (the layers' weights times the embedding's, multiplied when the model is loaded).
"""

import math
from typing import NamedTuple, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artalk.models.released.codec import Pyramid
from artalk.models.released.config import ReleasedConfig
from artalk.models.released.wav2vec2 import heads
from artalk.models.released.weights import Weights, linear, still


class Predicted(NamedTuple):
    """`bits` (batch, tokens, bits) 0 or 1 and the `logits` (batch, tokens, bits, 2) that they are the greater of."""

    bits: Tensor
    logits: Tensor


class Manner(NamedTuple):
    """A style as the transformer takes it: its `token` (batch, width), and the `memory` (layers, 2, batch, heads, 1,
    head width) that this token is in the window before."""

    token: Tensor
    memory: Tensor


@final
class Autoregression(nn.Module):
    """The transformer over the tokens of a window. The first token is the style."""

    remember_place: Tensor
    first_place: Tensor
    place: Tensor

    def __init__(self, config: ReleasedConfig, weights: Weights, pyramid: Pyramid) -> None:
        super().__init__()
        self.config, self.pyramid = config, pyramid
        level = torch.repeat_interleave(torch.arange(len(config.scales)), torch.tensor(config.scales))
        named = weights["lvl_embed.weight"][level]
        self.place = still(named + weights["pos_embed"][0])
        self.enter = weights.linear("vqfeat_embed")
        self.null = still(weights["null_style_cond"][0, 0])
        self.style_in = weights.linear("style_cond_embed")
        self.blocks = nn.ModuleList(
            Block(config, weights.under("attn_blocks").under(str(i))) for i in range(config.depth)
        )
        self.modulate_head = weights.linear("cond_logits_head.ada_lin.1")
        self.head = weights.linear("logits_head")
        before = named + weights["prev_pos_embed"][0]
        self.first_place = still(before[0])
        self.remember, self.remember_place = self._folded(before[1:])

    def _folded(self, place: Tensor) -> tuple[nn.Linear, nn.Parameter]:
        """Bits → keys and values of all layers, at once: the layers' weights times the embedding's."""
        layers = [layer for block in self.blocks for layer in cast(Block, block).keys_and_values]
        weight = torch.cat([layer.weight @ self.enter.weight for layer in layers])
        constant = torch.cat([layer(self.enter.bias + place) for layer in layers], dim=-1)
        return linear(weight), still(constant)

    def manner(self, style: Tensor | None, guidance: float | Tensor = 1.0) -> Manner:
        """A style vector (batch, style width) of the style encoder, led away from "no style" above 1; or no style."""
        null = self.null[None]
        token = null if style is None else guidance * self.style_in(style) - (guidance - 1) * null
        layers = [layer for block in self.blocks for layer in cast(Block, block).keys_and_values]
        made = torch.cat([layer(token + self.first_place) for layer in layers], dim=-1)
        return Manner(token, self._as_memory(made[:, None]))

    def memory(self, before: Tensor, manner: Manner) -> Tensor:
        """(layers, 2, batch, heads, 2 · tokens, head width): keys and values of the window before, and free places."""
        made = self._as_memory(self.remember(self.pyramid.tokens(before)) + self.remember_place)
        free = made.new_zeros(*made.shape[:4], self.config.tokens, made.shape[5])
        return torch.cat([manner.memory, made, free], dim=4)

    def _as_memory(self, made: Tensor) -> Tensor:
        """(batch, tokens, layers · 2 · width) → (layers, 2, batch, heads, tokens, head width), keys of length 1."""
        config = self.config
        split = made.view(*made.shape[:2], config.depth, 2, config.heads, -1).permute(2, 3, 0, 4, 1, 5)
        return torch.stack([F.normalize(split[:, 0], dim=-1), split[:, 1]], dim=1)

    def modulations(self, condition: Tensor) -> list[Tensor]:
        """What the sound (batch, tokens, features) does to each layer and to the head."""
        heard = F.silu(condition)
        return [*(cast(Block, block).modulate(heard) for block in self.blocks), self.modulate_head(heard)]

    def forward(self, condition: Tensor, before: Tensor, manner: Manner) -> Predicted:
        """The likeliest bits, given the sound and the bits (batch, tokens, bits) of the window before."""
        *layers, head = self.modulations(condition)
        memory = self.memory(before, manner)
        x = manner.token[:, None]
        total, start = torch.zeros_like(before[:, :1]), 0
        logits: list[Tensor] = []
        for level, scale in enumerate(self.config.scales):
            stop = start + scale
            x = x + self.place[start:stop]
            for i, block in enumerate(self.blocks):
                x = block(x, layers[i][:, start:stop], memory[i], self.config.tokens + start)
            x = _normal(x, *head[:, start:stop].chunk(2, dim=-1))
            logits.append(self.head(x).unflatten(2, (-1, 2)))
            if level + 1 < len(self.config.scales):
                bits = (logits[-1][..., 1] > logits[-1][..., 0]).to(x.dtype)
                total = total + self.pyramid.up(self.pyramid.values(bits), level)
                x = self.enter(self.pyramid.down(total, level + 1))
            start = stop
        made = torch.cat(logits, dim=1)
        return Predicted((made[..., 1] > made[..., 0]).to(x.dtype), made)


@final
class Block(nn.Module):
    """Cosine attention and a feed-forward, both scaled, shifted and gated by the sound."""

    sharpness: Tensor

    def __init__(self, config: ReleasedConfig, weights: Weights) -> None:
        super().__init__()
        self.heads = config.heads
        attention, forward = weights.under("attn"), weights.under("ffn")
        self.query, self.key, self.value = (attention.linear(name) for name in ("query", "key", "value"))
        self.out = attention.linear("proj")
        self.sharpness = still(attention["scale_mul_1H11"].clamp(max=math.log(100)).exp())
        self.widen, self.narrow = forward.linear("0"), forward.linear("2")
        self.modulate = weights.linear("ada_lin.1")

    @property
    def keys_and_values(self) -> tuple[nn.Linear, nn.Linear]:
        """What is wanted of the window before."""
        return self.key, self.value

    def forward(self, x: Tensor, modulation: Tensor, memory: Tensor, known: int) -> Tensor:
        """New tokens (batch, new, width); their keys and values join the `known` ones in `memory`, in place."""
        gate_a, gate_t, scale_a, scale_t, shift_a, shift_t = modulation.chunk(6, dim=-1)
        h, stop = _normal(x, scale_a, shift_a), known + x.shape[1]
        query = F.normalize(heads(self.query(h), self.heads), dim=-1) * self.sharpness
        memory[0, :, :, known:stop] = F.normalize(heads(self.key(h), self.heads), dim=-1)
        memory[1, :, :, known:stop] = heads(self.value(h), self.heads)
        seen = F.scaled_dot_product_attention(query, memory[0, :, :, :stop], memory[1, :, :, :stop], scale=1.0)
        x = x + gate_a * self.out(seen.transpose(1, 2).flatten(2))
        h = _normal(x, scale_t, shift_t)
        return x + gate_t * self.narrow(F.gelu(self.widen(h), approximate="tanh"))


def _normal(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift
