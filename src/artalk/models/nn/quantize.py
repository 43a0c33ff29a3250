"""Quantising: binary spherical and vector codebooks behind one interface, and the residual pyramid over time scales."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artalk.errors import BadInput
from artalk.models.nn.precision import exact
from artalk.models.nn.resample import area, linear


@dataclass(frozen=True, eq=False)
class Quantized:
    """`codes` of tokens, the `values` (…, width) that they stand for, and `losses` by name that shape the codebook."""

    codes: Tensor
    values: Tensor
    losses: dict[str, Tensor] = field(default_factory=dict[str, Tensor])


class Quantizer(nn.Module, ABC):
    """A finite set of token values, and what a model must know to predict, draw and spoil them.

    `width` numbers a token, `logits` numbers that a head must give for one, `noise` uniform numbers that drawing one
    takes.
    """

    width: int
    logits: int
    noise: int

    @abstractmethod
    def quantize(self, tokens: Tensor) -> Quantized:
        """The codes nearest to `tokens` (…, width)."""

    @abstractmethod
    def values(self, codes: Tensor) -> Tensor:
        """(…, width) that `codes` stand for."""

    @abstractmethod
    def cross_entropy(self, logits: Tensor, codes: Tensor) -> Tensor:
        """(…,) of each token, in nats, divided by the number of decisions that a token is."""

    @abstractmethod
    def choose(self, logits: Tensor, noise: Tensor, temperature: Tensor, top_p: Tensor) -> Tensor:
        """Codes drawn by `noise` (…, noise) in [0, 1); at temperature 0 the likeliest, whatever the noise.

        `temperature` and `top_p` broadcast against (…, 1).
        """

    @abstractmethod
    def expected(self, logits: Tensor) -> Tensor:
        """(…, width): the mean value under `logits`."""

    @abstractmethod
    def corrupt(self, codes: Tensor, ratio: Tensor, rng: torch.Generator | None) -> Tensor:
        """Codes of which a share `ratio` (broadcast against codes) is replaced by wrong ones."""


@final
class BinarySphere(Quantizer):
    """Binary spherical quantisation (Zhao, Xiong & Krähenbühl 2024): a token is `bits` signs on the unit sphere.

    Codes are (…, bits) floats 0 or 1, values ±1/√bits. No codebook to learn, and its 2^bits entries are predicted as
    independent bits. The entropy loss is the paper's eq. 12: sure of each token, undecided on average.
    """

    def __init__(self, bits: int, sharpness: float = 20.0) -> None:
        super().__init__()
        if bits < 1:
            raise BadInput(f"a token has at least one bit, got {bits}")
        self.width = self.logits = self.noise = bits
        self.sharpness = sharpness

    def quantize(self, tokens: Tensor) -> Quantized:
        """Signs."""
        codes = (tokens > 0).to(tokens.dtype)
        unit = F.normalize(tokens, dim=-1)
        # P(bit = 1) under a softmax over the two nearest corners, sharpened.
        chance = torch.sigmoid(4 * self.sharpness * unit / self.width**0.5)
        sure = _bit_entropy(chance).mean()
        varied = _bit_entropy(chance.flatten(0, -2).mean(dim=0)).mean()
        return Quantized(codes, self.values(codes), {"entropy": sure - varied})

    def values(self, codes: Tensor) -> Tensor:
        """±1/√bits."""
        return (2 * codes - 1) / self.width**0.5

    def cross_entropy(self, logits: Tensor, codes: Tensor) -> Tensor:
        """The mean over bits."""
        return F.binary_cross_entropy_with_logits(logits, codes, reduction="none").mean(dim=-1)

    def choose(self, logits: Tensor, noise: Tensor, temperature: Tensor, top_p: Tensor) -> Tensor:
        """Every bit by itself."""
        return (logits > self.threshold(noise, temperature, top_p)).to(logits.dtype)

    def threshold(self, noise: Tensor, temperature: Tensor, top_p: Tensor) -> Tensor:
        """The logits above which bits are 1: noise < σ(x / temperature), solved for x.

        Nucleus sampling over two: a bit whose likelier side reaches `top_p` is decided.
        """
        decided = _logit(top_p.clamp(min=0.5))
        return temperature * torch.minimum(torch.maximum(_logit(noise), -decided), decided)

    def expected(self, logits: Tensor) -> Tensor:
        """Each bit's mean."""
        # 2σ(x) - 1 = tanh(x / 2)
        return torch.tanh(logits / 2) / self.width**0.5

    def corrupt(self, codes: Tensor, ratio: Tensor, rng: torch.Generator | None) -> Tensor:
        """Flip bits."""
        flip = torch.rand(codes.shape, generator=rng, device=codes.device) < ratio
        return torch.where(flip, 1 - codes, codes)


