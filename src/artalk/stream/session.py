"""A face that is there for as long as one speaks with it: it listens, speaks, is interrupted, and lives in between.

A session knows no socket and no thread, and reads no clock: who runs it tells the time. Its own time runs from 0, and
sound takes its place on it: speech where it came, silence where nobody speaks. All of it goes through the generator,
so that the motion is that of the whole sound, silences included, and idle life is what the generator makes of silence.
Silence is only put in up to the present, so that no delay builds up.
"""

import math
import struct
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from artalk import edit
from artalk.errors import BadInput
from artalk.generators.generator import Condition, Generator, Named, Standing
from artalk.motion import Motion, exact_fps
from artalk.stream.backlog import Backlog, Mark
from artalk.stream.backlog import BufferFull as BufferFull
from artalk.stream.glide import SHUT, Glide, Shutting
from artalk.stream.protocol import PACES, Ended, Finished, Interrupted, Pace, Placed
from artalk.stream.state import BadState, pack, unpack, unpack_like

FloatArray = NDArray[np.float32]

Style: TypeAlias = Motion | Named | None

Event: TypeAlias = Motion | Placed | Ended | Interrupted | Finished

AHEAD = 8
"""Windows whose sound is handed to the generator before they are due, at most."""

BLOCK = 0.02
"""Seconds of the blocks that most clients send."""

SLEW = 0.002
"""The share by which a session's time follows a microphone's, a block of sound: clocks of sound cards differ."""


CLOSED = 0.3
"""Seconds of frames that an interruption makes at once where sound and time are not tied: the mouth closes in them."""


@dataclass(frozen=True)
class Pacing:
    """How a session treats time; all in seconds.

    `lead`: how far ahead of the clock frames of sound that came early are made. `patience`: how long speech may fail
    to come in the middle of a turn before silence takes its place. `slack`: how far a microphone's sound may run ahead
    of the clock, besides the length of a block, before its oldest part is dropped. `catch_up`: how far a session may
    fall behind before frames are left out. `buffer`: how much sound may wait.
    """

    lead: float = 0.2
    patience: float = 0.3
    slack: float = 0.25
    catch_up: float = 1.0
    buffer: float = 30.0

    def __post_init__(self) -> None:
        for name in ("lead", "patience", "slack", "catch_up", "buffer"):
            if not 0 < getattr(self, name) <= 3600:
                raise BadInput(f"{name} is seconds above 0 and at most 3600, got {getattr(self, name)}")


@dataclass
class Counters:
    """What happened so far; see `protocol.Health`."""

    frames: int = 0
    frames_dropped: int = 0
    samples_dropped: int = 0
    samples_filled: int = 0


