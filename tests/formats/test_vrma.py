import json
import shutil
import struct
import subprocess
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artalk import rotation
from artalk.channels import ARKIT, ARKIT_SHAPES, FLAME
from artalk.errors import ArtalkError, BadFile, BadInput, Unsupported
from artalk.formats import files, vrma
from artalk.motion import Motion, exact_fps
from artalk.retarget.maps import VRM, VRM0, retarget
from tests.formats.motions import arkit

# What VRM 1.0 requires of a humanoid.
REQUIRED = ["hips", "spine", "head"] + [
    side + bone
    for side in ("left", "right")
    for bone in ("UpperLeg", "LowerLeg", "Foot", "UpperArm", "LowerArm", "Hand")
]


def document(path):
    """The JSON and the bytes of a GLB, read without our reader."""
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + size]), data[28 + size :]


def accessor(parsed, binary, index):
    item = parsed["accessors"][index]
    view = parsed["bufferViews"][item["bufferView"]]
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[item["type"]]
    offset = view.get("byteOffset", 0) + item.get("byteOffset", 0)
    return np.frombuffer(binary, "<f4", item["count"] * width, offset).reshape(-1, width)


def tracks(path):
    parsed, binary = document(path)
    animation = parsed["animations"][0]
    found = {}
    for channel in animation["channels"]:
        sampler = animation["samplers"][channel["sampler"]]
        key = parsed["nodes"][channel["target"]["node"]]["name"], channel["target"]["path"]
        found[key] = accessor(parsed, binary, sampler["input"])[:, 0], accessor(parsed, binary, sampler["output"])
    return found


def test_the_file_is_what_the_specification_asks_for(tmp_path):
    motion = arkit(30, 25)
    files.save(motion, tmp_path / "a.vrma")
    parsed, _ = document(tmp_path / "a.vrma")
    assert parsed["extensionsUsed"] == ["VRMC_vrm_animation"]
    extension = parsed["extensions"]["VRMC_vrm_animation"]
    assert extension["specVersion"] == "1.0"
    bones = extension["humanoid"]["humanBones"]
    assert set(REQUIRED) <= set(bones)
    assert not {"leftEye", "rightEye"} & set(bones)
    presets = extension["expressions"]["preset"]
    assert {"aa", "ih", "ou", "ee", "oh", "blink"} <= set(presets)
    assert not [name for name in presets if name.startswith("look")]
    moved = {(channel["target"]["node"], channel["target"]["path"]) for channel in parsed["animations"][0]["channels"]}
    assert moved == {
        (bones["head"]["node"], "rotation"),
        (extension["lookAt"]["node"], "rotation"),
        *((item["node"], "translation") for item in presets.values()),
    }
    names = [node["name"] for node in parsed["nodes"]]
    left = parsed["nodes"][names.index("leftUpperArm")]
    assert left["translation"][0] > 0  # the subject's left is +X


def test_the_tracks_hold_the_motion(tmp_path):
    motion = arkit(30, 25)
    files.save(motion, tmp_path / "a.vrma")
    found = tracks(tmp_path / "a.vrma")
    times, quats = found["head", "rotation"]
    np.testing.assert_allclose(times, np.arange(30) / 25, atol=1e-6)
    np.testing.assert_allclose(rotation.quat_to_rotvec(quats), motion.group("head"), atol=1e-6)
    spoken = retarget(motion, VRM)
    np.testing.assert_allclose(found["aa", "translation"][1][:, 0], spoken.channel("aa"), atol=1e-6)
    assert not found["aa", "translation"][1][:, 1:].any()


def test_the_gaze_turns_to_where_the_eyes_look(tmp_path):
    still = Motion(np.zeros((2, len(ARKIT))), ARKIT, exact_fps(30))
    left_and_up = {"eyeLookOutLeft": 1, "eyeLookInRight": 1, "eyeLookUpLeft": 0.5, "eyeLookUpRight": 0.5}
    files.save(still.with_channels(**left_and_up), tmp_path / "a.vrma")
    quat = tracks(tmp_path / "a.vrma")["lookAt", "rotation"][1][0]
    x, y, z = rotation.quat_to_matrix(quat) @ [0.0, 0.0, 1.0]
    assert x > 0.4  # the subject's left
    assert y > 0.2
    assert z > 0.8


