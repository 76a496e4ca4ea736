"""A caption with weighted subjects in the prompt syntax of Compel and of the web UIs, and as words in front.

Whatever a caption holds that its reader would take for syntax is escaped. Sources: Compel's prompt grammar
(``prompt_parser.py``), and the attention syntax of the web UIs for Stable Diffusion.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from curation.load.weighted import STRENGTH, Piece, Weighted, pieces

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
        weighed = " ".join(_weighing(part, piece.factor) for part in parts if part)
        out.append(f"{before}{weighed}{after}")
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


# Where a lone backslash goes, which these readers drop: it keeps apart what they would take for syntax. Sources:
# the prompt parser, extra networks and comments of the AUTOMATIC1111 web UI and of its forks (AND and BREAK, <lora:…>,
# #), and what ComfyUI and the wildcard extensions read before it ({a|b}, // and /*, embedding:…, __name__).
_RESERVED = re.compile(
    r"(?P<sign>[()\[\]\\{}|])|\b(?=AND\b|BREAK\b)(?P<word>.)|(?P<hash>#)|(?P<net><)(?=\w)"
    r"|(?P<colon>(?<=\bembedding):)|(?P<slash>/)(?=[/*])|(?P<line>_)(?=_)"
)
# At the end of a prompt, a colon and a number are the weight of the whole.
_WEIGHT_AT_END = re.compile(r":(?=\s*[+-]?[\d.]+\s*\Z)")
_HASH = "\uff03"  # no backslash saves the sign itself, behind which a line is a comment
_TOKEN = re.compile(
    rf"\\(?P<hash>{_HASH})|\\(?P<escaped>[()\[\]\\{{}}|])|(?P<lone>\\)|(?P<open>\()"
    r"|:(?P<factor>\d+(?:\.\d+)?)\)|(?P<other>.)",
    re.S,
)


def to_weighted(caption: str, subjects: Iterable[Weighted], strength: float = STRENGTH) -> str:
    """``(subject:1.25)``, the attention syntax of the web UIs; other characters of that syntax are escaped.

    Brackets and backslashes of the caption get a backslash. So do words such as AND and BREAK, inside of them:
    ``A\\ND``, for these readers drop a backslash that escapes nothing. A ``#`` becomes its wide form.
    """
    found = pieces(caption, subjects, strength)
    out = []
    for piece in found:
        text = _RESERVED.sub(_apart, piece.text)
        out.append(text if piece.factor == 1.0 else f"({text}:{_number(piece.factor)})")
    if found and found[-1].factor == 1.0:
        out[-1] = _WEIGHT_AT_END.sub(":\\\\", out[-1])
    return "".join(out)


def _apart(match: re.Match[str]) -> str:
    if match["sign"]:
        return "\\" + match["sign"]
    if match["hash"]:
        return "\\" + _HASH
    return "\\:" if match["colon"] else match.group() + "\\"


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
        elif match["hash"]:
            held += "#"
        elif not match["lone"]:
            held += match["escaped"] or match["other"]
    return found + ([Piece(held, 1.0)] if held else [])


# Words in front


Dialect = Literal["plain", "compel", "weighted"]


def to_prefixed(caption: str, subjects: Iterable[Weighted], dialect: Dialect = "plain") -> str:
    """``A photo of <subject>, <subject>. <caption>``, the heaviest first, each text once; without subjects the caption.

    ``dialect`` says who reads it: a tokenizer as it is ("plain"), Compel, or a web UI ("weighted"). For the last two,
    what they would take for syntax is escaped as in ``to_compel`` and ``to_weighted``.
    """
    text = _prefixed(caption, subjects)
    match dialect:
        case "plain":
            return text
        case "compel":
            return to_compel(text, ())
        case "weighted":
            return to_weighted(text, ())


def _prefixed(caption: str, subjects: Iterable[Weighted]) -> str:
    ordered = sorted(subjects, key=lambda s: (-s.weight, s.start))
    texts = dict.fromkeys(t for s in ordered if (t := caption[max(0, s.start) : s.end].strip()))
    if not texts:
        return caption
    named = ", ".join(texts)
    return f"A photo of {named}{'' if named.endswith('.') else '.'} {caption}"


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
