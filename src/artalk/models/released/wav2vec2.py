"""wav2vec 2.0 with layer norms before its sub-layers, as XLS-R has them: 4 s of sound → 199 features."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artalk.models.released.config import Wav2vec2Config
from artalk.models.released.weights import Weights, linear, still


@final
class Wav2vec2(nn.Module):
    """(batch, samples) at 16 kHz → (batch, features, width); each window is levelled by itself."""

    def __init__(self, config: Wav2vec2Config, weights: Weights) -> None:
        super().__init__()
        self.config = config
        convs = weights.under("feature_extractor").under("conv_layers")
        self.convs = nn.ModuleList(
            Convolution(convs.under(str(i)), stride, config.eps) for i, stride in enumerate(config.strides)
        )
        projection, encoder = weights.under("feature_projection"), weights.under("encoder")
        self.project_norm = projection.norm("layer_norm", config.eps)
        self.project = projection.linear("projection")
        self.place = Place(config, encoder.under("pos_conv_embed").under("conv"))
        layers = encoder.under("layers")
        self.layers = nn.ModuleList(Layer(config, layers.under(str(i))) for i in range(config.depth))
        self.norm = encoder.norm("layer_norm", config.eps)

    def count(self, samples: int) -> int:
        """How many features a window of so many samples has."""
        for kernel, stride in zip(self.config.kernels, self.config.strides, strict=True):
            samples = (samples - kernel) // stride + 1
        return samples

    def forward(self, sound: Tensor) -> Tensor:
        """The features of whole windows."""
        x = levelled(sound)[..., None]
        for conv in self.convs:
            x = conv(x)
        x = self.project(self.project_norm(x))
        x = x + self.place(x)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


def levelled(sound: Tensor) -> Tensor:
    """Zero mean and unit deviation over the window, silence that pads it included."""
    mean, deviation = sound.mean(dim=-1, keepdim=True), sound.std(dim=-1, keepdim=True)
    return (sound - mean) / (deviation + 1e-6)


@final
class Convolution(nn.Module):
    """A strided convolution over (batch, time, channels), layer norm, GELU.

    As products of matrices over slices of the sound that lie in memory as they are: with channels last, `stride`
    taps side by side are one row, and neither sound nor features are ever transposed or copied.
    """

    def __init__(self, weights: Weights, stride: int, eps: float) -> None:
        super().__init__()
        weight = weights["conv.weight"]
        width, channels, self.kernel = weight.shape
        self.stride, self.channels = stride, channels
        taps = weight.transpose(1, 2)  # (out, kernel, in)
        starts = [*range(0, self.kernel - stride + 1, stride)]
        rest = range(starts[-1] + stride, self.kernel)
        self.spans: list[tuple[int, int]] = [(start, stride) for start in starts] + [(tap, 1) for tap in rest]
        pieces = [taps[:, start : start + length].reshape(width, -1).contiguous() for start, length in self.spans]
        biases: Sequence[Tensor | None] = [weights["conv.bias"], *[None] * (len(pieces) - 1)]
        self.pieces = nn.ModuleList(linear(piece, bias) for piece, bias in zip(pieces, biases, strict=True))
        self.norm = weights.norm("layer_norm", eps)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, channels) → (batch, fewer, width)."""
        batch, time, channels = x.shape
        length = (time - self.kernel) // self.stride + 1
        total: Tensor | None = None
        for (start, taps), piece in zip(self.spans, self.pieces, strict=True):
            if taps == self.stride:
                seen = x[:, start : start + length * taps].reshape(batch, length, taps * channels)
            else:
                seen = x[:, start :: self.stride][:, :length]
            made = piece(seen)
            total = made if total is None else total + made
        return F.gelu(self.norm(total))


@final
class Place(nn.Module):
    """Where a feature stands, from a wide grouped convolution (weight-normed over the kernel's axis)."""

    weight: Tensor
    bias: Tensor

    def __init__(self, config: Wav2vec2Config, weights: Weights) -> None:
        super().__init__()
        size = weights["parametrizations.weight.original0"]
        direction = weights["parametrizations.weight.original1"]
        length = (direction * direction).sum(dim=(0, 1), keepdim=True).sqrt()
        self.weight, self.bias = still(direction * (size / length)), still(weights["bias"])
        self.groups, self.pad = config.groups, config.positions // 2

    def forward(self, x: Tensor) -> Tensor:
        """What is added to (batch, features, width)."""
        if x.is_cuda:
            return F.gelu(self.as_product(x))
        made = F.conv1d(x.transpose(1, 2), self.weight, self.bias, padding=self.pad, groups=self.groups)
        return F.gelu(made[..., : x.shape[1]]).transpose(1, 2)

    def as_product(self, x: Tensor) -> Tensor:
        """The convolution of (batch, features, width) as a product of matrices.

        cuDNN convolves in TF32 unless a setting of the whole process says otherwise; products are in full float32.
        """
        batch, count, width = x.shape
        kernel = self.weight.shape[-1]
        seen = F.pad(x, (0, 0, self.pad, kernel - 1 - self.pad)).unfold(1, kernel, 1)  # (batch, count, width, kernel)
        seen = seen.reshape(batch * count, self.groups, -1)
        weight = self.weight.view(self.groups, width // self.groups, -1)
        made = torch.einsum("ngi,goi->ngo", seen, weight)
        return made.reshape(batch, count, width) + self.bias


@final
class Layer(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(self, config: Wav2vec2Config, weights: Weights) -> None:
        super().__init__()
        self.heads = config.heads
        attention, forward = weights.under("attention"), weights.under("feed_forward")
        self.query, self.key, self.value = (attention.linear(f"{name}_proj") for name in "qkv")
        self.out = attention.linear("out_proj")
        self.attend_norm = weights.norm("layer_norm", config.eps)
        self.think_norm = weights.norm("final_layer_norm", config.eps)
        self.widen, self.narrow = forward.linear("intermediate_dense"), forward.linear("output_dense")

    def forward(self, x: Tensor) -> Tensor:
        """(batch, features, width); all see all."""
        h = self.attend_norm(x)
        query, key, value = (heads(part(h), self.heads) for part in (self.query, self.key, self.value))
        seen = F.scaled_dot_product_attention(query, key, value)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.narrow(F.gelu(self.widen(self.think_norm(x))))


def heads(x: Tensor, count: int) -> Tensor:
    """(batch, tokens, width) → (batch, heads, tokens, head width)."""
    return x.view(*x.shape[:2], count, -1).transpose(1, 2)
