"""The sizes of a released model: read from its tensors, and from its config where tensors cannot tell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from torch import Tensor

from artalk.errors import BadFile, BadInput

FPS = 25
SAMPLE_RATE = 16000
HOP = SAMPLE_RATE // FPS

LARGEST = 65_536
"""Of any size, so that nothing absurd is worked through before it is refused."""

MOTION = 106
"""Expression (100), head and jaw rotation: `channels.FLAME`."""


def _whole(what: str, *sizes: int) -> None:
    if not all(1 <= size <= LARGEST for size in sizes):
        raise BadInput(f"the sizes of {what} lie within 1 and {LARGEST}, got {sizes}")


def _shared(what: str, width: int, heads: int) -> None:
    if width % heads:
        raise BadInput(
            f"the heads of {what} divide its width {width}, got {heads}: "
            "put the release's config.json beside the checkpoint"
        )


@dataclass(frozen=True)
class Wav2vec2Config:
    """wav2vec 2.0 in its stable-layer-norm form; `strides`, `heads` and `eps` leave no trace in the tensors."""

    width: int = 1024
    depth: int = 24
    heads: int = 16
    hidden: int = 4096
    conv_width: int = 512
    kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    positions: int = 128
    groups: int = 16
    eps: float = 1e-5

    def __post_init__(self) -> None:
        _whole("the speech encoder", self.width, self.depth, self.heads, self.hidden, self.conv_width, self.positions)
        _shared("the speech encoder", self.width, self.heads)
        if self.groups < 1 or self.width % self.groups:
            raise BadInput(f"{self.groups} groups do not divide the width {self.width}")
        fits = len(self.strides) == len(self.kernels) and all(
            1 <= stride <= kernel < 1000 for stride, kernel in zip(self.strides, self.kernels, strict=True)
        )
        if not (self.kernels and fits):
            raise BadInput(f"convolutions have kernels and strides that fit, got {self.kernels} and {self.strides}")


@dataclass(frozen=True)
class CodecSizes:
    """The bitwise codec: `depth` layers in the encoder and as many in the decoder, `bits` of a token."""

    width: int = 512
    depth: int = 8
    heads: int = 8
    hidden: int = 768
    bits: int = 32

    def __post_init__(self) -> None:
        _whole("the codec", self.width, self.depth, self.heads, self.hidden, self.bits)
        _shared("the codec", self.width, self.heads)


@dataclass(frozen=True)
class StyleSizes:
    """The style encoder; clips are shorter than `longest` frames."""

    width: int = 128
    depth: int = 4
    heads: int = 4
    hidden: int = 512
    longest: int = 600

    def __post_init__(self) -> None:
        _whole("the style encoder", self.width, self.depth, self.heads, self.hidden, self.longest)
        _shared("the style encoder", self.width, self.heads)


@dataclass(frozen=True)
class ReleasedConfig:
    """The whole model: `width`, `depth`, `heads` and `hidden` are the autoregressive transformer's.

    `features` is the width of the speech encoder's output. `wav2vec2` says nothing where `speech` is "mimi": Mimi has
    one size.
    """

    scales: tuple[int, ...] = (1, 5, 25, 50, 100)
    width: int = 768
    depth: int = 12
    heads: int = 12
    hidden: int = 3072
    features: int = 1024
    speech: Literal["wav2vec2", "mimi"] = "wav2vec2"
    wav2vec2: Wav2vec2Config = Wav2vec2Config()
    codec: CodecSizes = CodecSizes()
    style: StyleSizes = StyleSizes()

    def __post_init__(self) -> None:
        _whole("the transformer", self.width, self.depth, self.heads, self.hidden, self.features, *self.scales)
        _shared("the transformer", self.width, self.heads)
        if self.scales[:1] != (1,) or list(self.scales) != sorted(set(self.scales)) or len(self.scales) < 2:
            raise BadInput(f"scales rise from 1, where the style stands, to the window, got {self.scales}")

    @property
    def window(self) -> int:
        """Frames made at once."""
        return self.scales[-1]

    @property
    def tokens(self) -> int:
        """Tokens of a window, all scales."""
        return sum(self.scales)

    @property
    def samples(self) -> int:
        """Samples of sound of a window."""
        return self.window * HOP


def read(tensors: Mapping[str, Tensor], official: Mapping[str, Any] | None = None) -> ReleasedConfig:
    """The config of a checkpoint in the released layout.

    `official` is the release's `config.json` (`AR_CONFIG` and `VAE_CONFIG`, at the top or under `AR_VAE`; an optional
    `wav2vec2` as transformers writes it). Without it the heads of the codec and of the encoder, which tensors do not
    show, are 64 wide, as in the release. Raises `BadFile` where a tensor that shows a size is missing or absurd.
    """
    known = _known(official or {})
    look = _Look(tensors)
    mimi = any(name.startswith("audio_encoder.acoustic_model.") for name in tensors)
    codec_width = look.size("basic_vae.encoder.inp_mapping.0.weight", 0, 2)
    config = ReleasedConfig(
        scales=_scales(look.tensor("lvl_idx", 2)),
        width=look.size("null_style_cond", 2, 3),
        depth=look.count("attn_blocks"),
        heads=look.size("attn_blocks.0.attn.scale_mul_1H11", 1, 4),
        hidden=look.size("attn_blocks.0.ffn.0.weight", 0, 2),
        features=look.size("cond_logits_head.ada_lin.1.weight", 1, 2),
        speech="mimi" if mimi else "wav2vec2",
        wav2vec2=Wav2vec2Config() if mimi else _wav2vec2(look, known["wav2vec2"]),
        codec=CodecSizes(
            width=codec_width,
            depth=look.count("basic_vae.encoder.encoder_transformer") // 2,
            heads=_heads(codec_width, known["VAE_CONFIG"].get("T_NUM_HEADS"), "the codec"),
            hidden=look.size("basic_vae.encoder.encoder_transformer.1.0.weight", 0, 2),
            bits=look.size("vqfeat_embed.weight", 1, 2),
        ),
        style=StyleSizes(
            width=look.size("style_cond_embed.weight", 1, 2),
            depth=look.count("style_encoder.encoder.transformer.layers"),
            hidden=look.size("style_encoder.encoder.transformer.layers.0.linear1.weight", 0, 2),
            longest=look.size("style_encoder.PE.pe", 1, 3),
        ),
    )
    _agree(config, known)
    return config


class _Look:
    """Sizes of named tensors, or a `BadFile` that says what is missing."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors

    def tensor(self, name: str, axes: int) -> Tensor:
        found = self.tensors.get(name)
        if found is None:
            raise BadFile(
                f"a released checkpoint has a tensor {name!r}, this one ({len(self.tensors)} tensors) does not"
            )
        if found.ndim != axes:
            raise BadFile(f"{name} has {axes} axes, got shape {tuple(found.shape)}")
        return found

    def size(self, name: str, axis: int, axes: int) -> int:
        size = self.tensor(name, axes).shape[axis]
        if size < 1:
            raise BadFile(f"{name} is empty: shape {tuple(self.tensors[name].shape)}")
        return size

    def count(self, prefix: str) -> int:
        """How many numbered parts lie under `prefix`."""
        start = len(prefix) + 1
        names = {name[start:].split(".", 1)[0] for name in self.tensors if name.startswith(f"{prefix}.")}
        numbers = sorted(int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 5)
        if not numbers or numbers != list(range(len(numbers))):
            raise BadFile(f"a released checkpoint has parts {prefix}.0, .1 … without a gap, got {numbers[:8]}")
        return len(numbers)


