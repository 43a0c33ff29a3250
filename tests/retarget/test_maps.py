import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk.channels import ARKIT, ARKIT_SHAPES, FLAME, HEAD, Channels, Group
from artalk.errors import BadInput, Unsupported
from artalk.motion import Motion, exact_fps
from artalk.retarget.letters import LETTERS, SHORTEST, runs
from artalk.retarget.maps import (
    A2F,
    LIVELINK61,
    MEDIAPIPE52,
    OCULUS,
    RHUBARB,
    SAID32,
    SETS,
    VRM,
    VRM0,
    carry,
    retarget,
)
from tests.formats.motions import arkit


def still(frames=4, **channels):
    return Motion(np.zeros((frames, len(ARKIT))), ARKIT, exact_fps(25)).with_channels(**channels)


def sides(name, value):
    return {f"{name}Left": value, f"{name}Right": value}


def of(channels, frames=1, **values):
    return Motion(np.zeros((frames, len(channels))), channels, exact_fps(25)).with_channels(**values)


def named(motion, frame=0):
    return {name: float(value) for name, value in zip(motion.channels.names, motion.values[frame], strict=True)}


def test_the_sets_are_what_they_are_known_as():
    assert A2F.names[:3] == ("EyeBlinkLeft", "EyeLookDownLeft", "EyeLookInLeft")
    assert A2F.names[14:18] == ("JawForward", "JawLeft", "JawRight", "JawOpen")
    assert MEDIAPIPE52.names[0] == "_neutral"
    # The classic mistake: alphabetically, jawOpen comes before jawRight.
    assert MEDIAPIPE52.names.index("jawOpen") < MEDIAPIPE52.names.index("jawRight")
    assert "tongueOut" not in MEDIAPIPE52
    assert len(SAID32) == 32
    assert SAID32.names[:4] == ("jawForward", "jawLeft", "jawRight", "jawOpen")
    assert SAID32.names[-5:] == ("cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight")
    assert len(LIVELINK61) == 61
    assert LIVELINK61.names[52:55] == ("HeadYaw", "HeadPitch", "HeadRoll")
    assert OCULUS.names[:3] == ("viseme_sil", "viseme_PP", "viseme_FF")
    assert OCULUS.names[-3:] == ("viseme_I", "viseme_O", "viseme_U")
    assert RHUBARB.names == tuple("ABCDEFGHX")


@given(st.sampled_from([A2F, MEDIAPIPE52, SAID32, LIVELINK61]), st.integers(0, 20), st.integers(0, 9))
def test_mapping_there_and_back_keeps_all_that_both_have(to, frames, seed):
    motion = arkit(frames, 25, seed, start=7)
    there = retarget(motion, to)
    assert there.channels is to
    assert (len(there), there.fps, there.start) == (frames, motion.fps, 7)
    back = retarget(there, ARKIT)
    lower = {name.lower() for name in to.names}
    both = [name for name in ARKIT_SHAPES if name.lower() in lower]
    assert len(both) == {"a2f": 52, "mediapipe52": 51, "said32": 32, "livelink61": 52}[to.name]
    for name in both:
        np.testing.assert_array_equal(back.channel(name), motion.channel(name))
    if to is LIVELINK61:
        np.testing.assert_allclose(back.group("head"), motion.group("head"), atol=1e-6)


@given(st.permutations(ARKIT_SHAPES), st.integers(0, 9))
def test_any_channels_named_after_arkit_work_by_name(names, seed):
    own = Channels("own", (Group("all", 55),), (*HEAD, *(name[0].upper() + name[1:] for name in names)))
    motion = arkit(3, 25, seed)
    np.testing.assert_array_equal(retarget(retarget(motion, own), ARKIT).values, motion.values)


def test_split_shapes_get_the_weight_on_both_sides():
    ict = Channels("ict", (Group("all", 3),), ("browInnerUp_L", "browInnerUp_R", "jawOpen"))
    assert named(retarget(still(browInnerUp=0.6, jawOpen=0.2), ict)) == pytest.approx(
        {"browInnerUp_L": 0.6, "browInnerUp_R": 0.6, "jawOpen": 0.2}
    )
    back = retarget(of(ict, browInnerUp_L=0.2, browInnerUp_R=0.6), ARKIT)
    assert back.channel("browInnerUp")[0] == pytest.approx(0.4)


