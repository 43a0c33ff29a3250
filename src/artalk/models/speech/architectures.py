"""Speech encoders that others have trained, through transformers: their shapes in code, their weights from a folder.

Nothing here knows of a hub: networks are built from the configs below, and tensors are read from files on the disk.
"""

import hashlib
import importlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artalk.errors import BadFile, BadInput, MissingFile, needs

Kind = Literal["wav2vec2", "hubert", "wavlm", "mimi"]

RATE = 16000
"""Samples a second that every encoder is given; Mimi's own 24,000 are made of them."""

HOP = 640
"""Samples a frame."""


@dataclass(frozen=True)
class Architecture:
    """A transformer of `layers` (`width`, `heads`, `inner` width of its feed-forward) over strided convolutions.

    `channels` of the convolutions (Mimi: of the first one; they double). For the wav2vec family: `norm` over time after
    the first convolution ("group") or after each ("layer"), whether convolutions have a `bias`, whether layers are
    `stable` (normalised before they attend), and the kernel and groups of the positional convolution.
    """

    kind: Kind
    width: int = 768
    layers: int = 12
    heads: int = 12
    inner: int = 3072
    channels: int = 512
    norm: Literal["group", "layer"] = "group"
    bias: bool = False
    stable: bool = False
    positions: int = 128
    position_groups: int = 16

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads, self.inner, self.channels) < 1 or self.width % self.heads:
            raise BadInput(f"an encoder has sizes of at least 1, and a width that {self.heads} heads divide")

    @property
    def pace(self) -> int:
        """Features a frame: one every 20 ms, or every 40 ms."""
        return 1 if self.kind == "mimi" else 2


_LARGE = Architecture("wav2vec2", 1024, 24, 16, 4096, norm="layer", bias=True, stable=True)

PRESETS: dict[str, Architecture] = {
    "wav2vec2-base": Architecture("wav2vec2"),
    "wav2vec2-large": replace(_LARGE, norm="group", bias=False, stable=False),
    "wav2vec2-large-lv60": _LARGE,
    "xls-r-300m": _LARGE,
    "xls-r-1b": replace(_LARGE, width=1280, layers=48, inner=5120),
    "hubert-base": Architecture("hubert"),
    "hubert-large": replace(_LARGE, kind="hubert"),
    "wavlm-base": Architecture("wavlm"),
    "wavlm-large": replace(_LARGE, kind="wavlm", bias=False),
    "mimi": Architecture("mimi", 512, 8, 8, 2048, channels=64),
}
"""The published ones by name, as their authors configured them."""


def named(encoder: str | Architecture) -> Architecture:
    """An architecture by its name, or itself."""
    if isinstance(encoder, Architecture):
        return encoder
    if encoder not in PRESETS:
        raise BadInput(f"a speech encoder is one of {', '.join(PRESETS)}, or a table of sizes, got {encoder!r}")
    return PRESETS[encoder]


def build(architecture: Architecture, layers: int = 0, dropout: float = 0.0) -> "Wave | Codec":
    """The encoder with random weights and its first `layers` layers (0: all)."""
    if not 0 <= layers <= architecture.layers:
        raise BadInput(f"of {architecture.layers} layers 1 to all can be used (0: all), got {layers}")
    shortened = replace(architecture, layers=layers or architecture.layers)
    return Codec(shortened) if shortened.kind == "mimi" else Wave(shortened, dropout)


