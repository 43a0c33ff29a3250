"""The codec: causal, blind to what nobody observed, and able to learn."""

import math

import pytest
import torch

from artalk.channels import ARKIT
from artalk.errors import BadInput
from artalk.models.batch import Batch
from artalk.models.codec import Codec, CodecConfig, StreamConfig
from artalk.models.losses import LinearRig, huber, lip_losses, phonetic_weight
from artalk.models.nn.transformer import slid
from tests.models.tiny import LIPS, REST, WINDOW, codec_config, motion, rough, stream


def codec(seed=0, **more):
    torch.manual_seed(seed)
    return Codec(codec_config(**more))


def ones(batch=2):
    return torch.ones(batch, len(ARKIT))


@pytest.mark.parametrize("past", [0, 1, 3])
def test_a_window_depends_on_itself_and_on_the_windows_it_is_said_to_see(past):
    model = rough(codec(past=past))
    known = torch.ones(1, 6, past, dtype=torch.bool)
    latents = torch.randn(1, 6, WINDOW, 10, generator=torch.Generator().manual_seed(0))
    changed = latents.clone()
    changed[:, 1] += 1
    with torch.no_grad():
        one, two = (model.stream("lips").decode(x, known) for x in (latents, changed))
    differs = [not torch.equal(one[:, n], two[:, n]) for n in range(6)]
    assert differs == [1 <= n <= 1 + past for n in range(6)]


def test_later_motion_does_not_change_the_codes_of_earlier_windows():
    model, one = rough(codec()), motion()
    two = one.clone()
    two[:, 2 * WINDOW :] = 0.1
    with torch.no_grad():
        a, b = model.encode(one, ones()), model.encode(two, ones())
    for name in a:
        for x, y in zip(a[name].codes, b[name].codes, strict=True):
            assert torch.equal(x[:, :2], y[:, :2])


@pytest.mark.parametrize("quantizer", ["binary", "vector"])
def test_window_by_window_decoding_is_decoding_at_once(quantizer):
    model = rough(codec(past=2, quantizer=quantizer))
    with torch.no_grad():
        totals = {name: level.total for name, level in model.encode(motion(), ones()).items()}
        whole = model.decode(totals)
        memory = {name: model.stream(name).decoder.empty(2) for name in totals}
        for n in range(4):
            known = torch.tensor([[n >= 2, n >= 1]]).expand(2, -1)
            parts = {}
            for name in totals:
                parts[name], new = model.stream(name).decode_next(totals[name][:, n], memory[name], known)
                memory[name] = slid(memory[name], new)
            made = model.join(parts)
            assert torch.allclose(made, whole[:, n * WINDOW : (n + 1) * WINDOW], atol=1e-5)


def rig():
    rng = torch.Generator().manual_seed(0)
    deltas = 0.01 * torch.randn(len(ARKIT), 20, 3, generator=rng)
    deltas[ARKIT.slice("head")] = 0
    return LinearRig(deltas, torch.arange(20) < 8)


def test_unobserved_channels_cost_nothing():
    model, observed = codec().eval(), ones()
    hidden = ARKIT.indices(["jawOpen", "browInnerUp", "headX"])
    observed[:, hidden] = 0
    one = motion()
    two = one.clone()
    two[..., hidden] = 7.0
    a, b = (model.losses(Batch(x, observed), rig()) for x in (one, two))
    assert all(torch.equal(a[name], b[name]) for name in a)
    full = model.losses(Batch(two, ones()), rig())
    assert full["motion"] > 1.3 * a["motion"]


def test_a_piece_of_no_weight_costs_nothing():
    model, one = codec().eval(), motion()
    two = one.clone()
    two[1] = 0.9
    weight = torch.tensor([1.0, 0.0])
    a, b = (model.losses(Batch(x, ones(), weight=weight), rig()) for x in (one, two))
    for name in ("motion", "velocity", "vertices", "lips", "vertex_velocity"):
        assert torch.allclose(a[name], b[name]), name


@pytest.mark.parametrize("quantizer", ["binary", "vector"])
def test_it_overfits_two_clips(quantizer):
    torch.manual_seed(0)
    streams = {
        "lips": stream(LIPS, quantizer, bits=16, entries=64, width=32),
        "rest": stream(REST, quantizer, bits=16, entries=64, width=32),
    }
    model = Codec(CodecConfig(window=10, scales=(1, 2, 5, 10), streams=streams))
    piece = Batch(motion(2, 20), ones())
    model.measure(piece.motion.mean(dim=(0, 1)), piece.motion.std(dim=(0, 1)))
    optimiser = torch.optim.AdamW(model.parameters(), 4e-3)
    rng = torch.Generator().manual_seed(0)
    first = None
    for _ in range(250):
        losses = model.train().losses(piece, rig(), rng)
        optimiser.zero_grad()
        losses["total"].backward()
        optimiser.step()
        first = first or losses["motion"].item()
    with torch.no_grad():
        error = (model.eval()(piece.motion, piece.observed) - piece.motion).abs().mean()
    still = (piece.motion - piece.motion.mean(dim=(0, 1))).abs().mean()
    assert error < 0.35 * still, (first, error, still)


