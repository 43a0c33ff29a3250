"""The released model against its plain description: time of each part, memory, and what the faster ways deviate by.

python -m benchmarks.released                                  # full size, 4, 8 and 30 s of sound, about 20 minutes
python -m benchmarks.released --size small --rounds 1          # a look at the table
python -m benchmarks.released --ways reference,exact --seconds 4

Weights are random. Every way runs in a process of its own and warms up first; the rounds go through all ways in turn,
so that what else the machine does hits all alike, and the table shows medians. Where torch sees a GPU, ways to run on
it are among them. What is timed, and how, is printed below the tables. Millimetres are those of a made FLAME face whose
motion deviates from its mean by about as much as the release's.
"""

import argparse
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from benchmarks.released_reference import Reference, now
from tests.flames import flame_like

from artalk.audio import Audio
from artalk.generators.smoothing import UNUSED
from artalk.models.released import file, layout
from artalk.models.released.config import CodecSizes, ReleasedConfig, Wav2vec2Config
from artalk.models.released.generator import Released
from artalk.models.released.options import Options
from artalk.models.released.style import positions
from artalk.rigs.flame import FlameRig
from artalk.rigs.head import head

SIZES = {
    "full": ReleasedConfig(),
    "small": ReleasedConfig(
        width=192,
        depth=3,
        heads=3,
        hidden=768,
        features=128,
        wav2vec2=Wav2vec2Config(width=128, depth=3, heads=2, hidden=512, conv_width=64, positions=32, groups=4),
        codec=CodecSizes(width=128, depth=2, heads=2, hidden=192),
    ),
}

BF16 = {"encoder": "bfloat16", "generator": "bfloat16"}

WAYS = {
    "reference": {},
    "exact": {},
    "ahead": {"ahead": True},
    "encoder bf16": {"encoder": "bfloat16"},
    "encoder int8": {"encoder": "int8"},
    "all bf16": BF16,
    "all bf16, ahead": BF16 | {"ahead": True},
}
"""The options of each; the reference has none but the device."""

GPU_WAYS = {
    "GPU: reference": {"device": "cuda"},
    "GPU: exact": {"device": "cuda"},
    "GPU: exact, graphs": {"device": "cuda", "graphs": True},
    "GPU: all bf16": BF16 | {"device": "cuda"},
    "GPU: all bf16, graphs": BF16 | {"device": "cuda", "graphs": True},
    "GPU: all bf16, compiled, graphs": BF16 | {"device": "cuda", "compiled": True, "graphs": True},
}

UTTERANCES = 4
"""Side by side in the batch that is timed."""

PARTS = ("all", "encoder", "generator", "codec")

