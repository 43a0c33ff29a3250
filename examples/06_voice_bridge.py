"""A voice that speaks faster than real time: sound in at once, frames out by the clock, and an interruption.

Text-to-speech gives its sound in bursts. `pace="burst"` lets it wait at the server and paces the face out; `Placed`
says when each turn is heard, so that whoever plays the sound starts it then. When the listener speaks up, `interrupt`
closes the mouth at once. `python examples/06_voice_bridge.py ws://127.0.0.1:8765` uses a server that runs.
"""

import contextlib
import sys
import time
from pathlib import Path

import artalk
from artalk.serve.app import serving
from artalk.stream.playout import Playout
from artalk.stream.protocol import Ended, Fault, Interrupted, Placed

voice = artalk.listen(Path(__file__).parent / "hello.flac").cut(0, 6)
chunks = [voice.samples[start : start + voice.sample_rate] for start in range(0, len(voice), voice.sample_rate)]

with contextlib.ExitStack() as stack:
    url = sys.argv[1] if len(sys.argv) > 1 else stack.enter_context(serving())
    live = stack.enter_context(artalk.connect(url, sample_rate=voice.sample_rate, pace="burst"))
    for chunk in chunks[:-1]:  # as a text-to-speech would: a second at a time, as fast as it can
        live.feed(chunk)
    face, interrupted = Playout(float(live.fps)), False
    while live.now < 4:
        if live.now > 1.5 and not interrupted:
            live.interrupt()
            live.feed(chunks[-1])  # a short answer instead
            live.flush()
            interrupted = True
        for event in live.receive():
            match event:
                case Placed():
                    print(f"turn {event.turn}: its sound is to be heard from {event.time + live.latency:.2f} s on")
                case Interrupted():
                    print(f"interrupted: frames from {event.frame} on are void")
                    face.forget(event.frame)
                case Ended():
                    print(f"turn {event.turn} has ended at frame {event.frame}")
                case Fault():
                    print(event.message)
                case artalk.Motion():
                    face.add(event)
        pose = face.at(live.now - live.latency)
        if pose is not None:
            print(f"{live.now:5.2f} s  jaw {'#' * round(40 * float(pose[live.channels.index('jawOpen')]))}")
        time.sleep(0.2)  # a picture would be drawn 60 times a second
