"""Mimi (Défossez et al. 2024) as the release's other speech encoder: sound → codes → the 512 numbers they stand for.

The network is transformers'; its config stands in the code there, nothing is fetched.
"""

import math
from functools import cache
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artalk.errors import needs
from artalk.models.released.config import SAMPLE_RATE
from artalk.models.released.weights import Weights

RATE = 24_000

WIDTH, ROLLOFF = 6, 0.99
"""Zero crossings and pass band of the resampler's kernel, torchaudio's defaults, which the release uses."""


@final
class Mimi(nn.Module):
    """(batch, samples) at 16 kHz → (batch, features, 512), 12.5 a second."""

    kernel: Tensor

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        package: Any = needs("transformers", "encoders", "the Mimi variant of the released model")
        with torch.device("meta"):
            self.net: Any = package.MimiModel(package.MimiConfig())
        state = {name: weights[name] for name in self.net.state_dict()}
        self.net.load_state_dict(state, assign=True)
        # What is no weight was left on the meta device; a network made in earnest has it.
        _fill_tables(self.net, package)
        self.net.eval()
        common = math.gcd(SAMPLE_RATE, RATE)
        self.up, self.down = RATE // common, SAMPLE_RATE // common
        self.register_buffer("kernel", kernel(self.down, self.up), persistent=False)

    def count(self, samples: int) -> int:
        """How many features a window of so many samples has."""
        frame = int(RATE / self.net.config.frame_rate)
        return -(-(samples * self.up // self.down) // frame)

    def forward(self, sound: Tensor) -> Tensor:
        """The features of whole windows."""
        wide = resampled(sound, self.kernel, self.down, self.up)
        codes = self.net.encode(wide[:, None]).audio_codes
        return self.net.quantizer.decode(codes).transpose(1, 2)


def resampled(sound: Tensor, table: Tensor, down: int, up: int) -> Tensor:
    """(batch, samples) → (batch, ceil(samples · up / down)) by the kernels of `kernel`."""
    reach = (table.shape[-1] - down) // 2
    padded = F.pad(sound, (reach, reach + down))
    made = F.conv1d(padded[:, None], table[:, None], stride=down)
    return made.transpose(1, 2).flatten(1)[:, : -(-sound.shape[-1] * up // down)]


def kernel(down: int, up: int) -> Tensor:
    """(up, taps): a sinc under a Hann window for each phase between two input samples."""
    base = min(down, up) * ROLLOFF
    taps = math.ceil(WIDTH * down / base)
    place = torch.arange(-taps, taps + down, dtype=torch.float64) / down
    times = (torch.arange(0, -up, -1, dtype=torch.float64)[:, None] / up + place) * base
    times = times.clamp(-WIDTH, WIDTH)
    window = torch.cos(times * torch.pi / WIDTH / 2) ** 2
    return (torch.sinc(times) * window * base / down).float()


@cache
def shapes() -> dict[str, tuple[int, ...]]:
    """Every tensor of Mimi by transformers' names."""
    package: Any = needs("transformers", "encoders", "the Mimi variant of the released model")
    with torch.device("meta"):
        state: dict[str, Tensor] = package.MimiModel(package.MimiConfig()).state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _fill_tables(net: nn.Module, package: Any) -> None:
    """Buffers that are not saved (rotary frequencies, paddings of convolutions), from a network of real numbers."""
    absent = [name for name, buffer in net.named_buffers() if buffer.is_meta]
    if not absent:
        return
    real: Any = package.MimiModel(package.MimiConfig())
    for name in absent:
        parent, _, last = name.rpartition(".")
        setattr(net.get_submodule(parent), last, real.get_buffer(name))