class Session:
    """One speaker: sound in, events out.

    `feed`, `flush`, `interrupt`, `change` and `finish` say what happens; `run(clock)` works on what is due at that time
    and returns the events. Who works on several sessions at once calls `advance`, `due`, `done` and `events` instead.
    """

    def __init__(
        self,
        generator: Generator,
        sample_rate: int,
        pace: Pace = "live",
        seed: int = 0,
        style: Style = None,
        gains: Mapping[str, float] | None = None,
        pacing: Pacing | None = None,
    ) -> None:
        gains, style = dict(gains or {}), _wished(style)
        edit.check(gains, generator.channels)
        if pace not in PACES:
            raise BadInput(f"a pace is {', '.join(PACES)}, got {pace!r}")
        self.generator = generator
        self.pace: Pace = pace
        self.pacing = pacing or Pacing()
        self.counters = Counters()
        self.turn = 0
        self.finished = False
        self._stream = generator.stream(Condition(style), seed, sample_rate)
        self.sample_rate = int(sample_rate)  # whole, as the stream has taken it
        self._seed, self._style, self._gains = seed, style, gains
        self._fps = float(generator.fps)
        self._backlog = Backlog(math.ceil(self._waiting_seconds() * sample_rate))
        self._recent: deque[FloatArray] = deque(maxlen=self._recalled())
        self._events: list[Event] = []
        self._glide: Glide | None = None
        self._shutting: Shutting | None = None
        self._wish: tuple[Style, int] | None = None
        self._shift = 0
        """Frames by which the session's numbers are ahead of the stream's."""
        self._run: tuple[int, int] | None = None
        """Where the sound that was placed last begins: its first sample, and how many the stream had heard by then."""
        self.began = 0.0
        """The session's time at clock 0: of a restored one where it was saved."""
        self._clock = self._skew = self._block = 0.0
        self._last_sound = 0.0
        """When sound came last, or where what came then ends, if that is later."""
        self._lacking: float | None = None
        """Since when more of a microphone's sound is missing than is made good by going slower."""
        self._new_sound = self._speaking = self._displaced = self._told = False

    # ── what happens ──

    def feed(self, samples: FloatArray) -> None:
        """More sound (n,), mono float in -1..1. Raises `BufferFull`, and takes nothing, where too much waits."""
        if self.finished:
            raise BadInput("this session is finished: begin another one for more sound")
        block = np.asarray(samples, np.float32)
        if block.ndim != 1:
            raise BadInput(f"a session is fed mono sound (samples,), got shape {block.shape}")
        if not np.isfinite(block).all():
            raise BadInput(f"a session is fed finite sound, got NaN or infinity among {len(block)} samples")
        if self.pace == "live":
            self._note_dropped(self._backlog.push_newest(block))
        else:
            self._backlog.push(block)
        length = len(block) / self.sample_rate
        # The usual length of a block: one that is suddenly far longer is sound that was held up.
        self._block = min(length, 2 * self._block) if self._block else length
        self._new_sound = self._new_sound or len(block) > 0

    def flush(self) -> None:
        """The turn has ended: when its sound has been heard, its last frames are made without waiting for more."""
        if not self.finished:
            self._backlog.mark("flush")

    def finish(self) -> None:
        """The sound has ended: when it has been heard, the last frames come, then `Finished`."""
        if not self.finished:
            self._backlog.mark("finish")
            self.finished = True

    def interrupt(self, frame: int | None = None) -> None:
        """Stop speaking: sound that waits is forgotten, the mouth comes to rest within 0.2 s.

        `frame` is the first one that was not shown yet, where that is known; frames from there on are made anew.
        """
        if self._stream.ended:
            return  # the last frames are on their way
        made = self.made
        if frame is None:
            frame = made if self.pace == "free" else math.ceil((self.now - self._stream.latency) * self._fps)
        first = min(max(frame, made - len(self._recent), made - self._redoable()), made)
        for _ in range(made - first):
            self._recent.pop()
        self._backlog.clear()
        self._stream.hush()
        self._shift -= made - first
        self.turn += 1
        self._speaking = False
        if self.finished:
            self._backlog.mark("finish")  # nothing of the sound is left, and it has still ended
        pose = self._recent[-1] if self._recent else np.zeros(len(self.generator.channels), np.float32)
        self._glide, self._shutting = Glide(first, pose, self._fps), Shutting.at(first, pose, self._fps)
        self._events = _without(self._events, first)
        self._events.append(Interrupted(self.turn, first))
        if self.pace == "live":
            self._fill(self.now)  # now, before words that come with the interruption
        else:
            self._hear_silence(first / self._fps + CLOSED + self._stream.latency)

    def change(self, seed: int | None = None, style: Style = None, gains: Mapping[str, float] | None = None) -> None:
        """Go on with another seed, style or gains from the next window on, without a leap; None leaves each.

        A style {} is none. What is wished for as it is already changes nothing. Where one wish cannot be granted none
        is.
        """
        wish = (self._style if style is None else _wished(style), self._seed if seed is None else seed)
        if gains is not None:
            edit.check(gains, self.generator.channels)
        if wish[0] is not None and wish[0] != self._style:
            self.generator.check(Condition(wish[0]))
            self.generator.begin(Condition(wish[0]), self._seed)  # refuses a name that it does not know
        if wish != (self._style, self._seed):
            self._wish = wish
            self._style, self._seed = wish
        if gains is not None and gains != self._gains:
            self._gains = dict(gains)
            self._glide_on()

    def _glide_on(self) -> None:
        """Whatever the next frames are, they begin where the last one was."""
        if self._recent:
            self._glide = Glide(self.made, self._recent[-1], self._fps)

    # ── time and work ──

    @property
    def latency(self) -> float:
        """Seconds of sound past a frame's own time that its making may need."""
        return self._stream.latency

    @property
    def style(self) -> Style:
        """The style that was wished for last."""
        return self._style

    @property
    def made(self) -> int:
        """The number of the next frame."""
        return self._stream.given + self._shift

    @property
    def now(self) -> float:
        """The session's time at the last `advance`."""
        return self._clock + self._skew

    @property
    def position(self) -> float:
        """The session's time up to which the generator was given sound."""
        return self._stream.heard / self.sample_rate + self._shift / self._fps

    @property
    def queued(self) -> float:
        """Seconds of sound that wait."""
        return len(self._backlog) / self.sample_rate

    @property
    def skew(self) -> float:
        """Seconds by which the session's time is ahead of the clock."""
        return self._skew

    def has_room(self, samples: int) -> bool:
        """Whether `feed` would take so many more samples."""
        return len(self._backlog) + samples <= self._backlog.most

    @property
    def quiet(self) -> bool:
        """Whether nothing is being said, and all of what was said has been made and given out."""
        return self._backlog.empty and not self._waits and not self._events and self._stream.due(1) is None

    def run(self, clock: float = 0.0) -> list[Event]:
        """Work on all that is due when the session has run for `clock` seconds; what came of it."""
        self.advance(clock)
        while (step := self.due()) is not None:
            self.done(*self.generator.step(*step))
        return self.events()

    def advance(self, clock: float) -> None:
        """Say how many seconds the session has run."""
        if self.pace == "free":
            return
        self._clock = clock
        if self._new_sound:
            self._last_sound = max(self._last_sound, self.now)
            if self.pace == "live":
                self._follow_microphone()
            self._new_sound = False
        behind = self.now - self.position
        if behind > self._patient() and not self._stream.ended:
            self._skip(int(behind * self._fps))
        if self._backlog.empty and not self.finished and not self._waits:
            self._fill(self.now)
        elif self.pace == "live" and self.queued and not self._speaking:
            self._begin_turn(self.now - self.queued)

    @property
    def _waits(self) -> bool:
        """Whether more of what is being said may still come in time."""
        return self._speaking and self.now - self._last_sound <= self.pacing.patience

    def due(self, most: int = AHEAD) -> tuple[Any, FloatArray] | None:
        """The state and the sound of the next step of at most so many windows, or None where nothing is due."""
        self._grant()
        self._hear()
        return self._stream.due(most)

    def _grant(self) -> None:
        """The wishes of `change` come true between two steps."""
        if self._wish is not None:
            style, seed = self._wish
            self._stream.state = self.generator.change(self._stream.state, Condition(style), seed)
            self._wish = None
            self._glide_on()

    def done(self, frames: FloatArray, state: Any) -> None:
        """Take in what `Generator.step` made of `due`."""
        self._show(self._stream.done(frames, state))

    def _show(self, piece: Motion) -> None:
        """Give a piece out as it is to be seen."""
        if not len(piece):
            return
        first = piece.start + self._shift
        piece = replace(piece, start=first)
        if self._gains:
            piece = edit.scaled(piece, self._gains)
        if self._glide is not None:
            piece = replace(piece, values=self._glide.apply(first, piece.values))
            self._glide = None if self._glide.over(self.made) else self._glide
        if self._shutting is not None:
            piece = replace(piece, values=self._shutting.apply(first, piece.values, piece.channels))
            self._shutting = None if self._shutting.over(self.made) else self._shutting
        self._recent.extend(piece.values)
        self.counters.frames += len(piece)
        self._events.append(piece)

    def events(self) -> list[Event]:
        """What came about since the last call, in order."""
        if self._stream.ended and not self._told and self._stream.due() is None:
            for piece in self._stream.rest():
                self._show(piece)
            self._events.append(Finished(self.made))
            self._told = True
        events, self._events = self._events, []
        return events

    # ── sound on its way to the generator ──

    def _hear(self) -> None:
        """Hand over the sound that is due, as far as there is room."""
        while self._stream.waiting < AHEAD and not self._stream.ended:
            mark = self._backlog.next_mark()
            if mark is not None:
                self._at(mark)
                continue
            block = self._backlog.take(self._wanted())
            if not len(block):
                return
            self._say(block)

    def _wanted(self) -> int:
        """Samples that may be handed over now."""
        generator = self.generator
        room = math.ceil((AHEAD - self._stream.waiting) * generator.window * self.sample_rate / self._fps)
        if self.pace != "burst":
            return room
        return min(room, math.floor((self.now + self.pacing.lead - self.position) * self.sample_rate))

    def _say(self, block: FloatArray) -> None:
        """Speech takes its place in time."""
        if not self._speaking:
            self.turn += 1
            self._speaking = self._displaced = True
            if self._shutting is not None:
                # The mouth is free in time for the new words, which it prepares a little ahead of their sound.
                heard = math.floor(self.position * self._fps)
                self._shutting = replace(
                    self._shutting, opens=min(self._shutting.opens, heard - round(SHUT * self._fps))
                )
        if self._displaced:
            self._run = self._backlog.taken - len(block), self._stream.heard
            self._events.append(Placed(self.turn, self._run[0], self.position))
            self._displaced = False
        self._stream.push(block)
        self._last_sound = max(self._last_sound, self.position)

    def _at(self, mark: Mark) -> None:
        if mark == "finish":
            self._stream.end()
        elif self._speaking:
            self._speaking = False
            generator = self.generator
            frames = math.ceil(self._stream.heard * generator.fps / self.sample_rate)
            self._events.append(Ended(self.turn, frames + self._shift))
            windows = math.ceil(frames / generator.window)
            last = (windows - 1) * generator.window + self._shift
            self._hear_silence(last / self._fps + self._stream.latency)

    def _begin_turn(self, spoken: float) -> None:
        """Have a turn stand where it was spoken, within half a block.

        One that is over already may have been spoken long before anybody looked: it stays where silence ended.
        """
        if spoken - self.position < 2 * BLOCK or not self._backlog.marks:
            self._fill(spoken + BLOCK / 2)

    def _fill(self, until: float) -> None:
        """Silence up to a time, as far as the generator keeps up.

        In steps of a block, so that each window's sound ends where a block of speech does: else every window of the
        turn would wait for the rest of one.
        """
        if self._stream.waiting >= AHEAD:
            return
        step = float(self.generator.window / self.generator.fps)
        step /= max(round(step / BLOCK), 1)
        first = self._stream.reach + self._shift / self._fps
        heard = self._hear_silence(first + math.floor((until - first) / step + 1e-6) * step)
        if heard and self._speaking:
            self.counters.samples_filled += heard
            self._displaced = True

    def _hear_silence(self, until: float) -> int:
        count = max(math.ceil((until - self.position) * self.sample_rate), 0)
        self._stream.push(np.zeros(count, np.float32))
        return count

    # ── when time runs away ──

    def _follow_microphone(self) -> None:
        """Drop sound that comes after its time; else go with the sound card's clock.

        Where too much is missing for that, and for so long that it is not just held up, silence takes its place.
        """
        ahead = self.position + self.queued - self.now
        if ahead > -self.pacing.slack:
            self._lacking = None
            if ahead > self.pacing.slack + self._block:
                self._note_dropped(self._backlog.drop(int((ahead - self._block) * self.sample_rate)))
            else:
                self._skew += SLEW * ahead
        elif self._lacking is None:
            self._lacking = self.now
        elif self.now - self._lacking > self.pacing.patience:
            self._fill(min(self.now - self.queued, self.position + self._patient()))

    def _skip(self, frames: int) -> None:
        """Leave out frames, and the sound under them that waits."""
        step = (self.sample_rate / self.generator.fps).denominator
        frames -= frames % step
        if not frames:
            return
        self._note_dropped(self._backlog.drop(int(frames * self.sample_rate / self.generator.fps)))
        self._shift += frames
        self._displaced = True
        self.counters.frames_dropped += frames
        self._place_again()
        self._glide_on()

    def _place_again(self) -> None:
        """Of what was left out nothing is seen; what the generator had heard already and not made comes later now."""
        if self._run is None or not self._speaking:
            return
        sample, began = self._run
        made = int(self._stream.given * self.sample_rate / self.generator.fps)
        at = max(began, made)
        if at < self._stream.heard:
            time = at / self.sample_rate + self._shift / self._fps
            self._events.append(Placed(self.turn, sample + at - began, time))

    def _note_dropped(self, samples: int) -> None:
        self.counters.samples_dropped += samples
        self._displaced = self._displaced or samples > 0

    # ── bounds ──

    def _waiting_seconds(self) -> float:
        """What may wait: of a microphone's sound only the newest is of use."""
        return min(self.pacing.buffer, 2 * self._patient()) if self.pace == "live" else self.pacing.buffer

    def _patient(self) -> float:
        """Seconds behind from which frames are left out: while a model works on a long window, no sound is heard."""
        return max(self.pacing.catch_up, self.generator.window / float(self.generator.fps))

    def _recalled(self) -> int:
        """Frames that an interruption can call back."""
        ahead = 10.0 if self.pace == "free" else self.pacing.lead + 0.5
        return math.ceil((ahead + self._stream.latency) * self._fps) + self.generator.window

    def _redoable(self) -> int:
        """Frames that can be made anew without falling so far behind that some are left out."""
        if self.pace == "free":
            return len(self._recent)
        return max(int((self._patient() - (self.now - self.position)) * self._fps) - 1, 0)

    @property
    def held(self) -> int:
        """Bytes of sound and frames held now, but for events not yet fetched and the generator's own state."""
        return self._backlog.nbytes + self._stream.standing.buffer.nbytes + 4 * sum(map(len, self._recent))

    @property
    def bound(self) -> int:
        """Bytes that `held` never passes, however long the session lasts."""
        generator = self.generator
        windows = generator.window * (AHEAD + 1) + generator.lookahead
        seconds = windows / generator.fps + max(self._patient(), CLOSED + self._stream.latency) + 1 / generator.fps
        stream = math.ceil(seconds * generator.sample_rate)
        recent = self._recalled() * len(generator.channels)
        return 4 * (2 * self._backlog.most + stream + recent)

    # ── to another process ──

    def save(self) -> bytes:
        """All of it, for `restore`; events not yet fetched are left out."""
        self._grant()
        standing = self._stream.standing
        snapshot = Snapshot(
            generator=self.generator.name,
            version=self.generator.version,
            sample_rate=self.sample_rate,
            pace=self.pace,
            seed=self._seed,
            style=_names(self._style),
            clip=self._style.values if isinstance(self._style, Motion) else None,
            clip_fps=str(self._style.fps) if isinstance(self._style, Motion) else "",
            gains=self._gains,
            counters=self.counters,
            turn=self.turn,
            shift=self._shift,
            now=self.now,
            since_sound=self.now - self._last_sound,
            lacking=None if self._lacking is None else self.now - self._lacking,
            block=self._block,
            new_sound=self._new_sound,
            speaking=self._speaking,
            finished=self.finished,
            standing=replace(standing, tail=None),
            waiting=self._backlog.samples,
            taken=self._backlog.taken,
            marks=self._backlog.marks,
            recent=np.array(self._recent, np.float32).reshape(len(self._recent), len(self.generator.channels)),
            glide=self._glide,
            shutting=self._shutting,
        )
        parts = [pack(snapshot), pack(self._stream.state), pack(standing.tail)]
        return b"".join(struct.pack("<I", len(part)) + part for part in parts)

    @classmethod
    def restore(cls, generator: Generator, data: bytes, pacing: Pacing | None = None) -> "Session":
        """The session that `save` wrote, to go on with at clock 0. Raises `BadState` where the bytes are none.

        The bytes are checked for types, not for sense: take them only from whom you trust.
        """
        head, state, tail = _parts(data)
        snapshot = unpack(Snapshot, head)
        if snapshot.generator != generator.name or snapshot.recent.shape[1:] != (len(generator.channels),):
            raise BadState(f"the session was {snapshot.generator!r}'s, got {generator.name!r} to go on with")
        if snapshot.version != generator.version:
            raise BadState(f"the session was that of another version of {generator.name!r}: begin a new one")
        if snapshot.pace not in PACES:
            raise BadState(f"a pace is {', '.join(PACES)}, got {snapshot.pace!r}")
        session = cls(generator, snapshot.sample_rate, snapshot.pace, snapshot.seed, pacing=pacing)
        stream = session._stream
        stream.standing = replace(snapshot.standing, tail=unpack_like(stream.standing.tail, tail))
        stream.state = unpack_like(stream.state, state)
        session._take(snapshot)
        return session

    def _take(self, snapshot: "Snapshot") -> None:
        self._style, self._gains = dict(snapshot.style) or None, dict(snapshot.gains)
        if snapshot.clip is not None:
            self._style = Motion(snapshot.clip, self.generator.channels, exact_fps(snapshot.clip_fps))
        self.counters, self.turn, self._shift = snapshot.counters, snapshot.turn, snapshot.shift
        self.began = self._skew = snapshot.now
        self._last_sound = snapshot.now - snapshot.since_sound
        self._lacking = None if snapshot.lacking is None else snapshot.now - snapshot.lacking
        self._block, self._new_sound = snapshot.block, snapshot.new_sound
        self._speaking, self.finished, self._displaced = snapshot.speaking, snapshot.finished, True
        # Where it goes on, less may be allowed to wait than where it was saved.
        self._backlog = Backlog(max(self._backlog.most, len(snapshot.waiting)), snapshot.taken)
        for at, mark in (*snapshot.marks, (snapshot.taken + len(snapshot.waiting), "")):
            rest = at - self._backlog.taken - len(self._backlog)
            self._backlog.push(snapshot.waiting[len(self._backlog) :][: max(rest, 0)])
            if mark:
                self._backlog.mark(_mark(mark))
        self._recent.extend(snapshot.recent)
        self._glide, self._shutting = snapshot.glide, snapshot.shutting


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A session at rest, but for its generator's state."""

    generator: str
    version: str
    sample_rate: int
    pace: str
    seed: int
    style: Mapping[str, float]
    clip: NDArray[np.float32] | None
    clip_fps: str
    gains: Mapping[str, float]
    counters: Counters
    turn: int
    shift: int
    now: float
    since_sound: float
    lacking: float | None
    block: float
    new_sound: bool
    speaking: bool
    finished: bool
    standing: Standing
    waiting: NDArray[np.float32]
    taken: int
    marks: tuple[tuple[int, str], ...]
    recent: NDArray[np.float32]
    glide: Glide | None
    shutting: Shutting | None


