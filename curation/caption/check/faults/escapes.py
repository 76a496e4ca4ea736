"""Characters that are written out: bytes, Unicode numbers, line ends, HTML entities, percent signs."""

from __future__ import annotations

import html
import quopri
import re
import unicodedata
from collections.abc import Callable
from urllib.parse import unquote

from curation.caption.check.finding import Finding
from curation.caption.check.written import without_quotes
from schemas.reasons import Reason

_KEPT_CONTROLS = "\n\t\r"
_JOINERS = "\u200c\u200d"  # they shape letters of some scripts and emoji
# Letters and marks by category that show nothing: Hangul and Khmer fillers, braille blank, joiner, object mark.
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc")
TERMINAL = re.compile(
    r"\x1b\[[0-9;?]{0,20}[A-Za-z]|\x1b\][^\x07\n]{0,200}\x07|\\(?:x1b|u001b|033|e)\[[0-9;?]{0,20}[A-Za-z]"
    r"|\^\[\[[0-9;]{0,20}m|\[\d{1,3}(?:;\d{1,3}){0,4}m"
)
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
SIGN_BREAK = re.compile('(?<=[.!?"”])\\s*[↵¶⏎‖⁋|]+\\s*(?=[A-Z]|\\Z)')
_WRAPPED_BREAK = re.compile(r"[\[{(<]\\{1,4}n[\]})>]")
_SLASH_BREAK = re.compile(r"(?<=[.!?:\"'])\s?(?:/n)+(?=[A-Z\s\"*-]|\Z)")
_BARE_UNICODE = re.compile(
    r"(?<=[A-Za-z.,!?])u(20(?:1[0-9]|2[0-6])|00[aA][0-9a-fA-F]|00[eE][0-9a-fA-F])(?=[a-zA-Z\s.,]|\Z)"
)
_ENTITY = re.compile(
    r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,10});|&(?:nbsp|amp|lt|gt)(?![\w;=])|&(?:quot|apos|#39|#x27"
    r"|#34)(?![\d;=])"
)
_OPEN_ENTITY = re.compile(r"&(quot|apos|#39|#x27|#34)(?![\d;=])")
_REFERENCE = re.compile(r"&(?:#(?:\d{1,7}(?!\d)|x[0-9a-f]{1,6}(?![0-9a-f]))|[^\s<&#;]{1,32});?", re.IGNORECASE)
_BARE_ENTITY = re.compile(r"(?<!&)#(?:39|34|x27|x22);")
_BACKTICK = re.compile(r"(?<=[a-z])`(?=(?:s|t|re|ve|ll|d|m)\b)")
_PERCENT = re.compile(r"(?<=[A-Za-z.,;:!?\"'])(?:%[0-9A-F]{2})+(?=[A-Za-z\"'(]|\Z)")
_QUOTED_PRINTABLE = re.compile(r"(?:=[0-9A-F]{2}){2,}|(?<=[A-Za-z.,])=20(?=\s|\Z)|(?<=[a-z,])=\n")
_PIECE = re.compile(r"(?<=[a-z]) ##(?=[a-z])|(?<=[a-z])@@ (?=[a-z])")
_LOST_APOSTROPHE = re.compile(r"(?<=[a-z])\?(?:s|t|re|ve|ll|d)\b")


def write_in(text: str, found: list[Finding]) -> str:
    """The text with what is written out in it decoded; findings are added to ``found``."""
    for sign, mend in _WRITTEN_OUT:
        if sign in text:
            text = mend(text, found)
    return text


def unescape(text: str) -> str:
    """The text with HTML's character references resolved; a number with too many digits does not change."""
    return _REFERENCE.sub(lambda found: html.unescape(found[0]), text)


def note(found: list[Finding], passage: str, *, rejects: bool = False, reason: Reason | None = None) -> None:
    """Adds a finding of characters, or of this reason."""
    found.append(Finding(reason or Reason.CONTROL_CHARACTERS, passage[:60], rejects))


def replace(
    pattern: re.Pattern[str], by: Callable[[re.Match[str]], str | None], text: str, found: list[Finding]
) -> str:
    """The text with each match decoded; a match without a meaning (None) becomes a space and rejects."""

    def one(match: re.Match[str]) -> str:
        meant = by(match)
        if meant != match[0]:
            note(found, match[0], rejects=meant is None)
        return " " if meant is None else meant

    return pattern.sub(one, text)


def invisible(char: str) -> bool:
    """Whether a character shows nothing and shapes no other; U+FFFD, the mark of a lost one, counts."""
    if char < "\x7f":
        return char < " " and char not in _KEPT_CONTROLS
    if char == "\ufffd" or char in _BLANKS:
        return True
    return unicodedata.category(char) in ("Cc", "Cf", "Cn", "Co", "Cs") and char not in _JOINERS