@final
class VectorCodebook(Quantizer):
    """A learned codebook (van den Oord et al. 2017), ARTalk's 256 × 64: codes are (…,) integers.

    Straight-through, with the codebook pulled to the tokens by its own loss; in training, entries that nobody has used
    for long are put where tokens are (`revive`), which keeps a small codebook whole.
    """

    usage: Tensor

    def __init__(self, entries: int = 256, width: int = 64, decay: float = 0.99) -> None:
        super().__init__()
        self.entries, self.width, self.logits, self.noise = entries, width, entries, 1
        self.decay = decay
        self.codebook = nn.Parameter(torch.randn(entries, width) / width**0.5)
        self.register_buffer("usage", torch.full((entries,), 1.0 / entries))

    def quantize(self, tokens: Tensor) -> Quantized:
        """The nearest entries; in training their use is counted."""
        flat = tokens.detach().flatten(0, -2)
        distance = self.codebook.square().sum(dim=-1) - 2 * flat @ self.codebook.T
        codes = distance.argmin(dim=-1).reshape(tokens.shape[:-1])
        if self.training:
            self._count(codes)
        values = self.values(codes)
        return Quantized(codes, values, {"codebook": F.mse_loss(values, tokens.detach())})

    def values(self, codes: Tensor) -> Tensor:
        """Rows of the codebook."""
        return F.embedding(codes, self.codebook)

    def cross_entropy(self, logits: Tensor, codes: Tensor) -> Tensor:
        """Of the softmax over entries."""
        return F.cross_entropy(logits.flatten(0, -2), codes.flatten(), reduction="none").reshape(codes.shape)

    def choose(self, logits: Tensor, noise: Tensor, temperature: Tensor, top_p: Tensor) -> Tensor:
        """Nucleus sampling: of the likeliest entries, as many as it takes to reach `top_p`."""
        ranked, entries = torch.sort(logits, dim=-1, descending=True)
        chance = torch.softmax(ranked / temperature.clamp(min=1e-4), dim=-1)
        before = torch.cumsum(chance, dim=-1) - chance
        kept = torch.where(before < top_p, chance, torch.zeros_like(chance))
        reached = torch.cumsum(kept, dim=-1)
        drawn = (reached <= noise * reached[..., -1:]).sum(dim=-1, keepdim=True).clamp(max=self.entries - 1)
        drawn = torch.where(temperature <= 0, torch.zeros_like(drawn), drawn)
        return torch.gather(entries, -1, drawn)[..., 0]

    def expected(self, logits: Tensor) -> Tensor:
        """The mean entry."""
        return torch.softmax(logits, dim=-1) @ self.codebook

    def corrupt(self, codes: Tensor, ratio: Tensor, rng: torch.Generator | None) -> Tensor:
        """Replace by any other entry."""
        shape, device = codes.shape, codes.device
        wrong = torch.randint(1, self.entries, shape, generator=rng, device=device)
        spoil = torch.rand(shape, generator=rng, device=device) < ratio[..., 0]
        return torch.where(spoil, (codes + wrong) % self.entries, codes)

    @torch.no_grad()
    def revive(self, tokens: Tensor, rng: torch.Generator | None, least: float = 0.03) -> int:
        """Move entries used less than `least` of the fair share to `tokens` (…, width); returns how many moved."""
        flat = tokens.flatten(0, -2)
        dead = torch.nonzero(self.usage < least / self.entries)[:, 0]
        chosen = torch.randint(len(flat), (len(dead),), generator=rng, device=flat.device)
        self.codebook[dead] = flat[chosen].to(self.codebook.dtype)
        self.usage[dead] = 1.0 / self.entries
        return len(dead)

    @torch.no_grad()
    def _count(self, codes: Tensor) -> None:
        share = torch.bincount(codes.flatten(), minlength=self.entries).float() / codes.numel()
        self.usage.lerp_(share, 1 - self.decay)


@dataclass(frozen=True, eq=False)
class Levels:
    """A window's codes, coarse scales first.

    `codes[l]` of `scales[l]` tokens; `inputs[l]` (…, scales[l], width) is what is known before scale l, at its length;
    `values[l]`, as long, what scale l adds (another than its codes say where those were spoiled); `total` (…, frames,
    width) the sum of all; `losses` by name.
    """

    codes: list[Tensor]
    inputs: list[Tensor]
    values: list[Tensor]
    total: Tensor
    losses: dict[str, Tensor]