@given(st.integers(1, 40), st.sampled_from([24, 25, 29.97, 30, 60]), st.sampled_from([VRM, VRM0]), st.integers(0, 9))
def test_presets_come_back(tmp_path_factory, frames, fps, channels, seed):
    path = tmp_path_factory.mktemp("vrma") / "a.vrma"
    rng = np.random.default_rng(seed)
    motion = Motion(rng.uniform(0, 0.4, (frames, len(channels))), channels, exact_fps(fps))
    looks = {
        name: rng.uniform(0, 1, frames) if name.lower() in ("lookup", "lookleft") else 0
        for name in channels.names
        if name.lower().startswith("look")
    }
    motion = motion.with_channels(**looks)
    files.save(motion, path)
    back = files.load(path, fps=fps)
    assert back.channels is VRM
    np.testing.assert_allclose(back.values, retarget_names(motion).values, atol=1e-5)


def retarget_names(motion):
    """VRM 0.x's presets by their 1.0 names, without going through ARKit."""
    from artalk.retarget.vrm import OLD_NAMES

    values = np.zeros((len(motion), len(VRM)), np.float32)
    for name in motion.channels.names:
        values[:, VRM.index(OLD_NAMES.get(name, name))] = motion.channel(name)
    return Motion(values, VRM, motion.fps)


@pytest.mark.parametrize("expressions", ["PascalCase", "camelCase"])
def test_arkits_shapes_come_back_by_name(tmp_path, expressions):
    motion = arkit(30, 60)
    files.save(motion, tmp_path / "a.vrma", expressions=expressions)
    parsed, _ = document(tmp_path / "a.vrma")
    custom = parsed["extensions"]["VRMC_vrm_animation"]["expressions"]["custom"]
    assert ("JawOpen" if expressions == "PascalCase" else "jawOpen") in custom
    back = files.load(tmp_path / "a.vrma")
    assert (back.channels, back.fps) == (ARKIT, 60)
    mouth = [k for k, name in enumerate(ARKIT.names) if not name.startswith("eyeLook")]
    np.testing.assert_allclose(back.values[:, mouth], motion.values[:, mouth], atol=1e-6)


def test_bones_that_rest_turned_are_understood(tmp_path):
    motion = arkit(10, 30)
    files.save(motion, tmp_path / "a.vrma")
    parsed, binary = document(tmp_path / "a.vrma")
    rest = rotation.rotvec_to_quat([0.3, 1.0, -0.2])
    neck = next(node for node in parsed["nodes"] if node["name"] == "neck")
    neck["rotation"] = rest.tolist()
    # The same turn of the head in the model's axes, told in those of a neck that rests turned.
    quats = rotation.rotvec_to_quat(motion.group("head"))
    turned = rotation.quat_multiply(rotation.quat_conjugate(rest), rotation.quat_multiply(quats, rest))
    item = parsed["accessors"][parsed["animations"][0]["samplers"][0]["output"]]
    offset = parsed["bufferViews"][item["bufferView"]].get("byteOffset", 0) + item.get("byteOffset", 0)
    data = turned.astype("<f4").tobytes()
    binary = binary[:offset] + data + binary[offset + len(data) :]
    (tmp_path / "b.vrma").write_bytes(pack(parsed, binary))
    np.testing.assert_allclose(files.load(tmp_path / "b.vrma").group("head"), motion.group("head"), atol=1e-5)


