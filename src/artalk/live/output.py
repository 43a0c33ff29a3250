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
from artalk.live.trouble import Diagnosis, Trouble
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
    from time to time, so that one which moves is found; `trouble` says what is wrong. Nothing here waits for a network,
    but the first frame for `PROMPT`.
    """

    def __init__(self, name: str, host: str, port: int, writer: Writer) -> None:
        self.name, self.host, self.port = name, host, port
        self.sent = self.lost = 0
        self._writer = writer
        self._diagnosis = Diagnosis()
        self._missing: Trouble | None = None
        self._socket: socket.socket | None = None
        self._addresses: list[Address] = []
        self._lookup: Lookup | None = None
        self._looked = -math.inf

    @property
    def trouble(self) -> Trouble | None:
        """What has kept frames from the receiver for a while; None where nothing is known to. A refusal is only heard
        of where the system or the receiver's machine says so: most often on this machine."""
        return self._diagnosis.trouble

    @property
    def last_trouble(self) -> Trouble | None:
        """What a frame was lost to last, however long ago; None where none was lost to any."""
        return self._diagnosis.last

    def send(self, pose: NDArray[np.float32], frame: int, fps: Fraction) -> None:
        """Send one ARKit pose (55,)."""
        self._look()
        if self._socket is None:
            self._lose(self._missing)
            return
        try:
            for packet in self._writer.packets(pose, frame, fps):
                self._socket.send(packet)
        except BlockingIOError:
            self._lose(None)  # the system's buffer is full for a moment: this frame is late, the next may not be
        except ConnectionRefusedError:
            self._lose("nobody listens")  # not yet; the next datagram asks again, at the host's next address
            self._turn()
        except OSError:
            self._lose("cannot be reached")
            if len(self._addresses) > 1:
                self._turn()
            else:
                self._let_go("cannot be reached")
        else:
            self.sent += 1
            self._diagnosis.sent(time.monotonic())

    def close(self) -> None:
        """Let the socket go."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._addresses = []

    def _lose(self, why: Trouble | None) -> None:
        self.lost += 1
        if why is not None:
            self._diagnosis.lost(why, time.monotonic())

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
        elif not found and self._socket is None:
            self._missing = "no such host"

    def _turn(self) -> None:
        """To the host's next address; of one that has no other, to the same anew."""
        self._connect([*self._addresses[1:], *self._addresses[:1]])

    def _connect(self, found: list[Address]) -> None:
        """Send to the first of a host's addresses that can be connected to from now on."""
        self.close()
        for first, address in enumerate(found):
            with suppress(OSError):
                self._socket = _connected(*address)
                self._addresses = [*found[first:], *found[:first]]
                return
        self._let_go("cannot be reached")

    def _let_go(self, why: Trouble) -> None:
        """Nothing can be sent for now, and soon the host is looked up again."""
        self.close()
        self._missing = why


def _connected(family: socket.AddressFamily, address: Any) -> socket.socket:
    """A socket whose datagrams go there; raises `OSError` where this machine knows no way."""
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.connect(address)
    except OSError:
        opened.close()
        raise
    return opened


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
