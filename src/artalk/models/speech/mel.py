"""The speech encoder without outside weights: log-mel, levelled as it goes, convolutions and a small transformer.

Everything is local: a feature hears `past` frames back and `lookahead` frames ahead and nothing else (but for the
running level), so that a long recording, a window with its margins and a live stream give the same numbers.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artalk.errors import BadInput
from artalk.models.nn.precision import exact
from artalk.models.nn.transformer import Band, Block, Seen, bias, blocks, check_heads, recalled, stored, turns
from artalk.models.speech.encoder import Encoder, Heard, State

SLICES = 4
"""Spectra a frame: every 10 ms at 25 fps."""

FEATURES = 2
"""Features a frame: every 20 ms at 25 fps, the pace of wav2vec 2.0 and HuBERT."""

WARM = 2
"""Frames before a window of which a step hears the sound again: one for the spectra, one for the convolutions."""

QUIETEST = 1e-11
"""Power added before the logarithm: digital silence stays finite. 16-bit dither lies above it."""


@dataclass(frozen=True)
class SpeechConfig:
    """`bands` of the mel spectrum; `width`, `depth`, `heads` of the transformer, each layer of which sees `back` and
    `ahead` features (20 ms at 25 fps); `level_seconds` the memory of the running level, `level_ahead` the frames by
    which it may look ahead (-1: it knows earlier frames alone, which saves a live model one frame); `phones` the names
    that the auxiliary head tells apart, silence first.
    """

    sample_rate: int = 16000
    bands: int = 64
    width: int = 192
    depth: int = 4
    heads: int = 4
    back: int = 24
    ahead: int = 5
    level_seconds: float = 4.0
    level_ahead: int = 3
    dropout: float = 0.0
    phones: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_heads(self.width, self.heads)
        if self.level_ahead < -1:
            raise BadInput(f"level_ahead is at least -1 frames, got {self.level_ahead}")

    @property
    def lookahead(self) -> int:
        """Frames of sound after a frame that its features hear, for attention, level, spectra and convolutions."""
        return 2 + math.ceil(self.depth * self.ahead / FEATURES) + self.level_ahead

    @property
    def past(self) -> int:
        """Frames of sound before a frame that a step must be given: what features hear, and one that warms up."""
        return 2 + math.ceil(self.depth * self.back / FEATURES)


@final
class Speech(Encoder):
    """Sound → features and phone logits.

    Where attention looks back alone (`ahead` 0), `step` keeps what it needs of earlier features and hears only what is
    new.
    """

    basis: Tensor
    filters: Tensor

    def __init__(self, config: SpeechConfig, fps: float) -> None:
        super().__init__()
        self.config = config
        self.fps = fps
        self.hop = round(config.sample_rate / fps)
        if self.hop * fps != config.sample_rate or self.hop % SLICES:
            raise BadInput(f"{config.sample_rate} Hz at {fps} fps is no multiple of {SLICES} samples a frame")
        self.slice = self.hop // SLICES
        self.size = self.slice * 5 // 2
        self.register_buffer("basis", _fourier(self.size), persistent=False)
        self.register_buffer(
            "filters", _mel(config.bands, self.basis.shape[0] // 2, config.sample_rate), persistent=False
        )
        self.prior = nn.Parameter(torch.full((config.bands,), -7.0))
        self.first = nn.Conv1d(config.bands, config.width, 5, padding=2)
        self.second = nn.Conv1d(config.width, config.width, 4, stride=SLICES // FEATURES, padding=1)
        self.blocks = blocks(config.width, config.heads, config.depth, dropout=config.dropout)
        self.norm = nn.LayerNorm(config.width)
        self.phones = nn.Linear(config.width, max(len(config.phones), 1))

    @property
    def reach(self) -> SpeechConfig:
        """How far it hears."""
        return self.config

    def fresh(self, batch: int) -> Tensor:
        """(batch, bands + 1): the level before any sound, a typical voice that the first words outweigh.

        It is the weighted sum of log-mel spectra, then the sum of weights.
        """
        weight = self.prior.new_full((1,), 1e-4)
        return torch.cat([self.prior * weight, weight]).expand(batch, -1)

    def forward(self, sound: Tensor, level: Tensor | None = None) -> Heard:
        """Hear `sound` (batch, (past + frames + lookahead) · hop); `level` is that at its first frame but one.

        Changing the loudness of everything by one factor changes features only before the first words.
        """
        config = self.config
        total = sound.shape[1] // self.hop
        frames = total - config.past - config.lookahead
        if sound.shape[1] % self.hop or frames < 1:
            raise BadInput(
                f"the speech encoder hears {config.past} + n + {config.lookahead} frames of {self.hop} samples, n ≥ 1, "
                f"got {sound.shape[1]} samples"
            )
        x, level = self._lift(sound, self.fresh(len(sound)) if level is None else level, frames)
        times = self._turns(0, x.shape[1])
        for block in self.blocks:
            x, _ = block(x, times, Band(config.back, config.ahead))
        x = cast(Tensor, self.norm(x))
        start = FEATURES * (config.past - 1)
        x = x[:, start : start + FEATURES * frames]
        return Heard(x.reshape(sound.shape[0], frames, FEATURES * config.width), level)

    @torch.no_grad()
    def begin(self, batch: int) -> State:
        """What `step` starts from: silence, of which it remembers keys and values where attention looks back alone."""
        state, config = super().begin(batch), self.config
        if config.ahead:
            return state
        x, _ = self._lift(F.pad(state["sound"], (0, self.hop)), state["level"], config.past - 1)
        x = x[:, :-FEATURES]
        seen: list[Seen] = []
        for block in self.blocks:
            x, own = cast(Block, block)(x, self._turns(0, x.shape[1]), Band(config.back, 0))
            seen.append(own)
        decay = self._decay ** (config.past - WARM)
        sound = state["sound"][:, : WARM * self.hop]
        return {"sound": sound, "level": decay * state["level"], "keys": stored(seen)[..., -config.back :, :]}

    def step(self, state: Mapping[str, Tensor], sound: Tensor) -> tuple[Tensor, State]:
        """Features of a window and the next state; see `Encoder`.

        At the very beginning a step takes the silence before for endless, of which `forward` knows that it ends.
        """
        if "keys" not in state:
            return super().step(state, sound)
        full, back = torch.cat([state["sound"], sound], dim=1), self.config.back
        frames = full.shape[1] // self.hop - WARM - self.config.lookahead
        x, level = self._lift(full, state["level"], frames)
        x = x[:, FEATURES * (WARM - 1) :][:, : FEATURES * frames]
        count, tokens = x.shape[:2]
        age = torch.arange(tokens)[:, None] + back - torch.arange(back + tokens)[None]
        near = bias((age >= 0) & (age <= back)).to(x.device)
        before = recalled(state["keys"], self._turns(-back, 0), self.config.depth)
        times, x = self._turns(0, tokens), x.flatten(0, 1)
        seen: list[Seen] = []
        for block, context in zip(self.blocks, before, strict=True):
            x, own = cast(Block, block)(x, times, near, None, context)
            seen.append(own)
        after = {"sound": self._kept(full, state["sound"]), "level": level, "keys": stored(seen)[..., -back:, :]}
        return self.norm(x).reshape(count, frames, FEATURES * self.config.width), after

    def phone_logits(self, features: Tensor) -> Tensor:
        """(batch, frames · FEATURES, phones) of `features` of `forward`."""
        return self.phones(features.reshape(features.shape[0], -1, self.config.width))

    def log_mel(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, slices, bands) natural logs of power, and (batch, slices) amplitudes that say how much each counts.

        Slice j is centred on the middle of samples [j, j + 1) · hop / 4.
        """
        margin = (self.size - self.slice) // 2
        padded = F.pad(sound, (margin, self.size - self.slice - margin))[:, None]
        spectrum = F.conv1d(padded, self.basis, stride=self.slice)
        real, imaginary = spectrum.chunk(2, dim=1)
        power = torch.einsum("bft,fm->btm", real * real + imaginary * imaginary, self.filters)
        return torch.log(power + QUIETEST), torch.sqrt(power.mean(dim=-1))

    def _levelled(self, log_mel: Tensor, loudness: Tensor, level: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        """Spectra minus the loudness-weighted running mean of each band, over 3 and bounded; and the next level.

        The mean is what a microphone, a room and a gain add to every spectrum. Weighted by amplitude, silence does not
        move it.
        """
        decay = self._decay
        seen = torch.cat([log_mel * loudness[..., None], loudness[..., None]], dim=-1)
        seen = seen.reshape(seen.shape[0], -1, SLICES, seen.shape[-1]).sum(dim=2)
        total = seen.shape[1]
        # sums[t] = decay^(t+1) · level + Σ_{u ≤ t} decay^(t-u) · seen[u], taken `level_ahead` frames on.
        ends = (torch.arange(total, device=seen.device) + self.config.level_ahead).clamp(max=total - 1)
        age = ends[:, None] - torch.arange(total, device=seen.device)[None]
        weights = torch.where(age >= 0, decay ** age.clamp(min=0).float(), torch.zeros((), device=seen.device))
        sums = weights @ seen + (decay ** (ends + 1).float())[:, None] * level[:, None]
        mean = (sums[..., :-1] / sums[..., -1:]).repeat_interleave(SLICES, dim=1)
        after = (decay ** (frames - 1 - torch.arange(frames, device=seen.device)).float())[None] @ seen[:, :frames]
        return ((log_mel - mean) / 3).clamp(-2.5, 2.0), after[:, 0] + decay**frames * level

    def _lift(self, sound: Tensor, level: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        """(batch, tokens, width) of `sound` from its second frame on, before attention; the level after `frames`."""
        with exact(sound.device):
            log_mel, loudness = self.log_mel(sound.float())
            # The first spectra overlap the edge: their frame warms up and is left out.
            levelled, level = self._levelled(log_mel[:, SLICES:], loudness[:, SLICES:], level, frames)
        x = F.gelu(self.first(levelled.transpose(1, 2)))
        return F.gelu(self.second(x)).transpose(1, 2), level

    def _turns(self, start: int, stop: int) -> Tensor:
        """The rotary table of features `start` to `stop`."""
        config, clock = self.config, torch.arange(start, stop)
        return turns(clock, config.width // config.heads, config.back + config.ahead).to(self.prior.device)

    @property
    def _decay(self) -> float:
        """What is left of the level after a frame."""
        return math.exp(-1 / (self.config.level_seconds * self.fps))


def _fourier(size: int) -> Tensor:
    """(2 · bins, 1, size): a Hann-windowed Fourier basis, real parts first, scaled so that a full sine has power ¼."""
    time = torch.arange(size, dtype=torch.float64)
    points = 1 << (size - 1).bit_length()
    angle = 2 * math.pi * torch.arange(points // 2 + 1, dtype=torch.float64)[:, None] * (time + 0.5)[None] / points
    window = torch.sin(math.pi * (time + 0.5) / size) ** 2
    return (torch.cat([angle.cos(), -angle.sin()]) * window / window.sum())[:, None].float()


def _mel(bands: int, bins: int, sample_rate: int) -> Tensor:
    """(bins, bands): triangles of height 1, evenly spaced in mel from 50 Hz to Nyquist, at least one bin wide each."""
    hertz = torch.linspace(0, sample_rate / 2, bins, dtype=torch.float64)
    low, high = (2595 * math.log10(1 + f / 700) for f in (50.0, sample_rate / 2))
    corners = 700 * (10 ** (torch.linspace(low, high, bands + 2, dtype=torch.float64) / 2595) - 1)
    width = torch.maximum(torch.diff(corners), hertz[1])
    rising = (hertz[:, None] - (corners[1:-1] - width[:-1])) / width[:-1]
    falling = ((corners[1:-1] + width[1:]) - hertz[:, None]) / width[1:]
    return torch.minimum(rising, falling).clamp(min=0).float()
