"""`--style` with a file, on the model that ships: it is followed, and refused where it is too short."""

from pathlib import Path

import numpy as np
import pytest

import artalk
from artalk.channels import ARKIT
from tests.prepare.command import run

HELLO = Path(__file__).parents[1] / "examples" / "hello.flac"


@pytest.fixture(scope="module")
def smiling():
    """A performer who smiles, and one second of her in mid-speech."""
    whole = artalk.animate(HELLO, style="smiling")
    return whole, whole.cut(50, 75)


@pytest.fixture(scope="module")
def own():
    return artalk.animate(HELLO)


@pytest.mark.parametrize("name", ["livelink.csv", "head.glb", "second.npz"])
def test_a_file_s_style_is_followed(name, smiling, own, tmp_path, capsys):
    whole, second = smiling
    artalk.save(second if name == "second.npz" else whole, tmp_path / name)
    code, _, err = run(capsys, "animate", HELLO, "-o", tmp_path / "out.npz", "--style", tmp_path / name)
    assert code == 0, err
    made = artalk.load(tmp_path / "out.npz")
    assert (made.channels, len(made)) == (ARKIT, len(own))
    assert np.isfinite(made.values).all()
    weights = made.values[:, : ARKIT.slice("head").start]
    assert weights.min() >= 0
    assert weights.max() <= 1
    # 0.29 was measured of all three, and 0.00 without a style; the words stay the same.
    assert made.channel("mouthSmileLeft").mean() > own.channel("mouthSmileLeft").mean() + 0.1
    assert np.corrcoef(made.channel("jawOpen"), own.channel("jawOpen"))[0, 1] > 0.85


@pytest.mark.parametrize("name", ["livelink.csv", "head.glb", "short.npz"])
def test_less_than_a_second_is_refused(name, smiling, tmp_path, capsys):
    artalk.save(smiling[0].cut(50, 74), tmp_path / name)
    code, out, err = run(capsys, "animate", HELLO, "-o", tmp_path / "out.npz", "--style", tmp_path / name)
    assert (code, out) == (2, "")
    assert "a style clip has at least 25 frames at 25 fps, got 24" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out.npz").exists()
