import subprocess
import sys

import pytest

from artalk.serve import heap

THREADS = """
import ctypes, sys, threading
from artalk.serve import heap
if sys.argv[1] == "shared":
    assert heap.share(1)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
found = []
threads = [threading.Thread(target=lambda: found.append(libc.malloc(1000))) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
main = libc.malloc(1000)
# Heaps of other threads lie 64 MB apart and more from the first one.
print(max(abs(at - main) for at in found) < 1 << 26)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heaps")
def test_threads_get_their_memory_from_one_heap():
    def near(how):
        return subprocess.run([sys.executable, "-c", THREADS, how], capture_output=True, text=True, check=True).stdout

    assert near("shared").strip() == "True"
    assert near("apart").strip() == "False"


HOLES = """
import ctypes
from artalk.serve import heap
heap.share(1)
ctypes.CDLL(None).mallopt(-3, 1 << 24)  # nothing of what follows is mapped by itself
kept = [bytearray(50_000) for _ in range(2_000)]
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096
whole = resident()
kept[:] = kept[1999:]  # the last one holds the top of the heap
holes = resident()
assert heap.give_back()
print(whole - holes, holes - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heaps")
def test_what_is_free_below_the_top_is_given_back():
    said = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True).stdout
    kept, given = map(int, said.split())
    assert kept < 20e6 < 80e6 < given


def test_where_there_is_no_such_heap_nothing_happens(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not heap.share()
    assert not heap.give_back()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _: object())
    assert not heap.share()
    assert not heap.give_back()
