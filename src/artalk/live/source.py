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
"""Seconds of sound that wait at most: of more, a burst is made to wait itself, and a recorder's oldest goes."""

STALL = 0.1
"""Seconds of a burst that are given at once at most: after a longer stall it goes on where it was."""


class Pipe:
    """PCM16 (little-endian, one channel) that another program writes.

    Of a recorder or a decoder (`burst` false) what comes is heard when it comes, as of a microphone, and what came
    before the first `read` is over. A text-to-speech gives its sound in a `burst`, which waits for its time as it
    would at a loudspeaker.
    """

    def __init__(self, stream: Bytes, sample_rate: int, burst: bool = False) -> None:
        self.sample_rate, self.lost = sample_rate, 0
        self.came = 0
        """Bytes that were written so far."""
        self.heard = 0
        """Samples that were given so far."""
        self._burst = burst
        self._waiting, self._turn = bytearray(), threading.Condition()
        self._head = b""
        self._closed = self._finished = False
        self._began: float | None = None
        self._read_at = 0.0
        self._due = 0.0
        # A daemon: nobody can wake who waits for another program's next byte.
        threading.Thread(target=self._fill, args=(stream,), name="artalk-pipe", daemon=True).start()

    def read(self) -> FloatArray:
        """See `Source`. Raises `BadInput` where a WAV file comes."""
        with self._turn:
            first, now, count = self._began is None, time.monotonic(), len(self._waiting) // 2
            if self._began is None:
                self._began = self._read_at = now
            given = self._paced(count, now - self._read_at) if self._burst else count
            taken = bytes(self._waiting[: 2 * given])
            del self._waiting[: 2 * given]
            self._read_at = now
            self._turn.notify_all()
        if self._head == b"RIFF":
            raise BadInput(
                "raw sound is wanted, and a WAV file comes: --file reads one, ffmpeg -f s16le makes raw sound"
            )
        if first and not self._burst:
            taken = b""
        self.heard += len(taken) // 2
        return np.frombuffer(taken, "<i2").astype(np.float32) / np.float32(32768)

    @property
    def ahead(self) -> float:
        """By how many seconds more sound was given than time went by."""
        return self.heard / self.sample_rate - (self._read_at - (self._began or self._read_at))

    def _paced(self, count: int, seconds: float) -> int:
        """How many of `count` samples have their time, `seconds` after the last ones."""
        self._due += min(seconds, STALL) * self.sample_rate
        given = min(int(self._due), count)
        # Where all that waited is heard, what comes next is heard from its coming on.
        self._due = self._due - given if given < count else 0.0
        return given

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
        most = 2 * WAITING * self.sample_rate
        try:
            while not self._closed and (part := stream.read1(1 << 14)):
                with self._turn:
                    self._head = (self._head + part[:4])[:4]
                    self._waiting += part
                    self.came += len(part)
                    if self._burst:
                        self._turn.wait_for(lambda: self._closed or len(self._waiting) < most)
                    else:  # a recorder does not wait
                        del self._waiting[: max(len(self._waiting) - most, 0) // 2 * 2]
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
