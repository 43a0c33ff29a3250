"""`artalk serve` as a process: how it is stopped, and what it says of it."""

import contextlib
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as open_socket

import artalk
from tests.serve.test_http import riff

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are another thing there")

STOPPING = "stopping: up to 5 s for turns to end, Ctrl-C again to leave at once"


class Process:
    """A server of its own, and what it says."""

    def __init__(self, *options):
        command = [sys.executable, "-m", "artalk.cli", "serve", "--port", "0", *options]
        self.work = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.lines = []
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.work.stderr), daemon=True)
        self.reader.start()
        self.said("ready")
        self.address = re.search(r"http://(\S+)", self.text)[1]

    @property
    def text(self):
        return "".join(self.lines)

    def said(self, what):
        deadline = time.monotonic() + 60
        while what not in self.text:
            assert time.monotonic() < deadline, self.text
            time.sleep(0.01)

    def ended(self):
        """The status with which it ended, and how long that took."""
        began = time.monotonic()
        status = self.work.wait(60)
        self.reader.join()
        return status, time.monotonic() - began


@contextlib.contextmanager
def served(*options):
    found = Process(*options)
    try:
        yield found
    finally:
        found.work.kill()
        found.ended()
        found.work.stderr.close()


def test_ctrl_c_twice_is_no_matter():
    with served() as process:
        process.work.send_signal(signal.SIGINT)
        time.sleep(0.05)
        process.work.send_signal(signal.SIGINT)
        assert process.ended()[0] in (0, -signal.SIGINT)  # the second may come when all is over
        assert len(process.lines) == 2, process.text


def test_the_first_ctrl_c_lets_turns_end_and_the_second_does_not():
    with served() as process:
        with pytest.raises(InvalidStatus):
            open_socket(f"ws://{process.address}/v1/live", origin="https://evil.example")
        with artalk.connect(f"ws://{process.address}", pace="burst") as live:
            live.feed(np.zeros(16000 * 25, np.float32))
            process.said("session begins")
            process.work.send_signal(signal.SIGINT)
            process.said(STOPPING)
            with pytest.raises(InvalidStatus):
                open_socket(f"ws://{process.address}/v1/live")
            process.work.send_signal(signal.SIGINT)
            status, took = process.ended()
        assert status == 0
        assert took < 3
        assert [re.findall("code=([a-z_]+)", line) for line in process.lines if "socket refused" in line] == [
            ["strange_origin"],
            ["stopping"],
        ]
        assert len(process.lines) == 7, process.text


@pytest.mark.slow
def test_a_film_is_left_at_once_and_nothing_of_it_stays(tmp_path, monkeypatch, hello):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    query, news = "v1/animate?format=mp4&size=64", {"accept": "text/event-stream"}
    with served() as process:
        sound = riff(np.tile(hello, 10))
        asked = urllib.request.Request(f"http://{process.address}/{query}", sound, news)
        with urllib.request.urlopen(asked, timeout=60) as told:
            while not re.search(rb'"done": 50[1-9], "total": 1000', told.readline()):  # 500 are made, then drawn
                pass
            assert list(tmp_path.glob("artalk-*"))
            process.work.send_signal(signal.SIGINT)
            process.said("stopping: up to 5 s for files to be finished, Ctrl-C again to leave at once")
            process.work.send_signal(signal.SIGINT)
            status, took = process.ended()
        assert (status, list(tmp_path.glob("artalk-*"))) == (0, [])
        assert took < 4
        assert "Traceback" not in process.text


def test_sigterm_is_what_it_dies_of():
    with served() as process:
        process.work.terminate()
        assert process.ended()[0] == -signal.SIGTERM
        assert len(process.lines) == 2, process.text
