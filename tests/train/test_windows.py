from dataclasses import replace

import numpy as np
import pytest
import torch

from artalk.channels import ARKIT
from artalk.errors import BadInput
from artalk.train.recipe import Data, Sound
from artalk.train.windows import HOP, Shape, Takes, _bridged, _chained, _cut, _pause, _piece
from tests.train.corpora import made_corpus

SHAPE = Shape(window=40, past=12, lookahead=5)
PLAIN = Sound(voice=0, tempo=0, noise=0, room=0, band=0, gain=(0.0, 0.0))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return made_corpus(tmp_path_factory.mktemp("corpus"))


def takes(corpus, with_sound=True, **changes):
    return Takes(corpus, "train", replace(Data(), **changes), SHAPE, 0, with_sound, with_sound)


def test_a_batch_has_the_shapes_that_models_ask_for(corpus):
    batch = takes(corpus).batch(3, 4)
    frames = 2 * SHAPE.window
    assert batch.motion.shape == (4, frames, len(ARKIT))
    assert batch.sound.shape == (4, (SHAPE.past + frames + SHAPE.lookahead) * HOP)
    assert batch.phones.shape == (4, 2 * frames)
    assert batch.style_clip.shape == (4, 125, len(ARKIT))
    assert batch.style_frames.shape == batch.style_id.shape == (4,)
    assert batch.style_frames.min() >= 25
    assert not batch.observed[:, ARKIT.index("tongueOut")].any()
    assert takes(corpus, with_sound=False).batch(3, 4).sound is None


def test_a_batch_is_a_function_of_its_step_however_it_is_shared_out(corpus):
    whole = takes(corpus).batch(7, 4)
    again = takes(corpus)
    again.batch(6, 4)
    parts = [again.batch(7, 4, rank, 2) for rank in range(2)]
    for rank, part in enumerate(parts):
        for name, value in vars(part).items():
            if value is not None:
                assert torch.equal(value, getattr(whole, name)[rank::2]), name
    assert not torch.equal(whole.motion, takes(corpus).batch(8, 4).motion)


def test_sound_and_motion_stay_together_through_joins_and_tempo(corpus):
    """The made-up jaw follows the loudness, wherever the take was cut from and however fast it is played."""
    batch = takes(corpus, sound=replace(PLAIN, tempo=0.2), pauses=0.0).batch(0, 8)
    jaw = batch.motion[:, :, ARKIT.index("jawOpen")].numpy()
    sound = batch.sound[:, SHAPE.past * HOP : -SHAPE.lookahead * HOP].numpy()
    loud = np.sqrt((sound.reshape(8, -1, HOP) ** 2).mean(axis=2))
    for row in range(8):
        assert np.corrcoef(jaw[row], loud[row])[0, 1] > 0.95


def test_a_pause_is_silent_and_goes_from_pose_to_pose(corpus):
    one, two = (_piece(corpus.read(entry)) for entry in corpus.entries[:2])
    joined = _chained(_bridged([one, _pause(20, one), two]), 2)
    assert len(joined) == len(one) + 20 + len(two) - 4
    assert np.isfinite(joined.motion).all()
    middle = slice(len(one), len(one) + 14)
    assert not joined.sound[middle.start * HOP : middle.stop * HOP].any()
    assert (joined.phones[2 * middle.start : 2 * middle.stop] == 0).all()
    assert len(joined.phones) == 2 * len(joined)
    low, high = sorted((one.motion[-1, 17], two.motion[0, 17]))
    assert (joined.motion[middle, 17] >= low - 1e-6).all()
    assert (joined.motion[middle, 17] <= high + 1e-6).all()


def test_of_clips_without_phones_no_pause_is_one(corpus):
    piece = _piece(corpus.read(corpus.entries[0]))
    nobody = replace(piece, phones=np.full_like(piece.phones, -1))
    assert (_pause(5, nobody).phones == -1).all()
    assert (_pause(5, piece).phones == 0).all()


def test_phones_are_numbered_every_20_ms(corpus):
    piece = _piece(corpus.read(corpus.entries[0]))
    assert piece.phones[0] == 0
    assert piece.phones[25] != piece.phones[40] != -1
    assert (_cut(piece, 10).phones == piece.phones[20:]).all()


def test_sources_that_a_recipe_leaves_out_are_not_drawn(corpus):
    with pytest.raises(BadInput, match="nothing for train"):
        takes(corpus, sources={"made": 0.0})


def test_habits_are_worn_by_a_row_and_its_style_clip_alike(corpus):
    plain, worn = (takes(corpus, habits=share, sound=PLAIN).batch(2, 6) for share in (0.0, 1.0))
    assert torch.equal(plain.sound, worn.sound)
    assert torch.equal(plain.style_frames, worn.style_frames)
    assert len(set(worn.style_id.tolist())) == 6
    assert not set(worn.style_id.tolist()) & set(plain.style_id.tolist())
    jaw = ARKIT.index("jawOpen")
    gains = [getattr(worn, name)[:, :, jaw] / getattr(plain, name)[:, :, jaw] for name in ("motion", "style_clip")]
    for row in range(6):
        moved = [gain[row][torch.isfinite(gain[row])].median() for gain in gains]
        assert moved[0] == pytest.approx(float(moved[1]), rel=0.05)
        assert abs(float(moved[0]) - 1) > 1e-3


def test_habits_are_for_what_can_know_of_them(corpus):
    """A regression hears sound alone: of habits it would learn the mean. A codec sees the motion itself."""
    data = replace(Data(), habits=1.0)
    for sound, style, differs in ((True, False, False), (False, False, True)):
        worn = Takes(corpus, "train", data, SHAPE, 0, sound, style).batch(0, 4).motion
        plain = Takes(corpus, "train", Data(), SHAPE, 0, sound, style).batch(0, 4).motion
        assert torch.equal(worn, plain) is not differs


def test_habits_are_a_share():
    with pytest.raises(BadInput, match="habits is a share"):
        Data(habits=1.5)
