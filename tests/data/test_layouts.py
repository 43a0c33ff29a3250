"""Miniature copies of the public corpora, with the names and folders of the real ones."""

import json
from pathlib import Path

import pytest

from artalk import config
from artalk.data import layouts, times
from artalk.data.collection import Collection, of_folder, slug
from artalk.data.layouts import LAYOUTS, items
from artalk.errors import BadFile, BadInput, MissingFile
from tests.data.recordings import sound, write_take

ROOT = Path(__file__).parents[2]

CORPORA = {
    "grid": (
        ["s1/bbaf2n.mpg", "s1/lwwz9a.mpg", "s22/video/mpg_6000/pgid4s.mpg", "alignments/s1/bbaf2n.align", "readme.txt"],
        {
            "s1-bbaf2n": ("s1", "", "bin blue at f two now", "", "alignments/s1/bbaf2n.align"),
            "s1-lwwz9a": ("s1", "", "lay white with z nine again", "", ""),
            "s22-pgid4s": ("s22", "", "place green in d four soon", "", ""),
        },
    ),
    "lombard_grid": (
        ["lombardgrid/front/s2_l_bbim3a.mov", "lombardgrid/audio/s2_l_bbim3a.wav", "lombardgrid/side/s2_l_bbim3a.mov"]
        + ["lombardgrid/alignment/s2_l_bbim3a.json", "lombardgrid/front/s2_p_lgbb5s.mov"],
        {
            "s2-l-bbim3a": (
                "s2",
                "lombard",
                "bin blue in m three again",
                "lombardgrid/audio/s2_l_bbim3a.wav",
                "lombardgrid/alignment/s2_l_bbim3a.json",
            ),
            "s2-p-lgbb5s": ("s2", "", "lay green by b five soon", "", ""),
        },
    ),
    "hdtf": (
        ["RD_Radio1_000.mp4", "RD_Radio11_000.mp4", "clips/WDA_BarackObama1_002.mp4", "WRA_MarcoRubio_000.mp4"],
        {
            "rd-radio1-000": ("Radio1", "", "", "", ""),
            "rd-radio11-000": ("Radio11", "", "", "", ""),
            "wda-barackobama1-002": ("BarackObama", "", "", "", ""),
            "wra-marcorubio-000": ("MarcoRubio", "", "", "", ""),
        },
    ),
    "ravdess": (
        ["Actor_12/01-01-06-01-02-01-12.mp4", "Actor_12/02-01-06-01-02-01-12.mp4", "Actor_12/01-02-06-01-02-01-12.mp4"],
        {"actor12-06-01-02-01": ("actor12", "fearful", "dogs are sitting by the door", "", "")},
    ),
    "mead": (
        ["M003/video/front/angry/level_1/001.mp4", "M003/video/left_30/angry/level_1/001.mp4"]
        + ["M003/audio/angry/level_1/001.m4a"],
        {"m003-angry-1-001": ("M003", "angry", "", "M003/audio/angry/level_1/001.m4a", "")},
    ),
    "crema_d": (
        ["VideoFlash/1001_DFA_ANG_XX.flv", "AudioWAV/1001_DFA_ANG_XX.wav", "VideoFlash/1076_MTI_NEU_XX.flv"],
        {
            "1001-dfa-ang-xx": ("1001", "angry", "don't forget a jacket", "AudioWAV/1001_DFA_ANG_XX.wav", ""),
            "1076-mti-neu-xx": ("1076", "neutral", "maybe tomorrow it will be cold", "", ""),
        },
    ),
    "vocaset": (
        ["vertices_npy/FaceTalk_170725_00137_TA_sentence01.npy", "wav/FaceTalk_170725_00137_TA_sentence01.wav"]
        + ["templates.pkl"],
        {
            "facetalk_170725_00137_ta-sentence01": (
                "FaceTalk_170725_00137_TA",
                "",
                "",
                "wav/FaceTalk_170725_00137_TA_sentence01.wav",
                "",
            )
        },
    ),
    "tfhp": (
        ["FLAME_coeffs/TH217/000.npz", "audio/TH217/000.flac", "FLAME_coeffs/TH217/001.npz"],
        {
            "th217-000": ("TH217", "", "", "audio/TH217/000.flac", ""),
            "th217-001": ("TH217", "", "", "", ""),
        },
    ),
    "beat2": (
        ["beat_english_v2.0.0/smplxflame_30/2_scott_0_77_77.npz", "beat_english_v2.0.0/wave16k/2_scott_0_77_77.wav"],
        {"2_scott-0_77_77": ("2_scott", "", "", "beat_english_v2.0.0/wave16k/2_scott_0_77_77.wav", "")},
    ),
    "beat": (
        ["1/1_wayne_0_1_1.json", "1/1_wayne_0_1_1.wav", "1/1_wayne_0_1_1.TextGrid"],
        {"1_wayne-0_1_1": ("1_wayne", "", "", "1/1_wayne_0_1_1.wav", "")},
    ),
}


