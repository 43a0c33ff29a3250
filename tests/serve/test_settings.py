"""Settings: what the page says is so."""

import re
from pathlib import Path

import numpy as np
import pytest

from artalk.channels import ARKIT
from artalk.config import from_toml
from artalk.errors import BadFile, BadInput
from artalk.serve.settings import Limits, Settings, load
from artalk.stream.protocol import Frames, Hello, encode
from artalk.stream.session import Session
from tests.stream.generators import Loud


def test_the_settings_in_the_docs_are_the_defaults():
    page = (Path(__file__).parents[2] / "docs" / "server.md").read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert from_toml(Settings, block) == Settings()
    for name in vars(Limits()):
        assert f"\n{name} = " in block


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_others_are_let_in_only_with_a_token(host):
    with pytest.raises(BadInput, match="give a token"):
        Settings(host=host)
    assert not Settings(host=host, token="s3cret").local


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_this_machine_needs_none(host):
    assert Settings(host=host).local


@pytest.mark.parametrize(
    "origin",
    [
        "https://example.org/",
        "example.org",
        "https://",
        "HTTPS://example.org",
        "https://example.org:443",
        "http://[",
        "*",
    ],
)
def test_an_origin_is_what_a_browser_would_send(origin):
    Settings(origins=("https://example.org", "http://example.org:8080", "http://[::1]:5173"))
    with pytest.raises(BadInput, match="an origin is https://HOST"):
        Settings(origins=(origin,))


@pytest.mark.parametrize("token", ["s3cret\n", " s3cret", "schlüssel", "a\tb"])
def test_a_token_fits_into_a_header(token):
    with pytest.raises(BadInput, match="visible ASCII"):
        Settings(token=token)


def test_an_address_says_where_it_ends():
    assert Settings(host="::1").url("http", 80) == "http://[::1]:80"
    assert Settings().url("ws", 8765) == "ws://127.0.0.1:8765"


def test_limits_are_above_nothing():
    with pytest.raises(BadInput, match="sessions is a finite number above 0, got 0"):
        Limits(sessions=0)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"idle_seconds": float("nan")}, "idle_seconds is a finite number above 0, got nan"),
        ({"session_seconds": float("inf")}, "session_seconds is a finite number above 0, got inf"),
        ({"jobs": -1}, "jobs is a finite number above 0, got -1"),
        ({"lowest_rate": 48000, "highest_rate": 16000}, "lowest_rate is at most highest_rate, got 48000 and 16000"),
        ({"pixels": 8}, "16 to 4096, got 8"),
        ({"pixels": 5000}, "16 to 4096, got 5000"),
    ],
)
def test_limits_make_sense(wrong, says):
    with pytest.raises(BadInput, match=says):
        Limits(**wrong)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
def test_a_drain_takes_its_time_and_ends(seconds):
    Settings(drain_seconds=0.0)
    with pytest.raises(BadInput, match="drain_seconds is a finite number of at least 0, got"):
        Settings(drain_seconds=seconds)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.toml", "drain_seconds = nan", "drain_seconds is a finite number of at least 0, got nan"),
        ("a.toml", "[limits]\nlowest_rate = 200000", "limits: lowest_rate is at most highest_rate"),
        ("a.toml", "porte = 1", "unknown key 'porte'"),
        ("a.toml", "port 1", "no TOML: Expected '='"),
        ("a.json", "{port}", "no JSON: Expecting property name"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_of_it(tmp_path, name, text, says):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises((BadInput, BadFile)) as wrong:
        load(str(path))
    assert str(wrong.value).startswith(f"{path}: {says}")


def test_a_file_says_what_differs(tmp_path):
    (tmp_path / "a.toml").write_text("[limits]\njobs = 3")
    assert load(str(tmp_path / "a.toml")) == Settings(limits=Limits(jobs=3))


def test_the_largest_saved_session_comes_back_in_a_message():
    session = Session(Loud(rate=16000), Limits().highest_rate, "burst")
    session.feed(np.zeros(int(Settings().pacing.buffer * session.sample_rate), np.float32))
    assert 16 << 20 < len(encode(Hello(sample_rate=192000, resume=session.save()))) + 32 < Limits().message_bytes


def test_the_page_of_30_lines_speaks_our_bytes():
    page = (Path(__file__).parents[2] / "examples" / "head.html").read_text()
    hello = encode(Hello(sample_rate=48000, encoding="float32"))
    assert f"say({len(hello)}, " in page
    by_hand = bytearray(len(hello))
    by_hand[0], by_hand[1], by_hand[7] = 1, 1, 1
    by_hand[3:7] = (48000).to_bytes(4, "little")
    assert bytes(by_hand) == hello
    frames = encode(Frames(1, 2, 3.0, np.zeros((4, 55), np.float32)))
    assert (frames[0], len(frames)) == (66, 24 + 4 * 220)
    assert "at = 24, k = 0; new DataView(data).getUint8(0) === 66 && at < data.byteLength; at += 220)" in page
    assert "new Float32Array(data, at, 55)" in page
    shown = [ARKIT.names[k] for k in (0, 7, 17, 20, 52, 53)]
    assert shown == ["eyeBlinkLeft", "eyeBlinkRight", "jawOpen", "mouthPucker", "headX", "headY"]
    assert len(page.splitlines()) <= 32


@pytest.mark.parametrize(("name", "text"), [("a.toml", 'host = "0.0.0.0"\n'), ("a.json", '{"host": "0.0.0.0"}')])
def test_an_open_host_in_a_file_may_have_its_token_from_elsewhere(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert load(str(tmp_path / name), token="s3cret") == Settings(host="0.0.0.0", token="s3cret")
