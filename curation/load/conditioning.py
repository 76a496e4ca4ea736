"""Weighted subjects as text conditioning: what training code imports, together with ``curation.loader``.

    from curation.conditioning import Weighted, token_weights

    subjects = [Weighted(s["start"], s["end"], s["weight"]) for s in sample["json"]["subjects"]]
    found = token_weights(caption, subjects, tokenizer)          # any fast tokenizer of transformers
    states = scaled(text_encoder(ids)[0], [found.weights])       # what the UNet attends to

A subject of weight w gets the factor 1 + strength * w; where subjects overlap, the greatest counts. Spans
are characters of the caption and are widened to whole words. Sources of the dialects: Compel's prompt
grammar (``prompt_parser.py``), and the attention syntax of the web UIs for Stable Diffusion.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

LENGTH = 77  # tokens that CLIP's text tower takes, start and end included
STRENGTH = 0.5
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Weighted:
    """A subject: ``caption[start:end]`` with its weight, 0..1."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a caption with its factor; the pieces of a caption joined are the caption."""

    text: str
    factor: float


@dataclass(frozen=True, slots=True)
class TokenWeights:
    """A factor for each token, 1.0 for start, end, padding and unweighted ones; and the subjects beyond the cut."""

    weights: tuple[float, ...]
    beyond: tuple[Weighted, ...]


def pieces(caption: str, subjects: Iterable[Weighted], strength: float = STRENGTH) -> list[Piece]:
    """The caption cut where factors change. Subjects outside of it, or without a letter, count for nothing."""
    factors = [1.0] * len(caption)
    for subject in subjects:
        start, end = _whole_words(caption, subject.start, subject.end)
        factor = factor_of(subject.weight, strength)
        for at in range(start, end):
            factors[at] = max(factors[at], factor)
    found: list[Piece] = []
    start = 0
    for at in range(1, len(caption) + 1):
        if at == len(caption) or factors[at] != factors[start]:
            found.append(Piece(caption[start:at], factors[start]))
            start = at
    return found


def factor_of(weight: float, strength: float = STRENGTH) -> float:
    """What a subject's part of the conditioning is multiplied by, to three decimals; weights count from 0 to 1."""
    return round(1.0 + strength * min(1.0, max(0.0, weight)), _DECIMALS)


# Compel


_BLANK = re.compile(r"\s")
_SYNTAX = re.compile(r'[()"]')
_JOINED = re.compile(r"(?<=[^\s+-])(?=[+-]+(?:\W|$))")
_SLASHED = re.compile(r"(?<=\\)(?=[()\"])")
_SIGNS = re.compile(r"([+=]+|-{2,}|-(?!\w))")


def to_compel(caption: str, subjects: Iterable[Weighted], strength: float = STRENGTH) -> str:
    """``(subject)1.25`` in Compel's syntax; parentheses and double quotes of the caption are escaped.

    Compel wants blanks where a weighted part meets a word, around plus and minus signs at a word's end ("C ++"),
    and behind a backslash; they are put in. CLIP's tokenizer parts there anyway, save within a run of signs, so
    its tokens are the caption's. Plus and equals signs, two dashes, and a minus at a word's end stay unweighted:
    inside a weight Compel reads them as syntax, and where they are escaped, it leaves the backslash in the text.
    """
    out: list[str] = []
    # Of blanks, Compel knows those of ASCII.
    for piece in pieces(_BLANK.sub(" ", caption), subjects, strength):
        body, before, after = _stripped(piece.text)
        if piece.factor == 1.0 or not body:
            plain = _JOINED.sub(" ", _escaped(piece.text))
            if out and plain and _closed(out[-1]) and not plain[0].isspace() and plain[0] not in ",;:!?'’":
                out.append(" ")
            out.append(plain)
            continue
        if out and not before and not out[-1][-1:].isspace():
            out.append(" ")
        parts = [part.strip() for part in _SIGNS.split(body)]
        told = " ".join(_weighing(part, piece.factor) for part in parts if part)
        out.append(f"{before}{told}{after}")
    return "".join(out)


def _weighing(part: str, factor: float) -> str:
    """A weighted part in Compel's syntax; a sign as it is."""
    if _SIGNS.fullmatch(part):
        return part
    inside = _escaped(part)
    closed = f"{inside} " if inside.endswith("\\") else inside  # or it would escape the parenthesis
    return f"({closed}){_number(factor)}"


def _escaped(text: str) -> str:
    """With a blank behind a backslash of the caption's own, which Compel would take for an escape."""
    return _SYNTAX.sub(r"\\\g<0>", _SLASHED.sub(" ", text))


def _closed(text: str) -> bool:
    """Whether what follows would run into a weight or a sign."""
    return text[-1:].isdigit() or text[-1:] in "+=-"


def from_compel(text: str) -> list[Piece]:
    """The pieces that ``to_compel`` wrote, with Compel's own blanks in them."""
    found: list[Piece] = []
    at = 0
    for match in re.finditer(r"(?<!\\)\(((?:\\.|[^()\\]|\\)*?)(?<!\\)\)(\d+\.\d+)", text, re.S):
        found += _plain(text[at : match.start()])
        found.append(Piece(re.sub(r'\\([()"])', r"\1", match.group(1)), float(match.group(2))))
        at = match.end()
    return found + _plain(text[at:])


def _plain(text: str) -> list[Piece]:
    return [Piece(re.sub(r'\\([()"])', r"\1", text), 1.0)] if text else []


# The (text:1.2) dialect


_SPECIAL = re.compile(r"[()\[\]\\]")
_TOKEN = re.compile(r"\\(?P<escaped>[()\[\]\\])|(?P<open>\()|:(?P<factor>\d+(?:\.\d+)?)\)|(?P<other>.)", re.S)


