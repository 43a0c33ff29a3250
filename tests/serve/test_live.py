"""Live sessions over a real socket."""

import contextlib
import importlib
import math
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as open_socket

import artalk
from artalk.audio import Audio
from artalk.errors import BadInput, Unreachable
from artalk.generators.generator import Condition
from artalk.motion import Motion
from artalk.serve.settings import Limits, Settings
from artalk.stream import client, protocol
from artalk.stream.client import Refused, connect
from artalk.stream.protocol import (
    Change,
    Closing,
    Ended,
    Fault,
    Finish,
    Finished,
    Flush,
    Frames,
    Hello,
    Interrupt,
    Interrupted,
    Ping,
    Placed,
    Save,
    Sound,
    Welcome,
    decode,
    encode,
)
from tests.serve.servers import running
from tests.stream.generators import Loud


def motion(*events):
    """The pieces in all that came, as one."""
    return Motion.join([event for some in events for event in some if isinstance(event, Motion)])


def offline(samples, seed=0, rate=16000):
    return artalk.generator(artalk.api.LIVE).generate(Audio(samples, rate), seed=seed)


def wait_for(live, kind, seconds=10.0):
    """All events up to the first of a kind."""
    events, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        for event in live.receive(0.05):
            events.append(event)
            if isinstance(event, kind):
                return events
    raise AssertionError(f"no {kind.__name__} came, but {events}")


def test_over_the_socket_equals_offline_to_the_last_bit(server, hello):
    with connect(server.url, pace="free", seed=3) as live:
        for start in range(0, len(hello), 777):
            live.feed(hello[start : start + 777])
        events = live.finish()
    np.testing.assert_array_equal(motion(events).values, offline(hello, 3).values)
    assert events[-1] == Finished(50)
    assert [event for event in events if isinstance(event, Placed)] == [Placed(1, 0, 0.0)]
    assert live.channels == artalk.ARKIT


