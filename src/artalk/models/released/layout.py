"""The names and shapes of the released layout, and the buffers in it that are not weights but are checked."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from artalk.errors import BadFile
from artalk.models.released.config import MOTION, ReleasedConfig
from artalk.models.released.style import positions

Shape = tuple[int, ...]

OLD_NAMES = {
    "audio_encoder.encoder.pos_conv_embed.conv.weight_g": (
        "audio_encoder.encoder.pos_conv_embed.conv.parametrizations.weight.original0"
    ),
    "audio_encoder.encoder.pos_conv_embed.conv.weight_v": (
        "audio_encoder.encoder.pos_conv_embed.conv.parametrizations.weight.original1"
    ),
}
"""How torch before 2.0 spelled a normed weight."""

BUFFERS = ("attn_bias_for_masking", "lvl_idx", "basic_vae.attn_mask", "style_encoder.PE.pe")
"""What is computed here and therefore only compared."""


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the names of today."""
    return {OLD_NAMES.get(name, name): tensor for name, tensor in tensors.items()}


def check(tensors: Mapping[str, Tensor], config: ReleasedConfig) -> None:
    """Raise `BadFile` unless names, shapes, types and buffers are those of `config` and all numbers are finite."""
    expected = shapes(config)
    missing, odd = expected.keys() - tensors.keys(), tensors.keys() - expected.keys()
    if missing or odd:
        parts = [f"lacks {_some(missing)}"] * bool(missing) + [f"has unknown {_some(odd)}"] * bool(odd)
        raise BadFile(
            f"a released checkpoint of this size has {len(expected)} tensors, this one {len(tensors)}: "
            f"it {' and '.join(parts)}"
        )
    for name, shape in expected.items():
        tensor = tensors[name]
        if tuple(tensor.shape) != shape:
            raise BadFile(f"{name} is {shape}, got {tuple(tensor.shape)}")
        if (name == "lvl_idx") == tensor.is_floating_point():
            raise BadFile(f"{name} holds {'whole numbers' if name == 'lvl_idx' else 'floats'}, got {tensor.dtype}")
    _check_finite(tensors)
    _check_buffers(tensors, config)


def shapes(config: ReleasedConfig) -> dict[str, Shape]:
    """Every tensor of a checkpoint of this size."""
    return {name: shape for part in (_generator, _codec, _style, _speech) for name, shape in part(config)}


def _generator(config: ReleasedConfig) -> Iterator[tuple[str, Shape]]:
    width, tokens, bits = config.width, config.tokens, config.codec.bits
    yield "null_style_cond", (1, 1, width)
    yield "pos_embed", (1, tokens, width)
    yield "prev_pos_embed", (1, tokens, width)
    yield "lvl_embed.weight", (len(config.scales), width)
    yield "attn_bias_for_masking", (1, 1, tokens, 2 * tokens)
    yield "lvl_idx", (1, tokens)
    yield from _linear("vqfeat_embed", width, bits)
    yield from _linear("style_cond_embed", width, config.style.width)
    yield from _linear("cond_logits_head.ada_lin.1", 2 * width, config.features)
    yield from _linear("logits_head", 2 * bits, width)
    for i in range(config.depth):
        block = f"attn_blocks.{i}"
        yield f"{block}.attn.scale_mul_1H11", (1, config.heads, 1, 1)
        yield from _linear(f"{block}.attn.query", width, width)
        yield f"{block}.attn.key.weight", (width, width)
        yield from _linear(f"{block}.attn.value", width, width)
        yield from _linear(f"{block}.attn.proj", width, width)
        yield from _linear(f"{block}.ffn.0", config.hidden, width)
        yield from _linear(f"{block}.ffn.2", width, config.hidden)
        yield from _linear(f"{block}.ada_lin.1", 6 * width, config.features)


def _codec(config: ReleasedConfig) -> Iterator[tuple[str, Shape]]:
    sizes, both = config.codec, 2 * config.window
    yield "basic_vae.enc_pos_embed", (1, both, MOTION)
    yield "basic_vae.dec_pos_embed", (1, both, sizes.bits)
    yield "basic_vae.attn_mask", (1, 1, both, both)
    yield "basic_vae.motion_mean", (MOTION,)
    yield "basic_vae.motion_std", (MOTION,)
    yield from _linear("basic_vae.encoder.inp_mapping.0", sizes.width, MOTION)
    yield from _linear("basic_vae.encoder.code_mapping", sizes.bits, sizes.width)
    yield from _linear("basic_vae.decoder.inp_mapping.0", sizes.width, sizes.bits)
    yield from _linear("basic_vae.decoder.out_mapping", MOTION, sizes.width)
    for side in ("encoder", "decoder"):
        for i in range(sizes.depth):
            attention = f"basic_vae.{side}.{side}_transformer.{2 * i}"
            forward = f"basic_vae.{side}.{side}_transformer.{2 * i + 1}"
            yield from _norm(f"{attention}.norm", sizes.width)
            yield f"{attention}.to_qkv.weight", (3 * sizes.width, sizes.width)
            yield from _linear(f"{attention}.to_out", sizes.width, sizes.width)
            yield from _linear(f"{forward}.0", sizes.hidden, sizes.width)
            yield from _linear(f"{forward}.2", sizes.width, sizes.hidden)


