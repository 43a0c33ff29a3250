"""The speech encoder hears what it says it hears, and the same however the sound is cut."""

import dataclasses

import pytest
import torch

from artalk.errors import BadInput
from artalk.models.nn.transformer import slid
from artalk.models.speech.mel import Speech, SpeechConfig
from tests.models.tiny import SPEECH, noise_sound, rough

HOP = 640


@pytest.fixture(scope="module")
def speech():
    torch.manual_seed(0)
    return rough(Speech(SPEECH, 25.0))


def whole(frames, seed=0):
    return noise_sound((SPEECH.past + frames + SPEECH.lookahead) * HOP, seed)[None]


def test_windows_with_their_margins_hear_what_the_whole_hears(speech):
    sound, window = whole(40), 8
    with torch.no_grad():
        features = speech(sound).features
        level, heard = speech.fresh(1), []
        for start in range(0, 40, window):
            piece = sound[:, start * HOP : (start + SPEECH.past + window + SPEECH.lookahead) * HOP]
            part, level = speech(piece, level)
            heard.append(part)
    assert torch.allclose(torch.cat(heard, dim=1), features, atol=2e-4)


@torch.no_grad()
def test_the_shortest_lookahead_is_one_frame():
    """Attention that looks back alone and a level of earlier frames: 40 ms, for the convolutions and the spectrum."""
    config = dataclasses.replace(SPEECH, ahead=0, level_ahead=-1)
    torch.manual_seed(0)
    live, frames, k = rough(Speech(config, 25.0)), 30, 12
    assert config.lookahead == 1
    sound = noise_sound((config.past + frames + 1) * HOP)[None]
    late = sound.clone()
    late[:, (config.past + k + 2) * HOP :] = 0.5
    before, after = live(sound).features, live(late).features
    assert torch.equal(before[:, : k + 1], after[:, : k + 1])
    assert not torch.equal(before[:, k + 1], after[:, k + 1])


@torch.no_grad()
@pytest.mark.parametrize("window", [1, 4, 10])
def test_steps_that_keep_what_they_heard_hear_what_the_whole_hears(window):
    config = dataclasses.replace(SPEECH, depth=3, ahead=0, level_ahead=-1)
    torch.manual_seed(0)
    live, frames, count = rough(Speech(config, 25.0)), 40, 2
    sound = noise_sound(count * (frames + config.lookahead) * HOP).reshape(count, -1)
    sound[:, :HOP] = 0  # what the silence before does not know
    state, heard = live.begin(count), []
    assert state["sound"].shape[1] == 2 * HOP
    for start in range(0, frames, window):
        piece = sound[:, start * HOP : (start + window + config.lookahead) * HOP]
        features, after = live.step(state, piece)
        heard.append(features)
        assert after["keys"].shape[-2] == min(2 * window, config.back)
        state = after | {"keys": slid(state["keys"], after["keys"])}
    silence = torch.zeros(count, config.past * HOP)
    whole = live(torch.cat([silence, sound], dim=1)).features
    assert torch.allclose(torch.cat(heard, dim=1), whole, atol=2e-4)


def test_sound_outside_the_margins_is_not_heard(speech):
    frames, k = 30, 12
    sound, margin = whole(frames), SPEECH.past
    with torch.no_grad():
        before = speech(sound).features
        late = sound.clone()
        late[:, (margin + k + 1 + SPEECH.lookahead) * HOP :] = 0.5
        assert torch.equal(speech(late).features[:, : k + 1], before[:, : k + 1])
        assert not torch.equal(speech(late).features, before)


def test_a_louder_recording_gives_the_same_features(speech):
    frames = 60
    sound = whole(frames)
    with torch.no_grad():
        normal = speech(sound).features
        for gain in (0.05, 4.0):
            assert (speech(sound * gain).features - normal).abs().mean() < 0.02 * normal.abs().mean()


def test_silence_and_extremes_stay_finite(speech):
    for sound in (torch.zeros_like(whole(5)), torch.ones_like(whole(5)), whole(5) * 1e-9, whole(5) * 100):
        heard = speech(sound)
        assert torch.isfinite(heard.features).all()
        assert torch.isfinite(heard.level).all()


def test_the_spectrum_peaks_where_a_tone_lies():
    speech = Speech(SpeechConfig(), 25.0)
    time = torch.arange((SpeechConfig().past + 4 + SpeechConfig().lookahead) * HOP) / 16000
    peaks = [int(speech.log_mel(torch.sin(2 * torch.pi * f * time)[None])[0][0, 80].argmax()) for f in (150, 600, 3000)]
    assert peaks == sorted(peaks)
    assert peaks[0] < 8 < peaks[1] < 24 < peaks[2] < 56
    # No band is empty: each hears something of white noise.
    level, _ = speech.log_mel(noise_sound(len(time))[None])
    assert level.mean(dim=(0, 1)).min() > -12


def test_phones_have_a_row_every_half_frame(speech):
    heard = speech(whole(6))
    assert speech.phone_logits(heard.features).shape == (1, 12, 3)


@pytest.mark.parametrize("samples", [0, 100, SPEECH.past * HOP, (SPEECH.past + SPEECH.lookahead) * HOP])
def test_too_little_sound_is_refused(speech, samples):
    with pytest.raises(BadInput, match="frames of 640 samples"):
        speech(torch.zeros(1, samples))


def test_half_precision_does_not_reach_the_spectra(speech):
    sound = whole(20)
    with torch.no_grad():
        full = speech(sound)
        with torch.autocast("cpu", torch.bfloat16):
            half = speech(sound)
    assert torch.equal(full.level, half.level)
    assert (full.features - half.features).abs().mean() < 0.02