def _angle(text: str, found: list[Finding]) -> str:
    if "</w>" in text:
        text = replace(re.compile(r" ?</w> ?"), lambda _: " ", text, found)
    return replace(_BYTE_TOKENS, lambda m: _utf8(re.findall(r"0[xX](..)", m[0])), text, found)


def _utf8(pairs: list[str]) -> str | None:
    """The text of these bytes in hexadecimal digits, controls but line ends left out; None where it is none."""
    try:
        text = bytes.fromhex("".join(pairs)).decode()
    except ValueError:
        return None
    return "".join(c for c in text if not invisible(c))


def _backslash(text: str, found: list[Finding]) -> str:
    text = replace(TERMINAL, lambda _: "", text, found)
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
    text = replace(_WRAPPED_BREAK, lambda _: "\n", text, found)
    text = replace(_BACKSLASH_BYTES, lambda m: _utf8(re.findall(r"x(..)", m[0])), text, found)
    text = replace(_BACKSLASH_UNICODE, _unicode, text, found)
    text = replace(_BACKSLASH_SIGN, lambda m: m[1], text, found)
    text = replace(
        _BACKSLASH_BREAK, lambda m: " " if m[0][-1] == "t" else "\n" if m[0][-1] in "nr" else "", text, found
    )
    text = replace(re.compile(r"\\+(?=\s|\Z)"), lambda _: "", text, found)
    left = without_quotes(text).find("\\")
    if left >= 0 and not re.match(r"\\boxed\{", text[left:]):
        note(found, text[left : left + 20], rejects=True, reason=Reason.MARKUP)
    return text


def _unicode(match: re.Match[str]) -> str | None:
    """Also pairs of surrogates, as JSON writes characters beyond U+FFFF."""
    points = [int(a or b or c, 16) for a, b, c in _ONE_UNICODE.findall(match[0])]
    try:
        text = "".join(map(chr, points)).encode("utf-16", "surrogatepass").decode("utf-16")
    except (ValueError, OverflowError):
        return None
    return None if "\ufffd" in text else "".join(c for c in text if not invisible(c))


def _entities(text: str, found: list[Finding]) -> str:
    for _ in range(3):  # "&amp;amp;#39;" was escaped three times
        first = _ENTITY.search(text)
        plain = unescape(_OPEN_ENTITY.sub(r"&\1;", text)) if first is not None else text
        if first is None or plain == text:
            break
        note(found, first[0], reason=Reason.MARKUP)
        text = plain
    return text


def _hash(text: str, found: list[Finding]) -> str:
    text = replace(_BARE_ENTITY, lambda m: html.unescape("&" + m[0]), text, found)
    return replace(_PIECE, lambda _: "", text, found)


def _percent(text: str, found: list[Finding]) -> str:
    def meant(match: re.Match[str]) -> str | None:
        plain = unquote(match[0], errors="replace")
        return None if "\ufffd" in plain else plain

    return replace(_PERCENT, meant, text, found)


def _equals(text: str, found: list[Finding]) -> str:
    def meant(match: re.Match[str]) -> str | None:
        try:
            return quopri.decodestring(match[0].encode()).decode()
        except UnicodeDecodeError:
            return None

    return replace(_QUOTED_PRINTABLE, meant, text, found)


def _bare_unicode(text: str, found: list[Finding]) -> str:
    return replace(_BARE_UNICODE, lambda m: chr(int(m[1], 16)), text, found)


def _slash(text: str, found: list[Finding]) -> str:
    return replace(_SLASH_BREAK, lambda _: "\n", text, found)


def _question(text: str, found: list[Finding]) -> str:
    lost = _LOST_APOSTROPHE.search(text)
    if lost is not None:
        note(found, text[max(0, lost.start() - 12) : lost.end()], rejects=True)
    return text


def _pieces(text: str, found: list[Finding]) -> str:
    return replace(_PIECE, lambda _: "", text, found)


def _codes(text: str, found: list[Finding]) -> str:
    return replace(TERMINAL, lambda _: "", text, found)


# The sign that a text must hold, and what is done to it; in this order.
_WRITTEN_OUT: tuple[tuple[str, Callable[[str, list[Finding]], str]], ...] = (
    ("<", _angle),
    ("&", _entities),
    ("#", _hash),
    ("@@", _pieces),
    ("[", _codes),
    ("\\", _backslash),
    ("/n", _slash),
    ("`", lambda text, found: replace(_BACKTICK, lambda _: "’", text, found)),
    ("|", lambda text, found: replace(SIGN_BREAK, lambda _: "\n", text, found)),
    ("%", _percent),
    ("=", _equals),
    ("u20", _bare_unicode),
    ("u00", _bare_unicode),
    ("?", _question),
)
