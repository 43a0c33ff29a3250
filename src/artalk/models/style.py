"""Style: a clip of motion of any length from a second → a vector that says how, not what."""

from dataclasses import dataclass
from typing import cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artalk.errors import BadInput
from artalk.models.nn.transformer import bias, blocks, check_heads, turns


@dataclass(frozen=True)
class StyleConfig:
    """`size` of the vector; `least` frames of a clip; `temperature` of the contrast (DiffPoseTalk: 0.1)."""

    size: int = 64
    width: int = 96
    heads: int = 4
    depth: int = 2
    least: int = 25
    temperature: float = 0.1

    def __post_init__(self) -> None:
        check_heads(self.width, self.heads)


@final
class Style(nn.Module):
    """A transformer over the frames, then the mean over the real ones, then unit length (DiffPoseTalk's design).

    Frames know their times: the released encoder adds one and the same position to every frame and cannot tell a clip
    from its frames shuffled. Because vectors have unit length, mixing two is interpolating them.
    """

    def __init__(self, config: StyleConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        self.lift = nn.Linear(2 * channels, config.width)
        self.blocks = blocks(config.width, config.heads, config.depth)
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, config.size)
        self.null = nn.Parameter(torch.zeros(config.size))
        """What stands for "no style asked for"."""

    def forward(self, clip: Tensor, observed: Tensor | None = None, frames: Tensor | None = None) -> Tensor:
        """(batch, size) unit vectors of normalised `clip` (batch, frames, channels).

        `observed` (batch, channels) as in `Batch`; of clips shorter than the longest only the first `frames` (batch,)
        count.
        """
        batch, length, channels = clip.shape
        if not torch.compiler.is_exporting() and length < self.config.least:
            raise BadInput(f"a style clip has at least {self.config.least} frames, got {length}")
        observed = clip.new_ones(batch, channels) if observed is None else observed
        seen = observed[:, None].expand(-1, length, -1)
        clock = torch.arange(length, device=clip.device)
        real = None if frames is None else clock[None] < frames[:, None]
        times = turns(clock, self.config.width // self.config.heads, 250.0).to(clip.device)
        x = self.lift(torch.cat([clip * seen, seen], dim=-1))
        for block in self.blocks:
            x, _ = block(x, times, None if real is None else bias(real[:, None, None]))
        x = cast(Tensor, self.norm(x))
        counts = x.new_ones(batch, length) if real is None else real.to(x.dtype)
        pooled = (x * counts[..., None]).sum(dim=1) / counts.sum(dim=1, keepdim=True)
        return F.normalize(self.out(pooled), dim=-1)

    def contrast(self, styles: Tensor, others: Tensor, ids: Tensor) -> Tensor:
        """Supervised contrast (Khosla et al. 2020, eq. 2): vectors of the same way of moving close, others far.

        Two views (batch, size) each; `ids` (batch,) are equal for equal ways. 0 where all are the same.
        """
        views = torch.cat([styles, others])
        labels = torch.cat([ids, ids])
        likeness = views @ views.T / self.config.temperature
        itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
        log_chance = likeness - likeness.masked_fill(itself, float("-inf")).logsumexp(dim=1, keepdim=True)
        same = (labels[:, None] == labels[None]) & ~itself
        mean = (log_chance * same).sum(dim=1) / same.sum(dim=1)
        different = (labels[:, None] != labels[None]).any()
        return -mean.mean() * different
