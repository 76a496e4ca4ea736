"""Repairs wrong characters: control and invisible ones, byte-pair letters and mojibake.

What has one meaning is decoded; where text was lost, the finding rejects.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import ftfy
from ftfy.badness import is_bad

from curation.caption.check.faults.escapes import SIGN_BREAK, TERMINAL, invisible, note, replace, write_in
from curation.caption.check.finding import Finding

_JOINED_LATIN = re.compile(r"(?<=[A-Za-z .,])[\u200c\u200d]+|[\u200c\u200d]+(?=[A-Za-z .,])")
_SELECTOR = re.compile(r"(?<=[A-Za-z0-9.,;:!?\"' ])[\ufe00-\ufe0f]+")
# As Mac OS Roman and careless keyboards have it, and UTF-8 read as code page 437.
_OTHER_APOSTROPHE = re.compile(r"(?<=[a-z])(?:[Õ´`]|ΓÇÖ)(?=(?:s|t|re|ve|ll|d|m)\b)")
_STRUCK = re.compile("[\u0334-\u0338\u0488\u0489]+|(?<=[\u0300-\u036f][\u0300-\u036f])[\u0300-\u036f]+")
_FAR_STOP = re.compile(r"(?<=[A-Za-z0-9])[。、](?=\s?[A-Za-z]|\Z)")
_STYLED = re.compile("[\U0001d400-\U0001d7ff\ufb00-\ufb06\uff01-\uff5e\u24b6-\u24e9]")
_FAR_EAST = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # full-width signs belong to these

_LETTERS_OF_BYTES = re.compile("[\u00a1-\u0143]*[\u0100-\u0143][\u00a1-\u0143]*")

_STRONG_MOJIBAKE = re.compile(
    "â€|ΓÇ|‚Ä|ï¿½|Ã[\u0080-\u00bf©¨±³¼¶¤¢ª«®¯°´¸¹º»§£¡‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|Â[\u00a0-\u00bf]|ðŸ|вЂ|鈥|锟斤拷"
    "|â[\u0080-\u009f]|Ã¢"
    # Cyrillic that was read as Windows-1251: every other letter is one of two.
    "|(?:[РС][\u0400-\u04ff\u00a0-\u00bf\u2010-\u2122]){6}"
    # UTF-8 of any script that was read as Latin-1 or Windows-1252: leading bytes with bytes that follow them.
    "|(?:[Â-ô][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2122]{1,3}){3}"
)
_WEAK_MOJIBAKE = re.compile("[\u0080-\u009fÃÂâðÐÑœ™€ï]")


def decode(text: str) -> tuple[str, list[Finding]]:
    """The decoded text and the findings; a finding that rejects means lost text."""
    found: list[Finding] = []
    if not text.isascii():
        text = _foreign_bytes(text, found)
    if not (text.isascii() and text.isprintable()):
        text = _visible(text, found)
    plain = write_in(text, found)
    if plain != text and not plain.isascii():  # "gre&shy;en"
        plain = _visible(plain, found)
    return plain, found


def _visible(text: str, found: list[Finding]) -> str:
    """Removes terminal codes, control and invisible characters; U+FFFD marks lost text."""
    text = replace(TERMINAL, lambda _: "", text, found)
    bad = sorted(filter(invisible, set(text)))
    if bad:
        note(found, " ".join(f"U+{ord(c):04X}" for c in bad[:8]), rejects="\ufffd" in bad)
        text = "".join(" " if c in "\ufffd\x0b\x0c\x85" else "" if invisible(c) else c for c in text)
    text = replace(_JOINED_LATIN, lambda _: "", text, found)
    text = replace(_SELECTOR, lambda _: "", text, found)
    text = replace(SIGN_BREAK, lambda _: "\n", text, found)
    text = replace(_STRUCK, lambda _: "", text, found)
    if not _FAR_EAST.search(text):
        text = replace(_FAR_STOP, lambda m: ". " if m[0] == "。" else ", ", text, found)
    if _STYLED.search(text) and not _FAR_EAST.search(text):
        text = replace(_STYLED, lambda m: unicodedata.normalize("NFKC", m[0]), text, found)
    return text


def _foreign_bytes(text: str, found: list[Finding]) -> str:
    """UTF-8 that was read as another encoding, and bytes in the letters of a byte-pair vocabulary."""
    text = replace(_OTHER_APOSTROPHE, lambda _: "’", text, found)
    if any(c in text for c in ("Ġ", "Ċ", "▁", "âĢ")):
        text = _byte_pairs(text, found)
    if _WEAK_MOJIBAKE.search(text) is None and _STRONG_MOJIBAKE.search(text) is None:
        return text
    strong = _STRONG_MOJIBAKE.search(text)
    if strong is None and not is_bad(text):
        return text
    fixed = ftfy.fix_text(text, config=_CONFIG)
    passage = strong[0] if strong is not None else text[:20]
    if _STRONG_MOJIBAKE.search(fixed):
        note(found, passage, rejects=True)
    elif fixed != text:
        note(found, passage)
    return fixed


_CONFIG = ftfy.TextFixerConfig(
    unescape_html=False, remove_terminal_escapes=False, fix_latin_ligatures=False, fix_character_width=False,
    uncurl_quotes=False, fix_line_breaks=False, fix_surrogates=False, remove_control_chars=False, normalization=None,
    explain=False,
)  # fmt: skip


def _byte_pairs(text: str, found: list[Finding]) -> str:
    marks = sum(map(text.count, "ĠĊ▁"))
    if marks == 1 and "âĢ" not in text and re.search(r"(?:\A|\s)Ġ[a-z]", text):
        return text  # a Maltese name
    text = text.replace("▁", " ")
    text = _LETTERS_OF_BYTES.sub(_byte_letters, text)
    note(found, "byte-pair letters", rejects=any(c in text for c in "ĠĊĢģĻķ"))
    return text


def _byte_letters(match: re.Match[str]) -> str:
    try:
        return bytes(_bytes_of()[c] for c in match[0]).decode()
    except (KeyError, UnicodeDecodeError):
        return match[0]


@cache
def _bytes_of() -> dict[str, int]:
    """The byte of each letter in byte-pair vocabularies (GPT-2, CLIP, Llama 3)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in set(printable)]
    return {chr(b): b for b in printable} | {chr(0x100 + n): b for n, b in enumerate(others)}
