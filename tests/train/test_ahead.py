"""Who makes the batches, and how many do, changes nothing in them."""

import os
import pickle
from dataclasses import replace
from functools import partial

import pytest
import torch

from artalk.data import shards
from artalk.data.shards import Shards, open_corpus
from artalk.errors import BadFile, BadInput
from artalk.train.ahead import ahead
from artalk.train.loop import train
from artalk.train.recipe import Data
from artalk.train.windows import Shape, Takes
from tests.train.corpora import made_corpus
from tests.train.recipes import smallest
from tests.train.test_loop import Killed, killer, same, weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),  # a machine of one core says so
    pytest.mark.usefixtures("undrawn"),
]


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """A corpus in two archives."""
    corpus = made_corpus(tmp_path_factory.mktemp("corpus"))
    return shards.write(corpus, tmp_path_factory.mktemp("shards"), least=2, private=True)


def takes(corpus):
    return Takes(corpus, "train", Data(windows=1, style_seconds=(1.0, 1.5)), Shape(10, 4, 2), 0, True, True)


def equal(one, other):
    assert vars(one).keys() == vars(other).keys()
    return all(value is None or torch.equal(value, getattr(other, name)) for name, value in vars(one).items())


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_come_in_order_and_are_those_of_their_steps(sharded, workers):
    source = takes(sharded)
    before = torch.get_rng_state()
    made = list(ahead(partial(source.batch, rows=4), range(5, 12), workers))
    assert len(made) == 7
    assert all(equal(batch, source.batch(step, 4)) for step, batch in zip(range(5, 12), made, strict=True))
    assert torch.equal(torch.get_rng_state(), before)
    assert list(ahead(partial(source.batch, rows=4), range(3, 3), workers)) == []


def test_several_processes_read_the_shards(sharded, tmp_path, monkeypatch):
    read = Shards.file

    def noted(self, name):
        (tmp_path / str(os.getpid())).touch()
        return read(self, name)

    monkeypatch.setattr(Shards, "file", noted)
    assert len(list(ahead(partial(takes(sharded).batch, rows=2), range(9), 2))) == 9
    readers = {path.name for path in tmp_path.iterdir()}
    assert len(readers) == 2
    assert str(os.getpid()) not in readers


def test_a_pickled_source_makes_the_same_batches(sharded):
    source = takes(sharded)
    source.batch(0, 2)
    assert equal(pickle.loads(pickle.dumps(source)).batch(3, 4), source.batch(3, 4))


def test_a_run_is_the_same_however_many_read_and_goes_on_with_another_number(sharded, tmp_path):
    codec = replace(smallest().stages["codec"], steps=4, check=4, save=2)
    recipe = replace(smallest(), stages={"codec": codec})
    one = train(recipe, sharded, tmp_path / "one")["codec"]
    with pytest.raises(Killed):
        train(recipe, open_corpus(sharded.folder), tmp_path / "two", killer("codec", 3), workers=2)
    two = train(recipe, sharded, tmp_path / "two", workers=1)["codec"]
    states = [torch.load(tmp_path / name / "codec" / "state.pt", weights_only=True) for name in ("one", "two")]
    assert same(states[0]["learner"], states[1]["learner"])
    assert same(weights(one), weights(two))


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_wrong_with_a_corpus_is_said_as_it_is(workers):
    def make(step):
        raise BadFile(f"clip of step {step} is cut")

    with pytest.raises(BadFile, match="^clip of step 0 is cut$"):
        list(ahead(make, range(4), workers))


def test_a_worker_that_dies_is_a_sentence():
    def make(_):
        os._exit(3)

    with pytest.raises(BadInput, match=r"a worker that makes batches died .*: try fewer"):
        list(ahead(make, range(4), 2))
    with pytest.raises(BadInput, match="at least one worker"):
        ahead(make, range(4), 0)