@pytest.mark.parametrize("viseme", [name for name in OCULUS.names if name not in ("viseme_CH", "viseme_RR")])
def test_each_viseme_survives_a_visit_to_arkit(viseme):
    there = retarget(of(OCULUS, **{viseme: 1.0}), ARKIT)
    back = named(retarget(there, OCULUS))
    assert back[viseme] == pytest.approx(1, abs=0.02)
    assert sum(back.values()) == pytest.approx(1, abs=1e-5)


def test_visemes_with_the_same_mix_share():
    back = named(retarget(retarget(of(OCULUS, viseme_CH=1.0), ARKIT), OCULUS))
    assert back["viseme_CH"] == pytest.approx(0.5, abs=0.02)
    assert back["viseme_RR"] == pytest.approx(0.5, abs=0.02)


@given(st.integers(0, 50))
def test_visemes_of_any_face_are_weights_that_sum_to_one(seed):
    values = retarget(arkit(20, 25, seed), OCULUS).values
    assert values.min() >= 0
    assert values.max() <= 1
    np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-5)


def test_a_face_at_rest_is_silent_and_sealed_lips_are_pp():
    assert named(retarget(still(), OCULUS))["viseme_sil"] == 1
    # The jaw is down but the lips are together: not an aa.
    closed = named(retarget(still(jawOpen=0.25, mouthClose=0.25), OCULUS))
    assert closed["viseme_PP"] > 0.9
    assert closed["viseme_aa"] < 0.05
    wide = named(retarget(still(jawOpen=0.6), OCULUS))
    assert wide["viseme_aa"] == pytest.approx(1, abs=0.02)
    # What visemes say nothing of does not disturb them.
    assert named(retarget(still(browInnerUp=1, **sides("eyeBlink", 1)), OCULUS))["viseme_sil"] == 1


@pytest.mark.parametrize(
    ("face", "vowel"),
    [
        ({"jawOpen": 0.6}, "aa"),
        ({"jawOpen": 0.1, "mouthPucker": 0.8}, "ou"),
        ({"jawOpen": 0.4, "mouthFunnel": 0.6}, "oh"),
        ({"jawOpen": 0.4, **sides("mouthStretch", 0.5)}, "ee"),
        ({"jawOpen": 0.1, **sides("mouthStretch", 0.7)}, "ih"),
    ],
)
@pytest.mark.parametrize("to", [VRM, VRM0])
def test_vrm_vowels(face, vowel, to):
    got = named(retarget(still(**face), to))
    spelled = {"aa": "A", "ih": "I", "ou": "U", "ee": "E", "oh": "O"}
    vowels = {name: got[name if to is VRM else spelled[name]] for name in spelled}
    assert max(vowels, key=lambda name: vowels[name]) == vowel
    assert vowels[vowel] > 0.7
    assert sum(vowels.values()) <= 1 + 1e-6


def test_vrm_blinks_looks_moods_and_head():
    face = still(eyeBlinkLeft=1.0, eyeBlinkRight=0.4, headY=0.3, **sides("mouthSmile", 1), **sides("eyeLookUp", 0.5))
    got = named(retarget(face, VRM))
    assert got["blink"] == pytest.approx(0.4)
    assert got["blinkLeft"] == pytest.approx(0.6)
    assert got["blinkRight"] == 0
    assert (got["lookUp"], got["lookDown"]) == (0.5, 0)
    assert got["headY"] == pytest.approx(0.3)
    # A mood may block an avatar's mouth: none is made up.
    assert got["happy"] == 0
    # A closed, smiling mouth speaks no vowel.
    assert sum(got[vowel] for vowel in ("aa", "ih", "ou", "ee", "oh")) < 0.01
    left = named(retarget(still(eyeLookOutLeft=0.6, eyeLookInRight=0.6), VRM))
    assert (left["lookLeft"], left["lookRight"]) == (pytest.approx(0.6), 0)
    back = retarget(retarget(face, VRM), ARKIT)
    for name in ("eyeBlinkLeft", "eyeBlinkRight", "eyeLookUpLeft", "headY"):
        np.testing.assert_allclose(back.channel(name), face.channel(name), atol=1e-6)


