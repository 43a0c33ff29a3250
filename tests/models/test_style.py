"""Style vectors: of any length, in order of time, together when the way of moving is the same."""

import math

import pytest
import torch

from artalk.errors import BadInput
from artalk.models.style import Style, StyleConfig
from tests.models.tiny import rough

CONFIG = StyleConfig(size=8, width=16, heads=2, depth=1)


def style(seed=0):
    torch.manual_seed(seed)
    return Style(CONFIG, 5)


def clips(count, frames=60, seed=0):
    return torch.randn(count, frames, 5, generator=torch.Generator().manual_seed(seed))


def test_vectors_have_unit_length_for_any_length_of_clip():
    model = rough(style())
    for frames in (25, 26, 300):
        vector = model(clips(2, frames))
        assert vector.shape == (2, 8)
        assert torch.allclose(vector.norm(dim=-1), torch.ones(2), atol=1e-5)
    with pytest.raises(BadInput, match="at least 25 frames, got 24"):
        model(clips(1, 24))


def test_the_order_of_frames_matters():
    model, clip = rough(style(), by=1.0), clips(1)
    assert (model(clip) - model(clip.flip(1))).abs().max() > 1e-4


def test_frames_after_the_end_and_unobserved_channels_do_not_count():
    model, clip = rough(style()), clips(2)
    other = clip.clone()
    other[:, 40:] = 9
    frames = torch.tensor([40, 40])
    assert torch.allclose(model(clip, None, frames), model(other, None, frames), atol=1e-5)
    assert torch.allclose(model(clip, None, frames), model(clip[:, :40]), atol=1e-5)
    seen = torch.tensor([1.0, 1, 0, 1, 1]).expand(2, -1)
    other = clip.clone()
    other[..., 2] = 5
    assert torch.equal(model(clip, seen), model(other, seen))


def test_contrast_brings_the_same_way_of_moving_together():
    model = style()
    ids = torch.arange(4).repeat(4)
    rng = torch.Generator().manual_seed(0)
    ways = 1.5 * torch.randn(4, 1, 5, generator=rng)

    def draw():
        return ways[ids] + torch.randn(16, 40, 5, generator=rng)

    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(60):
        loss = model.contrast(model(draw()), model(draw()), ids)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    # Seven other views are of the same way; where they alone are near, the loss is log 7.
    assert loss.item() < math.log(7) + 0.05
    with torch.no_grad():
        one, two = model(draw()), model(draw())
    nearest = (one @ two.T).argmax(dim=1)
    assert (ids[nearest] == ids).float().mean() > 0.9


def test_one_way_of_moving_alone_gives_nothing_to_contrast():
    model = style()
    assert model.contrast(model(clips(3)), model(clips(3)), torch.zeros(3)) == 0
