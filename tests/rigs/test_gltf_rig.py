import base64
import json
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk.channels import ARKIT, ARKIT_SHAPES
from artalk.errors import ArtalkError, BadFile, MissingFile, Unsupported
from artalk.formats import gltf as out
from artalk.motion import Motion
from artalk.rigs import gltf
from artalk.rigs.blendshape import GAZE, JAW
from artalk.rigs.gltf import AvatarRig
from tests.avatars import OCULUS, Avatar, halves, vrm0, vrm1
from tests.gltf_player import Player

TURNED = np.array([-1.0, 1.0, -1.0])


def load(folder: Path, avatar: Avatar, name: str = "me.glb") -> AvatarRig:
    (folder / name).write_bytes(avatar.bytes())
    return gltf.load(folder / name)


def values(**channels: float) -> np.ndarray:
    row = np.zeros(len(ARKIT), np.float32)
    for name, value in channels.items():
        row[ARKIT.index(name)] = value
    return row


def performance(frames: int = 4) -> Motion:
    rng = np.random.default_rng(3)
    rows = rng.random((frames, len(ARKIT))) * 0.6
    rows[:, -3:] = rng.normal(0, 0.4, (frames, 3))
    rows[0] = 0
    return Motion(rows.astype(np.float32), ARKIT, Fraction(25))


def same_as_played(folder: Path, rig: AvatarRig, facing: np.ndarray, atol: float = 1e-5) -> None:
    """What the rig poses is what another reader plays from the file that is written for it."""
    motion = performance()
    out.write(motion, folder / "out.glb", rig)
    player = Player(folder / "out.glb")
    rest = np.concatenate(player.play(0)) * facing
    # A mouth of visemes rests in viseme_sil, which need not be the mesh as stored.
    apart = np.linalg.norm(rest[:, None] - rig.pose(motion.values[0])[None], axis=2)
    at = apart.argmin(axis=1)
    assert apart.min(axis=1).max() < 1e-5
    for key in range(1, len(motion)):
        played = np.concatenate(player.play(key)) * facing
        assert np.abs(played - rest).max() > 0.01
        np.testing.assert_allclose(played, rig.pose(motion.values[key])[at], atol=atol)


def test_an_avatar_with_arkit_names_is_matched_whole(tmp_path: Path) -> None:
    rig = load(tmp_path, Avatar())
    assert set(rig.report.matched) == set(ARKIT_SHAPES)
    assert rig.report.bones == {"neck": "Neck", "head": "Head", "leftEye": "LeftEye", "rightEye": "RightEye"}
    assert not rig.report.missing
    assert str(rig.report) == "52 of 52 ARKit shapes matched"
    same_as_played(tmp_path, rig, np.ones(3))


@pytest.mark.parametrize("spelled", [str.upper, lambda n: n.replace("Left", "_L").replace("Right", "_R")])
def test_spellings_are_understood(tmp_path: Path, spelled) -> None:
    names = tuple(
        spelled(name) for name in ARKIT_SHAPES[::-1] if name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight")
    )
    rig = load(tmp_path, Avatar(names))
    assert len(rig.report.matched) == 48
    assert rig.report.missing == ("jawLeft", "jawRight", "mouthLeft", "mouthRight")


def test_it_is_in_metres_and_faces_forward(tmp_path: Path) -> None:
    for avatar in (Avatar(), Avatar(turned=True), vrm0(), Avatar(scale=1.0)):
        rig = load(tmp_path, avatar)
        joints = {joint.name: np.array(joint.position) for joint in rig.joints}
        np.testing.assert_allclose(joints["leftEye"], [0.03, 1.63, 0.08], atol=1e-5)
        np.testing.assert_allclose(joints["rightEye"], [-0.03, 1.63, 0.08], atol=1e-5)
        low, high = rig.mesh.vertices.min(axis=0), rig.mesh.vertices.max(axis=0)
        np.testing.assert_allclose([low[1], high[1]], [0.3, 1.7], atol=0.03)


