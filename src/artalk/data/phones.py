"""One set of phones for all languages, in IPA, and the ways into it from other alphabets.

Sounds that lips and ears hardly tell apart share a phone (x ç χ, ɹ ɾ ʁ …); diphthongs are two phones.
"""

import unicodedata
from collections.abc import Iterable

from artalk.errors import BadInput

SILENCE = "sil"

_CONSONANTS = "p b m f v θ ð t d n s z ʃ ʒ tʃ dʒ ɹ l k ɡ ŋ x h j w"
_VOWELS = "i ɪ e ɛ æ a ɑ ʌ ɔ o ʊ u y ø œ ə ɜ"

CONSONANTS, VOWELS = tuple(_CONSONANTS.split()), tuple(_VOWELS.split())

PHONES: tuple[str, ...] = (SILENCE, *CONSONANTS, *VOWELS)
"""The shared set; the place in it is the number that models learn."""

BILABIAL = ("p", "b", "m")
LABIODENTAL = ("f", "v")
ROUNDED = ("ʃ", "ʒ", "tʃ", "dʒ", "w", "ɔ", "o", "ʊ", "u", "y", "ø", "œ")

_SAME: dict[str, str] = {
    "g": "ɡ", "ɱ": "m", "ɲ": "n", "ɳ": "n", "ɾ": "ɹ", "r": "ɹ", "ʁ": "ɹ", "ʀ": "ɹ", "ɻ": "ɹ", "ɽ": "ɹ", "ɫ": "l",
    "ʎ": "l", "ɬ": "l", "ɭ": "l", "ç": "x", "χ": "x", "ɣ": "x", "ħ": "h", "ɦ": "h", "c": "k", "ɟ": "ɡ", "q": "k",
    "ɢ": "ɡ", "ɸ": "f", "β": "v", "ʋ": "v", "ɥ": "j", "ɰ": "w", "ʍ": "w", "ɕ": "ʃ", "ʑ": "ʒ", "ʂ": "ʃ", "ʐ": "ʒ",
    "ʈ": "t", "ɖ": "d", "ʏ": "y", "ɶ": "œ", "ɘ": "ə", "ɵ": "ə", "ɐ": "ə", "ɚ": "ə", "ɝ": "ɜ", "ɞ": "ɜ", "ɨ": "ɪ",
    "ʉ": "u", "ɯ": "ʊ", "ɤ": "ʌ", "ɒ": "ɔ", "ᵻ": "ɪ", "ʌ": "ʌ", "ts": "t s", "dz": "d z", "pf": "p f", "ks": "k s",
}  # fmt: skip
"""IPA signs beyond the set."""

_MARKS = set("ˈˌ'ːˑ,.-_|‖#̩̯̃͡ʰʲʷˠˤ̥̬̊̈̽̍ˀ!*?;:1234567890˞")
"""Stress, length and the like: no part of a phone."""

_SILENT = {"", "ʔ", "sil", "sp", "spn", "_", "_:", "pau", "(en)", "+noise+", "+spn+"}

_ARPABET: dict[str, str] = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "a ʊ", "AY": "a ɪ", "B": "b", "CH": "tʃ", "D": "d", "DH": "ð",
    "EH": "ɛ", "ER": "ɜ", "EY": "e ɪ", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "dʒ", "K": "k",
    "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "o ʊ", "OY": "ɔ ɪ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ",
    "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ", "AX": "ə",
}  # fmt: skip

_SAMPA: dict[str, str] = {
    "I": "ɪ", "E": "ɛ", "a": "a", "A": "ɑ", "O": "ɔ", "U": "ʊ", "Y": "y", "9": "œ", "2": "ø", "6": "ə", "@": "ə",
    "4": "ə", "8": "ə", "S": "ʃ", "Z": "ʒ", "C": "x", "X": "x", "G": "x", "B": "b", "N": "ŋ", "R": "ɹ", "r": "ɹ",
    "D": "d", "V": "v", "H": "h", "L": "l", "T": "θ", "?": "", "aI": "a ɪ", "aU": "a ʊ", "OY": "ɔ y", "aO": "a ɔ",
    "AU": "a ʊ", "AO": "a ɔ", "ao": "a ɔ", "i6": "i ə", "a6": "a ə", "E6": "ɛ ə", "I6": "ɪ ə", "@6": "ə", "g": "ɡ",
}  # fmt: skip

