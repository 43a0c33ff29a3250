"""Few heaps for all threads of the server.

glibc gives every thread a heap of its own. Here some threads make the sessions' states and another lets them go, so
each heap keeps holes that the others cannot fill: of 3,500 short sessions in two minutes 281 MB remained and grew by
5 %, in one heap 248 MB and 0.4 %. In one heap, on the other hand, the model's threads wait for each other, as the
runtime allocates thousands of times a step: with 35 sessions the slowest frame of a hundred was 82 ms late, with two
heaps 55, with more no less. What a rush of clients has left behind goes back to the system once a minute: else its mark
stays for ever (268 to 303 MB in a soak, for all of its second half).
"""

import ctypes
import logging
import sys

EVERY = 60.0
"""Seconds between two times that what was freed is given back."""

log = logging.getLogger(__name__)

HEAPS = 2

M_ARENA_MAX = -8
"""The number in glibc's malloc.h by which `mallopt` limits its heaps."""


def share(heaps: int = HEAPS) -> bool:
    """Let all threads that begin from now on share so many heaps; False where the C library is not glibc."""
    if sys.platform != "linux":
        return False
    try:
        done = ctypes.CDLL(None).mallopt(M_ARENA_MAX, heaps) == 1
    except (AttributeError, OSError):  # musl has no such thing, and needs none
        return False
    log.debug("threads share heaps" if done else "threads have heaps of their own")
    return done


def give_back() -> bool:
    """Give memory that is free, wherever in the heap it lies, back to the system; False where nobody can."""
    if sys.platform != "linux":
        return False
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        return False
    return True
