"""A server and its client: sound goes over the socket at the pace of a microphone, frames come back.

Give the address of a server (`artalk serve`) to use that one: `python examples/05_server.py ws://127.0.0.1:8765`.
"""

import contextlib
import sys
import time
from pathlib import Path

import artalk
from artalk.serve.app import serving

sound = artalk.listen(Path(__file__).parent / "hello.flac").cut(0, 2)
block = sound.sample_rate // 50

with contextlib.ExitStack() as stack:
    url = sys.argv[1] if len(sys.argv) > 1 else stack.enter_context(serving())
    live = stack.enter_context(artalk.connect(url, sample_rate=sound.sample_rate, seed=7))
    print(f"{live.welcome.model}: {live.fps} fps, {1000 * live.latency:.0f} ms of latency")
    began, events = time.monotonic(), []
    for start in range(0, len(sound), block):
        live.feed(sound.samples[start : start + block])
        due = began + (start + block) / sound.sample_rate
        events += live.receive(timeout=max(due - time.monotonic(), 0))
        time.sleep(max(due - time.monotonic(), 0))
    events += live.finish()

frames = [event for event in events if isinstance(event, artalk.Motion)]
lost = f"{live.health.frames_dropped} frames were dropped" if live.health else "too short for a word on its health"
print(f"{sum(map(len, frames))} frames in {len(frames)} pieces; {lost}")