def miniature(folder, paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_miniature_of_each_corpus(tmp_path, layout):
    paths, wanted = CORPORA[layout]
    found = {item.name: item for item in items(miniature(tmp_path, paths), layout)}
    assert set(found) == set(wanted)
    for name, facts in wanted.items():
        item = found[name]
        assert (item.speaker, item.style, item.text, item.sound, item.times) == facts
        assert (tmp_path / item.motion).is_file()


UNASKED = ("hdtf", "tfhp")
"""Corpora of public videos, whose people nobody asked: what is made of them is not to be shared."""


def test_every_layout_has_a_recipe_and_every_recipe_a_layout_and_a_page():
    recipes = {path.stem: config.load(Collection, path) for path in (ROOT / "recipes" / "public").glob("*.toml")}
    assert set(LAYOUTS) == {recipe.layout for recipe in recipes.values()}
    for name, recipe in recipes.items():
        assert recipe.missing == (("consent",) if name in UNASKED else ()), name
        assert recipe.speakers, name
        page = (ROOT / "docs" / "corpora" / f"{name}.md").read_text()
        assert f"artalk prepare {name.upper()}/ -o corpus/ --recipe {name} " in page, name


def test_alignments_of_grid_that_lie_with_another_speaker_are_found(tmp_path):
    paths = ["s5/bbaf2n.mpg", "s5/bbaf3s.mpg", "s6/lgwz1a.mpg", "s6/lgwz2n.mpg"]
    paths += ["alignments/s6/bbaf2n.align", "alignments/s6/bbaf3s.align", "alignments/s5/lgwz1a.align"]
    found = {item.name: item.times for item in items(miniature(tmp_path, paths), "grid")}
    assert found == {
        "s5-bbaf2n": "alignments/s6/bbaf2n.align",
        "s5-bbaf3s": "alignments/s6/bbaf3s.align",
        "s6-lgwz1a": "alignments/s5/lgwz1a.align",
        "s6-lgwz2n": "",
    }


def test_any_folder_of_takes(tmp_path):
    write_take(tmp_path / "Anna B", "one", 0.5)
    (tmp_path / "Anna B" / "one.txt").write_text("good  morning\n")
    write_take(tmp_path / "Bert", "two", 0.5)
    (tmp_path / "Bert" / "audio").mkdir()
    (tmp_path / "Bert" / "two.wav").rename(tmp_path / "Bert" / "audio" / "two.wav")
    write_take(tmp_path, "three", 0.5)
    (tmp_path / "three.wav").rename(tmp_path / "three.mov")
    miniature(tmp_path, ["Bert/film.MP4", ".hidden/x.csv", "notes.txt"])
    found = {item.name: item for item in items(tmp_path)}
    assert set(found) == {"anna-b-one", "bert-two", "bert-film", "three"}
    assert found["anna-b-one"].text == "good morning"
    assert found["anna-b-one"].speaker == "Anna B"
    assert found["bert-two"].sound == "Bert/audio/two.wav"
    assert found["bert-film"].is_video
    assert (found["three"].sound, found["three"].speaker) == ("three.mov", "")


def test_a_take_in_a_folder_of_its_own_takes_the_only_film_there(tmp_path):
    write_take(tmp_path / "20240101_Slate_1", "Slate_1_iPhone", 0.5)
    (tmp_path / "20240101_Slate_1" / "Slate_1_iPhone.wav").rename(tmp_path / "20240101_Slate_1" / "video.mov")
    (item,) = items(tmp_path)
    assert item.sound == "20240101_Slate_1/video.mov"


def test_wrong_folders(tmp_path):
    with pytest.raises(MissingFile, match="is none"):
        items(tmp_path / "none")
    with pytest.raises(MissingFile, match="nothing to prepare"):
        items(tmp_path)
    with pytest.raises(MissingFile, match="s1/"):
        items(tmp_path, "grid")
    with pytest.raises(BadInput, match="a layout is one of"):
        items(tmp_path, "lrs3")
    miniature(tmp_path, ["a b.mp4", "a-b.mp4"])
    with pytest.raises(BadInput, match="would both be called"):
        items(tmp_path)


def test_words_of_grid():
    assert layouts.grid_words("swwv9a") == "set white with v nine again"
    assert layouts.grid_words("sww9va") == layouts.grid_words("swwv9") == layouts.grid_words("") == ""


def test_phones_of_lombard_grid(tmp_path):
    path = tmp_path / "s2_l_bbim3a.json"
    spans = [{"offset": 0.5, "duration": 0.1, "phone": "B_B"}, {"offset": 0.6, "duration": 0.2, "phone": "IH1_I"}]
    path.write_text(json.dumps({"s2_l_bbim3a": spans}))
    found = times.phones(path, sound(1.0))
    assert [label for _, _, label in found] == ["sil", "b", "ɪ", "sil"]
    assert [start for start, _, _ in found] == pytest.approx([0, 0.5, 0.6, 0.8])
    for bad in ("{", "{}", '{"a": [{"offset": 0}]}', '{"a": [{"offset": 0, "duration": 1, "phone": "@@"}]}'):
        path.write_text(bad)
        with pytest.raises(BadFile):
            times.phones(path, sound(1.0))


def test_collections(tmp_path):
    folder = tmp_path / "My Takes 2024"
    folder.mkdir()
    assert of_folder(folder).source == "my_takes_2024"
    assert of_folder(folder).missing == ("licence", "credit", "consent")
    (folder / "collection.toml").write_text('source = "me"\nlicence = "mine"\ncredit = "me"\nconsent = "my own face"\n')
    assert of_folder(folder).missing == ()
    with pytest.raises(BadInput, match="small letters"):
        Collection("Me!")
    with pytest.raises(BadInput, match="share"):
        Collection("me", validation=1.0)
    with pytest.raises(MissingFile):
        of_folder(folder, tmp_path / "none.toml")
    assert slug("Take 1/Ann_B.C") == "take-1-ann_b-c"
    assert slug("你好") != slug("再见") != ""
    assert slug("Über 1").startswith("ber-1-")