def test_vrm_moods_become_faces():
    happy = retarget(of(VRM, happy=1.0), ARKIT)
    assert happy.channel("mouthSmileLeft")[0] > 0.5
    assert retarget(of(VRM0, Joy=1.0), ARKIT).values.tolist() == happy.values.tolist()
    assert retarget(of(VRM, sad=1.0), ARKIT).channel("browInnerUp")[0] > 0.5
    assert retarget(of(VRM, angry=1.0), ARKIT).channel("browDownRight")[0] > 0.5


@pytest.mark.parametrize("letter", LETTERS)
def test_each_letter_survives_a_visit_to_arkit(letter):
    there = retarget(of(RHUBARB, 10, **{letter: 1.0}), ARKIT)
    assert named(retarget(there, RHUBARB), 5)[letter] == 1


def spoken(seconds=4):
    """A mouth as people speak, not as letters are drawn: open vowels that lower the lip, a round one, a closed one."""
    mouths = [
        {"jawOpen": 0.24, "mouthClose": 0.06, "mouthLowerDown": 0.37, "mouthFunnel": 0.25, "mouthDimple": 0.14},
        {"jawOpen": 0.2, "mouthClose": 0.09, "mouthLowerDown": 0.09, "mouthPucker": 0.26},
        {"jawOpen": 0.2, "mouthClose": 0.19},
        {"jawOpen": 0.36, "mouthClose": 0.06, "mouthLowerDown": 0.45, "mouthFunnel": 0.2},
        {"jawOpen": 0.14, "mouthClose": 0.04, "mouthLowerDown": 0.24, "mouthFunnel": 0.16, "mouthStretch": 0.08},
        {},
    ]
    values = np.zeros((25 * seconds, len(ARKIT)), np.float32)
    for frame in range(len(values)):
        for name, weight in mouths[frame // 4 % len(mouths)].items():
            for shape in (name, f"{name}Left", f"{name}Right"):
                if shape in ARKIT.names:
                    values[frame, ARKIT.index(shape)] = weight
    return Motion(values, ARKIT, 25)


def test_speech_is_drawn_with_the_letters_it_has():
    """Solved speech opens half as wide as drawn letters do, and turns its lower lip out where it opens."""
    drawn = retarget(spoken(), RHUBARB).values.argmax(axis=1)
    assert [LETTERS[drawn[4 * k + 2]] for k in range(6)] == ["C", "F", "A", "D", "B", "X"]


def test_silence_around_it_changes_no_letter():
    """Neither a long one, nor of a face of which nothing but the mouth moves."""
    quiet = still(25 * 60)
    longer = Motion(np.concatenate([spoken().values, quiet.values]), ARKIT, 25)
    drawn, alone = (retarget(motion, RHUBARB).values.argmax(axis=1) for motion in (longer, spoken()))
    np.testing.assert_array_equal(drawn[:98], alone[:98])


@pytest.mark.parametrize(("fps", "shortest", "longest"), [(30, 0.08, 0.25), (60, 0.06, 0.15), (100, 0.08, 0.2)])
def test_cues_of_usual_length_survive_a_visit_to_arkit(fps, shortest, longest):
    """Fades of letters are wider than many a letter is long: what lies between letters was drawn, too."""
    rng = np.random.default_rng(0)
    letters = []
    while len(letters) < 20 * fps:
        letters += [int(rng.integers(len(LETTERS)))] * round(rng.uniform(shortest, longest) * fps)
    values = np.eye(len(LETTERS), dtype=np.float32)[letters]
    there = retarget(Motion(values, RHUBARB, fps), ARKIT)
    assert np.mean(retarget(there, RHUBARB).values.argmax(axis=1) == letters) > 0.8


def test_an_open_vowel_is_not_taken_for_a_round_one():
    vowels = retarget(spoken(), VRM)
    for frame, name, other in ((2, "ee", "oh"), (6, "ou", "aa"), (14, "aa", "oh")):
        assert vowels.channel(name)[frame] > 0.15
        assert vowels.channel(other)[frame] < vowels.channel(name)[frame] / 2
    visemes = retarget(spoken(), OCULUS)
    assert visemes.channel("viseme_aa")[14] > 0.3
    assert visemes.channel("viseme_PP")[10] > 0.8


@given(st.integers(0, 99), st.sampled_from([24, 25, 30, 60, 100]), st.integers(1, 80))
def test_letters_last_and_are_one_a_frame(seed, fps, frames):
    letters = retarget(arkit(frames, fps, seed), RHUBARB)
    np.testing.assert_array_equal(letters.values.sum(axis=1), 1)
    lengths = [end - first for first, end in runs(letters.values.argmax(axis=1))]
    shortest = max(2, int(np.ceil(SHORTEST * fps)))
    assert len(lengths) == 1 or min(lengths) >= shortest


def test_a_letter_does_not_flicker():
    # An opening that trembles about the border between two letters.
    opening = 0.3 + 0.02 * np.where(np.arange(100) % 2, 1, -1)
    face = still(100, jawOpen=opening, **sides("mouthLowerDown", 0.3))
    assert len(runs(retarget(face, RHUBARB).values.argmax(axis=1))) == 1


def test_poses_of_letters_change_softly():
    values = np.zeros((40, len(LETTERS)))
    values[:20, LETTERS.index("X")] = values[20:, LETTERS.index("D")] = 1
    jaw = retarget(Motion(values, RHUBARB, exact_fps(50)), ARKIT).channel("jawOpen")
    assert (jaw[0], jaw[-1]) == (0, pytest.approx(0.6))
    assert (np.diff(jaw) >= -1e-6).all()
    assert np.diff(jaw).max() < 0.25


def test_live_link_angles_have_the_apps_signs():
    got = named(retarget(still(eyeLookOutLeft=1, eyeLookUpLeft=1, headY=0.2), LIVELINK61))
    assert got["LeftEyeYaw"] < -0.4
    assert got["LeftEyePitch"] < -0.4
    assert got["HeadYaw"] == pytest.approx(-0.2)
    assert got["RightEyeYaw"] == 0


def test_what_is_lost_is_said():
    face = still(jawOpen=0.5, tongueOut=0.5, headX=0.1)
    carried = carry(face, "MediaPipe52")
    assert carried.lost == {"tongueOut": pytest.approx(1), "headX": pytest.approx(1)}
    assert list(carried.lost) == ["tongueOut", "headX"]
    assert carried.share == pytest.approx(0.26 / 0.51, abs=1e-3)
    assert "tongueOut 100%" in carried.words()
    kept = carry(face, "livelink61")
    assert not kept.lost
    assert kept.share < 1e-9
    assert "all of the motion" in kept.words()
    assert not carry(still(0), "a2f").lost


def test_the_same_channels_are_left_alone():
    motion = arkit()
    assert retarget(motion, "ARKit") is motion


def test_what_names_cannot_tell_is_refused():
    flame = Motion(np.zeros((2, 106)), FLAME, exact_fps(25))
    with pytest.raises(Unsupported, match="solve"):
        retarget(flame, ARKIT)
    with pytest.raises(Unsupported, match="solve"):
        retarget(arkit(), FLAME)
    with pytest.raises(BadInput, match="arkit, a2f"):
        retarget(arkit(), "smurf")


@pytest.mark.parametrize("source", [name for name in SETS if not name.startswith("flame")])
@pytest.mark.parametrize("target", [name for name in SETS if not name.startswith("flame")])
def test_every_set_maps_to_every_other_even_without_frames(source, target):
    for frames in (0, 1, 5):
        motion = Motion(np.full((frames, len(SETS[source])), 0.1), SETS[source], exact_fps(25))
        made = retarget(motion, target)
        assert made.channels is SETS[target]
        assert len(made) == frames
