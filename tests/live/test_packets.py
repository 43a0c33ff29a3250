"""What goes to other tools: golden bytes, and what programs that are not ours read in them."""

import re
import struct
import uuid
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk import rotation
from artalk.channels import ARKIT, ARKIT_SHAPES
from artalk.errors import BadInput
from artalk.live import osc
from artalk.live.ifacialmocap import NAMES, IFacialMocap
from artalk.live.livelink import LiveLink
from artalk.live.vmc import Vmc
from artalk.motion import Motion
from artalk.retarget.livelink import LIVELINK61, from_arkit

FPS = Fraction(60)


def pose(**weights):
    """An ARKit pose (55,)."""
    values = np.zeros(len(ARKIT), np.float32)
    for name, value in weights.items():
        values[ARKIT.index(name)] = value
    return values


def test_a_live_link_packet_byte_for_byte():
    link = LiveLink("me", uuid.UUID("12345678-1234-1234-1234-123456789abc"))
    (packet,) = link.packets(pose(eyeBlinkLeft=1.0, jawLeft=0.5), 258, Fraction(30000, 1001))
    head = bytes.fromhex("06 00000024") + b"12345678-1234-1234-1234-123456789abc" + bytes.fromhex("00000002") + b"me"
    time = bytes.fromhex("00000102 00000000 00007530 000003e9 3d")
    curves = [0.0] * 61
    curves[0], curves[15] = 1.0, 0.5
    assert packet == head + time + struct.pack(">61f", *curves)


@given(st.fractions(1, 1000))
def test_any_rate_fits_a_live_link_packet(fps):
    (packet,) = LiveLink("me").packets(pose(), 1, fps)
    numerator, denominator = struct.unpack_from(">ii", packet, len(packet) - 61 * 4 - 9)
    assert numerator / denominator == pytest.approx(float(fps), abs=1e-5)


@pytest.mark.parametrize("shape", ARKIT_SHAPES)
def test_another_reader_of_live_link_finds_each_shape(shape):
    pylivelinkface = pytest.importorskip("pylivelinkface")
    (packet,) = LiveLink("artalk").packets(pose(**{shape: 0.75}), 7, FPS)
    there, face = pylivelinkface.PyLiveLinkFace.decode(packet)
    assert there
    assert (face.name, face.fps) == ("artalk", 60)
    for other in pylivelinkface.FaceBlendShape:
        if other.name in LIVELINK61.names[:52]:
            expected = 0.75 if other.name == shape[0].upper() + shape[1:] else 0.0
            assert face.get_blendshape(other) == expected, other.name


def test_live_link_carries_the_angles_of_head_and_eyes():
    moved = pose(headX=0.1, headY=-0.2, headZ=0.05, eyeLookUpLeft=0.4)
    (packet,) = LiveLink().packets(moved, 0, FPS)
    sent = np.frombuffer(packet[-9 * 4 :], ">f4")
    np.testing.assert_array_equal(sent, from_arkit(Motion(moved[None], ARKIT, FPS)).values[0, 52:])
    assert np.abs(sent).max() > 0.1


@given(st.text(max_size=80))
def test_a_subject_is_a_short_name(name):
    if 1 <= len(name.encode("utf-8", "surrogatepass")) <= 64 and not re.search("[\ud800-\udfff]", name):
        (packet,) = LiveLink(name).packets(pose(), 0, FPS)
        assert name.encode() in packet
    else:
        with pytest.raises(BadInput):
            LiveLink(name)


def test_an_osc_message_byte_for_byte():
    assert osc.message("/a", "xyz", 1, -0.5) == b"/a\0\0,sif\0\0\0\0xyz\0\0\0\0\x01\xbf\0\0\0"
    assert osc.bundles([b"1234"]) == [b"#bundle\0\0\0\0\0\0\0\0\x01\0\0\0\x041234"]


def received(packets):
    """What python-osc reads in datagrams: (address, arguments), in order."""
    found = []
    bundles = pytest.importorskip("pythonosc.osc_bundle")
    for packet in packets:
        assert len(packet) <= 1472
        for content in bundles.OscBundle(packet):
            found.append((content.address, tuple(content.params)))
    return found


