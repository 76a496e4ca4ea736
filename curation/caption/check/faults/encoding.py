"""Characters that are not what the model meant: control and invisible characters, escapes and bytes written
out, HTML entities, byte-pair letters and mojibake.

What has one meaning is decoded; where text was lost, the finding rejects.
"""

from __future__ import annotations

import html
import quopri
import re
import unicodedata
from collections.abc import Callable
from functools import cache
from urllib.parse import unquote

import ftfy
from ftfy.badness import is_bad

from curation.caption.check.written import without_quotes
from curation.caption.check.finding import Finding
from schemas.reasons import Reason

_KEPT_CONTROLS = "\n\t\r"
_JOINERS = "\u200c\u200d"  # they shape letters of some scripts and emoji
_JOINED_LATIN = re.compile(r"(?<=[A-Za-z .,])[\u200c\u200d]+|[\u200c\u200d]+(?=[A-Za-z .,])")
# Letters and marks by category that show nothing: Hangul and Khmer fillers, braille blank, joiner, object mark.
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc")
_SELECTOR = re.compile(r"(?<=[A-Za-z0-9.,;:!?\"' ])[\ufe00-\ufe0f]+")
# As Mac OS Roman and careless keyboards have it, and UTF-8 read as code page 437.
_OTHER_APOSTROPHE = re.compile(r"(?<=[a-z])(?:[Õ´`]|ΓÇÖ)(?=(?:s|t|re|ve|ll|d|m)\b)")
_STRUCK = re.compile("[\u0334-\u0338\u0488\u0489]+|(?<=[\u0300-\u036f][\u0300-\u036f])[\u0300-\u036f]+")
_TERMINAL = re.compile(
    r"\x1b\[[0-9;?]{0,20}[A-Za-z]|\x1b\][^\x07\n]{0,200}\x07|\\(?:x1b|u001b|033|e)\[[0-9;?]{0,20}[A-Za-z]"
    r"|\^\[\[[0-9;]{0,20}m|\[\d{1,3}(?:;\d{1,3}){0,4}m"
)
_STYLED = re.compile("[\U0001d400-\U0001d7ff\ufb00-\ufb06\uff01-\uff5e\u24b6-\u24e9]")
_FAR_EAST = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # full-width signs belong to these