def test_focus_is_the_head(tmp_path: Path) -> None:
    rig = load(tmp_path, Avatar())
    assert rig.focus is not None
    low, high = rig.focus
    assert 1.45 < low[1] < 1.55
    assert 1.68 < high[1] < 1.72
    assert high[0] - low[0] < 0.25


def test_bones_turn_in_the_models_space(tmp_path: Path) -> None:
    rig = load(tmp_path, Avatar())
    rest = rig.mesh.vertices
    top = rest[:, 1] > 1.695
    pivot = np.array(next(joint.position for joint in rig.joints if joint.name == "head"))
    turned = rig.pose(values(headY=0.3))[top] - pivot
    angle = np.arctan2(turned[:, 0], turned[:, 2]) - np.arctan2(*(rest[top] - pivot)[:, [0, 2]].T)
    np.testing.assert_allclose(np.mod(angle + np.pi, 2 * np.pi) - np.pi, 0.3, atol=1e-4)
    eye = np.linalg.norm(rest - [0.03, 1.63, 0.08], axis=1) < 0.013
    up = rig.pose(values(eyeLookUpLeft=1))
    pupil = np.flatnonzero(eye)[rest[eye, 2].argmax()]
    assert up[pupil, 1] - rest[pupil, 1] == pytest.approx(0.012 * np.sin(GAZE), abs=0.006)


def test_visemes_stand_in_for_a_mouth(tmp_path: Path) -> None:
    names = (*(f"viseme_{name}" for name in OCULUS), "mouthSmile", "eyesClosed", "mouthOpen")
    rig = load(tmp_path, Avatar(names))
    assert rig.report.approximated["mouthFunnel"] == "visemes"
    assert rig.report.approximated["eyeBlinkLeft"] == "eyesClosed"
    assert rig.report.approximated["mouthSmileRight"] == "mouthSmile"
    assert {"browInnerUp", "jawLeft", "mouthLeft"} <= set(rig.report.missing)
    weights = rig.target_weights(np.stack([values(), values(jawOpen=0.6), values(eyeBlinkLeft=1, eyeBlinkRight=1)]))
    (driven,) = weights.values()
    assert driven.shape == (3, 18)
    assert not driven[0, names.index("viseme_aa")]
    assert driven[1, names.index("viseme_aa")] > 0.5
    assert not driven[1, names.index("mouthOpen")]
    assert driven[2, names.index("eyesClosed")] == 1
    same_as_played(tmp_path, rig, np.ones(3))


def test_vrchat_visemes_are_understood(tmp_path: Path) -> None:
    spelled = ("sil", "pp", "ff", "th", "dd", "kk", "ch", "ss", "nn", "rr", "aa", "e", "ih", "oh", "ou")
    names = tuple(f"vrc.v_{name}" for name in spelled)
    rig = load(tmp_path, Avatar(names))
    assert rig.report.approximated["jawOpen"] == "visemes"
    (driven,) = rig.target_weights(values(jawOpen=0.6)[None]).values()
    assert driven[0].argmax() == names.index("vrc.v_aa")


def test_shapes_that_visemes_do_not_carry_are_kept(tmp_path: Path) -> None:
    names = (*(f"viseme_{name}" for name in OCULUS), "jawOpen", "jawLeft", "mouthSmileLeft")
    rig = load(tmp_path, Avatar(names))
    assert set(rig.report.matched) == {"jawLeft", "mouthSmileLeft"}
    (driven,) = rig.target_weights(values(jawLeft=1, jawOpen=0.6)[None]).values()
    assert driven[0, names.index("jawLeft")] == 1
    assert driven[0, names.index("jawOpen")] == 0


def test_arkit_shapes_leave_visemes_alone(tmp_path: Path) -> None:
    names = (*ARKIT_SHAPES, *(f"viseme_{name}" for name in OCULUS), "mouthSmile", "mouthOpen")
    rig = load(tmp_path, Avatar(names))
    (driven,) = rig.target_weights(values(jawOpen=1, mouthSmileLeft=1)[None]).values()
    assert np.flatnonzero(driven[0]).tolist() == [names.index("jawOpen"), names.index("mouthSmileLeft")]


