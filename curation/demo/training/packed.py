"""Many statements about one picture in one pass: the picture and the prompt are read once for all of them.

Statements stand one after another in rows. Each attends to what stands before it in its own request, and to nothing of
the others, so the result is that of one request a statement (a test compares both).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import LlavaConfig, LlavaForConditionalGeneration, PreTrainedTokenizerFast
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from curation.demo.training.tokens import NO, YES, verify_parts


@dataclass(frozen=True)
class Packed:
    """Statements about n pictures, s each, in r rows of t tokens a picture.

    ``prefix`` (p): the tokens of every request up to the statement, with the image's places. ``ids`` (n, r, t): what
    follows. ``owner`` (n, r, t): the number of the statement that a token belongs to, -1 for padding. ``offset``
    (n, r, t): a token's place in its statement. ``first`` (n, s): where in its picture's r * t tokens a statement
    begins; ``lengths`` (n, s) its tokens.
    """

    prefix: torch.Tensor
    ids: torch.Tensor
    owner: torch.Tensor
    offset: torch.Tensor
    first: torch.Tensor
    lengths: torch.Tensor

    def places(self, back: int) -> torch.Tensor:
        """Where the ``back``-th last token of each statement stands among its picture's tokens, (n, s)."""
        return self.first + self.lengths - back


