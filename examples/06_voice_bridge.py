"""A voice that speaks faster than real time: sound in at once, frames out by the clock, and an interruption.

Text-to-speech gives its sound in bursts. `pace="burst"` lets it wait at the server and paces the face out; `Placed`
says when each turn is heard, so that whoever plays the sound starts it then. When the listener speaks up, `interrupt`
closes the mouth at once.
"""

import time
from pathlib import Path

import artalk
from artalk.serve.app import serving
from artalk.stream.protocol import Ended, Interrupted, Placed

voice = artalk.listen(Path(__file__).parent / "hello.flac").cut(0, 6)
chunks = [voice.samples[start : start + voice.sample_rate] for start in range(0, len(voice), voice.sample_rate)]

with serving() as url, artalk.connect(url, sample_rate=voice.sample_rate, pace="burst") as live:
    for chunk in chunks[:-1]:  # as a text-to-speech would: a second at a time, as fast as it can
        live.feed(chunk)
    began, interrupted = time.monotonic(), False
    while time.monotonic() - began < 4:
        if time.monotonic() - began > 1.5 and not interrupted:
            live.interrupt()
            live.feed(chunks[-1])  # a short answer instead
            live.flush()
            interrupted = True
        for event in live.receive(timeout=0.1):
            match event:
                case Placed():
                    print(f"turn {event.turn}: its sound is to be heard from {event.time + live.latency:.2f} s on")
                case Interrupted():
                    print(f"interrupted: frames from {event.frame} on are void")
                case Ended():
                    print(f"turn {event.turn} has ended at frame {event.frame}")
                case artalk.Motion() if event.start % 25 == 0:
                    print(f"{float(event.times[0]):5.2f} s  jaw {'#' * round(40 * float(event.channel('jawOpen')[0]))}")
