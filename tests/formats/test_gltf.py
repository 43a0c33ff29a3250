import json
import os
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from artalk.channels import ARKIT, ARKIT_SHAPES, FLAME, Channels, Group
from artalk.errors import ArtalkError, BadFile, BadInput, MissingFile, Unsupported
from artalk.formats import files, gltf
from artalk.motion import Motion
from artalk.rigs import ict
from artalk.rigs.blendshape import BlendshapeRig, joint_rotations
from artalk.rigs.gltf import load
from artalk.rigs.head import head as built_in
from artalk.rigs.rig import Joint, Material, Mesh
from artalk.rotation import rotvec_to_matrix
from tests.avatars import Avatar, halves, vrm0, vrm1
from tests.gltf_player import Player
from tests.shared import shared

FPS = Fraction(30000, 1001)


def ball(centre: tuple[float, float, float], radius: float, rows: int = 8) -> tuple[np.ndarray, np.ndarray]:
    down, round_ = np.meshgrid(np.linspace(0.2, np.pi - 0.2, rows), np.arange(12) * np.pi / 6, indexing="ij")
    points = np.stack([np.sin(down) * np.cos(round_), np.cos(down), np.sin(down) * np.sin(round_)], axis=-1)
    at = np.arange(rows * 12).reshape(rows, 12)
    a, b, c, d = at[:-1], np.roll(at, -1, 1)[:-1], np.roll(at, -1, 1)[1:], at[1:]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return points.reshape(-1, 3) * radius + centre, faces


def head(missing: tuple[str, ...] = ("tongueOut",)) -> BlendshapeRig:
    """A skull with a lighter upper half, two eyes and a jaw joint that holds some skin."""
    skull, faces = ball((0, 0, 0), 0.1, 12)
    left, eye_faces = ball((0.03, 0.03, 0.08), 0.012)
    right, _ = ball((-0.03, 0.03, 0.08), 0.012)
    vertices = np.concatenate([skull, left, right]).astype(np.float32)
    starts = [0, len(skull), len(skull) + len(left)]
    all_faces = np.concatenate([faces, eye_faces + starts[1], eye_faces + starts[2]])
    upper = (vertices[all_faces, 1].mean(axis=1) > 0).astype(np.int32)
    upper[len(faces) :] = 2
    shapes = tuple(name for name in ARKIT_SHAPES if name not in missing)
    rng = np.random.default_rng(1)
    deltas = rng.normal(0, 0.004, (len(shapes), len(vertices), 3)).astype(np.float32)
    deltas[rng.random(deltas.shape[:2]) < 0.7] = 0
    deltas[:, len(skull) :] = 0
    skin = np.zeros((len(vertices), 5), np.float32)
    share = np.clip(skull[:, 1] * 10 + 1, 0, 1)
    skin[: len(skull), 1] = share
    skin[: len(skull), 0] = 1 - share
    low = skull[:, 1] < -0.02
    skin[: len(skull)][low, 2] = skin[: len(skull)][low, 1]
    skin[: len(skull)][low, 1] = 0
    skin[starts[1] : starts[2], 3] = 1
    skin[starts[2] :, 4] = 1
    joints = (
        Joint("neck", (0, -0.1, 0)),
        Joint("head", (0, -0.05, -0.01), "neck"),
        Joint("jaw", (0, -0.02, 0.01), "head"),
        Joint("leftEye", (0.03, 0.03, 0.08), "head"),
        Joint("rightEye", (-0.03, 0.03, 0.08), "head"),
    )
    materials = (
        Material("skin", (0.8, 0.6, 0.5)),
        Material("brow", (0.3, 0.2, 0.2), 0.9, 0.5),
        Material("eye", (1, 1, 1), 0.1),
    )
    colors = rng.random(vertices.shape).astype(np.float32)
    mesh = Mesh(vertices, all_faces.astype(np.int32), upper, materials, colors)
    return BlendshapeRig(mesh, shapes, deltas, joints, skin)


def performance(frames: int = 5, seed: int = 0, fps: Fraction = FPS) -> Motion:
    rng = np.random.default_rng(seed)
    values = rng.random((frames, len(ARKIT))) * (rng.random((frames, len(ARKIT))) < 0.5)
    values[:, -3:] = rng.normal(0, 0.3, (frames, 3))
    return Motion(values.astype(np.float32), ARKIT, fps)


