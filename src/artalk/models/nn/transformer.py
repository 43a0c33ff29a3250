"""The transformer that every model here is made of: rotary times, cosine attention, adaptive normalisation, memory.

A *window* is a run of tokens that is worked on at once; what later windows may see of it is its *memory*: the keys and
values of its finished content, computed once (`WindowStack`).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artalk.errors import BadInput
from artalk.models.nn import fused


def check_heads(width: int, heads: int) -> None:
    """Raise `BadInput` where a width is not shared out evenly to heads, whose numbers turn in pairs."""
    if heads < 1 or width < 1 or width % (2 * heads):
        raise BadInput(f"a width is a multiple of twice the heads, got width {width} and {heads} heads")


def turns(times: Tensor, head_width: int, longest: float) -> Tensor:
    """(2, tokens, head_width): cosines and sines of rotary positions (Su et al. 2021, RoFormer, eq. 34).

    `times` (tokens,) are real times, not indices: tokens of different scales meet at the same clock. Periods run
    from 4 units to four times `longest`, in `times`' own unit.
    """
    periods = torch.logspace(math.log10(4.0), math.log10(4.0 * longest), head_width // 2, dtype=torch.float64)
    angles = (times.double()[:, None] * (2 * math.pi / periods)).repeat(1, 2)
    return torch.stack([angles.cos(), angles.sin()]).float()


def turn(x: Tensor, by: Tensor) -> Tensor:
    """Rotate `x` (..., tokens, head_width) by `by` of `turns`; lengths stay."""
    if torch.compiler.is_exporting():
        return fused.turn(x, by)
    a, b = x.chunk(2, dim=-1)
    return x * by[0] + torch.cat([-b, a], dim=-1) * by[1]


def unfold(x: Tensor, *sizes: int) -> Tensor:
    """The first axis of `x` as several of `sizes`."""
    return x.reshape(*sizes, *x.shape[1:])


BARRED = -1e5
"""What is added to the score of what must not be seen."""


def bias(allowed: Tensor) -> Tensor:
    """What attention adds to its scores: 0 where a token may look, so little elsewhere that nothing comes through."""
    return (1 - allowed.float()) * BARRED


class Keys(NamedTuple):
    """What attention looks things up in: `keys` and `values` (batch, heads, tokens, head_width)."""

    keys: Tensor
    values: Tensor

    def then(self, later: "Keys") -> "Keys":
        """These tokens, followed by `later`."""
        return Keys(torch.cat([self.keys, later.keys], dim=-2), torch.cat([self.values, later.values], dim=-2))


class Context(NamedTuple):
    """What a token looks at: the `memory` of earlier windows, and tokens of its `own` window.

    They stay apart, as joining them would copy the memory, which is most of what a small window's step moves.
    """

    memory: Keys | None = None
    own: Keys | None = None

    def then(self, later: Keys) -> "Context":
        """This, and `later` tokens of the same window."""
        return self._replace(own=later if self.own is None else self.own.then(later))

    @property
    def parts(self) -> list[Keys]:
        """Those that there are, in their order."""
        return [part for part in self if part is not None]


NOTHING = Context()


class Band(NamedTuple):
    """Attention that sees tokens at most `back` before and `ahead` after itself, and costs what they cost."""

    back: int
    ahead: int


class Seen(NamedTuple):
    """Keys of tokens: `raw` without their times, `turned` with them."""

    raw: Keys
    turned: Keys


def stored(seen: Sequence[Seen]) -> Tensor:
    """(batch, 2 · depth · heads, tokens, head_width) of what each block has seen: all their raw keys, then all their
    values."""
    return torch.cat([*(own.raw.keys for own in seen), *(own.raw.values for own in seen)], dim=1)


def recalled(memory: Tensor, times: Tensor, depth: int) -> list[Context]:
    """What each of `depth` blocks sees of what was `stored` (batch, …), put at its `times`."""
    # Cut once and turned at once: what is large is gone through as seldom as can be.
    heads = memory.shape[1] // (2 * depth)
    keys, *values = torch.split(memory, [depth * heads] + [heads] * depth, dim=1)
    pairs = zip(turn(keys, times).chunk(depth, dim=1), values, strict=True)
    return [Context(Keys(*pair)) for pair in pairs]


def slid(memory: Tensor, new: Tensor) -> Tensor:
    """A memory (…, tokens, head_width) with `new` tokens at its end; as many of the oldest are forgotten."""
    return torch.cat([memory[..., new.shape[-2] :, :], new], dim=-2)


Modulation = Sequence[Tensor]
"""What a condition does to a block: two shifts, two scales, two gates."""


class Block(nn.Module):
    """Attention and MLP, pre-normalised; with a condition both are scaled, shifted and gated by it, token by token.

    Queries and keys have length 1 and a learned sharpness a head (cosine attention, as in VAR and the released ARTalk),
    which keeps half precision safe. Adaptive normalisation as in DiT (Peebles & Xie 2023): `condition` is its width.
    """

    def __init__(self, width: int, heads: int, condition: int = 0, expansion: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.head_width = heads, width // heads
        self.dropout = dropout
        adaptive = condition > 0
        self.attend_norm = nn.LayerNorm(width, elementwise_affine=not adaptive)
        self.think_norm = nn.LayerNorm(width, elementwise_affine=not adaptive)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.sharpness = nn.Parameter(torch.full((heads, 1, 1), math.log(8.0)))
        self.think = nn.Sequential(
            nn.Linear(width, expansion * width), nn.GELU(approximate="tanh"), nn.Linear(expansion * width, width)
        )
        self.modulate = nn.Linear(condition, 6 * width) if adaptive else None
        if self.modulate is not None:
            nn.init.normal_(self.modulate.weight, std=0.02)
            # Scales and gates are 1 at first, shifts 0.
            nn.init.zeros_(self.modulate.bias)
            self.modulate.bias.data[2 * width :] = 1.0

    def modulation(self, condition: Tensor) -> Modulation:
        """Each (…, tokens, width) of a condition (…, tokens, condition width)."""
        assert self.modulate is not None, "this block has no condition"
        return self.modulate(F.silu(condition)).chunk(6, dim=-1)

    def forward(
        self,
        x: Tensor,
        times: Tensor,
        bias: Tensor | Band | None = None,
        modulation: Modulation | None = None,
        before: Context = NOTHING,
    ) -> tuple[Tensor, Seen]:
        """Work on tokens `x` (batch, tokens, width) at `times` (of `turns`).

        `before` are turned keys that the tokens see in front of their own; `bias` (…, tokens, before + tokens) of the
        function of that name, or a band where there is nothing before. Returns the tokens and their own keys.
        `x` and `modulation` may also be laid together as (batch · tokens, …): a linear layer is then one operation of
        onnxruntime instead of two.
        """
        shift_a, shift_t, scale_a, scale_t, gate_a, gate_t = (None,) * 6 if modulation is None else modulation
        attended, own = self._attend(_shifted(self.attend_norm(x), shift_a, scale_a), times, bias, before)
        x = x + self._drop(attended if gate_a is None else attended * gate_a)
        thought = self.think(_shifted(self.think_norm(x), shift_t, scale_t))
        return x + self._drop(thought if gate_t is None else thought * gate_t), own

    def _attend(self, h: Tensor, times: Tensor, bias: Tensor | Band | None, before: Context) -> tuple[Tensor, Seen]:
        split = _heads_first(self.qkv(h), times.shape[-2], self.head_width)
        both, value = torch.split(split, [2 * self.heads, self.heads], dim=1)
        both = _unit(both)
        query, key = turn(both, times).chunk(2, dim=1)
        own = Seen(Keys(both[:, self.heads :], value), Keys(key, value))
        query = query * self.sharpness.clamp(max=math.log(100.0)).exp()
        mixed = _attention(query, before.then(own.turned), bias)
        return self.out(_tokens_first(mixed).reshape(h.shape)), own

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


def _heads_first(x: Tensor, tokens: int, head_width: int) -> Tensor:
    """(batch, heads, tokens, head_width) of `x` (…, heads · head_width)."""
    if tokens == 1:  # one operation less
        return x.reshape(-1, x.shape[-1] // head_width, 1, head_width)
    return x.reshape(-1, tokens, x.shape[-1] // head_width, head_width).transpose(1, 2)


def _tokens_first(x: Tensor) -> Tensor:
    """The tokens of `x` (batch, heads, tokens, head_width) before its heads, or the same numbers where there is one."""
    return x if x.shape[-2] == 1 else x.transpose(1, 2)


def _shifted(h: Tensor, shift: Tensor | None, scale: Tensor | None) -> Tensor:
    return h if shift is None or scale is None else h * scale + shift


def _unit(x: Tensor) -> Tensor:
    """`x` (…, width) at length 1."""
    if torch.compiler.is_exporting():
        return fused.unit(x, 1e-6)
    return x * torch.rsqrt((x * x).sum(dim=-1, keepdim=True) + 1e-6)


def _attention(query: Tensor, seen: Context, bias: Tensor | Band | None) -> Tensor:
    parts = seen.parts
    if isinstance(bias, Band):
        (own,) = parts
        return _banded(query, own, bias)
    half = torch.is_autocast_enabled(query.device.type)
    if not half and not torch.compiler.is_exporting():
        keys, values = (_joined(list(kind), dim=-2) for kind in zip(*parts, strict=True))
        return F.scaled_dot_product_attention(query, keys, values, attn_mask=bias, scale=1.0)
    # The exporter makes a fifth of the nodes of this, and on a CPU in bfloat16 its backward takes a third of the time.
    return _plain(query, parts, bias)


def _plain(query: Tensor, parts: list[Keys], bias: Tensor | None) -> Tensor:
    scores = _joined([query @ part.keys.transpose(-1, -2) for part in parts], dim=-1)
    weights = torch.softmax(scores if bias is None else scores + bias, dim=-1)
    if len(parts) == 1:
        return weights @ parts[0].values
    shares = torch.split(weights, [part.keys.shape[-2] for part in parts], dim=-1)
    first, *others = (share @ part.values for share, part in zip(shares, parts, strict=True))
    return sum(others, first)


def _joined(parts: list[Tensor], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=dim)


def _banded(query: Tensor, seen: Keys, near: Band) -> Tensor:
    """Attention in pieces: each piece of queries looks at its own keys, the end of those before, the start of those
    after."""
    tokens = query.shape[-2]
    size = max(*near, 1)
    pieces = -(-tokens // size)

    def cut(x: Tensor, before: int, after: int) -> Tensor:
        """(…, pieces + before + after, size, head_width) with empty pieces at the ends."""
        padded = F.pad(x, (0, 0, before * size, (pieces + after) * size - tokens))
        return padded.reshape(*x.shape[:-2], pieces + before + after, size, x.shape[-1])

    def around(x: Tensor) -> Tensor:
        row = cut(x, 1, 1)
        ends = row[..., :-2, size - near.back :, :], row[..., 1:-1, :, :], row[..., 2:, : near.ahead, :]
        return torch.cat(ends, dim=-2)

    clock = torch.arange(pieces * size, device=query.device).reshape(pieces, size, 1)
    other = clock[:, :1] + torch.arange(-near.back, size + near.ahead, device=query.device)
    distance = other - clock
    allowed = (distance >= -near.back) & (distance <= near.ahead) & (other >= 0) & (other < tokens)
    mixed = _plain(cut(query, 0, 0), [Keys(around(seen.keys), around(seen.values))], bias(allowed))
    return mixed.flatten(-3, -2)[..., :tokens, :]


def blocks(width: int, heads: int, depth: int, condition: int = 0, dropout: float = 0.0) -> nn.ModuleList:
    """`depth` blocks whose outputs start small enough that the sum of all keeps its size (GPT-2's initialisation)."""
    stack = nn.ModuleList(Block(width, heads, condition, dropout=dropout) for _ in range(depth))
    for block in stack:
        for last in (cast(Block, block).out, cast(nn.Linear, cast(Block, block).think[2])):
            nn.init.normal_(last.weight, std=0.02 / math.sqrt(2 * depth))
            nn.init.zeros_(last.bias)
    return stack


def causal_blocks(sizes: tuple[int, ...]) -> Tensor:
    """(tokens, tokens): true where a token sees its own block and those before (VAR's block-causal mask)."""
    block = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return block[:, None] >= block[None]


class WindowStack(nn.Module):
    """Blocks over windows that follow one another: a window sees itself and the memory of `past` windows before it.

    The memory of a window comes from its finished content alone (it looks at no other window), so that training on
    `past` + 1 windows is the same as running for ever, and so that it is computed once. Tensors of windows are
    (batch, windows, tokens, width); a memory, as `stored`, is (batch, 2 · depth · heads, past · memory tokens,
    head_width).
    """

    memory_turns: Tensor
    past_turns: Tensor

    def __init__(
        self,
        width: int,
        heads: int,
        depth: int,
        past: int,
        window: float,
        memory_times: Tensor,
        condition: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.blocks = blocks(width, heads, depth, condition, dropout)
        self.heads, self.head_width, self.depth, self.past = heads, width // heads, depth, past
        self.longest = window * (past + 1)
        self.memory_tokens = len(memory_times)
        past_times = [memory_times - window * back for back in range(past, 0, -1)]
        self.register_buffer("memory_turns", self.turns(memory_times), persistent=False)
        self.register_buffer("past_turns", self.turns(torch.cat([*past_times, memory_times[:0]])), persistent=False)

    def turns(self, times: Tensor) -> Tensor:
        """The rotary table of `times` (tokens,), in frames from the start of the window."""
        return turns(times, self.head_width, self.longest)

    def modulations(self, condition: Tensor | None) -> Sequence[Modulation | None]:
        """What a condition (…, tokens, condition width) does to each block."""
        if condition is None:
            return [None] * self.depth
        return [cast(Block, block).modulation(condition) for block in self.blocks]

    def runs(self, condition: Tensor, tokens: Sequence[int]) -> list[list[Modulation]]:
        """The same of runs of so many `tokens` each, the batch and the tokens of a run as one axis.

        One product for all blocks: a step of few tokens costs what there are operations in it.
        """
        layers = [cast(nn.Linear, cast(Block, block).modulate) for block in self.blocks]
        weight, bias = torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])
        made = unfold(F.linear(F.silu(condition).flatten(0, 1), weight, bias), *condition.shape[:2])
        parts = [run.flatten(0, 1).chunk(6 * self.depth, dim=-1) for run in torch.split(made, list(tokens), dim=1)]
        return [[part[6 * i : 6 * i + 6] for i in range(self.depth)] for part in parts]

    def forward(
        self,
        x: Tensor,
        times: Tensor,
        allowed: Tensor | None,
        content: Tensor,
        known: Tensor,
        condition: Tensor | None = None,
        content_condition: Tensor | None = None,
    ) -> Tensor:
        """All windows at once, as training does.

        `x` (batch, windows, tokens, width) are worked on at `times`; `allowed` (tokens, tokens) is true where they may
        look at one another; `content` (batch, windows, memory tokens, width) is what later windows will remember;
        `known` (batch, windows, past) is false where there is no such window (the oldest first).
        """
        batch, windows, tokens, width = x.shape
        x, content = x.flatten(0, 1), content.flatten(0, 1)
        own = self.modulations(None if condition is None else condition.flatten(0, 1))
        their = self.modulations(None if content_condition is None else content_condition.flatten(0, 1))
        bias = self.bias(known.flatten(0, 1), tokens, allowed)
        for i, block in enumerate(self.blocks):
            before = NOTHING
            if self.past:
                content, made = block(content, self.memory_turns, None, their[i])
                keys, values = (self._earlier(t, batch, windows) for t in cast(Seen, made).raw)
                before = Context(Keys(turn(keys, self.past_turns), values))
            x, _ = block(x, times, bias, own[i], before)
        return x.reshape(batch, windows, tokens, width)

    def bias(self, known: Tensor, seen: int, allowed: Tensor | None = None) -> Tensor | None:
        """(batch, 1, tokens or 1, past · memory tokens + seen) from `known` (batch, past), `allowed` (tokens, seen)."""
        if not self.past:
            return None if allowed is None else bias(allowed)
        past = bias(known).repeat_interleave(self.memory_tokens, dim=1)[:, None, None, :]
        own = past.new_zeros(1, seen) if allowed is None else bias(allowed)
        rows = own.shape[0]
        return torch.cat(
            [past.expand(-1, 1, rows, self.past * self.memory_tokens), own.expand(past.shape[0], 1, rows, seen)], dim=-1
        )

    def empty(self, batch: int, device: torch.device | None = None) -> Tensor | None:
        """The memory before the first window (a stack that sees no past has none: None)."""
        if not self.past:
            return None
        tokens = self.past * self.memory_tokens
        return torch.zeros(batch, 2 * self.depth * self.heads, tokens, self.head_width, device=device)

    def recall(self, memory: Tensor | None) -> list[Context]:
        """What each block sees of the windows before, put at its times."""
        return [NOTHING] * self.depth if memory is None else recalled(memory, self.past_turns, self.depth)

    def extend(
        self,
        x: Tensor,
        times: Tensor,
        bias: Tensor | None,
        before: list[Context],
        modulations: Sequence[Modulation | None],
    ) -> tuple[Tensor, list[Context]]:
        """More tokens `x` (batch, tokens, width) of the present window; returns them and what the next ones see.

        `modulations` are those of a run.
        """
        made, seen = self._pass(x, times, bias, before, modulations)
        return made, [context.then(own.turned) for context, own in zip(before, seen, strict=True)]

    def remember(self, content: Tensor, modulations: Sequence[Modulation | None]) -> Tensor | None:
        """What is to be remembered, as `stored`, of a window's finished `content` (batch, memory tokens, width)."""
        if not self.past:
            return None
        _, seen = self._pass(content, self.memory_turns, None, [NOTHING] * self.depth, modulations)
        return stored(seen)

    def follow(self, x: Tensor, times: Tensor, memory: Tensor | None, known: Tensor) -> tuple[Tensor, Tensor | None]:
        """`extend` and `remember` at once, of a window `x` whose content is `x` itself, without a condition."""
        tokens, none = x.shape[1], [None] * self.depth
        if memory is None:
            return self._pass(x, times, None, self.recall(memory), none)[0], None
        # Side by side in one pass: the upper half sees the past and itself, the lower half, the content, itself alone.
        halves = torch.arange(2, device=x.device).repeat_interleave(tokens)
        bias = self.bias(known, 2 * tokens, halves[:, None] == halves[None])
        blind = torch.zeros(2 * tokens, memory.shape[-2] + 2 * tokens, device=x.device)
        blind[tokens:, : memory.shape[-2]] = BARRED
        both = torch.cat([times, self.memory_turns], dim=-2)
        made, seen = self._pass(torch.cat([x, x], dim=1), both, cast(Tensor, bias) + blind, self.recall(memory), none)
        return made[:, :tokens], stored(seen)[..., tokens:, :]

    def _pass(
        self,
        x: Tensor,
        times: Tensor,
        bias: Tensor | None,
        before: list[Context],
        modulations: Sequence[Modulation | None],
    ) -> tuple[Tensor, list[Seen]]:
        seen: list[Seen] = []
        made = x.flatten(0, 1)
        for block, context, modulation in zip(self.blocks, before, modulations, strict=True):
            made, own = block(made, times, bias, modulation, context)
            seen.append(own)
        return made.reshape(x.shape), seen

    def _earlier(self, made: Tensor, batch: int, windows: int) -> Tensor:
        """(batch · windows, heads, past · tokens, head_width) of the windows before each; zeros where none was."""
        made = unfold(made, batch, windows)
        shifted = [F.pad(made, (0, 0) * 3 + (back, 0))[:, :windows] for back in range(self.past, 0, -1)]
        return torch.cat(shifted, dim=-2).flatten(0, 1)