def test_many_at_once_are_each_as_if_alone(server, hello):
    made, before = {}, server.metric("artalk_step_sessions_count")

    def speak(number):
        with connect(server.url, pace="free", seed=number) as live:
            for start in range(0, len(hello), 1600):
                live.feed(hello[start : start + 1600] * (1 - number / 20))
            made[number] = motion(live.finish()).values

    threads = [threading.Thread(target=speak, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for number in range(8):
        np.testing.assert_array_equal(made[number], offline(hello * (1 - number / 20), number).values)
    frames = server.metric("artalk_step_sessions_sum")
    calls = server.metric("artalk_step_sessions_count") - before
    assert frames > calls > 0


def test_pcm16_is_the_same_sound_but_for_its_bits(server, hello):
    pcm = (hello * 32767).astype("<i2")
    got = raw(server, Hello(encoding="pcm16", pace="free"), pcm.tobytes())
    np.testing.assert_array_equal(got, offline(pcm.astype(np.float32) / 32768).values)


def test_opus_is_decoded(server, hello):
    av = importlib.import_module("av")
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = 48000, "mono", "flt", 64000
    sound, packets = Audio(hello, 16000).resampled(48000).samples, []
    for start in range(0, len(sound), 960):
        frame = av.AudioFrame.from_ndarray(sound[None, start : start + 960], format="flt", layout="mono")
        frame.sample_rate = 48000
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    got = raw(server, Hello(sample_rate=48000, encoding="opus", pace="free"), *packets)
    whole = offline(hello).values
    jaw = artalk.ARKIT.index("jawOpen")
    length = min(len(got), len(whole))
    assert np.corrcoef(got[:length, jaw], whole[:length, jaw])[0, 1] > 0.95


def read(socket):
    data = socket.recv(20)
    assert isinstance(data, bytes)
    return decode(data)


def raw(server, hello, *sounds):
    """The frames that a client without our help gets."""
    with open_socket(f"{server.url}/v1/live", max_size=None) as socket:
        socket.send(encode(hello))
        for data in sounds:
            socket.send(encode(Sound(data)))
        socket.send(encode(protocol.Finish()))
        rows = []
        while not isinstance(message := read(socket), Finished):
            assert not isinstance(message, Fault), message
            if isinstance(message, Frames):
                rows.append(message.values.reshape(-1, 55))
    return np.concatenate(rows)


def test_a_burst_is_paced_interrupted_and_goes_on(server, hello):
    with connect(server.url, pace="burst") as live:
        live.feed(np.tile(hello, 5))
        wait_for(live, Placed)
        spoken = wait_for(live, Motion)
        live.interrupt()
        events = wait_for(live, Interrupted)
        stopped = events[-1]
        shown = spoken[-1].start
        assert shown <= stopped.frame + 10 < 250
        after = wait_for(live, Motion)
        assert after[-1].start == stopped.frame
        live.feed(hello[:8000])
        live.flush()
        events = wait_for(live, Ended)
        placed = next(event for event in events if isinstance(event, Placed))
        assert placed.turn == events[-1].turn == stopped.turn + 1
        assert events[-1].frame == pytest.approx((placed.time + 0.5) * 25, abs=1)


class Slow(Loud):
    """Long windows, each made when `go` is set."""

    def __init__(self):
        super().__init__(window=25, lookahead=1, rate=16000)
        self.busy, self.go = threading.Event(), threading.Event()
        self.go.set()

    def step(self, state, samples):
        self.busy.set()
        self.go.wait(10)
        return super().step(state, samples)


def test_words_on_their_way_do_not_come_after_an_interruption():
    slow = Slow()
    with running(models={"slow": slow}) as server, connect(server.url, pace="free") as live:
        slow.busy.clear()
        slow.go.clear()
        live.feed(np.full(3 * 16000, 0.8, np.float32))
        assert slow.busy.wait(10)
        live.interrupt()
        time.sleep(0.1)
        slow.go.set()
        stopped = wait_for(live, Interrupted)[-1]
        after = motion(live.finish())
    assert after.start == stopped.frame
    assert len(after) > 10
    assert after.channel("jawOpen")[5:].max() < 0.01


def test_who_minds_the_room_is_never_refused(server, hello):
    """Who feeds as fast as there is room uses all of it, and no more."""
    with connect(server.url, pace="burst") as live:
        fits, chunk = live.welcome.buffer_seconds, np.resize(hello, 16000)
        fed, faults, least = 0, [], math.inf
        while live.now < 6.0:
            if live.room >= 1.0:
                live.feed(chunk)
                fed += 1
            faults += [event for event in live.receive(0.02) if isinstance(event, Fault)]
            least = min(least, live.room)
        assert not faults
        assert fits - 2 <= fed <= fits + 6
        assert least < 1.0
        live.feed(np.resize(hello, 80000))
        assert wait_for(live, Fault)[-1].code == "buffer_full"
        assert live.room == 0, "what of it was taken is not known"
        told(live)
        assert live.room < 2
        live.interrupt()
        assert live.room == fits - 0.5
        live.feed(chunk)
        assert fits - 1.6 < live.room <= fits - 1.4
        wait_for(live, Interrupted)
        state = live.save()
    with connect(server.url, resume=state) as again:
        assert again.room == 0
        told(again)
        assert fits - 2 < again.room <= fits - 0.4


def told(live):
    """The server has said anew how it fares."""
    live.health = None
    while live.health is None:
        list(live.receive(0.1))


def test_room_is_not_counted_twice_where_one_thread_feeds_and_another_receives(server, hello):
    with connect(server.url, pace="burst") as live:
        feeder = threading.Thread(
            target=lambda: [live.feed(np.resize(hello, 16000)) or time.sleep(0.15) for _ in range(15)]
        )
        feeder.start()
        while feeder.is_alive():
            list(live.receive(0.02))
        told(live)
        assert live.welcome.buffer_seconds - live.room - 0.5 == pytest.approx(live.health.queued, abs=1.5)


def test_there_is_always_room_where_sound_does_not_wait_for_its_time(server):
    with connect(server.url) as live:
        assert live.room == math.inf


def test_a_microphone_hears_how_it_fares(server, hello):
    with connect(server.url) as live:
        live.ping()
        live.change(seed=3, gains={"head": 0.0})
        for start in range(0, 24000, 320):
            live.feed(hello[start : start + 320])
            list(live.receive(0.02))
        assert live.round_trip is not None
        assert live.round_trip < 10
        live.change(style="happy")
        fault = wait_for(live, Fault)[-1]
        assert fault.code == "bad_input"
        assert "has no style 'happy'" in fault.message
        for bad in ({"nose": 1.0}, {"head": 11.0}):
            live.change(gains=bad)
            assert wait_for(live, Fault)[-1].code == "bad_input"
        while live.health is None:
            list(live.receive(0.1))
        assert live.health.frames > 0


def test_a_saved_session_goes_on_at_another_server_with_the_same_secret(hello):
    key = Settings(secret="shared", drain_seconds=0.2)
    with running(key) as first, running(key) as second, running() as stranger:
        with connect(first.url, pace="free") as live:
            live.feed(hello[:10000])
            before = wait_for(live, Motion)
            saved = live.save()
            before += list(live.receive())
        with connect(second.url, pace="free", resume=saved) as live:
            live.ping()
            live.feed(hello[10000:])
            after = motion(live.finish())
        joined = Motion.join([motion(before).cut(0, after.start), after])
        np.testing.assert_array_equal(joined.values, offline(hello).values)
        with pytest.raises(Refused, match="another secret"):
            connect(stranger.url, resume=saved)
        with pytest.raises(Refused, match="another secret"):
            connect(second.url, resume=saved[:-1] + b"x")


def test_a_server_that_stops_sends_the_state_along(hello):
    key = Settings(secret="shared", drain_seconds=0.2)
    with running(key) as first, running(key) as second:
        live = connect(first.url, pace="burst")
        live.feed(hello)
        wait_for(live, Motion)
        first.stop()
        closing = wait_for(live, Closing)[-1]
        live.close()
        assert closing.reason == "the server stops"
        with pytest.raises(Unreachable):
            connect(first.url)
        with connect(second.url, pace="burst", resume=closing.state) as again:
            assert wait_for(again, Motion)[-1].start > 0


def test_a_server_that_stops_lets_a_turn_end(hello):
    """Its last window and its `Ended` were once cut off."""
    with running(Settings(drain_seconds=20.0)) as server:
        live = connect(server.url, pace="burst")
        live.feed(hello[:16000])
        live.flush()
        wait_for(live, Motion)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        events = wait_for(live, Closing)
        stopping.join()
        live.close()
    (ended,) = [event for event in events if isinstance(event, Ended)]
    made = [event for event in events if isinstance(event, Motion)]
    assert made[-1].start + len(made[-1]) >= ended.frame


@pytest.mark.parametrize("pace", ["burst", "free"])
def test_who_only_listens_is_not_sent_away(monkeypatch, pace):
    monkeypatch.setattr(client, "KEEP_ALIVE", 0.5)
    with running(Settings(limits=Limits(idle_seconds=2.0))) as server, connect(server.url, pace=pace) as live:
        until = time.monotonic() + 5
        events = [event for _ in iter(lambda: time.monotonic() < until, False) for event in live.receive(0.1)]
    assert not [event for event in events if isinstance(event, Fault)]
    assert any(isinstance(event, Motion) for event in events) == (pace == "burst")


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        (Hello(version=2), "version"),
        (Hello(sample_rate=100), "bad_hello"),
        (Hello(model="gpt"), "bad_hello"),
        (Hello(style={"happy": 1.0}), "bad_hello"),
        (Hello(gains={"head": 99.0}), "bad_hello"),
        (Hello(resume=b"not ours"), "bad_hello"),
        (Sound(b""), "no_hello"),
        (Welcome(1, "", "", 25, 1, 0.0, 0.0, 0.0, 0.0, "", (), ()), "no_hello"),
    ],
)
def test_a_bad_beginning_is_one_fault_and_the_end(server, hello, code):
    with open_socket(f"{server.url}/v1/live") as socket:
        socket.send(encode(hello))
        fault = read(socket)
        assert isinstance(fault, Fault)
        assert (fault.code, fault.fatal) == (code, True)
        with pytest.raises(ConnectionClosed):
            socket.recv(10)


