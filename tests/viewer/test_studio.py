"""The studio page in a real Chromium: what is heard is seen, and what is seen is what one gets."""

import json

import numpy as np
import pytest

import artalk
from artalk.channels import ARKIT, ARKIT_SHAPES
from artalk.generators.generator import Condition, Generator
from artalk.generators.visemes import Visemes
from artalk.retarget import vrm
from artalk.serve.settings import Settings
from tests import avatars
from tests.serve.servers import running
from tests.viewer.browser import PATIENCE, Studio, chromium, open_studio, write_wav

pytestmark = pytest.mark.slow  # drawing without a graphics card takes both cores for some 20 s

RATE = 48000
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
    """One page for all tests: opening it is what takes long."""
    return open_studio(browser, f"http://127.0.0.1:{server.port}/", accept_downloads=True)


@pytest.fixture
def studio(page):
    """The page, live and calm; afterwards without complaints."""
    page.until("s.state === 'here' && s.mode === 'live' && !s.microphone")
    yield page
    if page.state()["microphone"]:
        page.press("m")
    if page.state()["mode"] == "take":
        page.page.click("#back")
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
    put_on("bad.glb", b"glTF no more")
    studio.until_said("bad.glb cannot be read")
    assert studio.state()["head"] == "old.vrm"
    studio.press("s")
    studio.page.click("#our-head")
    studio.until("s.head === 'the built-in head'")
    studio.press("s")


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
