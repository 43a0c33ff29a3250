"""Public corpora as they are published, but small: two people who babble twice each, in the corpus' own files.

One more take of the first person is broken, each corpus' in its own way. What was performed is known, so that what
becomes of it can be compared. Pictures carry a performance as the brightness of patches, which `Watcher` reads back
as the landmarks of a face that performs it: all but the tracker's own model is then what a user runs.
"""

import csv
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np

from artalk.channels import ARKIT, ARKIT_SHAPES
from artalk.data.tracks import SOLVED
from artalk.motion import Motion
from artalk.retarget import flame
from artalk.rigs.flame import build
from artalk.rigs.head import head
from tests import flames
from tests.data.recordings import write_wav
from tests.prepare.faces import sighting
from tests.prepare.test_sync import babble, lips_of

SECONDS = 2.6

RATE = 16000

NTSC = Fraction(30000, 1001)


@dataclass(frozen=True, eq=False)
class Take:
    """What is performed: `sound` (n,) in -1..1 at 16 kHz, and 25 fps motion in which every channel moves."""

    sound: np.ndarray
    motion: Motion


def take(seed: int, seconds: float = SECONDS) -> Take:
    """Babble, the rules' lips for it, brows, a blink, a head that turns; what does not open lips in slow waves."""
    sound = babble(seconds, seed)
    motion = lips_of(sound, 0)
    at = np.arange(len(motion)) / 25
    values = motion.values.copy()
    for column in np.flatnonzero(np.ptp(values, axis=0) < 0.1):
        values[:, column] = 0.1 + 0.08 * np.sin(2 * at + column)
    for name in ("mouthClose", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight"):
        values[:, ARKIT.index(name)] = 0.1 * motion.channel("jawOpen")
    values[:, ARKIT.index("browInnerUp")] = 0.25 - 0.25 * np.cos(2.5 * at)
    values[:, ARKIT.indices(("eyeBlinkLeft", "eyeBlinkRight"))] = (np.abs(at - 1.2) < 0.09)[:, None]
    values[:, ARKIT.slice("head")] = np.stack([0 * at, 0.12 * np.sin(1.5 * at), 0 * at], axis=1)
    return Take(sound.samples.astype(np.float32) / 32768, Motion(values.astype(np.float32), ARKIT, Fraction(25)))


@dataclass(frozen=True)
class Facts:
    """What a layout's names tell of a take's clip."""

    speaker: str
    language: str = "en"
    style: str = ""
    text: str = ""


@dataclass(frozen=True)
class Miniature:
    """A corpus: `takes` by the names with which `write(folder, name, take)` writes them, their clips and what is known.

    The take `broken` is made useless by `spoil(folder)` and rejected for a `reason`. Clips show the groups `observed`
    (of a mesh, whatever of them moves), and are `made_of` weights, FLAME's coefficients, a mesh or videos.
    """

    write: Callable[[Path, str, Take], None]
    takes: Mapping[str, tuple[str, Facts]]
    broken: str
    spoil: Callable[[Path], None]
    reason: str
    observed: tuple[str, ...]
    made_of: str = "weights"

    def made(self, folder: Path) -> dict[str, Take]:
        """Write it; its takes by their clips' ids."""
        made: dict[str, Take] = {}
        for seed, (name, (clip, _)) in enumerate(self.takes.items()):
            made[clip] = take(seed)
            self.write(folder, name, made[clip])
        self.write(folder, self.broken, take(len(made)))
        self.spoil(folder)
        (folder / "readme.txt").write_text("no recording")
        return made


def cut(path: str) -> Callable[[Path], None]:
    """Half of a file is there, as after a broken download."""
    return lambda folder: (folder / path).write_bytes(
        (folder / path).read_bytes()[: (folder / path).stat().st_size // 2]
    )


def without(path: str) -> Callable[[Path], None]:
    """A file is not there."""
    return lambda folder: (folder / path).unlink()


def pointer(path: str) -> Callable[[Path], None]:
    """What Git LFS leaves in a file's place."""
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:" + 64 * "0" + "\nsize 1234567\n"
    return lambda folder: (folder / path).write_text(text) and None


def place(path: Path) -> Path:
    """A path whose folder there is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


# ── captures ──

BEAT_NAMES = sorted(name for name in ARKIT_SHAPES if name != "tongueOut")


def write_beat(folder: Path, name: str, what: Take) -> None:
    """An iPhone's weights at 60 frames a second, beside the sound and what is not read."""
    weights = what.motion.resample(60).values[:, ARKIT.indices(BEAT_NAMES)]
    frames = [{"weights": row.tolist(), "time": k / 60, "rotation": []} for k, row in enumerate(weights)]
    place(folder / f"{name}.json").write_text(json.dumps({"names": BEAT_NAMES, "frames": frames}))
    write_wav(folder / f"{name}.wav", what.sound)
    for suffix in (".bvh", ".csv", ".TextGrid", ".txt"):
        (folder / f"{name}{suffix}").write_text("of the body, of feelings, of words")


@cache
def made_map() -> flame.FlameMap:
    """A FLAME map that is the user's: shapes as coefficients that are far enough from each other to be told apart."""
    table = np.random.default_rng(0).normal(size=(len(ARKIT_SHAPES), 103)) * np.r_[np.ones(100), 0.1, 0.1, 0.1]
    return flame.from_table(table, ARKIT_SHAPES)


def write_map(path: Path) -> Path:
    """The same as a table for `artalk assets add flame-map`."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["shape", *(f"expression{k}" for k in range(100)), "jawX", "jawY", "jawZ"])
        rows.writerows([name, *row] for name, row in zip(ARKIT_SHAPES, made_map().table.tolist(), strict=True))
    return path


def write_tfhp(folder: Path, name: str, what: Take) -> None:
    """FLAME's coefficients at 25 frames a second with global rotation and jaw, and flac."""
    values = flame.from_arkit(what.motion, made_map()).values
    shape = np.tile(np.linspace(-1, 1, 100, dtype=np.float32), (len(values), 1))
    coefficients = place(folder / "FLAME_coeffs" / f"{name}.npz")
    np.savez(coefficients, exp=values[:, :100], pose=values[:, 100:], shape=shape)
    with av.open(str(place(folder / "audio" / f"{name}.flac")), "w") as container:
        speak(container, container.add_stream("flac", rate=RATE, layout="mono"), what.sound)


def write_beat2(folder: Path, name: str, what: Take) -> None:
    """A body of SMPL-X with FLAME's expressions at 30 frames a second, and sound at 16 kHz in a folder beside."""
    values = flame.from_arkit(what.motion.resample(30), made_map()).values
    poses = np.zeros((len(values), 165), np.float32)
    poses[:, 45:48], poses[:, 66:69] = values[:, 100:103], values[:, 103:]
    language, _, name = name.rpartition("/")
    np.savez(
        place(folder / language / "smplxflame_30" / f"{name}.npz"),
        betas=np.zeros(300, np.float32),
        poses=poses,
        expressions=values[:, :100],
        trans=np.zeros((len(values), 3), np.float32),
        model=np.array("smplx2020"),
        gender=np.array("neutral"),
        mocap_frame_rate=np.array(30),
    )
    write_wav(folder / language / "wave16k" / f"{name}.wav", what.sound)


@cache
def made_flame() -> dict[str, np.ndarray]:
    """The arrays of a FLAME file without ears and neck, so that it is quick."""
    return flames.layout(head(), front=0.06)


def write_flame(path: Path) -> Path:
    """A FLAME file for `artalk assets add flame`."""
    np.savez(path, **made_flame())
    return path


PEOPLE = np.random.default_rng(7).normal(0, 0.5, (2, 300)).astype(np.float32)
"""Shapes of two people, as FLAME's coefficients."""


def write_vocaset(folder: Path, name: str, what: Take) -> None:
    """Meshes of FLAME at 60 frames a second whose jaws open, flattened, and each person's mesh at rest in a pickle."""
    person = build(made_flame(), "made").with_identity(PEOPLE[int("00024" in name)])
    jaw = np.zeros((len(what.motion.resample(60)), 3), np.float32)
    jaw[:, 0] = flames.JAW_TURN * what.motion.resample(60).channel("jawOpen")
    posed = person.pose(np.zeros((len(jaw), 1), np.float32), jaw=jaw).vertices
    np.save(place(folder / "vertices_npy" / f"{name}.npy"), posed.reshape(len(posed), -1).astype(np.float32))
    write_wav(folder / "wav" / f"{name}.wav", what.sound)
    pickled = folder / "templates.pkl"
    known = pickle.loads(pickled.read_bytes()) if pickled.exists() else {}
    # As Python 2 wrote it: protocol 2, double precision.
    pickled.write_bytes(pickle.dumps(known | {name[:24]: person.template.astype(np.float64)}, protocol=2))


# ── videos ──

SIZE, PATCH = (192, 96), 16
"""Pixels of a picture (width, height) and of the sides of its patches."""

PATCHES = ("face", "jawOpen", "browInnerUp", "blink", "turn")
"""What the patches' brightness says: whether there is a face, two weights, the lids, and how far the head is turned."""


def picture(scene: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """A picture of a still scene with patches as bright as `levels` in 0..1."""
    shown = scene.copy()
    for k, level in enumerate(levels):
        shown[32:48, 16 + 32 * k : 32 + 32 * k] = round(255 * float(level))
    return shown


def pictures(what: Take, fps: Fraction, seen: bool = True) -> list[np.ndarray]:
    """The pictures of a performance."""
    motion = what.motion.resample(fps)
    weights = [motion.channel(name) for name in ("jawOpen", "browInnerUp", "eyeBlinkLeft")]
    levels = np.stack([np.full(len(motion), float(seen)), *weights, 0.5 + motion.channel("headY")], axis=1).clip(0, 1)
    scene = np.kron(np.random.default_rng(0).integers(60, 200, (6, 12, 3)), np.ones((PATCH, PATCH, 1))).astype(np.uint8)
    return [picture(scene, row) for row in levels]


class Watcher:
    """In the tracker's place: sees the face that a picture's patches speak of."""

    def __init__(self, model: Path, which: str = "largest") -> None:
        assert model.is_file()
        assert which == "largest"

    def restart(self) -> None:
        pass

    def close(self) -> None:
        pass

    def see(self, pixels: np.ndarray, time: float) -> Any:
        assert pixels.shape == (SIZE[1], SIZE[0], 3)
        face, jaw, brows, blink, turn = (pixels[36:44, 20 + 32 * k : 28 + 32 * k].mean() / 255 for k in range(5))
        if face < 0.5:
            return None
        weights = np.zeros(len(SOLVED))
        weights[SOLVED.index("jawOpen")], weights[SOLVED.index("browInnerUp")] = jaw, brows
        return sighting(weights, [0, turn - 0.5, 0], blink)


def speak(container: Any, stream: Any, samples: np.ndarray) -> None:
    """Put a sound into a stream of a file."""
    fifo = av.AudioResampler(stream.format or "s16", "mono", stream.rate, frame_size=stream.codec_context.frame_size)
    whole = av.AudioFrame.from_ndarray((samples.clip(-1, 1) * 32767).astype(np.int16)[None], "s16", "mono")
    whole.sample_rate, whole.pts = RATE, 0
    for part in (*fifo.resample(whole), *fifo.resample(None)):
        container.mux(stream.encode(part))
    container.mux(stream.encode(None))


def film(
    path: Path, what: Take, codecs: tuple[str, str], fps: Fraction = Fraction(25), heard: bool = True, seen: bool = True
) -> None:
    """A video of a performance, with its sound or mute; without a face where it is not `seen`."""
    with av.open(str(place(path)), "w") as container:
        stream = container.add_stream(codecs[0], rate=fps, bit_rate=4_000_000)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        sound = container.add_stream(codecs[1], rate=44100, layout="mono") if heard else None
        for shown in pictures(what, fps, seen):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        container.mux(stream.encode(None))
        if sound is not None:
            speak(container, sound, what.sound)


def align(what: Take) -> str:
    """GRID's times of six words over a take: 25,000 units a second."""
    ends = np.linspace(0.2, SECONDS - 0.3, 7) * 25000
    words = ["bin", "blue", "at", "f", "two", "now"]
    spans = [(0, ends[0], "sil"), *zip(ends[:-1], ends[1:], words, strict=True), (ends[-1], SECONDS * 25000, "sil")]
    return "".join(f"{first:.0f} {last:.0f} {word}\n" for first, last, word in spans)


def write_grid(folder: Path, name: str, what: Take) -> None:
    """MPEG-1 as GRID's own, and the times of words."""
    film(folder / f"{name}.mpg", what, ("mpeg1video", "mp2"))
    place(folder / "alignments" / f"{name}.align").write_text(align(what))


def write_lombard_grid(folder: Path, name: str, what: Take) -> None:
    """QuickTime from the front and from the side, sound apart, times of phones."""
    for side in ("front", "side"):
        film(folder / "lombardgrid" / side / f"{name}.mov", what, ("libx264", "aac"), Fraction(24), heard=False)
    write_wav(folder / "lombardgrid" / "audio" / f"{name}.wav", what.sound)
    spans = [{"offset": 0.5, "duration": 0.1, "phone": "B_B"}, {"offset": 0.6, "duration": 0.2, "phone": "IH1_I"}]
    place(folder / "lombardgrid" / "alignment" / f"{name}.json").write_text(json.dumps({name: spans}))


def write_mp4(folder: Path, name: str, what: Take) -> None:
    """A film with its sound, as HDTF's own scripts cut it."""
    film(folder / f"{name}.mp4", what, ("libx264", "aac"))


def write_ravdess(folder: Path, name: str, what: Take) -> None:
    """The film with sound, and the same without."""
    film(folder / f"{name}.mp4", what, ("libx264", "aac"), NTSC)
    film(folder / f"{name.replace('/01-', '/02-')}.mp4", what, ("libx264", "aac"), NTSC, heard=False)


def write_mead(folder: Path, name: str, what: Take) -> None:
    """Films of two of seven cameras, sound in a folder beside."""
    speaker, _, rest = name.partition("/")
    for side in ("front", "left_30"):
        film(folder / speaker / "video" / side / f"{rest}.mp4", what, ("libx264", "aac"), Fraction(30), heard=False)
    with av.open(str(place(folder / speaker / "audio" / f"{rest}.m4a")), "w", format="mp4") as container:
        speak(container, container.add_stream("aac", rate=44100, layout="mono"), what.sound)


def write_crema_d(folder: Path, name: str, what: Take) -> None:
    """Flash, and the sound apart."""
    film(folder / "VideoFlash" / f"{name}.flv", what, ("flv1", "libmp3lame"), NTSC)
    write_wav(folder / "AudioWAV" / f"{name}.wav", what.sound)


def blind(path: str, codecs: tuple[str, str], fps: Fraction) -> Callable[[Path], None]:
    """A film in which nobody is seen."""
    return lambda folder: film(folder / path, take(4), codecs, fps, seen=False)


def mute(path: str) -> Callable[[Path], None]:
    """A film without sound."""
    return lambda folder: film(folder / path, take(4), ("libx264", "aac"), heard=False)


def silent(path: str) -> Callable[[Path], None]:
    """A sound in which nobody speaks."""
    return lambda folder: write_wav(folder / path, 1e-4 * np.sin(np.arange(round(SECONDS * RATE)) / 5))


FLAME_SHOWS = ("eyes", "jaw", "mouth", "brows", "cheeks", "nose", "head")
TRACKED = ("eyes", "jaw", "mouth", "brows", "head")

VOCA = ("FaceTalk_170725_00137_TA", "FaceTalk_170731_00024_TA")

MINIATURES = {
    "beat": Miniature(
        write_beat,
        {
            "1/1_wayne_0_1_1": ("beat-1_wayne-0_1_1", Facts("1_wayne")),
            "1/1_wayne_1_2_2": ("beat-1_wayne-1_2_2", Facts("1_wayne")),
            "12/12_zhao_0_1_1": ("beat-12_zhao-0_1_1", Facts("12_zhao")),
            "12/12_zhao_2_1_1": ("beat-12_zhao-2_1_1", Facts("12_zhao", "zh")),
        },
        "1/1_wayne_0_3_3",
        cut("1/1_wayne_0_3_3.json"),
        "unreadable",
        ("eyes", "jaw", "mouth", "brows", "cheeks", "nose"),
    ),
    "beat2": Miniature(
        write_beat2,
        {
            "beat_english_v2.0.0/2_scott_0_77_77": ("beat2-2_scott-0_77_77", Facts("2_scott")),
            "beat_english_v2.0.0/2_scott_0_78_78": ("beat2-2_scott-0_78_78", Facts("2_scott")),
            "beat_spanish_v2.0.0/15_carlos_4_1_1": ("beat2-15_carlos-4_1_1", Facts("15_carlos", "es")),
            "beat_japanese_v2.0.0/17_itoi_6_1_1": ("beat2-17_itoi-6_1_1", Facts("17_itoi", "ja")),
        },
        "beat_english_v2.0.0/2_scott_0_79_79",
        cut("beat_english_v2.0.0/smplxflame_30/2_scott_0_79_79.npz"),
        "unreadable",
        FLAME_SHOWS,
        "coefficients",
    ),
    "tfhp": Miniature(
        write_tfhp,
        {
            "TH217/000": ("tfhp-th217-000", Facts("th217")),
            "TH217/001": ("tfhp-th217-001", Facts("th217")),
            "TH300/000": ("tfhp-th300-000", Facts("th300")),
            "TH300/001": ("tfhp-th300-001", Facts("th300")),
        },
        "TH217/002",
        without("audio/TH217/002.flac"),
        "no sound",
        FLAME_SHOWS,
        "coefficients",
    ),
    "vocaset": Miniature(
        write_vocaset,
        {
            f"{person}_sentence{k:02d}": (f"vocaset-{person.lower()}-sentence{k:02d}", Facts(person.lower()))
            for person in VOCA
            for k in (1, 2)
        },
        f"{VOCA[0]}_sentence03",
        silent(f"wav/{VOCA[0]}_sentence03.wav"),
        "no speech",
        ("eyes", "jaw", "mouth", "brows", "cheeks", "nose"),
        "mesh",
    ),
    "grid": Miniature(
        write_grid,
        {
            "s1/bbaf2n": ("grid-s1-bbaf2n", Facts("s1", text="bin blue at f two now")),
            "s1/lwwz9a": ("grid-s1-lwwz9a", Facts("s1", text="lay white with z nine again")),
            "s2/bbaf2n": ("grid-s2-bbaf2n", Facts("s2", text="bin blue at f two now")),
            "s2/pgid4s": ("grid-s2-pgid4s", Facts("s2", text="place green in d four soon")),
        },
        "s1/bbaf3s",
        lambda folder: (folder / "s1" / "bbaf3s.mpg").write_bytes(b"\0\0\1\xba" + bytes(5000)) and None,
        "unreadable",
        ("jaw", "mouth", "brows"),
        "videos",
    ),
    "lombard_grid": Miniature(
        write_lombard_grid,
        {
            "s2_l_bbim3a": ("lombard_grid-s2-l-bbim3a", Facts("s2", style="lombard", text="bin blue in m three again")),
            "s2_p_lgbb5s": ("lombard_grid-s2-p-lgbb5s", Facts("s2", text="lay green by b five soon")),
            "s3_l_bbim3a": ("lombard_grid-s3-l-bbim3a", Facts("s3", style="lombard", text="bin blue in m three again")),
            "s3_p_bbim4n": ("lombard_grid-s3-p-bbim4n", Facts("s3", text="bin blue in m four now")),
        },
        "s2_p_bbim5p",
        without("lombardgrid/audio/s2_p_bbim5p.wav"),
        "no sound",
        ("jaw", "mouth", "brows"),
        "videos",
    ),
    "hdtf": Miniature(
        write_mp4,
        {
            "RD_Radio1_000": ("hdtf-rd-radio1-000", Facts("radio1")),
            "RD_Radio1_001": ("hdtf-rd-radio1-001", Facts("radio1")),
            "clips/WDA_BarackObama1_000": ("hdtf-wda-barackobama1-000", Facts("barackobama")),
            "clips/WDA_BarackObama2_000": ("hdtf-wda-barackobama2-000", Facts("barackobama")),
        },
        "RD_Radio1_002",
        mute("RD_Radio1_002.mp4"),
        "no sound",
        TRACKED,
        "videos",
    ),
    "ravdess": Miniature(
        write_ravdess,
        {
            "Actor_12/01-01-06-01-02-01-12": (
                "ravdess-actor12-06-01-02-01",
                Facts("actor12", style="fearful", text="dogs are sitting by the door"),
            ),
            "Actor_12/01-01-01-01-01-02-12": (
                "ravdess-actor12-01-01-01-02",
                Facts("actor12", style="neutral", text="kids are talking by the door"),
            ),
            "Actor_03/01-01-03-02-01-01-03": (
                "ravdess-actor03-03-02-01-01",
                Facts("actor03", style="happy", text="kids are talking by the door"),
            ),
            "Actor_03/01-01-08-01-02-01-03": (
                "ravdess-actor03-08-01-02-01",
                Facts("actor03", style="surprised", text="dogs are sitting by the door"),
            ),
        },
        "Actor_03/01-01-02-01-01-01-03",
        blind("Actor_03/01-01-02-01-01-01-03.mp4", ("libx264", "aac"), NTSC),
        "no face",
        TRACKED,
        "videos",
    ),
    "mead": Miniature(
        write_mead,
        {
            "M003/angry/level_1/001": ("mead-m003-angry-1-001", Facts("m003", style="angry")),
            "M003/neutral/level_1/001": ("mead-m003-neutral-1-001", Facts("m003", style="neutral")),
            "W009/angry/level_3/001": ("mead-w009-angry-3-001", Facts("w009", style="angry")),
            "W009/happy/level_2/001": ("mead-w009-happy-2-001", Facts("w009", style="happy")),
        },
        "M003/sad/level_1/001",
        cut("M003/audio/sad/level_1/001.m4a"),
        "no sound",
        TRACKED,
        "videos",
    ),
    "crema_d": Miniature(
        write_crema_d,
        {
            "1001_DFA_ANG_XX": ("crema_d-1001-dfa-ang-xx", Facts("1001", style="angry", text="don't forget a jacket")),
            "1001_IEO_SAD_HI": ("crema_d-1001-ieo-sad-hi", Facts("1001", style="sad", text="it's eleven o'clock")),
            "1076_MTI_NEU_XX": (
                "crema_d-1076-mti-neu-xx",
                Facts("1076", style="neutral", text="maybe tomorrow it will be cold"),
            ),
            "1076_TSI_HAP_XX": ("crema_d-1076-tsi-hap-xx", Facts("1076", style="happy", text="the surface is slick")),
        },
        "1001_WSI_FEA_XX",
        pointer("VideoFlash/1001_WSI_FEA_XX.flv"),
        "unreadable",
        TRACKED,
        "videos",
    ),
}
"""The corpora by the names of their recipes."""
