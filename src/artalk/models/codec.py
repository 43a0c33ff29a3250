"""The codec: motion ⇄ codes on several time scales, two windows at a time (ARTalk section 3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, cast, final

import torch
from torch import Tensor, nn

from artalk.channels import ARKIT, FLAME, Channels
from artalk.errors import BadInput
from artalk.models.batch import Batch
from artalk.models.losses import LinearRig, masked_mean, phonetic_weight
from artalk.models.nn.quantize import BinarySphere, Levels, Pyramid, Quantizer, VectorCodebook
from artalk.models.nn.resample import centres
from artalk.models.nn.transformer import WindowStack, check_heads

SPACES = {space.name: space for space in (ARKIT, FLAME)}
"""The motion spaces that a model may speak, by name."""


@dataclass(frozen=True)
class StreamConfig:
    """A part of the face with codes of its own.

    `parts` are groups or single channels. `bits` of a binary token, or with `quantizer = "vector"` a codebook of
    `entries` × `code_width`. `encoder` and `decoder` count the layers of each.
    """

    parts: tuple[str, ...]
    quantizer: Literal["binary", "vector"] = "binary"
    bits: int = 32
    entries: int = 256
    code_width: int = 64
    width: int = 128
    heads: int = 4
    encoder: int = 2
    decoder: int = 3

    def __post_init__(self) -> None:
        check_heads(self.width, self.heads)


@dataclass(frozen=True)
class CodecWeights:
    """How much each loss counts. `motion` and `velocity` in standard deviations, `vertices`, `lips`, `vertex_velocity`
    in mm², `smooth` the squared second difference of the output in standard deviations; `phonetic` the sharpness of
    the phonetic weight on `motion` (0: every frame the same).
    """

    motion: float = 1.0
    vertices: float = 0.05
    lips: float = 0.1
    velocity: float = 1.0
    vertex_velocity: float = 0.2
    smooth: float = 0.02
    commitment: float = 0.2
    codebook: float = 0.2
    entropy: float = 0.05
    phonetic: float = 0.0


LIPS = StreamConfig(parts=("jaw", "mouth", "cheeks", "nose", "tongue"))
BROWS = StreamConfig(parts=("brows",), bits=16, width=64, decoder=2)
REST = StreamConfig(parts=("eyes", "head"), bits=24, width=96, decoder=2)


@dataclass(frozen=True)
class CodecConfig:
    """`window` frames coded at `scales`; `past` windows that encoder and decoder see before (the paper: 1)."""

    channels: str = "arkit"
    fps: str = "25"
    window: int = 100
    scales: tuple[int, ...] = (1, 5, 25, 50, 100)
    past: int = 1
    streams: dict[str, StreamConfig] = field(default_factory=lambda: {"lips": LIPS, "brows": BROWS, "rest": REST})
    weights: CodecWeights = CodecWeights()
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.channels not in SPACES:
            raise BadInput(f"channels is one of {', '.join(SPACES)}, got {self.channels!r}")
        taken = [column for stream in self.streams.values() for column in columns(self.space, stream.parts)]
        if sorted(taken) != list(range(len(self.space))):
            twice = {self.space.names[c] for c in taken if taken.count(c) > 1}
            missing = set(self.space.names) - {self.space.names[c] for c in taken}
            raise BadInput(f"streams share out all channels once; twice: {sorted(twice)}, missing: {sorted(missing)}")
        if self.window < 1 or self.past < 0:
            raise BadInput(f"a window has at least 1 frame and past is at least 0, got {self.window} and {self.past}")

    @property
    def space(self) -> Channels:
        """The motion space."""
        return SPACES[self.channels]

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        return Fraction(self.fps)


def columns(space: Channels, parts: tuple[str, ...]) -> list[int]:
    """The columns of groups and of single channels, in the order of `parts`."""
    groups = {group.name for group in space.groups}
    return [c for p in parts for c in (range(len(space))[space.slice(p)] if p in groups else [space.index(p)])]


@final
class StreamCodec(nn.Module):
    """Encoder, pyramid and decoder of one part of the face."""

    columns: Tensor
    times: Tensor

    def __init__(self, config: CodecConfig, stream: StreamConfig) -> None:
        super().__init__()
        found = columns(config.space, stream.parts)
        self.register_buffer("columns", torch.tensor(found), persistent=False)
        frames = centres(config.window, config.window)
        self.pyramid = Pyramid(_quantizer(stream), config.scales, config.window)

        def stack(depth: int) -> WindowStack:
            return WindowStack(
                stream.width, stream.heads, depth, config.past, config.window, frames, dropout=config.dropout
            )

        self.lift = nn.Linear(2 * len(found), stream.width)
        self.encoder = stack(stream.encoder)
        self.to_latents = nn.Sequential(nn.LayerNorm(stream.width), nn.Linear(stream.width, self.quantizer.width))
        self.from_latents = nn.Linear(self.quantizer.width, stream.width)
        self.decoder = stack(stream.decoder)
        self.lower = nn.Sequential(nn.LayerNorm(stream.width), nn.Linear(stream.width, len(found)))
        self.register_buffer("times", self.encoder.turns(frames), persistent=False)

    @property
    def quantizer(self) -> Quantizer:
        """The codes of one token."""
        return self.pyramid.quantizer

    def encode(self, motion: Tensor, observed: Tensor, known: Tensor) -> Tensor:
        """(batch, windows, window, code width) latents of normalised `motion` (batch, windows, window, all channels).

        `observed` (batch, all channels): the rest is taken for the mean and the encoder knows that it is not to be
        trusted. `known` (batch, windows, past).
        """
        seen = observed[:, None, None, self.columns].expand(*motion.shape[:-1], -1)
        x = self.lift(torch.cat([motion[..., self.columns] * seen, seen], dim=-1))
        return self.to_latents(self.encoder(x, self.times, None, x, known))

    def decode(self, latents: Tensor, known: Tensor) -> Tensor:
        """(batch, windows, window, stream channels) of summed codes (batch, windows, window, code width)."""
        x = self.from_latents(latents)
        return self.lower(self.decoder(x, self.times, None, x, known))

    def decode_next(self, latents: Tensor, memory: Tensor | None, known: Tensor) -> tuple[Tensor, Tensor | None]:
        """The same for one more window (batch, window, code width), given the decoder's memory; and what is to be
        remembered of it."""
        out, new = self.decoder.follow(self.from_latents(latents), self.times, memory, known)
        return self.lower(out), new


@final
class Codec(nn.Module):
    """Motion in real units ⇄ codes. `mean` and `deviation` (channels,) are set from the corpus by `measure`."""

    mean: Tensor
    deviation: Tensor
    bounded: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        space = config.space
        self.register_buffer("mean", torch.zeros(len(space)))
        self.register_buffer("deviation", torch.ones(len(space)))
        bounded = torch.zeros(len(space), dtype=torch.bool)
        bounded[space.of_kind("weight")] = True
        self.register_buffer("bounded", bounded, persistent=False)
        self.streams = nn.ModuleDict({name: StreamCodec(config, stream) for name, stream in config.streams.items()})

    def stream(self, name: str) -> StreamCodec:
        """The codec of one part of the face."""
        return cast(StreamCodec, self.streams[name])

    @torch.no_grad()
    def measure(self, mean: Tensor, deviation: Tensor, least: float = 0.02) -> None:
        """Set the normalisation; a channel that hardly moves is divided by `least`, not blown up."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation.clamp(min=least))

    def normalise(self, motion: Tensor) -> Tensor:
        """Real units → standard deviations from the mean."""
        return (motion - self.mean) / self.deviation

    def real(self, normalised: Tensor) -> Tensor:
        """Standard deviations → real units, weights within 0..1."""
        values = normalised * self.deviation + self.mean
        return torch.where(self.bounded, values.clamp(0, 1), values)

    def windows(self, motion: Tensor) -> Tensor:
        """(batch, windows, window, …) of (batch, frames, …); frames are whole windows."""
        if motion.shape[1] % self.config.window or not motion.shape[1]:
            raise BadInput(f"motion is whole windows of {self.config.window} frames, got {motion.shape[1]} frames")
        return motion.reshape(len(motion), -1, self.config.window, *motion.shape[2:])

    def encode(
        self,
        motion: Tensor,
        observed: Tensor,
        ratio: Mapping[str, Tensor] | None = None,
        rng: torch.Generator | None = None,
    ) -> dict[str, Levels]:
        """The codes of `motion` (batch, frames, channels) in real units by stream; `ratio` as in `Pyramid.encode`."""
        return self.quantise(self.latents(motion, observed), ratio, rng)

    def latents(self, motion: Tensor, observed: Tensor) -> dict[str, Tensor]:
        """What is quantised of `motion`, by stream: (batch, windows, window, code width)."""
        parts = self.windows(self.normalise(motion))
        known = all_known(len(parts), parts.shape[1], self.config.past, motion.device)
        return {name: self.stream(name).encode(parts, observed, known) for name in self.streams}

    def quantise(
        self,
        latents: Mapping[str, Tensor],
        ratio: Mapping[str, Tensor] | None = None,
        rng: torch.Generator | None = None,
    ) -> dict[str, Levels]:
        """The codes of `latents`; `ratio` as in `Pyramid.encode`."""
        return {
            name: self.stream(name).pyramid.encode(latent, None if ratio is None else ratio[name], rng)
            for name, latent in latents.items()
        }

    def decode(self, totals: Mapping[str, Tensor]) -> Tensor:
        """(batch, frames, channels) normalised motion of each stream's summed codes (batch, windows, window, width)."""
        first = next(iter(totals.values()))
        known = all_known(first.shape[0], first.shape[1], self.config.past, first.device)
        parts = {name: self.stream(name).decode(total, known) for name, total in totals.items()}
        return self.join(parts).flatten(1, 2)

    def join(self, parts: Mapping[str, Tensor]) -> Tensor:
        """(…, channels) of each stream's own columns."""
        order = torch.cat([self.stream(name).columns for name in parts])
        return torch.cat(list(parts.values()), dim=-1)[..., torch.argsort(order)]

    def forward(self, motion: Tensor, observed: Tensor) -> Tensor:
        """What is left of `motion` after coding and decoding, in real units."""
        return self.real(self.decode({name: level.total for name, level in self.encode(motion, observed).items()}))

    def losses(
        self, batch: Batch, rig: LinearRig | None = None, rng: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """The losses of ARTalk's stage 1 by name, unweighted, and `total`. Unobserved channels cost nothing.

        In training mode a vector codebook's idle entries are moved (by `rng`).
        """
        levels = self.encode(batch.motion, batch.observed, rng=rng)
        made = self.decode({name: level.total for name, level in levels.items()})
        losses = self.reconstruction(made, batch, rig)
        for part in levels.values():
            for name, value in part.losses.items():
                losses[name] = losses.get(name, torch.zeros_like(value)) + value / len(levels)
        weights = vars(self.config.weights)
        losses["total"] = torch.stack([value * weights[name] for name, value in losses.items()]).sum()
        if self.training:
            self._revive(batch, rng)
        return losses

    def reconstruction(self, made: Tensor, batch: Batch, rig: LinearRig | None = None) -> dict[str, Tensor]:
        """Distances of normalised motion `made` (batch, frames, channels) to the batch's (ARTalk eq. 3 to 5)."""
        true = self.normalise(batch.motion)
        mask = batch.observed[:, None]
        if batch.weight is not None:
            mask = mask * batch.weight[:, None, None]
        error = made - true
        step = error[:, 1:] - error[:, :-1]
        bend = made[:, 2:] - 2 * made[:, 1:-1] + made[:, :-2]
        emphasis = self.config.weights.phonetic
        frames = phonetic_weight(true * batch.observed[:, None], emphasis)[..., None] if emphasis else 1.0
        losses = {
            "motion": masked_mean(error.abs() * frames, mask),
            "velocity": masked_mean(step.square(), mask),
            "smooth": masked_mean(bend.square(), mask),
        }
        if rig is not None:
            # The rig is linear, so a difference of motions is a difference of vertices; unobserved channels add none.
            moved = rig.displacement(error * self.deviation * batch.observed[:, None])
            counts = (mask > 0).any(dim=-1, keepdim=True) * (mask.amax(dim=-1, keepdim=True))
            squared = moved.square().sum(dim=-1)
            losses["vertices"] = masked_mean(squared, counts)
            losses["lips"] = masked_mean(squared[..., rig.lips], counts)
            losses["vertex_velocity"] = masked_mean((moved[:, 1:] - moved[:, :-1]).square().sum(dim=-1), counts)
        return losses

    @torch.no_grad()
    def _revive(self, batch: Batch, rng: torch.Generator | None) -> None:
        if not any(isinstance(self.stream(name).quantizer, VectorCodebook) for name in self.streams):
            return
        parts = self.windows(self.normalise(batch.motion))
        known = all_known(len(parts), parts.shape[1], self.config.past, parts.device)
        for name in self.streams:
            quantizer = self.stream(name).quantizer
            if isinstance(quantizer, VectorCodebook):
                quantizer.revive(self.stream(name).encode(parts, batch.observed, known), rng)
                _agree(quantizer.codebook.data, quantizer.usage)


def all_known(batch: int, windows: int, past: int, device: torch.device | None = None) -> Tensor:
    """(batch, windows, past): which earlier windows there are when a piece begins with its first one; oldest first."""
    place = torch.arange(windows, device=device)[:, None]
    back = torch.arange(past, 0, -1, device=device)[None]
    return (place >= back)[None].expand(batch, -1, -1)


def _agree(*tensors: Tensor) -> None:
    """Several processes take what the first has: no gradient brings together what each of them overwrote by itself."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        for tensor in tensors:
            torch.distributed.broadcast(tensor, 0)


def _quantizer(stream: StreamConfig) -> Quantizer:
    if stream.quantizer == "binary":
        return BinarySphere(stream.bits)
    return VectorCodebook(stream.entries, stream.code_width)
