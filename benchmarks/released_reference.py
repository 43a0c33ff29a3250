"""The released model's forward pass as it is described, step by step, with nothing kept and nothing hoisted.

It is what `artalk.models.released` is measured and tested against: written plainly from the same description, sharing
no code with it. `tensors` is a checkpoint in the released layout.
"""

import math
import time
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F


def now(device):
    """Seconds by the clock, when a GPU has done what it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Reference:
    """One utterance through the model; `seconds` adds up where the time went."""

    def __init__(self, tensors: Mapping[str, Tensor], config) -> None:
        self.t, self.config = dict(tensors), config
        self.seconds = {"encoder": 0.0, "generator": 0.0, "codec": 0.0}
        self.device = self.t["null_style_cond"].device
        g = self.t["audio_encoder.encoder.pos_conv_embed.conv.parametrizations.weight.original0"]
        v = self.t["audio_encoder.encoder.pos_conv_embed.conv.parametrizations.weight.original1"]
        self.pos_conv = torch._weight_norm(v, g, 2)

    def linear(self, x, name):
        return F.linear(x, self.t[f"{name}.weight"], self.t.get(f"{name}.bias"))

    def norm(self, x, name, eps=1e-5):
        return F.layer_norm(x, x.shape[-1:], self.t[f"{name}.weight"], self.t[f"{name}.bias"], eps)

    @torch.inference_mode()
    def __call__(self, sound, style=None):
        """(frames, 106) of (samples,) at 16 kHz, and per window: features, logits, bits."""
        samples, frames = self.config.samples, math.ceil(len(sound) / 640)
        count = math.ceil(frames * 640 / samples)
        windows = F.pad(sound, (0, count * samples - len(sound))).view(count, samples)
        token = self.style_token(style)
        before = self.timed("codec", self.encode, sound.new_zeros(1, self.config.window, 106))
        motion, trace = [], []
        for window in windows:
            features = self.timed("encoder", self.speech, window[None])
            logits = self.timed("generator", self.generate, features, before, token)
            bits = logits.view(1, self.config.tokens, -1, 2).argmax(dim=-1)
            made = self.timed("codec", self.decode, before, bits)
            before = self.timed("codec", self.encode, made)
            motion.append(made[0])
            trace.append((features[0], logits[0], bits[0]))
        return torch.cat(motion)[:frames], trace

    def timed(self, part, function, *arguments):
        started = now(self.device)
        made = function(*arguments)
        self.seconds[part] += now(self.device) - started
        return made

    # ── sound ──

    def speech(self, x):
        config = self.config.wav2vec2
        x = (x - x.mean(dim=-1, keepdim=True)) / (x.std(dim=-1, keepdim=True) + 1e-6)
        x = x[:, None]
        for i, stride in enumerate(config.strides):
            conv = f"audio_encoder.feature_extractor.conv_layers.{i}"
            x = F.conv1d(x, self.t[f"{conv}.conv.weight"], self.t[f"{conv}.conv.bias"], stride=stride)
            x = F.gelu(self.norm(x.transpose(1, 2), f"{conv}.layer_norm", config.eps).transpose(1, 2))
        x = self.norm(x.transpose(1, 2), "audio_encoder.feature_projection.layer_norm", config.eps)
        x = self.linear(x, "audio_encoder.feature_projection.projection")
        bias = self.t["audio_encoder.encoder.pos_conv_embed.conv.bias"]
        place = F.conv1d(x.transpose(1, 2), self.pos_conv, bias, padding=config.positions // 2, groups=config.groups)
        if config.positions % 2 == 0:
            place = place[..., :-1]
        x = x + F.gelu(place).transpose(1, 2)
        for i in range(config.depth):
            layer = f"audio_encoder.encoder.layers.{i}"
            h = self.norm(x, f"{layer}.layer_norm", config.eps)
            q, k, v = (self.split(self.linear(h, f"{layer}.attention.{n}_proj"), config.heads) for n in "qkv")
            x = x + self.linear(self.joined(F.scaled_dot_product_attention(q, k, v)), f"{layer}.attention.out_proj")
            h = self.norm(x, f"{layer}.final_layer_norm", config.eps)
            h = F.gelu(self.linear(h, f"{layer}.feed_forward.intermediate_dense"))
            x = x + self.linear(h, f"{layer}.feed_forward.output_dense")
        return self.norm(x, "audio_encoder.encoder.layer_norm", config.eps)

    @staticmethod
    def split(x, heads):
        return x.view(*x.shape[:2], heads, -1).transpose(1, 2)

    @staticmethod
    def joined(x):
        return x.transpose(1, 2).flatten(2)

    # ── style ──

    def style(self, clip):
        """(1, width) of (frames, 106)."""
        sizes, place = self.config.style, "style_encoder.encoder.transformer.layers"
        x = (clip[None] - self.t["style_encoder.motion_mean"]) / self.t["style_encoder.motion_std"]
        x = self.linear(x, "style_encoder.encoder.motion_proj") + self.t["style_encoder.PE.pe"][:, len(clip)]
        for i in range(sizes.depth):
            layer = f"{place}.{i}"
            weight, bias = self.t[f"{layer}.self_attn.in_proj_weight"], self.t[f"{layer}.self_attn.in_proj_bias"]
            q, k, v = (self.split(part, sizes.heads) for part in F.linear(x, weight, bias).chunk(3, dim=-1))
            seen = self.joined(F.scaled_dot_product_attention(q, k, v))
            x = self.norm(x + self.linear(seen, f"{layer}.self_attn.out_proj"), f"{layer}.norm1")
            h = self.linear(F.gelu(self.linear(x, f"{layer}.linear1")), f"{layer}.linear2")
            x = self.norm(x + h, f"{layer}.norm2")
        return x.mean(dim=1)

    def style_token(self, clip):
        null = self.t["null_style_cond"]
        if clip is None:
            return null
        return self.linear(self.style(clip), "style_cond_embed")[:, None] * 1.1 - null * 0.1

    # ── codec ──

    def up(self, values):
        """(1, scale, bits) → (1, window, bits)."""
        size = self.config.window
        return F.interpolate(values.transpose(1, 2), size=size, mode="linear").transpose(1, 2)

    @staticmethod
    def down(values, size):
        return F.interpolate(values.transpose(1, 2), size=size, mode="area").transpose(1, 2)

    def encode(self, motion):
        x = (motion - self.t["basic_vae.motion_mean"]) / self.t["basic_vae.motion_std"]
        x = x + self.t["basic_vae.enc_pos_embed"][:, : x.shape[1]]
        x = F.leaky_relu(self.linear(x, "basic_vae.encoder.inp_mapping.0"), 0.2)
        window = self.config.window
        x = self.codec_layers(x, "encoder", self.t["basic_vae.attn_mask"][..., :window, :window])
        rest, made = self.linear(x, "basic_vae.encoder.code_mapping"), []
        for level, scale in enumerate(self.config.scales):
            last = level + 1 == len(self.config.scales)
            found = rest if last else self.down(rest, scale)
            made.append((found > 0).long())
            unit = F.normalize(found, dim=-1)
            corner = torch.where(found > 0, 1.0, -1.0) / math.sqrt(self.config.codec.bits)
            quantized = unit + (corner - unit)
            rest = rest - (quantized if last else self.up(quantized))
        return torch.cat(made, dim=1)

    def codec_layers(self, x, side, mask):
        for i in range(self.config.codec.depth):
            attention = f"basic_vae.{side}.{side}_transformer.{2 * i}"
            forward = f"basic_vae.{side}.{side}_transformer.{2 * i + 1}"
            qkv = self.linear(self.norm(x, f"{attention}.norm"), f"{attention}.to_qkv").chunk(3, dim=-1)
            q, k, v = (self.split(part, self.config.codec.heads) for part in qkv)
            seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=x.shape[-1] ** -0.5)
            x = x + self.linear(self.joined(seen), f"{attention}.to_out")
            h = F.gelu(self.linear(x, f"{forward}.0"), approximate="tanh")
            x = x + self.linear(h, f"{forward}.2")
        return x

    def values(self, bits):
        return (bits.float() * 2 - 1) / math.sqrt(self.config.codec.bits)

    def told(self, bits, levels):
        """What the scales 2 to `levels` are told of those before them, and the sum of all."""
        total, tokens = 0.0, []
        for level, part in enumerate(self.values(bits).split(self.config.scales[:levels], dim=1)):
            total = total + (part if level + 1 == len(self.config.scales) else self.up(part))
            if level + 1 < len(self.config.scales):
                tokens.append(self.down(total, self.config.scales[level + 1]))
        return tokens, total

    def decode(self, before, bits):
        count = len(self.config.scales)
        x = torch.cat([self.told(before, count)[1], self.told(bits, count)[1]], dim=1)
        x = F.leaky_relu(self.linear(x + self.t["basic_vae.dec_pos_embed"], "basic_vae.decoder.inp_mapping.0"), 0.2)
        x = self.codec_layers(x, "decoder", self.t["basic_vae.attn_mask"])
        x = self.linear(x, "basic_vae.decoder.out_mapping")
        x = x * self.t["basic_vae.motion_std"] + self.t["basic_vae.motion_mean"]
        return x[:, self.config.window :]

    # ── autoregression ──

    def generate(self, features, before, token):
        """(1, tokens, 2 · bits): every level runs all tokens so far through all blocks."""
        scales = self.config.scales
        condition = torch.cat([self.down(features, scale) for scale in scales], dim=1)
        level = self.t["lvl_embed.weight"][self.t["lvl_idx"]]
        tokens, _ = self.told(before, len(scales))
        past = torch.cat([token, self.linear(torch.cat(tokens, dim=1), "vqfeat_embed")], dim=1)
        past = past + level + self.t["prev_pos_embed"]
        known, logits = token, None
        for count in range(1, len(scales) + 1):
            stop = sum(scales[:count])
            x = known + (level + self.t["pos_embed"])[:, :stop]
            bias = self.t["attn_bias_for_masking"][:, :, :stop, : stop + self.config.tokens]
            for i in range(self.config.depth):
                x = self.block(x, past, condition[:, :stop], bias, f"attn_blocks.{i}")
            scale, shift = self.linear(F.silu(condition[:, :stop]), "cond_logits_head.ada_lin.1").chunk(2, dim=-1)
            x = F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift
            logits = self.linear(x, "logits_head")
            if count < len(scales):
                bits = logits.view(1, stop, -1, 2).argmax(dim=-1)
                tokens, _ = self.told(bits, count)
                known = torch.cat([token, self.linear(torch.cat(tokens, dim=1), "vqfeat_embed")], dim=1)
        return logits

    def block(self, x, past, condition, bias, name):
        modulation = self.linear(F.silu(condition), f"{name}.ada_lin.1")
        gate1, gate2, scale1, scale2, shift1, shift2 = modulation.chunk(6, dim=-1)
        h = F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale1) + shift1
        both, heads = torch.cat([past, h], dim=1), self.config.heads
        q = F.normalize(self.split(self.linear(h, f"{name}.attn.query"), heads), dim=-1)
        q = q * self.t[f"{name}.attn.scale_mul_1H11"].clamp_max(math.log(100)).exp()
        k = F.normalize(self.split(self.linear(both, f"{name}.attn.key"), heads), dim=-1)
        v = self.split(self.linear(both, f"{name}.attn.value"), heads)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=1.0)
        x = x + gate1 * self.linear(self.joined(seen), f"{name}.attn.proj")
        h = F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale2) + shift2
        return x + gate2 * self.linear(F.gelu(self.linear(h, f"{name}.ffn.0"), approximate="tanh"), f"{name}.ffn.2")