class Wave(nn.Module):
    """wav2vec 2.0, XLS-R, HuBERT and WavLM: (batch, frames · 640) sound → (batch, frames · 2, width).

    Sound is brought to mean 0 and variance 1, as their extractors do. Feature j is centred on the half frame j.
    """

    def __init__(self, architecture: Architecture, dropout: float) -> None:
        super().__init__()
        transformers: Any = needs("transformers", "encoders", f"the {architecture.kind} speech encoder")
        prefix = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM"}[architecture.kind]
        # Masks and skipped layers draw from numpy's and torch's global state: training would not resume exactly.
        still = {"apply_spec_augment": False, "layerdrop": 0.0, "mask_time_prob": 0.0, "final_dropout": 0.0}
        dropouts = ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout")
        config = getattr(transformers, f"{prefix}Config")(
            hidden_size=architecture.width,
            num_hidden_layers=architecture.layers,
            num_attention_heads=architecture.heads,
            intermediate_size=architecture.inner,
            conv_dim=(architecture.channels,) * 7,
            conv_bias=architecture.bias,
            feat_extract_norm=architecture.norm,
            do_stable_layer_norm=architecture.stable,
            num_conv_pos_embeddings=architecture.positions,
            num_conv_pos_embedding_groups=architecture.position_groups,
            **still,
            **dict.fromkeys(dropouts, dropout),
        )
        self.net = getattr(transformers, f"{prefix}Model")(config)
        self.net.masked_spec_embed = None  # nothing is masked: it would be a weight without a use

    def forward(self, sound: Tensor) -> Tensor:
        """Features of whole frames of sound."""
        sound = sound.float()
        sound = sound - sound.mean(dim=1, keepdim=True)
        sound = sound * torch.rsqrt(sound.square().mean(dim=1, keepdim=True) + 1e-7)
        # A feature hears 400 samples, one begins every 320: 40 more at either end give each half frame one of its own.
        return self.net(F.pad(sound, (40, 40))).last_hidden_state

    def convolutions(self) -> Iterable[nn.Parameter]:
        """What is not tuned along with the layers."""
        return self.net.feature_extractor.parameters()

    @staticmethod
    def rename(name: str) -> str:
        """A published tensor's name as it is here: heads' prefixes go, the old spelling of weight norm becomes new."""
        for prefix in ("wav2vec2.", "hubert.", "wavlm."):
            name = name.removeprefix(prefix)
        for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
            name = name.replace(f".conv.{old}", f".conv.parametrizations.weight.{new}")
        return f"net.{name}"


class Codec(nn.Module):
    """Mimi up to its transformer, causal: (batch, frames · 640) sound at 16 kHz → (batch, frames, width)."""

    filters: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        transformers: Any = needs("transformers", "encoders", "the Mimi speech encoder")
        config = transformers.MimiConfig(
            hidden_size=architecture.width,
            num_filters=architecture.channels,
            num_hidden_layers=architecture.layers,
            num_attention_heads=architecture.heads,
            num_key_value_heads=architecture.heads,
            head_dim=architecture.width // architecture.heads,
            intermediate_size=architecture.inner,
            upsample_groups=architecture.width,
        )
        whole = transformers.MimiModel(config).encoder
        self.convolve, self.attend = whole.encoder_seanet, whole.encoder_transformer
        _settle(self.convolve)
        self.register_buffer("filters", _thirds(), persistent=False)

    def forward(self, sound: Tensor) -> Tensor:
        """Features of whole frames of sound."""
        hidden = self.convolve(self.resampled(sound.float())[:, None])
        return self.attend(hidden.transpose(1, 2), use_cache=False).last_hidden_state

    def resampled(self, sound: Tensor) -> Tensor:
        """(batch, 1.5 n) samples at 24 kHz of (batch, n) at 16 kHz, n even."""
        reach = self.filters.shape[-1] // 2 - 1
        threes = F.conv1d(F.pad(sound, (reach, reach))[:, None], self.filters, stride=2)
        return threes.transpose(1, 2).flatten(1)

    def convolutions(self) -> Iterable[nn.Parameter]:
        """What is not tuned along with the layers."""
        return self.convolve.parameters()

    @staticmethod
    def rename(name: str) -> str:
        """A published tensor's name as it is here, from Mimi's flat layout or transformers' own."""
        for old, new in (
            ("encoder.encoder_seanet.", "convolve."),
            ("encoder.encoder_transformer.", "attend."),
            ("encoder_transformer.", "attend."),
            ("encoder.", "convolve."),
        ):
            if name.startswith(old):
                return new + name.removeprefix(old)
        return name


