"""A model's speech with the rules' life: parts of the face that a model's data never showed come from the rules."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, final

from artalk.errors import BadInput
from artalk.generators.generator import Condition, FloatArray, Generator

UNSEEN = ("eyes",)
"""Lids and gaze, which no face of the default model's corpus has shown."""


class Both(NamedTuple):
    """The states of the model and of the rules."""

    model: Any
    rules: Any


@final
class Living(Generator):
    """`model`, but for the groups `parts`, which `rules` move under the same seed.

    Bits that are drawn one by one make rare events rarer still: of the blinks that rules had taught it, the default
    model drew a third. Where the rules are the source anyway, they are the better copy.
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"style"})

    def __init__(self, model: Generator, rules: Generator, parts: Sequence[str] = UNSEEN) -> None:
        if (model.channels, model.fps, model.sample_rate) != (rules.channels, rules.fps, rules.sample_rate):
            raise BadInput(f"{model.name!r} and {rules.name!r} differ in channels, frame rate or sample rate")
        if rules.window != 1 or rules.lookahead > model.lookahead:
            raise BadInput(f"{rules.name!r} must go by single frames and hear no further than {model.name!r}")
        self.model, self.rules = model, rules
        self.name, self.channels, self.fps = model.name, model.channels, model.fps
        self.sample_rate, self.window, self.lookahead = model.sample_rate, model.window, model.lookahead
        self.styles = model.styles
        self._parts = [model.channels.slice(part) for part in parts]

    def begin(self, condition: Condition, seed: int) -> Both:
        """Both from the beginning; the rules follow no style."""
        return Both(self.model.begin(condition, seed), self.rules.begin(Condition(), seed))

    def change(self, state: Both, condition: Condition, seed: int) -> Both:
        """Each goes on as it can."""
        return Both(self.model.change(state.model, condition, seed), self.rules.change(state.rules, Condition(), seed))

    def step(self, state: Both, samples: FloatArray) -> tuple[FloatArray, Both]:
        """The model's frames, with the rules' parts in them."""
        return self.step_many([(state, samples)])[0]

    def step_many(self, jobs: Sequence[tuple[Both, FloatArray]]) -> list[tuple[FloatArray, Both]]:
        """The model works on all streams together."""
        spoken = self.model.step_many([(state.model, samples) for state, samples in jobs])
        heard = [
            (state.rules, samples[: (len(made) + self.rules.lookahead) * self.hop])
            for (state, samples), (made, _) in zip(jobs, spoken, strict=True)
        ]
        lived = self.rules.step_many(heard)
        return [
            (self._together(speech, life), Both(model, rules))
            for (speech, model), (life, rules) in zip(spoken, lived, strict=True)
        ]

    def _together(self, speech: FloatArray, life: FloatArray) -> FloatArray:
        frames = speech.copy()
        for part in self._parts:
            frames[:, part] = life[:, part]
        return frames