def _scales(levels: Tensor) -> tuple[int, ...]:
    """How many tokens each level has, from the level of each token."""
    if levels.is_floating_point():
        raise BadFile(f"lvl_idx holds whole numbers, got {levels.dtype}")
    level = cast("list[int]", cast(Any, levels[0]).tolist()) if len(levels) else []
    if not level or level != sorted(level) or set(level) != set(range(level[-1] + 1)):
        raise BadFile("lvl_idx counts the levels of the tokens, 0 0 … 1 1 …; this one does not")
    return tuple(level.count(number) for number in range(level[-1] + 1))


def _wav2vec2(look: _Look, known: Mapping[str, Any]) -> Wav2vec2Config:
    place = "audio_encoder.feature_extractor.conv_layers"
    convs = look.count(place)
    kernels = tuple(look.size(f"{place}.{i}.conv.weight", 2, 3) for i in range(convs))
    usual = Wav2vec2Config()
    strides = _whole_numbers(known.get("conv_stride", list(usual.strides)), "conv_stride")
    width = look.size("audio_encoder.encoder.layer_norm.weight", 0, 1)
    positional = ("parametrizations.weight.original1", "weight_v")
    found = [f"audio_encoder.encoder.pos_conv_embed.conv.{name}" for name in positional]
    name = found[1] if found[1] in look.tensors else found[0]
    share = look.size(name, 1, 3)
    return Wav2vec2Config(
        width=width,
        depth=look.count("audio_encoder.encoder.layers"),
        heads=_heads(width, known.get("num_attention_heads"), "the speech encoder"),
        hidden=look.size("audio_encoder.encoder.layers.0.feed_forward.intermediate_dense.weight", 0, 2),
        conv_width=look.size(f"{place}.0.conv.weight", 0, 3),
        kernels=kernels,
        strides=strides,
        positions=look.size(name, 2, 3),
        groups=width // share,
        eps=_small(known.get("layer_norm_eps", usual.eps)),
    )


