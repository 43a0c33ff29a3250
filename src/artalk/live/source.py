"""Where live sound comes from: a microphone, a pipe, or a file at the pace at which it is heard."""

import queue
import threading
import time
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from artalk.audio import Audio
from artalk.errors import BadInput, NeedsExtra, needs

FloatArray = NDArray[np.float32]

BLOCK = 0.02
"""Seconds of sound that come at a time."""


class Source(Protocol):
    """Sound as time goes by."""

    sample_rate: int
    lost: int
    """How often sound was lost on its way here."""

    def read(self) -> FloatArray:
        """The samples (n,) that came since the last call; does not wait."""
        ...

    @property
    def ended(self) -> bool:
        """Whether no more will come."""
        ...

    def close(self) -> None:
        """Let the device go."""
        ...


LONGEST_READ = 10
"""Seconds that one `read` gives at most of a sound without an end."""


class File:
    """A sound that is heard from the first `read` on, as fast as time goes; with `loop` again and again."""

    def __init__(self, audio: Audio, loop: bool = False) -> None:
        self.sample_rate, self.lost = audio.sample_rate, 0
        self._samples, self._loop = audio.samples, loop
        self._began: float | None = None
        self._at = 0

    def read(self) -> FloatArray:
        """See `Source`."""
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        until = int((now - self._began) * self.sample_rate)
        first, self._at = self._at, until if self._loop else min(until, len(self._samples))
        if not len(self._samples):
            return self._samples
        if self._loop:
            # A machine that slept for a night has missed too much for a memory.
            first = max(first, until - LONGEST_READ * self.sample_rate)
            return self._samples[np.arange(first, until) % len(self._samples)]
        return self._samples[first : self._at]

    @property
    def ended(self) -> bool:
        """See `Source`."""
        return not self._loop and self._at >= len(self._samples)

    def close(self) -> None:
        """See `Source`."""


class Bytes(Protocol):
    """What a pipe is read from: `io.BufferedReader` and other buffered binary files."""

    def read1(self, size: int, /) -> bytes:
        """At most `size` bytes as soon as there are any; none at the end."""
        ...


WAITING = 30
"""Seconds of sound that wait at most for their time to come: a pipe that brings more is made to wait itself."""


class Pipe:
    """PCM16 (little-endian, one channel) that another program writes: a recorder, a text-to-speech, a decoder.

    What comes faster than time goes by waits for its time, as it would at a loudspeaker; where nothing comes, there is
    nothing to hear, and what comes later is heard when it comes.
    """

    def __init__(self, stream: Bytes, sample_rate: int) -> None:
        self.sample_rate, self.lost = sample_rate, 0
        self._waiting, self._turn = bytearray(), threading.Condition()
        self._closed = self._finished = False
        self._began: float | None = None
        self._given = 0
        # A daemon: nobody can wake who waits for another program's next byte.
        threading.Thread(target=self._fill, args=(stream,), name="artalk-pipe", daemon=True).start()

    def read(self) -> FloatArray:
        """See `Source`."""
        with self._turn:
            count, now = len(self._waiting) // 2, time.monotonic()
            self._began = now if self._began is None else self._began
            due = int((now - self._began) * self.sample_rate) - self._given
            if due > count:  # all that waited is heard, and what comes next is heard from its coming on
                self._began, self._given = now, 0
            else:
                count = due
                self._given += due
            taken = bytes(self._waiting[: 2 * count])
            del self._waiting[: 2 * count]
            self._turn.notify_all()
        return np.frombuffer(taken, "<i2").astype(np.float32) / np.float32(32768)

    @property
    def ended(self) -> bool:
        """See `Source`."""
        with self._turn:
            return self._finished and len(self._waiting) < 2

    def close(self) -> None:
        """See `Source`."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()

    def _fill(self, stream: Bytes) -> None:
        try:
            while not self._closed and (came := stream.read1(1 << 14)):
                with self._turn:
                    self._waiting += came
                    self._turn.wait_for(lambda: self._closed or len(self._waiting) < 2 * WAITING * self.sample_rate)
        except (OSError, ValueError):
            pass  # closed under our hands: the sound has come to its end
        finally:
            with self._turn:
                self._finished = True


class Microphone:
    """An input device of this machine, mono."""

    def __init__(self, device: str | None = None) -> None:
        try:
            sounddevice: Any = needs("sounddevice", "live", "a microphone")
        except OSError as error:
            raise NeedsExtra(f"a microphone needs PortAudio, a system package (libportaudio2): {error}") from error
        self._blocks: queue.SimpleQueue[FloatArray] = queue.SimpleQueue()
        self.lost = 0
        wish = int(device) if device is not None and device.isdigit() else device
        try:
            facts = sounddevice.query_devices(wish, "input")
            self.sample_rate = int(facts["default_samplerate"])
            size = round(BLOCK * self.sample_rate)
            self._stream = sounddevice.InputStream(
                self.sample_rate, size, wish, 1, "float32", "low", callback=self._came
            )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise BadInput(f"no microphone can be opened ({device or 'the default one'}): {error}") from error

    def _came(self, block: Any, frames: int, moment: Any, status: Any) -> None:
        # PortAudio's own thread: it is not to wait, and its buffer is another's after this.
        self.lost += bool(status.input_overflow)
        self._blocks.put(np.array(block[:, 0], np.float32))

    def read(self) -> FloatArray:
        """See `Source`."""
        blocks = [np.zeros(0, np.float32)]
        while not self._blocks.empty():
            blocks.append(self._blocks.get_nowait())
        return np.nan_to_num(np.concatenate(blocks))

    @property
    def ended(self) -> bool:
        """See `Source`."""
        return not self._stream.active

    def close(self) -> None:
        """See `Source`."""
        self._stream.close()