def _settle(convolve: nn.Module) -> None:
    """Make the padding of Mimi's convolutions plain numbers.

    transformers keeps them as tensors, which an exporter cannot follow; whole frames need no more padding at their end.
    """
    for layer in cast("Iterable[Any]", convolve.modules()):
        if hasattr(layer, "_get_extra_padding_for_conv1d"):
            total = int(layer.padding_total)
            del layer.padding_total
            layer.padding_total = total
            layer._get_extra_padding_for_conv1d = _none


def _none(hidden: Tensor) -> int:
    return 0


def _thirds(reach: int = 24) -> Tensor:
    """(3, 1, 2 · reach + 2): a sinc under a Kaiser window, for output samples 0, 2/3 and 4/3 input samples on."""
    away = np.arange(-reach, reach + 2) - np.array([[0], [2 / 3], [4 / 3]])
    window = np.i0(8 * np.sqrt(np.maximum(1 - (away / (reach + 2)) ** 2, 0)))
    weights = np.sinc(0.96 * away) * window
    return torch.tensor(weights / weights.sum(axis=1, keepdims=True), dtype=torch.float32)[:, None]


def read(encoder: Wave | Codec, architecture: Architecture, folder: str | Path) -> None:
    """Fill an encoder with the weights in a local folder: `*.safetensors`, or else `pytorch_model*.bin`.

    What the encoder does not use (heads, later layers, decoders) is passed over; what it lacks is an error. Raises
    `MissingFile` and `BadFile`.
    """
    place = Path(folder)
    if not place.is_dir():
        raise MissingFile(f"a speech encoder's weights lie in a local folder, {str(folder)!r} is none")
    _agrees(architecture, place)
    own = encoder.state_dict()
    found: dict[str, Tensor] = {}
    for path in _files(place):
        tensors = {encoder.rename(name): tensor for name, tensor in _tensors(path).items()}
        found |= {name: tensor for name, tensor in tensors.items() if name in own}
    for name, tensor in own.items():
        if name not in found:
            raise BadFile(f"{str(folder)!r} lacks {name!r} ({len(own.keys() - found.keys())} of {len(own)} tensors)")
        if found[name].shape != tensor.shape:
            raise BadFile(f"{str(folder)!r}: {name} is {tuple(tensor.shape)}, got {tuple(found[name].shape)}")
        if not torch.isfinite(found[name]).all():
            raise BadFile(f"{str(folder)!r}: {name} has values that are not finite")
    encoder.load_state_dict({name: found[name].to(tensor.dtype) for name, tensor in own.items()})


def digest(tensors: Mapping[str, Tensor], *facts: str) -> str:
    """The SHA-256 of named tensors and of what else features depend on."""
    total = hashlib.sha256(json.dumps(facts).encode())
    for name, tensor in sorted(tensors.items()):
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def _agrees(architecture: Architecture, folder: Path) -> None:
    """Two layouts have the same tensors and other sums: where the folder has a config, it says the same as ours."""
    path = folder / "config.json"
    if not path.is_file():
        return
    try:
        said: Any = json.loads(path.read_text("utf-8"))
        kind, stable = said.get("model_type"), said.get("do_stable_layer_norm")
    except (ValueError, AttributeError) as error:
        raise BadFile(f"{str(path)!r} is no config: {error}") from error
    if kind not in (None, architecture.kind) or stable not in (None, architecture.stable):
        raise BadFile(
            f"{str(path)!r} is of a {kind} encoder (stable {stable}), wanted {architecture.kind} "
            f"(stable {architecture.stable}): name its own architecture"
        )


def _files(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not found:
        raise MissingFile(f"{str(folder)!r} has neither .safetensors nor pytorch_model.bin")
    return found


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return importlib.import_module("safetensors.torch").load_file(path)
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader of safe pickles trips over hostile files in any way there is
        raise BadFile(f"{str(path)!r} holds no weights that are safe to read: {str(error)[:200]}") from error
    if not isinstance(loaded, dict):
        raise BadFile(f"{str(path)!r} holds no table of tensors")
    items = cast("dict[Any, Any]", loaded).items()
    return {str(name): tensor for name, tensor in items if isinstance(tensor, Tensor)}
