"""The command line as a user meets it: results on stdout, talk on stderr, one sentence and 2 for a mistake."""

import json
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

import artalk
from artalk import cli
from artalk.rigs import glb
from tests.avatars import Avatar, vrm1


@pytest.fixture(scope="session")
def hello(tmp_path_factory):
    """Two seconds of a vowel between silences."""
    path = tmp_path_factory.mktemp("sound") / "hello.wav"
    t = np.arange(32000) / 16000
    voice = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 12)) * ((t > 0.4) & (t < 1.4)) * 0.2
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((voice * 32767).astype("<i2").tobytes())
    return path


def artalk_cli(*arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main([str(argument) for argument in arguments])
    return stop.value.code


@pytest.fixture
def run(capsys):
    def call(*arguments):
        code = artalk_cli(*arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_one_of_several_channels_is_heard(run, hello, tmp_path):
    """Two people, left and right: each file is what that one alone gives."""
    sound = artalk.listen(hello)
    both = np.stack([sound.samples, sound.samples[::-1]], axis=1)
    pcm = (both * 32767).astype("<i2")
    with wave.open(str(tmp_path / "both.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(sound.sample_rate)
        file.writeframes(pcm.tobytes())
    for channel in (0, 1):
        made = tmp_path / f"{channel}.npz"
        arguments = ["animate", tmp_path / "both.wav", "-o", made, "--channel", channel, "--model", "visemes", "-q"]
        assert run(*map(str, arguments))[0] == 0
        alone = artalk.animate(pcm[:, channel], model="visemes", sample_rate=sound.sample_rate)
        assert np.array_equal(artalk.load(made).values, alone.values)


def test_one_sound_into_several_files(run, hello, tmp_path):
    names = ["a.npz", "a.csv", "a.json", "a.cues.json", "a.tsv", "a.vrma", "a.glb", "a.mp4"]
    outputs = [tmp_path / name for name in names]
    code, out, err = run("animate", hello, *(x for path in outputs for x in ("-o", path)), "--size", "64")
    assert (code, out) == (0, "")
    assert "50 frames at 25 fps for 2.00 s" in err
    assert all(path.stat().st_size > 8 for path in outputs)
    np.testing.assert_allclose(
        artalk.load(tmp_path / "a.glb").values[:, :52], artalk.load(tmp_path / "a.npz").values[:, :52], atol=1e-5
    )


def test_the_command_is_the_verb(run, hello, tmp_path):
    run("animate", hello, "-o", tmp_path / "x.npz", "--seed", 3, "--fps", "29.97", "--gain", "head=0.5")
    motion = artalk.animate(hello, seed=3, fps="29.97", gains={"head": 0.5})
    np.testing.assert_array_equal(artalk.load(tmp_path / "x.npz").values, motion.values)
    assert len(motion) == 60


def test_many_files_go_into_a_folder_and_are_skipped_when_finished(run, hello, tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.wav").write_bytes(hello.read_bytes())
    (tmp_path / "bad.wav").write_text("this is no sound")
    sounds, out = sorted(tmp_path.glob("*.wav")), tmp_path / "out"
    code, _, err = run("animate", *sounds, "-o", out, "--to", "csv,npz", "--jobs", 2)
    assert code == 1
    assert "2 done, 0 skipped, 1 failed" in err
    assert "bad.wav" in err
    assert "no sound that can be read" in err
    assert {path.name for path in out.iterdir()} >= {"one.csv", "one.npz", "two.csv", "two.npz"}
    code, text, _ = run("animate", *sounds, "-o", out, "--to", "csv,npz", "--json", "--quiet")
    assert {row["status"] for row in json.loads(text)} == {"skipped", "failed"}
    code, text, _ = run("animate", *sounds[1:], "-o", out, "--to", "csv,npz", "--json", "--seed", 5)
    assert [row["status"] for row in json.loads(text)] == ["done", "done"]


def test_render_retarget_and_show(run, hello, tmp_path):
    motion = tmp_path / "m.npz"
    run("animate", hello, "-o", motion)
    assert run("render", motion, "-o", tmp_path / "m.gif", "--size", "48", "--fps", "10")[0] == 0
    assert run("retarget", motion, "-o", tmp_path / "m.csv", "--fps", "60")[0] == 0
    assert run("retarget", motion, "-o", tmp_path / "v.npz", "--to", "oculus")[0] == 0
    assert artalk.load(tmp_path / "v.npz").channels.name == "oculus"
    code, out, _ = run("show", tmp_path / "m.csv")
    assert code == 0
    assert "120 frames at 60 fps" in out
    facts = json.loads(run("show", motion, "--json")[1])
    assert facts["frames"] == 50
    assert run("show", motion, "--plot", tmp_path / "m.png")[0] == 0
    assert (tmp_path / "m.png").read_bytes()[:4] == b"\x89PNG"
    assert "2.00 s, 16000 Hz" in run("show", hello)[1]


MISTAKES = [
    (["animate", "none.wav", "-o", "x.csv"], "no sound file 'none.wav'"),
    (["animate", "{hello}", "-o", "x.docx"], "artalk writes .npz"),
    (["animate", "{hello}", "-o", "none/x.csv"], "no folder 'none'"),
    (["animate", "{hello}"], "say where to"),
    (["animate", "{hello}", "-o", "{tmp}"], "a folder needs formats"),
    (["animate", "{hello}", "{hello}", "-o", "{tmp}", "--to", "csv"], "would both become"),
    (["animate", "{hello}", "-o", "x.csv", "--fps", "fast"], "a frame rate is a number"),
    (["animate", "{hello}", "-o", "x.csv", "--fps", "0"], "between 1 and 1000"),
    (["animate", "{hello}", "-o", "x.csv", "--gain", "nose=2"], "a gain is for one of lips"),
    (["animate", "{hello}", "-o", "x.csv", "--gain", "head"], "PART=FACTOR"),
    (["animate", "{hello}", "-o", "x.csv", "--fps", "1e999999999"], "a frame rate is a number"),
    (["animate", "{hello}", "-o", "x.csv", "--fps", "nan"], "a frame rate is a number"),
    (["animate", "{hello}", "-o", "x.csv", "--fps", "30/0"], "a frame rate is a number"),
    (["animate", "{hello}", "-o", "x.csv", "--gain", "head=nan"], "between 0 and 10"),
    (["animate", "{hello}", "-o", "x.csv", "--gain", "=1"], "a gain is for one of lips"),
    (["animate", "{hello}", "-o", "x.csv", "--to", "npz"], "--to is for a folder"),
    (["animate", "{hello}", "{motion}", "-o", "x.csv"], "'x.csv' names a file"),
    (["animate", "{hello}", "-o", ""], "say where to"),
    (["animate", "{hello}", "-o", "x/", "--to", ","], "a folder needs formats"),
    (["animate", "{hello}", "-o", "x/", "--to", "docx"], "artalk writes .npz"),
    (["animate", "{hello}", "-", "-o", "x/", "--to", "csv"], "no name"),
    (["animate", "{hello}", "{motion}", "-o", "x/", "--to", "csv", "--fps", "fast"], "a frame rate is a number"),
    (["animate", "{hello}", "{motion}", "-o", "x/", "--to", "csv", "--model", "gpt"], "a model is one of"),
    (["animate", "{hello}", "{motion}", "-o", "x/", "--to", "glb", "--rig", "none.glb"], "none.glb"),
    (["animate", "{motion}", "-o", "x.csv"], "no sound that can be read"),
    (["animate", "{tmp}", "-o", "x.csv"], "is a folder"),
    (["animate", "{hello}", "-o", "x.vrm"], "give --rig AVATAR.vrm"),
    (["animate", "{hello}", "-o", "x.csv", "--option", "colour=red"], "no output has an option 'colour'"),
    (["animate", "{hello}", "-o", "x.csv", "--option", "degrees"], "NAME=VALUE"),
    (["animate", "{hello}", "-o", "x.csv", "--option", "first=noon"], "a timecode is HH:MM:SS:FF"),
    (["animate", "{hello}", "-o", "x.vrma", "--option", "expressions=loud"], "expressions are one of"),
    (["animate", "{hello}", "-o", "-", "--to", "png"], "needs one format"),
    (["animate", "{hello}", "-o", "-", "--to", "docx"], "artalk writes"),
    (["animate", "{hello}", "{hello}", "-o", "-", "--to", "csv"], "one motion to stdout"),
    (["animate", "{hello}", "-o", "x.mp4", "--size", "\u00b2"], "a size is 512 or 1920x1080"),
    (["animate", "{hello}", "-o", "x.mp4", "--size", "64x"], "a size is 512 or 1920x1080"),
    (["animate", "{hello}", "-o", "x.mp4", "--size", "9" * 5000], "a size is 512 or 1920x1080"),
    (["animate", "{hello}", "-o", "x.mp4", "--rig", "ict"], "artalk assets add ict"),
    (["animate", "{hello}", "-o", "x.mp4", "--rig", "{motion}"], "a rig is head, ict"),
    (["render", "{motion}", "-o", "-"], "render writes"),
    (["render", "{motion}", "-o", "x.mp4", "--audio", "none.wav"], "no sound file"),
    (["render", "{motion}", "-o", "x.mp4", "--size", "5000"], "16 to 4096"),
    (["render", "{motion}", "-o", "x.mp4", "--source-fps", "30"], "no option 'fps'"),
    (["retarget", "{motion}", "-o", "-"], "needs one format"),
    (["retarget", "{motion}", "-o", "x.csv", "--format", "csv"], "--format is for -o -"),
    (["retarget", "{motion}", "-o", "x.csv", "--to", "oculus"], "retarget it first"),
    (["retarget", "{motion}", "-o", "x.gltf"], "does not write .gltf"),
    (["retarget", "{motion}", "-o", "x.csv", "--option", "colour=red"], "no option 'colour'"),
    (["show", "{motion}", "--plot", "x.docx"], "curves are drawn into .png"),
    (["show", "{hello}", "--plot", "x.png"], "are for motion"),
    (["show", "{tmp}"], "is a folder"),
    (["animate", "{hello}", "-o", "x.mp4", "--size", "big"], "a size is 512 or 1920x1080"),
    (["animate", "{hello}", "-o", "x.mp4", "--size", "9"], "16 to 4096"),
    (["animate", "{hello}", "-o", "x.mp4", "--rig", "body"], "a rig is head, ict"),
    (["animate", "{hello}", "-o", "x.mp4", "--rig", "none.glb"], "none.glb"),
    (["animate", "{hello}", "-o", "x.mp4", "--backend", "vulkan"], "auto, gl or raster"),
    (["animate", "{hello}", "-o", "x.csv", "--model", "gpt"], "a model is one of artalk, artalk-live, visemes"),
    (["animate", "{hello}", "-o", "x.csv", "--style", "none.npz"], "got 'none.npz', and there is no such file"),
    (["animate", "{hello}", "-o", "x.csv", "--source-fps", "30"], "the rate of a capture that --style names"),
    (["animate", "{hello}", "-o", "x.csv", "--style", "smiling", "--source-fps", "30"], "it names smiling"),
    (["animate", "{hello}", "-o", "x.csv", "--style", "{motion}", "--source-fps", "30"], "is motion, which does"),
    (["animate", "{hello}", "-o", "x.csv", "--style", "{motion}", "--source-fps", "fast"], "a frame rate is a number"),
    (["animate", "{hello}", "-o", "-"], "needs one format"),
    (["animate", "{hello}", "-o", "x.csv", "--jobs", "0"], "--jobs"),
    (["animate", "{hello}", "-o", "x.csv", "--seed", "new"], "--seed"),
    (["animate"], "sounds"),
    (["show", "none"], "nothing is at 'none'"),
    (["render", "{hello}", "-o", "x.mp4"], "is sound, and motion is wanted"),
    (["render", "{motion}", "-o", "x.csv"], "render writes"),
    (["retarget", "{motion}", "-o", "x.npz", "--to", "klingon"], "klingon"),
    (["assets", "add", "moon", "{tmp}"], "no asset is called 'moon'"),
    (["assets", "add", "ict", "none"], "no such file or folder"),
    (["assets", "add", "flame", "{motion}"], "has no 'v_template'"),
    (["assets", "add", "flame", "{hello}"], "a FLAME file is called .pkl, .npz, .pt, .pth"),
    (["assets", "add", "flame-map", "{motion}"], "is no FLAME map"),
    (["assets", "fit"], "the FLAME head is not here"),
    (["assets", "fit", "--rig", "body"], "FLAME is fitted to head or ict"),
    (["retarget", "{motion}", "-o", "x.npz", "--to", "flame"], "artalk assets add flame FILE"),
    (["render", "{motion}", "-o", "x.mp4", "--rig", "flame"], "the FLAME head is not here"),
    (["assets", "get", "flame"], "FLAME is never fetched"),
    (["assets", "get", "ict"], "artalk assets add ict PATH"),
    (["assets", "get", "moon"], "no asset is called 'moon'"),
    (["prepare", "none.mp4", "-o", "x.npz"], "there is no video 'none.mp4'"),
    (["prepare", "{hello}", "-o", "x.npz"], "artalk assets add face-landmarker"),
    (["prepare", "{hello}", "-o", "x.npz", "--model", "none.task"], "is a .task file"),
    (["prepare", "{hello}", "-o", "x.npz", "--face", "tallest"], "largest, left or right"),
    (["prepare", "{hello}", "-o", "x.npz", "--offset", "soon"], "an offset is auto"),
    (["prepare", "{hello}", "-o", "x.npz", "--solve-on", "moon"], "solved on head or ict"),
    (["prepare", "{motion}", "-o", "x.csv", "--offset", "auto"], "--offset: for videos"),
    (["prepare", "{motion}", "-o", "x.csv", "--source-fps", "30"], "is motion, which does"),
    (["prepare", "{hello}", "{motion}", "-o", "x/"], "a corpus is made of a folder of recordings"),
    (["style", "from", "{hello}", "-o", "x.docx"], "artalk writes .npz"),
    (["style", "from", "none.npz", "-o", "x.npz"], "none.npz"),
    (["style", "from", "{motion}", "-o", "x.npz", "--source-fps", "30"], "is motion, which does"),
    (["style", "from", "none.mp4", "-o", "x.npz", "--source-fps", "30"], "is a video, which does"),
    (["style", "from", "none.csv", "-o", "x.npz", "--source-fps", "fast"], "a frame rate is a number"),
    (["prepare", "{tmp}"], "say where the corpus goes"),
    (["prepare", "{tmp}", "-o", "x/", "--to", "csv"], "--to is for videos"),
    (["prepare", "{tmp}", "-o", "x/", "--recipe", "none.toml"], "none.toml"),
    (["shards", "{tmp}", "-o", "x/"], "a corpus is a folder with index.json"),
    (["live", "--to", "livelink://localhost"], "--mic, --file SOUND or --pcm RATE"),
    (["live", "--mic", "--file", "{hello}", "--to", "livelink://localhost"], "one of them"),
    (["live", "--pcm", "16000", "--loop", "--to", "livelink://localhost"], "--loop are for --file"),
    (["live", "--pcm", "16000", "--device", "2", "--to", "livelink://localhost"], "--device is for --mic"),
    (["live", "--file", "{hello}", "--burst", "--to", "livelink://localhost"], "--burst is for --pcm"),
    (["live", "--pcm", "16", "--to", "livelink://localhost"], "1000 to 768000, got 16"),
    (["live", "--test", "--mic", "--to", "livelink://localhost"], "leave out --mic"),
    (["live", "--test", "--file", "{hello}", "--to", "livelink://localhost"], "leave out --file"),
    (["live", "--file", "none.wav", "--to", "livelink://localhost"], "no sound file 'none.wav'"),
    (["live", "--file", "{hello}", "--to", "osc://localhost"], "an output is livelink"),
    (["live", "--file", "{hello}", "--to", "vmc://localhost?names=klingon"], "names of expressions are vrm0"),
    (["live", "--file", "{hello}", "--to", "vmc://localhost", "--fps", "0"], "between 1 and 1000"),
    (["serve", "--host", "0.0.0.0"], "give a token"),
    (["serve", "--port", "99999"], "a port is 0 to 65535"),
    (["serve", "--config", "none.toml"], "none is at 'none.toml'"),
    (["serve", "--model", "gpt"], "a model is one of"),
    (["animate", "{hello}", "-o", "x.npz", "--raw"], "raw leaves out the post-processing"),
    (["animate", "{hello}", "-o", "x.npz", "--fast"], "got 'fast' (fast, device"),
    (["animate", "{hello}", "-o", "x.npz", "--device", "cuda"], "got 'device' (fast, device"),
    (["animate", "{hello}", "-o", "x.npz", "--model", "visemes", "--run", "ahead=true"], "'visemes' runs in one way"),
    (["animate", "{hello}", "-o", "x.npz", "--run", "ahead=true"], "is run with temperature, top_p, sound_guidance"),
    (["animate", "{hello}", "-o", "x.csv", "--option", "degrees=no"], "degrees is true or false, got 'no'"),
    (["animate", "{hello}", "-o", "x.csv", "--channel", "5"], "channel"),
    (["animate", "{hello}", "-o", "x.csv", "--style", "smilling"], "did you mean smiling?"),
    (["animate", "{hello}", "-o", "x.csv", "--style", "smiling:1,me.csv:2"], "a mix is of styles that 'artalk' knows"),
    (["animate", "{hello}", "-o", "x.csv", "--style", "{hello}"], "is sound, and motion is wanted"),
    (["animate", "{hello}", "-o", "x.csv", "--model", "visemes", "--style", "smiling"], "cannot honour style"),
    (["animate", "{hello}", "-o", "x.npz", "--run", "temperature=hot"], "temperature is a number such as 0.5"),
    (["animate", "{hello}", "-o", "x.npz", "--run", "top_p=2"], "top_p lies within 0 and 1"),
    (["animate", "{hello}", "-o", "x.npz", "--run", "temperature.nose=1"], "has no stream 'nose'"),
    (["animate", "{hello}", "-o", "x.npz", "--model", "none.released.onnx", "--fast"], "is for a .pt or .safetensors"),
    (["animate", "{hello}", "-o", "x.npz", "--model", "none.pt"], "a .pt file is wanted, none is at"),
    (["animate", "{hello}", "-o", "x.npz", "--model", "artalk-released"], "artalk assets get artalk-released"),
    (["animate", "{hello}", "-o", "x.npz", "--model", "none.pt", "--run", "ahead"], "NAME=VALUE"),
    (["animate", "{hello}", "-o", "x.npz", "--model", "none.pt", "--run", "threads=2"], "is run with fast, encoder"),
    (["animate", "{hello}", "-o", "x.npz", "--model", "none.pt", "--run", "encoder=int4"], "precision of the encoder"),
    (["animate", "{hello}", "-o", "x.npz", "--model", "none.pt", "--run", "graphs=true"], "take device cuda"),
    (["animate", "{hello}", "-o", "x.npz", "--model", "none.pt", "--device", "tpu"], "a device is cpu, cuda or cuda:1"),
    (["convert", "{hello}", "-o", "x.npz"], "convert reads a .pt"),
    (["convert", "none.pt", "-o", "x.npz"], "a .pt file is wanted, none is at"),
    (["convert", "none.pt", "-o", "x.onnx"], "as .safetensors or .released.onnx"),
    (["convert", "none.pt", "-o", "x.released.onnx", "--weights", "int4"], "weights are float32, float16, int8"),
    (["convert", "none.pt", "-o", "x.safetensors", "--weights", "int8"], "in a .released.onnx alone"),
    (["dance"], "No such command"),
]


def table():
    """The mistakes and what each one gives, as docs/mistakes.md shows them."""
    names = {"hello": "hello.wav", "tmp": "FOLDER", "motion": "motion.npz"}
    for arguments, sentence in MISTAKES:
        words = [word if len(word) < 60 else f"{word[:6]}…" for word in arguments]
        yield f"| `artalk {' '.join(words).format(**names)}` | … {sentence} … |"


def test_the_table_of_mistakes_is_true():
    page = (Path(__file__).parents[1] / "docs" / "mistakes.md").read_text()
    shown = [line for line in page.splitlines() if line.startswith("| `artalk ")]
    assert shown == list(table()), "write it anew: python -m tests.test_cli >> docs/mistakes.md"


@pytest.mark.parametrize(("arguments", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence_and_2(run, hello, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARTALK_HOME", str(tmp_path / "home"))
    motion = tmp_path / "motion.npz"
    artalk.save(artalk.animate(hello), motion)
    filled = [a.format(hello=hello, tmp=tmp_path, motion=motion) for a in arguments]
    code, out, err = run(*filled)
    assert code == 2
    assert out == ""
    assert sentence in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert not list(tmp_path.glob("x*"))


def test_stdin_to_stdout(hello):
    done = subprocess.run(
        [sys.executable, "-m", "artalk.cli", "animate", "-", "-o", "-", "--to", "csv"],
        input=hello.read_bytes(),
        capture_output=True,
        check=True,
    )
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith("Timecode,BlendshapeCount,EyeBlinkLeft")
    assert len(lines) == 51


def test_help_names_every_verb(run):
    out = run("--help")[1]
    for verb in ("animate", "render", "retarget", "show", "assets", "live", "serve"):
        assert verb in out
    assert run("--version")[1].strip() == f"artalk {artalk.__version__}"


def test_a_failed_write_leaves_what_was_there(run, hello, tmp_path, monkeypatch):
    kept = tmp_path / "kept.npz"
    kept.write_text("mine")

    def broken(*arguments, **options):
        raise OSError(28, "No space left on device", str(kept))

    monkeypatch.setattr(np, "savez_compressed", broken)
    monkeypatch.setattr(np, "savez", broken)
    code, _, err = run("animate", hello, "-o", kept)
    assert code == 2
    assert "No space left" in err
    assert kept.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["kept.npz"]
    assert Path(kept).exists()


def test_cues_name_the_sound_and_options_reach_their_format(run, hello, tmp_path):
    outputs = [tmp_path / name for name in ("a.cues.json", "a.json", "a.xml", "a.csv", "a.tsv")]
    asked = [x for path in outputs for x in ("-o", path)] + [
        "--option",
        "degrees=true",
        "--option",
        "first=01:00:00:00",
    ]
    assert run("animate", hello, *asked)[0] == 0
    assert json.loads(outputs[0].read_text())["metadata"]["soundFile"] == str(hello)
    assert json.loads(outputs[1].read_text())["trackPath"] == str(hello)
    assert f"<soundFile>{hello}</soundFile>" in outputs[2].read_text()
    assert outputs[3].read_text().splitlines()[1].startswith("01:00:00:00.000,61,")
    head = artalk.load(outputs[3], degrees=True).group("head")
    np.testing.assert_allclose(head, artalk.animate(hello).group("head"), atol=1e-6)


def test_a_file_without_a_rate_is_read_at_the_one_that_is_said(run, tmp_path):
    (tmp_path / "t.csv").write_text("jawOpen\n" + "0.5\n" * 60)
    assert "60 frames at 30 fps, 2.00 s" in run("show", tmp_path / "t.csv")[1]
    assert "60 frames at 60 fps, 1.00 s" in run("show", tmp_path / "t.csv", "--source-fps", "60")[1]
    run("retarget", tmp_path / "t.csv", "-o", tmp_path / "t.npz", "--source-fps", "60", "--fps", "30")
    assert len(artalk.load(tmp_path / "t.npz")) == 30


def test_an_avatar_says_what_it_lacks_and_leaves_as_it_came(run, hello, tmp_path):
    (tmp_path / "me.vrm").write_bytes(vrm1().bytes())
    (tmp_path / "me.glb").write_bytes(Avatar(("jawOpen", "eyeBlinkLeft")).bytes())
    code, _, err = run("animate", hello, "-o", tmp_path / "out.vrm", "--rig", tmp_path / "me.vrm")
    assert code == 0
    assert "of 52 ARKit shapes matched" in err.splitlines()[0]
    assert "VRMC_vrm" in glb.read(tmp_path / "out.vrm").json["extensions"]
    assert run("retarget", tmp_path / "out.vrm", "-o", tmp_path / "no.csv")[0] == 2
    assert "presets" not in run("animate", hello, "-o", tmp_path / "o.csv", "--rig", tmp_path / "me.vrm")[2]
    assert run("animate", hello, "-o", tmp_path / "no.vrm", "--rig", tmp_path / "me.glb")[0] == 2
    assert run("animate", hello, "-o", tmp_path / "out.glb", "--rig", tmp_path / "me.glb", "--quiet")[2] == ""
    assert run("render", tmp_path / "out.glb", "-o", tmp_path / "out.gif", "--size", "32")[0] == 0
    assert "jawOpen" in run("show", tmp_path / "out.glb")[1]
    assert "missing" in run("show", tmp_path / "me.glb")[1]


def test_one_file_into_a_folder_is_skipped_too_and_frames_get_a_folder(run, hello, tmp_path):
    again = ("animate", hello, "-o", tmp_path / "out", "--to", "csv,png", "--size", "16", "--fps", "2")
    assert run(*again)[0] == 0
    assert sorted(path.name for path in (tmp_path / "out" / "hello").iterdir())[:2] == ["00000.png", "00001.png"]
    assert "0 done, 1 skipped, 0 failed" in run(*again)[2]
    assert "wrote" in run(*again, "--force")[2]


def test_what_goes_to_stdout_is_what_goes_into_a_file(hello, tmp_path):
    artalk.save(artalk.animate(hello), tmp_path / "m.npz")
    artalk.save(artalk.animate(hello), tmp_path / "m.csv")
    done = subprocess.run(
        [sys.executable, "-m", "artalk.cli", "retarget", tmp_path / "m.npz", "-o", "-", "--format", "csv"],
        capture_output=True,
        check=True,
    )
    assert done.stdout == (tmp_path / "m.csv").read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "artalk.cli", "animate", hello, "-o", "-", "--to", "mp4", "--size", "16", "--fps", "2"],
        capture_output=True,
        check=True,
    )
    assert artalk.listen(_saved(tmp_path / "m.mp4", done.stdout)).duration == pytest.approx(2, abs=0.05)


def test_words_reach_a_terminal_that_cannot_show_them(hello, tmp_path):
    artalk.save(artalk.animate(hello), tmp_path / "m.npz")
    done = subprocess.run(
        [sys.executable, "-m", "artalk.cli", "show", tmp_path / "m.npz"],
        env={"PYTHONIOENCODING": "ascii", "PATH": ""},
        capture_output=True,
        check=True,
    )
    assert b"nods over" in done.stdout


def _saved(path, content):
    path.write_bytes(content)
    return path


if __name__ == "__main__":
    print(*table(), sep="\n")