def _parts(data: bytes) -> list[bytes]:
    """Three packed trees, one after the other."""
    parts: list[bytes] = []
    at = 0
    for _ in range(3):
        if at + 4 > len(data):
            raise BadState("a saved session has three parts")
        (length,) = struct.unpack_from("<I", data, at)
        parts.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    if at != len(data):
        raise BadState(f"a saved session ends after {at} bytes, got {len(data)}")
    return parts


def _wished(style: Style) -> Style:
    """A style; a table of nothing but zeros is none."""
    return None if isinstance(style, Mapping) and not any(style.values()) else style


def _names(style: Style) -> Mapping[str, float]:
    """A named style as shares."""
    if style is None or isinstance(style, Motion):
        return {}
    return {style: 1.0} if isinstance(style, str) else style


def _without(events: list[Event], first: int) -> list[Event]:
    """Events without the frames from `first` on."""
    kept: list[Event] = []
    for event in events:
        if not isinstance(event, Motion) or event.start + len(event) <= first:
            kept.append(event)
        elif event.start < first:
            kept.append(event.cut(0, first - event.start))
    return kept


def _mark(text: str) -> Mark:
    for mark in ("flush", "finish"):
        if text == mark:
            return mark
    raise BadState(f"a mark is flush or finish, got {text!r}")
