"""How recordings lie in folders: any folder, and the public corpora of recipes/public.

A layout is a pattern on paths; its groups name the speaker, the way of speaking (`style`) and whatever else tells
recordings apart. Where the sound lies elsewhere, templates of the same groups lead to it; `{root}` is what comes
before.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from artalk import captures
from artalk.data.collection import slug
from artalk.errors import BadInput, MissingFile

SOUNDS = (".wav", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".aac", ".aif", ".aiff", ".wma")
VIDEOS = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".3gp", ".flv", ".wmv")

SOUND_FOLDERS = ("audio", "wav", "wave16k", "sound", "sounds")
"""Folders beside that of captures in which their sounds may lie, under the same names."""


@dataclass(frozen=True)
class Item:
    """One recording: the paths, within the folder, of its `motion` (a capture or a video) and its `sound` ("": the
    video's own), a `name` that no other of the folder has, and what is known of it. `times` is a file of word or phone
    times in the layout's own format.
    """

    name: str
    motion: str
    sound: str
    speaker: str
    style: str = ""
    text: str = ""
    times: str = ""

    @property
    def is_video(self) -> bool:
        """Whether motion has to be tracked."""
        return Path(self.motion).suffix.lower() in VIDEOS


Groups = Mapping[str, str]


@dataclass(frozen=True)
class Layout:
    """Where a public corpus keeps what: `pattern` matches whole paths with / between folders, `name` is made of its
    groups. `sounds` and `times` are tried in order; where no sound is found it is the video's own. `text` finds what
    was said, `style` how, `language` in which, and `speaker` who where no group says it.
    """

    what: str
    pattern: str
    name: str
    sounds: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    text: Callable[[Groups], str] | None = None
    style: Callable[[Groups], str] | None = None
    speaker: Callable[[Groups], str] | None = None
    language: Callable[[Groups], str] | None = None


_GRID = {
    0: {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    1: {"b": "blue", "g": "green", "r": "red", "w": "white"},
    2: {"a": "at", "b": "by", "i": "in", "w": "with"},
    3: {letter: letter for letter in "abcdefghijklmnopqrstuvxyz"},
    4: dict(zip("z123456789", "zero one two three four five six seven eight nine".split(), strict=True)),
    5: {"a": "again", "n": "now", "p": "please", "s": "soon"},
}
"""Six letters of a GRID file's name, and the words that they stand for."""

_RAVDESS = {"01": "kids are talking by the door", "02": "dogs are sitting by the door"}

_RAVDESS_WAYS = {
    "01": "neutral", "02": "calm", "03": "happy", "04": "sad", "05": "angry", "06": "fearful", "07": "disgust",
    "08": "surprised",
}  # fmt: skip

_CREMA = {
    "IEO": "it's eleven o'clock",
    "TIE": "that is exactly what happened",
    "IOM": "i'm on my way to the meeting",
    "IWW": "i wonder what this is about",
    "TAI": "the airplane is almost full",
    "MTI": "maybe tomorrow it will be cold",
    "IWL": "i would like a new alarm clock",
    "ITH": "i think i have a doctor's appointment",
    "DFA": "don't forget a jacket",
    "ITS": "i think i've seen this before",
    "TSI": "the surface is slick",
    "WSI": "we'll stop in a couple of minutes",
}

_CREMA_WAYS = {"ANG": "angry", "DIS": "disgust", "FEA": "fearful", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}

_BEAT = ("en", "zh", "es", "ja")
"""The languages of BEAT, in the order in which its names count them: each as a talk and as a conversation."""

_ROOT = r"(?P<root>(?:.*/)?)"


def grid_words(code: str) -> str:
    """The sentence of a GRID file: "bbaf2n" is "bin blue at f two now"; "" for a name that is no code."""
    if len(code) != len(_GRID) or any(letter not in _GRID[k] for k, letter in enumerate(code)):
        return ""
    return " ".join(_GRID[k][letter] for k, letter in enumerate(code))


def _hdtf_speaker(groups: Groups) -> str:
    """A person's name without the number of their video; of a radio show the number tells people apart."""
    return groups["who"] if groups["kind"] == "RD" else groups["who"].rstrip("0123456789")


def _beat_language(groups: Groups) -> str:
    number = int(groups["take"].partition("_")[0]) // 2
    return _BEAT[number] if number < len(_BEAT) else ""


LAYOUTS: dict[str, Layout] = {
    "grid": Layout(
        "GRID: s1/…/bbaf2n.mpg, alignments/s1/bbaf2n.align or s1/align/bbaf2n.align",
        _ROOT + r"(?P<speaker>s\d{1,2})/(?:video/)?(?:mpg_\w+/)?(?P<take>[a-z]{4}[a-z0-9][a-z])\.(?:mpg|mp4)",
        "{speaker}-{take}",
        sounds=("{root}audio_25k/{speaker}/{take}.wav", "{root}audio/{speaker}/{take}.wav"),
        times=("{root}{speaker}/align/{take}.align",),
        text=lambda groups: grid_words(groups["take"]),
    ),
    "lombard_grid": Layout(
        "Lombard GRID: front/s2_l_bbim3a.mov, audio/s2_l_bbim3a.wav, alignment/s2_l_bbim3a.json",
        _ROOT + r"front/(?P<speaker>s\d{1,2})_(?P<way>[lp])_(?P<take>[a-z]{4}[a-z0-9][a-z])\.(?:mov|mp4|mpg)",
        "{speaker}-{way}-{take}",
        sounds=("{root}audio/{speaker}_{way}_{take}.wav",),
        times=("{root}alignment/{speaker}_{way}_{take}.json",),
        text=lambda groups: grid_words(groups["take"]),
        style=lambda groups: "lombard" if groups["way"] == "l" else "",
    ),
    "hdtf": Layout(
        "HDTF: RD_Radio1_000.mp4, WDA_BarackObama_000.mp4, as its own scripts cut them",
        _ROOT + r"(?P<kind>RD|WDA|WRA)_(?P<who>[A-Za-z]+\d*)_(?P<take>\d+)\.mp4",
        "{kind}-{who}-{take}",
        speaker=_hdtf_speaker,
    ),
    "ravdess": Layout(
        "RAVDESS: Actor_01/01-01-06-01-02-01-12.mp4 (full AV, speech)",
        _ROOT + r"01-01-(?P<emotion>0[1-8])-(?P<force>0[12])-(?P<sentence>0[12])-(?P<take>0[12])-(?P<actor>\d{2})\.mp4",
        "actor{actor}-{emotion}-{force}-{sentence}-{take}",
        text=lambda groups: _RAVDESS[groups["sentence"]],
        style=lambda groups: _RAVDESS_WAYS[groups["emotion"]],
        speaker=lambda groups: f"actor{groups['actor']}",
    ),
    "mead": Layout(
        "MEAD: M003/video/front/angry/level_1/001.mp4, M003/audio/angry/level_1/001.m4a",
        _ROOT + r"(?P<speaker>[MW]\d{3})/video/front/(?P<emotion>\w+)/level_(?P<level>[123])/(?P<take>\d{3})\.mp4",
        "{speaker}-{emotion}-{level}-{take}",
        sounds=("{root}{speaker}/audio/{emotion}/level_{level}/{take}.m4a",),
        style=lambda groups: groups["emotion"],
    ),
    "crema_d": Layout(
        "CREMA-D: VideoFlash/1001_DFA_ANG_XX.flv, AudioWAV/1001_DFA_ANG_XX.wav",
        _ROOT + r"VideoFlash/(?P<speaker>1\d{3})_(?P<sentence>[A-Z]{3})_(?P<emotion>[A-Z]{3})_(?P<level>[A-Z]{2})\.flv",
        "{speaker}-{sentence}-{emotion}-{level}",
        sounds=("{root}AudioWAV/{speaker}_{sentence}_{emotion}_{level}.wav",),
        text=lambda groups: _CREMA.get(groups["sentence"], ""),
        style=lambda groups: _CREMA_WAYS.get(groups["emotion"], groups["emotion"].lower()),
    ),
    "vocaset": Layout(
        "VOCASET: vertices_npy/FaceTalk_170725_00137_TA_sentence01.npy, wav/… .wav, templates.pkl",
        _ROOT + r"vertices_npy/(?P<speaker>FaceTalk_\d{6}_\d{5}_TA)_(?P<take>sentence\d{2})\.npy",
        "{speaker}-{take}",
        sounds=("{root}wav/{speaker}_{take}.wav",),
    ),
    "tfhp": Layout(
        "TFHP: FLAME_coeffs/TH217/000.npz, audio/TH217/000.flac",
        _ROOT + r"FLAME_coeffs/(?P<speaker>[\w-]+)/(?P<take>[\w-]+)\.npz",
        "{speaker}-{take}",
        sounds=("{root}audio/{speaker}/{take}.flac", "{root}audio/{speaker}/{take}.wav"),
    ),
    "beat2": Layout(
        "BEAT2: smplxflame_30/2_scott_0_77_77.npz, wave16k/2_scott_0_77_77.wav",
        _ROOT + r"smplxflame_30/(?P<speaker>\d+_[a-z]+)_(?P<take>\d+_\d+_\d+)\.npz",
        "{speaker}-{take}",
        sounds=("{root}wave16k/{speaker}_{take}.wav",),
        language=_beat_language,
    ),
    "beat": Layout(
        "BEAT: 1/1_wayne_0_1_1.json, 1/1_wayne_0_1_1.wav",
        _ROOT + r"(?P<speaker>\d+_[a-z]+)_(?P<take>\d+_\d+_\d+)\.json",
        "{speaker}-{take}",
        sounds=("{root}{speaker}_{take}.wav", "{root}{speaker}_{take}.mp3"),
        language=_beat_language,
    ),
}
"""The layouts by name."""


def items(folder: Path, layout: str = "") -> list[Item]:
    """The recordings in a folder, by name.

    Raises `MissingFile` where there are none and `BadInput` for an unknown layout or two recordings of one name.
    """
    if not folder.is_dir():
        raise MissingFile(f"recordings lie in a folder, {str(folder)!r} is none")
    if layout and layout not in LAYOUTS:
        raise BadInput(f"a layout is one of {', '.join(LAYOUTS)}, got {layout!r}")
    found = sorted(_laid_out(folder, LAYOUTS[layout]) if layout else _any(folder), key=lambda item: item.name)
    if not found:
        wanted = LAYOUTS[layout].what if layout else "captures or videos"
        raise MissingFile(f"nothing to prepare in {str(folder)!r}; wanted {wanted}")
    for one, other in zip(found, found[1:], strict=False):
        if one.name == other.name:
            raise BadInput(f"{one.motion} and {other.motion} would both be called {one.name!r}: rename one")
    return _realigned(folder, found) if layout == "grid" and any(folder.rglob("alignments/*/")) else found


def language_of(motion: str, layout: str) -> str:
    """The language of the recording at the path `motion`, where the names of a layout tell it; else ""."""
    laid = LAYOUTS.get(layout)
    if laid is None or laid.language is None:
        return ""
    match = re.fullmatch(laid.pattern, motion)
    return "" if match is None else laid.language(match.groupdict(default=""))


def _laid_out(folder: Path, layout: Layout) -> Iterator[Item]:
    pattern = re.compile(layout.pattern)
    for path in _files(folder):
        if (match := pattern.fullmatch(path)) is None:
            continue
        groups = match.groupdict(default="")
        yield Item(
            slug(layout.name.format(**groups)),
            path,
            _first(folder, layout.sounds, groups),
            layout.speaker(groups) if layout.speaker else groups["speaker"],
            layout.style(groups) if layout.style else "",
            layout.text(groups) if layout.text else "",
            _first(folder, layout.times, groups),
        )


def _first(folder: Path, templates: tuple[str, ...], groups: Groups) -> str:
    """The first of the templates that leads to a file, "" for none."""
    paths = (template.format(**groups) for template in templates)
    return next((path for path in paths if (folder / path).is_file()), "")


def _files(folder: Path, below: str = "") -> Iterator[str]:
    """The paths of files in a folder, with / between folders, hidden ones left out."""
    for path in sorted((folder / below).iterdir()):
        name = f"{below}{path.name}"
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files(folder, f"{name}/")
        else:
            yield name


def _any(folder: Path) -> Iterator[Item]:
    """Captures with their sounds, and videos that are not the sound of a capture; folders at the top are speakers."""
    taken: set[Path] = set()
    for path in captures.find(folder):
        sound = _sound_of(path)
        if sound is not None:
            taken.add(sound)
        yield _plain(folder, path, sound)
    for name in _files(folder):
        path = folder / name
        if path.suffix.lower() in VIDEOS and path not in taken:
            yield _plain(folder, path, _same_name(path, SOUNDS))


def _plain(folder: Path, path: Path, sound: Path | None) -> Item:
    within = path.relative_to(folder)
    text = _same_name(path, (".txt", ".lab"))
    return Item(
        slug(within.with_suffix("").as_posix() if path.is_file() else within.as_posix()),
        within.as_posix(),
        "" if sound is None else sound.relative_to(folder).as_posix(),
        within.parts[0] if len(within.parts) > 1 else "",
        text="" if text is None else " ".join(text.read_text(encoding="utf-8", errors="replace").split())[:1000],
    )


def _sound_of(path: Path) -> Path | None:
    """The sound or video with a capture's name; else the only one beside it."""
    if (named := sound_named(path)) is not None:
        return named
    beside = [other for other in path.parent.iterdir() if other.suffix.lower() in (*SOUNDS, *VIDEOS)]
    if len(beside) != 1:
        return None
    others = (other for other in path.parent.iterdir() if other != path and captures.is_capture(other))
    return beside[0] if next(others, None) is None else None


def sound_named(path: Path) -> Path | None:
    """The sound or video with a capture's name, beside it or in a folder for sounds; None where there is none."""
    places = [path, *(path.parent.parent / name / path.name for name in SOUND_FOLDERS)]
    places += [path.parent / name / path.name for name in SOUND_FOLDERS]
    for place in places:
        if (found := _same_name(place, (*SOUNDS, *VIDEOS))) is not None:
            return found
    return None


def _same_name(path: Path, suffixes: tuple[str, ...]) -> Path | None:
    for suffix in suffixes:
        for spelling in (suffix, suffix.upper()):
            place = path.parent / f"{path.stem if path.suffix else path.name}{spelling}"
            if place.is_file():
                return place
    return None


def _realigned(folder: Path, found: list[Item]) -> list[Item]:
    """GRID's items with their alignments: published under other speakers' numbers for some, so that the folder which
    shares the most names with a speaker's takes is theirs.
    """
    places = [place for root in folder.rglob("alignments") for place in sorted(root.iterdir()) if place.is_dir()]
    named = {place: {path.stem for path in place.glob("*.align")} for place in places}
    takes: dict[str, set[str]] = {}
    for item in found:
        takes.setdefault(item.speaker, set()).add(Path(item.motion).stem)
    best = {speaker: max(places, key=lambda place: len(named[place] & mine)) for speaker, mine in takes.items()}
    return [_at_times(folder, item, best[item.speaker] / f"{Path(item.motion).stem}.align") for item in found]


def _at_times(folder: Path, item: Item, place: Path) -> Item:
    return replace(item, times=place.relative_to(folder).as_posix()) if place.is_file() else item