def pack(parsed, binary):
    text = json.dumps(parsed).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def test_what_it_cannot_hold_is_refused(tmp_path):
    with pytest.raises(Unsupported, match="retarget it first"):
        files.save(Motion(np.zeros((2, 106)), FLAME, exact_fps(25)), tmp_path / "a.vrma")
    with pytest.raises(BadInput, match="at least one frame"):
        files.save(arkit(0), tmp_path / "a.vrma")
    with pytest.raises(BadInput, match="expressions are"):
        files.save(arkit(2), tmp_path / "a.vrma", expressions="snake")
    with pytest.raises(Unsupported, match="need ARKit motion"):
        files.save(retarget(arkit(2), VRM), tmp_path / "a.vrma", expressions="camelCase")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda parsed: parsed.pop("extensions"), "VRMC_vrm_animation"),
        (lambda parsed: parsed.pop("animations"), "no animation"),
        (lambda parsed: parsed["animations"][0].update(channels=[]), "moves no node"),
        (lambda parsed: parsed["animations"][0]["samplers"][0].update(output=0), "rising times"),
        (lambda parsed: parsed["animations"][0]["samplers"][0].update(input=999), "index"),
        (lambda parsed: parsed["extensions"]["VRMC_vrm_animation"].update(expressions=3), "expressions"),
        (lambda parsed: parsed["extensions"]["VRMC_vrm_animation"]["humanoid"].update(humanBones=[]), "humanBones"),
        (lambda parsed: parsed["nodes"][4].update(rotation=[0, 0, 0, 0]), "no length"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, change, says):
    files.save(arkit(3), tmp_path / "a.vrma")
    parsed, binary = document(tmp_path / "a.vrma")
    change(parsed)
    (tmp_path / "a.vrma").write_bytes(pack(parsed, binary))
    with pytest.raises(BadFile, match=says):
        files.load(tmp_path / "a.vrma")


@settings(max_examples=100)
@given(st.data())
def test_damaged_bytes_end_in_a_typed_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("vrma") / "a.vrma"
    files.save(arkit(3), path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))]))
    with suppress(ArtalkError):
        files.load(path)


@given(st.data())
def test_mutated_documents_end_in_a_typed_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("vrma") / "a.vrma"
    files.save(arkit(3), path)
    parsed, binary = document(path)
    junk = st.sampled_from([None, -1, 0, 1, 99999, 1e30, "", "x", [], {}, [1], True])
    for _ in range(data.draw(st.integers(1, 3))):
        here = parsed
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(here[key], dict | list) or not here[key] or data.draw(st.integers(0, 3)) == 0:
                here[key] = data.draw(junk)
                break
            here = here[key]
    path.write_bytes(pack(parsed, binary))
    with suppress(ArtalkError):
        files.load(path)


@pytest.mark.parametrize("expressions", ["presets", "PascalCase"])
def test_the_khronos_validator_finds_no_error(tmp_path, expressions):
    node = shutil.which("node")
    if node is None:
        pytest.skip("the Khronos validator needs node")
    files.save(arkit(30, 25), tmp_path / "a.vrma", expressions=expressions)
    script = """
        const v = require("gltf-validator"), fs = require("fs")
        v.validateBytes(new Uint8Array(fs.readFileSync(process.argv[1])))
            .then(report => console.log(JSON.stringify(report.issues)))
    """
    run = subprocess.run([node, "-e", script, str(tmp_path / "a.vrma")], capture_output=True, text=True, timeout=120)
    if "Cannot find module" in run.stderr:
        pytest.skip("the Khronos validator is not installed: npm install gltf-validator, and NODE_PATH where it is")
    issues = json.loads(run.stdout)
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"][:5]


def test_every_arkit_shape_has_its_own_custom_expression(tmp_path):
    vrma.write(arkit(2), tmp_path / "a.vrma", expressions="camelCase")
    parsed, _ = document(tmp_path / "a.vrma")
    custom = parsed["extensions"]["VRMC_vrm_animation"]["expressions"]["custom"]
    assert sorted(custom) == sorted(name for name in ARKIT_SHAPES if not name.startswith("eyeLook"))
