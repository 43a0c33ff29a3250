import numpy as np
import pytest

from artalk.audio import Audio
from artalk.data import align
from artalk.data.espeak import Reading
from artalk.errors import BadInput


def tones(lengths: list[float], seed: int = 0) -> Audio:
    """A string of buzzes with spectra of their own, each of some seconds."""
    rng = np.random.default_rng(seed)
    pieces: list[np.ndarray] = []
    for number, seconds in enumerate(lengths):
        time = np.arange(round(seconds * 16000)) / 16000
        formants = (300 + 170 * (number % 5), 1100 + 430 * (number % 4))
        pieces.append(sum(np.sin(2 * np.pi * f * time + rng.uniform(0, 6)) for f in formants) * 0.2)
    return Audio(np.concatenate(pieces).astype(np.float32), 16000)


def test_warping_finds_boundaries_of_another_pace():
    slow, fast = [0.3, 0.25, 0.2, 0.3, 0.22, 0.26], [0.15, 0.2, 0.12, 0.1, 0.2, 0.14]
    names = ["a", "b", "i", "s", "u", "t"]
    ends = np.cumsum(fast)
    starts = [0.0, *ends[:-1]]
    reading = Reading(tones(fast), tuple(zip(map(float, starts), map(float, ends), names, strict=True)))
    found = align.by_reading(tones(slow, 1), reading)
    assert [name for _, _, name in found if name != "sil"] == names
    wanted = np.cumsum(slow)[:-1]
    got = [start for start, _, name in found if name != "sil"][1:]
    assert np.abs(np.array(got) - wanted).max() < 0.035


def test_the_path_is_monotone_from_end_to_end():
    rng = np.random.default_rng(0)
    first = align.warp(rng.standard_normal((40, 26)), rng.standard_normal((30, 26)))
    assert first[0] == 0
    assert (np.diff(first) >= 0).all()


def test_silence_around_speech_is_no_part_of_it():
    sound = tones([0.3, 0.3])
    padded = Audio(np.concatenate([np.zeros(8000), sound.samples, np.zeros(4000)]).astype(np.float32), 16000)
    start, end = align.spoken(padded)
    assert start == pytest.approx(0.5, abs=0.03)
    assert end == pytest.approx(1.1, abs=0.04)
    assert align.spoken(Audio(np.zeros(1600, np.float32), 16000)) == (0.0, 0.1)


def test_cepstra_do_not_mind_gain():
    sound = tones([0.2, 0.3])
    quiet = Audio(sound.samples * np.float32(0.01), 16000)
    assert np.abs(align.cepstra(sound) - align.cepstra(quiet)).max() < 0.05


def test_text_is_cleaned():
    assert align.clean("„Na  ja“ – (so)") == "Na ja so"


def test_a_synthetic_voice_is_aligned_to_another():
    pytest.importorskip("espeakng_loader")
    from artalk.data.espeak import read_aloud

    text = "Der Lappen liegt auf dem Eisschrank."
    spoken = read_aloud(text, "de", 140)
    found = align.by_synthesis(spoken.audio, text, ["de+f3"])
    true = [span for span in spoken.phones if span[2] != "sil"]
    got = [span for span in found if span[2] != "sil"]
    assert [phone for _, _, phone in got] == [phone for _, _, phone in true]
    assert np.median([abs(a[0] - b[0]) for a, b in zip(got, true, strict=True)]) < 0.03
    with pytest.raises(BadInput):
        align.by_synthesis(spoken.audio, text, [])
    with pytest.raises(BadInput):
        read_aloud(text, "no such voice")


def test_english_words_are_divided_where_the_aligner_fails():
    pytest.importorskip("pocketsphinx")
    english = align.English({"spell_b": "B IY"})
    silence = Audio(np.zeros(16000, np.float32), 16000)
    found = english.phones(silence, [(0.2, 0.6, "spell_b")])
    assert [phone for _, _, phone in found] == ["sil", "b", "i", "sil"]
    assert found[1][0] == pytest.approx(0.2)
    assert found[2][1] == pytest.approx(0.6)
