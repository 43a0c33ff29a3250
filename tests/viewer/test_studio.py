"""The studio page in a real Chromium: what is heard is seen, and what is seen is what one gets."""

import json
import socket
import time
from pathlib import Path

import numpy as np
import pytest

import artalk
from artalk.channels import ARKIT, ARKIT_SHAPES, FLAME
from artalk.generators.generator import Condition, Generator
from artalk.generators.visemes import Visemes
from artalk.retarget import vrm
from artalk.rigs import gltf
from artalk.serve.app import serving
from artalk.serve.settings import Limits, Settings
from tests import avatars
from tests.serve.servers import running
from tests.viewer.browser import PATIENCE, Studio, chromium, open_studio, shy, write_wav

pytestmark = pytest.mark.slow  # drawing without a graphics card takes both cores for some 20 s

RATE = 48000
SOUND = Path("examples/hello.flac")
SMILES = ARKIT.indices(["mouthSmileLeft", "mouthSmileRight"])


class Moody(Generator):
    """The rules, with a style that smiles."""

    accepts = frozenset({"style"})
    styles = ("calm", "smiling")
    name = "moody"
    channels, fps, sample_rate = Visemes.channels, Visemes.fps, Visemes.sample_rate
    window, lookahead = Visemes.window, Visemes.lookahead

    def __init__(self):
        self.rules = Visemes()

    def begin(self, condition, seed):
        return self.rules.begin(Condition(), seed), self._smile(condition)

    def change(self, state, condition, seed):
        return self.rules.change(state[0], Condition(), seed), self._smile(condition)

    def step(self, state, samples):
        heard, smile = state
        frames, heard = self.rules.step(heard, samples)
        frames = frames.copy()
        frames[:, SMILES] += np.float32(0.6 * smile)
        return frames, (heard, smile)

    def _smile(self, condition):
        shares = condition.style or {}
        return shares.get("smiling", 0) / max(sum(shares.values()), 1e-9)


class Slow(Moody):
    """A model that works a little faster than one speaks."""

    name = "slow"

    def step(self, state, samples):
        time.sleep(0.1)
        return super().step(state, samples)


class InFlame(Moody):
    """A model whose numbers are not the page's."""

    name, channels = "in-flame", FLAME

    def step(self, state, samples):
        frames, state = super().step(state, samples)
        return np.zeros((len(frames), len(FLAME)), np.float32), state


@pytest.fixture(scope="module")
def speech():
    """Two seconds of speech between silences."""
    sound = artalk.listen("examples/hello.flac").resampled(RATE).samples
    return np.concatenate([np.zeros(RATE), sound[2 * RATE : 4 * RATE], np.zeros(2 * RATE)])


@pytest.fixture(scope="module")
def server():
    with running(models={"moody": Moody()}) as found:
        yield found


@pytest.fixture(scope="module")
def browser(speech, tmp_path_factory):
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    write_wav(path, speech, RATE)
    with chromium(path) as found:
        yield found


