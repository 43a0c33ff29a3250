"""A window's work on a GPU as one CUDA graph: recorded once, then replayed without a launch for each kernel."""

from collections.abc import Callable
from threading import Lock
from typing import final

import torch
from torch import Tensor

WARM = 3
"""Runs before the recording, as PyTorch's notes on CUDA graphs ask for: libraries choose kernels and take memory."""


@final
class Captured:
    """A function of tensors of one shape, (1, …) the first of them, on one GPU; what it gives is the caller's.

    The first call records. Batches of several have many shapes and keep a GPU busy: they run as they are. Call it
    under `torch.inference_mode`.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self.function = function
        self._lock = Lock()
        self._graph: torch.cuda.CUDAGraph | None = None
        self._places: list[Tensor] = []
        self._result: Tensor | None = None

    def __call__(self, *arguments: Tensor) -> Tensor:
        """What the function makes of the arguments."""
        if len(arguments[0]) != 1:
            return self.function(*arguments)
        with self._lock, torch.cuda.device(arguments[0].device):
            graph, result = self._recorded(arguments)
            for place, argument in zip(self._places, arguments, strict=True):
                place.copy_(argument)
            graph.replay()
            return result.clone()  # the next replay writes over it

    def _recorded(self, arguments: tuple[Tensor, ...]) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        if self._graph is not None and self._result is not None:
            return self._graph, self._result
        self._places = [argument.clone() for argument in arguments]
        stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM):
                self.function(*self._places)
        torch.cuda.current_stream().wait_stream(stream)
        with torch.cuda.graph(graph, stream=stream):
            result = self.function(*self._places)
        self._graph, self._result = graph, result
        return graph, result
