"""Bits drawn one after the other."""

import itertools

import torch

from artalk.models.nn.chain import BitChain
from artalk.models.nn.quantize import BinarySphere

BITS, WIDTH = 4, 6


def chain(seed=0):
    torch.manual_seed(seed)
    made = BitChain(WIDTH, BITS, 8)
    with torch.no_grad():
        made.says.copy_(2 * torch.randn(BITS, 8))
    return made


def test_a_new_chain_is_independent_bits():
    made = BitChain(WIDTH, BITS, 8)
    codes = torch.randint(0, 2, (5, BITS)).float()
    assert torch.equal(made(torch.randn(5, WIDTH), codes), torch.zeros(5, BITS))


def test_a_bit_hears_of_earlier_bits_alone():
    made, x = chain(), torch.randn(1, WIDTH)
    codes = torch.tensor([[1.0, 0.0, 1.0, 1.0]])
    for bit in range(BITS):
        other = codes.clone()
        other[0, bit] = 1 - other[0, bit]
        moved = (made(x, other) - made(x, codes)).abs()[0] > 1e-6
        assert moved.tolist() == [later > bit for later in range(BITS)]


@torch.no_grad()
def test_the_chances_of_all_tokens_sum_to_one_and_are_those_drawn():
    made, x, base = chain(), torch.randn(1, WIDTH), torch.randn(1, BITS)
    every = torch.tensor(list(itertools.product((0.0, 1.0), repeat=BITS)))
    logits = base + made(x.expand(len(every), -1), every)
    chances = torch.where(every > 0.5, torch.sigmoid(logits), torch.sigmoid(-logits)).prod(dim=1)
    assert abs(float(chances.sum()) - 1) < 1e-5
    count, one = 20_000, torch.ones(1, 1, 1)
    noise = torch.rand(count, 1, BITS, generator=torch.Generator().manual_seed(1))
    spread = (x.expand(count, 1, 1, -1), base.expand(count, 1, 1, -1), torch.ones(count, 1))
    drawn = made.draw(*spread, BinarySphere(BITS).threshold(noise, one, one))[:, 0]
    number = (drawn @ torch.tensor([8.0, 4.0, 2.0, 1.0])).long()
    share = torch.bincount(number, minlength=len(every)) / count
    assert float((share - chances).abs().max()) < 0.02


def test_it_learns_bits_that_agree_where_independent_ones_cannot():
    """All ones or all zeros, by a fair coin: one nat and a bit of sense, where independence pays a coin a bit."""
    made = BitChain(WIDTH, BITS, 8)
    rng = torch.Generator().manual_seed(0)
    optimiser, loss = torch.optim.Adam(made.parameters(), lr=0.05), torch.tensor(0.0)
    for _ in range(150):
        codes = torch.randint(0, 2, (64, 1), generator=rng).float().expand(-1, BITS)
        logits = made(torch.ones(64, WIDTH), codes)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, codes) * BITS
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.9 < BITS * 0.69