@pytest.fixture(scope="module")
def page(browser, server):
    """One page for most tests: opening it is what takes long."""
    return open_studio(browser, address(server), accept_downloads=True)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Half a second of a hum."""
    path = tmp_path_factory.mktemp("short") / "hum.wav"
    write_wav(path, 0.3 * np.sin(np.arange(RATE // 2) * 0.02), RATE)
    return path


def address(server):
    return f"http://127.0.0.1:{server.port}/"


@pytest.fixture
def studio(page):
    """The page, live and calm; afterwards without complaints."""
    page.until("s.state === 'here' && s.mode === 'live' && !s.microphone")
    yield page
    if page.state()["microphone"]:
        page.press("m")
    if page.state()["mode"] == "take":
        page.page.click("#back")
    page.page.evaluate("document.activeElement.blur()")
    assert page.complaints == []


def test_a_face_is_there_and_lives(studio):
    pose = studio.until("s.pose.length === 55")["pose"]
    studio.until(f"{pose}.some((x, k) => x !== s.pose[k])")
    assert studio.state()["apart"] < 0.02


def test_the_mouth_opens_with_the_voice_and_closes_after_it(studio):
    studio.press("m")
    studio.until("s.microphone && s.latency !== null")
    studio.until("s.loudness > 0.4")
    assert studio.until("s.apart > 0.1")["latency"] > 40
    studio.until("s.loudness < 0.02")
    studio.until("s.apart < 0.03")
    studio.press("m")
    assert not studio.state()["microphone"]
    health = studio.state()["health"]
    assert health["frames"] > 10


def test_a_recorded_take_is_what_is_saved(studio, tmp_path):
    studio.press("r")
    studio.until("s.recording && s.loudness > 0.4")
    studio.page.wait_for_timeout(700)
    studio.press("r")
    take = studio.until("s.mode === 'take' && s.whole")
    assert not take["microphone"]
    assert take["seconds"] > 0.7
    studio.slide("head", 1.5)
    studio.until("s.whole")
    studio.press("End")
    studio.press("Home")
    for _ in range(10):
        studio.press("ArrowRight")
    studio.until("Math.abs(s.position - 0.4) < 1e-6")
    for suffix in ("npz", "csv"):
        studio.press("d")
        with studio.page.expect_download() as download:
            studio.page.click(f"#formats button:has-text('.{suffix}')")
        download.value.save_as(tmp_path / f"take.{suffix}")
    saved = artalk.load(tmp_path / "take.npz")
    assert len(saved) == int(np.ceil(round(take["seconds"] * RATE) * 25 / RATE))
    studio.until(f"{saved.values[10].tolist()}.every((x, k) => Math.abs(x - s.pose[k]) < 2e-6)")
    assert len(artalk.load(tmp_path / "take.csv")) > 1
    studio.slide("head", 1)


def test_a_sound_file_plays_is_scrubbed_and_loops(studio):
    studio.page.set_input_files("#sound-file", "examples/hello.flac")
    opened = studio.until("s.mode === 'take' && s.playing && s.whole && s.position > 0.3")
    assert opened["seconds"] == pytest.approx(float(artalk.listen("examples/hello.flac").duration), abs=0.01)
    studio.press(" ")
    place = studio.state()["position"]
    assert not studio.state()["playing"]
    studio.press("Shift+ArrowRight")
    assert studio.state()["position"] == pytest.approx(place + 1, abs=1e-6)
    box = studio.page.locator("#curves").bounding_box()
    studio.page.mouse.click(box["x"] + box["width"] - 1, box["y"] + 8)
    assert studio.state()["position"] > 0.97 * opened["seconds"]
    studio.press("l")
    studio.press(" ")
    studio.until("s.playing && s.position > 0.1 && s.position < 5")
    studio.press("l")
    studio.press("Escape")
    studio.until("s.mode === 'live' && s.connection === 'here'")


def test_the_lanes_stand_still_under_a_drag(studio, tmp_path):
    """Of a sound that is longer than they are they follow the place, and a drag that moved them would run away."""
    write_wav(tmp_path / "long.wav", np.zeros(60 * RATE), RATE)
    studio.open_sound(tmp_path / "long.wav")
    studio.until("s.mode === 'take' && s.playing")
    studio.press(" ")
    box = studio.page.locator("#curves").bounding_box()

    def at(share, y):
        return box["x"] + 58 + share * (box["width"] - 58), box["y"] + y

    studio.page.mouse.click(*at(0.5, 8))
    studio.until("Math.abs(s.position - 30) < 1")
    studio.page.mouse.move(*at(0.75, 60))
    studio.page.mouse.down()
    places = []
    for pixel in range(10):
        x, y = at(0.75, 60)
        studio.page.mouse.move(x + pixel, y)
        places.append(studio.state()["position"])
    studio.press("Escape")
    studio.page.mouse.move(*at(0.2, 60))
    studio.page.mouse.up()
    assert places[0] == pytest.approx(33, abs=0.5)
    assert 0 < places[-1] - places[0] < 1


def test_style_and_strength_are_followed_by_takes_and_live(studio):
    smile, jaw = SMILES[0], ARKIT.index("jawOpen")
    studio.until(f"s.pose[{smile}] < 0.2")
    studio.slide("smiling", 1)
    studio.until(f"s.pose[{smile}] > 0.5")
    studio.page.set_input_files("#sound-file", "examples/hello.flac")
    studio.until(f"s.whole && s.pose[{smile}] > 0.5 && s.pose[{jaw}] > 0.05")
    studio.slide("lips", 0)
    studio.until(f"s.whole && s.pose[{smile}] === 0 && s.pose[{jaw}] === 0")
    studio.slide("lips", 1)
    studio.slide("smiling", 0)
    studio.until(f"s.whole && s.pose[{smile}] < 0.4")


def whole(avatar):
    """A VRM with all the bones that VRM wants; the test avatars have a head alone."""
    names = ["hips", "spine"]
    names += [side + part for side in ("left", "right") for part in ("UpperLeg", "LowerLeg", "Foot")]
    names += [side + part for side in ("left", "right") for part in ("UpperArm", "LowerArm", "Hand")]
    nodes = avatar.json["nodes"]
    nodes[0].setdefault("children", []).extend(range(len(nodes), len(nodes) + len(names)))
    places = {name: len(nodes) + k for k, name in enumerate(names)}
    nodes.extend({"name": name} for name in names)
    avatar.json["extensionsUsed"] = list(avatar.json["extensions"])
    extension = next(iter(avatar.json["extensions"].values()))
    if "specVersion" in extension:
        extension["humanoid"]["humanBones"] |= {name: {"node": node} for name, node in places.items()}
        extension["meta"] = {"name": "a test", "licenseUrl": "https://vrm.dev/licenses/1.0/", "authors": ["a test"]}
    else:
        extension["humanoid"]["humanBones"] += [{"bone": name, "node": node} for name, node in places.items()]
        extension["meta"] = {"title": "a test"}
    return avatar


def shown(studio, pose):
    """The weights of the morph targets of a head that takes this pose."""
    return studio.page.evaluate(
        """(pose) => {
            studio.actor.show(Float32Array.from(pose));
            studio.actor.tick(0);
            let found = null;
            studio.actor.object.traverse((part) => (found = part.morphTargetInfluences?.length ? part : found));
            return Array.from(found.morphTargetInfluences);
        }""",
        [float(weight) for weight in pose],
    )


def test_heads_of_ones_own(studio, tmp_path):
    speech = artalk.animate("examples/hello.flac")  # whose open mouth has a funnel and a lowered lip
    pose = speech.values[np.argmax(speech.channel("jawOpen"))]
    frame = artalk.Motion(pose[None], ARKIT, speech.fps)
    vowels = vrm.from_arkit(frame).values[0][[vrm.VRM.index(name) for name in vrm.VOWELS]]

    def put_on(name, avatar):
        (tmp_path / name).write_bytes(avatar if isinstance(avatar, bytes) else avatar.bytes())
        studio.page.set_input_files("#head-file", tmp_path / name)

    put_on("face.glb", avatars.Avatar(targets=tuple(f"Head_{shape}" for shape in ARKIT_SHAPES)))
    studio.until("s.head === 'face.glb'")
    np.testing.assert_allclose(shown(studio, pose), pose[:52], atol=1e-6)
    put_on("one.vrm", whole(avatars.vrm1()))
    studio.until("s.head === 'one.vrm'")
    np.testing.assert_allclose(shown(studio, pose)[:5], vowels * [0.8, 1, 1, 1, 1], atol=2e-3)
    put_on("old.vrm", whole(avatars.vrm0()))
    studio.until("s.head === 'old.vrm'")
    np.testing.assert_allclose(shown(studio, pose)[:5], vowels, atol=2e-3)
    assert "vowels and lids move, brows and smiles do not" in studio.toast()
    put_on("bad.glb", b"glTF no more")
    studio.until_said("bad.glb cannot be read")
    packed = avatars.Avatar()
    packed.json["extensionsRequired"] = packed.json["extensionsUsed"] = ["KHR_draco_mesh_compression"]
    for mesh in packed.json["meshes"]:
        for primitive in mesh["primitives"]:
            primitive["extensions"] = {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}}
    put_on("packed.glb", packed)
    studio.until_said("packed.glb is compressed")
    (tmp_path / "me.fbx").write_bytes(b"Kaydara")
    studio.drop(tmp_path / "me.fbx")
    studio.until_said("me.fbx is no head that this page reads: export it as .glb or .vrm.")
    assert studio.state()["head"] == "old.vrm"
    studio.press("s")
    studio.page.click("#our-head")
    studio.until("s.head === 'the built-in head'")
    studio.press("s")


def wear(studio, path, avatar):
    """Put on an avatar, and wait for it."""
    path.write_bytes(avatar.bytes())
    studio.page.set_input_files("#head-file", path)
    studio.until(f"s.head === '{path.name}'")


@pytest.mark.parametrize("shapes", [ARKIT_SHAPES, ARKIT_SHAPES[12:22]])
def test_a_vrm_whose_expressions_bind_its_shapes(studio, tmp_path, shapes):
    """Of few shapes, too, as it has no vowels."""
    pose = np.linspace(0.1, 0.9, len(ARKIT))
    wear(studio, tmp_path / f"sync{len(shapes)}.vrm", whole(avatars.perfect_sync(shapes)))
    np.testing.assert_allclose(shown(studio, pose), pose[ARKIT.indices(shapes)], atol=1e-6)
    studio.page.evaluate("studio.ourHead()")


def turned(studio):
    """The nodes that turn with head and gaze, by their names in the file."""
    return studio.page.evaluate(
        """() => {
            const turns = (pose) => {
                const found = [];
                studio.actor.show(pose);
                const { object } = studio.actor;
                object.traverse((part) => found.push([part.userData.name, `${part.quaternion.toArray()}`]));
                return found;
            };
            const rest = turns(new Float32Array(55));
            const posed = turns(Float32Array.from({ length: 55 }, (_, k) => k / 100));
            return posed.filter(([, turn], k) => turn !== rest[k][1]).map(([name]) => name);
        }"""
    )


def with_decoys(avatar):
    """A mesh of three materials called Head and an eyebrow, both before the bones."""
    nodes = avatar.json["nodes"]
    nodes[6]["name"] = "Head"
    nodes[0]["children"] = [6, 7, 1]
    nodes[3]["children"].insert(0, len(nodes))
    nodes.append({"name": "Eyebrow_L"})
    return avatar


def test_bones_are_those_that_the_library_finds(studio, tmp_path):
    heads = {
        "mixamo": avatars.Avatar(head="mixamorig:Head", eyes=("mixamorig:LeftEye", "mixamorig:RightEye")),
        "blender": with_decoys(avatars.Avatar(head="Head.001", eyes=("eye.L", "eye.R"))),
        "blind": avatars.Avatar(eyes=("LeftEyelid", "RightEyelid")),
    }
    for name, avatar in heads.items():
        path = tmp_path / f"{name}.glb"
        wear(studio, path, avatar)
        bones = gltf.load(path).report.bones
        assert sorted(turned(studio)) == sorted(bones[joint] for joint in bones if joint != "neck"), name
    assert "It has no bone for the left eye, the right eye." in studio.toast()
    studio.page.evaluate("studio.ourHead()")


def test_the_head_that_was_asked_for_last_stays(studio, tmp_path):
    held = []
    studio.page.route("**/head.glb", lambda route: held.append(route))
    with studio.page.expect_request("**/head.glb"):
        studio.page.evaluate("() => { window.ours = studio.ourHead(); }")
    wear(studio, tmp_path / "last.glb", avatars.Avatar())
    held[0].continue_()
    studio.page.evaluate("ours")
    assert studio.state()["head"] == "last.glb"
    studio.page.unroute("**/head.glb")
    studio.page.evaluate("studio.ourHead()")


HELD = """() => {
    const decode = studio.context.decodeAudioData.bind(studio.context);
    window.release = null;
    studio.context.decodeAudioData = async (data) => {
        studio.context.decodeAudioData = decode;
        const sound = await decode(data);
        await new Promise((done) => (window.release = done));
        return sound;
    };
}"""
"""The next sound is decoded when `release()` is called."""


def test_the_sound_that_was_asked_for_last_plays(studio, short):
    def hold():
        studio.page.evaluate(HELD)
        studio.open_sound(short)
        studio.until("release !== null")

    def release():
        studio.page.evaluate("release()")
        studio.page.wait_for_timeout(300)

    hold()
    studio.until_said("Reading hum.wav")
    studio.press("e")
    studio.until("s.mode === 'take' && s.whole")
    assert not studio.is_on("toast")
    release()
    assert studio.page.text_content("#take-name") == "hello.flac"
    hold()
    studio.press("Escape")
    release()
    assert studio.state()["mode"] == "live"
    studio.page.evaluate("delete studio.context.decodeAudioData")


def test_the_view_stays_when_the_picture_has_another_shape(studio):
    view = """() => {
        const { camera, controls, away } = studio.stage;
        return camera.position.clone().sub(controls.target).divideScalar(away).toArray();
    }"""
    size = studio.page.viewport_size
    studio.page.evaluate(
        """() => {
            const { camera, controls, away } = studio.stage;
            camera.position.set(0.6, 0.2, 0.9).multiplyScalar(away).add(controls.target);
        }"""
    )
    studio.page.set_viewport_size({"width": 2 * size["width"], "height": size["height"]})
    studio.until("studio.stage.camera.aspect > 1.5")
    np.testing.assert_allclose(studio.page.evaluate(view), [0.6, 0.2, 0.9], atol=1e-3)
    studio.page.set_viewport_size(size)
    studio.press("f")
    np.testing.assert_allclose(studio.page.evaluate(view), [0, 0, 1], atol=1e-3)


def test_the_picture_is_drawn_again_by_another_card_and_for_another_screen(browser, server, short):
    studio = open_studio(browser, address(server))
    with studio.page:
        studio.open_sound(short)
        studio.until("s.mode === 'take' && s.whole && !s.playing")
        studio.page.wait_for_timeout(1500)  # then nothing moves any more
        studio.page.evaluate(
            """() => {
                const { canvas, renderer } = studio.stage;
                const restore = () => setTimeout(() => renderer.forceContextRestore(), 100);
                canvas.addEventListener("webglcontextlost", restore);
                canvas.addEventListener("webglcontextrestored", () => (window.restored = true));
                renderer.forceContextLoss();
            }"""
        )
        studio.until("window.restored && studio.stage.renderer.info.render.frame > 0")
        screen = {"width": 420, "height": 420, "deviceScaleFactor": 2, "mobile": False}
        studio.page.context.new_cdp_session(studio.page).send("Emulation.setDeviceMetricsOverride", screen)
        studio.until("devicePixelRatio === 2")
        studio.until("studio.stage.renderer.getPixelRatio() === Math.max(2 * studio.stage.share, 0.5)")
        assert studio.complaints == []


@pytest.mark.parametrize("limits", [Limits(upload_seconds=0.5), Limits(upload_bytes=44 + RATE)])
def test_a_recording_ends_where_the_server_takes_no_more(browser, limits):
    with running(Settings(limits=limits, drain_seconds=0.1), models={"moody": Moody()}) as small:
        studio = open_studio(browser, address(small), accept_downloads=True)
        with studio.page:
            studio.press("r")
            studio.until_said("The recording ended: this server takes 0.5 s at most.")
            take = studio.until("s.mode === 'take' && s.whole && s.takes === 1 && !s.recording && !s.microphone")
            rate = studio.page.evaluate("studio.context.sampleRate")
            most = min(limits.upload_seconds, (limits.upload_bytes - 44) / 2 / rate)
            assert take["seconds"] == pytest.approx(most, abs=1.5 / rate)
            studio.press("d")
            with studio.page.expect_download() as download:
                studio.page.click("#formats button:has-text('.npz')")
            assert download.value.suggested_filename == "take 1.npz"
            studio.page.evaluate("() => { studio.context.decodeAudioData = () => Promise.reject(); }")
            studio.open_sound(SOUND)
            studio.until_said("s long; this server takes 0.5 s at most.")
            assert studio.complaints == []


def test_a_token_is_asked_for_until_it_fits(browser):
    """Its page is one of its own: nothing of the studio is there before the token is."""
    shut = Settings(token="s3cret", drain_seconds=0.1)
    with running(shut, models={"moody": Moody()}) as server, browser.new_page() as page:
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.wait_for_selector("#token-dialog[open]")
        for _ in range(3):
            page.keyboard.press("Escape")
        page.fill("#token", "secret")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=This token does not fit.")
        assert page.evaluate("window.studio === undefined")
        page.keyboard.type("s3cret")
        page.click("#token-dialog button")
        Studio(page).until("s.state === 'here'")
        assert not page.is_visible("#token-dialog")


@pytest.mark.parametrize("link", ["ab+c/d=", "ab%2Bc/d=", " ab+c/d= "])
def test_a_token_comes_with_the_link(browser, link):
    """A plus is no blank, and blanks round it are none of it."""
    shut = Settings(token="ab+c/d=", drain_seconds=0.1)
    with running(shut, models={"moody": Moody()}) as server, browser.new_page() as page:
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(f"http://127.0.0.1:{server.port}/#token={link}")
        Studio(page).until("s.state === 'here'")


def test_what_can_be_no_token_is_asked_for_again(browser):
    """As one between the quotation marks of a text, which no header may carry."""
    shut = Settings(token="s3cret", drain_seconds=0.1)
    with running(shut, models={"moody": Moody()}) as server, browser.new_page() as page:
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(f"http://127.0.0.1:{server.port}/#token=“s3cret”")
        page.wait_for_selector("text=This token does not fit.")
        page.fill("#token", "s3cret ")
        page.keyboard.press("Enter")
        Studio(page).until("s.state === 'here'")


def test_styles_of_the_last_visit_that_this_model_lacks_are_forgotten(browser, server):
    with browser.new_page() as page:
        page.set_default_timeout(1000 * PATIENCE)
        kept = json.dumps({"style": {"smiling": 0.5, "stern": 1}, "gains": {"nose": 2}})
        page.add_init_script(f"localStorage.setItem('artalk.wishes', '{kept}')")
        page.goto(f"http://127.0.0.1:{server.port}/")
        Studio(page).until("s.state === 'here'")
        assert page.evaluate("studio.panel.wishes") == {"seed": 0, "style": {"smiling": 0.5}, "gains": {}}


def test_what_is_no_sound_is_said(studio):
    files = [{"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no sound"}]
    studio.page.set_input_files("#sound-file", files)
    studio.until_said("notes.txt is no sound")
    assert studio.state()["mode"] == "live"


def test_a_sound_and_a_head_are_dropped(studio, tmp_path):
    head = tmp_path / "face.glb"
    head.write_bytes(avatars.Avatar().bytes())
    studio.drop(SOUND)
    studio.until("s.mode === 'take' && s.playing && s.whole")
    assert studio.page.text_content("#take-name") == "hello.flac"
    studio.drop(head)
    studio.until("s.head === 'face.glb' && s.mode === 'take'")
    assert not studio.is_on("drop")
    studio.page.evaluate("studio.ourHead()")
    studio.until("s.head === 'the built-in head'")


def record(studio, end):
    """A recording of half a second, which `end` ends; how many there are then."""
    before = studio.state()["takes"]
    studio.press("r")
    studio.until("s.recording")
    studio.page.wait_for_timeout(500)
    end()
    return studio.until(f"s.takes === {before + 1} && !s.recording && !s.microphone")["takes"]


def test_no_recording_is_lost(studio):
    for key in ("m", "Space"):
        number = record(studio, lambda key=key: studio.press(key))
        take = studio.until("s.mode === 'take' && s.whole")
        assert studio.page.text_content("#take-name") == f"take {number}"
        studio.press("d")
        studio.press("Escape")
        assert studio.state()["mode"] == "take"
        assert not studio.is_on("formats")
        studio.press("Escape")
        studio.until("s.mode === 'live'")
        studio.page.click("#takes summary")
        studio.page.click(f"#recorded button:has-text('take {number} ')")
        assert studio.until("s.mode === 'take' && s.whole")["seconds"] == take["seconds"]
        studio.press("Escape")
        studio.until("s.state === 'here'")
    number = record(studio, lambda: studio.drop(SOUND))
    studio.until("s.mode === 'take' && s.whole")
    assert studio.page.text_content("#take-name") == "hello.flac"
    assert f"take {number}" in studio.page.text_content("#recorded")
    assert asks_to_stay(studio)


def test_a_recording_is_thrown_away_and_had_back_as_long_as_the_menu_is_open(browser, server):
    studio = open_studio(browser, address(server))
    for _ in range(2):
        record(studio, lambda: studio.press("r"))
        studio.until("s.mode === 'take' && s.whole")
        studio.press("Escape")
        studio.until("s.state === 'here'")
    studio.page.click("#takes summary")
    away = [f"[aria-label='Throw take {number} away']" for number in (1, 2)]
    studio.page.focus(away[0])
    studio.press("Enter")
    studio.until("s.takes === 1")
    assert studio.page.is_disabled("#recorded button:has-text('take 1 ')")
    assert studio.page.evaluate("document.activeElement.ariaLabel") == "Have take 1 back"
    studio.press("Enter")
    studio.until("s.takes === 2")
    assert studio.page.is_enabled("#recorded button:has-text('take 1 ')")
    for button in away:
        studio.page.click(button)
    assert not asks_to_stay(studio)
    studio.press("Escape")
    studio.page.wait_for_selector("#takes", state="hidden")
    record(studio, lambda: studio.press("r"))
    studio.until("s.mode === 'take' && s.whole && s.takes === 1")
    assert studio.page.text_content("#take-name") == "take 3", "names are not given twice"
    assert studio.complaints == []
    studio.page.close()


def asks_to_stay(studio):
    """Whether the browser asks before it leaves the page."""
    return studio.page.evaluate("!dispatchEvent(new Event('beforeunload', { cancelable: true }))")


THINKING = """
window.streams = [];
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wish) => {
    const stream = await ask(wish);
    streams.push(stream);
    await new Promise((done) => (window.allow = done));
    return stream;
};
window.on = () => streams.flatMap((stream) => stream.getTracks()).filter((track) => track.readyState === "live").length;
"""
"""A user who takes time to allow the microphone: until `allow()`."""


def test_the_microphone_is_asked_for_once_and_off_when_it_is_off(browser, server, short):
    studio = open_studio(browser, address(server), THINKING)
    with studio.page:
        studio.press("m")
        studio.until("streams.length === 1")
        studio.page.dblclick("#microphone")
        studio.page.keyboard.down("m")
        studio.page.keyboard.down("m")  # held
        studio.page.keyboard.up("m")
        studio.page.evaluate("allow()")
        studio.until("s.microphone && s.loudness > 0")
        for _ in range(4):
            studio.page.keyboard.down("m")
        studio.page.keyboard.up("m")
        studio.until("!s.microphone && on() === 0 && streams.length === 1")

        studio.press("r")
        studio.until("streams.length === 2")
        studio.open_sound(short)
        studio.until("s.mode === 'take'")
        studio.page.evaluate("allow()")
        studio.until("on() === 0")
        assert not studio.state()["microphone"]
        assert not studio.state()["recording"]

        studio.press("r")
        studio.until("streams.length === 3")
        studio.page.evaluate("allow()")
        studio.until("s.recording && s.mode === 'live'")
        assert asks_to_stay(studio)
        studio.page.wait_for_timeout(300)
        studio.page.evaluate("streams[2].getTracks()[0].dispatchEvent(new Event('ended'))")  # as if unplugged
        studio.until_said("The microphone went away")
        studio.until("!s.microphone && s.mode === 'take' && s.takes === 1")
        assert studio.complaints == []


AWAKE = """
window.locks = [];
Object.defineProperty(navigator, "wakeLock", { value: { request: async (kind) => {
    const lock = { kind, released: false, release: async () => void (lock.released = true) };
    locks.push(lock);
    return lock;
} } });
window.kept = () => locks.filter((lock) => !lock.released).length;
"""
"""The locks on the screen that the page has asked for."""


def test_a_screen_stays_on_while_somebody_speaks(browser, server):
    studio = open_studio(browser, address(server), AWAKE)
    with studio.page:
        assert studio.page.evaluate("kept()") == 0
        studio.press("m")
        studio.until("s.microphone && kept() === 1")
        studio.page.evaluate("locks[0].released = true")  # as the browser does where the page is hidden
        studio.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        studio.until("kept() === 1 && locks.length === 2")
        studio.press("m")
        studio.until("!s.microphone && kept() === 0")


def test_a_microphone_that_is_not_allowed(browser, server):
    with shy(browser) as other:
        studio = open_studio(other, address(server))
        studio.press("m")
        studio.until_said("The microphone was not allowed")
        assert not studio.state()["microphone"]
        assert studio.complaints == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NotReadableError", "another program may hold it"),
        ("NotFoundError", "No microphone was found"),
        ("NotAllowedError", "or in the system's settings"),
    ],
)
def test_why_there_is_no_microphone_is_said(studio, name, words):
    studio.page.evaluate(
        """(name) => {
            navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", name));
        }""",
        name,
    )
    studio.press("m")
    studio.until_said(words)
    studio.page.evaluate("delete navigator.mediaDevices.getUserMedia")


def test_a_part_of_the_page_that_could_not_be_had_is_asked_for_again(browser, server):
    """By another address: of the same one a browser remembers that it could not be had."""
    studio = open_studio(browser, address(server))
    with studio.page:
        studio.page.evaluate(
            """() => {
                const worklet = studio.context.audioWorklet, add = worklet.addModule.bind(worklet);
                window.asked = [];
                worklet.addModule = (path) => {
                    asked.push(path);
                    return asked.length === 1 ? Promise.reject(new Error()) : add(path);
                };
            }"""
        )
        studio.press("m")
        studio.until_said("part of the page could not be loaded")
        studio.press("m")
        studio.until("s.microphone")
        first, second = studio.page.evaluate("asked")
        assert first != second


def test_the_sound_card_is_let_go(studio, short):
    studio.until("studio.context.state === 'suspended'")
    studio.press("m")
    studio.until("s.loudness > 0.1 && studio.context.state === 'running'")
    studio.press("m")
    studio.until("studio.context.state === 'suspended'")
    studio.open_sound(short)
    studio.until("s.mode === 'take' && s.position === s.seconds")


def test_a_full_server_is_said_and_asked_again(browser):
    with running(Settings(limits=Limits(sessions=1), drain_seconds=0.1), models={"moody": Moody()}) as full:
        first = open_studio(browser, address(full))
        second = open_studio(browser, address(full), face=False)
        second.until_said("all 1 sessions are taken")
        second.open_sound(SOUND)
        second.page.wait_for_selector("#toast button")
        second.page.wait_for_timeout(500)
        assert "all 1 sessions are taken" in second.toast()
        assert not second.state()["whole"]
        first.page.close()
        while full.server.engine.seats:
            second.page.wait_for_timeout(30)
        second.page.click("#toast button")
        second.until("s.whole")
        assert not second.is_on("toast")
        second.page.close()


HURRIED = """
const every = window.setInterval;
window.setInterval = (work, ms) => every(work, ms < 5000 ? ms : ms / 10);
"""
"""A page whose seconds between two pings are tenths."""


def test_a_take_that_takes_long_is_waited_for(browser):
    """Longer than a server waits for a word: after its sound there is nothing to say. It is sought in meanwhile."""
    limits = Limits(idle_seconds=3)
    with running(Settings(limits=limits, drain_seconds=0.1), models={"slow": Slow()}) as slow:
        studio = open_studio(browser, address(slow), HURRIED)
        with studio.page:
            studio.open_sound(SOUND)
            studio.until("s.mode === 'take' && s.playing")
            for key in ("End", "Home", "Shift+ArrowRight"):
                studio.press(key)
                assert len(studio.state()["pose"]) == len(ARKIT)
            assert not studio.state()["whole"]
            studio.until("s.whole || studio.player.take.failed")
            assert studio.state()["whole"], studio.toast()
            assert studio.complaints == []


OLDER = """
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (bytes) {
    send.call(this, bytes[0] === 1 && window.older ? older(bytes) : bytes);
};
"""
"""A page that was loaded before the server was upgraded, once `older` says how its `Hello` is another."""


@pytest.mark.parametrize("hello", ["bytes.with(1, 99)", "bytes.slice(0, 9)"])
def test_a_page_that_is_older_than_its_server(browser, server, short, hello):
    """By its number, or as the server cannot read it at all."""
    studio = open_studio(browser, address(server), OLDER)
    with studio.page:
        sockets = []
        studio.page.on("websocket", lambda socket: sockets.append(socket))
        studio.page.evaluate(f"() => {{ window.older = (bytes) => {hello}; studio.live.join(); }}")
        studio.until_said("This page is older than the server")
        studio.until("s.connection === 'refused'")
        studio.page.wait_for_timeout(3000)
        assert len(sockets) == 1
        studio.page.evaluate("document.getElementById('toast').replaceChildren()")
        studio.open_sound(short)
        studio.until_said("This page is older than the server")
        assert studio.page.text_content("#toast button") == "reload"
        with studio.page.expect_navigation():
            studio.page.click("#toast button")
        studio.until("s.state === 'here'")
        assert studio.complaints == []


def test_a_fault_that_ends_nothing_is_said_and_no_more(studio):
    session = "studio.live.welcome.session"
    before = studio.page.evaluate(session)
    studio.page.evaluate(
        """() => studio.live.hear({
            kind: "fault", code: "sound_dropped", message: "1.2 s of sound were left out", fatal: false,
        })"""
    )
    studio.until_said("1.2 s of sound were left out")
    pose = studio.state()["pose"]
    studio.until(f"s.state === 'here' && {pose}.some((x, k) => x !== s.pose[k])")
    assert studio.page.evaluate(session) == before


def test_sound_is_left_out_where_the_link_is_too_slow_for_it(studio):
    """Until what waits is gone: else ever more would wait, and the face be ever later."""
    sent = studio.page.evaluate(
        """() => {
            const { session, rate } = studio.live;
            let sent = 0;
            session.sound = () => void (sent += 1);
            const told = [0, rate, 2 * rate + 1, rate, 1, 0].map((waiting) => {
                Object.defineProperty(session, "waiting", { value: waiting, configurable: true });
                studio.live.sound(new Int16Array(480));
                return sent;
            });
            delete session.sound;
            delete session.waiting;
            studio.live.join();
            return told;
        }"""
    )
    assert sent == [1, 2, 2, 2, 2, 3]
    studio.until("s.state === 'here'")


def test_a_model_that_is_not_for_the_page(browser):
    with running(models={"in-flame": InFlame()}) as server, browser.new_page() as page:
        sockets = []
        page.on("websocket", lambda socket: sockets.append(socket))
        page.goto(address(server))
        studio = Studio(page)
        studio.until_said("in-flame makes numbers for flame")
        studio.until("s.connection === 'refused'")
        page.wait_for_timeout(3000)
        assert len(sockets) == 1
        studio.open_sound(SOUND)
        page.wait_for_selector("#toast button")
        assert not studio.state()["whole"]


def test_a_server_that_goes_and_comes(browser, tmp_path):
    (tmp_path / "face.glb").write_bytes(avatars.Avatar().bytes())
    with socket.create_server(("127.0.0.1", 0)) as found:
        settings = Settings(port=found.getsockname()[1], model="visemes", drain_seconds=0.1)
    with serving(settings):
        studio = open_studio(browser, f"http://127.0.0.1:{settings.port}/")
        studio.page.set_input_files("#head-file", tmp_path / "face.glb")
        studio.until("s.head === 'face.glb' && s.state === 'here'")
    with studio.page:
        studio.until("s.state === 'away'")
        studio.press("e")
        studio.until_said("hello.flac could not be loaded: the server does not answer")
        studio.page.route("**/head.glb", lambda route: route.abort())  # which the browser may have kept
        studio.press("s")
        studio.page.click("#our-head")
        studio.until_said("head.glb could not be loaded: the server does not answer")
        studio.open_sound(SOUND)
        studio.until_said("The server went away before the performance was whole")
        with serving(settings):
            studio.page.click("#toast button")
            studio.until("s.whole && s.seconds > 3")
            studio.press("Escape")  # the panel
            studio.press("Escape")
            studio.until("s.mode === 'live' && s.state === 'here'")
        studio.until("s.state === 'away'")
        with serving(settings):
            pose = studio.until("s.state === 'here'")["pose"]
            studio.until(f"{pose}.some((x, k) => x !== s.pose[k])")


def test_a_take_that_ended_begins_again(studio, short):
    """Though what comes out of the loudspeaker is behind."""
    studio.page.evaluate(
        """() => {
            Object.defineProperty(studio.context, "outputLatency", { value: 0.3, configurable: true });
            const create = studio.context.createBufferSource.bind(studio.context);
            window.started = [];
            studio.context.createBufferSource = () => {
                const source = create(), start = source.start.bind(source);
                source.start = (when, from) => (started.push(from), start(when, from));
                return source;
            };
        }"""
    )
    studio.open_sound(short)
    studio.until("s.mode === 'take' && !s.playing && s.position === s.seconds")
    studio.press(" ")
    studio.until("started.length === 2")
    assert studio.page.evaluate("started") == [0, 0]
    studio.page.evaluate("delete studio.context.outputLatency; delete studio.context.createBufferSource")


def test_a_loop_begins_at_its_beginning(studio, short):
    """Though nothing of it is heard yet."""
    studio.open_sound(short)
    studio.until("s.mode === 'take' && !s.playing && s.position === s.seconds")
    place = """() => {
        Object.defineProperty(studio.context, "outputLatency", { value: 0.3, configurable: true });
        studio.player.loop = true;
        studio.player.play(0);
        const { position } = studio.player;
        studio.player.pause();
        studio.player.loop = false;
        delete studio.context.outputLatency;
        return position;
    }"""
    assert studio.page.evaluate(place) == 0


def test_what_plays_gets_the_sound_card_back(studio):
    studio.open_sound(SOUND)
    studio.until("s.mode === 'take' && s.playing && s.position > 0.1")
    studio.page.evaluate("studio.context.suspend()")  # as a telephone call does
    studio.until("s.playing && studio.context.state === 'running'")


def test_a_dead_link_is_left_for_another(studio):
    session = studio.page.evaluate("studio.live.welcome.session")
    state = studio.page.evaluate(
        """() => {
            studio.live.session.socket.onmessage = null;
            for (let k = 0; k < 3; k++) studio.live.ping();
            return studio.live.vitals.state;
        }"""
    )
    assert state == "away"
    studio.until(f"s.state === 'here' && studio.live.welcome.session !== {json.dumps(session)}")


def test_frames_that_nobody_looks_at_are_few(studio):
    kept = studio.page.evaluate(
        """() => {
            const playout = new studio.live.playout.constructor(25);
            for (let k = 0; k < 2500; k += 5) playout.add(k, Array(5).fill(new Float32Array(55)), k / 25);
            return playout.frames.map(({ frame }) => frame);
        }"""
    )
    assert kept == list(range(2250, 2500))


def test_only_what_changed_is_told(studio):
    smile = SMILES[0]
    session = studio.page.evaluate(
        """() => {
            const session = studio.live.session, send = session.send.bind(session);
            window.told = [];
            session.send = (message) => (message.kind === "change" && told.push(message), send(message));
            return studio.live.welcome.session;
        }"""
    )
    nothing = {"kind": "change", "seed": None, "style": None, "gains": None}
    studio.slide("head", 1.5)
    studio.until("told.length === 1")
    studio.slide("smiling", 1)
    studio.until(f"told.length === 2 && s.pose[{smile}] > 0.5")
    studio.slide("smiling", 0)
    studio.until(f"told.length === 3 && s.pose[{smile}] < 0.4")
    studio.slide("head", 1)
    studio.until("told.length === 4")
    assert studio.page.evaluate("told") == [
        nothing | {"gains": {"head": 1.5}},
        nothing | {"style": {"smiling": 1}},
        nothing | {"style": {}},
        nothing | {"gains": {}},
    ]
    assert studio.page.evaluate("studio.live.welcome.session") == session


def test_a_wish_made_while_joining_is_granted(studio):
    studio.page.evaluate("studio.live.join(); studio.live.wish({ seed: 0, style: { smiling: 1 }, gains: {} })")
    studio.until(f"s.state === 'here' && s.pose[{SMILES[0]}] > 0.5")
    studio.page.evaluate("studio.live.wish(studio.panel.wishes)")
    studio.until(f"s.pose[{SMILES[0]}] < 0.4")


BLOCKED = """
for (const name of ["localStorage", "sessionStorage"])
    Object.defineProperty(window, name, { get() { throw new DOMException("blocked", "SecurityError"); } });
