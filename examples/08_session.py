"""A session inside a program of your own, by its own clock: no server, no socket, no thread.

A game, a renderer or a robot calls `run` once a tick with its own time and shows what comes: speech while there is
sound, life while there is none. Here the clock is a loop, so that nobody has to wait.
"""

from pathlib import Path

import numpy as np

import artalk
from artalk.stream.session import Session

sound = artalk.listen(Path(__file__).parent / "hello.flac").cut(0, 2)
session = Session(artalk.generator("artalk-live"), sound.sample_rate, style={"lively": 0.5}, seed=7)
block = sound.sample_rate // 50  # 20 ms, as a microphone gives them

frames, events = {}, []
for tick in range(250):  # five seconds
    if tick < 80:
        session.feed(sound.samples[tick * block : (tick + 1) * block])
    elif tick == 80:
        session.interrupt()  # in the midst of a word: the mouth closes, and what it was going to say is forgotten
    for event in session.run(clock=(tick + 1) / 50):
        if isinstance(event, artalk.Motion):
            frames |= dict(enumerate(event.values, event.start))  # frame k is to be shown at k / fps + latency
        else:
            events.append(type(event).__name__)

jaw = artalk.ARKIT.index("jawOpen")
spoken, silent = (np.array([frames[k][jaw] for k in part]) for part in (range(5, 35), range(50, 110)))
print(f"{len(frames)} frames, {', '.join(events)}; latency {1000 * session.latency:.0f} ms")
print(f"the jaw opens to {spoken.max():.2f} in speech and to {silent.max():.2f} in silence")
