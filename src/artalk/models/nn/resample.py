"""Resampling along time as small constant matrices: the same numbers in training and in an exported graph."""

import torch
from torch import Tensor


def area(source: int, target: int) -> Tensor:
    """(target, source): each row averages its share of the source, as area interpolation does; rows sum to 1.

    For target > source it repeats (and mixes at borders), so the mean is kept in either direction.
    """
    edges = torch.arange(target + 1, dtype=torch.float64) * source / target
    cells = torch.arange(source, dtype=torch.float64)
    low = torch.maximum(edges[:-1, None], cells[None])
    high = torch.minimum(edges[1:, None], cells[None] + 1)
    return ((high - low).clamp(min=0) * target / source).float()


def linear(source: int, target: int) -> Tensor:
    """(target, source): linear interpolation between the centres of cells, held at both ends; rows sum to 1."""
    place = ((torch.arange(target, dtype=torch.float64) + 0.5) * source / target - 0.5).clamp(0, source - 1)
    left = place.floor().long().clamp(max=max(source - 2, 0))
    share = place - left
    matrix = torch.zeros(target, source, dtype=torch.float64)
    rows = torch.arange(target)
    matrix[rows, left] += 1 - share
    matrix[rows, (left + 1).clamp(max=source - 1)] += share
    return matrix.float()


def centres(cells: int, frames: int) -> Tensor:
    """(cells,): the middle of each of `cells` equal cells of a window, in frames."""
    return (torch.arange(cells, dtype=torch.float32) + 0.5) * frames / cells
