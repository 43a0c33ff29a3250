"""A pretrained speech encoder in the place of our own: chunks with their margins, frozen or tuned.

Such an encoder looks at all that it is given, both ways. It is given pieces of one fixed length: a chunk, what was
heard before and a little of what comes. So training, a file and a live stream hear the same, and the latency is known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artalk.config import to_json
from artalk.errors import BadInput
from artalk.models.speech.architectures import HOP, RATE, Architecture, build, digest, named, read
from artalk.models.speech.encoder import Encoder, Heard
from artalk.models.speech.mel import FEATURES


@dataclass(frozen=True)
class PretrainedConfig:
    """`encoder`: a name of `architectures.PRESETS`, or sizes of one's own; its first `layers` layers are used (0: all).

    It hears `chunk` frames at a time with `back` frames before and `ahead` frames after them; `chunk` divides the
    model's window. Its features become `width` wide. `tune`: the encoder stays "frozen", or its transformer's "layers"
    or "all" of it learn too. `phones` are the names that the auxiliary head tells apart, silence first.
    """

    encoder: str | Architecture
    layers: int = 0
    chunk: int = 100
    back: int = 25
    ahead: int = 5
    width: int = 192
    tune: Literal["frozen", "layers", "all"] = "frozen"
    dropout: float = 0.0
    phones: tuple[str, ...] = ()
    sample_rate: int = RATE

    def __post_init__(self) -> None:
        named(self.encoder)
        if self.sample_rate != RATE:
            raise BadInput(f"speech encoders are given {RATE} samples a second, got {self.sample_rate}")
        if self.chunk < 1 or min(self.back, self.ahead) < 0 or self.width < 1:
            raise BadInput("chunk and width are at least 1, back and ahead at least 0")

    @property
    def architecture(self) -> Architecture:
        """The encoder's sizes."""
        return named(self.encoder)

    @property
    def lookahead(self) -> int:
        """Frames of sound after a chunk that its features hear."""
        return self.ahead

    @property
    def past(self) -> int:
        """Frames of sound before a chunk that a step must be given."""
        return self.back


@final
class Pretrained(Encoder):
    """Sound → features and phone logits, as `mel.Speech`; `level` is carried along and says nothing."""

    def __init__(self, config: PretrainedConfig, fps: float) -> None:
        super().__init__()
        self.config = config
        self.hop = round(RATE / fps)
        if fps * HOP != RATE:
            raise BadInput(f"speech encoders make features for {RATE / HOP:g} frames a second, got {fps:g}")
        shape = config.architecture
        self.encoder = build(shape, config.layers, config.dropout)
        self.norm = nn.LayerNorm(shape.width)
        self.project = nn.Linear(shape.width, config.width * FEATURES // shape.pace)
        self.phones = nn.Linear(config.width, max(len(config.phones), 1))
        self.encoder.requires_grad_(config.tune != "frozen")
        self.train()
        if config.tune == "layers":
            for parameter in self.encoder.convolutions():
                parameter.requires_grad_(False)

    def read(self, folder: str | Path) -> None:
        """Take the encoder's weights from a local folder; see `architectures.read`."""
        read(self.encoder, self.config.architecture, folder)

    def tuned(self) -> Iterator[nn.Parameter]:
        """The encoder's parameters that learn: slower than those that begin with nothing."""
        return (parameter for parameter in self.encoder.parameters() if parameter.requires_grad)

    def fingerprint(self) -> str:
        """The SHA-256 of all that the encoder's features depend on but the sound."""
        config = self.config
        facts = to_json(config.architecture), str((config.layers, config.chunk, config.back, config.ahead))
        return digest(self.encoder.state_dict(), *facts)

    def train(self, mode: bool = True) -> "Pretrained":
        """Set training mode for everything that learns."""
        super().train(mode)
        if self.config.tune == "frozen":
            self.encoder.eval()
        return self

    @property
    def reach(self) -> PretrainedConfig:
        """How far it hears."""
        return self.config

    def fresh(self, batch: int) -> Tensor:
        """(batch, 1): nothing is remembered but the sound itself."""
        return self.norm.weight.new_zeros(batch, 1)

    def forward(self, sound: Tensor, level: Tensor | None = None) -> Heard:
        """Hear `sound` (batch, (past + frames + lookahead) · hop), chunk by chunk from its first frame on."""
        # An exported graph needs an output of its own for each state, and an input that something depends on.
        after = self.fresh(len(sound)) if level is None else 0.5 * level
        return Heard(self.lift(self.raw(sound)), after)

    def raw(self, sound: Tensor) -> Tensor:
        """(batch, frames, pace · encoder width): the encoder's own features of `sound` as in `forward`."""
        config = self.config
        margin = config.past + config.lookahead
        frames = sound.shape[1] // HOP - margin
        if sound.shape[1] % HOP or frames < 1:
            raise BadInput(
                f"the speech encoder hears {config.past} + n + {config.lookahead} frames of {HOP} samples, n ≥ 1, "
                f"got {sound.shape[1]} samples"
            )
        chunks = -(-frames // config.chunk)
        padded = F.pad(sound, (0, (chunks * config.chunk - frames) * HOP))
        pieces = padded.unfold(1, (config.chunk + margin) * HOP, config.chunk * HOP).flatten(0, 1)
        learns = torch.is_grad_enabled() and config.tune != "frozen"
        with torch.set_grad_enabled(learns):
            heard = self.encoder(pieces)
        pace = config.architecture.pace
        heard = heard[:, config.past * pace : (config.past + config.chunk) * pace]
        return heard.reshape(sound.shape[0], chunks * config.chunk, -1)[:, :frames]

    def lift(self, raw: Tensor) -> Tensor:
        """(batch, frames, FEATURES · width) of features of `raw`, fresh or from the disk."""
        pace = self.config.architecture.pace
        each = raw.reshape(*raw.shape[:2], pace, -1)
        return cast(Tensor, self.project(self.norm(each))).flatten(-2)

    def phone_logits(self, features: Tensor) -> Tensor:
        """(batch, frames · FEATURES, phones) of `features` of `forward`."""
        return self.phones(features.reshape(features.shape[0], -1, self.config.width))
