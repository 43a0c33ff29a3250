"""Configs go to TOML and JSON and back, and say where they are wrong."""

from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk import config
from artalk.errors import BadFile, BadInput, MissingFile


@dataclass(frozen=True)
class Leaf:
    size: int = 3
    share: float = 0.5
    kind: Literal["round", "flat"] = "round"
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tree:
    title: str
    scales: tuple[int, ...] = (1, 2)
    pair: tuple[int, float] = (1, 2.0)
    leaf: Leaf = Leaf()
    leaves: dict[str, Leaf] = field(default_factory=dict)
    limit: float | None = None
    on: bool = False

    def __post_init__(self):
        if self.scales and self.scales[0] < 0:
            raise BadInput("scales are not negative")


leaves = st.builds(
    Leaf,
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False),
    st.sampled_from(["round", "flat"]),
    st.lists(st.text(st.characters(codec="utf-8")), max_size=3).map(tuple),
)
trees = st.builds(
    Tree,
    st.text(st.characters(codec="utf-8")),
    st.lists(st.integers(0, 99), max_size=4).map(tuple),
    st.tuples(st.integers(-9, 9), st.floats(allow_nan=False)),
    leaves,
    st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), leaves, max_size=3),
    st.none() | st.floats(allow_nan=False),
    st.booleans(),
)


@given(tree=trees)
def test_there_and_back(tree):
    assert config.from_json(Tree, config.to_json(tree)) == tree
    assert config.from_toml(Tree, config.to_toml(tree)) == tree
    assert config.from_dict(Tree, config.to_dict(tree)) == tree


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Tree needs 'title'"),
        ("title = 3", "title is of type str, got 3"),
        ("title = 'a'\nlimb = 1", "unknown key 'limb'; Tree has title, scales"),
        ("title = 'a'\n[leaf]\nsize = 1.5", "leaf.size is of type int, got 1.5"),
        ("title = 'a'\n[leaf]\nsize = true", "leaf.size is of type int, got True"),
        ("title = 'a'\n[leaves.x]\nkind = 'odd'", "leaves.x.kind is one of 'round', 'flat', got 'odd'"),
        ("title = 'a'\nscales = [1, 'b']", r"scales\[1\] is of type int, got 'b'"),
        ("title = 'a'\nscales = 1", "scales is a list"),
        ("title = 'a'\npair = [1]", "pair is a list of 2 values, got 1"),
        ("title = 'a'\nleaf = 2", "leaf is a table"),
        ("title = 'a'\nscales = [-1]", "scales are not negative"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text, words):
    with pytest.raises(BadInput, match=words):
        config.from_toml(Tree, text)


def test_files_that_are_no_configs(tmp_path):
    with pytest.raises(MissingFile, match="none is at"):
        config.load(Tree, tmp_path / "no.toml")
    (tmp_path / "a.toml").write_text("title = ")
    with pytest.raises(BadFile, match="is TOML"):
        config.load(Tree, tmp_path / "a.toml")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(BadFile, match="is JSON"):
        config.load(Tree, tmp_path / "a.json")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadFile, match="no text"):
        config.load(Tree, tmp_path / "b.toml")
    (tmp_path / "b.json").write_text('{"title": "a"}')
    assert config.load(Tree, tmp_path / "b.json") == Tree("a")
