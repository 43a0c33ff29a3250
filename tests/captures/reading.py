"""Captures that are read as motion."""

from artalk import captures
from artalk.captures import Capture


def read(path, fps=None) -> Capture:
    found = captures.read(path, fps)
    assert isinstance(found, Capture)
    return found
