"""A frozen encoder's features of whole clips, on disk: made once, read by numpy.

    FOLDER/ENCODER/encoder.json   the encoder's config
    FOLDER/ENCODER/SOUND.npy      (frames, pace · encoder width) float16, by the SHA-256 of the clip's samples

ENCODER is the SHA-256 of weights and config (its beginning): other weights, other margins, another folder.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from artalk.config import to_json
from artalk.errors import BadFile, BadInput
from artalk.formats.atomic import atomic
from artalk.models.speech.architectures import HOP
from artalk.models.speech.pretrained import Pretrained

Half = NDArray[np.float16]

LARGEST = 6e4
"""What float16 can hold."""


class Features:
    """The features of sounds, from the disk or made now and kept."""

    def __init__(self, folder: Path, speech: Pretrained) -> None:
        if speech.config.tune != "frozen":
            raise BadInput("features are kept of a frozen encoder: tune = 'frozen'")
        self._speech = speech
        self.folder = folder / speech.fingerprint()[:16]
        self.width = speech.config.architecture.pace * speech.config.architecture.width
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadFile(f"features cannot be kept in {str(folder)!r}: {error.strerror}") from error
        with atomic(self.folder / "encoder.json") as temporary:
            temporary.write_text(to_json(speech.config) + "\n", encoding="utf-8")

    def of(self, samples: NDArray[np.float32]) -> Half:
        """(frames, width) of whole frames of sound (frames · 640,), with silence before and after it.

        The array is a view of the file: it costs memory only where it is looked at.
        """
        if samples.ndim != 1 or len(samples) % HOP or not len(samples):
            raise BadInput(f"features are made of whole frames of {HOP} samples, got {samples.shape}")
        path = self.folder / f"{hashlib.sha256(np.ascontiguousarray(samples, '<f4').tobytes()).hexdigest()}.npy"
        shape = len(samples) // HOP, self.width
        kept = _kept(path, shape)
        if kept is None:
            with atomic(path) as temporary:
                np.save(temporary, self._made(samples), allow_pickle=False)
            kept = _kept(path, shape)
            assert kept is not None, "what was just written is there"
        return kept

    @torch.no_grad()
    def _made(self, samples: NDArray[np.float32]) -> Half:
        config = self._speech.config
        sound = torch.tensor(samples, device=self._speech.norm.weight.device)[None]
        heard = self._speech.raw(F.pad(sound, (config.past * HOP, config.lookahead * HOP)))[0]
        return heard.clamp(-LARGEST, LARGEST).cpu().numpy().astype(np.float16)


def _kept(path: Path, shape: tuple[int, int]) -> Half | None:
    """The array in a file, if it is whole."""
    try:
        array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == shape and array.dtype == np.float16 else None
