"""Phone times that come with a corpus: GRID's words, Lombard GRID's phones."""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from artalk.audio import Audio
from artalk.data import grid
from artalk.data.align import English
from artalk.data.clips import Phone
from artalk.data.phones import filled, from_arpabet, spread
from artalk.errors import BadFile, BadInput


def phones(path: Path, sound: Audio) -> tuple[Phone, ...]:
    """The phones of `sound` from a file of times: `.align` (words; needs the extra align, else none) or `.json`."""
    if path.suffix.lower() == ".json":
        return _lombard(path, float(sound.duration))
    if find_spec("pocketsphinx") is None:
        return ()
    said = grid.read_words(path)
    return grid.phones(grid.Sentence(path.stem, sound, said, path), _aligner())


@cache
def _aligner() -> English:
    return grid.aligner()


def _lombard(path: Path, seconds: float) -> tuple[Phone, ...]:
    """`{"s2_l_bbim3a": [{"offset": 0.5, "duration": 0.1, "phone": "B_B"}, …]}`: ARPABET, marked by place in a word."""
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        (listed,) = cast("dict[str, list[dict[str, Any]]]", document).values()
        spans = [
            part
            for each in listed
            for part in spread(
                float(each["offset"]),
                float(each["offset"]) + float(each["duration"]),
                from_arpabet(str(each["phone"]).rsplit("_", 1)[0]),
            )
        ]
    except (ValueError, KeyError, TypeError, AttributeError, OSError, BadInput) as error:
        raise BadFile(f"{path.name} holds no times of phones: {error}") from error
    return filled(spans, seconds)