_BYTE_TOKENS = re.compile(r"(?:<0[xX][0-9A-Fa-f]{2}>)+")
_BACKSLASH_BYTES = re.compile(r"(?:\\{1,4}x[0-9A-Fa-f]{2})+")
_BACKSLASH_UNICODE = re.compile(r"(?:\\{1,4}(?:u\{[0-9A-Fa-f]{1,6}\}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}))+")
_ONE_UNICODE = re.compile(r"\\+(?:u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))")
_BACKSLASH_SIGN = re.compile(r"\\{1,4}([\"'/*_#`~&%$.!()\[\]{}<>-])")
_BACKSLASH_BREAK = re.compile(
    r"\\{1,4}[nrtfvb](?!(?:abla|eq?|u|eg|ot|heta|imes|ext\w*|au|o|op|an|ilde|ight\w*|ho|m|rac|orall|eta|ar|egin|f|ig"
    r"|oxed|box|ec|oldsymbol)\b)"
)
_PATH_OR_CODE = re.compile(r"[A-Za-z]:\\|[(){}=;]|\\\\\w")
_QUOTATION = re.compile(r"\"[^\"\n]{1,300}\"|“[^”\n]{1,300}”|`[^`\n]{1,300}`")
_SIGN_BREAK = re.compile("(?<=[.!?\"”])\\s*[↵¶⏎‖⁋|]+\\s*(?=[A-Z]|\\Z)")
_WRAPPED_BREAK = re.compile(r"[\[{(<]\\{1,4}n[\]})>]")
_SLASH_BREAK = re.compile(r"(?<=[.!?:\"'])\s?(?:/n)+(?=[A-Z\s\"*-]|\Z)")
_BARE_UNICODE = re.compile(r"(?<=[A-Za-z.,!?])u(20(?:1[0-9]|2[0-6])|00[aA][0-9a-fA-F]|00[eE][0-9a-fA-F])(?=[a-zA-Z\s.,]|\Z)")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,10});|&(?:nbsp|amp|lt|gt)(?![\w;=])|&(?:quot|apos|#39|#x27|#34)(?![\d;=])")
_REFERENCE = re.compile(r"&(?:#(?:\d{1,7}(?!\d)|x[0-9a-f]{1,6}(?![0-9a-f]))|[^\s<&#;]{1,32});?", re.IGNORECASE)
_BARE_ENTITY = re.compile(r"(?<!&)#(?:39|34|x27|x22);")
_PERCENT = re.compile(r"(?<=[A-Za-z.,;:!?\"'])(?:%[0-9A-F]{2})+(?=[A-Za-z\"'(]|\Z)")
_QUOTED_PRINTABLE = re.compile(r"(?:=[0-9A-F]{2}){2,}|(?<=[A-Za-z.,])=20(?=\s|\Z)|(?<=[a-z,])=\n")
_LETTERS_OF_BYTES = re.compile("[\u00a1-\u0143]*[\u0100-\u0143][\u00a1-\u0143]*")
_PIECE = re.compile(r"(?<=[a-z]) ##(?=[a-z])|(?<=[a-z])@@ (?=[a-z])")

_STRONG_MOJIBAKE = re.compile(
    "â€|ΓÇ|ï¿½|Ã[\u0080-\u00bf©¨±³¼¶¤¢ª«®¯°´¸¹º»§£¡‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|Â[\u00a0-\u00bf]|ðŸ|вЂ|鈥|锟斤拷|â[\u0080-\u009f]|Ã¢"
)
_WEAK_MOJIBAKE = re.compile("[\u0080-\u009fÃÂâðÐÑœ™€ï]")
_LOST_APOSTROPHE = re.compile(r"(?<=[a-z])\?(?:s|t|re|ve|ll|d)\b")


def decode(text: str) -> tuple[str, list[Finding]]:
    """The text as it was meant, and what was wrong with it; a finding that rejects tells of lost text."""
    found: list[Finding] = []
    if not text.isascii():
        text = _foreign_bytes(text, found)
    if not (text.isascii() and text.isprintable()):
        text = _visible(text, found)
    for sign, mend in _WRITTEN_OUT:
        if sign in text:
            text = mend(text, found)
    return text, found


def unescape(text: str) -> str:
    """The text with HTML's character references resolved; a number of more digits than characters have stays."""
    return _REFERENCE.sub(lambda found: html.unescape(found[0]), text)


def _note(found: list[Finding], passage: str, *, rejects: bool = False, reason: Reason | None = None) -> None:
    found.append(Finding(reason or Reason.CONTROL_CHARACTERS, passage[:60], rejects))


def _replace(
    pattern: re.Pattern[str], by: Callable[[re.Match[str]], str | None], text: str, found: list[Finding]
) -> str:
    """The text with each match decoded; a match without a meaning (None) becomes a space and rejects."""

    def one(match: re.Match[str]) -> str:
        meant = by(match)
        if meant != match[0]:
            _note(found, match[0], rejects=meant is None)
        return " " if meant is None else meant

    return pattern.sub(one, text)


# --- characters that are there ---------------------------------------------------------------------------


def _visible(text: str, found: list[Finding]) -> str:
    """Without terminal codes, control and invisible characters; U+FFFD stands for lost text."""
    text = _replace(_TERMINAL, lambda _: "", text, found)
    bad = sorted({c for c in text if _invisible(c)})
    if bad:
        _note(found, " ".join(f"U+{ord(c):04X}" for c in bad[:8]), rejects="\ufffd" in bad)
        text = "".join(" " if c in "\ufffd\x0b\x0c\x85" else "" if _invisible(c) else c for c in text)
    text = _replace(_JOINED_LATIN, lambda _: "", text, found)
    text = _replace(_SELECTOR, lambda _: "", text, found)
    text = _replace(_SIGN_BREAK, lambda _: "\n", text, found)
    text = _replace(_STRUCK, lambda _: "", text, found)
    if _STYLED.search(text) and not _FAR_EAST.search(text):
        text = _replace(_STYLED, lambda m: unicodedata.normalize("NFKC", m[0]), text, found)
    return text


def _invisible(char: str) -> bool:
    if char < "\x7f":
        return char < " " and char not in _KEPT_CONTROLS
    if char == "\ufffd" or char in _BLANKS:
        return True
    return unicodedata.category(char) in ("Cc", "Cf", "Cn", "Co", "Cs") and char not in _JOINERS


def _foreign_bytes(text: str, found: list[Finding]) -> str:
    """UTF-8 that was read as another encoding, and bytes in the letters of a byte-pair vocabulary."""
    text = _replace(_OTHER_APOSTROPHE, lambda _: "’", text, found)
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
        _note(found, passage, rejects=True)
    elif fixed != text:
        _note(found, passage)
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
    _note(found, "byte-pair letters", rejects=any(c in text for c in "ĠĊĢģĻķ"))
    return text


def _byte_letters(match: re.Match[str]) -> str:
    try:
        return bytes(_bytes_of()[c] for c in match[0]).decode()
    except (KeyError, UnicodeDecodeError):
        return match[0]


@cache
def _bytes_of() -> dict[str, int]:
    """What byte a letter stands for in vocabularies of byte pairs (GPT-2, CLIP, Llama 3)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in set(printable)]
    return {chr(b): b for b in printable} | {chr(0x100 + n): b for n, b in enumerate(others)}


# --- characters that are written out ---------------------------------------------------------------------


def _angle(text: str, found: list[Finding]) -> str:
    if "</w>" in text:
        text = _replace(re.compile(r" ?</w> ?"), lambda _: " ", text, found)
    return _replace(_BYTE_TOKENS, lambda m: _utf8(re.findall(r"0[xX](..)", m[0])), text, found)


def _utf8(pairs: list[str]) -> str | None:
    """The text of these bytes in hexadecimal digits, controls but line ends left out; None where it is none."""
    try:
        text = bytes.fromhex("".join(pairs)).decode()
    except ValueError:
        return None
    return "".join(c for c in text if not _invisible(c))


def _backslash(text: str, found: list[Finding]) -> str:
    text = _replace(_TERMINAL, lambda _: "", text, found)
    code = [q.span() for q in _QUOTATION.finditer(text) if _PATH_OR_CODE.search(q[0])]
    whole = [(0, len(text))] if len(code) == 1 and code[0] == (0, len(text)) else []
    if code and not whole:  # a screen may show code or a path
        return _around(text, code, lambda piece: _backslashes(piece, found))
    return _backslashes(text, found)


def _around(text: str, spans: list[tuple[int, int]], mend: Callable[[str], str]) -> str:
    pieces, at = [], 0
    for start, end in spans:
        pieces += [mend(text[at:start]), text[start:end]]
        at = end
    return "".join([*pieces, mend(text[at:])])


def _backslashes(text: str, found: list[Finding]) -> str:
    text = _replace(_WRAPPED_BREAK, lambda _: "\n", text, found)
    text = _replace(_BACKSLASH_BYTES, lambda m: _utf8(re.findall(r"x(..)", m[0])), text, found)
    text = _replace(_BACKSLASH_UNICODE, _unicode, text, found)
    text = _replace(_BACKSLASH_SIGN, lambda m: m[1], text, found)
    text = _replace(_BACKSLASH_BREAK, lambda m: " " if m[0][-1] == "t" else "\n" if m[0][-1] in "nr" else "", text, found)
    text = _replace(re.compile(r"\\+(?=\s|\Z)"), lambda _: "", text, found)
    left = without_quotes(text).find("\\")
    if left >= 0 and not re.match(r"\\boxed\{", text[left:]):
        _note(found, text[left : left + 20], rejects=True, reason=Reason.MARKUP)
    return text


def _unicode(match: re.Match[str]) -> str | None:
    """Also pairs of surrogates, as JSON writes characters beyond U+FFFF."""
    points = [int(a or b or c, 16) for a, b, c in _ONE_UNICODE.findall(match[0])]
    try:
        text = "".join(map(chr, points)).encode("utf-16", "surrogatepass").decode("utf-16")
    except (ValueError, OverflowError):
        return None
    return None if "\ufffd" in text else "".join(c for c in text if not _invisible(c))


def _entities(text: str, found: list[Finding]) -> str:
    for _ in range(3):  # "&amp;amp;#39;" was escaped three times
        first = _ENTITY.search(text)
        plain = unescape(text) if first is not None else text
        if first is None or plain == text:
            break
        _note(found, first[0], reason=Reason.MARKUP)
        text = plain
    return text


def _hash(text: str, found: list[Finding]) -> str:
    text = _replace(_BARE_ENTITY, lambda m: html.unescape("&" + m[0]), text, found)
    return _replace(_PIECE, lambda _: "", text, found)


def _percent(text: str, found: list[Finding]) -> str:
    def meant(match: re.Match[str]) -> str | None:
        plain = unquote(match[0], errors="replace")
        return None if "\ufffd" in plain else plain

    return _replace(_PERCENT, meant, text, found)


def _equals(text: str, found: list[Finding]) -> str:
    def meant(match: re.Match[str]) -> str | None:
        try:
            return quopri.decodestring(match[0].encode()).decode()
        except UnicodeDecodeError:
            return None

    return _replace(_QUOTED_PRINTABLE, meant, text, found)


def _bare_unicode(text: str, found: list[Finding]) -> str:
    return _replace(_BARE_UNICODE, lambda m: chr(int(m[1], 16)), text, found)


def _slash(text: str, found: list[Finding]) -> str:
    return _replace(_SLASH_BREAK, lambda _: "\n", text, found)


def _question(text: str, found: list[Finding]) -> str:
    lost = _LOST_APOSTROPHE.search(text)
    if lost is not None:
        _note(found, text[max(0, lost.start() - 12) : lost.end()], rejects=True)
    return text


def _pieces(text: str, found: list[Finding]) -> str:
    return _replace(_PIECE, lambda _: "", text, found)


def _codes(text: str, found: list[Finding]) -> str:
    return _replace(_TERMINAL, lambda _: "", text, found)


# The sign that a text must hold, and what is done to it; in this order.
_WRITTEN_OUT: tuple[tuple[str, Callable[[str, list[Finding]], str]], ...] = (
    ("<", _angle),
    ("&", _entities),
    ("#", _hash),
    ("@@", _pieces),
    ("[", _codes),
    ("\\", _backslash),
    ("/n", _slash),
    ("|", lambda text, found: _replace(_SIGN_BREAK, lambda _: "\n", text, found)),
    ("%", _percent),
    ("=", _equals),
    ("u20", _bare_unicode),
    ("u00", _bare_unicode),
    ("?", _question),
)
