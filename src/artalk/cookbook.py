"""The recipes that come with artalk, by name: trainings (`default`) and public corpora (`grid`)."""

from pathlib import Path

from artalk.errors import MissingFile

TRAININGS, CORPORA = "", "public"
"""Folders of the two kinds."""

PLACES = (Path(__file__).with_name("recipes"), Path(__file__).parents[2] / "recipes")
"""Where they lie once installed, and in a checkout."""


def names(kind: str) -> tuple[str, ...]:
    """What there is of a kind: `TRAININGS` or `CORPORA`."""
    return tuple(_shipped(kind))


def find(recipe: str | Path, kind: str) -> Path:
    """The file `recipe`; where there is none, the recipe of artalk's that has this name and is of this kind.

    Raises `MissingFile`, which lists the names, where there is neither.
    """
    if Path(recipe).is_file():
        return Path(recipe)
    shipped = _shipped(kind)
    if str(recipe) not in shipped:
        known = ", ".join(shipped)
        raise MissingFile(f"a recipe is a .toml file, none is at {str(recipe)!r}; by name there are {known}")
    return shipped[str(recipe)]


def _shipped(kind: str) -> dict[str, Path]:
    place = next((place for place in PLACES if place.is_dir()), PLACES[0])
    return {path.stem: path for path in sorted((place / kind).glob("*.toml"))}
