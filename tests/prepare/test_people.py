import numpy as np
import pytest

from artalk.data.landmarks import LIDS, STABLE, head_face
from artalk.data.tracks import SOLVED
from artalk.errors import BadFile
from artalk.prepare import people, quality
from artalk.prepare.solve import perform
from tests.prepare import faces
from tests.prepare.faces import at_rest, take_of, weights_of

SMILES = [SOLVED.index(name) for name in ("mouthSmileLeft", "mouthSmileRight")]


def smiling(frames, amount=0.5):
    weights = weights_of(frames)
    weights[:, SMILES] = amount
    return weights


def glanced(take):
    clock = take.clock()
    return people.glance(take, clock, take.facts(clock)[0])


def person_in(take, met):
    return perform(take, take.clock(), met=met).tracker.person


def smile_in(take, met=None):
    return perform(take, take.clock(), met=met).motion.channel("mouthSmileLeft").mean()


@pytest.fixture(scope="module")
def calm():
    return [take_of(weights_of(75), noise=noise) for noise in (0.02, 0.03)]


@pytest.fixture(scope="module")
def met(calm):
    return people.meet([glanced(take) for take in calm], head_face())


@pytest.fixture
def stranger(monkeypatch):
    """Takes of another skull, by less than which people differ."""
    points = at_rest().copy()
    points[list(STABLE)] += 0.003 * np.random.default_rng(3).standard_normal((len(STABLE), 3))
    monkeypatch.setattr(faces, "at_rest", lambda: points)
    return take_of(weights_of(75))


def test_who_smiles_throughout_is_seen_to_smile_where_other_recordings_show_the_rest(calm):
    smile = take_of(smiling(75), noise=0.02)
    everybody = people.meet([glanced(take) for take in (*calm, smile)], head_face())
    assert smile_in(smile) < 0.05
    assert smile_in(smile, everybody) > 0.35
    assert smile_in(calm[0], everybody) < 0.05


def test_lids_are_those_who_was_met_and_gaze_is_of_the_recording(calm, met):
    seen = person_in(calm[0], met)
    assert np.array_equal(seen.points, met.points)
    assert seen.lids == met.lids
    own = person_in(calm[0], None)
    for side in LIDS:
        assert np.allclose(seen.gaze[side], own.gaze[side], atol=1e-4)


def test_a_long_take_needs_nobodys_help(calm, met, monkeypatch):
    monkeypatch.setattr(people, "ENOUGH", 2.0)
    assert np.array_equal(person_in(calm[0], met).points, person_in(calm[0], None).points)


def test_lips_that_hardly_rest_are_said_unless_others_showed_the_rest(calm, met):
    def warned(take, who=None):
        done = perform(take, take.clock(), met=who)
        told = quality.measure(quality.Source("film.mp4", (640, 480), 0, True, 0.0), done, None, None).warnings
        return done.rested, any("lips rest for" in warning for warning in told)

    weights = weights_of(75)
    weights[:, SOLVED.index("jawOpen")] = 0.3 + 0.25 * np.sin(np.arange(75))
    restless = take_of(weights)
    rested, said = warned(calm[0])
    assert (rested > 0.4, said) == (True, False)
    rested, said = warned(restless)
    assert (rested < 0.4, said) == (True, True)
    assert warned(restless, met) == (None, False)


def test_strangers_are_told_by_their_bones(calm, met, stranger):
    assert np.array_equal(person_in(stranger, met).points, person_in(stranger, None).points)
    assert people.meet([glanced(calm[0]), glanced(stranger)], head_face()) is None
    most = people.meet([glanced(take) for take in (stranger, *calm)], head_face())
    assert np.abs(most.points - met.points).max() < 1e-6


def test_one_recording_is_nobody_met(calm):
    assert people.meet([glanced(calm[0])], head_face()) is None
    assert people.meet([], head_face()) is None


def test_glances_are_kept_until_who_it_is_is_known(calm, tmp_path):
    seen = glanced(calm[0])
    people.save_glance(seen, tmp_path / "film.npz")
    back = people.load_glance(tmp_path / "film.npz")
    assert np.abs(back.points - seen.points).max() < 1e-3  # pixels
    assert np.array_equal(back.quiet, seen.quiet)
    people.save_glance(None, tmp_path / "nobody.npz")
    (tmp_path / "spoilt.npz").write_bytes(b"PK")
    assert [people.load_glance(tmp_path / f"{name}.npz") for name in ("nobody", "spoilt", "none")] == [None] * 3


def test_of_many_recordings_some_are_looked_at():
    assert people.sampled([1, 2]) == [1, 2]
    chosen = people.sampled(range(1000))
    assert (len(chosen), chosen[0], chosen[-1]) == (people.GLANCES, 0, 999)


def test_lips_that_rest_nowhere_are_nearest_to_it_somewhere():
    weights = np.zeros((60, len(SOLVED)))
    weights[:, SOLVED.index("jawOpen")] = 0.3 + 0.25 * np.sin(np.arange(60))
    take = take_of(weights)
    met = people.meet([glanced(take)] * 2, head_face())
    assert np.abs(met.points - person_in(take, None).points)[head_face().numbers].max() < 1e-3


def test_who_was_met_is_kept(met, tmp_path):
    people.save(met, tmp_path / "ann.npz")
    back = people.load(tmp_path / "ann.npz")
    assert np.array_equal(back.points, met.points)
    assert back.lids == met.lids
    assert all(np.array_equal(back.gaze[side], met.gaze[side]) for side in LIDS)
    people.save(None, tmp_path / "nobody.npz")
    assert people.load(tmp_path / "nobody.npz") is None


@pytest.mark.parametrize("spoil", [lambda whole: b"", lambda whole: b"PK", lambda whole: whole[:-30], None])
def test_a_spoilt_file_says_what_to_do(met, tmp_path, spoil):
    path = tmp_path / "ann.npz"
    if spoil is None:
        np.savez(path, points=np.zeros((3, 3)), lids=np.zeros((2, 2)), gaze=np.zeros((2, 2)))
    else:
        people.save(met, path)
        path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(BadFile, match="delete"):
        people.load(path)
