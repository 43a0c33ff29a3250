"""Where half precision must not reach: spectra, running levels and the decisions of a codec."""

from contextlib import AbstractContextManager, nullcontext

import torch


def exact(device: torch.device) -> AbstractContextManager[None | torch.autocast]:
    """A block whose products are made in float32 even under autocast; what comes in is still to be `.float()`."""
    if torch.compiler.is_exporting() or not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
