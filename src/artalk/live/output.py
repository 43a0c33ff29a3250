"""Where frames go: `livelink://host:port`, `vmc://host:port`, `ifacialmocap://host:port`."""

import math
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from typing import Any, Protocol, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from numpy.typing import NDArray

from artalk.errors import BadInput
from artalk.live import ifacialmocap, livelink, vmc
from artalk.live.ifacialmocap import IFacialMocap
from artalk.live.livelink import LiveLink
from artalk.live.vmc import Vmc

Address: TypeAlias = tuple[socket.AddressFamily, Any]

RETRY, AGAIN = 1.0, 10.0
"""Seconds after which a host is looked up again that could not be reached, and one that could."""

PROMPT = 0.05
"""Seconds that the first frame waits for the first look-up."""


class Lookup(threading.Thread):
    """Finds a host's address; a name server may take seconds, and frames for others go on meanwhile."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(name=f"artalk-lookup-{host}", daemon=True)
        self.host, self.port = host, port
        self.found: list[Address] = []
        self.start()

    def run(self) -> None:
        """Look once; `found` stays empty where there is no such host."""
        with suppress(OSError, UnicodeError):
            rows = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)
            # Most receivers listen on IPv4 alone, and "localhost" is often the other one first.
            rows.sort(key=lambda row: row[0] != socket.AF_INET)
            self.found = [(family, address) for family, _, _, _, address in rows]


class Writer(Protocol):
    """Turns poses into datagrams."""

    def packets(self, pose: NDArray[np.float32], frame: int, fps: Fraction) -> list[bytes]:
        """The datagrams of one ARKit pose (55,)."""
        ...


KINDS: dict[str, tuple[int, tuple[str, ...], Callable[..., Writer]]] = {
    "livelink": (livelink.PORT, ("subject",), LiveLink),
    "vmc": (vmc.PORT, ("names", "bones"), Vmc),
    "ifacialmocap": (ifacialmocap.PORT, (), IFacialMocap),
}
"""The schemes: usual port, options, writer."""


class Output:
    """Frames over UDP to one place.

    A receiver may come and go as it likes: what cannot be sent is counted in `lost`, and the host is looked up again
    from time to time, so that one which moves is found. Nothing here waits for a network, but
    the first frame for `PROMPT`.
    """

    def __init__(self, name: str, host: str, port: int, writer: Writer) -> None:
        self.name, self.host, self.port = name, host, port
        self.sent = self.lost = 0
        self._writer = writer
        self._socket: socket.socket | None = None
        self._addresses: list[Address] = []
        self._lookup: Lookup | None = None
        self._looked = -math.inf

    def send(self, pose: NDArray[np.float32], frame: int, fps: Fraction) -> None:
        """Send one ARKit pose (55,)."""
        self._look()
        if self._socket is None:
            self.lost += 1
            return
        try:
            for packet in self._writer.packets(pose, frame, fps):
                self._socket.send(packet)
            self.sent += 1
        except ConnectionRefusedError:
            self.lost += 1  # nobody listens there yet; the next datagram asks again, at the host's next address
            self._connect([*self._addresses[1:], *self._addresses[:1]])
        except OSError:
            self.lost += 1
            self.close()

    def close(self) -> None:
        """Let the socket go."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._addresses = []

    def _look(self) -> None:
        """Go to where the host is by now."""
        if self._lookup is None and time.monotonic() - self._looked > (RETRY if self._socket is None else AGAIN):
            self._lookup = Lookup(self.host, self.port)
            if self._looked == -math.inf:
                self._lookup.join(PROMPT)
        if self._lookup is None or self._lookup.is_alive():
            return
        found, self._lookup, self._looked = self._lookup.found, None, time.monotonic()
        if found and {*found} != {*self._addresses}:
            self._connect(found)

    def _connect(self, found: list[Address]) -> None:
        """Send to the first of a host's addresses from now on."""
        self.close()
        family, address = found[0]
        try:
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            self._socket.connect(address)
            self._addresses = found
        except OSError:
            self.close()  # and look again soon


def open_output(url: str) -> Output:
    """The output of an address such as `vmc://localhost:39539?names=perfectsync`.

    Raises `BadInput` for an address that is none; whether anybody listens there is no question of this.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadInput(f"{url!r} is no address: {error}") from error
    if parts.scheme not in KINDS:
        raise BadInput(f"an output is {', '.join(f'{kind}://HOST:PORT' for kind in KINDS)}, got {url!r}")
    usual, known, make = KINDS[parts.scheme]
    try:
        port = usual if parts.port is None else parts.port
        if not port:
            raise ValueError
    except ValueError as error:
        raise BadInput(f"{url!r}: a port is 1 to 65535") from error
    if not parts.hostname or parts.path.strip("/") or parts.username:
        raise BadInput(f"an output is {parts.scheme}://HOST:PORT, got {url!r}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for option in options:
        if option not in known:
            raise BadInput(f"{parts.scheme} has no option {option!r}; it has {', '.join(known) or 'none'}")
    return Output(url, parts.hostname, port, make(**options))
