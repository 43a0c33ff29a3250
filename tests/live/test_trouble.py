"""What is wrong with a receiver, by what becomes of each frame, and what a user is told of it."""

import pytest

from artalk.live.livelink import LiveLink
from artalk.live.news import News, verdict
from artalk.live.output import Output
from artalk.live.trouble import PATIENCE, Diagnosis

FPS = 60


def played(story, diagnosis=None, began=0.0):
    """What the trouble is after each frame of a story: a trouble for each that was lost, None for one that went out."""
    found = diagnosis or Diagnosis()
    told = []
    for frame, why in enumerate(story):
        now = began + frame / FPS
        found.sent(now) if why is None else found.lost(why, now)
        told.append(found.trouble)
    return told


def changes(told):
    return [after for before, after in zip([None, *told], told, strict=False) if after != before]


def test_frames_that_go_out_are_no_trouble():
    assert changes(played([None] * 600)) == []


@pytest.mark.parametrize("why", ["no such host", "cannot be reached"])
def test_a_way_that_is_not_there_is_a_trouble_at_once(why):
    assert played([why])[-1] == why


def test_refusals_are_a_trouble_after_a_while():
    """As this machine refuses: every other datagram, with those between going out as if somebody had them."""
    told = played([None, "nobody listens"] * 3 * FPS)
    assert changes(told) == ["nobody listens"]
    assert told.index("nobody listens") == pytest.approx(PATIENCE * FPS, abs=3)


def test_another_machine_refuses_once_a_second():
    told = played(([None] * (FPS - 1) + ["nobody listens"]) * 6)
    assert changes(told) == ["nobody listens"]


def test_a_receiver_that_begins_anew_is_no_trouble():
    assert changes(played((["nobody listens"] * 5 + [None] * 5 * FPS) * 5)) == []


def test_it_is_over_when_frames_have_gone_out_for_a_while():
    told = played([*["no such host"] * 100, *[None] * 600])
    assert changes(told) == ["no such host", None]
    assert told.index(None) == pytest.approx(100 + PATIENCE * FPS, abs=3)


def test_a_pause_of_the_sender_proves_nothing():
    """A machine that slept: the next datagram goes out, as the first one does, and is refused."""
    diagnosis = Diagnosis()
    played([None, "nobody listens"] * 3 * FPS, diagnosis)
    assert changes(played([None, "nobody listens"] * FPS, diagnosis, began=3600.0)) == ["nobody listens"]


def test_a_host_that_comes_where_nobody_listens_changes_the_trouble_once():
    story = [*["no such host"] * FPS, *[None, "nobody listens"] * 3 * FPS]
    assert changes(played(story)) == ["no such host", "nobody listens"]


def test_addresses_that_fail_in_turn_are_one_trouble():
    assert changes(played(["cannot be reached", "nobody listens"] * 10 * FPS)) == ["cannot be reached"]


def made(name="vmc://pc"):
    return Output(name, "pc.invalid", 1, LiveLink())


def test_news_are_told_once():
    outputs = [made("vmc://pc"), made("livelink://mac")]
    news, (first, second) = News(outputs), [output._diagnosis for output in outputs]
    assert news.lines() == []
    played(["no such host"], first)
    played([None, "nobody listens"] * FPS, second)
    assert news.lines() == ["vmc://pc: no such host, trying again"]
    played(["no such host"], first)
    assert news.lines() == []
    played([None, "nobody listens"] * FPS, second, began=2.0)
    assert news.lines() == ["nobody listens at livelink://mac yet"]
    played([None] * 3 * FPS, first, began=10.0)
    played(["cannot be reached"], second, began=10.0)
    assert news.lines() == ["vmc://pc is there now", "livelink://mac: cannot be reached, trying again"]
    assert news.lines() == []


@pytest.mark.parametrize(
    ("story", "says"),
    [
        ([None] * 9 + ["nobody listens"], "9 frames sent, 1 lost"),
        ([None, "nobody listens"] * 5, "5 frames sent, 5 lost; nobody seems to listen there"),
        (["no such host"] * 5, "0 frames sent, 5 lost; there is no such host"),
        (["no such host"] * 5 + [None] * 9, "9 frames sent, 5 lost; there is no such host"),
        (["cannot be reached"] * 5, "0 frames sent, 5 lost; it cannot be reached from here"),
    ],
)
def test_the_last_words_tell_one_trouble_from_another(story, says):
    output = made()
    played(story, output._diagnosis)
    output.lost = sum(why is not None for why in story)
    output.sent = len(story) - output.lost
    assert verdict(output) == f"vmc://pc: {says}"


def test_a_name_server_that_never_answers_is_no_verdict_on_the_host():
    output = made()
    output.lost = 5
    assert verdict(output) == "vmc://pc: 0 frames sent, 5 lost; its address was not found in time"
    output.sent = 5
    assert verdict(output) == "vmc://pc: 5 frames sent, 5 lost; this machine was too busy to send"