def to_weighted(caption: str, subjects: Iterable[Weighted], strength: float = STRENGTH) -> str:
    """``(subject:1.25)``; parentheses, square brackets and backslashes of the caption are escaped."""
    out = []
    for piece in pieces(caption, subjects, strength):
        text = _SPECIAL.sub(r"\\\g<0>", piece.text)
        out.append(text if piece.factor == 1.0 else f"({text}:{_number(piece.factor)})")
    return "".join(out)


def from_weighted(text: str) -> list[Piece]:
    """The pieces that ``to_weighted`` wrote."""
    found: list[Piece] = []
    held = ""
    for match in _TOKEN.finditer(text):
        if match["open"]:
            found += [Piece(held, 1.0)] if held else []
            held = ""
        elif match["factor"]:
            found.append(Piece(held, float(match["factor"])))
            held = ""
        else:
            held += match["escaped"] or match["other"]
    return found + ([Piece(held, 1.0)] if held else [])


# Words in front


def to_prefixed(caption: str, subjects: Iterable[Weighted]) -> str:
    """``A photo of <subject>, <subject>. <caption>``, the weightiest first, each text once; else the caption."""
    ordered = sorted(subjects, key=lambda s: (-s.weight, s.start))
    texts = dict.fromkeys(t for s in ordered if (t := caption[max(0, s.start) : s.end].strip()))
    if not texts:
        return caption
    named = ", ".join(texts)
    return f"A photo of {named}{'' if named.endswith('.') else '.'} {caption}"


# Tokens


def token_weights(
    caption: str, subjects: Sequence[Weighted], tokenizer: Any, strength: float = STRENGTH, length: int = LENGTH
) -> TokenWeights:
    """A factor for each of the ``length`` tokens that a fast tokenizer of transformers makes of the caption.

    Raises ``ValueError`` for a slow tokenizer, which cannot say where its tokens stand.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError("a fast tokenizer is needed: load it with use_fast=True, or use one of the tokenizers library")
    told = tokenizer(caption, truncation=True, max_length=length, padding="max_length", return_offsets_mapping=True)
    offsets = [(int(a), int(b)) for a, b in told["offset_mapping"]]
    return weights_of(caption, offsets, subjects, strength)


def weights_of(
    caption: str, offsets: Sequence[tuple[int, int]], subjects: Sequence[Weighted], strength: float = STRENGTH
) -> TokenWeights:
    """The same from the tokens' places in the caption; tokens of no text (start, end, padding) stand at (n, n).

    A token that touches a subject is the subject's; the greatest factor counts. A subject is beyond the cut
    when a part of it with letters stands behind the last token.
    """
    spans = [(*_whole_words(caption, s.start, s.end), factor_of(s.weight, strength)) for s in subjects]
    last = max((end for start, end in offsets if end > start), default=0)
    weights = []
    for start, end in offsets:
        touching = [f for a, b, f in spans if a < b and start < end and a < end and start < b]
        weights.append(max(touching, default=1.0))
    beyond = tuple(
        s
        for s, (a, b, _) in zip(subjects, spans, strict=True)
        if a < b and any(c.isalnum() for c in caption[max(a, last) : b])
    )
    return TokenWeights(tuple(weights), beyond)


def scaled(states: Any, weights: Sequence[Sequence[float]]) -> Any:
    """A text encoder's last hidden states (batch, tokens, width), each token's multiplied by its factor.

    The states keep their mean over tokens and width, as the web UIs do it, so that weights shift attention
    without making the whole prompt louder. Needs torch tensors; ``weights`` is one row a prompt.
    """
    factors = states.new_tensor([list(row) for row in weights]).unsqueeze(-1)
    told = states * factors
    before, after = states.mean(dim=(1, 2), keepdim=True), told.mean(dim=(1, 2), keepdim=True)
    # Around a mean of zero the quotient says nothing; then the factors stand as they are.
    steady = after.abs() > 1e-3 * told.abs().mean(dim=(1, 2), keepdim=True)
    return told * (before / after.where(steady, states.new_ones(()))).where(steady, states.new_ones(()))


def _whole_words(caption: str, start: int, end: int) -> tuple[int, int]:
    """The span within the caption, from its first letter or digit to its last, widened to whole words.

    A full stop behind the last one stays, as in "U.S."; a span without letter or digit is empty.
    """
    start, end = max(0, start), min(len(caption), end)
    solid = [at for at in range(start, end) if caption[at].isalnum()]
    if not solid:
        return start, start
    stop, start, end = end, solid[0], solid[-1] + 1
    while end < len(caption) and _is_mark(caption[end]):
        end += 1
    if caption[end:stop].startswith("."):
        return _word_start(caption, start), end + 1
    while end < len(caption) and (caption[end].isalnum() or _is_mark(caption[end])):
        end += 1
    return _word_start(caption, start), end


def _word_start(caption: str, start: int) -> int:
    at = start
    while at > 0 and (caption[at - 1].isalnum() or _is_mark(caption[at - 1])):
        at -= 1
    while at < start and _is_mark(caption[at]):  # of a sign in front, as in an emoji
        at += 1
    return at


def _is_mark(character: str) -> bool:
    """Whether it is a part of the character before it: an accent of its own, a vowel sign."""
    return unicodedata.category(character).startswith("M")


def _stripped(text: str) -> tuple[str, str, str]:
    """The text without blanks at its ends, and these."""
    body = text.strip()
    if not body:
        return "", text, ""
    at = text.index(body)
    return body, text[:at], text[at + len(body) :]


def _number(factor: float) -> str:
    """With a point always: Compel takes a whole number in another way."""
    return f"{factor:.3f}".rstrip("0") + ("0" if f"{factor:.3f}".endswith("000") else "")
