import json

import pytest

from artalk import cli
from artalk.errors import BadFile, MissingFile
from artalk.generators import card
from artalk.generators.shipped import SHIPPED, WEIGHTS


def shown(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main(["show", *(str(argument) for argument in arguments)])
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


@pytest.mark.parametrize("name", SHIPPED)
def test_a_model_that_ships_says_what_it_is(capsys, name):
    code, out, _ = shown(capsys, name)
    assert code == 0
    assert f"model     {name}: arkit at 25 fps" in out
    assert "styles    broad, " in out
    assert "learnt    grid_s1 (real): 35.7 minutes, CC BY 4.0" in out
    assert "figure    lip gap, r: 0.9" in out
    assert "limit     " in out
    facts = json.loads(shown(capsys, name, "--json")[1])
    assert len(facts["styles"]) == out.splitlines()[1].count(",") + 1
    assert shown(capsys, WEIGHTS / f"{name}.onnx")[1] == out


def test_a_checkpoint_says_what_it_learnt_from_without_torch(capsys):
    code, out, _ = shown(capsys, WEIGHTS / "artalk.safetensors")
    assert code == 0
    assert "weights to train on from (artalk)" in out
    assert "learnt    nathalie_nl (taught)" in out


def test_a_model_as_its_training_wrote_it_is_described_too():
    """Its figures are those of the last check, and of its sources it knows no minutes."""
    source = {"source": "me", "kind": "real"}
    words = card.Card("best", "weights", ("a",), {"sources": [source], "figures": {"lve": 1.5, "score": 0.25}}).words()
    assert words.splitlines()[1:] == ["styles    a", "learnt    me (real)", "judged    lve 1.500, score 0.250"]


def test_rules_are_described_too(capsys):
    assert shown(capsys, "visemes")[1] == "model     visemes: arkit, 0.08 s late, by rules\n"
    code, _, err = shown(capsys, "artalk", "--plot", "x.png")
    assert (code, "is a model" in err) == (2, True)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 40,
        b"\xff" * 40,
        (12).to_bytes(8, "little") + b"[1, 2, 3, 4]",
        (20).to_bytes(8, "little") + b'{"__metadata__":null}',
    ],
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(BadFile, match=r"x\.safetensors"):
        card.read(tmp_path / "x.safetensors")
    with pytest.raises(MissingFile):
        card.read(tmp_path / "none.safetensors")
    (tmp_path / "other.safetensors").write_bytes((20).to_bytes(8, "little") + b'{"__metadata__": {}}')
    with pytest.raises(BadFile, match="no checkpoint of artalk"):
        card.read(tmp_path / "other.safetensors")
