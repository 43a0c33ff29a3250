"""What a model learns from: pieces of recordings side by side, and which of their channels anyone has seen."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """Pieces of equal length, motion at the model's fps.

    - `motion` (batch, frames, channels): real units (weights 0..1, radians); frames are whole windows.
    - `observed` (batch, channels) 1.0 where the source really measured the channel; 0.0 elsewhere, which costs nothing.
    - `sound` (batch, (past + frames + lookahead) · hop): mono -1..1, from `speech.past` frames before the first frame
      of motion to `speech.lookahead` frames after the last one; silence where the recording does not reach.
    - `phones` (batch, frames · 2): the phone of each half frame as an index into the model's phones, -1 unknown.
    - `style_clip` (batch, clip frames, channels): another piece in the same way of moving; `style_frames` (batch,) how
      many of its frames count; `style_id` (batch,): equal where the way of moving is the same, below 0 where it is
      drawn by lot: its style is never withheld, or a model would learn that no style means any.
    - `heard` (batch, frames, encoder features): what a frozen pretrained encoder made of the sound, in its place.
    - `weight` (batch,): how much each piece counts.
    """

    motion: Tensor
    observed: Tensor
    sound: Tensor | None = None
    phones: Tensor | None = None
    style_clip: Tensor | None = None
    style_frames: Tensor | None = None
    style_id: Tensor | None = None
    heard: Tensor | None = None
    weight: Tensor | None = None

    def to(self, device: torch.device | str) -> "Batch":
        """The same on another device."""
        moved = {name: value.to(device) for name, value in vars(self).items() if value is not None}
        return replace(self, **moved)
