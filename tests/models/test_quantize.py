"""Quantisers and the pyramid: what every codebook must hold, and what a spoiled code teaches."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from artalk.errors import BadInput
from artalk.models.nn.quantize import BinarySphere, Pyramid, VectorCodebook
from artalk.models.nn.resample import area, linear


def quantizers():
    torch.manual_seed(3)
    return [BinarySphere(6), VectorCodebook(12, 5).eval()]


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("quantizer", quantizers(), ids=["binary", "vector"])
@given(seed=st.integers(0, 10_000), scale=st.floats(1e-3, 1e3))
def test_values_are_their_own_codes(quantizer, seed, scale):
    made = quantizer.quantize(random(3, 7, quantizer.width, seed=seed) * scale)
    again = quantizer.quantize(made.values)
    assert torch.equal(again.codes, made.codes)
    assert torch.equal(quantizer.values(made.codes), made.values)


@given(seed=st.integers(0, 10_000))
def test_binary_values_lie_on_the_unit_sphere_in_the_token_s_own_octant(seed):
    tokens = random(50, 6, seed=seed)
    values = BinarySphere(6).quantize(tokens).values
    assert torch.allclose(values.norm(dim=-1), torch.ones(50), atol=1e-6)
    assert torch.equal(values > 0, tokens > 0)


@given(seed=st.integers(0, 10_000))
def test_a_vector_code_is_the_nearest_entry(seed):
    quantizer = quantizers()[1]
    tokens = random(20, 5, seed=seed)
    nearest = torch.cdist(tokens, quantizer.codebook).argmin(dim=-1)
    assert torch.equal(quantizer.quantize(tokens).codes, nearest)


@pytest.mark.parametrize("quantizer", quantizers(), ids=["binary", "vector"])
def test_at_temperature_zero_chance_has_no_say(quantizer):
    logits = random(4, 9, quantizer.logits)
    zero, one = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    draws = [quantizer.choose(logits, torch.full((4, 9, quantizer.noise), u), zero, one) for u in (0.0, 0.5, 0.999999)]
    assert torch.equal(draws[0], draws[1])
    assert torch.equal(draws[0], draws[2])
    # The likeliest code has the least cross-entropy of all codes drawn by chance.
    warm = quantizer.choose(logits, torch.rand(4, 9, quantizer.noise), one, one)
    assert (quantizer.cross_entropy(logits, draws[0]) <= quantizer.cross_entropy(logits, warm) + 1e-6).all()


@pytest.mark.parametrize("quantizer", quantizers(), ids=["binary", "vector"])
def test_draws_follow_the_logits_and_their_mean_is_the_expected_value(quantizer):
    logits = random(1, 1, quantizer.logits).expand(1, 40_000, -1)
    noise = torch.rand(1, 40_000, quantizer.noise, generator=torch.Generator().manual_seed(1))
    one = torch.ones(1, 1, 1)
    drawn = quantizer.values(quantizer.choose(logits, noise, one, one))
    assert torch.allclose(drawn.mean(dim=1), quantizer.expected(logits)[:, 0], atol=0.02)


@pytest.mark.parametrize("quantizer", quantizers(), ids=["binary", "vector"])
def test_a_small_nucleus_leaves_only_the_likeliest(quantizer):
    logits = random(2, 30, quantizer.logits)
    one = torch.ones(1, 1, 1)
    noise = torch.rand(2, 30, quantizer.noise, generator=torch.Generator().manual_seed(1))
    sure = quantizer.choose(logits, noise, one, one * 1e-3)
    assert torch.equal(sure, quantizer.choose(logits, noise, one * 0, one))
    assert not torch.equal(quantizer.choose(logits, noise, one, one), sure)


@pytest.mark.parametrize("quantizer", quantizers(), ids=["binary", "vector"])
def test_corruption_spoils_the_share_that_is_asked(quantizer):
    codes = quantizer.quantize(random(1, 20_000, quantizer.width)).codes
    rng = torch.Generator().manual_seed(0)
    assert torch.equal(quantizer.corrupt(codes, torch.zeros(1, 1, 1), rng), codes)
    spoiled = quantizer.corrupt(codes, torch.full((1, 1, 1), 0.25), rng)
    assert (spoiled != codes).float().mean() == pytest.approx(0.25, abs=0.02)


def test_idle_entries_are_put_where_tokens_are():
    quantizer = VectorCodebook(16, 4)
    with torch.no_grad():
        quantizer.codebook[8:] = 1000.0
    tokens = random(200, 4)
    for _ in range(400):
        quantizer.quantize(tokens)
    assert quantizer.revive(tokens, torch.Generator().manual_seed(0)) >= 8
    assert len(quantizer.quantize(tokens).codes.unique()) > 8


@given(source=st.integers(1, 40), target=st.integers(1, 40))
def test_resampling_keeps_constants_and_area_keeps_the_mean(source, target):
    for matrix in (area(source, target), linear(source, target)):
        assert matrix.shape == (target, source)
        assert torch.allclose(matrix.sum(dim=1), torch.ones(target), atol=1e-5)
        assert (matrix >= 0).all()
    signal = random(source)
    assert (area(source, target) @ signal).mean() == pytest.approx(signal.mean().item(), abs=1e-5)


def pyramids():
    torch.manual_seed(0)
    return [Pyramid(quantizer, (1, 2, 4, 8), 8) for quantizer in quantizers()]


@pytest.mark.parametrize("pyramid", pyramids(), ids=["binary", "vector"])
def test_codes_of_all_scales_decode_to_the_total(pyramid):
    levels = pyramid.encode(random(3, 2, 8, pyramid.quantizer.width))
    assert [codes.shape[2] for codes in levels.codes] == [1, 2, 4, 8]
    assert torch.allclose(pyramid.decode(levels.codes), levels.total, atol=1e-5)
    assert not levels.inputs[0].any()
    before_last = pyramid.decode(levels.codes) - pyramid.part(pyramid.quantizer.values(levels.codes[3]), 3)
    assert torch.allclose(pyramid.down(before_last, 3), levels.inputs[3], atol=1e-5)


@pytest.mark.parametrize("pyramid", pyramids(), ids=["binary", "vector"])
def test_the_gradient_reaches_the_encoder_straight_through(pyramid):
    latents = random(2, 8, pyramid.quantizer.width).requires_grad_()
    (pyramid.encode(latents).total * 3).sum().backward()
    assert torch.allclose(latents.grad, torch.full_like(latents, 3.0))


def test_spoiled_codes_are_mended_by_later_scales():
    pyramid = pyramids()[0]
    latents = random(64, 8, 6) * 0.3
    clean = pyramid.encode(latents)
    ratio = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(64, 4)
    spoiled = pyramid.encode(latents, ratio, torch.Generator().manual_seed(0))
    # The target of the spoiled scale is what is true; what follows sees the wrong sum and aims at the right one.
    assert torch.equal(spoiled.codes[0], clean.codes[0])
    assert not torch.equal(spoiled.codes[1], clean.codes[1])
    unmended = pyramid.part(pyramid.quantizer.values(1 - clean.codes[0]), 0)
    for level in (1, 2, 3):
        unmended = unmended + pyramid.part(pyramid.quantizer.values(clean.codes[level]), level)
    assert (spoiled.total - latents).abs().mean() < (unmended - latents).abs().mean()


@pytest.mark.parametrize("pyramid", pyramids(), ids=["binary", "vector"])
def test_what_was_done_instead_is_mended_by_later_scales(pyramid):
    """Half of what was coded: each target is the code of what that leaves."""
    latents = random(5, 8, pyramid.quantizer.width) * 0.3
    clean = pyramid.encode(latents)
    done = [0.5 * pyramid.quantizer.values(codes) for codes in clean.codes]
    mended = pyramid.encode(latents, done=done)
    assert torch.equal(mended.codes[0], clean.codes[0])
    total = torch.zeros_like(latents)
    for level, values in enumerate(done):
        assert torch.allclose(mended.inputs[level], pyramid.down(total, level))
        left = pyramid.down(latents - total, level) / pyramid.gains[level]
        assert torch.equal(mended.codes[level], pyramid.quantizer.quantize(left).codes)
        total = total + pyramid.part(values, level)
    assert torch.allclose(mended.total, total, atol=1e-6)


@pytest.mark.parametrize("scales", [(), (2, 1), (1, 1), (0, 4), (1, 9)])
def test_scales_that_do_not_rise_to_the_window_are_refused(scales):
    with pytest.raises(BadInput, match="scales rise"):
        Pyramid(BinarySphere(4), scales, 8)
