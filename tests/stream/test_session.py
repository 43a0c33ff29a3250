"""A session with its clock in the test's hands."""

import contextlib
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import artalk
from artalk.audio import Audio
from artalk.channels import ARKIT, FLAME
from artalk.edit import PARTS
from artalk.errors import BadInput, Unsupported
from artalk.generators.generator import Condition
from artalk.generators.living import Living
from artalk.generators.visemes import Visemes
from artalk.motion import Motion
from artalk.stream.backlog import Backlog, BufferFull
from artalk.stream.glide import GLIDE, REST, SHUT
from artalk.stream.protocol import Ended, Finished, Interrupted, Placed
from artalk.stream.session import BadState, Pacing, Session
from tests.stream.generators import BROW, JAW, Flame, Loud, noise

RATE = 1000
TICK = 0.02
MOUTH = list(PARTS["lips"])


def frames(events):
    """The motion in events, by frame number; a number may come again after an interruption."""
    shown = {}
    for event in events:
        if isinstance(event, Motion):
            shown |= {event.start + k: row for k, row in enumerate(event.values)}
    return shown


def only(events, kind):
    return [event for event in events if isinstance(event, kind)]


def talk(session, sound, start, until, block=20, speed=1.0):
    """A microphone that is on from `start` seconds for as long as `sound` lasts; events with the time they came."""
    log, heard = [], 0
    for k in range(math.ceil(until / TICK) + 1):
        clock = k * TICK
        due = min(int(max(clock - start, 0) * RATE * speed), len(sound))
        while heard + block <= due:
            session.feed(sound[heard : heard + block])
            heard += block
        log += [(clock, event) for event in session.run(clock)]
    return log


@given(st.lists(st.integers(0, 900), max_size=8), st.integers(0, 900), st.integers(1, 5), st.integers(0, 4))
def test_free_equals_offline_however_it_is_cut(cuts, length, window, lookahead):
    generator, sound = Loud(window, lookahead), noise(0.9)[:length]
    session, events = Session(generator, RATE, "free", seed=3), []
    edges = [0, *sorted(min(cut, length) for cut in cuts), length]
    for a, b in zip(edges, edges[1:], strict=False):
        session.feed(sound[a:b])
        events += session.run()
    session.finish()
    events += session.run()
    whole = generator.generate(Audio(sound, RATE), seed=3)
    pieces = only(events, Motion)
    np.testing.assert_array_equal(Motion.join(pieces).values if pieces else whole.values[:0], whole.values)
    assert events[-1] == Finished(len(whole))
    with pytest.raises(BadInput, match="finished"):
        session.feed(sound)


def test_a_microphone_in_real_time_equals_offline_with_the_silences():
    generator, sound = Loud(), noise(3)
    events = [event for _, event in talk(Session(generator, RATE), sound, start=1.0, until=4.0)]
    (placed,) = only(events, Placed)
    silence = np.zeros(round(placed.time * RATE), np.float32)
    whole = generator.generate(Audio(np.concatenate([silence, sound]), RATE))
    shown = frames(events)
    assert list(shown) == list(range(len(shown)))
    assert len(shown) >= 93
    np.testing.assert_array_equal(np.stack(list(shown.values())), whole.values[: len(shown)])


def test_each_frame_comes_as_soon_as_its_sound_is_there():
    generator = Loud(window=2, lookahead=1)
    log = talk(Session(generator, RATE), noise(4), start=0.5, until=4.0)
    for clock, event in log:
        if isinstance(event, Motion):
            assert clock - event.start / 25 <= float(generator.latency) + 2 * TICK + 1e-9


