"""How the released model is run: exactly as published, or faster at a deviation that docs/released.md states."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, cast

import torch

from artalk.errors import BadInput, Unsupported
from artalk.models.released.precision import PRECISIONS, Precision

BFLOAT16 = ("amx_bf16", "avx512_bf16", "bf16")
"""What processors call it that they multiply in bfloat16, as `torch.cpu.get_capabilities` has it."""


@dataclass(frozen=True)
class Options:
    """How the model is run.

    `raw` leaves out the post-processing (smoothing; jaw y and z set to 0). `device` is "cpu", "cuda" or "cuda:1".
    `encoder` and `generator` are the precision of the speech encoder and of the transformer; int8 is for the CPU.
    `ahead` encodes the next windows' sound while this window's motion is made, where several are there (CPU).
    `compiled` puts the layers through torch.compile, which takes a while at the first window. `graphs` records a
    window's kernels once and replays them as CUDA graphs (GPU); it takes some of the GPU's memory.

    Raises `BadInput` for values that are none, `Unsupported` for what this machine or this device cannot do.
    """

    raw: bool = False
    encoder: Precision = "float32"
    generator: Precision = "float32"
    ahead: bool = False
    compiled: bool = False
    graphs: bool = False
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("raw", "ahead", "compiled", "graphs"):
            if not isinstance(getattr(self, name), bool):
                raise BadInput(f"{name} is true or false, got {getattr(self, name)!r}")
        for name in ("encoder", "generator"):
            if getattr(self, name) not in PRECISIONS:
                raise BadInput(f"the precision of the {name} is {', '.join(PRECISIONS)}, got {getattr(self, name)!r}")
        _check_device(self.device)
        self._check_together()

    @property
    def on_gpu(self) -> bool:
        """Whether the work is a GPU's."""
        return self.device != "cpu"

    def _check_together(self) -> None:
        if self.on_gpu and "int8" in (self.encoder, self.generator):
            raise Unsupported(f"int8 is for the CPU; on {self.device} take bfloat16")
        if self.on_gpu and self.ahead:
            raise Unsupported(f"ahead is for the CPU, where a thread does it; on {self.device} take graphs")
        if self.graphs and not self.on_gpu:
            raise Unsupported("graphs are CUDA's: take device cuda with them")

    @classmethod
    def wished(cls, wishes: Mapping[str, Any], raw: bool = False) -> Self:
        """Options by name, over those of `fast` where that is among the wishes: `{"fast": True, "device": "cuda"}`."""
        given = dict(wishes)
        fast = given.pop("fast", False)
        known = [field.name for field in fields(cls) if field.name != "raw"]
        if unknown := given.keys() - set(known):
            raise BadInput(
                f"the released model is run with fast, {', '.join(known)}; got {', '.join(map(repr, sorted(unknown)))}"
            )
        if not isinstance(fast, bool):
            raise BadInput(f"fast is true or false, got {fast!r}")
        usual = _fast(str(given.get("device", "cpu"))) if fast else {}
        chosen: dict[str, Any] = {**usual, **given, "raw": raw}
        return cls(**chosen)


def _fast(device: str) -> dict[str, Any]:
    """The measured fast way of a device."""
    if device != "cpu":
        return {"encoder": "bfloat16", "generator": "bfloat16", "graphs": True}
    if multiplies_bfloat16():
        return {"encoder": "bfloat16", "generator": "bfloat16"}
    warnings.warn(
        "this processor does not multiply in bfloat16: fast means no more than the next windows' sound encoded ahead "
        "here; encoder=int8 is faster and deviates more (docs/released.md)",
        stacklevel=4,
    )
    return {"ahead": True}


def multiplies_bfloat16() -> bool:
    """Whether this processor has products in bfloat16; elsewhere they are slower than in float32."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    if ask is None:
        return True  # a torch that cannot tell
    found = cast("Mapping[str, Any]", ask())
    return any(found.get(name) for name in BFLOAT16)


def _check_device(device: object) -> None:
    if device == "cpu":
        return
    if not isinstance(device, str) or re.fullmatch(r"cuda(:\d{1,3})?", device, re.ASCII) is None:
        raise BadInput(f"a device is cpu, cuda or cuda:1, got {device!r}")
    if not torch.cuda.is_available():
        raise Unsupported(f"device {device!r} is asked for, torch sees no GPU here: use device 'cpu'")
    number, count = int(device.partition(":")[2] or 0), torch.cuda.device_count()
    if number >= count:
        raise Unsupported(f"device {device!r} is asked for, torch sees {count} GPU{'s' * (count > 1)}, from cuda:0")


EXACT = Options()
"""As published, number for number."""
