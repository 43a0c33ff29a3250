"""What a person says of a folder of recordings: whose it is, under which terms, how it lies, what to hold out."""

import re
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from artalk import config, cookbook
from artalk.channels import ARKIT
from artalk.data.recording import Wishes
from artalk.errors import BadInput

FILE = "collection.toml"
"""Read where it lies in the folder, unless another is named."""


@dataclass(frozen=True)
class Collection:
    """A folder of recordings, as its `collection.toml` or a recipe of recipes/public says.

    `source` names it in corpora (letters, digits, _). `layout` is one of `layouts.LAYOUTS`, "" for any folder.
    `licence`, `credit` and `consent` (how the speakers agreed) are to be filled before anything is shared. The speakers
    in `held_out` are kept for validation, else a share of `validation` of them; of a single speaker, that share of the
    clips. Groups of channels in `masked` (eyes, head …) are in the clips and not learnt from: people who read from a
    screen blink and turn otherwise than people who talk. `fps` is the rate of captures that do not say theirs (0: as
    their reader takes it). `speakers` and `recordings` are how many there should be (0: unknown).
    """

    source: str
    layout: str = ""
    language: str = ""
    licence: str = ""
    credit: str = ""
    consent: str = ""
    validation: float = 0.1
    held_out: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    fps: float = 0.0
    clips: Wishes = field(default_factory=Wishes)
    speakers: int = 0
    recordings: int = 0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", self.source):
            raise BadInput(f"a source is named in small letters, digits and _, got {self.source!r}")
        groups = [group.name for group in ARKIT.groups]
        if unknown := sorted(set(self.masked) - set(groups)):
            raise BadInput(f"masked names groups of {', '.join(groups)}, got {', '.join(unknown)}")
        if not 0 <= self.validation < 1:
            raise BadInput(f"the share to hold out lies between 0 and 1, got {self.validation}")

    @property
    def missing(self) -> tuple[str, ...]:
        """What is to be filled before clips are shared."""
        return tuple(name for name in ("licence", "credit", "consent") if not getattr(self, name).strip())


def of_folder(folder: Path, recipe: Path | None = None) -> Collection:
    """The collection that `recipe` (a file, or the name of one of artalk's) or the folder's own file describes.

    Without either it is only named after the folder.
    """
    place = folder / FILE if recipe is None else recipe
    if recipe is not None or place.is_file():
        return config.load(Collection, place if recipe is None else cookbook.find(recipe, cookbook.CORPORA))
    return Collection(slug(folder.resolve().name).replace("-", "_") or "recordings")


def slug(text: str) -> str:
    """A name of small letters, digits, _ and - from any text; letters that are lost leave a few digits of a hash."""
    name = re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")
    if all(letter.isascii() or not letter.isalnum() for letter in text):
        return name
    return f"{name}-{sha256(text.encode()).hexdigest()[:6]}".lstrip("-")