@pytest.mark.parametrize("names", ["vrm0", "vrm1", "perfectsync", "arkit"])
def test_another_reader_of_osc_understands_vmc(names):
    messages = received(Vmc(names).packets(pose(jawOpen=0.5, eyeBlinkLeft=1.0, headX=0.2), 90, FPS))
    assert messages[:2] == [("/VMC/Ext/OK", (1,)), ("/VMC/Ext/T", (1.5,))]
    assert messages[-1] == ("/VMC/Ext/Blend/Apply", ())
    blends = dict(arguments for address, arguments in messages if address == "/VMC/Ext/Blend/Val")
    left, jaw = {
        "vrm0": ("Blink_L", "A"),
        "vrm1": ("blinkLeft", "aa"),
        "perfectsync": ("EyeBlinkLeft", "JawOpen"),
        "arkit": ("eyeBlinkLeft", "jawOpen"),
    }[names]
    assert blends[left] == 1.0
    assert blends[jaw] > 0.4
    assert all(type(value) is float for value in blends.values())
    assert not blends.keys() & {"Joy", "Fun", "Neutral", "happy", "relaxed", "neutral"}, "a mood is its user's"
    if names in ("perfectsync", "arkit"):
        assert len(blends) == 52


def test_unity_turns_as_we_do():
    """Down stays down; the subject's left is the other way round in a left-handed space."""

    def head(**turn):
        messages = received(Vmc().packets(pose(**turn), 0, FPS))
        return next(arguments[4:] for address, arguments in messages if arguments and arguments[0] == "Head")

    assert head(headX=0.4) == pytest.approx((np.sin(0.2), 0, 0, np.cos(0.2)), abs=1e-6)
    assert head(headY=0.4) == pytest.approx((0, -np.sin(0.2), 0, np.cos(0.2)), abs=1e-6)
    assert head(headZ=0.4) == pytest.approx((0, 0, -np.sin(0.2), np.cos(0.2)), abs=1e-6)
    # Mirroring x is the same before and after turning.
    mirror = np.diag([-1.0, 1.0, 1.0])
    ours = rotation.quat_to_matrix(rotation.rotvec_to_quat([0.3, -0.2, 0.1]))
    theirs = rotation.quat_to_matrix(np.array(head(headX=0.3, headY=-0.2, headZ=0.1)))
    np.testing.assert_allclose(theirs, mirror @ ours @ mirror, atol=1e-6)


@pytest.mark.parametrize("names", ["vrm0", "vrm1", "perfectsync", "arkit"])
@pytest.mark.parametrize("bones", ["", "head", "none"])
def test_eyes_are_turned_once(names, bones):
    """By their bones or by expressions."""
    messages = received(Vmc(names, bones).packets(pose(), 0, FPS))
    looks = any("look" in arguments[0].lower() for address, arguments in messages if address.endswith("Val"))
    turned = {arguments[0] for address, arguments in messages if address.endswith("Pos")}
    assert ("LeftEye" in turned) == ("RightEye" in turned) == (not looks)
    assert ("Head" in turned) == (bones != "none")


def test_eyes_of_which_only_the_bones_move_are_turned_where_that_is_wished():
    """An avatar of 52 shapes may have none for looks."""
    messages = received(Vmc("perfectsync", "all").packets(pose(), 0, FPS))
    turned = [arguments[0] for address, arguments in messages if address.endswith("Pos")]
    assert turned == ["Head", "LeftEye", "RightEye"]


def test_an_ifacialmocap_frame_letter_for_letter():
    moved = pose(eyeBlinkLeft=1.0, jawLeft=0.504, mouthSmileRight=0.25, headX=np.radians(10), eyeLookUpRight=1.0)
    (packet,) = IFacialMocap().packets(moved, 0, FPS)
    text = packet.decode()
    assert text.startswith("eyeBlink_L-100|eyeLookDown_L-0|eyeLookIn_L-0|")
    assert "|jawForward-0|jawLeft-50|jawRight-0|jawOpen-0|" in text
    assert "|mouthSmile_R-25|" in text
    assert text.endswith(
        "|tongueOut-0|=head#10.0000,0.0000,0.0000,0,0,0|rightEye#-28.6479,0.0000,0.0000|leftEye#0.0000,0.0000,0.0000|"
    )
    assert len(text.split("=")[0].split("|")) == 53
    assert len(set(NAMES)) == 52
