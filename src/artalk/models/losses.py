"""Losses that several models share: masked distances, the phonetic weight, and vertices through a linear rig."""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artalk.errors import BadInput

TINY = 1e-4
"""Square millimetres within which a distance is round instead of pointed, as roots have no slope at 0."""

NEAR = 2.0
"""Millimetres between lips that all but touch."""


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
    (vertices,) true for vertices of the lips; `middles` the vertices of the inner lips' middles, (upper, lower), and
    `apart` (3,) metres from the one to the other at rest. Distances come out in millimetres: squares of metres vanish.
    """

    deltas: Tensor
    lips: Tensor
    apart: Tensor

    def __init__(
        self, deltas: Tensor, lips: Tensor, middles: tuple[int, int] = (0, 0), apart: Tensor | None = None
    ) -> None:
        super().__init__()
        if deltas.ndim != 3 or deltas.shape[2] != 3 or lips.shape != deltas.shape[1:2]:
            raise BadInput(
                f"a linear rig is (channels, vertices, 3) and (vertices,), got {deltas.shape} and {lips.shape}"
            )
        self.register_buffer("deltas", deltas.float() * 1000, persistent=False)
        self.register_buffer("lips", lips.bool(), persistent=False)
        self.register_buffer("apart", torch.zeros(3) if apart is None else apart.float() * 1000, persistent=False)
        self.middles = middles

    def displacement(self, motion: Tensor) -> Tensor:
        """(…, vertices, 3) mm by which `motion` (…, channels), or a difference of motions, moves the vertices."""
        return torch.einsum("...c,cvx->...vx", motion, self.deltas)

    def lip_distance(self, difference: Tensor) -> Tensor:
        """(…) mm, the mean over the vertices of the lips, between two motions of this `difference` (…, channels)."""
        moved = torch.einsum("...c,cvx->...vx", difference, self.deltas[:, self.lips])
        return _length(moved).mean(dim=-1)

    def gap_distance(self, difference: Tensor) -> Tensor:
        """(…) mm by which the gap between the lips differs in two motions of this `difference` (…, channels)."""
        return _length(difference @ self._opening)

    def shut(self, motion: Tensor) -> Tensor:
        """(…) how nearly the lips of `motion` (…, channels) touch: 1 where they do, falling by e each `NEAR` mm."""
        return torch.exp(-_length(motion @ self._opening + self.apart) / NEAR)

    @property
    def _opening(self) -> Tensor:
        """(channels, 3) mm by which a channel moves the lower lip away from the upper one."""
        upper, lower = self.middles
        return self.deltas[:, lower] - self.deltas[:, upper]


def _length(vectors: Tensor) -> Tensor:
    return (vectors.square().sum(dim=-1) + TINY).sqrt()


def lip_losses(rig: LinearRig, error: Tensor, true: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """What an `error` of motion (batch, frames, channels) does to the lips, in mm, beside the `true` motion.

    Both in real units and 0 where nothing was observed; `mask` (batch, …, channels) as for the motion itself; scalars
    come back. ARTalk has such terms for its codec alone (eq. 3 to 5), as squares; a distance has the same slope however
    near lips are.
    """
    counts = mask.amax(dim=-1)
    return {
        "lips": masked_mean(rig.lip_distance(error), counts),
        "gap": masked_mean(rig.gap_distance(error), counts * (1 + rig.shut(true))),
    }