@settings(max_examples=15)
@given(st.lists(st.binary(max_size=60) | st.text(max_size=5), max_size=4), st.booleans())
def test_garbage_harms_nobody(server, garbage, greets):
    with open_socket(f"{server.url}/v1/live") as socket:
        try:
            if greets:
                socket.send(encode(Hello()))
            for data in garbage:
                socket.send(data)
        except ConnectionClosed:
            pass
    status, _, _ = server.http("/health")
    assert status == 200
    assert server.server.engine.running


SHARES = st.dictionaries(st.sampled_from(["smiling", "broad", "nobody"]), st.sampled_from([0.0, 0.4, 2.0]), max_size=3)
GAINS = st.dictionaries(st.sampled_from(["head", "lips", "nose"]), st.sampled_from([0.0, 0.5, 99.0]), max_size=2)
WISHES = st.one_of(
    st.builds(Change, st.none() | st.integers(0, 9), st.none() | SHARES, st.none() | GAINS),
    st.builds(Interrupt, st.none() | st.integers(0, 10**6)),
    st.builds(Sound, st.integers(0, 4000).map(lambda count: np.full(count, 0.3, np.float32).tobytes())),
    st.sampled_from([Flush(), Save(), Ping(1.0), Sound(b"odd"), Finish(), Hello()]),
)