@final
class Pyramid(nn.Module):
    """Residual quantisation over time scales (ARTalk section 3.2; VAR, Tian et al. 2024, algorithm 1).

    Scale l quantises the area average of what the scales before left over: r ← r - up(quantise(down(r))). `up` is
    linear, followed by a small convolution that repairs what was lost (VAR's φ). Each scale has a learned gain: the
    residual shrinks from scale to scale, while the codes of a sphere do not.
    """

    def __init__(self, quantizer: Quantizer, scales: tuple[int, ...], frames: int) -> None:
        super().__init__()
        if not scales or list(scales) != sorted(set(scales)) or scales[0] < 1 or scales[-1] > frames:
            raise BadInput(f"scales rise from at least 1 to at most {frames} frames, got {list(scales)}")
        self.quantizer = quantizer
        self.scales, self.frames = scales, frames
        self.gains = nn.Parameter(0.75 ** torch.arange(len(scales), dtype=torch.float32))
        self.repair = nn.ModuleList(nn.Conv1d(quantizer.width, quantizer.width, 3, padding=1) for _ in scales)
        for conv in self.repair:
            nn.init.zeros_(cast(nn.Conv1d, conv).weight)
            nn.init.zeros_(cast(Tensor, cast(nn.Conv1d, conv).bias))
        for i, scale in enumerate(scales):
            self.register_buffer(f"down{i}", area(frames, scale), persistent=False)
            self.register_buffer(f"up{i}", linear(scale, frames), persistent=False)

    @property
    def tokens(self) -> int:
        """Tokens of a window."""
        return sum(self.scales)

    def down(self, x: Tensor, level: int) -> Tensor:
        """(…, frames, n) averaged to (…, scales[level], n)."""
        return cast(Tensor, getattr(self, f"down{level}")) @ x

    def part(self, values: Tensor, level: int) -> Tensor:
        """(…, frames, width) that the `values` (…, scales[level], width) of a scale add to the whole."""
        spread = cast(Tensor, getattr(self, f"up{level}")) @ (values * self.gains[level])
        flat = spread.reshape(-1, self.frames, self.quantizer.width).transpose(1, 2)
        return spread + self.repair[level](flat).transpose(1, 2).reshape(spread.shape)

    def encode(
        self,
        latents: Tensor,
        ratio: Tensor | None = None,
        rng: torch.Generator | None = None,
        done: Sequence[Tensor] | None = None,
    ) -> Levels:
        """Quantise `latents` (…, frames, width).

        With `ratio` (…, levels) that share of each scale's codes is spoiled *after* they are noted as the target, and
        later scales are coded from the residual that remains: they learn to mend (Infinity's bitwise self-correction,
        Han et al. 2024, algorithm 1). What was `done` instead of the codes, values (…, scales[l], width) of each scale,
        is mended likewise. The gradient of `total` reaches the encoder straight through, and the gains and repairs as
        themselves.
        """
        with exact(latents.device):
            return self._encode(latents.float(), ratio, rng, done)

    def _encode(
        self, latents: Tensor, ratio: Tensor | None, rng: torch.Generator | None, done: Sequence[Tensor] | None
    ) -> Levels:
        total = torch.zeros_like(latents)
        codes: list[Tensor] = []
        inputs: list[Tensor] = []
        added: list[Tensor] = []
        losses: dict[str, Tensor] = {}
        for level in range(len(self.scales)):
            inputs.append(self.down(total, level).detach())
            left = self.down(latents - total.detach(), level) / self.gains[level].detach()
            made = self.quantizer.quantize(left)
            codes.append(made.codes)
            for name, value in made.losses.items():
                losses[name] = losses.get(name, torch.zeros_like(value)) + value / len(self.scales)
            values = self._spoiled(made, level, ratio, rng) if done is None else done[level]
            added.append(values.detach())
            total = total + self.part(values, level)
        losses["commitment"] = F.mse_loss(latents, total.detach())
        losses["codebook"] = losses.get("codebook", torch.zeros_like(losses["commitment"])) + F.mse_loss(
            total, latents.detach()
        )
        return Levels(codes, inputs, added, total + latents - latents.detach(), losses)

    def decode(self, codes: list[Tensor]) -> Tensor:
        """(…, frames, width) of codes of all scales."""
        parts = [self.part(self.quantizer.values(code), level) for level, code in enumerate(codes)]
        return torch.stack(parts).sum(dim=0)

    def _spoiled(self, made: Quantized, level: int, ratio: Tensor | None, rng: torch.Generator | None) -> Tensor:
        if ratio is None or level + 1 == len(self.scales):
            return made.values
        return self.quantizer.values(self.quantizer.corrupt(made.codes, ratio[..., level, None, None], rng))


def _logit(chance: Tensor) -> Tensor:
    chance = chance.clamp(1e-7, 1 - 1e-7)
    return torch.log(chance / (1 - chance))


def _bit_entropy(chance: Tensor) -> Tensor:
    """Nats of a coin that shows 1 with `chance`."""
    chance = chance.clamp(1e-6, 1 - 1e-6)
    return -(chance * chance.log() + (1 - chance) * (1 - chance).log())
