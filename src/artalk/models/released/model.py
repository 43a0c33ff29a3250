"""The released model as one piece: sound, style and the window before → the next 100 frames."""

from collections.abc import Callable, Mapping
from typing import Any, cast, final

import torch
from torch import Tensor, nn

from artalk.models.released.autoregression import Autoregression, Block, Manner, Predicted
from artalk.models.released.codec import Codec, CodecLayer
from artalk.models.released.config import MOTION, ReleasedConfig
from artalk.models.released.mimi import Mimi
from artalk.models.released.style import Style
from artalk.models.released.wav2vec2 import Layer, Wav2vec2
from artalk.models.released.weights import Weights


@final
class ReleasedModel(nn.Module):
    """Built of a checkpoint's tensors, which it keeps as they are (`layout.check` has looked at them)."""

    pool: Tensor

    def __init__(self, config: ReleasedConfig, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.config = config
        weights = Weights(tensors)
        self.codec = Codec(config, weights.under("basic_vae"))
        self.style = Style(config, weights.under("style_encoder"))
        self.generator = Autoregression(config, weights, self.codec.pyramid)
        self.speech = _speech(config, weights.under("audio_encoder"))
        heard = self.speech.count(config.samples)
        self.register_buffer("pool", torch.cat([cells(heard, scale) for scale in config.scales]), persistent=False)
        self.requires_grad_(False).eval()

    def condition(self, features: Tensor) -> Tensor:
        """(batch, features, width) → (batch, tokens, width): averaged to each scale."""
        return self.pool @ features

    def rest(self, batch: int = 1) -> Tensor:
        """The bits before the first window: those of motion that is 0 in real units, not of the mean."""
        return self.codec.encode(self.codec.mean.new_zeros(batch, self.config.window, MOTION))

    def window(self, features: Tensor, before: Tensor, manner: Manner) -> tuple[Tensor, Predicted]:
        """Motion (batch, window, 106) in real units from speech features, and the bits that it was decoded of."""
        predicted = self.generator(self.condition(features), before, manner)
        return self.codec.decode(before, predicted.bits), predicted

    def compile_layers(self, backend: str | Callable[..., Any] = "inductor") -> None:
        """Put the layers, which are many and alike, through torch.compile: each kind once for each of its shapes."""
        for layer in self.modules():
            if isinstance(layer, Block | CodecLayer | Layer):
                cast(Any, layer).compile(dynamic=False, backend=backend)


def _speech(config: ReleasedConfig, weights: Weights) -> "Wav2vec2 | Mimi":
    if config.speech == "wav2vec2":
        return Wav2vec2(config.wav2vec2, weights)
    return Mimi(weights.under("acoustic_model"))


def cells(source: int, target: int) -> Tensor:
    """(target, source): averages over whole cells that may overlap, as adaptive average pooling takes them."""
    made = torch.zeros(target, source)
    for row in range(target):
        first, last = row * source // target, -(-(row + 1) * source // target)
        made[row, first:last] = 1 / (last - first)
    return made
