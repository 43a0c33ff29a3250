"""Open Sound Control 1.0, as far as it is sent: messages and bundles that fit a datagram."""

import struct
from collections.abc import Sequence

LARGEST = 1472
"""Bytes of UDP payload that cross an Ethernet in one piece."""

NOW = struct.pack(">Q", 1)
"""The time tag that means at once."""

Argument = str | int | float


def message(address: str, *arguments: Argument) -> bytes:
    """One message; int is sent as int32, float as float32."""
    tags, data = ",", b""
    for argument in arguments:
        if isinstance(argument, str):
            tags, data = tags + "s", data + _text(argument)
        elif isinstance(argument, int):
            tags, data = tags + "i", data + struct.pack(">i", argument)
        else:
            tags, data = tags + "f", data + struct.pack(">f", argument)
    return _text(address) + _text(tags) + data


def bundles(messages: Sequence[bytes], largest: int = LARGEST) -> list[bytes]:
    """The messages in order, in as few bundles of at most `largest` bytes as that takes."""
    made: list[bytes] = []
    bundle = head = b"#bundle\0" + NOW
    for content in messages:
        element = struct.pack(">i", len(content)) + content
        if len(bundle) + len(element) > largest and bundle != head:
            made.append(bundle)
            bundle = head
        bundle += element
    return [*made, bundle]


def _text(text: str) -> bytes:
    data = text.encode() + b"\0"
    return data + bytes(-len(data) % 4)
