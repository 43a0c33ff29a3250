"""The released codec: 100 frames of motion ⇄ 181 tokens of 32 bits, on a sphere of corners ±1/√32."""

import math
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artalk.models.nn.resample import area, linear
from artalk.models.released.config import ReleasedConfig
from artalk.models.released.wav2vec2 import heads
from artalk.models.released.weights import Weights, still


@final
class Pyramid(nn.Module):
    """Bits (…, tokens, bits) as 0/1, coarse scales first ⇄ latents (…, window, bits)."""

    def __init__(self, scales: tuple[int, ...], bits: int) -> None:
        super().__init__()
        self.scales, self.window = scales, scales[-1]
        self.size = 1 / math.sqrt(bits)
        for level, scale in enumerate(scales):
            self.register_buffer(f"up{level}", linear(scale, self.window), persistent=False)
            self.register_buffer(f"down{level}", area(self.window, scale), persistent=False)

    def up(self, values: Tensor, level: int) -> Tensor:
        """(…, scale, bits) → (…, window, bits), linearly."""
        return values if self.scales[level] == self.window else self.get_buffer(f"up{level}") @ values

    def down(self, latents: Tensor, level: int) -> Tensor:
        """(…, window, bits) → (…, scale, bits), averaged."""
        return latents if self.scales[level] == self.window else self.get_buffer(f"down{level}") @ latents

    def values(self, bits: Tensor) -> Tensor:
        """0 and 1 → -1/√bits and 1/√bits."""
        return (2 * bits - 1) * self.size

    def bits(self, latents: Tensor) -> Tensor:
        """The bits of latents, scale by scale, each of what the coarser ones left."""
        rest, made = latents, list[Tensor]()
        for level in range(len(self.scales)):
            found = self.down(rest, level)
            bits = (found > 0).to(latents.dtype)
            made.append(bits)
            # The reference passes gradients straight through and rounds so: kept, because a rest can be a tie.
            unit = F.normalize(found, dim=-1)
            rest = rest - self.up(unit + (self.values(bits) - unit), level)
        return torch.cat(made, dim=-2)

    def sums(self, bits: Tensor) -> list[Tensor]:
        """The sum of the first 1, 2, … scales, each (…, window, bits)."""
        total, made = torch.zeros_like(bits[..., :1, :]), list[Tensor]()
        for level, part in enumerate(torch.split(bits, list(self.scales), dim=-2)):
            total = total + self.up(self.values(part), level)
            made.append(total)
        return made

    def tokens(self, bits: Tensor) -> Tensor:
        """(…, tokens - 1, bits): what each scale after the first is told of those before it."""
        told = self.sums(bits)[:-1]
        return torch.cat([self.down(total, level) for level, total in enumerate(told, 1)], dim=-2)


@final
class Codec(nn.Module):
    """Motion (…, window, 106) in real units ⇄ bits. The decoder sees the window before, which sees it not."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: ReleasedConfig, weights: Weights) -> None:
        super().__init__()
        self.config, sizes = config, config.codec
        self.pyramid = Pyramid(config.scales, sizes.bits)
        self.mean, self.deviation = still(weights["motion_mean"]), still(weights["motion_std"])
        self.encode_place = still(weights["enc_pos_embed"][:, : config.window])
        self.decode_place = still(weights["dec_pos_embed"])
        encoder, decoder = weights.under("encoder"), weights.under("decoder")
        self.encode_in = encoder.linear("inp_mapping.0")
        self.encode_out = encoder.linear("code_mapping")
        self.decode_in = decoder.linear("inp_mapping.0")
        self.decode_out = decoder.linear("out_mapping")
        self.encoder = _layers(config, encoder.under("encoder_transformer"))
        self.decoder = _layers(config, decoder.under("decoder_transformer"))

    def latents(self, motion: Tensor) -> Tensor:
        """(batch, window, bits) of (batch, window, 106), real units."""
        x = F.leaky_relu(self.encode_in((motion - self.mean) / self.deviation + self.encode_place), 0.2)
        for layer in self.encoder:
            x = layer(x, 0)
        return self.encode_out(x)

    def encode(self, motion: Tensor) -> Tensor:
        """(batch, tokens, bits) 0 or 1 of (batch, window, 106)."""
        return self.pyramid.bits(self.latents(motion))

    def decode(self, before: Tensor, bits: Tensor) -> Tensor:
        """(batch, window, 106) of the bits of this window, given those of the window before."""
        both = torch.cat([self.pyramid.sums(before)[-1], self.pyramid.sums(bits)[-1]], dim=1)
        x = F.leaky_relu(self.decode_in(both + self.decode_place), 0.2)
        window = self.config.window
        for layer in self.decoder[:-1]:
            x = layer(x, window)
        # Of the last layer only the present window is wanted.
        x = self.decoder[-1](x, window, only_present=True)
        return self.decode_out(x) * self.deviation + self.mean


def _layers(config: ReleasedConfig, weights: Weights) -> nn.ModuleList:
    sizes = config.codec
    return nn.ModuleList(
        CodecLayer(sizes.heads, weights.under(str(2 * i)), weights.under(str(2 * i + 1))) for i in range(sizes.depth)
    )


@final
class CodecLayer(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(x): without a norm, and with 1/√width, not 1/√head width."""

    def __init__(self, count: int, attention: Weights, forward: Weights) -> None:
        super().__init__()
        self.heads = count
        self.norm = attention.norm("norm")
        self.qkv, self.out = attention.linear("to_qkv"), attention.linear("to_out")
        self.widen, self.narrow = forward.linear("0"), forward.linear("2")

    def forward(self, x: Tensor, past: int, only_present: bool = False) -> Tensor:
        """(batch, tokens, width); the first `past` tokens do not see the others."""
        query, key, value = (heads(part, self.heads) for part in self.qkv(self.norm(x)).chunk(3, dim=-1))
        scale = x.shape[-1] ** -0.5
        parts: list[Tensor] = []
        if past and not only_present:
            mine = (query[:, :, :past], key[:, :, :past], value[:, :, :past])
            parts.append(F.scaled_dot_product_attention(*mine, scale=scale))
        parts.append(F.scaled_dot_product_attention(query[:, :, past:], key, value, scale=scale))
        seen = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
        x = (x[:, past:] if only_present else x) + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.narrow(F.gelu(self.widen(x), approximate="tanh"))
