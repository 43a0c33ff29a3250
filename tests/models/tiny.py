"""Models so small that they learn in seconds, and recordings whose sound and motion belong together."""

import dataclasses
import math

import torch

from artalk.channels import ARKIT
from artalk.models.artalk import Artalk, ArtalkConfig, Spoiling, TrunkConfig
from artalk.models.batch import Batch
from artalk.models.codec import CodecConfig, StreamConfig
from artalk.models.speech.mel import SpeechConfig
from artalk.models.style import StyleConfig

torch.set_num_threads(1)

LIPS = ("jaw", "mouth", "cheeks", "nose", "tongue")
REST = ("eyes", "brows", "head")
SPEECH = SpeechConfig(bands=16, width=16, depth=1, heads=2, back=6, ahead=2, level_ahead=1, phones=("a", "b", "c"))
WINDOW = 10


def stream(parts, quantizer="binary", **more):
    shape = {"bits": 10, "entries": 16, "code_width": 8, "width": 24, "heads": 2, "encoder": 1, "decoder": 1}
    return StreamConfig(parts=parts, quantizer=quantizer, **{**shape, **more})


def codec_config(past=1, window=WINDOW, scales=(1, 2, 5, 10), quantizer="binary", **more):
    streams = {"lips": stream(LIPS), "rest": stream(REST, quantizer)}
    return CodecConfig(window=window, scales=scales, past=past, streams=streams, **more)


def config(past=1, quantizer="binary", **more):
    trunk = TrunkConfig(width=16, heads=2, depth=2, condition=12, past=past, memory=5, expected=0)
    chain = 8 if quantizer == "binary" else 0
    warm = TrunkConfig(
        width=16, heads=2, depth=1, condition=12, past=past, memory=2, expected=0, temperature=1.0, chain=chain
    )
    rest = {"speech": SPEECH, "style": StyleConfig(size=6, width=12, heads=2, depth=1, least=10), **more}
    return ArtalkConfig(codec=codec_config(past, quantizer=quantizer), trunks={"lips": trunk, "rest": warm}, **rest)


def rough(model, seed=0, by=0.3):
    """Weights as uneven as training leaves them: fresh ones predict nothing and hide mistakes."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += by * torch.randn(parameter.shape, generator=rng) / max(1, parameter[0].numel()) ** 0.5
    return model.eval()


def artalk(past=1, quantizer="binary", seed=0, **more):
    torch.manual_seed(seed)
    return rough(Artalk(config(past, quantizer, **more)), seed)


def motion(batch=2, frames=40, seed=0):
    """Smooth motion: weights between 0 and 1, a slow head."""
    rng = torch.Generator().manual_seed(seed)
    time = torch.arange(frames)[None, :, None] / 25
    pace = 0.5 + 3 * torch.rand(batch, 1, len(ARKIT), generator=rng)
    phase = 2 * math.pi * torch.rand(batch, 1, len(ARKIT), generator=rng)
    made = 0.4 + 0.3 * torch.sin(2 * math.pi * pace * time + phase)
    made[..., ARKIT.slice("head")] -= 0.4
    return made


def sound_of(motion, speech=SPEECH, hop=640):
    """A buzz whose loudness is jawOpen, with the margins that a batch has."""
    jaw = motion[..., ARKIT.index("jawOpen")]
    loud = torch.nn.functional.pad(jaw, (speech.past, speech.lookahead)).repeat_interleave(hop, dim=1)
    time = torch.arange(loud.shape[1]) / 16000
    return 0.3 * loud * torch.sign(torch.sin(2 * math.pi * 130 * time))


def batch(count=2, frames=40, seed=0, speech=SPEECH):
    made = motion(count, frames, seed)
    sound = sound_of(made, speech)
    return Batch(made, torch.ones(count, len(ARKIT)), sound, style_clip=made.flip(1), style_id=torch.arange(count))


def noise_sound(samples, seed=0, loud=0.1):
    return loud * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def cold(**more):
    return Spoiling(**{"bits": 0.0, "sound": 0.0, "style": 0.0, "past": 0.0, **more})


def bare(past=1, quantizer="binary", seed=0, chain=0):
    """The smallest model there is, for exports: the exporter's work grows with scales × layers × streams."""
    trunk = TrunkConfig(width=8, heads=2, depth=1, condition=6, past=past, memory=2, expected=1)
    trunks = {"lips": trunk, "rest": dataclasses.replace(trunk, expected=0, temperature=1.0, chain=chain)}
    codec = dataclasses.replace(codec_config(past, quantizer=quantizer), scales=(1, 10))
    speech = dataclasses.replace(SPEECH, width=8)
    torch.manual_seed(seed)
    style = StyleConfig(size=6, width=12, heads=2, depth=1, least=10)
    return rough(Artalk(ArtalkConfig(codec=codec, trunks=trunks, speech=speech, style=style)), seed)
