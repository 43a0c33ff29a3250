"""One model, one file: `.safetensors` to train and tune, `.onnx` to run; config and card are inside either."""

import base64
import copy
import importlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from artalk import config
from artalk.errors import BadFile, BadInput, MissingFile, needs
from artalk.formats.atomic import atomic
from artalk.generators.exported import FORMAT, Exported, Settings
from artalk.generators.generator import FREE
from artalk.models.artalk import Artalk, ArtalkConfig, Steering
from artalk.models.codec import Codec, CodecConfig
from artalk.models.nn.onnx import SMALL, Precision, compress, graph

Model = Codec | Artalk
KINDS: dict[str, tuple[type[Any], type[Any]]] = {"codec": (CodecConfig, Codec), "artalk": (ArtalkConfig, Artalk)}


@dataclass(frozen=True)
class Checkpoint:
    """A `model` with its `card` (anything JSON: sources, licences, figures, limits) and named `styles`."""

    model: Model
    card: dict[str, Any] = field(default_factory=dict[str, Any])
    styles: dict[str, list[float]] = field(default_factory=dict[str, list[float]])


def save(checkpoint: Checkpoint, path: str | os.PathLike[str], half: bool = False) -> None:
    """Write `.safetensors`; `half` stores big tensors as float16 (to ship and to tune from, not to resume from)."""
    model = checkpoint.model
    kind = "codec" if isinstance(model, Codec) else "artalk"
    tensors = {name: _stored(tensor, half) for name, tensor in model.state_dict().items()}
    header = {
        "format": str(FORMAT),
        "kind": kind,
        "config": config.to_json(model.config),
        "card": json.dumps(checkpoint.card),
        "styles": json.dumps(checkpoint.styles),
    }
    with atomic(path) as temporary:
        _safetensors(".torch").save_file(tensors, temporary, {f"artalk.{key}": value for key, value in header.items()})


def load(path: str | os.PathLike[str]) -> Checkpoint:
    """Read what `save` wrote; the model is in eval mode on the CPU, in float32."""
    if not Path(path).is_file():
        raise MissingFile(f"a checkpoint is a .safetensors file, none is at {str(path)!r}")
    try:
        with _safetensors().safe_open(path, "pt") as file:
            header: dict[str, str] = file.metadata() or {}
            tensors = {name: cast(Tensor, file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BadFile(f"{str(path)!r} is no .safetensors file: {error}") from error
    if header.get("artalk.kind") not in KINDS or header.get("artalk.format") != str(FORMAT):
        raise BadFile(f"{str(path)!r} holds no artalk model of format {FORMAT}")
    config_type, model_type = KINDS[header["artalk.kind"]]
    model = cast(Model, model_type(config.from_json(config_type, header["artalk.config"])))
    _fill(model, tensors, path)
    return Checkpoint(model.eval(), json.loads(header["artalk.card"]), json.loads(header["artalk.styles"]))


def adopt(model: Artalk, codec: Codec) -> Artalk:
    """Give `model` a trained codec of the same config (its loss weights apart)."""
    ours, theirs = config.to_dict(model.config.codec), config.to_dict(codec.config)
    for part in (ours, theirs):
        del part["weights"]
    if ours != theirs:
        changed = ", ".join(key for key in ours if ours[key] != theirs[key])
        raise BadInput(f"a generator is trained on a codec of its own config; these differ in {changed}")
    model.codec.load_state_dict(codec.state_dict())
    return model


@dataclass(frozen=True)
class Deviation:
    """How far an exported model is from torch at temperature 0, in real units (weights 0..1, radians)."""

    largest: float
    mean: float


@dataclass(frozen=True, eq=False)
class Graphs:
    """The ONNX models of a step and of the style encoder, in float32."""

    step: Any
    style: Any


def trace(model: Artalk) -> Graphs:
    """The slow half of `export` (a minute for the default model): once, where several precisions are written."""
    needs("onnxscript", "train", "exporting a model")
    model = model.eval()
    return Graphs(_trace_step(model), _trace_style(model))


def export(
    checkpoint: Checkpoint,
    path: str | os.PathLike[str],
    weights: Precision = "float32",
    graphs: Graphs | None = None,
) -> None:
    """Write the `.onnx` whose one step makes a whole window, all scales, with explicit state in and out.

    Inputs: `sound`; `state.*`; `noise.*`, uniform numbers that are the only chance; `style`, `hears`, `mix` with one
    row a branch (see `generators.exported.branches`); `temperature`, `top_p` by stream. Outputs: `motion` in real
    units and `next.*`. With "float16" and "int8" big weights are stored so (int8 a scale for each output) and
    computed with in float32; `deviation` says what that does. `graphs` is what `trace` made of this very model. The
    style encoder lies in the metadata, as a model.
    """
    model = checkpoint.model
    if not isinstance(model, Artalk):
        raise BadInput("only a whole model can be exported, this is a codec")
    if weights not in ("float32", "float16", "int8"):
        raise BadInput(f"weights are float32, float16 or int8, got {weights!r}")
    facts = _facts(checkpoint, model)
    graphs = trace(model) if graphs is None else graphs
    onnx: Any = importlib.import_module("onnx")
    step, style = copy.deepcopy(graphs.step), copy.deepcopy(graphs.style)
    for part in (step, style):
        compress(part, model, weights)
    metadata = {
        "artalk.step": json.dumps(facts),
        "artalk.config": config.to_json(model.config),
        "artalk.card": json.dumps(checkpoint.card),
        "artalk.style_encoder": base64.b64encode(style.SerializeToString()).decode(),
    }
    for key, value in metadata.items():
        step.metadata_props.add(key=key, value=value)
    with atomic(path) as temporary:
        onnx.save(step, str(temporary))


def deviation(checkpoint: Checkpoint, path: str | os.PathLike[str], sound: Tensor) -> Deviation:
    """Compare the exported model at `path` with torch on `sound` (samples,) at temperature 0."""
    model = cast(Artalk, checkpoint.model).eval()
    cold = dict.fromkeys(model.trunks, 0.0)
    true = model.generate(sound[None], model.steer(temperature=cold))[0].numpy()
    exported = Exported.load(path, Settings(temperature=0.0))
    state = exported.begin(FREE, 0)
    windows = len(true) // exported.window
    need = (windows * exported.window + exported.lookahead) * exported.hop
    made, _ = exported.step(state, np.pad(sound.numpy(), (0, need - len(sound))))
    distance = np.abs(made - true)
    return Deviation(float(distance.max()), float(distance.mean()))


def _safetensors(part: str = "") -> Any:
    """The package, which brings no types."""
    return importlib.import_module(f"safetensors{part}")


def _stored(tensor: Tensor, half: bool) -> Tensor:
    shrink = half and tensor.dtype == torch.float32 and tensor.numel() >= SMALL
    return (tensor.half() if shrink else tensor).detach().cpu().contiguous()


def _fill(model: Model, tensors: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    own = model.state_dict()
    if own.keys() != tensors.keys():
        odd = sorted(own.keys() ^ tensors.keys())
        raise BadFile(f"{str(path)!r} does not hold the tensors that its config asks for, see {', '.join(odd[:3])}")
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape:
            raise BadFile(f"{str(path)!r}: {name} is {tuple(own[name].shape)}, got {tuple(tensor.shape)}")
    model.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in tensors.items()})


class _Step(nn.Module):
    """`Artalk.step` over flat inputs, with its outputs in the order of the state."""

    def __init__(self, model: Artalk) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        sound: Tensor,
        state: dict[str, Tensor],
        noise: dict[str, Tensor],
        style: Tensor,
        hears: Tensor,
        mix: Tensor,
        temperature: Tensor,
        top_p: Tensor,
    ) -> tuple[Tensor, ...]:
        steering = Steering(style, hears, mix, temperature, top_p)
        motion, after = self.model.step(state, sound, noise, steering)
        return (motion, *(after[name] for name in state))


