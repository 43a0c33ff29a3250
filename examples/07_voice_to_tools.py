"""A voice that a program makes, as a chatbot's, into Unreal (Live Link), a VTuber's tool (VMC) or iFacialMocap.

The sound goes to a server in bursts, frames come back by the clock, and go on to the tools at 60 a second. Give where:
`python examples/07_voice_to_tools.py livelink://127.0.0.1 'vmc://127.0.0.1?names=perfectsync'`.
"""

import sys
import time
from fractions import Fraction
from pathlib import Path

import artalk
from artalk.live.output import open_output
from artalk.serve.app import serving
from artalk.stream.playout import Playout
from artalk.stream.protocol import Ended, Fault, Interrupted, Placed

FPS = Fraction(60)
NETWORK = 0.1  # seconds for the way to the server and back, and for the next frame to interpolate to

voice = artalk.listen(Path(__file__).parent / "hello.flac").cut(0, 2)
outputs = [open_output(url) for url in sys.argv[1:] or ["livelink://127.0.0.1"]]

with serving() as url, artalk.connect(url, sample_rate=voice.sample_rate, pace="burst") as live:
    delay, face, frame, ends = live.latency + NETWORK, Playout(float(live.fps)), -1, None
    live.feed(voice.samples)  # as it comes from a text-to-speech; `live.interrupt()` when the listener speaks up
    live.flush()
    while ends is None or live.now - delay < ends:
        for event in live.receive():
            match event:
                case artalk.Motion():
                    face.add(event)
                case Placed():
                    print(f"play sample {event.sample} of the voice in {event.time + delay - live.now:.2f} s")
                case Interrupted():
                    face.forget(event.frame)
                case Ended():
                    ends = event.frame / float(live.fps)
                case Fault():
                    print(event.message)
        # By the clock: work that takes longer leaves frames out and delays none.
        frame = max(frame + 1, int(live.now * FPS))
        pose = face.at(live.now - delay)
        if pose is not None:
            for output in outputs:
                output.send(pose, frame, FPS)
        time.sleep(max(0.0, float((frame + 1) / FPS) - live.now))

for output in outputs:
    print(f"{output.name}: {output.sent} frames sent, {output.lost} lost")
    output.close()