"""


def test_a_browser_that_may_keep_nothing(browser, server):
    studio = open_studio(browser, address(server), BLOCKED, color_scheme="light")
    with studio.page:
        studio.until("s.state === 'here'")
        studio.press("t")
        assert theme(studio) == "dark"
        studio.slide("smiling", 1)
        studio.until(f"s.pose[{SMILES[0]}] > 0.5")
        assert studio.complaints == []


def theme(studio):
    return studio.page.evaluate("document.documentElement.dataset.theme")


UNTOUCHED = """
const resume = AudioContext.prototype.resume;
AudioContext.prototype.resume = function () {
    return window.touched ? resume.call(this) : new Promise(() => undefined);
};
"""
"""A browser that lets nothing sound before the user has touched the page."""


def test_a_first_drop_waits_for_its_play_button(browser, server):
    studio = open_studio(browser, address(server), UNTOUCHED)
    with studio.page:
        studio.drop(SOUND)
        studio.until("s.mode === 'take' && s.whole")
        studio.page.wait_for_selector("#hint:has-text('Press play')")
        assert not studio.state()["playing"]
        studio.page.evaluate("window.touched = true")
        studio.page.click("#play")
        studio.until("s.playing && s.position > 0.1")
        assert not studio.is_on("hint")


def test_keys_work_where_a_slider_has_the_focus(studio):
    look = theme(studio)
    slider = "document.activeElement.value"
    assert studio.page.get_attribute("#curves", "tabindex") == "-1"
    studio.press("s")
    studio.page.focus("#gain-sliders input")
    studio.press("t")
    assert theme(studio) != look
    studio.press("t")
    studio.open_sound(SOUND)
    studio.until("s.mode === 'take' && s.playing && s.whole")
    assert studio.page.get_attribute("#curves", "tabindex") == "0"
    assert studio.page.get_attribute("#play", "aria-label") == "Pause"
    studio.page.focus("#gain-sliders input")
    studio.press("Space")
    studio.until("!s.playing")
    studio.page.wait_for_selector("#play[aria-label=Play]")
    before = studio.state()["position"]
    studio.press("ArrowRight")
    assert studio.page.evaluate(slider) == "1.05"
    studio.press("ArrowLeft")
    assert studio.page.evaluate(slider) == "1"
    assert studio.state()["position"] == before
    studio.page.evaluate("document.activeElement.dispatchEvent(new Event('keydown', { bubbles: true }))")  # filled in
    studio.press("Escape")
    assert not studio.is_on("panel")
    looks = theme(studio)
    studio.page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'е', code: 'KeyT', bubbles: true }))"
    )  # t, on a Russian keyboard
    assert theme(studio) != looks


STICKING_OUT = """() => [...document.querySelectorAll("body *")]
    .filter((part) => part.checkVisibility() && !part.closest("svg"))
    .map((part) => [part, part.getBoundingClientRect()])
    .filter(([, box]) => box.left < -0.5 || box.right > innerWidth + 0.5)
    .map(([part]) => part.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_by_day_and_by_night(browser, server, width):
    size = {"width": width, "height": 2 * width}
    studio = open_studio(browser, address(server), viewport=size, color_scheme="dark", has_touch=True)

    def fits(where):
        assert studio.page.evaluate(STICKING_OUT) == [], where
        assert studio.page.evaluate("document.documentElement.scrollWidth") <= width, where

    with studio.page:
        assert theme(studio) == "dark"
        fits("live")
        studio.press("s")
        fits("the character")
        studio.press("s")
        record(studio, lambda: (fits("recording"), studio.press("r")))
        studio.until("s.mode === 'take' && s.whole")
        fits("a take")
        studio.press("d")
        fits("the formats")
        studio.press("Escape")
        studio.press("Escape")
        studio.until("s.state === 'here'")
        fits("with a take at hand")
        studio.page.click("#takes summary")
        fits("the takes")
        studio.page.click("#health summary")
        fits("the figures")
        studio.press("Escape")
        studio.press("?")
        fits("the keys")
        studio.press("Escape")
        studio.page.emulate_media(color_scheme="light")
        studio.page.wait_for_selector("html[data-theme=light]")
        fits("by day")
        assert studio.complaints == []


BEGINNINGS = {
    "csv": b"Timecode,BlendshapeCount",
    "glb": b"glTF\x02",
    "vrma": b"glTF\x02",
    "mp4": b"ftyp",
    "npz": b"PK\x03\x04",
}


def test_every_format_of_the_menu_is_saved(studio, short, tmp_path):
    studio.open_sound(short)
    studio.until("s.mode === 'take' && s.whole && !s.playing")
    names = [text.split()[0][1:] for text in studio.page.locator("#formats button").all_text_contents()]
    assert names == list(BEGINNINGS)
    for name in names:
        studio.press("d")
        with studio.page.expect_download(timeout=1000 * PATIENCE) as download:
            studio.page.click(f"#formats button:has-text('.{name}')")
        assert download.value.suggested_filename == f"hum.{name}"
        download.value.save_as(tmp_path / f"hum.{name}")
        data = (tmp_path / f"hum.{name}").read_bytes()
        assert BEGINNINGS[name] in data[:32], (name, data[:32])
        assert name != "vrma" or b"VRMC_vrm_animation" in data
        studio.until_said(f"hum.{name} is saved")
