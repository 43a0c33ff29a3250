"""Losses that several models share: masked distances, the phonetic weight, and vertices through a linear rig."""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artalk.errors import BadInput


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of `values` where `mask` (broadcast) is not zero, weighted by it; 0 where nothing counts."""
    mask = mask.expand_as(values)
    return (values * mask).sum() / mask.sum().clamp(min=1e-6)


def huber(error: Tensor, within: float) -> Tensor:
    """|error|, but error²/(2·within) + within/2 where it is smaller than `within` (0: nowhere); their slopes meet."""
    size = error.abs()
    return size if within <= 0 else torch.where(size < within, size.square() / (2 * within) + within / 2, size)


def phonetic_weight(motion: Tensor, sharpness: float = 1.0, window: int = 5, most: float = 5.0) -> Tensor:
    """(batch, frames), mean 1: frames amid fast articulation weigh more ("phonetic context", arXiv 2507.20568).

    The paper softmaxes the smoothed speed itself, which depends on the unit (flat for metres, a spike for mm); here it
    is divided by its own deviation, so that `sharpness` means the same in all. At 0 and for constant speed: all ones.
    """
    speed = F.pad((motion[:, 1:] - motion[:, :-1]).square().sum(dim=-1).sqrt(), (1, 0))
    half = window // 2
    smooth = F.avg_pool1d(F.pad(speed[:, None], (half, half), mode="replicate"), window, stride=1)[:, 0]
    deviation = smooth.std(dim=1, keepdim=True)
    scaled = sharpness * smooth / deviation.clamp(min=1e-6 * smooth.abs().max().clamp(min=1e-12))
    weight = (torch.softmax(scaled, dim=1) * smooth.shape[1]).clamp(max=most)
    return (weight / weight.mean(dim=1, keepdim=True)).detach()


@final
class LinearRig(nn.Module):
    """A face of sampled vertices that weights move linearly: what a motion looks like, differentiably.

    `deltas` (channels, vertices, 3) metres at weight 1, zero for channels that move no skin (gaze, head); `lips`
    (vertices,) true for vertices of the lips. Distances come out in millimetres: squares of metres vanish.
    """

    deltas: Tensor
    lips: Tensor

    def __init__(self, deltas: Tensor, lips: Tensor) -> None:
        super().__init__()
        if deltas.ndim != 3 or deltas.shape[2] != 3 or lips.shape != deltas.shape[1:2]:
            raise BadInput(
                f"a linear rig is (channels, vertices, 3) and (vertices,), got {deltas.shape} and {lips.shape}"
            )
        self.register_buffer("deltas", deltas.float() * 1000, persistent=False)
        self.register_buffer("lips", lips.bool(), persistent=False)

    def displacement(self, motion: Tensor) -> Tensor:
        """(…, vertices, 3) mm by which `motion` (…, channels), or a difference of motions, moves the vertices."""
        return torch.einsum("...c,cvx->...vx", motion, self.deltas)