HEAD = range(100, 103)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--seconds", type=lambda text: [float(part) for part in text.split(",")], default=[4, 8, 30])
    parser.add_argument("--ways", type=lambda text: text.split(","), default=None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint to measure instead of random weights")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ways is None:
        given.ways = [*WAYS, *(GPU_WAYS if torch.cuda.is_available() else {})]
    if given.one:
        print(json.dumps(measure(given.one, given.checkpoint, given.seconds, given.threads)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = given.checkpoint or random_checkpoint(Path(folder) / "random.pt", SIZES[given.size])
        rounds = [{way: in_a_process(way, path, given) for way in given.ways} for _ in range(given.rounds)]
    print(f"{given.size} size, {given.threads} threads, medians of {given.rounds} rounds\n")
    results = {way: [one[way] for one in rounds] for way in given.ways}
    table(results, given.seconds)
    answers(results)


def in_a_process(way, path, given):
    seconds = ",".join(map(str, given.seconds))
    command = [sys.executable, "-m", "benchmarks.released", "--one", way, "--checkpoint", str(path)]
    command += ["--seconds", seconds, "--threads", str(given.threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(given.threads)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout)


def measure(way, path, seconds, threads):
    """Times in seconds by length and part, loading, peak memory in MB, and deviations from exact float32."""
    torch.set_num_threads(threads)
    options, device = {**WAYS, **GPU_WAYS}[way], {**WAYS, **GPU_WAYS}[way].get("device", "cpu")
    started = now(device)
    contents = file.read(path)
    plain = way.endswith("reference")
    if plain:
        runner = Reference({name: tensor.to(device) for name, tensor in contents.tensors.items()}, contents.config)
    else:
        runner = Released(contents.model(), Options(raw=True, **options))
    facts = {"loading": now(device) - started, "times": {}}
    started = now(device)
    run(runner, device, sound(2 * contents.config.samples / 16000))
    facts["warm-up"] = now(device) - started
    for length in seconds:
        facts["times"][str(length)] = run(runner, device, sound(length))
    if not plain:
        facts["batch"] = batch(runner, min(seconds))
    facts["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if device != "cpu":
        facts["memory of the GPU"] = torch.cuda.max_memory_allocated() / 2**20
    if not plain:
        facts |= deviation(runner, contents, sound(8))
    return facts


def run(runner, device, samples):
    """Seconds of the whole and of each part."""
    if isinstance(runner, Reference):
        runner.seconds = dict.fromkeys(runner.seconds, 0.0)
        started = now(device)
        runner(torch.from_numpy(samples).to(device))[0].cpu()
        return {"all": now(device) - started} | runner.seconds
    audio = Audio(samples, 16000)
    started = now(device)
    runner.generate(audio)
    whole = {"all": now(device) - started}
    return whole if runner.options.ahead else whole | parts(runner, device, samples)


@torch.inference_mode()
def parts(runner, device, samples):
    """The same work again, with a clock between its parts; what is recorded as one cannot be parted."""
    seconds, model = {"encoder": 0.0, "generator": 0.0, "codec": 0.0}, runner.model

    def timed(part, function, *arguments):
        started = now(device)
        made = function(*arguments)
        seconds[part] += now(device) - started
        return made

    manner, motion, rest = model.generator.manner(None), None, model.rest()
    for window in windows(samples, model.config.samples):
        features = timed("encoder", runner.hear, window[None].to(device))
        before = rest if motion is None else timed("codec", runner.encode, motion)
        if runner.options.graphs:
            motion = timed("generator", runner.perform, features, before, *manner)
            continue
        predicted = timed("generator", lambda: model.generator(model.condition(features), before, manner))  # noqa: B023
        motion = timed("codec", model.codec.decode, before, predicted.bits)
    return seconds


def batch(runner, length):
    """Seconds an utterance, several side by side."""
    sounds = [Audio(sound(length, seed), 16000) for seed in range(UTTERANCES)]
    started = now(runner.options.device)
    runner.generate_many(sounds)
    return (now(runner.options.device) - started) / UTTERANCES


@torch.inference_mode()
def deviation(runner, contents, samples):
    """Against exact float32, window by window from the exact run's history: random weights forgive no bit, so what
    follows a bit that fell otherwise says nothing."""
    exact, fast = contents.model(), runner.model
    manner, before = exact.generator.manner(None), exact.rest()
    features, differ, margins, motions, distances, still = [], [], [], [], [], []
    face = FlameRig(flame_like(head()))
    for window in windows(samples, exact.config.samples):
        true, made = exact.speech(window[None]), runner.hear(window[None].to(runner.options.device))
        off = made.cpu() - true
        features.append(float(off.norm() / true.norm()))
        motion, predicted = exact.window(true, before, manner)
        other, guessed = fast.window(made, before.to(made.device), fast.generator.manner(None))
        other = other.cpu()
        differ.append((predicted.bits != guessed.bits.cpu()).flatten())
        margins.append(predicted.logits.diff(dim=-1).abs().flatten())
        motions.append(float(((motion - other) / exact.codec.deviation).abs().mean()))
        distances.append(apart(face, motion, other, [*UNUSED]))
        still.append(apart(face, motion, other, [*UNUSED, *HEAD]))
        before = exact.codec.encode(motion)
    fell, margin = torch.cat(differ), torch.cat(margins)
    return {
        "features": statistics.mean(features),
        "bits": len(fell),
        "differ": int(fell.sum()),
        "tie": float(margin.min()),
        "tie of those": float(margin[fell].min()) if fell.any() else math.inf,
        "motion": statistics.mean(motions),
        "mm": statistics.mean(distances),
        "mm still": statistics.mean(still),
    }


def apart(face, one, other, without):
    """Millimetres between the faces of two windows (1, frames, 106) without some channels, on average."""
    shown = []
    for motion in (one, other):
        values = motion[0].numpy().copy()
        values[:, without] = 0
        shown.append(face.poses(values))
    return 1000 * float(np.linalg.norm(shown[0] - shown[1], axis=-1).mean())


def table(results, seconds):
    lengths = [
        str(float(length)) if str(length) not in next(iter(results.values()))[0]["times"] else str(length)
        for length in seconds
    ]
    print("| way | sound | all | encoder | generator | codec | real time | speed-up |")
    print("|---|---|---|---|---|---|---|---|")
    for way, rounds in results.items():
        for length in lengths:
            times = {
                part: statistics.median(one["times"][length][part] for one in rounds)
                for part in rounds[0]["times"][length]
            }
            gain = ""
            plain = "GPU: reference" if way.startswith("GPU") else "reference"
            if plain in results:
                gain = f"{statistics.median(r['times'][length]['all'] for r in results[plain]) / times['all']:.2f}"
            cells = " | ".join(f"{times[part]:.2f}" if part in times else "" for part in PARTS)
            print(f"| {way} | {float(length):g} s | {cells} | {times['all'] / float(length):.3f} | {gain} |")
    columns = ["way", "loading", "warm-up", "peak memory", "each of a batch", "features off by", "bits differ"]
    columns += ["nearest tie of those", "of all", "motion", "vertices", "head still"]
    print(f"\n| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    for way, rounds in results.items():
        middle = {key: statistics.median(one[key] for one in rounds) for key in rounds[0] if key != "times"}
        of_gpu = f", GPU {middle['memory of the GPU']:.0f} MB" if "memory of the GPU" in middle else ""
        cells = [f"{middle[key]:.1f} s" for key in ("loading", "warm-up")] + [f"{middle['memory']:.0f} MB{of_gpu}"]
        cells.append(f"{middle['batch']:.2f} s" if "batch" in middle else "")
        cells += (
            [
                f"{middle['features']:.1e}",
                f"{middle['differ']:.0f} of {middle['bits']:.0f} ({middle['differ'] / middle['bits']:.2%})",
                f"{middle['tie of those']:.0e}" if middle["differ"] else "",
                f"{middle['tie']:.0e}",
                f"{middle['motion']:.3f} sd",
                f"{middle['mm']:.2f} mm",
                f"{middle['mm still']:.2f} mm",
            ]
            if "bits" in middle
            else [""] * 7
        )
        print(f"| {way} | {' | '.join(cells)} |")


def answers(results):
    """What users ask about the published timings, answered for these."""
    length = min(next(iter(results.values()))[0]["times"], key=float)
    whole = {way: statistics.median(one["times"][length]["all"] for one in rounds) for way, rounds in results.items()}
    best = min(whole, key=whole.get)
    window, took = 100 / 25, whole[best] / max(math.ceil(float(length) / 4), 1)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none; what is said of GPUs was not measured"
    print(f"""
On: {platform.processor() or platform.machine()}; GPU: {gpu}; torch {torch.__version__}.
1. What is timed? Sound in memory to motion in memory: speech encoder, generator and codec, on a GPU with the copies
   there and back. Not: reading the sound, loading, smoothing, the mesh. The parts are timed in a second run; where they
   are recorded as one CUDA graph, the decoder's time is in the generator's. Where the encoder runs ahead, parts overlap
   and are not given.
2. Amortised over the window? No: times are of the whole sound. A window of {window:g} s is heard whole before its first
   frame: live, that comes after {window:g} s + {took:.3f} s + 0.16 s of smoothing ("{best}"). Divided among 100 frames
   it would be {10 * took:.2f} ms each, which is no latency.
3. Warm-up? Each way runs two windows before the clock; the table says how long that took, with what is compiled and
   recorded then.
4. Synchronisation? The GPU is waited for before every look at the clock; on the CPU nothing runs on after it.
5. Precision? As in the way's name. float32: matrix products are set to {torch.get_float32_matmul_precision()!r},
   and 'highest' is without TF32, which the reference's convolutions on a GPU have. bf16: weights and products, with
   float32 between. int8: a scale for each token and each output.
What differs is over two windows, against exact float32. A tie is a bit whose two logits are alike: "nearest" is their
smallest distance. Millimetres are means over vertices and frames, the jaw's y and z 0 as smoothing leaves them, with
the head's turn and without it.""")


def windows(samples, size):
    padded = np.zeros(math.ceil(len(samples) / size) * size, np.float32)
    padded[: len(samples)] = samples
    return torch.from_numpy(padded).view(-1, size)


def sound(seconds, seed=0):
    """Noise with the rhythm of syllables."""
    random = np.random.default_rng(seed)
    count = int(seconds * 16000)
    loud = 0.1 + 0.1 * np.sin(2 * np.pi * 4 * np.arange(count) / 16000)
    return (random.normal(0, 1, count) * loud).astype(np.float32)


def random_checkpoint(path, config):
    """A checkpoint of a size with random weights, scaled so that sound, style and history all have a say."""
    random = torch.Generator().manual_seed(1)
    tensors = {}
    for name, shape in layout.shapes(config).items():
        noise = torch.randn(shape, generator=random)
        if name.endswith(("norm.weight", "norm1.weight", "norm2.weight")):
            tensors[name] = 1 + 0.1 * noise
        elif name.endswith("motion_std"):
            tensors[name] = deviations(noise)
        elif name.endswith("motion_mean"):
            tensors[name] = torch.cat([0.2 * noise[:100], torch.tensor([0, 0, 0, 0.07, 0, 0])])
        elif name.endswith("bias") or "embed" in name and len(shape) != 2 or "scale_mul" in name:
            tensors[name] = 0.2 * noise
        else:
            gain = 3 if name.startswith(("logits_head", "vqfeat", "basic_vae.decoder.inp")) else 1
            tensors[name] = gain * noise / math.sqrt(math.prod(shape[1:]))
    level = torch.repeat_interleave(torch.arange(len(config.scales)), torch.tensor(config.scales))
    own = torch.where(level[:, None] >= level[None], 0.0, float("-inf"))
    half = torch.arange(2 * config.window) // config.window
    tensors |= {
        "lvl_idx": level[None],
        "attn_bias_for_masking": torch.cat([torch.zeros_like(own), own], dim=1)[None, None],
        "basic_vae.attn_mask": torch.where(half[:, None] >= half[None], 0.0, float("-inf"))[None, None],
        "style_encoder.PE.pe": positions(config.style.longest, config.style.width)[None],
        "style_encoder.motion_mean": tensors["basic_vae.motion_mean"],
        "style_encoder.motion_std": tensors["basic_vae.motion_std"],
    }
    torch.save(tensors, path)
    return path


def deviations(noise):
    """What motion deviates by, (106,) like the normal `noise`: sizes as the release's, not its numbers.

    Expressions lie within 0.07 and 1.09 about 0.27, the first of them larger; head and jaw are in radians.
    """
    falling = torch.linspace(0.85, -0.85, 100)
    expressions = (0.27 * (falling + 0.3 * noise[:100]).exp()).clamp(0.07, 1.09)
    return torch.cat([expressions, torch.tensor([0.07, 0.13, 0.07, 0.049, 0.024, 0.026])])


if __name__ == "__main__":
    main()
