import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk.channels import ARKIT_SHAPES
from artalk.retarget.names import PAIRED, canonical, match

PASCAL = [name[0].upper() + name[1:] for name in ARKIT_SHAPES]


def short(name):
    """iFacialMocap's way: mouthSmile_L."""
    if name in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
        return name
    return name.removesuffix("Left") + "_L" if name.endswith("Left") else name.replace("Right", "_R")


SPELLINGS = {
    "camel": lambda name: name,
    "pascal": lambda name: name[0].upper() + name[1:],
    "upper": str.upper,
    "short": short,
    "short lower": lambda name: short(name).lower(),
    "snake": lambda name: "".join("_" + c.lower() if c.isupper() else c for c in name),
    "maya": lambda name: f"blendShape1.{name}",
    "prefix": lambda name: f"Head_{name}",
    "vroid": lambda name: f"Face.M_F00_000_00_{name}",
    "blender": lambda name: f"{name}.001",
    "audio2face csv": lambda name: f"blendShapes.{name[0].upper() + name[1:]}",
    "namespace": lambda name: f"rig:face|{name}",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("shape", ARKIT_SHAPES)
def test_every_shape_is_known_in_every_spelling(shape, spelling):
    assert canonical(SPELLINGS[spelling](shape)) == shape


@given(st.permutations(ARKIT_SHAPES))
def test_order_does_not_matter(names):
    found = match([SPELLINGS["short"](name) for name in names])
    assert {shape: spelled for shape, (spelled,) in found.items()} == {name: short(name) for name in ARKIT_SHAPES}
    assert list(found) == list(ARKIT_SHAPES)
    assert not found.missing
    assert not found.unknown


def test_what_is_missing_and_what_is_unknown_is_said():
    found = match(["jawOpen", "viseme_aa", "Basis", "_neutral", "moustache"])
    assert dict(found) == {"jawOpen": ("jawOpen",)}
    assert len(found.missing) == 51
    assert "mouthClose" in found.missing
    assert found.unknown == ("viseme_aa", "moustache")


def test_mediapipe_lacks_the_tongue():
    found = match(["_neutral", *sorted(name for name in ARKIT_SHAPES if name != "tongueOut")])
    assert found.missing == ("tongueOut",)
    assert not found.unknown


def test_icts_halves_are_both_driven():
    found = match(["browInnerUp_L", "browInnerUp_R", "cheekPuff_L", "cheekPuff_R", "jawOpen"])
    assert found["browInnerUp"] == ("browInnerUp_L", "browInnerUp_R")
    assert found["cheekPuff"] == ("cheekPuff_L", "cheekPuff_R")
    mix = found.matrix(["jawOpen", "browInnerUp_R", "browInnerUp_L"])
    weights = np.zeros(52)
    weights[ARKIT_SHAPES.index("browInnerUp")] = 0.7
    np.testing.assert_allclose(weights @ mix, [0, 0.7, 0.7])


def test_a_shape_for_both_sides_gets_their_mean():
    found = match(["mouthSmile", "eyesClosed", "jawOpen"])
    assert found["mouthSmileLeft"] == found["mouthSmileRight"] == ("mouthSmile",)
    assert found["eyeBlinkLeft"] == ("eyesClosed",)
    weights = np.zeros(52)
    weights[ARKIT_SHAPES.index("mouthSmileLeft")] = 1
    np.testing.assert_allclose(weights @ found.matrix(["mouthSmile"]), [0.5])


def test_finer_shapes_win_over_rougher_ones():
    found = match(["mouthSmile", "mouthSmileLeft", "mouthSmile_R", "mouthOpen", "x.jawOpen", "jawOpen"])
    assert found["mouthSmileLeft"] == ("mouthSmileLeft",)
    assert found["mouthSmileRight"] == ("mouthSmile_R",)
    assert found["jawOpen"] == ("jawOpen",)
    assert match(["mouthOpen", "x.jawOpen"])["jawOpen"] == ("x.jawOpen",)


def test_two_meshes_of_one_face_are_both_driven():
    assert match(["face.jawOpen", "teeth.jawOpen"])["jawOpen"] == ("face.jawOpen", "teeth.jawOpen")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("EyeBlink_L", "eyeBlinkLeft"),
        ("EyeOpen_R", "eyeWideRight"),
        ("EyeIn_L", "eyeLookInLeft"),
        ("BrowsD_L", "browDownLeft"),
        ("BrowsU_C", "browInnerUp"),
        ("BrowsU_R", "browOuterUpRight"),
        ("JawFwd", "jawForward"),
        ("LipsTogether", "mouthClose"),
        ("LipsUpperClose", "mouthRollUpper"),
        ("ChinLowerRaise", "mouthShrugLower"),
        ("LipsStretch_R", "mouthStretchRight"),
        ("LeftEyeBlink", "eyeBlinkLeft"),
        ("A14_Eye_Blink_Left", "eyeBlinkLeft"),
        ("mouth_L", "mouthLeft"),
        ("jaw_R", "jawRight"),
        ("jawDrop", "jawOpen"),
        ("lipCornerPullerL", "mouthSmileLeft"),
    ],
)
def test_other_ecosystems_names(name, shape):
    assert canonical(name) == shape


@pytest.mark.parametrize(
    "name",
    ["", "...", "é", "HeadYaw", "LeftEyePitch", "TongueLeft", "viseme_I", "A", "Joy", "Neutral", "cheekPuff_L", "left"],
)
def test_names_that_are_no_shape(name):
    assert canonical(name) is None


def test_there_are_eighteen_pairs():
    assert len(PAIRED) == 18


@given(st.text(max_size=40))
def test_any_text_is_a_name(name):
    found = match([name])
    assert len(found) + len(found.missing) == 52
