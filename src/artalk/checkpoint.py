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
from artalk.errors import ArtalkError, BadFile, BadInput, MissingFile, needs
from artalk.formats.atomic import atomic
from artalk.generators.exported import FORMAT, Exported, Settings
from artalk.generators.generator import FREE
from artalk.models.artalk import Artalk, ArtalkConfig, Steering
from artalk.models.codec import Codec, CodecConfig
from artalk.models.nn import storage
from artalk.models.nn.onnx import compress, graph
from artalk.models.nn.storage import Precision

Model = Codec | Artalk
KINDS: dict[str, tuple[type[Any], type[Any]]] = {"codec": (CodecConfig, Codec), "artalk": (ArtalkConfig, Artalk)}


@dataclass(frozen=True)
class Checkpoint:
    """A `model` with its `card` (anything JSON: sources, licences, figures, limits) and named `styles`."""

    model: Model
    card: dict[str, Any] = field(default_factory=dict[str, Any])
    styles: dict[str, list[float]] = field(default_factory=dict[str, list[float]])


def save(checkpoint: Checkpoint, path: str | os.PathLike[str], weights: Precision = "float32") -> None:
    """Write `.safetensors`; "float16" and "int8" (a scale for each output) are to ship and to tune from.

    What `export` makes of a file of "int8" holds the same whole numbers.
    """
    model = checkpoint.model
    kind = "codec" if isinstance(model, Codec) else "artalk"
    tensors = storage.pack(model.state_dict(), weights)
    header = {
        "format": str(FORMAT),
        "kind": kind,
        "weights": weights,
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
    try:
        return _built(header, tensors)
    except ArtalkError as error:
        raise BadFile(f"{str(path)!r}: {error}") from error


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
    units; `spoken` (batch, window), how surely somebody speaks, where phones were learnt; `next.*`, of memories only
    the newest tokens, to be put at their end (who runs it has to copy them anyway). With "float16" and
    "int8" big weights are stored so (int8 a scale for each output) and computed with in float32; `deviation` says what
    that does. `graphs` is what `trace` made of this very model. The style encoder lies in the metadata, as a model.
    """
    model = checkpoint.model
    if not isinstance(model, Artalk):
        raise BadInput("only a whole model can be exported, this is a codec")
    storage.check(weights)
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


def _built(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> Checkpoint:
    """The checkpoint of a file's header and tensors."""
    config_type, model_type = KINDS[header["artalk.kind"]]
    model = cast(Model, model_type(config.from_json(config_type, header.get("artalk.config", ""))))
    # Before weights were named there was no int8.
    _fill(model, storage.unpack(tensors, header.get("artalk.weights", "float16")))
    return Checkpoint(model.eval(), _table(header, "card"), _table(header, "styles"))


def _table(header: Mapping[str, str], key: str) -> dict[str, Any]:
    """The JSON object under a key of the header."""
    try:
        found = json.loads(header.get(f"artalk.{key}", ""))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BadFile(f"its {key} is no JSON object")
    return cast("dict[str, Any]", found)


def _fill(model: Model, tensors: Mapping[str, Tensor]) -> None:
    own = model.state_dict()
    if own.keys() != tensors.keys():
        odd = sorted(own.keys() ^ tensors.keys())
        raise BadFile(f"does not hold the tensors that its config asks for, see {', '.join(odd[:3])}")
    for name, tensor in tensors.items():
        wanted, came = (f"{t.dtype} {tuple(t.shape)}" for t in (own[name], tensor))
        if came != wanted:
            raise BadFile(f"{name} is {wanted}, got {came}")
        if not torch.isfinite(tensor).all():
            raise BadFile(f"{name} holds numbers that are not finite")
    model.load_state_dict(tensors)


class _Step(nn.Module):
    """`Artalk.window` over flat inputs, with its outputs in the order of the state."""

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
        motion, spoken, after = self.model.window(state, sound, noise, steering)
        heard = () if spoken is None else (spoken,)
        return (motion, *heard, *(after[name] for name in state))


class _Styler(nn.Module):
    """The style encoder from real units."""

    def __init__(self, model: Artalk) -> None:
        super().__init__()
        self.model = model

    def forward(self, clip: Tensor) -> Tensor:
        return self.model.style(self.model.codec.normalise(clip))


def _trace_step(model: Artalk) -> Any:
    """The step; the numbers of speakers and of their branches are free."""
    speakers, count = 3, 2  # an example of 1 would be taken for all there is
    state, noise = model.begin(speakers, count), model.noise(speakers, torch.Generator().manual_seed(0))
    style = model.style.null.detach().expand(speakers, -1)
    steering = model.steer(speakers, style, 1.5)
    sound = torch.zeros(speakers, model.step_samples)
    arguments = (sound, state, noise, *vars(steering).values())
    batch, branches = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("branches", min=1, max=16)
    one, many = {0: batch}, {0: batch, 1: branches}
    shapes: tuple[Any, ...] = (
        one,
        {name: many if name.startswith("memory") else one for name in state},
        dict.fromkeys(noise, one),
        *(many, many, many, one, one),
    )
    inputs = ["sound", *(f"state.{n}" for n in state), *(f"noise.{n}" for n in noise), *vars(steering)]
    heard = ["spoken"] if model.knows_speech else []
    outputs = ["motion", *heard, *(f"next.{name}" for name in state)]
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
        "rules": model.config.rules,
        "style_guidance": model.config.style_guidance,
        "null_style": model.style.null.detach().numpy().tolist(),
        "least_clip": model.config.style.least,
        "styles": checkpoint.styles,
    }
