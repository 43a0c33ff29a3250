"""The packet of Epic's Live Link Face: one UDP datagram a frame, big-endian, to port 11111.

    u8 6 · i32 36 and a UUID's text · i32 length and the subject's name · i32 frame · f32 sub-frame
    · i32 and i32 frames a second · u8 61 · 61 f32: ARKit's weights in order U, then the angles of head and eyes

The layout is that of the app, as receivers read it; for the units and signs of the angles see
`artalk.retarget.livelink`.
"""

import struct
import uuid
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from artalk.channels import ARKIT
from artalk.errors import BadInput
from artalk.motion import Motion
from artalk.retarget import livelink

PORT = 11111
VERSION = 6
CURVES = 61
LARGEST = 0x7FFFFFFF
"""What a 32-bit number of the packet holds."""


class LiveLink:
    """Writes the packets of one subject."""

    def __init__(self, subject: str = "artalk", identity: uuid.UUID | None = None) -> None:
        try:
            name = subject.encode()
        except UnicodeEncodeError as error:
            raise BadInput(f"a Live Link subject is text, got {subject!r}") from error
        if not 1 <= len(name) <= 64:
            raise BadInput(f"a Live Link subject has 1 to 64 bytes, got {subject!r}")
        # The same subject keeps its identity from run to run, so that a receiver knows it again.
        self.identity = identity or uuid.uuid5(uuid.NAMESPACE_DNS, f"{subject}.artalk")
        text = str(self.identity).encode()
        self._head = struct.pack(f">Bi{len(text)}si{len(name)}s", VERSION, len(text), text, len(name), name)

    def packets(self, pose: NDArray[np.float32], frame: int, fps: Fraction) -> list[bytes]:
        """The datagram of one ARKit pose (55,)."""
        curves = livelink.from_arkit(Motion(pose[None], ARKIT, fps)).values[0] + np.float32(0)  # no -0
        rate = fps.limit_denominator(LARGEST // 1000)  # both of its numbers are 32 bits wide there
        time = struct.pack(">ifiiB", frame & LARGEST, 0.0, rate.numerator, rate.denominator, CURVES)
        return [self._head + time + curves.astype(">f4").tobytes()]
