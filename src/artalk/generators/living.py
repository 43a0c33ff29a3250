"""A model's speech with the rules' life: parts of the face that a model's data never showed come from the rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

import numpy as np

from artalk.channels import ARKIT
from artalk.errors import BadInput
from artalk.generators.exported import Exported
from artalk.generators.generator import Condition, FloatArray, Generator
from artalk.generators.idle import Spring
from artalk.generators.likeness import Likened
from artalk.generators.mixing import Mixed
from artalk.generators.visemes import Visemes, VisemeSettings

UNSEEN = ("eyes", "head")
"""What no face of the default model's corpus has shown: lids and gaze, and a head that answers the voice."""

PARTS = (*UNSEEN, "quiet")
"""All that rules can do beside a model. "quiet": shut the lips while nobody speaks, of models whose data had but short
pauses and whose mouth comes open where one is longer than their memory."""

PARTING = tuple(
    ARKIT.index(name)
    for name in (
        "jawOpen",
        "mouthClose",
        "mouthFunnel",
        "mouthLowerDownLeft",
        "mouthLowerDownRight",
        "mouthUpperUpLeft",
        "mouthUpperUpRight",
    )
)
"""What parts the lips. The rest, such as a smile, is the model's in silence, too."""

SPEECH = [k for k, name in enumerate(ARKIT.names) if name.startswith(("jaw", "mouth"))]

AUDIBLE = 0.02
"""What some channel of the rules' mouth has while somebody speaks; in steady noise up to 20 dB below, none has."""

SURE = 0.8
"""How sure a model is at least that somebody speaks, for lips to be free: clicks of keys come to 0.7."""

TRUST, REGAIN = 0.4, 0.05
"""Seconds for which lips are free for what the rules hear and the model does not take for speech, and how fast these
come back. Who is about to speak takes breath and parts the lips first; who only breathes does so again and again."""

VOICED, POSSIBLE = 0.6, 0.02
"""A voice this clear, which the model does not rule out either, brings trust back at once: after a loud speaker a model
takes seconds to hear a soft one."""

PATIENCE, SHUTTING, OPENING = 0.3, 0.2, 0.08
"""Seconds without speech after which lips begin to shut, that they take for it, and that they take to be free again."""

PULL = 3.5
"""How readily the head takes the model's posture, in radians a second: as that of the rules takes theirs."""


@dataclass(frozen=True)
class Neck:
    """What carries the head after the model's: a spring for each of its angles."""

    springs: tuple[Spring, ...]

    def follow(self, targets: FloatArray, seconds: float) -> tuple[FloatArray, "Neck"]:
        """(frames, angles) slowly behind `targets`, and the neck after them."""
        springs = tuple(spring.copy() for spring in self.springs)
        frames = [
            [spring.towards(target, PULL, seconds) for spring, target in zip(springs, row, strict=True)]
            for row in targets.tolist()
        ]
        return np.array(frames, np.float32).reshape(targets.shape), Neck(springs)


@dataclass(frozen=True)
class Hush:
    """How long nobody has spoken, in seconds, how far lips are `free`, 0 (shut) to 1, and for how many seconds they may
    still move for what may be no speech. It begins in silence."""

    quiet: float = PATIENCE
    free: float = 0.0
    trust: float = TRUST

    def follow(
        self, speech: Sequence[bool], stirring: Sequence[bool], voiced: Sequence[bool], seconds: float
    ) -> tuple[FloatArray, "Hush"]:
        """How far lips are free (frames,); and this after them.

        `speech` says in which frames somebody surely speaks, `stirring` where something is heard that may be speech,
        `voiced` where that has a voice.
        """
        quiet, free, trust = self.quiet, self.free, self.trust
        shares: list[float] = []
        for speaks, stirs, sounds in zip(speech, stirring, voiced, strict=True):
            quiet = 0.0 if speaks else quiet + seconds
            trusted = stirs and trust >= seconds
            if speaks:
                trust = TRUST
            elif stirs and not sounds:
                trust -= seconds * trusted
            else:
                trust = min(trust + seconds * (1.0 if sounds else REGAIN), TRUST)
            opens = quiet <= PATIENCE or trusted
            free = min(free + seconds / OPENING, 1.0) if opens else max(free - seconds / SHUTTING, 0.0)
            shares.append(free)
        return np.array(shares, np.float32), Hush(quiet, free, trust)


