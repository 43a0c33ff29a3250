"""Styles in shares: a model performs in each of them, and the motions are mixed.

Mixed as vectors, or as guidance, codes fall to the one side or to the other: from a third of a smile on it is whole,
and twice a style is hardly more than once. Motions mix evenly: half of a style lies half-way from none to whole.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, ClassVar, NamedTuple, final

import numpy as np

from artalk.channels import ARKIT
from artalk.errors import BadInput
from artalk.generators.generator import STRONGEST, Condition, FloatArray, Generator
from artalk.motion import Motion

LEAST = 1e-3
"""The least share that is worth a performance."""

FARTHEST = 0.6
"""Radians that a head turns at most where a style is exaggerated."""

MOST = 4
"""Styles of a mix that are performed, those with the largest shares: a client who asks for all costs no more."""

WEIGHTS = ARKIT.of_kind("weight")
HEAD = ARKIT.slice("head")
JAW, CLOSED = ARKIT.index("jawOpen"), ARKIT.index("mouthClose")


class Part(NamedTuple):
    """Where the model stands in one of the styles, which that is, and how much of its motion is shown."""

    model: Any
    style: str
    share: float


Mixture = tuple[Part, ...]
"""The parts of a stream; their shares add up to 1."""


def mix(text: str) -> dict[str, float]:
    """The shares that "smiling:0.7,lively" says: a name by itself counts whole. Raises `BadInput`."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = (piece.strip() for piece in part.partition(":"))
        if name in shares:
            raise BadInput(f"a mix names each style once, got {name} twice in {text!r}")
        try:
            shares[name] = float(share or 1)
        except ValueError:
            shares[name] = math.nan
        if not math.isfinite(shares[name]):
            raise BadInput(f"the share of style {name} is a number, got {share!r}")
    return shares


@final
class Mixed(Generator):
    """`model` in a mix of styles: free + strength · Σ share · (styled - free).

    What shares lack to 1 is the model without a style; beyond 1 they are taken relative to each other. A strength above
    1 goes on in the same direction, as far as faces can. A style by itself, and no style, are the model's own motion to
    the last bit. Each style costs a performance, and so does what is left of no style; of more than `MOST` styles the
    foremost share what all have.
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"style"})

    def __init__(self, model: Generator) -> None:
        self.model = model
        self.name, self.channels, self.fps, self.styles = model.name, model.channels, model.fps, model.styles
        self.version = model.version
        self.sample_rate, self.window, self.lookahead = model.sample_rate, model.window, model.lookahead

    def begin(self, condition: Condition, seed: int) -> Mixture:
        """A state for each style; chance is the same for all."""
        return tuple(
            Part(self.model.begin(part, seed), _called(part), share) for share, part in self._shares(condition)
        )

    def change(self, state: Mixture, condition: Condition, seed: int) -> Mixture:
        """A style that stays goes on; one that is new has heard what the others have."""
        running = {part.style: part.model for part in state}
        return tuple(
            Part(self.model.change(running.get(_called(part), state[0].model), part, seed), _called(part), share)
            for share, part in self._shares(condition)
        )

    def step(self, state: Mixture, samples: FloatArray) -> tuple[FloatArray, Mixture]:
        """The styles' frames, mixed."""
        return self.step_many([(state, samples)])[0]

    def step_many(self, jobs: Sequence[tuple[Mixture, FloatArray]]) -> list[tuple[FloatArray, Mixture]]:
        """The model works on all styles of all streams together."""
        return [(frames, state) for frames, _, state in self.heard_many(jobs)]

    def heard_many(
        self, jobs: Sequence[tuple[Mixture, FloatArray]]
    ) -> list[tuple[FloatArray, FloatArray | None, Mixture]]:
        """What the model hears is the same in every style."""
        made = iter(self.model.heard_many([(part.model, samples) for state, samples in jobs for part in state]))
        return [self._together(state, made) for state, _ in jobs]

    def _together(
        self, state: Mixture, made: Iterator[tuple[FloatArray, FloatArray | None, Any]]
    ) -> tuple[FloatArray, FloatArray | None, Mixture]:
        rows = [(part.share, *next(made)) for part in state]
        after = tuple(part._replace(model=row[3]) for part, row in zip(state, rows, strict=True))
        _, frames, spoken, _ = rows[0]
        if len(rows) > 1:
            # One after the other: what a matrix product gives depends on how many frames there are.
            frames = np.zeros_like(frames)
            for share, motion, _, _ in rows:
                frames += np.float32(share) * motion
        if self.channels == ARKIT and min(share for share, _, _, _ in rows) < 0:
            _bound(frames)
        return frames, spoken, after

    def _shares(self, condition: Condition) -> list[tuple[float, Condition]]:
        wish = condition.style
        for name in [wish] if isinstance(wish, str) else wish if isinstance(wish, Mapping) else ():
            if name not in self.styles:
                known = ", ".join(self.styles) or "none"
                raise BadInput(f"model {self.name!r} has no style {name!r}; it has {known}")
        return shares(condition)


def _called(condition: Condition) -> str:
    """What the style of a part is called: its name, a clip's fingerprint, "" for none."""
    style = condition.style
    return f"clip {sha256(style.values.tobytes()).hexdigest()}" if isinstance(style, Motion) else str(style or "")


def _bound(frames: FloatArray) -> None:
    """What goes beyond a style stays a face: weights within 0 and 1, lips before each other, the head on its neck."""
    frames[:, WEIGHTS] = frames[:, WEIGHTS].clip(0, 1)
    frames[:, HEAD] = frames[:, HEAD].clip(-FARTHEST, FARTHEST)
    frames[:, CLOSED] = np.minimum(frames[:, CLOSED], frames[:, JAW])


def shares(condition: Condition) -> list[tuple[float, Condition]]:
    """The conditions that a model performs under, each with one style or none, and their shares, which add up to 1."""
    style = condition.style
    named = {style: 1.0} if isinstance(style, str) else style if isinstance(style, Mapping) else None
    if named is not None and not (all(0 <= share <= STRONGEST for share in named.values()) and sum(named.values()) > 0):
        raise BadInput(f"a mix of styles has shares of 0 to {STRONGEST:g} and some above 0, got {dict(named)}")
    # As they come over a socket: the same mix is the same to the last bit wherever it is asked for.
    named = named and {name: float(np.float32(share)) or share for name, share in named.items()}
    strength = 0.0 if style is None else condition.style_strength
    total = 1.0 if named is None else max(sum(named.values()), 1.0)
    styled = [(1.0, style)] if named is None else _foremost({name: share / total for name, share in named.items()})
    rows = [(strength * share, replace(condition, style=part, style_strength=1.0)) for share, part in styled]
    rest = 1.0 - sum(share for share, _ in rows)
    rows.append((rest, replace(condition, style=None, style_strength=1.0)))
    return [(share, part) for share, part in rows if abs(share) >= LEAST]


def _foremost(named: Mapping[str, float]) -> list[tuple[float, str]]:
    """The largest shares with their names, raised to the sum of all."""
    chosen = sorted(named, key=lambda name: -named[name])[:MOST]
    raised = sum(named.values()) / sum(named[name] for name in chosen)
    return [(named[name] * raised, name) for name in chosen]
