"""What face-capture tools leave behind: one small reader a format, each giving a `Capture`."""

from artalk.captures.capture import Capture as Capture
from artalk.captures.files import SUFFIXES as SUFFIXES
from artalk.captures.files import find as find
from artalk.captures.files import is_capture as is_capture
from artalk.captures.files import kind as kind
from artalk.captures.files import read as read
from artalk.captures.files import says_rate as says_rate
from artalk.captures.vertices import Surface as Surface

__all__ = ["SUFFIXES", "Capture", "Surface", "find", "is_capture", "kind", "read", "says_rate"]
