"""Live: sound goes in as it comes, motion comes out 200 ms behind.

The model that answers live is `artalk-live`; `model="visemes"`, rules without weights, answers in 80 ms. A stream may
be fed blocks of any size; the pieces join to exactly the motion that the whole sound would give.
"""

from pathlib import Path

import numpy as np

import artalk

sound = artalk.listen(Path(__file__).parent / "hello.flac")
block = sound.sample_rate // 50  # 20 ms, as a microphone gives them

pieces = []
with artalk.stream(sample_rate=sound.sample_rate) as live:
    for start in range(0, len(sound), block):
        for piece in live.feed(sound.samples[start : start + block]):
            pieces.append(piece)
            if piece.start % 20 == 0:
                print(f"{float(piece.times[0]):5.2f} s  jaw {'#' * round(40 * float(piece.channel('jawOpen')[0]))}")
    pieces += live.finish()

motion = artalk.Motion.join(pieces)
assert np.array_equal(motion.values, artalk.animate(sound, model="artalk-live").values)
print(f"{len(pieces)} pieces, {len(motion)} frames, equal to the offline motion")
