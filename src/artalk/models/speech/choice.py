"""Which speech encoder a model hears with: our own, or one that others have trained."""

from torch import Tensor

from artalk.errors import BadInput
from artalk.models.batch import Batch
from artalk.models.speech.mel import Speech, SpeechConfig
from artalk.models.speech.pretrained import Pretrained, PretrainedConfig

AnyConfig = PretrainedConfig | SpeechConfig
"""A table with `encoder` is a pretrained one."""

AnySpeech = Pretrained | Speech


def speech(config: AnyConfig, fps: float) -> AnySpeech:
    """The encoder of a config, with random weights."""
    return Pretrained(config, fps) if isinstance(config, PretrainedConfig) else Speech(config, fps)


def check(config: AnyConfig, window: int) -> None:
    """Refuse chunks that a window does not end with: a step would hear otherwise than training did."""
    if isinstance(config, PretrainedConfig) and window % config.chunk:
        raise BadInput(f"chunks of {config.chunk} frames do not fill windows of {window}: choose a divisor")


def listen(encoder: AnySpeech, batch: Batch) -> Tensor:
    """(batch, frames, FEATURES · width) of a batch's sound, or of the features that came with it."""
    if batch.heard is not None and isinstance(encoder, Pretrained):
        return encoder.lift(batch.heard)
    if batch.sound is None:
        raise BadInput("a model learns from motion with its sound, the batch has no sound")
    return encoder(batch.sound).features