NUMBERS: dict[str, int] = {phone: number for number, phone in enumerate(PHONES)}


def from_ipa(symbol: str) -> tuple[str, ...]:
    """The phones of an IPA sign or a small group of them: ("a", "ʊ") of "ˈaʊ"; silence is ("sil",).

    eSpeak's names and the marks of stress and length are understood; a sign that nobody knows is a `BadInput`.
    """
    plain = "".join(letter for letter in unicodedata.normalize("NFD", symbol) if letter not in _MARKS)
    plain = unicodedata.normalize("NFC", plain).replace("ç", "ç").strip()
    if plain.lower() in _SILENT:
        return (SILENCE,)
    return tuple(_read(plain, symbol))


def _read(plain: str, symbol: str) -> Iterable[str]:
    place = 0
    while place < len(plain):
        for length in (2, 1):
            part = plain[place : place + length]
            known = part if part in NUMBERS else _SAME.get(part)
            if known is not None and len(part) == length:
                yield from known.split()
                place += length
                break
        else:
            if plain[place] == "ʔ":
                place += 1
                continue
            raise BadInput(f"no phone is known for {plain[place]!r} in {symbol!r}")


def from_arpabet(symbol: str) -> tuple[str, ...]:
    """The phones of an ARPABET name as in CMU's dictionary, with or without stress: ("a", "ɪ") of "AY1"."""
    plain = symbol.upper().rstrip("012")
    if plain.lower() in _SILENT:
        return (SILENCE,)
    if plain not in _ARPABET:
        raise BadInput(f"no phone is known for ARPABET's {symbol!r}")
    return tuple(_ARPABET[plain].split())


def from_sampa(symbol: str) -> tuple[str, ...]:
    """The phones of a German SAMPA name."""
    plain = symbol.replace(":", "").strip()
    if plain.lower() in _SILENT | {"."}:
        return (SILENCE,)
    known = _SAMPA.get(plain, plain if plain in NUMBERS else None)
    if known is None:
        raise BadInput(f"no phone is known for SAMPA's {symbol!r}")
    return tuple(known.split()) or (SILENCE,)


FIRST_SHARE = 0.6
"""The part of a diphthong's time that is its first vowel's."""


def spread(start: float, end: float, phones: tuple[str, ...]) -> list[tuple[float, float, str]]:
    """The phones of one sign over its time; the first of two gets a little more."""
    if len(phones) == 1:
        return [(start, end, phones[0])]
    shares = [FIRST_SHARE, *([(1 - FIRST_SHARE) / (len(phones) - 1)] * (len(phones) - 1))]
    spans: list[tuple[float, float, str]] = []
    for share, phone in zip(shares, phones, strict=True):
        stop = start + share * (end - start) if not spans else spans[-1][1] + share * (end - spans[0][0])
        begin = start if not spans else spans[-1][1]
        spans.append((begin, min(stop, end), phone))
    spans[-1] = (spans[-1][0], end, spans[-1][2])
    return spans


SHORTEST_PAUSE = 0.06
"""Seconds of silence between two sounds below which there is no pause: a glottal stop, a hole of an aligner."""


def filled(spans: Iterable[tuple[float, float, str]], seconds: float) -> tuple[tuple[float, float, str], ...]:
    """Spans in order and without gaps from 0 to `seconds`: what lies between is silence, neighbours alike are joined.

    A silence too short for a pause becomes part of the sound after it.
    """
    whole: list[tuple[float, float, str]] = []
    at = 0.0
    for start, end, phone in sorted(spans):
        start, end = max(start, at), min(end, seconds)
        if end - start <= 1e-4:
            continue
        if start - at > 1e-3:
            whole.append((at, start, SILENCE))
        else:
            start = at
        whole.append((start, end, phone))
        at = end
    if seconds - at > 1e-3:
        whole.append((at, seconds, SILENCE))
    joined: list[tuple[float, float, str]] = []
    for start, end, phone in whole:
        if joined and phone == SILENCE == joined[-1][2]:
            joined[-1] = (joined[-1][0], end, phone)
        else:
            joined.append((start, end, phone))
    for k in range(1, len(joined) - 1):
        start, end, phone = joined[k]
        if phone == SILENCE and end - start < SHORTEST_PAUSE:
            joined[k + 1] = (start, *joined[k + 1][1:])
            joined[k] = (start, start, phone)
    return tuple(span for span in joined if span[1] > span[0])
