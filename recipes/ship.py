"""Turn a trained generator into the files that ship with the package, with a card made from its corpus.

    python recipes/ship.py RUN/generator/best.safetensors CORPUS [--name artalk] [--weights int8] [--figures F.json]
        [--mean-with RUN/other/best.safetensors] [--run-only]

Writes NAME.onnx (what `artalk animate` runs), NAME.safetensors (to tune from, the same numbers; not with --run-only)
and NAME.md (the card in words) into src/artalk/weights, and prints how far the .onnx is from torch. F is what
`benchmarks/default_model.py --json` wrote. `--mean-with` names checkpoints that went on from one another: the mean of
their weights errs less than each ("Model soups", Wortsman et al. 2022). `--lips-blend`, `--brows-temperature`,
`--rest-temperature`, `--rest-top-p` and `--style-guidance` set what the model does when nothing is asked for, `--rules`
what rules do beside it (artalk-live: brows of temperature 1.3, rules eyes,head,quiet).
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import artalk
from artalk import checkpoint
from artalk.checkpoint import Checkpoint
from artalk.data.clips import Corpus
from artalk.models.artalk import Artalk, TrunkConfig

ROOT = Path(__file__).parents[1]
HELLO = ROOT / "examples" / "hello.flac"
MOST_MEGABYTES = 30

LIMITS = [
    "Lips were measured on two people (English and Mandarin); other voices follow a teacher made from the first.",
    "The head is learnt from motion that rules made: alive, not a person's. Lids, gaze and nods are the rules'.",
    "Cheeks, nose, squint, tongue and the jaw's forward shift were not measured and stay at rest.",
    "No emotion is heard; a style clip is the way to ask for one.",
    "The model itself has learnt the ways of two people and eight planted habits. A stranger's clip is followed by its "
    "moments (where the mouth rests, how far it moves), which brings lips nearer but is no acquaintance: personalise.",
]


def sources(corpus: Corpus) -> list[dict[str, Any]]:
    """Minutes by source and kind, with licence and credit, of the training split."""
    minutes: dict[tuple[str, str], float] = defaultdict(float)
    terms: dict[str, tuple[str, str]] = {}
    for entry in corpus.select("train"):
        minutes[entry.source, entry.kind if entry.observed else "sound alone"] += entry.seconds / 60
        terms[entry.source] = entry.licence, entry.credit
    return [
        {"source": s, "kind": k, "minutes": round(m, 1), "licence": terms[s][0], "credit": terms[s][1]}
        for (s, k), m in sorted(minutes.items())
    ]


def figures(found: dict[str, list[dict[str, Any]]]) -> list[str]:
    """What was measured and has a goal, as a table."""
    if not found:
        return ["Not measured."]
    rows = [row for section in found.values() for row in section if row["goal"] and row["mean"] is not None]
    return [
        "Of held-out clips, by `benchmarks/default_model.py`, with 95 % intervals, in a style with likeness to its "
        "clip, as the package uses the model. No training saw these clips, but which checkpoint ships and how far "
        "likeness goes were chosen on clips among them:",
        "",
        "| figure | value | goal | met |",
        "|---|---|---|---|",
        *(f"| {row['what']} | {_spread(row)} | {row['goal']} | {'yes' if row['met'] else '**no**'} |" for row in rows),
    ]


def _spread(row: dict[str, Any]) -> str:
    ends = "" if row["low"] is None else f" ({row['low']:.3f} to {row['high']:.3f})"
    return f"{row['mean']:.3f}{ends}"


def words(name: str, card: dict[str, Any], model: Artalk, sizes: dict[str, float]) -> str:
    """The card for a person."""
    config, count = model.config, sum(p.numel() for p in model.parameters())
    lines = [
        f"# {name}",
        "",
        f"Speech to ARKit's 52 weights and the head's rotation at 25 fps: {count / 1e6:.1f} M parameters, windows "
        f"of {config.codec.window} frames at scales {list(config.codec.scales)}, {config.speech.lookahead * 40} ms of "
        "look-ahead.",
        "",
        "| file | MB |",
        "|---|---|",
        *(f"| {file} | {size:.1f} |" for file, size in sizes.items()),
        "",
        "## Trained on",
        "",
        "| source | kind | minutes | licence | credit |",
        "|---|---|---|---|---|",
        *("| {source} | {kind} | {minutes} | {licence} | {credit} |".format(**row) for row in card["sources"]),
        "",
        "*real* was measured on a face (GRID: tracked video; FACEGOOD: weights that came with the recording, by an "
        "animator or a solver, nobody says), *styled* is real motion with a planted habit, *taught* was made from "
        "phones by a teacher fitted to the real part. Held-out sentences are chosen by a hash of their words. Minutes "
        "are those of clips, taught ones with the silence that is put around each sentence.",
        "",
        "## Figures",
        "",
        *figures(card["figures"]),
        "",
        "## Limits",
        "",
        *(f"- {line}" for line in card["limits"]),
        *([] if f"{name}.safetensors" in sizes else ["- It cannot be tuned: only what runs is here."]),
        "",
    ]
    return "\n".join(lines)


def turned(
    model: Artalk,
    lips_blend: float | None,
    brows: float | None,
    temperature: float | None,
    top_p: float | None,
    guidance: float | None,
    rules: tuple[str, ...] | None,
) -> Artalk:
    """The same weights with other defaults of generation; life that their corpus did not show is the rules'."""
    trunks: dict[str, TrunkConfig] = dict(model.config.trunks)
    if lips_blend is not None:
        trunks["lips"] = replace(trunks["lips"], blend=lips_blend)
    if brows is not None:
        trunks["brows"] = replace(trunks["brows"], temperature=brows)
    if temperature is not None:
        trunks["rest"] = replace(trunks["rest"], temperature=temperature)
    if top_p is not None:
        trunks["rest"] = replace(trunks["rest"], top_p=top_p)
    guidance = model.config.style_guidance if guidance is None else guidance
    rules = model.config.rules if rules is None else rules
    made = Artalk(replace(model.config, trunks=trunks, style_guidance=guidance, rules=rules))
    made.load_state_dict(model.state_dict())
    return made.eval()


