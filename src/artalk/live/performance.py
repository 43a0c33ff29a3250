"""A performance for other tools: sound in, frames out at an even pace, to several places at once."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk import edit, mapping
from artalk.channels import ARKIT
from artalk.errors import Unsupported
from artalk.generators.generator import Condition, Generator
from artalk.live.output import Output
from artalk.live.show import Show, Tick
from artalk.live.source import Source
from artalk.motion import Motion
from artalk.retarget import flame
from artalk.stream.playout import Playout
from artalk.stream.protocol import Interrupted
from artalk.stream.session import Event, Session, Style

FloatArray = NDArray[np.float32]

MARGIN = 0.03
"""Seconds that a frame may take to be made: it is shown by so much later than it could be at best."""

SOON = 0.01
"""Seconds that a frame waits for the model, which works in a thread of its own: most are done by then."""

TAIL = 0.6
"""Seconds that a face goes on after a file has ended."""


class Performance(Show):
    """Runs one session and sends its poses on; those of a FLAME model as ARKit's, by the user's map.

    Raises `Unsupported` for a generator of other channels, and `MissingAsset`, which says how a FLAME map is had.
    """

    def __init__(
        self,
        generator: Generator,
        source: Source,
        outputs: Sequence[Output],
        fps: Fraction = Fraction(60),
        seed: int = 0,
        style: Style = None,
        gains: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(outputs, fps)
        self._channels, self._gains = generator.channels, dict(gains or {})
        if self._channels not in (ARKIT, *mapping.FLAMES):
            raise Unsupported(
                f"live outputs carry ARKit motion, or FLAME's by a map; {generator.name!r} makes "
                f"{self._channels.name}: choose another model"
            )
        edit.check(self._gains)
        self._map = None if self._channels == ARKIT else mapping.flame_map()
        self.session = Session(generator, source.sample_rate, "live", seed, style)
        self.source = source
        self.playout = Playout(float(generator.fps))
        self._ending: float | None = None
        self._worker: Executor | None = None
        self._making: Future[tuple[FloatArray, Any]] | None = None
        # A pose between two frames needs the second one, too.
        self.delay = self.session.latency + 1 / float(generator.fps) + MARGIN
        """Seconds by which the face is behind the sound; `run` begins by measuring the model's share of them."""

    @property
    def late(self) -> int:
        """See `Show`."""
        return self.playout.held

    def step(self, clock: float) -> bool:
        """See `Show`."""
        block = self.source.read()
        if len(block):
            self.session.feed(block)
        if self.source.ended and self._ending is None:
            self.session.flush()
            self._ending = clock
        for event in self._events(clock):
            if isinstance(event, Motion):
                self.playout.add(event)
            elif isinstance(event, Interrupted):
                self.playout.forget(event.frame)
        pose = self.playout.at(clock + self.session.skew - self.delay)
        self._send(np.zeros(len(ARKIT), np.float32) if pose is None else self._as_arkit(pose))
        return self._ending is None or clock < self._ending + self.delay + TAIL

    def run(self, tick: Callable[[Tick], None] | None = None, ready: Callable[[], None] | None = None) -> None:
        """Perform until the sound ends or the user stops it; the face then comes to rest.

        The model works in a thread of its own, and what it takes for a window is added to the delay: frames go out
        evenly whatever it takes, as long as it keeps up. `ready` is called when the `delay` is known.
        """
        self._worker = ThreadPoolExecutor(1, "artalk-model")
        self.delay += max(self._window_seconds() + float(1 / self.fps) - MARGIN, 0.0)
        try:
            super().run(tick, ready)
        finally:
            self._worker.shutdown(wait=False, cancel_futures=True)
            self.source.close()

    def _events(self, clock: float) -> list[Event]:
        """What the session has made by now; a step under way is waited for no longer than `SOON`."""
        session = self.session
        if self._worker is None:
            return session.run(clock)
        if self._making is None:
            session.advance(clock)
        while True:
            if self._making is None:
                step = session.due()
                if step is None:
                    return session.events()
                self._making = self._worker.submit(session.generator.step, *step)
                wait([self._making], SOON)
            if not self._making.done():
                return []
            made, self._making = self._making, None
            session.done(*made.result())

    def _window_seconds(self) -> float:
        """What the model takes for a window in this style, when it has made one."""
        generator = self.session.generator
        sound = np.zeros((generator.window + generator.lookahead) * generator.hop, np.float32)
        _, state = generator.step(generator.begin(Condition(self.session.style), 0), sound)
        began = time.monotonic()
        generator.step(state, sound)
        return time.monotonic() - began

    def _as_arkit(self, pose: FloatArray) -> FloatArray:
        """A pose of the generator's as it goes out. Each is mapped when it is due: a window's at once would stall."""
        motion = Motion(pose[None], self._channels, self.fps)
        motion = motion if self._map is None else flame.to_arkit(motion, self._map)
        return (edit.scaled(motion, self._gains) if self._gains else motion).values[0]