@settings(max_examples=25)
@given(st.lists(WISHES, max_size=12), st.sampled_from(["live", "burst", "free"]), SHARES)
def test_any_messages_in_any_order_harm_nobody(server, wishes, pace, style):
    """Every socket ends with `Finished`, or with a fault that says why; the model never fails."""
    last = None
    with open_socket(f"{server.url}/v1/live", max_size=None) as socket:
        with contextlib.suppress(ConnectionClosed):  # what it said before it closed is still to be read
            for wish in (Hello(pace=pace, style=style), *wishes, Finish()):
                socket.send(encode(wish))
        try:
            while not isinstance(last, Finished):
                last = read(socket)
        except ConnectionClosed:
            assert isinstance(last, Fault)
    assert not (isinstance(last, Fault) and last.code == "failed")
    assert server.server.engine.running


def test_after_all_that_nothing_is_left_over(server, hello):
    with connect(server.url, pace="free") as live:
        live.feed(hello[:3200])
        assert live.finish()[-1] == Finished(5)
    for _ in range(200):
        if server.metric("artalk_sessions") == 0:
            break
        time.sleep(0.02)
    assert server.metric("artalk_sessions") == 0
    assert server.metric("artalk_sessions_ended_total") == server.metric("artalk_sessions_begun_total")


def hurry(live):
    for _ in range(2000):
        live.flush()
        list(live.receive(0.001))


def test_limits_hold(hello):
    limits = Limits(sessions=1, idle_seconds=1.0, messages_per_second=5, message_bytes=5000, hello_seconds=1.0)
    with running(Settings(limits=limits, drain_seconds=0.2)) as server:
        with connect(server.url) as live:
            with pytest.raises(Refused, match="all 1 sessions are taken"):
                connect(server.url)
            assert wait_for(live, Fault)[-1].code == "idle"
        with connect(server.url) as live, pytest.raises(Unreachable):
            hurry(live)
        assert server.metric("artalk_faults_total") >= 3
        with connect(server.url) as live:
            live.feed(np.zeros(8000, np.float32))
            with pytest.raises(Unreachable):
                wait_for(live, Fault)
        with open_socket(f"{server.url}/v1/live") as socket:
            fault = read(socket)
            assert isinstance(fault, Fault)
            assert fault.code == "no_hello"