def _heads(width: int, told: Any, what: str) -> int:
    if told is None:
        return max(width // 64, 1)
    if not isinstance(told, int) or isinstance(told, bool) or told < 1:
        raise BadFile(f"the number of heads of {what} is a whole number, got {told!r}")
    return told


def _small(value: Any) -> float:
    if not isinstance(value, float) or not 0 < value < 1:
        raise BadFile(f"layer_norm_eps lies between 0 and 1, got {value!r}")
    return value


def _whole_numbers(value: Any, what: str) -> tuple[int, ...]:
    numbers = cast("list[Any]", value) if isinstance(value, list) else []
    if not numbers or not all(isinstance(number, int) and 0 < number < 1000 for number in numbers):
        raise BadFile(f"{what} is a list of whole numbers, got {value!r}")
    return tuple(numbers)


def _known(official: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The parts of an official config, as far as they are there."""
    inner = _table(official.get("AR_VAE", official), "AR_VAE")
    parts = {name: _table(inner.get(name, {}), name) for name in ("AR_CONFIG", "VAE_CONFIG")}
    return parts | {"wav2vec2": _table(official.get("wav2vec2", {}), "wav2vec2")}


def _table(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadFile(f"a release's config has a table {name}, got {value!r}")
    return cast("Mapping[str, Any]", value)


def _agree(config: ReleasedConfig, known: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a config that belongs to other tensors, and sizes that no part of the model can have."""
    says = known["AR_CONFIG"], known["VAE_CONFIG"]
    table = {
        "AR_CONFIG.T_DEPTH": (says[0].get("T_DEPTH"), config.depth),
        "AR_CONFIG.T_NUM_HEADS": (says[0].get("T_NUM_HEADS"), config.heads),
        "AR_CONFIG.PREV_RATIO": (says[0].get("PREV_RATIO"), 1),
        "VAE_CONFIG.T_DEPTH": (says[1].get("T_DEPTH"), config.codec.depth),
        "VAE_CONFIG.T_HIDDEN_DIM": (says[1].get("T_HIDDEN_DIM"), config.codec.width),
        "VAE_CONFIG.V_CODE_DIM": (says[1].get("V_CODE_DIM"), config.codec.bits),
        "VAE_CONFIG.V_PATCH_NUMS": (says[1].get("V_PATCH_NUMS"), list(config.scales)),
    }
    for name, (told, found) in table.items():
        if told is not None and told != found:
            raise BadFile(f"the config says {name} = {told!r}, the checkpoint's tensors {found!r}")