def test_vrm_expressions_are_driven(tmp_path: Path) -> None:
    rig = load(tmp_path, vrm1(), "me.vrm")
    assert rig.report.bones["head"] == "thing 2"
    assert rig.report.approximated["eyeBlinkLeft"] == "blink"
    assert rig.report.approximated["jawOpen"] == "visemes"
    assert rig.report.approximated["eyeLookUpLeft"] == "bone thing 3"
    (driven,) = rig.target_weights(np.stack([values(eyeBlinkLeft=1), values(jawOpen=0.6)])).values()
    assert driven[0, 5] == 0.5
    assert 0.3 < driven[1, 0] <= 0.8
    assert not driven[:, 6].any()
    same_as_played(tmp_path, rig, np.ones(3))


def test_vrm_0_is_turned_round_and_stays_turned_in_its_own_file(tmp_path: Path) -> None:
    rig = load(tmp_path, vrm0(), "me.vrm")
    assert rig.report.matched["browInnerUp"] == "BrowInnerUp"
    assert rig.report.approximated["eyeBlinkRight"] == "blinkRight"
    (driven,) = rig.target_weights(np.stack([values(browInnerUp=1), values(eyeBlinkRight=1)])).values()
    assert driven[0, 7] == 0.5
    assert driven[1, 6] == 1
    same_as_played(tmp_path, rig, TURNED)


def test_a_jaw_bone_opens_the_mouth_where_no_shape_does(tmp_path: Path) -> None:
    rig = load(tmp_path, Avatar(("browInnerUp",), eyes=("jaw", "RightEye")))
    assert rig.report.approximated["jawOpen"] == "bone jaw"
    moved = np.abs(rig.pose(values(jawOpen=1)) - rig.mesh.vertices).max(axis=1)
    assert 0.002 < moved.max() < 0.012 * 2 * np.sin(JAW / 2) * 1.5
    motion = Motion(np.stack([values(), values(jawOpen=1, headX=0.2)]), ARKIT, Fraction(25))
    out.write(motion, tmp_path / "out.glb", rig)
    player = Player(tmp_path / "out.glb")
    rest, played = np.concatenate(player.play(0)), np.concatenate(player.play(1))
    at = np.linalg.norm(rest[:, None] - rig.mesh.vertices[None], axis=2).argmin(axis=1)
    np.testing.assert_allclose(played, rig.pose(motion.values[1])[at], atol=1e-5)


def test_the_users_file_leaves_as_it_came_but_for_the_animation(tmp_path: Path) -> None:
    avatar = Avatar(texture=halves((255, 0, 0, 255), (0, 0, 255, 255)))
    avatar.json["extras"] = {"mine": [1, {"ü": None}]}
    rig = load(tmp_path, avatar)
    out.write(performance(), tmp_path / "out.glb", rig)
    player = Player(tmp_path / "out.glb")
    assert player.binary[: len(avatar.binary)] == bytes(avatar.binary)
    for key, value in avatar.json.items():
        if isinstance(value, list) and key not in ("buffers",):
            assert player.json[key][: len(value)] == value
    assert player.json["extras"] == avatar.json["extras"]
    assert [animation["name"] for animation in player.json["animations"]] == ["artalk"]
    # A second time: ours goes first and the other stays.
    again = gltf.load(tmp_path / "out.glb")
    out.write(performance(), tmp_path / "twice.glb", again)
    assert len(Player(tmp_path / "twice.glb").json["animations"]) == 2


def test_a_bone_with_a_matrix_can_be_animated(tmp_path: Path) -> None:
    avatar = Avatar()
    local = np.linalg.inv(avatar.rest()[2]) @ avatar.rest()[3]
    node = avatar.json["nodes"][3]
    del node["translation"], node["rotation"]
    node["matrix"] = local.T.reshape(-1).tolist()
    rig = load(tmp_path, avatar)
    same_as_played(tmp_path, rig, np.ones(3))


