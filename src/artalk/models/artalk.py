"""ARTalk: speech → codes, scale by scale inside a window and window by window in time (arXiv 2502.20323, section 3.3).

Each stream of the codec (lips; the rest) has a trunk of its own over the same speech features and style, so that chance
in one does not touch the other. One class owns `forward`, `losses` and `step`; what training sees is what runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artalk.errors import BadInput
from artalk.generators.exported import branches
from artalk.generators.living import PARTS
from artalk.models.batch import Batch
from artalk.models.codec import Codec, CodecConfig, StreamCodec, all_known
from artalk.models.losses import LinearRig, huber, lip_losses, masked_mean, phonetic_weight
from artalk.models.nn.chain import BitChain
from artalk.models.nn.precision import exact
from artalk.models.nn.quantize import BinarySphere, Levels, Pyramid, Quantizer
from artalk.models.nn.resample import area, centres, linear
from artalk.models.nn.transformer import WindowStack, causal_blocks, check_heads, slid, unfold
from artalk.models.speech import choice
from artalk.models.speech.encoder import State
from artalk.models.speech.mel import FEATURES, SpeechConfig
from artalk.models.style import Style, StyleConfig


@dataclass(frozen=True)
class TrunkConfig:
    """The autoregressive transformer of one stream.

    It sees `past` windows, each remembered as `memory` tokens. `expected` finest scales are decoded as the mean of the
    predicted distribution when the temperature is 0. `blend` is the share of the direct regression in the result (0:
    the codes alone). `temperature` and `top_p` are what a user gets who asks for nothing. With `chain`, the width of
    its hidden layer, a token's bits are drawn one after the other (`BitChain`): for what sound leaves open.
    """

    width: int = 192
    heads: int = 4
    depth: int = 5
    condition: int = 128
    past: int = 1
    memory: int = 50
    expected: int = 2
    blend: float = 0.0
    temperature: float = 0.0
    top_p: float = 1.0
    chain: int = 0

    def __post_init__(self) -> None:
        check_heads(self.width, self.heads)
        if self.chain and self.expected:
            raise BadInput("bits that hang together have no expected values of their own: chain or expected is 0")


@dataclass(frozen=True)
class ArtalkWeights:
    """How much each loss counts: `codes` the cross-entropy, `regression` the direct head, `decoded` the motion of the
    expected codes of the finest scales (0 saves a decoder pass), `velocity` the differences of both, `lips` the mean
    distance in mm of both on the lips of a face and `gap` that of the gap between them, which counts twice where it is
    shut (channels by themselves do not say that lips meet where a jaw and what shuts its mouth agree), `phones` the
    auxiliary phone head, `contrast` the style encoder; `phonetic` the sharpness of the phonetic weight on motion.

    Motion within `huber` deviations of the truth counts by its square (Huber 1964), beyond them by its distance. Where
    sound leaves much open, squares ask for the mean of what may be, distances (0) for the median: of a jaw that is shut
    half of the time, a mouth that hardly opens.
    """

    codes: float = 1.0
    regression: float = 0.5
    decoded: float = 0.5
    velocity: float = 1.0
    lips: float = 0.0
    gap: float = 0.0
    phones: float = 0.1
    contrast: float = 0.05
    phonetic: float = 0.0
    huber: float = 0.0


@dataclass(frozen=True)
class Spoiling:
    """Chances in training: `bits` the largest share of corrupted bits a scale; `sound`, `style`, `past` how often each
    is withheld (for guidance, and so that no one of them is leant on); `own` how often the past and the coarse scales
    are what the model itself makes of the sound, window by window, instead of what was done (scheduled sampling, Bengio
    et al. 2015): where it runs it has nothing else. Streams that are drawn are left out: what chance made of them is no
    mistake to mend.
    """

    bits: float = 0.2
    sound: float = 0.1
    style: float = 0.15
    past: float = 0.1
    own: float = 0.0


LIPS = TrunkConfig(expected=5)
BROWS = TrunkConfig(width=96, depth=3, condition=96, expected=0, temperature=1.0, chain=48)
REST = TrunkConfig(width=128, depth=4, expected=0, temperature=1.0, chain=64)


@dataclass(frozen=True)
class ArtalkConfig:
    """The whole model. A stream of which a piece shows less than `least_observed` of the channels gets no code loss.

    `style_guidance` is the guidance towards a style (Ho & Salimans 2022) that a user's strength of 1 stands for; above
    1 costs a branch more wherever there is a style. `rules` are the parts that rules move where the model runs, because
    no face of its corpus has shown them: "eyes" as a whole, of "head" the nods, of lips that they stay shut in long
    "quiet" (`generators.living`).
    """

    codec: CodecConfig = CodecConfig()
    speech: choice.AnyConfig = SpeechConfig()
    style: StyleConfig = StyleConfig()
    trunks: dict[str, TrunkConfig] = field(default_factory=lambda: {"lips": LIPS, "brows": BROWS, "rest": REST})
    weights: ArtalkWeights = ArtalkWeights()
    spoiling: Spoiling = Spoiling()
    least_observed: float = 0.3
    style_guidance: float = 2.0
    rules: tuple[str, ...] = ()
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if list(self.trunks) != list(self.codec.streams):
            raise BadInput(
                f"streams {list(self.codec.streams)} have a trunk each, in this order, got {list(self.trunks)}"
            )
        choice.check(self.speech, self.codec.window)
        if not {*self.rules} <= {*PARTS}:
            raise BadInput(f"rules know {', '.join(PARTS)}, got {list(self.rules)}")

    @property
    def known(self) -> int:
        """Windows before the present one that anything looks at."""
        return max(self.codec.past, *(trunk.past for trunk in self.trunks.values()))


@dataclass(frozen=True, eq=False)
class Steering:
    """What steers a step of a batch, by branches whose logits are mixed.

    `style` (batch, branches, style size); `hears` (batch, branches) 1.0 or 0.0: whether the branch gets the sound;
    `mix` (batch, branches) sums to 1; `temperature` and `top_p` (batch, streams). One branch is plain generation; a
    branch without style and one without sound give classifier-free guidance (`steer`).
    """

    style: Tensor
    hears: Tensor
    mix: Tensor
    temperature: Tensor
    top_p: Tensor


@dataclass(frozen=True, eq=False)
class Predicted:
    """A trunk's `logits` (batch, windows, tokens, logits), coarse scales first, and `motion` (batch, windows, window,
    stream channels) of the regression head."""

    logits: Tensor
    motion: Tensor


class Made(NamedTuple):
    """A window of one stream: the codes' `values` (batch, scales[l], code width) of each scale and their sum `total`
    (batch, window, code width), the regression's `motion`, and what is to be remembered of it (`memory`)."""

    values: list[Tensor]
    total: Tensor
    motion: Tensor
    memory: Tensor | None