def test_vertices_move_by_millimetres_and_their_gradient_is_right():
    deltas = torch.zeros(len(ARKIT), 2, 3)
    deltas[ARKIT.index("jawOpen"), 1, 1] = -0.02
    face = LinearRig(deltas, torch.tensor([False, True]))
    values = torch.zeros(1, 3, len(ARKIT), requires_grad=True)
    moved = face.displacement(values + 0.5 * torch.nn.functional.one_hot(torch.tensor(17), len(ARKIT)))
    assert ARKIT.names[17] == "jawOpen"
    assert moved[0, 0, 1, 1].item() == pytest.approx(-10.0)
    moved.sum().backward()
    assert values.grad[0, 0, 17].item() == pytest.approx(-20.0)
    with pytest.raises(BadInput, match="a linear rig is"):
        LinearRig(torch.zeros(55, 2, 3), torch.zeros(3))


def test_lips_are_apart_by_their_mean_distance_and_only_they():
    deltas = torch.zeros(len(ARKIT), 3, 3)
    deltas[ARKIT.index("jawOpen")] = torch.tensor([[0.0, -0.02, 0.0], [0.003, 0.0, 0.004], [0.0, 0.0, 0.0]])
    face = LinearRig(deltas, torch.tensor([False, True, True]))
    difference = torch.zeros(2, len(ARKIT), requires_grad=True)
    difference.data[1, ARKIT.index("jawOpen")] = 0.5
    apart = face.lip_distance(difference)
    assert apart.tolist() == pytest.approx([0.01, 1.25 + 0.005], abs=1e-3)
    apart.sum().backward()
    assert torch.isfinite(difference.grad).all()


def test_a_gap_that_is_shut_counts_twice():
    deltas = torch.zeros(len(ARKIT), 2, 3)
    deltas[ARKIT.index("jawOpen"), 1, 1] = -0.02
    face = LinearRig(deltas, torch.tensor([True, True]), (0, 1), torch.tensor([0.0, -0.001, 0.0]))
    jaw = torch.nn.functional.one_hot(torch.tensor(ARKIT.index("jawOpen")), len(ARKIT)).float()
    assert face.gap_distance(-0.1 * jaw).item() == pytest.approx(2.0, abs=1e-3)
    assert face.shut(torch.stack([0 * jaw, jaw])).tolist() == pytest.approx([math.exp(-0.5), 0.0], abs=1e-3)
    error, mask = torch.stack([0.1 * jaw, 0.2 * jaw])[None], torch.ones(1, 1, len(ARKIT))
    true = torch.stack([-0.05 * jaw, jaw])[None]
    # The first frame's lips touch: its 2 mm count twice, the 4 mm of the open mouth once.
    assert lip_losses(face, error, true, mask)["gap"].item() == pytest.approx((2 * 2 + 4) / 3, abs=5e-3)


def test_small_errors_count_by_squares_and_large_ones_by_distance():
    error = torch.linspace(-3, 3, 601, requires_grad=True)
    (slope,) = torch.autograd.grad(huber(error, 0.5).sum(), error)
    assert torch.allclose(slope, (error / 0.5).clamp(-1, 1), atol=1e-6)
    assert torch.equal(huber(error, 0.0), error.abs())
    assert huber(torch.tensor([0.5, -0.5]), 0.5).tolist() == [0.5, 0.5]


def test_squares_ask_for_the_mean_of_what_may_be_and_distances_for_the_median():
    jaw = torch.tensor([0.0] * 6 + [0.5, 0.7, 0.8, 1.0])
    guesses = torch.linspace(0, 1, 101)
    best = [guesses[int(torch.stack([huber(g - jaw, within).mean() for g in guesses]).argmin())] for within in (0, 1)]
    assert best[0] == 0
    assert best[1] == pytest.approx(float(jaw.mean()), abs=0.011)


def test_the_phonetic_weight_is_even_at_constant_speed_and_knows_no_unit():
    line = torch.arange(50.0)[None, :, None].expand(1, 50, 4)
    assert torch.allclose(phonetic_weight(line)[:, 5:], torch.ones(1, 45) * phonetic_weight(line)[0, 25], atol=1e-5)
    talk = motion(3, 100).cumsum(dim=1)
    assert torch.allclose(phonetic_weight(talk), phonetic_weight(talk * 1000), atol=1e-4)
    assert torch.allclose(phonetic_weight(talk).mean(dim=1), torch.ones(3), atol=1e-5)
    assert torch.equal(phonetic_weight(talk, 0.0), torch.ones(3, 100))


def test_streams_share_out_the_channels_exactly():
    with pytest.raises(BadInput, match="missing: .*'jawOpen'"):
        CodecConfig(streams={"rest": StreamConfig(parts=("eyes", "brows", "head"))})
    with pytest.raises(BadInput, match="twice: .*'headX'"):
        CodecConfig(streams={"all": StreamConfig(parts=(*LIPS, *REST, "headX"))})
    with pytest.raises(BadInput, match="whole windows of 10"):
        codec().windows(torch.zeros(1, 15, 55))


def test_joining_streams_puts_every_channel_in_its_place():
    model = codec()
    values = torch.arange(float(len(ARKIT))).expand(2, 3, -1)
    parts = {name: values[..., model.stream(name).columns] for name in ("lips", "rest")}
    assert torch.equal(model.join(parts), values)