def test_textures_colour_the_vertices_and_masks_cut_holes(tmp_path: Path) -> None:
    picture = halves((255, 0, 0, 255), (0, 188, 0, 0))
    rig = load(tmp_path, Avatar(texture=picture))
    skin = rig.mesh.materials[0]
    assert skin.color == pytest.approx((0.8, 0.6, 0.5))
    used = np.unique(rig.mesh.faces[rig.mesh.face_materials == 0])
    colors = rig.mesh.colors[used]
    red, green = colors[:, 0].max(), colors[:, 1].max()
    assert red == pytest.approx(1, abs=0.01)
    assert green == pytest.approx(0.503, abs=0.01)
    masked = load(tmp_path, Avatar(texture=picture, alpha="MASK"))
    share = (masked.mesh.face_materials == 0).sum() / (rig.mesh.face_materials == 0).sum()
    assert 0.4 < share < 0.6


def test_a_broken_texture_is_a_note_and_no_more(tmp_path: Path) -> None:
    rig = load(tmp_path, Avatar(texture=b"\x89PNG\r\n\x1a\nbroken"))
    assert any("Wolf3D_Skin" in note for note in rig.report.notes)


def test_seams_are_welded_but_lips_are_not(tmp_path: Path) -> None:
    whole = load(tmp_path, Avatar())
    assert len(whole.mesh.vertices) == 9 * 12 + 2 * 5 * 12 + 6 * 12
    avatar = Avatar()
    first = avatar.json["meshes"][0]["primitives"][0]
    avatar.json["meshes"][0]["primitives"].append(json.loads(json.dumps(first)))
    assert len(load(tmp_path, avatar).mesh.vertices) == len(whole.mesh.vertices)
    for target in avatar.json["meshes"][0]["primitives"][-1]["targets"]:
        target.clear()
    assert len(load(tmp_path, avatar).mesh.vertices) == len(whole.mesh.vertices) + 9 * 12


def test_a_gltf_reads_its_own_folder_and_nothing_else(tmp_path: Path) -> None:
    avatar = Avatar()
    avatar.bytes()
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "me.bin").write_bytes(avatar.binary)
    (tmp_path / "secret.bin").write_bytes(avatar.binary)
    embedded = "data:application/octet-stream;base64," + base64.b64encode(avatar.binary).decode()
    for uri in ("me.bin", "./me.bin", embedded):
        avatar.json["buffers"][0]["uri"] = uri
        (folder / "me.gltf").write_text(json.dumps(avatar.json))
        rig = gltf.load(folder / "me.gltf")
        out.write(performance(), folder / "out.glb", rig)
        assert Player(folder / "out.glb").binary.startswith(bytes(avatar.binary))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    for uri in (
        "../secret.bin",
        str(tmp_path / "secret.bin"),
        "file:///etc/passwd",
        "http://x/y",
        "%2e%2e/secret.bin",
        "link.bin",
    ):
        avatar.json["buffers"][0]["uri"] = uri
        (folder / "me.gltf").write_text(json.dumps(avatar.json))
        with pytest.raises(BadFile, match="own folder"):
            gltf.load(folder / "me.gltf")
    avatar.json["buffers"][0]["uri"] = "gone.bin"
    (folder / "me.gltf").write_text(json.dumps(avatar.json))
    with pytest.raises(MissingFile, match="gone.bin"):
        gltf.load(folder / "me.gltf")


def test_what_is_no_avatar_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        gltf.load(tmp_path / "nowhere.glb")
    for name, data in {"a.glb": b"", "b.glb": b"hello world, I am text", "c.gltf": b"{", "d.gltf": b"[]"}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadFile, match=name):
            gltf.load(tmp_path / name)
    avatar = Avatar()
    avatar.json["extensionsRequired"] = ["KHR_draco_mesh_compression"]
    with pytest.raises(Unsupported, match="without compression"):
        load(tmp_path, avatar)
    with pytest.raises(BadFile, match="no triangles"):
        load(tmp_path, Avatar(document={"scenes": [{"nodes": []}]}))
    (tmp_path / "huge.gltf").write_text('{"asset": {"version": "2.0", "extras": 1e999}}')
    with pytest.raises(BadFile, match="no finite number"):
        gltf.load(tmp_path / "huge.gltf")
    (tmp_path / "cut.glb").write_bytes(Avatar().bytes()[:-100])
    with pytest.raises(BadFile, match="cut short"):
        gltf.load(tmp_path / "cut.glb")


