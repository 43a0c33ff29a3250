"""What every speech encoder is to a model: sound → features, all at once or a window after the other."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

State = dict[str, Tensor]


class Heard(NamedTuple):
    """`features` (batch, frames, FEATURES · width) and the running `level` (batch, …) for the next piece."""

    features: Tensor
    level: Tensor


class Reach(Protocol):
    """How far an encoder hears, in frames."""

    @property
    def past(self) -> int:
        """Frames of sound before a frame that a step must be given."""
        ...

    @property
    def lookahead(self) -> int:
        """Frames of sound after a frame that its features hear."""
        ...


class Encoder(nn.Module, ABC):
    """Hears `past` frames back and `lookahead` frames ahead. `hop` are the samples of a frame."""

    hop: int

    @property
    @abstractmethod
    def reach(self) -> Reach:
        """How far it hears."""

    @abstractmethod
    def fresh(self, batch: int) -> Tensor:
        """(batch, …): the level before any sound."""

    @abstractmethod
    def forward(self, sound: Tensor, level: Tensor | None = None) -> Heard:
        """Hear `sound` (batch, (past + frames + lookahead) · hop)."""

    def begin(self, batch: int) -> State:
        """What `step` starts from: silence."""
        return {
            "sound": torch.zeros(batch, self.reach.past * self.hop, device=self.fresh(1).device),
            "level": self.fresh(batch).detach().clone(),
        }

    def step(self, state: Mapping[str, Tensor], sound: Tensor) -> tuple[Tensor, State]:
        """Features (batch, frames, …) of `sound` (batch, (frames + lookahead) · hop), and the next state: of memories
        the newest tokens alone, where these are fewer than all (`transformer.slid`).

        The features are those of `forward`; here the past is heard anew each time.
        """
        full = torch.cat([state["sound"], sound], dim=1)
        heard = self(full, state["level"])
        return heard.features, {"sound": self._kept(full, state["sound"]), "level": heard.level}

    def _kept(self, full: Tensor, before: Tensor) -> Tensor:
        """The sound that the next step has to be given again."""
        stop = full.shape[1] - self.reach.lookahead * self.hop
        return full[:, stop - before.shape[1] : stop]
