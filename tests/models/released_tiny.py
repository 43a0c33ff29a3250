"""A released model so small that it runs in a blink, with random weights, and files of it."""

import json
import math

import numpy as np
import torch

from artalk.models.released import layout
from artalk.models.released.config import CodecSizes, ReleasedConfig, StyleSizes, Wav2vec2Config
from artalk.models.released.style import positions

torch.set_num_threads(1)

CONFIG = ReleasedConfig(
    scales=(1, 2, 5, 10),
    width=24,
    depth=2,
    heads=3,
    hidden=48,
    features=16,
    wav2vec2=Wav2vec2Config(width=16, depth=2, heads=2, hidden=32, conv_width=8, positions=6, groups=4),
    codec=CodecSizes(width=16, depth=2, heads=4, hidden=24, bits=8),
    style=StyleSizes(width=12, depth=1, heads=4, hidden=20, longest=80),
)

OFFICIAL = {
    "AR_VAE": {
        "AR_CONFIG": {"T_DEPTH": 2, "T_NUM_HEADS": 3, "PREV_RATIO": 1, "AUDIO_ENCODER": "wav2vec"},
        "VAE_CONFIG": {
            "T_DEPTH": 2,
            "T_NUM_HEADS": 4,
            "T_HIDDEN_DIM": 16,
            "V_CODE_DIM": 8,
            "V_PATCH_NUMS": [1, 2, 5, 10],
        },
    },
    "wav2vec2": {"num_attention_heads": 2},
}
"""The release's config.json of this size: what tensors do not show."""

WINDOW = CONFIG.samples


def tensors(config=CONFIG, seed=0):
    """Weights as uneven as training leaves them, so that every part of the model has a say."""
    random = torch.Generator().manual_seed(seed)
    made = {}
    for name, shape in layout.shapes(config).items():
        noise = torch.randn(shape, generator=random)
        fan = math.prod(shape[1:]) if len(shape) > 1 else 1
        if name.endswith("motion_std"):
            made[name] = 0.1 + 0.02 * noise.clamp(-3, 3)
        elif name.endswith(("norm.weight", "norm1.weight", "norm2.weight")):
            made[name] = 1 + 0.1 * noise.clamp(-3, 3)
        elif name.endswith(("bias", "motion_mean")):
            made[name] = 0.1 * noise
        elif "scale_mul" in name:
            made[name] = math.log(4) + 0.3 * noise
        elif name.endswith(("embed", "cond", "embed.weight", "original0")) and "cond_embed" not in name:
            made[name] = 0.3 * noise + (1.0 if name.endswith("original0") else 0.0)
        else:
            gain = 3.0 if name.startswith(("logits_head", "vqfeat")) or "inp_mapping" in name else 1.2
            made[name] = gain * noise / math.sqrt(fan)
    return made | buffers(config, made)


def buffers(config, made):
    """What is in a checkpoint without being weights."""
    level = torch.repeat_interleave(torch.arange(len(config.scales)), torch.tensor(config.scales))
    own = torch.where(level[:, None] >= level[None], 0.0, float("-inf"))
    half = torch.arange(2 * config.window) // config.window
    return {
        "lvl_idx": level[None],
        "attn_bias_for_masking": torch.cat([torch.zeros_like(own), own], dim=1)[None, None],
        "basic_vae.attn_mask": torch.where(half[:, None] >= half[None], 0.0, float("-inf"))[None, None],
        "style_encoder.PE.pe": positions(config.style.longest, config.style.width)[None],
        "style_encoder.motion_mean": made["basic_vae.motion_mean"].clone(),
        "style_encoder.motion_std": made["basic_vae.motion_std"].clone(),
    }


def write(folder, state=None, official=OFFICIAL, name="tiny.pt"):
    """A checkpoint with its config beside it."""
    path = folder / name
    torch.save(tensors() if state is None else state, path)
    if official is not None:
        (folder / "config.json").write_text(json.dumps(official))
    return path


def sound(windows=2.6, seed=0):
    """Speech-like noise: loud and soft by turns."""
    random = np.random.default_rng(seed)
    count = int(windows * WINDOW)
    loud = 0.2 + 0.2 * np.sin(np.arange(count) / 1500)
    return (random.normal(0, 0.3, count) * loud).astype(np.float32)


def clip(frames=50, seed=0):
    """A style clip."""
    return (0.5 * np.random.default_rng(seed).normal(size=(frames, 106))).astype(np.float32)


def is_buffer(name):
    """Whether a tensor of the layout is computed or measured, and not learned."""
    return name in ("attn_bias_for_masking", "lvl_idx") or name.endswith(
        ("attn_mask", "motion_mean", "motion_std", "PE.pe")
    )
