"""Servers that tests start and stop."""

import contextlib
import json
import socket
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass

import uvicorn

from artalk.serve.app import PAGE, Server, process
from artalk.serve.settings import Settings


@dataclass
class Running:
    server: Server
    port: int
    process: uvicorn.Server
    thread: threading.Thread

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}"

    def stop(self):
        self.process.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive()

    def http(self, path, data=None, method=None, **headers):
        """Status, headers and body of an answer."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def fault(self, path, data=None, method=None, **headers):
        """Status and code of a refusal."""
        status, _, body = self.http(path, data, method, **headers)
        return status, json.loads(body)["code"]

    def metric(self, name):
        """The value of a counter or gauge, summed over its labels."""
        text = self.http("/metrics")[2].decode()
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.split("{")[0].split()[0] == name)


@contextlib.contextmanager
def running(settings=None, models=None, page=PAGE):
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(settings or Settings(drain_seconds=0.5), models, page)
    work = process(server)
    thread = threading.Thread(target=work.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    found = Running(server, listening.getsockname()[1], work, thread)
    try:
        for _ in range(1000):
            if server.ready:
                break
            thread.join(0.01)
        assert server.ready
        yield found
    finally:
        found.stop()
        listening.close()