@given(
    st.integers(1, 4),
    st.integers(0, 3),
    st.sampled_from([1000, 3000]),
    st.lists(st.floats(0.5, 1.5), min_size=1, max_size=3),
    st.integers(0, 19),
)
def test_blocks_of_speech_fill_windows_to_the_full(window, lookahead, rate, pauses, tick):
    """However long the silence before: the block that ends a window's sound brings its frames, and nothing waits for
    the rest of a block. A turn stands within half a block of where it was spoken (a block's end, and a tick, at most).
    """
    session, step = Session(Loud(window, lookahead), rate), round(0.02 * rate)
    spoken, clock = 0.0, tick / 1000
    for pause in pauses:
        start = spoken + pause
        while clock < start + 0.02:
            session.run(clock)
            clock += TICK
        sound = noise(1, rate)
        placed = None
        for k in range(len(sound) // step):
            session.feed(sound[k * step : (k + 1) * step])
            for event in session.run(start + (k + 1) * 0.02):
                if isinstance(event, Placed):
                    placed = event
                    assert -0.0101 <= placed.time - session.skew - start <= 0.0201
                elif isinstance(event, Motion) and placed is not None:
                    newest = event.start / 25 - placed.time + session.latency
                    if newest > 0.02:
                        assert (k + 1) * 0.02 - newest <= 1.01 / rate
        assert placed is not None
        session.flush()
        spoken, clock = start + 1.0, start + 1.0 + tick / 1000


@pytest.mark.parametrize("back", [0, 1, 2, 3])
def test_an_interruption_leaves_blocks_at_the_ends_of_windows(back):
    """At 30 frames a second a frame is no whole number of blocks: the windows are reckoned from where they are now."""
    generator = Loud(3, 1, 3000)
    generator.fps = Fraction(30)
    session = Session(generator, 3000)
    for k in range(100):
        session.run(k * TICK)
    session.interrupt(session.made - back)
    clock = 2.0
    while clock < 3.007:
        session.run(clock)
        clock += TICK
    waits, placed, sound = [], None, noise(1, 3000)
    for k in range(50):
        session.feed(sound[k * 60 : (k + 1) * 60])
        for event in session.run(3.01 + (k + 1) * 0.02):
            placed = event if isinstance(event, Placed) else placed
            if isinstance(event, Motion) and placed is not None:
                newest = event.start / 30 - placed.time + session.latency
                waits += [(k + 1) * 0.02 - newest] if newest > 0.02 else []
    assert len(waits) > 5
    assert max(waits) <= 1.01 / 3000


def lateness(log, session):
    """By how much each piece came later than the latency allows, and when."""
    return [(at, at - event.start / 25 - session.latency) for at, event in log if isinstance(event, Motion)]


@pytest.mark.parametrize("gaps", [[0.26], [0.28], [0.2, 0.2], [0.2] * 4])
def test_sound_that_a_microphone_lost_does_not_make_it_late_for_good(gaps):
    """Its sound goes on, so there is never a pause in which silence could take the place of what is missing."""
    session, sound, log = Session(Loud(4, 1), RATE), noise(20), []
    lost = {round((2 + k) / TICK) + j for k, gap in enumerate(gaps) for j in range(round(gap / TICK))}
    for k in range(round(20 / TICK)):
        if k not in lost:
            session.feed(sound[20 * k : 20 * (k + 1)])
        log += [((k + 1) * TICK, event) for event in session.run((k + 1) * TICK)]
    late = lateness(log, session)
    assert max(by for at, by in late if at < 2) <= TICK + 1e-9
    assert max(by for at, by in late if at > 16) < 0.1
    assert session.counters.samples_dropped == session.counters.frames_dropped == 0


def test_sound_that_was_only_held_up_is_heard_whole():
    session, sound, heard = Session(Loud(4, 1), RATE), noise(4), 0
    for k in range(round(4 / TICK)):
        if not 100 <= k < 114:  # 0.28 s in which a network stood still; then all of it comes in two more blocks
            until = 20 * (k + 1) if k != 114 else 20 * 101
            session.feed(sound[heard:until])
            heard = until
        session.run((k + 1) * TICK)
    assert session.counters.samples_dropped == session.counters.samples_filled == 0


@pytest.mark.parametrize("back", [2, 4, 8, 12])
def test_words_that_come_with_an_interruption_stand_in_the_present(back):
    """What is made anew lies in the past, and the words do not."""
    session, log, sound = Session(Loud(1, 1), RATE), [], noise(5)
    log += talk(session, sound[:2000], 0.0, 2.0)
    session.interrupt(session.made - back)
    for k in range(100):
        session.feed(sound[2000 + 20 * k : 2020 + 20 * k])
        log += [(2.02 + k * TICK, event) for event in session.run(2.02 + k * TICK)]
    new = [by for at, by in lateness(log, session) if at > 2.1]
    assert max(new) <= 2 * TICK


@pytest.mark.parametrize("pause", [0.03, 0.1, 0.28])
def test_a_chunk_of_a_voice_may_be_a_little_late(pause):
    """Patience is counted from where the sound ends, and not from when it came: chunks are long."""
    session, events, clock = Session(Loud(4, 1), RATE, "burst"), [], 0.0
    session.feed(noise(2))
    while clock < 2.0 + pause:
        events += session.run(clock)
        clock += TICK
    session.feed(noise(2))
    while clock < 4.2:
        events += session.run(clock)
        clock += TICK
    assert len(only(events, Placed)) == 1
    assert session.counters.samples_filled == 0


@pytest.mark.parametrize("look", [0.02, 0.08, 0.12, 0.2])
def test_a_turn_stands_where_it_was_spoken_however_rarely_one_looks(look):
    session, sound, heard, events = Session(Loud(4, 1), RATE), noise(4), 0, []
    for k in range(1, round(4 / look)):
        clock = k * look
        while clock >= 2.0 and (heard + 20) / RATE <= clock - 2.0:
            session.feed(sound[heard : heard + 20])
            heard += 20
        events += session.run(clock)
    (placed,) = only(events, Placed)
    assert placed.time - 2.0 == pytest.approx(0, abs=0.0401)


def test_no_frame_is_left_out_where_a_rate_has_no_whole_ones():
    """At 7,999 Hz and 25 frames a second only whole seconds go out."""
    session = Session(Loud(1, 0, 8000), 7999, pacing=Pacing(catch_up=0.5))
    session.feed(noise(1, 7999))
    session.run(0.1)
    session.advance(0.9)
    assert session._glide is None
    assert session.counters.frames_dropped == 0


def test_a_turn_that_was_over_before_anyone_looked_is_not_placed_where_it_was_noticed():
    session = Session(Loud(100, 1), RATE)
    for k in range(5):
        session.run(k * TICK)
    session.feed(noise(0.3))
    session.flush()
    (placed,) = only(session.run(1.0), Placed)
    assert placed.time <= 5 * TICK


@pytest.mark.parametrize("pace", ["live", "burst", "free"])
def test_an_interruption_after_the_end_is_no_new_beginning(pace):
    session = Session(Loud(), RATE, pace)
    session.run(0.0)
    session.feed(noise(2))
    session.finish()
    events = session.run(0.02)
    session.interrupt()
    events += [event for k in range(100) for event in session.run(0.04 + k * TICK)]
    assert len(only(events, Finished)) == 1
    with pytest.raises(BadInput, match="finished"):
        session.feed(noise(1))


def test_an_end_can_be_said_however_many_turns_wait():
    session = Session(Loud(), RATE, "burst")
    with contextlib.suppress(BufferFull):
        for _ in range(100):
            session.feed(noise(0.01))
            session.flush()
    session.finish()
    assert session.finished


def test_nothing_is_left_out_once_the_sound_has_ended():
    session = Session(Loud(1, 1), RATE)
    session.feed(noise(0.2))
    session.finish()
    session.advance(0.1)
    assert session.due() is not None
    session.advance(6.0)
    events = session.run(6.02)
    assert only(events, Finished) == [Finished(5)]
    assert len(only(events, Placed)) == 1
    assert session.counters.frames_dropped == 0


def test_an_interruption_long_ago_leaves_no_frame_out():
    session = Session(Loud(), RATE)
    for k in range(200):
        session.run(k * TICK)
    before = session.made
    session.interrupt(0)
    assert session.made < before - 10
    first = session.made
    events = [event for k in range(200, 260) for event in session.run(k * TICK)]
    assert session.counters.frames_dropped == 0
    assert min(frames(events)) == first


def test_a_mark_alone_brings_no_silence():
    session = Session(Loud(), RATE)
    session.run(0.0)
    session.finish()
    assert only(session.run(0.9), Finished) == [Finished(0)]


def test_a_flush_makes_the_last_frames_without_more_sound():
    session = Session(Loud(), RATE, "free")
    session.feed(noise(1))
    session.flush()
    events = session.run()
    assert only(events, Ended) == [Ended(1, 25)]
    assert len(frames(events)) >= 25
    session.flush()
    assert not only(session.run(), Ended)


def test_a_burst_goes_out_by_the_clock():
    generator = Loud(window=1, lookahead=1)
    session = Session(generator, RATE, "burst", pacing=Pacing(lead=0.2))
    log = [(0.0, event) for event in session.run(0.0)]
    for k in range(1, 300):
        if k == 50:
            session.feed(noise(4))
            session.flush()
        log += [(k * TICK, event) for event in session.run(k * TICK)]
    placed = only([event for _, event in log], Placed)
    assert [round(event.time, 2) for event in placed] == [0.98]
    assert list(frames([event for _, event in log])) == list(range(len(frames([event for _, event in log]))))
    for clock, event in log:
        if isinstance(event, Motion):
            last = event.start + len(event) - 1
            assert last / 25 <= clock + 0.2
            assert clock <= event.start / 25 + session.latency + TICK + 1e-9


def test_no_delay_builds_up_over_many_turns():
    session, clock = Session(Loud(), RATE, "burst"), 0.0
    for turn in range(100):
        session.feed(noise(0.37, seed=turn))
        session.flush()
        for _ in range(40):
            clock += TICK
            session.run(clock)
        assert session.position - clock <= TICK
        assert session.quiet
    assert session.counters.frames_dropped == session.counters.samples_dropped == 0


def test_sound_that_comes_after_its_time_is_dropped_and_the_newest_kept():
    session, sound = Session(Loud(), RATE), noise(6)
    for k in range(1, 51):
        session.feed(sound[(k - 1) * 20 : k * 20])
        session.run(k * TICK)
    for k in range(51, 151):  # the network stalls for two seconds
        session.run(k * TICK)
    assert session.counters.samples_filled > 1500
    session.feed(sound[1000:3000])
    events = session.run(3.02)
    assert 1500 <= session.counters.samples_dropped <= 2000
    assert only(events, Placed)
    (placed,) = only(events, Placed)
    assert placed.sample >= 2500
    assert abs(session.position - 3.02) < 0.3


def test_a_sound_card_with_another_clock_loses_nothing():
    session = Session(Loud(), RATE)
    log = talk(session, noise(80), start=0.0, until=70.0, speed=1.002)
    assert session.counters.samples_dropped == 0
    assert len(only([event for _, event in log], Placed)) == 1
    slow = Session(Loud(), RATE)
    talk(slow, noise(80), start=0.0, until=70.0, speed=0.998)
    assert slow.counters.samples_dropped == slow.counters.samples_filled == slow.counters.frames_dropped == 0


def test_a_session_that_could_not_keep_up_leaves_frames_out():
    session = Session(Loud(), RATE, "burst")
    session.feed(noise(8))
    session.run(0.1)
    events = session.run(4.0)
    assert 90 <= session.counters.frames_dropped <= 100
    assert only(events, Motion)[0].start >= 90
    assert abs(session.position - 4.2) < 0.05


def test_sound_stands_where_it_is_placed_also_after_frames_were_left_out():
    """What the generator had heard already, when frames were left out, once kept its old place."""
    session = Session(Loud(window=5, lookahead=0), RATE, "burst")
    session._glide_on = lambda: None
    session.feed(np.linspace(0, 1, 8 * RATE, dtype=np.float32))
    events = [*session.run(0.15), *session.run(0.35), *session.run(4.0)]
    assert session.counters.frames_dropped > 0
    placed, checked = sorted(only(events, Placed), key=lambda event: event.time), 0
    for number, row in frames(events).items():
        begins = [event for event in placed if event.time <= number / 25 + 1e-6]
        if any(number / 25 + 1e-6 < event.time < (number + 1) / 25 for event in placed):
            continue  # a frame in which one stretch ends and the next begins
        heard = begins[-1].sample + ((number + 0.5) / 25 - begins[-1].time) * RATE
        assert row[JAW] == pytest.approx(heard / (8 * RATE), abs=0.002), number
        checked += 1
    assert checked > 10


@pytest.mark.parametrize("model", ["visemes", "artalk-live"])
def test_an_interruption_closes_the_mouth_within_a_third_of_a_second(model):
    generator, sound = artalk.generator(model), artalk.listen("examples/hello.flac").resampled(16000).samples
    session, log = Session(generator, 16000, "burst"), []
    for k in range(200):
        clock = k * TICK
        if k == 10:
            session.feed(sound)
        if k == 100:
            session.interrupt()
        log += [(clock, event) for event in session.run(clock)]
    at = next(k for k, (_, event) in enumerate(log) if isinstance(event, Interrupted))
    stopped = log[at][1]
    before, after = frames(event for _, event in log[:at]), frames(event for _, event in log[at:])
    assert stopped.frame <= max(before)
    assert min(after) == stopped.frame
    assert list(after) == list(range(stopped.frame, max(after) + 1))
    speaking = np.stack([before[k] for k in range(stopped.frame - 25, stopped.frame)])
    assert speaking[:, JAW].max() > 0.1
    shut = math.ceil(SHUT * 25)
    resting = np.stack([after[k] for k in after if k >= stopped.frame + shut])
    assert resting[: round(REST * 25) - shut, MOUTH].max() < 0.02
    assert (resting[:, JAW] - resting[:, ARKIT.index("mouthClose")]).max() < 0.02
    assert np.abs(after[stopped.frame] - before[stopped.frame - 1]).max() < 0.1
    # The frames of the first 0.3 s are there at once: nobody has to wait for a window.
    (clock,) = {clock for clock, event in log[at:] if isinstance(event, Motion) and event.start == stopped.frame}
    assert clock == pytest.approx(2.0)


def test_new_words_after_an_interruption_open_the_mouth():
    session, log = Session(Loud(window=1, lookahead=1), RATE, "burst"), []
    for k in range(150):
        if k == 5:
            session.feed(noise(3))
        if k == 50:
            session.interrupt()
        if k == 70:
            session.feed(noise(1, seed=2))
            session.flush()
        log += session.run(k * TICK)
    stopped, placed = only(log, Interrupted)[0], only(log, Placed)[1]
    assert placed.turn == stopped.turn + 1
    first = round(placed.time * 25)
    shown = frames(log[log.index(stopped) :])
    assert max(shown[k][JAW] for k in range(stopped.frame + 6, first - 2)) < 0.02
    assert min(shown[k][JAW] for k in range(first + 1, first + 20)) > 0.3


@pytest.mark.parametrize("wish", [{"seed": 9}, {"gains": {"head": 0.5}}, {"seed": 9, "gains": {"lips": 1.5}}])
def test_a_change_does_not_open_an_interrupted_mouth(wish):
    session, log = Session(Loud(window=1, lookahead=1), RATE, "burst"), []
    session.feed(noise(8))
    for k in range(90):
        if k == 50:
            log.clear()
            session.interrupt()
        if k in (52, 56):
            session.change(**{**wish, "gains": {"head": k / 100}})
        log += session.run(k * TICK)
    stopped, shown = only(log, Interrupted)[0].frame, frames(log)
    assert shown[stopped][JAW] > 0.2
    assert max(shown[k][JAW] for k in shown if k >= stopped + math.ceil(SHUT * 25)) < 0.01


def test_an_interruption_shuts_the_mouth_of_a_flame_model():
    session = Session(Flame(window=1, lookahead=1), RATE, "free")
    session.feed(noise(2))
    before = frames(session.run())
    session.interrupt(frame=20)
    after = frames(session.run())
    assert before[19].min() > 0.2
    assert min(after) == 20
    for name, end in (("jaw", 0.0), ("expression", 0.0), ("head", 0.3)):
        np.testing.assert_allclose(after[20 + math.ceil(SHUT * 25)][FLAME.slice(name)], end, atol=0.2 * end)


def test_a_change_while_the_model_works_makes_no_leap():
    """The glide once began at the change, and was nearly over when the first frames of the new life came."""
    generator, sound = Visemes(), artalk.listen("examples/hello.flac").resampled(16000).samples
    session = Session(generator, 16000, "free", seed=1)
    session.feed(sound[:32000])
    session.run()
    session.feed(sound[32000:])
    under_way = session.due(8)
    session.change(seed=5)
    session.done(*generator.step(*under_way))
    made = np.stack(list(frames([*session.events(), *session.run()]).values()))
    assert np.abs(np.diff(made, axis=0))[:, ARKIT.slice("head")].max() < 0.03


def test_what_is_already_so_changes_nothing():
    generator, sound = Visemes(), artalk.listen("examples/hello.flac").resampled(16000).samples[:48000]
    shown = []
    for wishes in ([], [{"seed": 1}, {"style": {}}, {"gains": {"head": 0.5}}, {}]):
        session = Session(generator, 16000, "free", seed=1, gains={"head": 0.5})
        session.feed(sound[:20000])
        events = session.run()
        for wish in wishes:
            session.change(**wish)
        session.feed(sound[20000:])
        shown.append(np.stack(list(frames([*events, *session.run()]).values())))
    np.testing.assert_array_equal(*shown)


def test_wishes_are_granted_together_or_not_at_all():
    session = Session(Visemes(), 16000, "free")
    with pytest.raises(Unsupported):
        session.change(gains={"lips": 2.0}, style={"happy": 1.0})
    session.feed(noise(1, 16000))
    plain = Visemes().generate(Audio(noise(1, 16000), 16000)).values
    made = np.stack(list(frames(session.run()).values()))
    np.testing.assert_array_equal(made, plain[: len(made)])


def test_gains_are_for_a_face_that_has_parts():
    with pytest.raises(Unsupported, match="gains are for arkit"):
        Session(Flame(), RATE, "free", gains={"head": 0.5})
    session = Session(Flame(), RATE, "free")
    with pytest.raises(Unsupported, match="gains are for arkit"):
        session.change(gains={"head": 0.5})
    session.change(gains={})


def test_a_long_window_is_no_falling_behind():
    """Sound that comes while a model of 4 s works is heard afterwards."""
    session = Session(Loud(window=100, lookahead=0), RATE, "live")
    for k in range(300):
        session.feed(noise(TICK, seed=k))
        if k % 125 != 0:  # the model works for 2.5 s
            continue
        session.run(k * TICK)
    assert session.counters.frames_dropped == session.counters.samples_dropped == 0


def test_a_style_clip_outlives_a_save():
    model, hello = artalk.generator("artalk"), artalk.listen("examples/hello.flac")
    clip = model.generate(hello, Condition({"smiling": 1.0}))
    session = Session(model, hello.sample_rate, "free", style=clip)
    session.feed(hello.samples)
    session.run()
    there = Session.restore(model, session.save())
    for each in (session, there):
        each.change(seed=3)
        each.feed(hello.samples)
    here, there = (np.stack(list(frames(each.run()).values())) for each in (session, there))
    np.testing.assert_array_equal(here, there)


def test_an_interruption_takes_back_only_what_was_not_shown():
    session = Session(Loud(window=1, lookahead=1), RATE, "free")
    session.feed(noise(2))
    made = max(frames(session.run()))
    session.interrupt(frame=10)
    (stopped,) = only(session.run(), Interrupted)
    assert stopped.frame == 10
    session.interrupt(frame=10**9)
    assert only(session.run(), Interrupted)[0].frame <= made + 30
    again = Session(Loud(), RATE, "burst")
    again.interrupt()
    assert only(again.run(0.0), Interrupted)[0].frame == 0


def test_another_seed_changes_the_life_and_not_the_lips():
    generator, sound = Visemes(), artalk.listen("examples/hello.flac").resampled(16000).samples[:64000]
    plain, changed = Session(generator, 16000, "free"), Session(generator, 16000, "free")
    shown = []
    for session in (plain, changed):
        session.feed(sound[:32000])
        events = session.run()
        if session is changed:
            session.change(seed=5)
        session.feed(sound[32000:])
        session.finish()
        shown.append(np.stack(list(frames([*events, *session.run()]).values())))
    after = 50 + math.ceil(GLIDE * 25)
    np.testing.assert_array_equal(shown[0][after:, MOUTH], shown[1][after:, MOUTH])
    assert np.abs(shown[0][after:] - shown[1][after:]).max() > 0.05
    leap = np.abs(np.diff(shown[1][47:53], axis=0))[:, ARKIT.slice("head")].max()
    assert leap < 0.03


def test_gains_change_what_is_shown():
    session = Session(Loud(window=1, lookahead=0), RATE, "free", gains={"lips": 0.5})
    session.feed(noise(1))
    halved = np.stack(list(frames(session.run()).values()))
    plain = Loud(window=1, lookahead=0).generate(Audio(noise(1), RATE)).values
    np.testing.assert_allclose(halved[:, JAW], plain[:, JAW] * 0.5, atol=1e-6)
    np.testing.assert_array_equal(halved[:, BROW], plain[:, BROW])
    session.change(gains={})
    session.feed(noise(2))
    assert frames(session.run())[60][JAW] > 0.4
    with pytest.raises(BadInput, match="a gain is for"):
        session.change(gains={"nose": 1})
    with pytest.raises(Unsupported, match="cannot honour style"):
        session.change(style={"happy": 1.0})


@given(st.integers(0, 1500), st.integers(0, 1500), st.sampled_from(["free", "burst", "live"]), st.booleans())
def test_a_saved_session_goes_on_elsewhere(cut, wait, pace, interrupted):
    sound = noise(1.5)
    here = Session(Loud(), RATE, pace, seed=4, gains={"brows": 0.5})
    here.feed(sound[:cut])
    here.run(0.04)
    if interrupted:
        here.interrupt()
        here.feed(sound[:wait])
        here.flush()
    here.run(0.06)
    there = Session.restore(Loud(), here.save())
    assert there.made == here.made
    assert there.now == pytest.approx(here.now)
    for session in (here, there):
        session.feed(sound[cut : cut + 300])
        session.finish()
    clocks = ((here, 0.0), (there, -0.06))
    ends = [[*session.run(0.3 + later), *session.run(0.7 + later)] for session, later in clocks]
    a, b = (frames(events) for events in ends)
    assert list(a) == list(b)
    for number in a:
        np.testing.assert_allclose(a[number], b[number], atol=1e-6)
    assert only(ends[0], Finished) == only(ends[1], Finished)


@pytest.mark.parametrize("generator", [Visemes(), Living(Visemes(), Visemes())], ids=["rules", "two in one"])
def test_a_saved_session_goes_on_to_the_last_bit(generator):
    sound = artalk.listen("examples/hello.flac")
    session = Session(generator, sound.sample_rate, "free", seed=2)
    session.feed(sound.samples[:123457])
    events = session.run()
    session = Session.restore(generator, session.save())
    session.feed(sound.samples[123457:])
    session.finish()
    joined = Motion.join(only([*events, *session.run()], Motion))
    np.testing.assert_array_equal(joined.values, generator.generate(sound, seed=2).values)


@given(st.data())
def test_a_damaged_save_is_refused_or_works(data):
    session = Session(Loud(), RATE, "free")
    session.feed(noise(0.5))
    session.run()
    saved = bytearray(session.save())
    at = data.draw(st.integers(0, len(saved) - 1))
    saved[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadInput):
        Session.restore(Loud(), bytes(saved))


def test_a_save_of_another_model_is_refused():
    saved = Session(Loud(), RATE, "free").save()
    with pytest.raises(BadState, match="'loud'"):
        Session.restore(Visemes(), saved)
    later = Loud()
    later.version = "2"
    with pytest.raises(BadState, match="another version of 'loud'"):
        Session.restore(later, saved)
    for bad in (b"", saved[:-1], saved + b"x", b"\xff" * 40):
        with pytest.raises(BadState):
            Session.restore(Loud(), bad)


def test_more_may_wait_in_a_save_than_where_it_goes_on():
    session = Session(Loud(), RATE, "burst", pacing=Pacing(buffer=20.0))
    session.feed(noise(10.0))
    there = Session.restore(Loud(), session.save(), Pacing(buffer=5.0))
    assert there.queued == session.queued
    with pytest.raises(BufferFull):
        there.feed(noise(1.0))


def test_a_microphone_that_lost_sound_is_waited_for_no_longer_after_a_save():
    def speak(session, clock):
        session.feed(noise(0.02))
        return session.run(clock)

    def lost(moved):
        session, clock = Session(Loud(), RATE, "live"), 0.0
        for _ in range(50):
            speak(session, clock := clock + 0.02)
        clock += 0.5  # of sound that never comes
        began, filled = 0.0, []
        for k in range(60):
            speak(session, clock - began)
            if moved and k == 10:
                session, began = Session.restore(Loud(), session.save()), clock
            clock += 0.02
            filled.append(session.counters.samples_filled)
        assert filled[-1] > 0
        return filled

    assert lost(moved=True) == lost(moved=False)


@pytest.mark.parametrize(("rate", "pace", "words"), [(16000, "fast", "live, burst, free"), (0, "live", "whole rates")])
def test_a_session_that_cannot_be_is_refused(rate, pace, words):
    with pytest.raises(BadInput, match=words):
        Session(Loud(), rate, pace)


@settings(max_examples=25)
@given(st.sampled_from(["live", "burst", "free"]), st.data())
def test_memory_never_passes_its_bound(pace, data):
    pacing = Pacing(buffer=2.0)
    session, clock = Session(Loud(), RATE, pace, pacing=pacing), 0.0
    for _ in range(25):
        clock += data.draw(st.sampled_from([0.0, 0.02, 0.5, 3.0]))
        match data.draw(st.sampled_from(["feed", "feed", "flush", "interrupt", "run", "starve", "change"])):
            case "feed":
                try:
                    session.feed(noise(data.draw(st.sampled_from([0.001, 0.02, 0.7, 2.5]))))
                except BufferFull:
                    assert pace != "live"
            case "flush":
                session.flush()
            case "interrupt":
                session.interrupt(data.draw(st.none() | st.integers(0, 10000)))
            case "change":
                session.change(seed=data.draw(st.integers(0, 9)))
            case "starve":
                session.advance(clock)  # the model is busy with others
            case _:
                session.run(clock)
        assert session.held <= session.bound
        if pace != "free":
            assert session.position <= session.now + 2.0
    session.events()


def test_idle_life_blinks_and_keeps_its_mouth_shut():
    session, shown = Session(Visemes(), 16000), {}
    for k in range(1, 700):
        shown |= frames(session.run(k * 0.04))
    values = np.stack(list(shown.values()))
    assert values[:, ARKIT.index("eyeBlinkLeft")].max() > 0.9
    assert values[:, MOUTH].max() < 0.02
    assert np.ptp(values[:, ARKIT.index("headY")]) > 0.002
    assert len(values) == pytest.approx(25 * 28, abs=5)


def test_too_much_sound_is_refused_and_nothing_taken():
    session = Session(Loud(), RATE, "burst", pacing=Pacing(buffer=1.0))
    session.feed(noise(0.9))
    with pytest.raises(BufferFull, match="at most 1000"):
        session.feed(noise(0.2))
    assert session.queued == pytest.approx(0.9)
    for bad in (np.zeros((2, 2), np.float32), np.array([np.nan], np.float32)):
        with pytest.raises(BadInput, match="is fed (mono|finite) sound"):
            session.feed(bad)


@given(
    st.lists(st.tuples(st.sampled_from(["push", "newest", "take", "drop", "mark"]), st.integers(0, 30)), max_size=40)
)
def test_a_backlog_is_a_queue(steps):
    backlog, model, taken, number = Backlog(50), [], 0, 0
    for what, count in steps:
        block = np.arange(number, number + count, dtype=np.float32)
        if what == "push" and len(model) + count <= 50:
            backlog.push(block)
            model += block.tolist()
            number += count
        elif what == "newest":
            assert backlog.push_newest(block) == max(len(model) + count - 50, 0)
            model = (model + block.tolist())[-50:]
            number += count
        elif what == "take":
            got = backlog.take(count).tolist()
            assert got == model[: len(got)]
            model = model[len(got) :]
        elif what == "drop":
            assert backlog.drop(count) == min(count, len(model))
            model = model[count:]
        elif what == "mark":
            backlog.mark("flush")
            while backlog.next_mark():
                pass
        taken = number - len(model)
        assert len(backlog) == len(model)
        assert backlog.taken == taken
        assert backlog.nbytes <= 2 * 4 * 50