def _style(config: ReleasedConfig) -> Iterator[tuple[str, Shape]]:
    sizes = config.style
    yield "style_encoder.motion_mean", (MOTION,)
    yield "style_encoder.motion_std", (MOTION,)
    yield "style_encoder.PE.pe", (1, sizes.longest, sizes.width)
    yield from _linear("style_encoder.encoder.motion_proj", sizes.width, MOTION)
    for i in range(sizes.depth):
        layer = f"style_encoder.encoder.transformer.layers.{i}"
        yield f"{layer}.self_attn.in_proj_weight", (3 * sizes.width, sizes.width)
        yield f"{layer}.self_attn.in_proj_bias", (3 * sizes.width,)
        yield from _linear(f"{layer}.self_attn.out_proj", sizes.width, sizes.width)
        yield from _linear(f"{layer}.linear1", sizes.hidden, sizes.width)
        yield from _linear(f"{layer}.linear2", sizes.width, sizes.hidden)
        yield from _norm(f"{layer}.norm1", sizes.width)
        yield from _norm(f"{layer}.norm2", sizes.width)


def _speech(config: ReleasedConfig) -> Iterator[tuple[str, Shape]]:
    if config.speech == "wav2vec2":
        yield from _wav2vec2(config)
        return
    from artalk.models.released.mimi import shapes as mimi_shapes

    for name, shape in mimi_shapes().items():
        yield f"audio_encoder.acoustic_model.{name}", shape


def _wav2vec2(config: ReleasedConfig) -> Iterator[tuple[str, Shape]]:
    sizes = config.wav2vec2
    yield "audio_encoder.masked_spec_embed", (sizes.width,)
    before = 1
    for i, kernel in enumerate(sizes.kernels):
        conv = f"audio_encoder.feature_extractor.conv_layers.{i}"
        yield f"{conv}.conv.weight", (sizes.conv_width, before, kernel)
        yield f"{conv}.conv.bias", (sizes.conv_width,)
        yield from _norm(f"{conv}.layer_norm", sizes.conv_width)
        before = sizes.conv_width
    yield from _norm("audio_encoder.feature_projection.layer_norm", sizes.conv_width)
    yield from _linear("audio_encoder.feature_projection.projection", sizes.width, sizes.conv_width)
    place = "audio_encoder.encoder.pos_conv_embed.conv"
    yield f"{place}.bias", (sizes.width,)
    yield f"{place}.parametrizations.weight.original0", (1, 1, sizes.positions)
    yield f"{place}.parametrizations.weight.original1", (sizes.width, sizes.width // sizes.groups, sizes.positions)
    yield from _norm("audio_encoder.encoder.layer_norm", sizes.width)
    for i in range(sizes.depth):
        layer = f"audio_encoder.encoder.layers.{i}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from _linear(f"{layer}.attention.{part}", sizes.width, sizes.width)
        yield from _norm(f"{layer}.layer_norm", sizes.width)
        yield from _linear(f"{layer}.feed_forward.intermediate_dense", sizes.hidden, sizes.width)
        yield from _linear(f"{layer}.feed_forward.output_dense", sizes.width, sizes.hidden)
        yield from _norm(f"{layer}.final_layer_norm", sizes.width)


def _linear(name: str, out: int, into: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (out, into)
    yield f"{name}.bias", (out,)


def _norm(name: str, width: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _some(names: set[str]) -> str:
    listed = ", ".join(sorted(names)[:3])
    return f"{listed} and {len(names) - 3} more" if len(names) > 3 else listed


def _check_finite(tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if name in BUFFERS or not tensor.is_floating_point():
            continue
        # A sum is finite only if all its numbers are, and takes one pass over what has to be read anyway.
        if bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all()):
            continue
        raise BadFile(f"{name} holds {int((~tensor.isfinite()).sum())} numbers that are NaN or infinite")


def _check_buffers(tensors: Mapping[str, Tensor], config: ReleasedConfig) -> None:
    never = float("-inf")
    level = tensors["lvl_idx"][0]
    own = torch.where(level[:, None] >= level[None], 0.0, never)
    window = torch.arange(2 * config.window) // config.window
    expected = {
        "attn_bias_for_masking": torch.cat([torch.zeros_like(own), own], dim=1)[None, None],
        "basic_vae.attn_mask": torch.where(window[:, None] >= window[None], 0.0, never)[None, None],
        "style_encoder.PE.pe": positions(config.style.longest, config.style.width)[None],
        "style_encoder.motion_mean": tensors["basic_vae.motion_mean"],
        "style_encoder.motion_std": tensors["basic_vae.motion_std"],
    }
    for name, wanted in expected.items():
        if not torch.allclose(tensors[name].float(), wanted.float(), atol=1e-3, rtol=1e-4):
            raise BadFile(f"{name} is a constant of this architecture, this checkpoint has other numbers there")
    if bool((tensors["basic_vae.motion_std"] <= 0).any()):
        raise BadFile("basic_vae.motion_std is above 0 everywhere, this checkpoint has channels that never moved")
