"""Why frames do not arrive, as far as a sender of datagrams can know."""

import math
from typing import Literal, TypeAlias

Trouble: TypeAlias = Literal["no such host", "cannot be reached", "nobody listens"]

PATIENCE = 2.0
"""Seconds of refusals after which nobody listens, and seconds without a loss after which all is well."""


class Diagnosis:
    """Tells a trouble from a hiccup, by what becomes of each frame.

    A receiver that is not there refuses every other datagram, or one a second where it is another machine, so that a
    frame which went out proves nothing by itself. Times are seconds of any one clock.
    """

    def __init__(self) -> None:
        self.trouble: Trouble | None = None
        """What is wrong now."""
        self.last: Trouble | None = None
        """What was wrong when a frame was lost last, also if all is well since."""
        self._ill = self._well = math.inf
        self._same = -math.inf

    def sent(self, now: float) -> None:
        """A frame went out."""
        self._well = min(self._well, now)
        if now - self._well >= PATIENCE:
            self.trouble, self._ill, self._same = None, math.inf, -math.inf

    def lost(self, why: Trouble, now: float) -> None:
        """A frame was lost."""
        self.last, self._well, self._ill = why, math.inf, min(self._ill, now)
        # Of a host whose addresses fail in different ways in turn, one is enough to say.
        other = why != self.trouble and now - self._same >= PATIENCE
        if other and (why != "nobody listens" or now - self._ill >= PATIENCE):
            self.trouble = why
        if why == self.trouble:
            self._same = now