def test_a_token_is_wanted_and_compared(hello):
    with running(Settings(token="s3cret", drain_seconds=0.2)) as server:
        for wrong in ("", "s3cre", "s3crets", "é"):
            with pytest.raises(Refused, match="a token that fits"):
                connect(server.url, token=wrong)
        with connect(server.url, token="s3cret", pace="free") as live:
            live.feed(hello[:1600])
            assert live.finish()[-1] == Finished(3)
        with open_socket(f"{server.url}/v1/live", additional_headers={"Authorization": "Bearer s3cret"}) as socket:
            socket.send(encode(Hello()))
            assert isinstance(read(socket), Welcome)


class Broken(Loud):
    """Fails once somebody shouts."""

    def step(self, state, samples):
        if np.abs(samples).max() > 0.9:
            raise RuntimeError("too loud")
        return super().step(state, samples)


def test_a_client_that_reads_nothing_is_given_up(hello):
    with (
        running(Settings(limits=Limits(idle_seconds=0.5), drain_seconds=0.1)) as server,
        open_socket(f"{server.url}/v1/live", max_queue=1, close_timeout=0.5) as socket,
    ):
        socket.send(encode(Hello(pace="burst")))
        for _ in range(800):  # pongs that nobody reads
            socket.send(encode(protocol.Ping(1.0)))
        for _ in range(400):
            if server.metric("artalk_sessions_ended_total"):
                break
            time.sleep(0.02)
        assert server.metric("artalk_sessions_ended_total") == 1
        assert server.metric("artalk_sessions") == 0


def test_a_model_that_fails_fails_for_one_alone(hello):
    with (
        running(models={"broken": Broken(1, 1, 16000)}) as server,
        connect(server.url, pace="free") as good,
        connect(server.url, pace="free") as bad,
    ):
        good.feed(hello[:16000])
        bad.feed(np.ones(16000, np.float32))
        with pytest.raises(Unreachable, match="ended the session: the model failed"):
            bad.finish()
        faults = [event for event in bad.receive() if isinstance(event, Fault)]
        assert [(fault.code, fault.fatal) for fault in faults] == [("failed", True)]
        good.feed(hello[16000:])
        got = motion(good.finish())
        time.sleep(0.05)
        assert list(good.receive()) == [], "a session that is over has nothing more, and no error"
        np.testing.assert_array_equal(got.values, Loud(1, 1, 16000).generate(Audio(hello, 16000)).values)


def test_a_model_that_fails_is_counted_as_that():
    with running(models={"broken": Broken(1, 1, 16000)}) as server:
        with connect(server.url, pace="free") as bad:
            bad.feed(np.ones(16000, np.float32))
            with pytest.raises(Unreachable, match="the model failed"):
                bad.finish()
        for _ in range(100):
            text = server.http("/metrics")[2].decode()
            if 'ended_total{reason="failed"} 1.0' in text:
                break
            time.sleep(0.02)
        assert 'ended_total{reason="failed"} 1.0' in text


def test_the_time_of_a_session_goes_on_where_it_was_saved(hello):
    key = Settings(secret="shared", drain_seconds=0.2)
    with running(key) as first, running(key) as second:
        with connect(first.url, pace="burst") as live:
            live.feed(hello[:16000])
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                list(live.receive(0.05))
            saved = live.save()
            assert live.health is not None
            before = live.health.clock
            assert 1.5 <= live.now < 60
            assert live.now >= before
        with connect(second.url, pace="burst", resume=saved) as live:
            assert live.now > before
            while live.health is None:
                list(live.receive(0.05))
            assert live.now >= live.health.clock > before + 0.5


def test_a_mix_over_the_socket_equals_offline_to_the_last_bit(server, hello):
    mix = {"broad": 0.4, "lively": 0.3}
    with connect(server.url, pace="free", style=mix, seed=3) as live:
        live.feed(hello)
        got = motion(live.finish())
    whole = artalk.generator(artalk.api.LIVE).generate(Audio(hello, 16000), Condition(mix), 3)
    np.testing.assert_array_equal(got.values, whole.values)


def test_no_style_is_a_style_that_can_be_asked_for(server, hello):
    with connect(server.url, pace="free", style={}) as live:
        live.change(style={})
        live.feed(hello)
        got = motion(live.finish())
    np.testing.assert_array_equal(got.values, offline(hello).values)


