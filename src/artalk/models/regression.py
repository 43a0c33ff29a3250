"""The baseline that any codebook has to beat on lips: the same speech encoder, straight to motion."""

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from artalk.config import from_json, to_json
from artalk.errors import BadFile, BadInput, MissingFile
from artalk.formats.atomic import atomic
from artalk.models.artalk import ArtalkConfig, seen_on
from artalk.models.batch import Batch
from artalk.models.codec import Codec
from artalk.models.losses import LinearRig, huber, lip_losses, masked_mean
from artalk.models.nn.transformer import Band, blocks, turns
from artalk.models.speech import choice
from artalk.models.speech.mel import FEATURES


@dataclass(frozen=True)
class RegressionSize:
    """As many parameters as the default model has in its trunks."""

    width: int = 256
    heads: int = 4
    depth: int = 5
    reach: int = 50


@final
class Regression(nn.Module):
    """Speech features → a transformer over frames → all channels, by L1 of motion and L2 of its velocity.

    It has no codes, no chance, no style and no memory: what is not in the sound becomes the mean. `codec` is there for
    its normalisation alone and stays untrained.
    """

    def __init__(self, config: ArtalkConfig, size: RegressionSize | None = None) -> None:
        super().__init__()
        self.config, self.size = config, size or RegressionSize()
        width = self.size.width
        self.codec = Codec(config.codec).requires_grad_(False)
        self.speech = choice.speech(config.speech, float(config.codec.rate))
        self.lift = nn.Linear(FEATURES * config.speech.width, width)
        self.blocks = blocks(width, self.size.heads, self.size.depth)
        self.lower = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, len(config.codec.space)))

    def forward(self, features: Tensor) -> Tensor:
        """(batch, frames, channels) normalised motion of speech features (batch, frames, …)."""
        x, frames = self.lift(features), features.shape[1]
        times = turns(torch.arange(frames), self.size.width // self.size.heads, 2.0 * self.size.reach).to(x.device)
        for block in self.blocks:
            x, _ = block(x, times, Band(self.size.reach, self.size.reach))
        return self.lower(x)

    def losses(
        self, batch: Batch, rng: torch.Generator | None = None, rig: LinearRig | None = None
    ) -> dict[str, Tensor]:
        """The losses by name and `total`: motion counts once, `velocity`, `lips`, `gap`, `phones` as their weights say.

        `lips` and `gap` need a `rig`. All pieces count alike: `batch.weight` is not asked.
        """
        if batch.sound is None:
            raise BadInput("a regression learns from motion with its sound, the batch has no sound")
        heard = choice.listen(self.speech, batch)
        error = self(heard) - self.codec.normalise(batch.motion)
        mask = batch.observed[:, None]
        step = error[:, 1:] - error[:, :-1]
        losses = {
            "regression": masked_mean(huber(error, self.config.weights.huber), mask),
            "velocity": masked_mean(step.square(), mask),
        }
        total = losses["regression"] + self.config.weights.velocity * losses["velocity"]
        rig = seen_on(rig, self.config.weights)
        if rig is not None:
            parts = lip_losses(rig, error * self.codec.deviation * mask, batch.motion * mask, mask)
            losses |= parts
            total = total + self.config.weights.lips * parts["lips"] + self.config.weights.gap * parts["gap"]
        if batch.phones is not None and self.config.speech.phones:
            known = batch.phones >= 0
            logits = self.speech.phone_logits(heard).transpose(1, 2)
            entropy = F.cross_entropy(logits, batch.phones.clamp(min=0), reduction="none")
            losses["phones"] = masked_mean(entropy, known.float())
            total = total + self.config.weights.phones * losses["phones"]
        return losses | {"total": total}

    @torch.no_grad()
    def generate(self, sound: Tensor) -> Tensor:
        """(batch, frames, channels) motion in real units of `sound` (batch, samples), whole frames."""
        speech = self.speech
        frames = -(-sound.shape[1] // speech.hop)
        after = (frames + self.config.speech.lookahead) * speech.hop - sound.shape[1]
        padded = F.pad(sound, (self.config.speech.past * speech.hop, after))
        return self.codec.real(self(speech(padded).features))

    def save(self, path: Path, card: dict[str, Any]) -> None:
        """Write `.safetensors` with config and card in its header."""
        header = {"artalk.kind": "regression", "artalk.config": to_json(self.config), "artalk.card": json.dumps(card)}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        with atomic(path) as temporary:
            importlib.import_module("safetensors.torch").save_file(tensors, temporary, header)

    @classmethod
    def load(cls, path: Path) -> "Regression":
        """Read what `save` wrote, of the default size."""
        header = _header(path)
        if header.get("artalk.kind") != "regression":
            raise BadFile(f"{str(path)!r} holds no regression baseline")
        model = cls(from_json(ArtalkConfig, header["artalk.config"]))
        model.load_state_dict(importlib.import_module("safetensors.torch").load_file(path))
        return model.eval()

    @staticmethod
    def holds(path: Path) -> bool:
        """Whether the file is one that `save` wrote."""
        return _header(path).get("artalk.kind") == "regression"


def _header(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise MissingFile(f"a trained model is a .safetensors file, none is at {str(path)!r}")
    try:
        with importlib.import_module("safetensors").safe_open(path, "np") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        raise BadFile(f"{str(path)!r} is no .safetensors file: {error}") from error
