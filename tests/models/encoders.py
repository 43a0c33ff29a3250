"""Small pretrained speech encoders with random weights, in folders as their authors publish them."""

import importlib
import json

import torch

from artalk.models.speech.architectures import Architecture
from artalk.models.speech.pretrained import PretrainedConfig

KINDS = ("wav2vec2", "xls-r", "hubert", "wavlm", "mimi")


def small(name):
    """The architecture of one of KINDS, in its least size."""
    if name == "mimi":
        return Architecture("mimi", 16, 2, 2, 32, channels=4)
    large = {"norm": "layer", "bias": True, "stable": True} if name == "xls-r" else {}
    kind = "wav2vec2" if name == "xls-r" else name
    return Architecture(kind, 16, 2, 2, 32, 8, positions=16, position_groups=2, **large)


def config(name, **changes):
    return PretrainedConfig(small(name), **{"chunk": 10, "back": 5, "ahead": 2, "width": 12, **changes})


def published(name, seed=0):
    """transformers' own model of that architecture with uneven weights."""
    transformers = importlib.import_module("transformers")
    shape = small(name)
    prefix = {"wav2vec2": "Wav2Vec2", "xls-r": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM", "mimi": "Mimi"}[name]
    sizes = {
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.inner,
    }
    if name == "mimi":
        sizes |= {"num_filters": shape.channels, "num_key_value_heads": shape.heads, "head_dim": 8}
        sizes |= {"upsample_groups": 16, "codebook_size": 8, "codebook_dim": 4, "num_quantizers": 2}
        sizes |= {"vector_quantization_hidden_dimension": 4}
    else:
        sizes |= {"conv_dim": (shape.channels,) * 7, "conv_bias": shape.bias, "feat_extract_norm": shape.norm}
        sizes |= {"do_stable_layer_norm": shape.stable, "num_conv_pos_embeddings": shape.positions}
        sizes |= {"num_conv_pos_embedding_groups": shape.position_groups}
    torch.manual_seed(seed)
    model = getattr(transformers, f"{prefix}Model")(getattr(transformers, f"{prefix}Config")(**sizes)).eval()
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=rng)
    return model


def folder_of(name, folder, seed=0):
    """Write one of KINDS into a folder, by transformers itself; the folder."""
    published(name, seed).save_pretrained(folder)
    return folder


def tensors_of(folder):
    return importlib.import_module("safetensors.torch").load_file(folder / "model.safetensors")


def write(folder, tensors, name="model.safetensors"):
    folder.mkdir(exist_ok=True)
    if name.endswith(".safetensors"):
        importlib.import_module("safetensors.torch").save_file(tensors, folder / name)
    else:
        torch.save(tensors, folder / name)
    return folder


def say(folder, **facts):
    (folder / "config.json").write_text(json.dumps(facts))