def go_on(live, sound):
    """To a server that has left; it still reads for a moment."""
    for _ in range(100):
        live.feed(sound)
        list(live.receive(0.02))


@pytest.mark.parametrize("feeds", [False, True])
def test_who_speaks_hears_why_a_server_left(hello, feeds):
    """What it said last, with the state, is received before anything is said of the broken line."""
    with running(Settings(drain_seconds=0.1)) as server, connect(server.url, pace="burst") as live:
        live.feed(hello[:3200])
        server.stop()
        for _ in range(3 if feeds else 0):
            live.feed(hello[:3200])
        events = wait_for(live, Closing)
        assert events[-1].state
        with pytest.raises(Unreachable, match="closed the session"):
            go_on(live, hello[:3200])


def test_a_long_sound_may_be_fed_before_anything_is_received():
    """More than a socket and its queue of sixteen messages hold on the way back."""
    sound = np.zeros(16000 * 120, np.float32)
    with (
        running(Settings(drain_seconds=0.1), models={"loud": Loud(1, 1, 16000)}) as server,
        connect(server.url, pace="free") as live,
    ):
        feeding = threading.Thread(target=live.feed, args=(np.tile(sound, 15),), daemon=True)
        feeding.start()
        feeding.join(60)
        assert not feeding.is_alive()
        assert live.finish()[-1] == Finished(120 * 15 * 25)


def test_no_event_is_lost_or_out_of_order_where_one_saves_and_stops_in_the_midst(server, hello):
    with connect(server.url, pace="free") as live:
        for _ in range(3):
            live.feed(hello[:16000])
            live.flush()
        seen = []
        for _ in range(1000):
            if sum(isinstance(event, Ended) for event in seen) == 3:
                break
            for event in live.receive(5.0):
                seen.append(event)
                if isinstance(event, Placed):
                    live.save()
                if isinstance(event, Ended):
                    break
        seen += live.finish()
    assert [event.turn for event in seen if isinstance(event, Placed)] == [1, 2, 3]
    assert [event.turn for event in seen if isinstance(event, Ended)] == [1, 2, 3]
    assert len(motion(seen)) == seen[-1].frames


def test_who_feeds_in_the_midst_of_receiving_still_hears_why_a_server_left(hello):
    """What it said last is kept when a message cannot be sent any more, and given out before that is an error."""
    with running(Settings(drain_seconds=0.1), models={"loud": Loud(1, 1, 16000)}) as server:
        live = connect(server.url, pace="burst")
        live.feed(hello[:16000])
        events = live.receive(5.0)
        seen = [next(events)]
    with live, contextlib.suppress(Unreachable):
        for _ in range(100):
            live.feed(hello[:16000])
            seen.append(next(events))
    (closing,) = [event for event in seen if isinstance(event, Closing)]
    assert closing.state
    assert seen[-1].code == "closing"
    motion(seen)  # which has no gap


def test_what_was_dropped_before_a_save_is_counted_once():
    key = Settings(secret="shared", drain_seconds=0.1)
    with running(key, models={"loud": Loud(1, 1, 16000)}) as server:
        with connect(server.url) as live:
            live.feed(np.zeros(16000 * 5, np.float32))
            time.sleep(0.1)
            saved = live.save()
        for _ in range(3):
            with connect(server.url, resume=saved) as live:
                live.ping()
                list(live.receive(1.0))
        for _ in range(200):
            if server.metric("artalk_sessions_ended_total") == 4:
                break
            time.sleep(0.02)
        dropped = server.metric("artalk_samples_dropped_total")
        assert 0 < dropped <= 16000 * 5


class Ponders(Loud):
    """Thinks for a third of a second over each step."""

    def step(self, state, samples):
        time.sleep(0.3)
        return super().step(state, samples)