class _Styler(nn.Module):
    """The style encoder from real units."""

    def __init__(self, model: Artalk) -> None:
        super().__init__()
        self.model = model

    def forward(self, clip: Tensor) -> Tensor:
        return self.model.style(self.model.codec.normalise(clip))


def _trace_step(model: Artalk) -> Any:
    """The step of one speaker; the number of branches is free."""
    count = 2
    state, noise = model.begin(1, count), model.noise(1, torch.Generator().manual_seed(0))
    steering = model.steer(1, model.style.null.detach()[None], 1.5)
    rows = (steering.style, steering.hears, steering.mix)
    sound = torch.zeros(1, model.step_samples)
    free = torch.export.Dim("branches", min=1, max=16)
    still: dict[int, Any] = {}
    shapes: tuple[Any, ...] = (
        still,
        {name: {1: free} if name.startswith("memory") else still for name in state},
        {name: still for name in noise},
        *({1: free} for _ in rows),
        still,
        still,
    )
    inputs = ["sound", *(f"state.{n}" for n in state), *(f"noise.{n}" for n in noise)]
    inputs += ["style", "hears", "mix", "temperature", "top_p"]
    outputs = ["motion", *(f"next.{name}" for name in state)]
    arguments = (sound, state, noise, *rows, steering.temperature, steering.top_p)
    return graph(_Step(model), arguments, shapes, inputs, outputs)


def _trace_style(model: Artalk) -> Any:
    frames = torch.export.Dim("frames", min=2, max=1000)
    clip = torch.zeros(1, 2 * model.config.style.least, len(model.codec.mean))
    return graph(_Styler(model), (clip,), ({1: frames},), ["clip"], ["style"])


def _facts(checkpoint: Checkpoint, model: Artalk) -> dict[str, Any]:
    """What a runner must know: names, shapes, first values, defaults."""
    codec, speech = model.config.codec, model.config.speech
    for name, style in checkpoint.styles.items():
        if len(style) != model.config.style.size:
            raise BadInput(f"style {name!r} has {model.config.style.size} numbers, got {len(style)}")
    state: dict[str, Any] = {}
    for name, tensor in model.begin(1, 1).items():
        shape: list[int | str] = list(tensor.shape)
        if name.startswith("memory"):
            shape[1] = "branches"
        state[name] = {"shape": shape} | (
            {"values": cast("list[float]", tensor.flatten().numpy().tolist())} if tensor.any() else {}
        )
    return {
        "format": FORMAT,
        "channels": codec.channels,
        "fps": codec.fps,
        "sample_rate": speech.sample_rate,
        "window": codec.window,
        "lookahead": speech.lookahead,
        "state": state,
        "noise": model.noise_shapes(),
        "streams": {n: {"temperature": t.temperature, "top_p": t.top_p} for n, t in model.config.trunks.items()},
        "null_style": model.style.null.detach().numpy().tolist(),
        "least_clip": model.config.style.least,
        "styles": checkpoint.styles,
    }
