"""The GRID corpus (Cooke, Barker, Cunningham & Shao 2006): sound, tracked faces and word times of read sentences."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from artalk import audio
from artalk.audio import Audio
from artalk.data.align import English, Phone
from artalk.data.clips import SAMPLE_RATE
from artalk.errors import BadFile, MissingFile

SECOND = 25000
"""Units of its alignments in a second."""

LETTERS: dict[str, str] = {
    "a": "EY", "b": "B IY", "c": "S IY", "d": "D IY", "e": "IY", "f": "EH F", "g": "JH IY", "h": "EY CH", "i": "AY",
    "j": "JH EY", "k": "K EY", "l": "EH L", "m": "EH M", "n": "EH N", "o": "OW", "p": "P IY", "q": "K Y UW",
    "r": "AA R", "s": "EH S", "t": "T IY", "u": "Y UW", "v": "V IY", "w": "D AH B AH L Y UW", "x": "EH K S",
    "y": "W AY", "z": "Z EH D",
}  # fmt: skip
"""How a British speaker names the letters, in ARPABET."""

SAID = {f"spell_{letter}": phones for letter, phones in LETTERS.items()}


@dataclass(frozen=True, eq=False)
class Sentence:
    """One sentence: its sound at 16 kHz, the words with their times in seconds, the file of its track."""

    name: str
    audio: Audio
    words: tuple[Phone, ...]
    track: Path

    @property
    def text(self) -> str:
        """The words."""
        return " ".join(word for _, _, word in self.words)


def sentences(folder: Path) -> Iterator[Sentence]:
    """The sentences of a folder with audio/, tracks/ and words/, by name."""
    tracks = sorted((folder / "tracks").glob("*.npz"))
    if not tracks:
        raise MissingFile(f"a speaker of GRID has a folder tracks/ of .npz files, {str(folder)!r} has none")
    sounds = {path.stem: path for path in (folder / "audio").iterdir()}
    for track in tracks:
        words = folder / "words" / f"{track.stem}.align"
        if track.stem in sounds and words.is_file():
            sound = audio.load(sounds[track.stem]).resampled(SAMPLE_RATE)
            yield Sentence(track.stem, sound, read_words(words), track)


def read_words(path: Path) -> tuple[Phone, ...]:
    """(start, end, word) in seconds of a file of `start end word`, without silences."""
    words: list[Phone] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        parts = line.split()
        try:
            if len(parts) == 3 and parts[2] not in ("sil", "sp"):
                words.append((int(parts[0]) / SECOND, int(parts[1]) / SECOND, parts[2]))
        except ValueError as error:
            raise BadFile(f"{str(path)!r}: a line is `start end word`, got {line!r}") from error
    return tuple(words)


def aligner() -> English:
    """The aligner that knows how GRID's letters are said."""
    return English(SAID)


def phones(sentence: Sentence, english: English) -> tuple[Phone, ...]:
    """The phones of a sentence."""
    said = [(start, end, f"spell_{word}" if len(word) == 1 else word) for start, end, word in sentence.words]
    return english.phones(sentence.audio, said)