def test_a_save_after_an_interruption_comes_after_it(hello):
    key = Settings(secret="shared", workers=1)
    with (
        running(key, models={"slow": Ponders(1, 1, 16000)}) as server,
        connect(server.url, pace="burst") as other,
        connect(server.url, pace="burst") as live,
    ):
        other.feed(hello)
        live.feed(hello)
        wait_for(live, Motion)
        live.interrupt()
        live.save()
        assert any(isinstance(event, Interrupted) for event in live.receive())


def test_sound_that_comes_too_fast_is_said_once():
    with running(models={"loud": Loud(1, 1, 16000)}) as server, connect(server.url) as live:
        for _ in range(2):
            live.feed(np.zeros(16000 * 5, np.float32))
            time.sleep(1.3)
        faults = [event for event in live.receive(1.0) if isinstance(event, Fault)]
        assert [(fault.code, fault.fatal) for fault in faults] == [("sound_dropped", False)]
        assert "pace 'free' is for files" in faults[0].message


def test_a_save_that_comes_late_does_not_end_what_is_still_to_come(server, hello):
    with connect(server.url, pace="free", timeout=10.0) as live:
        live.feed(hello)
        live._send(protocol.Save())  # what `save` does that gives up too early
        assert live.finish(30.0)[-1] == Finished(-(-len(hello) * 25 // 16000))


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"pace": "fast"}, "live, burst, free"),
        ({"seed": -1}, "0 to 2"),
        ({"sample_rate": 16000.5}, "whole number"),
        ({"model": 3}, "a model is a text"),
        ({"style": ["smiling"]}, "names and numbers"),
        ({"style": "smiling:x"}, "is a number"),
        ({"style": "smiling,smiling:0.3"}, "smiling twice"),
        ({"gains": "lips"}, "names and numbers"),
    ],
)
def test_what_no_session_can_be_asked_is_said_before_anything_is_sent(wish, words):
    with pytest.raises(BadInput, match=words):
        connect("ws://127.0.0.1:9", **wish)


def test_a_mix_may_be_a_text_and_what_is_not_given_none(server, hello):
    made = []
    for style in ("smiling:0.3", {"smiling": 0.3}):
        with connect(server.url, pace="free", style=style, token=None, model=None, sample_rate=16000.0) as live:
            live.feed(hello[:8000])
            made.append(motion(live.finish()))
    np.testing.assert_array_equal(made[0].values, made[1].values)


@pytest.mark.parametrize(("sound", "words"), [(np.full(9, np.nan), "NaN"), (np.zeros((9, 2)), "take one channel")])
def test_sound_that_is_none_is_said_as_a_session_says_it(server, sound, words):
    with connect(server.url) as live, pytest.raises(BadInput, match=words):
        live.feed(sound)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("ws://h:1", "ws://h:1/v1/live"),
        ("http://h:1/", "ws://h:1/v1/live"),
        ("wss://h/?a=1", "wss://h/v1/live?a=1"),
        ("wss://h/behind/v1/live?a=1", "wss://h/behind/v1/live?a=1"),
    ],
)
def test_where_the_socket_is(url, address):
    assert client._address(url) == address


def test_a_name_of_any_length_is_refused_in_a_sentence(server):
    with pytest.raises(Refused, match="models here are"):
        connect(server.url, model="\x00" * 30000)
    with connect(server.url, pace="free") as live:
        live.change(gains={"\x01" * 20000: 1.0})
        fault = wait_for(live, Fault)[-1]
        assert (fault.code, fault.fatal) == ("bad_input", False)
        assert len(fault.message) <= 500


@pytest.mark.parametrize("url", ["ws://h:99999", "ws://[::1", "nowhere", "ws://"])
def test_an_address_that_is_none_is_said(url):
    with pytest.raises(Unreachable, match="no artalk server answers"):
        connect(url, timeout=1.0)


def test_why_a_server_opens_no_socket_is_said():
    with running() as server:
        server.server.ready = False
        with pytest.raises(Refused, match="the server stops"):
            connect(server.url)


def test_nobody_there_is_said():
    with pytest.raises(Unreachable, match="no artalk server answers"):
        connect("ws://127.0.0.1:9", timeout=2)
    with pytest.raises(Unreachable, match="no artalk server answers"):
        connect("not an address")