def pack(prefix: Sequence[int], pictures: Sequence[Sequence[Sequence[int]]], pad: int) -> Packed:
    """``pictures``: the tokens of each picture's statements; as many statements for each."""
    longest = max(len(t) for statements in pictures for t in statements)
    width = max(longest, 64)
    placed = [_place([len(t) for t in statements], width) for statements in pictures]
    rows = 1 + max(first // width for firsts in placed for first in firsts)
    shape = (len(pictures), rows * width)
    ids, owner = torch.full(shape, pad), torch.full(shape, -1)
    offset = torch.zeros(shape, dtype=torch.long)
    for at, (statements, firsts) in enumerate(zip(pictures, placed, strict=True)):
        for number, (tokens, first) in enumerate(zip(statements, firsts, strict=True)):
            span = slice(first, first + len(tokens))
            ids[at, span] = torch.tensor(tokens)
            owner[at, span] = number
            offset[at, span] = torch.arange(len(tokens))
    lengths = torch.tensor([[len(t) for t in statements] for statements in pictures])
    grid = (len(pictures), rows, width)
    return Packed(
        torch.tensor(prefix), ids.view(grid), owner.view(grid), offset.view(grid), torch.tensor(placed), lengths
    )


def _place(lengths: Sequence[int], width: int) -> list[int]:
    """Where each begins in rows of ``width``: the longest first, each in the first row that has room."""
    left: list[int] = []
    found = [0] * len(lengths)
    for number in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        row = next((r for r, room in enumerate(left) if room >= lengths[number]), len(left))
        if row == len(left):
            left.append(width)
        found[number] = row * width + width - left[row]
        left[row] -= lengths[number]
    return found


def hidden(model: LlavaForConditionalGeneration, packed: Packed, seen: torch.Tensor) -> torch.Tensor:
    """The decoder's last hidden states of all tokens of the rows, (n, r * t, width). ``seen`` (n, patches, width of the
    tower) are the features of the pictures."""
    decoder: Any = model.model.language_model
    n, rows, t = packed.ids.shape
    p = len(packed.prefix)
    words = decoder.embed_tokens(packed.prefix).expand(n, -1, -1)
    projected = model.model.multi_modal_projector(seen)
    at = (packed.prefix == model.config.image_token_index).view(1, p, 1)
    before = words.to(projected.dtype).masked_scatter(at.expand_as(words), projected)
    after = decoder.embed_tokens(packed.ids).to(projected.dtype).view(n * rows, t, -1)
    ahead = decoder.rotary_emb(before, torch.arange(p).unsqueeze(0))
    behind = decoder.rotary_emb(after, (p + packed.offset).view(n * rows, t))
    owner = packed.owner.view(n * rows, 1, t)
    apart = (owner != owner.transpose(1, 2)) | torch.ones(t, t, dtype=torch.bool).triu(1)
    hide = torch.zeros(n * rows, 1, t, t).masked_fill_(apart.unsqueeze(1), float("-inf"))
    for number, layer in enumerate(decoder.layers):
        last = number == len(decoder.layers) - 1
        before, after = _layer(layer, before, after, (ahead, behind), hide, rows, last)
    states: torch.Tensor = decoder.norm(after)
    return states.view(n, rows * t, -1)


def _layer(
    layer: Any, before: torch.Tensor, after: torch.Tensor, turns: Any, hide: torch.Tensor, rows: int, last: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """One decoder layer: ``before`` (n, p, width) attends to itself, ``after`` (n * rows, t, width) to both. What the
    last layer makes of the prefix, nothing reads."""
    attention = layer.self_attn
    q0, k0, v0 = _heads(attention, layer.input_layernorm(before), turns[0])
    q1, k1, v1 = _heads(attention, layer.input_layernorm(after), turns[1])
    scale = 1 / math.sqrt(attention.head_dim)
    n, heads, p, size = q0.shape
    t = after.shape[1]
    # All rows of a picture side by side, against its prefix: (n, heads, rows * t, p).
    flat = (q1 * scale).view(n, rows, heads, t, size).transpose(1, 2).reshape(n, heads, rows * t, size)
    far = (flat @ k0.transpose(2, 3)).view(n, heads, rows, t, p).transpose(1, 2).reshape(-1, heads, t, p)
    near = (q1 * scale) @ k1.transpose(2, 3) + hide.to(q1.dtype)
    weights = torch.softmax(torch.cat([far, near], dim=-1), dim=-1)
    over = weights[..., :p].reshape(n, rows, heads, t, p).transpose(1, 2).reshape(n, heads, rows * t, p)
    read = (over @ v0).view(n, heads, rows, t, size).transpose(1, 2).reshape(-1, heads, t, size)
    after = after + attention.o_proj((read + weights[..., p:] @ v1).transpose(1, 2).flatten(2))
    after = after + layer.mlp(layer.post_attention_layernorm(after))
    if not last:
        causal = torch.full((p, p), float("-inf"), dtype=q0.dtype).triu(1)
        own = torch.softmax((q0 * scale) @ k0.transpose(2, 3) + causal, dim=-1) @ v0
        before = before + attention.o_proj(own.transpose(1, 2).flatten(2))
        before = before + layer.mlp(layer.post_attention_layernorm(before))
    return before, after


def _heads(attention: Any, states: torch.Tensor, turns: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    shape = (*states.shape[:2], -1, attention.head_dim)
    q, k, v = (getattr(attention, f"{name}_proj")(states).view(shape).transpose(1, 2) for name in "qkv")
    q, k = apply_rotary_pos_emb(q, k, *turns)
    return q.to(v.dtype), k.to(v.dtype), v


class Asker:
    """Turns statements into tokens as the chat template, the prompt and the processor would."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, config: LlavaConfig) -> None:
        self.tokenizer: Any = tokenizer
        before, after = verify_parts()
        image = [config.image_token_index] * config.image_seq_length
        self.prefix = [*self._ids("<s>USER: "), *image, *self._ids("\n" + before)]
        self.suffix = self._ids(after + "\nASSISTANT:")
        self.yes, self.no = self._one(YES), self._one(NO)
        self.end: int = self.tokenizer.eos_token_id
        self.pad: int = self.tokenizer.pad_token_id

    def tokens(self, statement: str) -> list[int]:
        return [*self._ids(statement), *self.suffix]

    def pack(self, asked: Sequence[Sequence[str]], answers: Sequence[bool] = ()) -> Packed:
        """``answers``: what stands behind the statements, in turn; nothing without it."""
        said = [[self.yes if a else self.no] for a in answers] or [[]]
        rows = [[[*self.tokens(s), *said[i % len(said)]] for i, s in enumerate(row)] for row in asked]
        return pack(self.prefix, rows, self.pad)

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return found

    def _one(self, word: str) -> int:
        (found,) = self._ids(word)
        return found


@torch.no_grad()
def leads(model: LlavaForConditionalGeneration, asker: Asker, packed: Packed, seen: torch.Tensor) -> torch.Tensor:
    """Logit of yes minus that of no for every statement, (n, s)."""
    logits = model.lm_head(states_at(hidden(model, packed, seen), packed.places(1))).float()
    lead: torch.Tensor = logits[..., asker.yes] - logits[..., asker.no]
    return lead


def states_at(states: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """The states (n, s, width) at these places (n, s)."""
    return states.gather(1, places.unsqueeze(2).expand(-1, -1, states.shape[2]))
