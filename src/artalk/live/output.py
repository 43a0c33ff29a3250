"""Where frames go: `livelink://host:port`, `vmc://host:port`, `ifacialmocap://host:port`."""

import socket
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from numpy.typing import NDArray

from artalk.errors import BadInput
from artalk.live import ifacialmocap, livelink, vmc
from artalk.live.ifacialmocap import IFacialMocap
from artalk.live.livelink import LiveLink
from artalk.live.vmc import Vmc

RETRY = 1.0
"""Seconds after which a host that could not be reached is looked up again."""


class Writer(Protocol):
    """Turns poses into datagrams."""

    def packets(self, pose: NDArray[np.float32], frame: int, fps: Fraction) -> list[bytes]:
        """The datagrams of one ARKit pose (55,)."""
        ...


def _vmc(names: str = "vrm0", bones: str = "true") -> Vmc:
    if bones not in ("true", "false"):
        raise BadInput(f"bones is true or false, got {bones!r}")
    return Vmc(names, bones == "true")


KINDS: dict[str, tuple[int, tuple[str, ...], Callable[..., Writer]]] = {
    "livelink": (livelink.PORT, ("subject",), LiveLink),
    "vmc": (vmc.PORT, ("names", "bones"), _vmc),
    "ifacialmocap": (ifacialmocap.PORT, (), IFacialMocap),
}
"""The schemes: usual port, options, writer."""


class Output:
    """Frames over UDP to one place.

    A receiver may come and go as it likes: what cannot be sent is counted in `lost`, and the host is looked up again
    from time to time, so that one which moves is found.
    """

    def __init__(self, name: str, host: str, port: int, writer: Writer) -> None:
        self.name, self.host, self.port = name, host, port
        self.sent = self.lost = 0
        self._writer = writer
        self._socket: socket.socket | None = None
        self._tried = -RETRY

    def send(self, pose: NDArray[np.float32], frame: int, fps: Fraction) -> None:
        """Send one ARKit pose (55,)."""
        if self._socket is None and not self._connect():
            self.lost += 1
            return
        assert self._socket is not None
        try:
            for packet in self._writer.packets(pose, frame, fps):
                self._socket.send(packet)
            self.sent += 1
        except ConnectionRefusedError:
            self.lost += 1  # nobody listens there yet; the next datagram asks again
        except OSError:
            self.lost += 1
            self.close()

    def close(self) -> None:
        """Let the socket go."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> bool:
        if time.monotonic() - self._tried < RETRY:
            return False
        self._tried = time.monotonic()
        try:
            family, kind, number, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind, number)
            self._socket.setblocking(False)
            self._socket.connect(address)
        except OSError:
            self.close()
            return False
        return True


def open_output(url: str) -> Output:
    """The output of an address such as `vmc://localhost:39539?names=perfectsync`.

    Raises `BadInput` for an address that is none; whether anybody listens there is no question of this.
    """
    parts = urlsplit(url)
    if parts.scheme not in KINDS:
        raise BadInput(f"an output is {', '.join(f'{kind}://HOST:PORT' for kind in KINDS)}, got {url!r}")
    usual, known, make = KINDS[parts.scheme]
    try:
        port = parts.port or usual
    except ValueError as error:
        raise BadInput(f"{url!r}: a port is 1 to 65535") from error
    if not parts.hostname or parts.path.strip("/") or parts.username:
        raise BadInput(f"an output is {parts.scheme}://HOST:PORT, got {url!r}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for option in options:
        if option not in known:
            raise BadInput(f"{parts.scheme} has no option {option!r}; it has {', '.join(known) or 'none'}")
    return Output(url, parts.hostname, port, make(**options))
