"""What a trained model's file says of itself: what it makes, what it learnt from, its figures and its limits."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from artalk.errors import BadFile, MissingFile
from artalk.generators.exported import Exported

HEADER = 100 << 20
"""Most bytes of a .safetensors' header, as the format's own library allows."""


@dataclass(frozen=True)
class Card:
    """`makes` says what comes out and how late; `card` is what the recipe noted: sources, figures, limits."""

    name: str
    makes: str
    styles: tuple[str, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def words(self) -> str:
        """Some lines for a person; figures are those with a goal, of the model as the package runs it.

        Of a model as its training wrote it they are those of the validation clips.
        """
        lines = [f"model     {self.name}: {self.makes}"]
        if self.styles:
            lines.append(f"styles    {', '.join(self.styles)}")
        lines += [f"learnt    {_learnt(source)}" for source in self.card.get("sources", ())]
        lines += [f"limit     {limit}" for limit in self.card.get("limits", ())]
        figures = cast("Mapping[str, Any]", self.card.get("figures", {}))
        groups = [cast("list[dict[str, Any]]", group) for group in figures.values() if isinstance(group, list)]
        lines += [f"figure    {_figure(row)}" for group in groups for row in group if row.get("goal")]
        judged = [f"{name} {value:.3f}" for name, value in figures.items() if isinstance(value, float)]
        lines += [f"judged    {', '.join(judged)}"] if judged else []
        return "\n".join(lines)


def of(model: Exported) -> Card:
    """The card of a model that is ready to run."""
    seconds = float((model.window + model.lookahead) / model.fps)
    makes = (
        f"{model.channels.name} at {float(model.fps):g} fps, {model.window} frames at a time, "
        f"{seconds:.2f} s after the sound; {'styles by clip or name' if model.accepts else 'one style'}"
    )
    return Card(model.name, makes, model.styles, model.card)


def read(path: Path) -> Card:
    """The card in an `.onnx` that `artalk export` wrote, or in a checkpoint; raises `MissingFile` and `BadFile`."""
    if path.suffix.lower() == ".onnx":
        return of(Exported.load(path))
    header = _header(path)
    kind = header.get("artalk.kind")
    if kind is None:
        raise BadFile(f"{path.name} is no checkpoint of artalk's: its header names no kind of model")
    return Card(
        path.stem, f"weights to train on from ({kind}); artalk export makes a generator of them", (), _card(header)
    )


def _header(path: Path) -> dict[str, str]:
    """The text in front of a .safetensors' numbers, which takes neither torch nor the format's library to read."""
    if not path.is_file():
        raise MissingFile(f"no file at {str(path)!r}")
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            table: Any = json.loads(file.read(length)) if 1 < length <= HEADER else {}
        said = cast("dict[object, object]", table["__metadata__"])
        return {str(key): str(value) for key, value in said.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadFile(f"{path.name} is no .safetensors file with a header of artalk's") from error


def _card(header: Mapping[str, str]) -> dict[str, Any]:
    try:
        card = json.loads(header.get("artalk.card", "{}"))
    except ValueError:
        return {}
    return cast("dict[str, Any]", card) if isinstance(card, dict) else {}


def _learnt(source: Mapping[str, Any]) -> str:
    minutes = f"{source['minutes']} minutes" if "minutes" in source else ""
    what = f"{source.get('source')} ({source.get('kind')})"
    known = ", ".join(filter(None, (minutes, source.get("licence"))))
    return "; ".join(filter(None, (": ".join(filter(None, (what, known))), source.get("credit"))))


def _figure(row: Mapping[str, Any]) -> str:
    mean, low, high = (row.get(name) for name in ("mean", "low", "high"))
    spread = f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else ""
    met = "met" if row.get("met") else "MISSED"
    return f"{row.get('what')}: {mean:.3f}{spread}, goal {row.get('goal')}, {met}"
