"""`artalk live` as a user meets it: what it says while it runs, how it is stopped, and the face without sound."""

import signal
import socket
import struct
import subprocess
import sys
import threading
import wave

import pytest

from artalk import cli

HELLO = "examples/hello.flac"
AT_REST = b"\0" * 61 * 4


@pytest.fixture
def receiver():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        found.settimeout(60)
        yield found


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main(["live", *arguments])
        return ended.value.code, capsys.readouterr().err

    return call


def jaw(packet):
    """Of a Live Link packet, whose 61 numbers stand at its end."""
    return struct.unpack(">61f", packet[-61 * 4 :])[17]


def test_it_says_while_it_runs_who_is_not_there_and_who_is_by_now(run, monkeypatch, receiver, tmp_path):
    with wave.open(str(tmp_path / "still.wav"), "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        closed = found.getsockname()[1]
    asked: dict[str, int] = {}

    def look(host, port, **how):
        asked[host] = asked.get(host, 0) + 1
        if host == "nohost.invalid" or (host == "later.example" and asked[host] < 3):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        place = receiver.getsockname() if host == "later.example" else (host, port)
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", place)]

    monkeypatch.setattr(socket, "getaddrinfo", look)
    monkeypatch.setattr("artalk.live.output.RETRY", 0.05)
    monkeypatch.setattr("artalk.live.trouble.PATIENCE", 0.1)
    nobody, nowhere, later = f"livelink://127.0.0.1:{closed}", "livelink://nohost.invalid", "vmc://later.example"
    heard = ["--file", str(tmp_path / "still.wav"), "--model", "visemes"]
    code, said = run(*heard, "--to", nobody, "--to", nowhere, "--to", later)
    assert code == 0
    lines = said.splitlines()
    assert lines[0].endswith("behind the sound")
    told = [f"nobody listens at {nobody} yet", f"{nowhere}: no such host, trying again"]
    told += [f"{later}: no such host, trying again", f"{later} is there now"]
    assert sorted(lines[1:-3]) == sorted(told)
    assert lines.index(told[2]) < lines.index(told[3])
    assert lines[-3].endswith("nobody seems to listen there")
    assert lines[-2].endswith("there is no such host")
    assert lines[-1].endswith("lost")


def test_quiet_is_quiet(run, monkeypatch):
    monkeypatch.setattr("artalk.live.trial.Trial.step", lambda show, clock: False)
    assert run("--test", "--to", "livelink://nohost.invalid", "--quiet") == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="there a process that is told to end ends at once")
@pytest.mark.parametrize("sound", [["--file", HELLO, "--model", "visemes", "--loop"], ["--test"]])
def test_sigterm_is_ctrl_c(receiver, sound):
    to = f"livelink://127.0.0.1:{receiver.getsockname()[1]}"
    command = [sys.executable, "-m", "artalk.cli", "live", *sound, "--to", to]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while jaw(receiver.recv(4096)) < 0.1:
            pass
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 0
    assert said.splitlines()[1] == "stopped"
    assert f"{to}: " in said
    receiver.setblocking(False)
    packets = []
    try:
        while True:
            packets.append(receiver.recv(4096))
    except BlockingIOError:
        pass
    assert [packet[-61 * 4 :] for packet in packets[-2:]] == [AT_REST, AT_REST], "a face at rest, sent twice"


def test_whoever_had_sigterm_before_has_it_after():
    heard = []

    def mine(number, frame):
        heard.append(number)

    before = signal.signal(signal.SIGTERM, mine)
    try:
        with pytest.raises(KeyboardInterrupt), cli._sigterm_as_ctrl_c():
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is mine
        signal.raise_signal(signal.SIGTERM)
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_another_thread_leaves_signals_alone():
    before, within = signal.getsignal(signal.SIGTERM), []

    def elsewhere():
        with cli._sigterm_as_ctrl_c():
            within.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert within == [before]


def test_a_test_says_what_is_to_be_seen(run, monkeypatch, receiver):
    steps = iter([True, True, False])

    def step(show, clock):
        show._send(0 * show._pose)
        return next(steps)

    monkeypatch.setattr("artalk.live.trial.Trial.step", step)
    to = f"livelink://127.0.0.1:{receiver.getsockname()[1]}"
    code, said = run("--test", "--to", to)
    assert code == 0
    assert said.splitlines()[0].startswith("the jaw opens, the eyes blink, a smile, the head turns left, then right")
    assert " frames sent, 0 lost" in said


@pytest.mark.parametrize(
    "option", [["--device", "2"], ["--loop"], ["--channel", "0"], ["--style", "x"], ["--gain", "x"]]
)
def test_a_test_takes_no_option_that_it_would_not_heed(run, option):
    assert run("--test", "--to", "livelink://127.0.0.1", *option) == (
        2,
        f"artalk: --test moves the face by itself, without sound: leave out {option[0]}\n",
    )
