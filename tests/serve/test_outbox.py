"""What a slow reader loses, and what not."""

import asyncio

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from artalk.serve.connection import Outbox
from artalk.stream.protocol import Frames, Interrupted, Placed, Pong, Saved


def frames(first, count):
    return Frames(0, first, 0.0, np.full((count, 3), first, np.float32))


def drain(outbox):
    async def work():
        messages = []
        while not outbox.empty:
            messages.append(await outbox.get())
        return messages

    return asyncio.run(work())


def test_of_saved_states_the_newest_alone_waits():
    """Who asks for them and reads none would have the server keep hundreds of megabytes."""
    outbox = Outbox(20, drops=True)
    outbox.put(Pong(0.0, 0.0))
    for state in (b"one", b"two"):
        outbox.put(Saved(state))
    assert drain(outbox) == [Pong(0.0, 0.0), Saved(b"two")]


@given(st.lists(st.integers(1, 9), max_size=60))
def test_the_newest_frames_are_kept_and_the_others_counted(sizes):
    outbox, at = Outbox(20, drops=True), 0
    outbox.put(Placed(1, 0, 0.0))
    for size in sizes:
        outbox.put(frames(at, size))
        at += size
    messages = drain(outbox)
    kept = [message for message in messages if isinstance(message, Frames)]
    assert isinstance(messages[0], Placed)
    total = sum(len(message.values) for message in kept)
    assert total + outbox.dropped == at
    assert total <= max(20, 9)
    assert not kept or kept[-1].first + len(kept[-1].values) == at
    assert [message.first for message in kept] == sorted(message.first for message in kept)


def test_nothing_is_dropped_where_the_maker_can_wait():
    outbox = Outbox(20, drops=False)
    for k in range(30):
        outbox.put(frames(k, 1))
    assert outbox.full
    assert len(drain(outbox)) == 30
    assert outbox.dropped == 0
    assert not outbox.full


@given(st.integers(0, 30))
def test_an_interruption_overtakes_frames_that_were_not_sent(frame):
    outbox = Outbox(100, drops=True)
    for k in range(0, 20, 4):
        outbox.put(frames(k, 4))
    outbox.put(Interrupted(2, frame))
    *kept, stopped = drain(outbox)
    assert stopped == Interrupted(2, frame)
    assert sum(len(message.values) for message in kept) == min(frame, 20)
    assert all(message.first + len(message.values) <= frame for message in kept)


def test_a_reader_of_nothing_is_noticed():
    outbox = Outbox(10, drops=True)
    for k in range(400):
        outbox.put(Placed(k, 0, 0.0))
    assert outbox.closed
    assert len(drain(outbox)) < 300
