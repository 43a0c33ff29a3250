"""Samples become pixels."""

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""(height, width, 3) sRGB, or (height, width, 4) with a straight alpha."""


def shrunk(samples: Picture, times: int) -> Picture:
    """The mean of each `times` x `times` block of pixels."""
    if times == 1:
        return samples
    rows, columns, parts = samples.shape
    blocks = samples.reshape(rows // times, times, columns // times, times, parts)
    total = blocks.sum(axis=(1, 3), dtype=np.uint16)
    return ((total + times * times // 2) // (times * times)).astype(np.uint8)


def over(drawn: Picture, background: Picture | None) -> Picture:
    """A premultiplied RGBA picture over an RGB one; without one, RGBA with a straight alpha."""
    alpha = drawn[..., 3:].astype(np.uint16)
    if background is None:
        color = drawn[..., :3].astype(np.uint32) * 255 + alpha // 2
        straight = np.divide(color, alpha, out=np.zeros(color.shape), where=alpha > 0)
        return np.concatenate([np.minimum(straight, 255).astype(np.uint8), drawn[..., 3:]], axis=2)
    behind = (background * (255 - alpha) + 127) // 255
    return np.minimum(drawn[..., :3] + behind, 255).astype(np.uint8)