def mean(checkpoints: Sequence[Checkpoint]) -> Checkpoint:
    """The last of them with the mean of all weights and of all named styles."""
    last = checkpoints[-1]
    if len(checkpoints) == 1:
        return last
    states = [each.model.state_dict() for each in checkpoints]
    weights = {
        name: sum(state[name] for state in states) / len(states) if value.is_floating_point() else value
        for name, value in states[-1].items()
    }
    last.model.load_state_dict(weights)
    styles = {
        name: np.mean([each.styles[name] for each in checkpoints if name in each.styles], axis=0)
        for name in last.styles
    }
    unit = {name: [round(float(x), 5) for x in style / np.linalg.norm(style)] for name, style in styles.items()}
    return replace(last, styles=unit)


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("corpus")
    parser.add_argument("--name", default="artalk")
    parser.add_argument("--folder", type=Path, default=ROOT / "src" / "artalk" / "weights")
    parser.add_argument("--weights", default="int8", choices=["float32", "float16", "int8"])
    parser.add_argument("--figures", type=Path)
    parser.add_argument("--mean-with", nargs="+", default=[])
    parser.add_argument("--run-only", action="store_true")
    parser.add_argument("--lips-blend", type=float)
    parser.add_argument("--brows-temperature", type=float)
    parser.add_argument("--rest-temperature", type=float)
    parser.add_argument("--rest-top-p", type=float)
    parser.add_argument("--style-guidance", type=float)
    parser.add_argument("--rules", help="what rules do beside it, such as eyes,head (default: what its recipe says)")
    wishes = parser.parse_args()
    loaded = mean([checkpoint.load(path) for path in (*wishes.mean_with, wishes.checkpoint)])
    assert isinstance(loaded.model, Artalk), "a codec alone makes no motion of sound"
    others = (
        wishes.brows_temperature,
        wishes.rest_temperature,
        wishes.rest_top_p,
        wishes.style_guidance,
        None if wishes.rules is None else tuple(filter(None, wishes.rules.split(","))),
    )
    model = turned(loaded.model, wishes.lips_blend, *others)
    card = {
        "sources": sources(Corpus(Path(wishes.corpus))),
        "figures": json.loads(wishes.figures.read_text()) if wishes.figures else {},
        "limits": LIMITS,
        "recipe": loaded.card.get("recipe"),
        "step": loaded.card.get("step"),
    }
    made = replace(loaded, model=model, card=card)
    wishes.folder.mkdir(parents=True, exist_ok=True)
    onnx, tensors = (wishes.folder / f"{wishes.name}.{suffix}" for suffix in ("onnx", "safetensors"))
    checkpoint.save(made, tensors, wishes.weights)
    # What is shipped to tune from and what is shipped to run are the same numbers.
    made = replace(made, model=checkpoint.load(tensors).model)
    checkpoint.export(made, onnx, wishes.weights)
    sound = artalk.listen(HELLO).resampled(16000).samples
    distance = checkpoint.deviation(made, onnx, torch.tensor(np.asarray(sound, np.float32)))
    if wishes.run_only:
        tensors.unlink()
    sizes = {path.name: path.stat().st_size / 1e6 for path in (onnx, tensors) if path.exists()}
    (wishes.folder / f"{wishes.name}.md").write_text(words(wishes.name, card, model, sizes), encoding="utf-8")
    print(f"{sizes} MB; from torch: mean {distance.mean:.2g}, largest {distance.largest:.2g}")
    total = sum(path.stat().st_size for path in wishes.folder.iterdir()) / 1e6
    if total > MOST_MEGABYTES:
        raise SystemExit(f"the weights together are {total:.1f} MB, more than {MOST_MEGABYTES}: do not commit them")


if __name__ == "__main__":
    main()
