"""The whole released model as one ONNX graph: sound, style and the window before → the next 100 frames."""

import base64
import importlib
import json
import os
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from artalk import config as configs
from artalk.errors import BadInput, needs
from artalk.formats.atomic import atomic
from artalk.generators.released import FORMAT, STYLE_FRAMES
from artalk.models.nn.onnx import compress, graph
from artalk.models.nn.storage import Precision
from artalk.models.released.config import FPS, MOTION, SAMPLE_RATE
from artalk.models.released.file import Contents
from artalk.models.released.model import ReleasedModel

LARGEST = (1 << 31) - (64 << 20)
"""Bytes of weights above which they lie in a file beside the graph: one ONNX file has 2 GiB at most."""


@final
class Step(nn.Module):
    """A window, from the motion of the one before (zeros before the first) and a style with its guidance (or 0)."""

    def __init__(self, model: ReleasedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, sound: Tensor, before: Tensor, style: Tensor, guidance: Tensor) -> Tensor:
        """(1, window, 106) in real units."""
        model = self.model
        manner = model.generator.manner(style, guidance)
        motion, _ = model.window(model.speech(sound), model.codec.encode(before), manner)
        return motion


def export(contents: Contents, path: str | os.PathLike[str], weights: Precision = "float32") -> None:
    """Write the `.onnx` that `generators.released.ReleasedOnnx` runs; with "float16" or "int8" weights are stored so.

    Weights of 2 GiB or more go into a file beside it, `<name>.data`. Takes minutes at full size.
    """
    target = Path(path)
    if target.suffix != ".onnx":
        raise BadInput(f"a model is exported to .onnx, got {str(path)!r}")
    if weights not in ("float32", "float16", "int8"):
        raise BadInput(f"weights are float32, float16 or int8, got {weights!r}")
    needs("onnxscript", "train", "exporting a model")
    model = contents.model()
    step, style = _trace_step(model), _trace_style(model)
    for part in (step, style):
        compress(part, model, weights)
    metadata = {
        "artalk.config": configs.to_json(contents.config),
        "artalk.card": json.dumps(contents.card),
        "artalk.style_encoder": base64.b64encode(style.SerializeToString()).decode(),
        "artalk.released": json.dumps(_facts(contents)),
    }
    for key, value in metadata.items():
        step.metadata_props.add(key=key, value=value)
    _save(step, target)


def _facts(contents: Contents) -> dict[str, Any]:
    size, window = contents.config.style.width, contents.config.window
    return {"format": FORMAT, "fps": FPS, "sample_rate": SAMPLE_RATE, "window": window, "style": size}


def _trace_step(model: ReleasedModel) -> Any:
    config = model.config
    arguments = (
        torch.zeros(1, config.samples),
        torch.zeros(1, config.window, MOTION),
        torch.zeros(1, config.style.width),
        torch.ones(1, 1),
    )
    return graph(Step(model), arguments, None, ["sound", "before", "style", "guidance"], ["motion"])


def _trace_style(model: ReleasedModel) -> Any:
    frames = torch.export.Dim("frames", min=2, max=min(2 * STYLE_FRAMES, model.style.longest) - 1)
    clip = torch.zeros(1, STYLE_FRAMES, MOTION)
    return graph(model.style, (clip,), ({1: frames},), ["clip"], ["style"])


def _save(step: Any, target: Path) -> None:
    onnx: Any = importlib.import_module("onnx")
    size = sum(len(tensor.raw_data) for tensor in step.graph.initializer)
    with atomic(target) as temporary:
        if size < LARGEST:
            onnx.save(step, str(temporary))
            return
        beside = f"{target.name}.data"
        with atomic(target.with_name(beside)) as data:
            onnx.save(step, str(temporary), save_as_external_data=True, location=data.name)
            for tensor in step.graph.initializer:
                for entry in tensor.external_data:
                    if entry.key == "location":
                        entry.value = beside
            onnx.save(step, str(temporary))