@final
class Trunk(nn.Module):
    """The transformer of one stream."""

    times: Tensor
    own_mask: Tensor
    pool: Tensor
    pool_memory: Tensor
    spread: Tensor

    def __init__(self, config: TrunkConfig, model: ArtalkConfig, stream: StreamCodec) -> None:
        super().__init__()
        self.config = config
        self.scales, window = model.codec.scales, model.codec.window
        code, style = stream.quantizer.width, model.style.size
        self.stack = WindowStack(
            config.width,
            config.heads,
            config.depth,
            config.past,
            window,
            centres(config.memory, window),
            config.condition,
            model.dropout,
        )
        self.enter = nn.Linear(code, config.width)
        self.place = nn.Embedding(len(self.scales) + 1, config.width)
        self.start = nn.Linear(style, config.width)
        self.hear = nn.Linear(FEATURES * model.speech.width, config.condition)
        self.deaf = nn.Parameter(torch.zeros(config.condition))
        self.follow = nn.Linear(style, config.condition)
        self.head = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, stream.quantizer.logits))
        self.regress = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, len(stream.columns)))
        self.chain = BitChain(config.width, stream.quantizer.logits, config.chain) if config.chain else None
        if config.chain and not isinstance(stream.quantizer, BinarySphere):
            raise BadInput("a chain is one of bits, and this stream has quantizer = 'vector': let its chain be 0")
        times = torch.cat([centres(scale, window) for scale in self.scales])
        self.register_buffer("times", self.stack.turns(times), persistent=False)
        self.register_buffer("own_mask", causal_blocks(self.scales), persistent=False)
        self.runs = (*self.scales, config.memory)
        self.register_buffer("pool", torch.cat([area(window, run) for run in self.runs]), persistent=False)
        self.register_buffer("pool_memory", area(window, config.memory), persistent=False)
        self.register_buffer("spread", linear(self.scales[-1], window), persistent=False)

    def condition(self, features: Tensor, hears: Tensor, style: Tensor) -> Tensor:
        """The adaptive condition of all tokens, then of the memory's: features averaged to each scale, plus style.

        `features` (batch, …, window, FEATURES · speech width), `hears` and `style` (batch, …, 1) and (batch, …, size).
        """
        heard = self.hear(features)
        heard = torch.where(hears[..., None] > 0.5, heard, self.deaf)
        return self.pool @ heard + self.follow(style)[..., None, :]

    def forward(self, levels: Levels, features: Tensor, hears: Tensor, style: Tensor, known: Tensor) -> Predicted:
        """All scales of all windows at once, teacher-forced.

        `features` (batch, windows, window, …), `hears` (batch,), `style` (batch, size), `known` (batch, windows, past).
        """
        windows = features.shape[1]
        hears = hears[:, None, None].expand(-1, windows, 1)
        style = style[:, None].expand(-1, windows, -1)
        conditions = self.condition(features, hears, style)
        condition, memory_condition = torch.split(conditions, [sum(self.scales), self.config.memory], dim=-2)
        tokens = torch.cat([self.tokens(given, i, style) for i, given in enumerate(levels.inputs)], dim=-2)
        content = self.content(levels.total)
        x = self.stack(tokens, self.times, self.own_mask, content, known, condition, memory_condition)
        logits = self.head(x)
        if self.chain is not None:
            logits = logits + self.chain(x, torch.cat(levels.codes, dim=-2).to(x.dtype))
        return Predicted(logits, self.spread @ self.regress(x[..., -self.scales[-1] :, :]))

    def tokens(self, known: Tensor, level: int, style: Tensor) -> Tensor:
        """(…, scales[level], width) tokens of what is known before a scale: before the first nothing but the style."""
        if level:
            return self.enter(known) + self.place.weight[level]
        first = self.start(style) + (self.enter.bias + self.place.weight[0])
        return first[..., None, :].expand(*style.shape[:-1], self.scales[0], -1)

    def content(self, total: Tensor) -> Tensor:
        """(…, memory, width): what later windows remember of the codes' sum (…, window, code width)."""
        return self.enter(self.pool_memory @ total) + self.place.weight[len(self.scales)]

    def step(
        self,
        pyramid: Pyramid,
        features: Tensor,
        steering: Steering,
        index: int,
        memory: Tensor | None,
        known: Tensor,
        noise: Tensor,
    ) -> Made:
        """One window, scale by scale; every token is computed once.

        `features` (batch, window, …), `memory` (batch, branches, …), `known` (batch, past), `noise` (batch, tokens,
        noise).
        """
        batch, branches = steering.style.shape[:2]
        style = steering.style.flatten(0, 1)
        spread = features[:, None].expand(-1, branches, -1, -1).flatten(0, 1)
        condition = self.condition(spread, steering.hears.reshape(-1, 1), style)
        *modulations, remembers = self.stack.runs(condition, self.runs)
        known = known[:, None].expand(-1, branches, -1).flatten(0, 1)
        before = self.stack.recall(None if memory is None else memory.flatten(0, 1))
        warm = steering.temperature[:, index, None, None], steering.top_p[:, index, None, None]
        total = features.new_zeros(batch, pyramid.frames, pyramid.quantizer.width)
        hidden, start = total, 0
        decided: list[Tensor] = []
        for level, scale in enumerate(self.scales):
            stop = start + scale
            given = pyramid.down(total, level)[:, None].expand(-1, branches, -1, -1).flatten(0, 1)
            hidden, before = self.stack.extend(
                self.tokens(given, level, style),
                self.times[:, start:stop],
                self.stack.bias(known, stop),
                before,
                modulations[level],
            )
            found = unfold(hidden, batch, branches)
            values = self._decide(pyramid.quantizer, level, found, steering.mix, noise[:, start:stop], *warm)
            decided.append(values)
            total = total + pyramid.part(values, level)
            start = stop
        regressed = unfold(self.spread @ self.regress(hidden), batch, branches)
        content = self.content(total)[:, None].expand(-1, branches, -1, -1).flatten(0, 1)
        new = self.stack.remember(content, remembers)
        new = None if new is None else unfold(new, batch, branches)
        return Made(decided, total, (regressed * steering.mix[..., None, None]).sum(dim=1), new)

    @torch.no_grad()
    def perform(self, pyramid: Pyramid, features: Tensor, hears: Tensor, style: Tensor, known: Tensor) -> list[Tensor]:
        """What it does by itself at temperature 0, each window after the last as where it runs: the values (batch,
        windows, scales[l], code width) of each scale. `features`, `hears`, `style` and `known` as in `forward`.
        """
        ones, zeros = features.new_ones(len(features), 1), features.new_zeros(len(features), 1)
        steering = Steering(style[:, None], hears[:, None], ones, temperature=zeros, top_p=ones)
        noise = features.new_zeros(len(features), pyramid.tokens, pyramid.quantizer.noise)
        empty = self.stack.empty(len(features), features.device)
        memory = None if empty is None else unfold(empty, len(features), 1)
        windows: list[list[Tensor]] = []
        learns = self.training
        self.eval()
        for k in range(features.shape[1]):
            made = self.step(pyramid, features[:, k], steering, 0, memory, known[:, k], noise)
            windows.append(made.values)
            memory = None if memory is None or made.memory is None else slid(memory, made.memory)
        self.train(learns)
        return [torch.stack(values, dim=1) for values in zip(*windows, strict=True)]

    def _decide(
        self,
        quantizer: Quantizer,
        level: int,
        hidden: Tensor,
        mix: Tensor,
        noise: Tensor,
        temperature: Tensor,
        top_p: Tensor,
    ) -> Tensor:
        """(batch, tokens, code width) of tokens `hidden` (batch, branches, tokens, width)."""
        logits = self.head(hidden)
        if self.chain is not None:
            thresholds = cast(BinarySphere, quantizer).threshold(noise, temperature, top_p)
            return quantizer.values(self.chain.draw(hidden, logits, mix, thresholds))
        logits = (logits * mix[..., None, None]).sum(dim=1)
        values = quantizer.values(quantizer.choose(logits, noise, temperature, top_p))
        if level < len(self.scales) - self.config.expected:
            return values
        return torch.where(temperature <= 0, quantizer.expected(logits), values)


