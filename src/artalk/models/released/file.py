"""Files of the released model: the official `.pt`, and one `.safetensors` of ours with config and card inside."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from artalk import config as configs
from artalk.channels import FLAME
from artalk.errors import ArtalkError, BadFile, BadInput, MissingFile
from artalk.formats.atomic import atomic
from artalk.models.released import layout, torchfile
from artalk.models.released.config import FPS, ReleasedConfig
from artalk.models.released.config import read as read_config
from artalk.models.released.model import ReleasedModel
from artalk.motion import Motion

FORMAT, KIND = "1", "released"

CONFIGS = ("{stem}_config.json", "{stem}.json", "config.json")
"""Where the config of `{stem}.pt` may lie, beside it."""

OFFICIAL = "d89615a32e2a6b4e35cf5494c1e400b2acedc43812f63423b9f5d705046d67c2"
"""SHA-256 of the release's ARTalk_wav2vec.pt."""


@dataclass(frozen=True, eq=False)
class Contents:
    """What is in a file: checked `tensors` under the released names, their `config` and the `card`."""

    config: ReleasedConfig
    tensors: Mapping[str, Tensor]
    card: dict[str, Any] = field(default_factory=dict[str, Any])

    def model(self) -> ReleasedModel:
        """The model, in eval mode, in float32, on the CPU."""
        return ReleasedModel(self.config, self.tensors)


def read(path: str | os.PathLike[str], config: str | os.PathLike[str] | None = None) -> Contents:
    """Open the official checkpoint (`.pt`) or what `write` made of it (`.safetensors`).

    The sizes are read from the tensors; what they do not show comes from `config`, the release's config.json, which is
    also found beside the checkpoint. Raises `MissingFile` and `BadFile`.
    """
    return _read_safetensors(Path(path)) if is_ours(path) else _read_pt(Path(path), config)


def is_ours(path: str | os.PathLike[str]) -> bool:
    """Whether a path names a `.safetensors`."""
    return Path(path).suffix.lower() == ".safetensors"


def write(contents: Contents, path: str | os.PathLike[str]) -> None:
    """One `.safetensors` with all tensors under the released names, the config and the card in its header."""
    if not is_ours(path):
        raise BadInput(f"a checkpoint is converted to .safetensors, got {str(path)!r}")
    header = {"format": FORMAT, "kind": KIND, "config": configs.to_json(contents.config)}
    header["card"] = json.dumps(contents.card)
    # Two names for one storage are refused by the format; a view is stored as the numbers it shows.
    tensors = {name: tensor.contiguous() for name, tensor in contents.tensors.items()}
    with atomic(path) as temporary:
        torchfile.safetensors(".torch").save_file(
            tensors, temporary, {f"artalk.{key}": value for key, value in header.items()}
        )


def convert(
    source: str | os.PathLike[str], target: str | os.PathLike[str], config: str | os.PathLike[str] | None = None
) -> Contents:
    """The official `.pt` as one `.safetensors`; its card says what it was made of."""
    contents = read(source, config)
    digest = _sha256(source)
    origin = {"file": Path(source).name, "bytes": os.path.getsize(source), "sha256": digest}
    card = contents.card or {
        "what": "ARTalk (arXiv 2502.20323), the released architecture",
        "source": origin | {"official": digest == OFFICIAL},
        "licence": "as its source; motion is in FLAME's channels, whose model has a licence of its own",
    }
    made = Contents(contents.config, contents.tensors, card)
    write(made, target)
    return made


def read_style(path: str | os.PathLike[str]) -> Motion:
    """A style clip of the release, a `.pt` tensor of (frames, 106), as FLAME motion at 25 fps."""
    tensor = torchfile.open_tensor(path)
    if tensor.ndim != 2 or tensor.shape[1] != len(FLAME) or not tensor.is_floating_point() or not len(tensor):
        raise BadFile(f"a style clip is (frames, {len(FLAME)}) floats, {str(path)!r} has {tuple(tensor.shape)}")
    try:
        return Motion(tensor.float().numpy().copy(), FLAME, Fraction(FPS))
    except BadInput as error:
        raise BadFile(f"{str(path)!r}: {error}") from error


def _read_pt(path: Path, config: str | os.PathLike[str] | None) -> Contents:
    tensors, official = layout.renamed(torchfile.open_checkpoint(path)), _official(path, config)
    try:
        return _checked(tensors, read_config(tensors, official), {})
    except ArtalkError as error:
        raise BadFile(f"{path.name}: {error}") from error


def _read_safetensors(path: Path) -> Contents:
    if not path.is_file():
        raise MissingFile(f"a checkpoint is wanted, none is at {str(path)!r}")
    package = torchfile.safetensors()
    try:
        with package.safe_open(path, "pt") as file:
            header: dict[str, str] = file.metadata() or {}
            tensors = {name: cast(Tensor, file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except (package.SafetensorError, OSError) as error:
        raise BadFile(f"{str(path)!r} is no .safetensors file: {error}") from error
    if header.get("artalk.kind") != KIND or header.get("artalk.format") != FORMAT:
        raise BadFile(f"{str(path)!r} holds no released model of format {FORMAT}: make it with artalk convert")
    try:
        config = configs.from_json(ReleasedConfig, header.get("artalk.config", ""))
        return _checked(tensors, config, json.loads(header.get("artalk.card", "{}")))
    except (ArtalkError, ValueError) as error:
        raise BadFile(f"{path.name}: {error}") from error


def _checked(tensors: Mapping[str, Tensor], config: ReleasedConfig, card: dict[str, Any]) -> Contents:
    layout.check(tensors, config)
    single = {name: t if name == "lvl_idx" else t.to(torch.float32).contiguous() for name, t in tensors.items()}
    return Contents(config, single, card)


def _official(path: Path, config: str | os.PathLike[str] | None) -> Mapping[str, Any] | None:
    """The release's config.json: the one that is given, or one that lies beside the checkpoint."""
    beside = [path.with_name(name.format(stem=path.stem)) for name in CONFIGS]
    found = Path(config) if config is not None else next((place for place in beside if place.is_file()), None)
    if found is None:
        return None
    if not found.is_file():
        raise MissingFile(f"no config at {str(found)!r}")
    try:
        table = json.loads(found.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise BadFile(f"{str(found)!r} is no JSON: {error}") from error
    # Any folder may have a config.json of something else.
    if not isinstance(table, dict) or not (
        {"AR_VAE", "AR_CONFIG", "VAE_CONFIG"} & cast("dict[str, Any]", table).keys()
    ):
        if config is None:
            return None
        raise BadFile(f"a release's config has AR_CONFIG and VAE_CONFIG, {str(found)!r} has not")
    return cast("dict[str, Any]", table)


def _sha256(path: str | os.PathLike[str]) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
