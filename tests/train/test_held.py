"""Figures that a training goes by."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from artalk.channels import ARKIT
from artalk.evaluate.face import of_rig
from artalk.motion import Motion
from artalk.rigs.head import head
from artalk.train.held import Held
from tests.train.corpora import made_corpus


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    corpus = made_corpus(tmp_path_factory.mktemp("corpus"))
    return tuple(corpus.read(entry) for entry in corpus.select("validation"))


def judged(clips, moving):
    """The figures of whoever performs the truth in the first `moving` clips and stands still in the others."""
    shown = [clip.motion.values * (number < moving) for number, clip in enumerate(clips)]
    return Held(clips, of_rig(head(), 120)).judge(lambda *_: torch.tensor(np.stack(shown)))


def test_who_stands_still_follows_nothing(clips):
    whole, half, still = (judged(clips, moving) for moving in (4, 2, 0))
    assert whole["score"] == pytest.approx(0, abs=1e-6)
    assert half["aperture"] == half["width"] == pytest.approx(0.5)
    assert still["aperture"] == still["width"] == 0
    assert still["score"] == 1
    assert still["lve"] > half["lve"] > whole["lve"]


def test_where_nothing_moves_there_is_nothing_to_follow(clips):
    rest = Motion(np.zeros((50, len(ARKIT)), np.float32), ARKIT, clips[0].motion.fps)
    silent = replace(clips[0], motion=rest)
    assert judged((*clips[1:], silent), 3)["aperture"] == pytest.approx(1)
    assert np.isnan(judged((silent,), 1)["score"])