def test_sizes_that_are_only_claimed_do_not_fill_the_memory(tmp_path: Path) -> None:
    for count in (2_000_000, 10**9):
        avatar = Avatar()
        position = avatar.json["meshes"][1]["primitives"][0]["attributes"]["POSITION"]
        avatar.json["accessors"][position] = {"componentType": 5126, "count": count, "type": "VEC3"}
        with pytest.raises(BadFile, match="simplify|too large|whole number"):
            load(tmp_path, avatar)
    avatar = Avatar()
    avatar.json["nodes"] += [{"mesh": 1} for _ in range(5000)]
    avatar.json["scenes"][0]["nodes"] += list(range(8, 5008))
    with pytest.raises(BadFile, match="parts"):
        load(tmp_path, avatar)


def test_an_avatar_that_nothing_moves_cannot_be_written(tmp_path: Path) -> None:
    rig = load(tmp_path, Avatar((), bones=False))
    assert len(rig.report.missing) == 52
    assert "no bone for head" in str(rig.report)
    with pytest.raises(Unsupported, match="no shape"):
        out.write(performance(), tmp_path / "out.glb", rig)


def test_the_table_has_a_row_for_everything(tmp_path: Path) -> None:
    rows = load(tmp_path, vrm1()).report.rows()
    assert [name for name, _, _ in rows[:52]] == list(ARKIT_SHAPES)
    assert {state for _, state, _ in rows} == {"matched", "approximated", "missing"}


SMALL = Avatar(("jawOpen", "viseme_aa"), texture=halves((9, 9, 9, 255), (1, 2, 3, 0))).bytes()


@given(at=st.integers(0, len(SMALL) - 1), new=st.binary(min_size=1, max_size=8))
def test_changed_bytes_give_an_avatar_or_a_typed_error(
    tmp_path_factory: pytest.TempPathFactory, at: int, new: bytes
) -> None:
    survives(tmp_path_factory, SMALL[:at] + new + SMALL[at + len(new) :])


@given(length=st.integers(0, len(SMALL)))
def test_cut_bytes_give_a_typed_error(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    survives(tmp_path_factory, SMALL[:length])


JUNK = st.sampled_from(
    [None, -1, 0, 1, 10**12, 10**400, 1e300, 0.5, "x", [], {}, [[]], [{}], {"a": 1}, True, [1, 2, 3], [-1]]
)


@given(data=st.data())
def test_changed_documents_give_an_avatar_or_a_typed_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    avatar = data.draw(st.sampled_from([vrm0, vrm1, Avatar]))()
    place: object = avatar.json
    parent, key = None, None
    for _ in range(data.draw(st.integers(1, 7))):
        if isinstance(place, dict) and place:
            parent, key = place, data.draw(st.sampled_from(sorted(place)))
        elif isinstance(place, list) and place:
            parent, key = place, data.draw(st.integers(0, len(place) - 1))
        else:
            break
        place = parent[key]
    parent[key] = data.draw(JUNK)
    try:
        made = avatar.bytes()
    except (ValueError, TypeError):
        return
    survives(tmp_path_factory, made)


def survives(factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = factory.getbasetemp()
    (folder / "fuzz.glb").write_bytes(data)
    try:
        rig = gltf.load(folder / "fuzz.glb")
        posed = rig.pose(values(jawOpen=1, headX=0.1, eyeLookUpLeft=1))
        assert np.isfinite(posed).all()
        out.write(performance(2), folder / "fuzzed.glb", rig)
        struct.unpack("<4sII", (folder / "fuzzed.glb").read_bytes()[:12])
        out.read(folder / "fuzzed.glb")
    except ArtalkError:
        return