class Both(NamedTuple):
    """The states of the model, of the rules, of the head between them and of lips that nobody moves."""

    model: Any
    rules: Any
    neck: Neck
    hush: Hush


@final
class Living(Generator):
    """`model`, but for the groups `parts`, which `rules` move under the same seed; of the head they add the nods alone.

    Bits that are drawn one by one make rare events rarer still: of the blinks that rules had taught it, the default
    model drew a third. Where the rules are the source anyway, they are the better copy. Of the head the model knows the
    postures and how lively they are, but not the beat, so the head follows it slowly and what `rules` say comes on top:
    those of `VisemeSettings.sway` 0 say nothing but nods. With "quiet" among the parts the model's lips are shut where
    nobody has spoken for `PATIENCE`: by the model's own ears, which know speech from breath and clicks, and, of a model
    that cannot tell, by those of the rules, which know it from steady noise alone.
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
        self.styles, self.version = model.styles, model.version
        self._replaced = [model.channels.slice(part) for part in parts if part not in ("head", "quiet")]
        self._hushes = "quiet" in parts
        self._head = model.channels.slice("head") if "head" in parts else slice(0, 0)

    def begin(self, condition: Condition, seed: int) -> Both:
        """Both from the beginning; the rules follow no style."""
        springs = tuple(Spring() for _ in range(self._head.stop - self._head.start))
        return Both(self.model.begin(condition, seed), self.rules.begin(Condition(), seed), Neck(springs), Hush())

    def change(self, state: Both, condition: Condition, seed: int) -> Both:
        """Each goes on as it can."""
        model, rules = self.model.change(state.model, condition, seed), state.rules
        return Both(model, self.rules.change(rules, Condition(), seed), state.neck, state.hush)

    def step(self, state: Both, samples: FloatArray) -> tuple[FloatArray, Both]:
        """The model's frames, with the rules' parts in them."""
        return self.step_many([(state, samples)])[0]

    def step_many(self, jobs: Sequence[tuple[Both, FloatArray]]) -> list[tuple[FloatArray, Both]]:
        """The model works on all streams together."""
        moved = self.model.heard_many([(state.model, samples) for state, samples in jobs])
        heard = [
            (state.rules, samples[: (len(made) + self.rules.lookahead) * self.hop])
            for (state, samples), (made, _, _) in zip(jobs, moved, strict=True)
        ]
        lived = self.rules.heard_many(heard)
        before = [state for state, _ in jobs]
        return [self._together(*parts) for parts in zip(moved, lived, before, strict=True)]

    def _together(
        self,
        moved: tuple[FloatArray, FloatArray | None, Any],
        lived: tuple[FloatArray, FloatArray | None, Any],
        before: Both,
    ) -> tuple[FloatArray, Both]:
        (speech, spoken, model), (life, voicing, rules), seconds = moved, lived, 1 / float(self.fps)
        frames, neck, hush = speech.copy(), before.neck, before.hush
        if self._hushes:
            stirs = life[:, SPEECH].max(axis=1) > AUDIBLE
            sure = stirs if spoken is None else spoken > SURE
            voiced = stirs if spoken is None or voicing is None else stirs & (voicing > VOICED) & (spoken > POSSIBLE)
            free, hush = hush.follow(sure.tolist(), stirs.tolist(), voiced.tolist(), seconds)
            frames[:, PARTING] *= free[:, None]
        for part in self._replaced:
            frames[:, part] = life[:, part]
        posture, neck = neck.follow(speech[:, self._head], seconds)
        frames[:, self._head] = posture + life[:, self._head]
        return frames, Both(model, rules, neck, hush)


def alive(model: Exported) -> Generator:
    """A trained model as it is meant to be used: with the likeness of clips, with mixes of styles, and with the rules'
    life where its file says that it has none of its own (`ArtalkConfig.rules`)."""
    parts = model.facts.get("rules", ())
    mixed = Mixed(Likened(model) if model.channels == ARKIT else model)
    return Living(mixed, Visemes(VisemeSettings(sway=0.0)), parts) if parts else mixed


def trained(generator: Generator) -> Exported | None:
    """The trained model that `alive` was given; None for what is none."""
    while isinstance(generator, Living | Mixed | Likened):
        generator = generator.model
    return generator if isinstance(generator, Exported) else None