def places(rig: BlendshapeRig) -> np.ndarray:
    """The rig's vertex for each vertex of the file."""
    used = [rig.mesh.faces[rig.mesh.face_materials == material] for material in range(len(rig.mesh.materials))]
    return np.concatenate([np.unique(faces) for faces in used])


def validate(path: Path, clean: bool = True) -> dict[str, int]:
    """What Khronos's validator counts, where node and its package gltf-validator are installed."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("the Khronos validator needs node")
    script = """
        const v = require("gltf-validator"), fs = require("fs")
        v.validateBytes(new Uint8Array(fs.readFileSync(process.argv[1])))
            .then(report => console.log(JSON.stringify(report.issues)))
    """
    run = subprocess.run([node, "-e", script, str(path)], capture_output=True, text=True, env=os.environ, timeout=120)
    if "Cannot find module" in run.stderr:
        pytest.skip(
            "the Khronos validator is not installed: npm install gltf-validator, and NODE_PATH its node_modules"
        )
    assert run.returncode == 0, run.stderr
    issues = json.loads(run.stdout)
    assert not (clean and issues["messages"]), issues["messages"][:5]
    return issues


def test_a_second_reader_poses_the_file_as_the_rig_poses_itself(tmp_path: Path) -> None:
    rig, motion = head(), performance()
    gltf.write(motion, tmp_path / "head.glb", rig)
    player = Player(tmp_path / "head.glb")
    at = places(rig)
    for key in range(len(motion)):
        posed = np.concatenate(player.play(key))
        np.testing.assert_allclose(posed, rig.pose(motion.values[key])[at], atol=1e-5)


def test_all_52_shapes_are_named_and_one_that_the_rig_lacks_is_empty(tmp_path: Path) -> None:
    gltf.write(performance(), tmp_path / "head.glb", head(missing=("tongueOut", "jawOpen")))
    player = Player(tmp_path / "head.glb")
    mesh = player.json["meshes"][0]
    assert mesh["extras"]["targetNames"] == list(ARKIT_SHAPES)
    for primitive in mesh["primitives"]:
        assert len(primitive["targets"]) == 52
        for name, target in zip(ARKIT_SHAPES, primitive["targets"], strict=True):
            assert set(target) == {"POSITION", "NORMAL"}
            if name in ("tongueOut", "jawOpen"):
                assert not player.array(target["POSITION"]).any()
    skull = mesh["primitives"][0]["targets"]
    assert player.array(skull[ARKIT_SHAPES.index("mouthPucker")]["POSITION"]).any()


def test_keys_stand_at_their_frames_and_carry_the_motion(tmp_path: Path) -> None:
    motion = performance(40)
    gltf.write(motion, tmp_path / "head.glb", head())
    player = Player(tmp_path / "head.glb")
    names = {node.get("name"): index for index, node in enumerate(player.nodes)}
    channels = player.channels()
    times, weights = channels[names["face"], "weights"]
    assert (np.diff(times) > 0).all()
    np.testing.assert_allclose(times, np.arange(40) * 1001 / 30000, rtol=1e-6)
    np.testing.assert_array_equal(weights, motion.values[:, :52])
    turns = joint_rotations(motion.values)
    for joint in ("head", "jaw", "leftEye", "rightEye"):
        quats = channels[names[joint], "rotation"][1]
        np.testing.assert_allclose(np.linalg.norm(quats, axis=1), 1, atol=1e-6)
        x, y, z, w = quats[7]
        expected = rotvec_to_matrix(turns[joint][7])
        assert expected[2, 1] - expected[1, 2] == pytest.approx(4 * x * w, abs=1e-5)
        assert expected[0, 2] - expected[2, 0] == pytest.approx(4 * y * w, abs=1e-5)
        assert expected[1, 0] - expected[0, 1] == pytest.approx(4 * z * w, abs=1e-5)
    assert {s["interpolation"] for s in player.json["animations"][0]["samplers"]} == {"LINEAR"}


def test_materials_are_primitives_with_linear_colours(tmp_path: Path) -> None:
    rig = head()
    gltf.write(performance(), tmp_path / "head.glb", rig)
    player = Player(tmp_path / "head.glb")
    primitives = player.json["meshes"][0]["primitives"]
    assert [player.json["materials"][p["material"]]["name"] for p in primitives] == ["skin", "brow", "eye"]
    surface = player.json["materials"][1]["pbrMetallicRoughness"]
    assert surface["baseColorFactor"] == pytest.approx([0.3, 0.2, 0.2, 1])
    assert surface["roughnessFactor"] == 0.9
    colors = np.concatenate([player.array(p["attributes"]["COLOR_0"]) for p in primitives])
    np.testing.assert_allclose(colors, rig.mesh.colors[places(rig)])
    triangles = sum(player.json["accessors"][p["indices"]]["count"] // 3 for p in primitives)
    assert triangles == len(rig.mesh.faces)


def test_normals_point_outwards_and_their_targets_follow_the_shape(tmp_path: Path) -> None:
    rig = head()
    gltf.write(performance(), tmp_path / "head.glb", rig)
    player = Player(tmp_path / "head.glb")
    primitive = player.json["meshes"][0]["primitives"][0]
    points = player.array(primitive["attributes"]["POSITION"])
    normals = player.array(primitive["attributes"]["NORMAL"])
    outward = np.sign((normals * points).sum(axis=1))
    assert (outward == outward[0]).all()
    target = primitive["targets"][ARKIT_SHAPES.index("mouthPucker")]
    moved = rig.mesh.vertices + rig.deltas[rig.shapes.index("mouthPucker")]
    at = np.unique(rig.mesh.faces[rig.mesh.face_materials == 0])
    expected = gltf.vertex_normals(moved, rig.mesh.faces)[at]
    np.testing.assert_allclose(normals + player.array(target["NORMAL"]), expected, atol=2 * gltf.TILTS)


def test_khronos_finds_nothing(tmp_path: Path) -> None:
    gltf.write(performance(), tmp_path / "head.glb", head())
    assert validate(tmp_path / "head.glb")["numErrors"] == 0
    gltf.write(performance(1), tmp_path / "one.glb", head(missing=ARKIT_SHAPES[1:]))
    assert validate(tmp_path / "one.glb")["numWarnings"] == 0


def test_a_rig_without_joints_is_written_without_a_skin(tmp_path: Path) -> None:
    rig = head()
    bare = BlendshapeRig(rig.mesh, rig.shapes, rig.deltas, (), np.zeros((len(rig.mesh.vertices), 0), np.float32))
    motion = performance()
    gltf.write(motion, tmp_path / "bare.glb", bare)
    player = Player(tmp_path / "bare.glb")
    assert "skins" not in player.json
    np.testing.assert_allclose(np.concatenate(player.play(2)), bare.pose(motion.values[2])[places(bare)], atol=1e-5)


def test_a_real_head_fits_into_few_megabytes(tmp_path: Path) -> None:
    rig = ict.load(shared("assets/ict_facekit_light.npz"))
    motion = performance(3)
    gltf.write(motion, tmp_path / "ict.glb", rig)
    dense = rig.deltas.nbytes * 2
    assert (tmp_path / "ict.glb").stat().st_size < 0.5 * dense
    posed = np.concatenate(Player(tmp_path / "ict.glb").play(1))
    np.testing.assert_allclose(posed, rig.pose(motion.values[1])[places(rig)], atol=1e-5)


def test_the_built_in_head_is_small_and_sound(tmp_path: Path) -> None:
    rig, motion = built_in(), performance(25)
    gltf.write(motion, tmp_path / "head.glb", rig)
    assert (tmp_path / "head.glb").stat().st_size < 5_000_000
    posed = np.concatenate(Player(tmp_path / "head.glb").play(7))
    np.testing.assert_allclose(posed, rig.pose(motion.values[7])[places(rig)], atol=1e-5)
    assert validate(tmp_path / "head.glb")["numErrors"] == 0


def test_what_cannot_be_written_is_said_and_leaves_no_file(tmp_path: Path) -> None:
    rig, motion = head(), performance()
    flame = Motion(np.zeros((2, len(FLAME)), np.float32), FLAME, Fraction(25))
    with pytest.raises(BadInput, match="rig"):
        gltf.write(motion, tmp_path / "a.glb")
    with pytest.raises(Unsupported, match="retarget"):
        gltf.write(flame, tmp_path / "a.glb", rig)
    with pytest.raises(BadInput, match="at least one frame"):
        gltf.write(Motion(motion.values[:0], ARKIT, FPS), tmp_path / "a.glb", rig)
    with pytest.raises(BadInput, match=r"called \.glb"):
        gltf.write(motion, tmp_path / "a.gltf", rig)
    with pytest.raises(MissingFile):
        gltf.write(motion, tmp_path / "no" / "a.glb", rig)
    empty = Mesh(
        rig.mesh.vertices, rig.mesh.faces[:0], rig.mesh.face_materials[:0], rig.mesh.materials, rig.mesh.colors
    )
    with pytest.raises(ArtalkError, match="faces"):
        gltf.write(motion, tmp_path / "a.glb", BlendshapeRig(empty, rig.shapes, rig.deltas, rig.joints, rig.skin))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fps", ["24", "25", "30000/1001", "30", "100/3", "60", "120", "1000"])
def test_reading_gives_the_motion_back(tmp_path: Path, fps: str) -> None:
    motion = performance(50, fps=Fraction(fps))
    gltf.write(motion, tmp_path / "head.glb", head())
    again = gltf.read(tmp_path / "head.glb")
    assert again.fps == motion.fps
    np.testing.assert_allclose(again.values[:, :52], motion.values[:, :52], atol=1e-4)
    np.testing.assert_allclose(again.values[:, 52:], motion.values[:, 52:], atol=1e-4)
    assert len(gltf.read(tmp_path / "head.glb", fps=50)) == int(49 / motion.fps * 50 + 1e-3) + 1


def test_an_avatar_gives_the_motion_back_too(tmp_path: Path) -> None:
    (tmp_path / "me.glb").write_bytes(Avatar(turned=True).bytes())
    motion = performance(9).clipped()
    gltf.write(motion, tmp_path / "out.glb", load(tmp_path / "me.glb"))
    again = gltf.read(tmp_path / "out.glb")
    np.testing.assert_allclose(again.values, motion.values, atol=1e-4)
    with pytest.raises(BadFile, match="no animation"):
        gltf.read(tmp_path / "me.glb")


def test_a_long_take_comes_back_whole(tmp_path: Path) -> None:
    values = np.zeros((108_000, len(ARKIT)), np.float32)  # half an hour at 60 fps: float32 seconds are coarse by then
    values[:, ARKIT.index("jawOpen")] = np.linspace(0, 1, len(values))
    gltf.write(Motion(values, ARKIT, Fraction(60)), tmp_path / "long.glb", head())
    again = gltf.read(tmp_path / "long.glb")
    assert (len(again), again.fps) == (108_000, 60)
    np.testing.assert_allclose(again.channel("jawOpen"), values[:, ARKIT.index("jawOpen")], atol=1e-6)


def test_a_vrm_stays_one_and_nothing_else_becomes_one(tmp_path: Path) -> None:
    for k, avatar in enumerate((vrm0(), vrm1())):
        (tmp_path / f"{k}.vrm").write_bytes(avatar.bytes())
        files.save(performance(), tmp_path / "out.vrm", rig=load(tmp_path / f"{k}.vrm"))
        again = load(tmp_path / "out.vrm")
        assert again.is_vrm
        assert again.document.json["animations"][0]["name"] == gltf.ANIMATION
        (tmp_path / "out.vrm").unlink()
    (tmp_path / "me.glb").write_bytes(Avatar().bytes())
    for rig in (head(), load(tmp_path / "me.glb")):
        with pytest.raises(BadInput, match="AVATAR.vrm"):
            files.save(performance(), tmp_path / "out.vrm", rig=rig)
    assert not (tmp_path / "out.vrm").exists()


def test_a_rig_of_other_channels_poses_and_is_refused(tmp_path: Path) -> None:
    rig = head()
    channels = Channels("two", (Group("shapes", 2),), ("open", "shut"))
    other = BlendshapeRig(rig.mesh, channels.names, rig.deltas[:2], rig.joints, rig.skin, channels=channels)
    np.testing.assert_allclose(other.pose(np.array([1, 0], np.float32)), rig.mesh.vertices + rig.deltas[0], atol=1e-6)
    with pytest.raises(Unsupported, match="'two'"):
        gltf.write(performance(), tmp_path / "a.glb", other)


def test_khronos_finds_nothing_in_an_avatar_either(tmp_path: Path) -> None:
    picture = halves((255, 0, 0, 255), (0, 0, 255, 255))
    for avatar in (Avatar(texture=picture), Avatar(("jawOpen", "viseme_aa")), Avatar(turned=True)):
        (tmp_path / "me.glb").write_bytes(avatar.bytes())
        gltf.write(performance(), tmp_path / "out.glb", load(tmp_path / "me.glb"))
        before, after = validate(tmp_path / "me.glb", clean=False), validate(tmp_path / "out.glb", clean=False)
        assert after["numErrors"] == 0, after
        # The avatar has a flaw of its own (a skinned mesh below a parent), which stays its only one.
        assert [m["code"] for m in after["messages"]] == [m["code"] for m in before["messages"]]