@final
class Artalk(nn.Module):
    """Speech, style and past motion → the next window of motion. The codec is given and stays as it is."""

    def __init__(self, config: ArtalkConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = Codec(config.codec).requires_grad_(False)
        self.speech = choice.speech(config.speech, float(config.codec.rate))
        self.style = Style(config.style, len(config.codec.space))
        self.trunks = nn.ModuleDict(
            {name: Trunk(trunk, config, self.codec.stream(name)) for name, trunk in config.trunks.items()}
        )

    @property
    def window_samples(self) -> int:
        """Samples of sound that one window lasts."""
        return self.config.codec.window * self.speech.hop

    @property
    def step_samples(self) -> int:
        """Samples of sound that one step needs: its window and the look-ahead."""
        return self.window_samples + self.config.speech.lookahead * self.speech.hop

    def trunk(self, name: str) -> Trunk:
        """The trunk of a stream."""
        return cast(Trunk, self.trunks[name])

    def train(self, mode: bool = True) -> "Artalk":
        """Set training mode for everything but the codec."""
        super().train(mode)
        self.codec.eval()
        return self

    def forward(
        self, levels: Mapping[str, Levels], features: Tensor, hears: Tensor, style: Tensor, known: Tensor
    ) -> dict[str, Predicted]:
        """Each trunk's prediction of the codes of all windows, from those before them.

        `known` (batch, windows, config.known); the rest as in `Trunk.forward`.
        """
        return {
            name: self.trunk(name)(level, features, hears, style, _newest(known, self.trunk(name).config.past))
            for name, level in levels.items()
        }

    def losses(
        self, batch: Batch, rng: torch.Generator | None = None, rig: LinearRig | None = None
    ) -> dict[str, Tensor]:
        """The losses by name, unweighted, and `total`; `hits.*` (bits or codes guessed right) are for showing.

        The losses `lips` and `gap` are taken on a `rig`; raises `BadInput` where they count and there is none. Chance
        comes from `rng` alone; in eval mode nothing is corrupted or withheld.
        """
        if batch.sound is None:
            raise BadInput("a generator learns from motion with its sound, the batch has no sound")
        rig = seen_on(rig, self.config.weights)
        latents = self._latents(batch)
        levels = self._levels(latents, rng)
        heard = choice.listen(self.speech, batch)
        features = self.codec.windows(heard)
        count, windows = features.shape[:2]
        keep = self._keep(count, batch.motion.device, rng)
        known = all_known(count, windows, self.config.known, features.device) & keep["past"][:, None, None]
        style, contrast = self.styles(batch, rng)
        follows = keep["style"] if batch.style_id is None else keep["style"] | (batch.style_id < 0)
        style = torch.where(follows[:, None], style, self.style.null)
        hears = keep["sound"].float()
        if self.training and self.config.spoiling.own:
            levels |= self._own(latents, levels, features, hears, style, known, rng)
        predicted = self(levels, features, hears, style, known)
        losses = self._code_losses(batch, levels, predicted)
        losses |= self._motion_losses(batch, levels, predicted, rig)
        if contrast is not None:
            losses["contrast"] = contrast
        if batch.phones is not None and self.config.speech.phones:
            losses["phones"] = _phone_loss(self.speech.phone_logits(heard), batch.phones)
        weights = vars(self.config.weights)
        counted = {name: value for name, value in losses.items() if name in weights}
        losses["total"] = torch.stack([value * weights[name] for name, value in counted.items()]).sum()
        return losses

    def begin(self, batch: int = 1, branches: int = 1) -> State:
        """The state before the first window of `batch` speakers: by name, all that a window hands to the next."""
        device = self.codec.mean.device
        state = self.speech.begin(batch) | {"known": torch.zeros(batch, self.config.known, device=device)}
        for name in self.trunks:
            decoder = self.codec.stream(name).decoder.empty(batch, device)
            memory = self.trunk(name).stack.empty(batch * branches, device)
            if decoder is not None:
                state[f"decoder.{name}"] = decoder
            if memory is not None:
                state[f"memory.{name}"] = unfold(memory, batch, branches)
        return state

    def noise(self, batch: int = 1, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """The uniform numbers (batch, tokens, noise) that each stream of one window is drawn with."""
        device = self.codec.mean.device
        shapes = self.noise_shapes().items()
        return {name: torch.rand(batch, *shape, generator=rng, device=device) for name, shape in shapes}

    def noise_shapes(self) -> dict[str, tuple[int, int]]:
        """(tokens, noise) of each stream."""
        streams = {name: self.codec.stream(name) for name in self.trunks}
        return {name: (stream.pyramid.tokens, stream.quantizer.noise) for name, stream in streams.items()}

    def steer(
        self,
        batch: int = 1,
        style: Tensor | None = None,
        style_guidance: float | None = None,
        sound_guidance: float = 1.0,
        temperature: Mapping[str, float] | None = None,
        top_p: Mapping[str, float] | None = None,
    ) -> Steering:
        """Steering of a whole batch by `style` (batch, size) or none; see `generators.exported.branches`."""
        null = self.style.null.detach().expand(batch, -1)
        guidance = self.config.style_guidance if style_guidance is None else style_guidance
        table = branches(guidance if style is not None else 1.0, sound_guidance)
        picked = torch.stack([null if style is None or not follows else style for follows, _, _ in table], dim=1)
        trunks = self.config.trunks
        warm = [(temperature or {}).get(name, trunk.temperature) for name, trunk in trunks.items()]
        nucleus = [(top_p or {}).get(name, trunk.top_p) for name, trunk in trunks.items()]
        rows = {
            "hears": [float(hears) for _, hears, _ in table],
            "mix": [share for _, _, share in table],
            "temperature": warm,
            "top_p": nucleus,
        }
        return Steering(picked, **{key: null.new_tensor(row).expand(batch, -1) for key, row in rows.items()})

    def step(
        self, state: State, sound: Tensor, noise: Mapping[str, Tensor], steering: Steering
    ) -> tuple[Tensor, Tensor | None, State]:
        """The next window: (batch, window, channels) motion in real units, what was `spoken`, and the next state.

        `sound` (batch, (window + lookahead) · hop). The same numbers give the same motion.
        """
        motion, spoken, news = self.window(state, sound, noise, steering)
        # Of memories only the newest tokens are made.
        shorter = {name for name, new in news.items() if new.shape != state[name].shape}
        return motion, spoken, {n: slid(state[n], new) if n in shorter else new for n, new in news.items()}

    def window(
        self, state: State, sound: Tensor, noise: Mapping[str, Tensor], steering: Steering
    ) -> tuple[Tensor, Tensor | None, State]:
        """`step`, but of memories no more than the tokens that are to be put at their end (`transformer.slid`)."""
        features, heard = self.speech.step(state, sound)
        known = torch.cat([state["known"][:, 1:], torch.ones_like(state["known"][:, :1])], dim=1)
        after = heard | {"known": known}
        known = state["known"] > 0.5
        parts: dict[str, Tensor] = {}
        for index, name in enumerate(self.trunks):
            trunk, stream = self.trunk(name), self.codec.stream(name)
            made = trunk.step(
                stream.pyramid,
                features,
                steering,
                index,
                state.get(f"memory.{name}"),
                _newest(known, trunk.config.past),
                noise[name],
            )
            past = _newest(known, self.config.codec.past)
            decoded, decoder = stream.decode_next(made.total, state.get(f"decoder.{name}"), past)
            kept = {f"memory.{name}": made.memory, f"decoder.{name}": decoder}
            after |= {key: value for key, value in kept.items() if value is not None}
            blend = trunk.config.blend
            parts[name] = decoded if not blend else (1 - blend) * decoded + blend * made.motion
        return self.codec.real(self.codec.join(parts)), self.spoken(features), after

    @property
    def knows_speech(self) -> bool:
        """Whether it has learnt to tell phones, of which silence is one."""
        return bool(self.config.speech.phones)

    def spoken(self, features: Tensor) -> Tensor | None:
        """(batch, frames) how surely somebody speaks, 0 to 1, by the phone objective; None of a model without one."""
        if not self.knows_speech:
            return None
        silent = self.speech.phone_logits(features).softmax(dim=-1)[..., 0]
        return 1 - silent.reshape(features.shape[0], -1, FEATURES).mean(dim=-1)

    @torch.no_grad()
    def generate(self, sound: Tensor, steering: Steering, rng: torch.Generator | None = None) -> Tensor:
        """(batch, windows · window, channels) motion for `sound` (batch, samples), padded with silence to windows."""
        windows = -(-sound.shape[1] // self.window_samples)
        padded = F.pad(sound, (0, (windows - 1) * self.window_samples + self.step_samples - sound.shape[1]))
        state = self.begin(len(sound), steering.style.shape[1])
        made: list[Tensor] = []
        for k in range(windows):
            piece = padded[:, k * self.window_samples :][:, : self.step_samples]
            motion, _, state = self.step(state, piece, self.noise(len(sound), rng), steering)
            made.append(motion)
        return torch.cat(made, dim=1) if made else sound.new_zeros(len(sound), 0, len(self.codec.mean))

    def styles(self, batch: Batch, rng: torch.Generator | None = None) -> tuple[Tensor, Tensor | None]:
        """(batch, size) styles of the batch's style clips (none: the null style), and the contrast loss."""
        if batch.style_clip is None:
            return self.style.null.expand(len(batch.motion), -1), None
        # Half of the time nothing is said of what was observed: a user's clip does not say it, and a source is not to
        # be told by what it lacks.
        clip = self.codec.normalise(batch.style_clip) * batch.observed[:, None]
        half = 0.5 if self.training else 1.0
        told = torch.rand(len(clip), 1, generator=rng, device=clip.device) < half
        style = self.style(clip, torch.where(told, batch.observed, 1.0), batch.style_frames)
        if batch.style_id is None or batch.motion.shape[1] < self.config.style.least:
            return style, None
        other = self.style(self.codec.normalise(batch.motion), batch.observed)
        return style, self.style.contrast(style, other, batch.style_id)

    @torch.no_grad()
    def _latents(self, batch: Batch) -> dict[str, Tensor]:
        # The targets must be those that the codec was trained to give, whatever the trunks are trained in.
        with exact(batch.motion.device):
            return self.codec.latents(batch.motion, batch.observed)

    @torch.no_grad()
    def _levels(self, latents: Mapping[str, Tensor], rng: torch.Generator | None) -> dict[str, Levels]:
        ratio = None
        if self.training and self.config.spoiling.bits:
            one = next(iter(latents.values()))
            shape, device = (*one.shape[:2], len(self.config.codec.scales)), one.device
            ratio = {
                name: torch.rand(shape, generator=rng, device=device) * self.config.spoiling.bits
                for name in self.trunks
            }
        return self.codec.quantise(latents, ratio, rng)

    @torch.no_grad()
    def _own(
        self,
        latents: Mapping[str, Tensor],
        levels: Mapping[str, Levels],
        features: Tensor,
        hears: Tensor,
        style: Tensor,
        known: Tensor,
        rng: torch.Generator | None,
    ) -> dict[str, Levels]:
        """Levels of streams that are not drawn, some rows of which follow the model's own past and coarse scales."""
        chosen = torch.rand(len(features), generator=rng, device=features.device) < self.config.spoiling.own
        mixed: dict[str, Levels] = {}
        with exact(features.device):
            for name, given in levels.items():
                trunk, pyramid = self.trunk(name), self.codec.stream(name).pyramid
                if trunk.config.temperature:
                    continue
                past = _newest(known, trunk.config.past)
                done = trunk.perform(pyramid, features.float(), hears, style.float(), past)
                mixed[name] = _picked(chosen, pyramid.encode(latents[name], done=done), given)
        return mixed

    def _keep(self, count: int, device: torch.device, rng: torch.Generator | None) -> dict[str, Tensor]:
        """(batch,) true where sound, style and past are given."""
        spoiling = self.config.spoiling
        chances = {"sound": spoiling.sound, "style": spoiling.style, "past": spoiling.past}
        if not self.training:
            chances = dict.fromkeys(chances, 0.0)
        return {name: torch.rand(count, generator=rng, device=device) >= chance for name, chance in chances.items()}

    def _code_losses(
        self, batch: Batch, levels: Mapping[str, Levels], predicted: Mapping[str, Predicted]
    ) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        sums: list[Tensor] = []
        for name, level in levels.items():
            stream = self.codec.stream(name)
            weight = self._stream_weight(batch, stream)[:, None, None]
            parts = torch.split(predicted[name].logits, list(self.config.codec.scales), dim=-2)
            pairs = list(zip(parts, level.codes, strict=True))
            entropy = torch.cat([stream.quantizer.cross_entropy(logits, codes) for logits, codes in pairs], dim=-1)
            sums.append(masked_mean(entropy, weight))
            losses[f"codes.{name}"] = sums[-1].detach()
            losses[f"hits.{name}"] = masked_mean(_hits(stream, pairs), weight)
        losses["codes"] = torch.stack(sums).mean()
        return losses

    def _stream_weight(self, batch: Batch, stream: StreamCodec) -> Tensor:
        """(batch,): 0 where too little of the stream was observed for its codes to mean anything."""
        share = batch.observed[:, stream.columns].mean(dim=1)
        weight = torch.ones_like(share) if batch.weight is None else batch.weight
        return weight * (share >= self.config.least_observed)

    def _motion_losses(
        self, batch: Batch, levels: Mapping[str, Levels], predicted: Mapping[str, Predicted], rig: LinearRig | None
    ) -> dict[str, Tensor]:
        weights = self.config.weights
        true = self.codec.normalise(batch.motion)
        mask = batch.observed[:, None]
        if batch.weight is not None:
            mask = mask * batch.weight[:, None, None]
        if weights.phonetic:
            mask = mask * phonetic_weight(true * batch.observed[:, None], weights.phonetic)[..., None]
        losses: dict[str, Tensor] = {}
        made: dict[str, Tensor] = {}
        if weights.regression:
            made["regression"] = self.codec.join({n: part.motion for n, part in predicted.items()}).flatten(1, 2)
        if weights.decoded:
            made["decoded"] = self.codec.decode(self._expected(levels, predicted))
        for name, motion in made.items():
            error = motion - true
            losses[name] = masked_mean(huber(error, weights.huber), mask)
            step = masked_mean((error[:, 1:] - error[:, :-1]).square(), mask.expand_as(error)[:, 1:])
            losses["velocity"] = losses.get("velocity", torch.zeros_like(step)) + step
            if rig is not None:
                moved = error * self.codec.deviation * batch.observed[:, None]
                for part, value in lip_losses(rig, moved, batch.motion * batch.observed[:, None], mask).items():
                    losses[part] = losses.get(part, torch.zeros_like(value)) + value
        return losses

    def _expected(self, levels: Mapping[str, Levels], predicted: Mapping[str, Predicted]) -> dict[str, Tensor]:
        """Sums of what the coarse scales add and the expected codes of the finest, as `step` decodes at 0.

        A stream without expected scales is drawn: pulled towards its mean, it would lose what chance gives it.
        """
        totals: dict[str, Tensor] = {}
        for name, level in levels.items():
            stream = self.codec.stream(name)
            soft = len(level.codes) - self.trunk(name).config.expected
            logits = torch.split(predicted[name].logits, list(self.config.codec.scales), dim=-2)
            parts = [
                values if i < soft else stream.quantizer.expected(logits[i]) for i, values in enumerate(level.values)
            ]
            totals[name] = torch.stack([stream.pyramid.part(part, i) for i, part in enumerate(parts)]).sum(dim=0)
        return totals


def seen_on(rig: LinearRig | None, weights: ArtalkWeights) -> LinearRig | None:
    """The rig that the losses `lips` and `gap` are measured on: None where they count nothing."""
    if not (weights.lips or weights.gap):
        return None
    if rig is None:
        raise BadInput("lips and gap are distances on a face: give losses() a rig, or let both weights be 0")
    return rig


def _newest(known: Tensor, past: int) -> Tensor:
    """The last `past` columns of `known`, whose oldest windows come first."""
    return known[..., known.shape[-1] - past :]


def _hits(stream: StreamCodec, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """(batch, windows, tokens) share of each token's decisions that the likeliest code gets right."""
    shares: list[Tensor] = []
    for logits, codes in pairs:
        cold = logits.new_zeros(1, 1, 1, 1)
        noise = logits.new_zeros(*logits.shape[:-1], stream.quantizer.noise)
        right = (stream.quantizer.choose(logits.detach(), noise, cold, cold + 1) == codes).float()
        shares.append(right.mean(dim=-1) if right.ndim > logits.ndim - 1 else right)
    return torch.cat(shares, dim=-1)


def _picked(rows: Tensor, these: Levels, those: Levels) -> Levels:
    """Of the chosen `rows` (batch,) `these`, else `those`."""

    def pick(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(rows.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    codes = [pick(a, b) for a, b in zip(these.codes, those.codes, strict=True)]
    inputs = [pick(a, b) for a, b in zip(these.inputs, those.inputs, strict=True)]
    values = [pick(a, b) for a, b in zip(these.values, those.values, strict=True)]
    return Levels(codes, inputs, values, pick(these.total, those.total), those.losses)


def _phone_loss(logits: Tensor, phones: Tensor) -> Tensor:
    """Cross-entropy of each half frame whose phone is known."""
    known = phones >= 0
    entropy = F.cross_entropy(logits.transpose(1, 2), phones.clamp(min=0), reduction="none")
    return masked_mean(entropy, known.float())
