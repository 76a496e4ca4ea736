"""Markdown, HTML, JSON, hashtags and emoji: what a chat window or a program would render, not prose."""

from __future__ import annotations

import re

from curation.caption.check.finding import Finding
from curation.caption.check.written import tidy_lines, without_quotes
from schemas.reasons import Reason

_KEY = re.compile(r"(?:\A|[{,\n])\s*[\"'][A-Za-z_ ]{2,30}[\"']\s*:\s*[\"'\[{\d]")
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+([^\n]{0,200})$", re.MULTILINE)
_TITLE_LINE = re.compile(
    r"^[ \t]{0,8}(?:\*\*|__|={2,8})([^*_=\n]{1,60}?):?(?:\*\*|__|={2,8}):?[ \t]*$\n?", re.MULTILINE
)
_UNDERLINED = re.compile(r"^[^\n]{1,80}\n[=-]{3,80}[ \t]*$", re.MULTILINE)
_RULE = re.compile(r"^[ \t]{0,8}(?:[-*_=—] ?){3,80}$\n?", re.MULTILINE)
_LEADING_RULE = re.compile(r"\A\s*[-=*_~<>]{3,80}[ \t]+(?=\S)")
_TRAILING_RULE = re.compile(r"(?<=\S)\s+(?:[-*_=—<>]{3,80}|[*_~`#]{1,80})\s*\Z")
_ITEM = re.compile(r"^[ \t]*(?:[-*+•‣▪–●○◦·✓✔➤►→]|\(?\d{1,2}[.)]|\(?[a-z][.)])[ \t]+(?=\S)", re.MULTILINE)
_BULLETS = re.compile(r"(?:^|\s)[•‣▪●◦➤►✓✔][ \t]*(?=\S)")
_QUOTE = re.compile(r"^[ \t]*>[ \t]+", re.MULTILINE)
_EMPHASIS = re.compile(r"(\*\*\*|\*\*|\*|(?<!_)___|(?<!_)__|(?<!\w)_|~~|`|==)(?=\S)([^*`~\n]{1,400}?)(?<=\S)\1(?!\w)")
_PICTURE = re.compile(r"!\[[^\]\n]{0,200}\]\([^()\n]{1,400}\)")
_LINK = re.compile(r"\[([^\]\n]{0,200})\]\((?:[^()\n]{1,400})\)")
_TAG = re.compile(
    r"<!--.{0,1000}?-->|</?(?:p|br|b|i|u|em|strong|span|div|small|sub|sup|font|center|h[1-6]|ul|ol|li|a|img|html|body"
    r"|head"
    r"|table|tr|td|th|script|style|title|caption|description|answer|output|response|text|summary|details|section"
    r"|article|mark|code|pre"
    r"|figure|figcaption|blockquote|hr|q|cite)\b[^<>]{0,300}/?>",
    re.IGNORECASE | re.DOTALL,
)
_LEFT = re.compile(
    r"\*\*|__\w|```|^[ \t]*#{1,6} \w|\]\(|</\w+>|<\w+ [a-z-]+=|<[a-z]{2,20}>|\$\$|\$\\|\bdef \w+\(|^\s*import \w+$",
    re.MULTILINE,
)
_HOLE = re.compile(
    r"\[(?:insert|your|add|enter|specify|fill)\b[^\]\n]{0,60}\]|\[(?:name|brand(?: name)?|city|location|person"
    r"|person's name|object|color|colour|date|place"
    r"|subject|text|number|artist|redacted|description|image|caption|title|unclear|illegible|inaudible|blank|todo|tbd"
    r"|xx+|_+|\.\.\.|…)\]"
    r"|\blorem ipsum\b|\bTODO\b|\bXXX+\b|\{[^{}\n]{0,40}\}(?=[\s.,;]|\Z)",
    re.IGNORECASE,
)
_URL = re.compile(
    r"\bhttps?\s?:\s?//\S{2,200}|(?:\bwww\.|[\w-]{2,40}\.(?:com|org|net|io|jpg|jpeg|png|webp|gif)\b)\S{0,200}",
    re.IGNORECASE,
)
_SHOWN_ADDRESS = re.compile(
    r"\b(?:address|website|site|web|url|link|domain|reads?|reading|says?|words?|text|printed|painted|written|letters"
    r"|sign|logo|label|file|page|watermark|named|called)\b",
    re.IGNORECASE,
)
_HASHTAG = re.compile(r"(?<![\w&#/])#[^\W\d_][\w]{1,60}")
_TAGS_AT_END = re.compile(r"(?:[\s,;]*(?<![\w&#/])#[^\W\d_]\w{1,60})+[\s.,;]*\Z")
_SYMBOL = (
    "[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2190-\u21ff\u2300-\u23ff\u200d\ufe0f\u20e3\U000e0020-\U000e007f]"
)
_EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b50\u2b55]")
_EMOJI_AT_STOP = re.compile(
    rf"(?:\A|(?<=[.!?,:;\"”)]))\s*(?:{_SYMBOL}\s*){{1,40}}(?=\s|\Z|[A-Z])|\s*(?:{_SYMBOL}\s?){{1,40}}(?=[.!?,;]|\Z)"
    rf"|\A\s*(?:{_SYMBOL}\s*){{1,40}}|(?<=[.!?])\s*(?:{_SYMBOL}\s*){{1,40}}"
)
_EMOJI_RUN = re.compile(rf"(?:[\U0001f000-\U0001faff\u2600-\u27bf]{_SYMBOL}{{0,3}}\s?){{2,}}")
_SHOWN_EMOJI = re.compile(
    r"\b(?:emojis?|emoticons?|icons?|smileys?|stickers?|symbols?|signs?|hearts?|cards?|suits?|stars?)\b", re.IGNORECASE
)
# Where an item of a list of captions begins: at a line, or numbered in the line.
_PART = re.compile(r"(?:^|(?<=[.!?\"”:]))[ \t]*(?:\(?[1-9a-e][.)]|[-*+•‣▪–])[ \t]+(?=[\"“*]{0,3}[A-Z])", re.MULTILINE)
_LEAD = 8  # words in front of the first item, at most, and of what an item says, at least
_SAME = 4  # words of what a further item says
_SHARED = 0.6  # of the words of the shorter of two items that describe the same
_PROSE_MARKS = frozenset("*#_`<>[]{}|~\n•‣▪●◦➤►✓✔=$")
_ADDRESSES = (
    "http",
    "www.",
    ".com",
    ".org",
    ".net",
    ".io",
    ".jp",
    ".png",
    ".webp",
    ".gif",
    "orem ipsum",
    "TODO",
    "XXX",
    "'''",
)


def strip_markup(text: str) -> tuple[str, Finding | None]:
    """The text as plain prose, and the markup found. A finding rejects if no prose is left.

    Stripped: emphasis, headings, rules, links, list marks of items that are sentences, tags, hashtags
    and emoji behind a sentence. Tables, lists of fragments, placeholders and addresses reject.
    """
    if (
        _PROSE_MARKS.isdisjoint(text)
        and _PART.match(text) is None
        and (text.isascii() or not _EMOJI.search(text))
        and not _addressed(text)
    ):
        return text, None
    text = tidy_lines(text)
    found: list[str] = []
    if (first := _first_of_several(text)) is not None:
        found.append("several captions")
        text = first
    if sum(line.strip()[:1] == "|" == line.strip()[-1:] for line in text.splitlines()) >= 2 or re.search(
        r"\|\s?:?-{3,}", text
    ):
        return text.strip(), Finding(Reason.MARKUP, "a table")
    fragments = _fragments(text)
    for pattern, by in (
        (_PICTURE, ""),
        (_LINK, r"\1"), (_TITLE_LINE, ""), (_UNDERLINED, ""), (_RULE, ""),
        (_LEADING_RULE, ""), (_TRAILING_RULE, ""), (_QUOTE, ""),
        (_EMPHASIS, r"\2"), (_EMPHASIS, r"\2"),
    ):  # fmt: skip
        text = _sub(pattern, by, text, found)
    text = _headings(text, found)
    text = _outside_quotes(_TAG, " ", text, found)
    if len(_ITEM.findall(text)) >= 2 or (found and _ITEM.match(text)):
        text = _sub(_ITEM, "", text, found)
    if len(_BULLETS.findall(text)) >= 2:
        return text.strip(), Finding(Reason.MARKUP, "bullets")
    text = _tags_and_emoji(text, found)
    plain = without_quotes(text)
    if fragments:
        return text.strip(), Finding(Reason.MARKUP, f"a list: {fragments}")
    if (
        left := _LEFT.search(plain)
        or _HOLE.search(plain)
        or _KEY.search(text)
        or _unseen_address(plain)
        or _loose(plain)
    ):
        return text.strip(), Finding(Reason.MARKUP, left[0])
    if not found:
        return text, None
    return text.strip(), Finding(Reason.MARKUP, " ".join(found)[:80], rejects=False)


def _first_of_several(text: str) -> str | None:
    """The first of numbered or listed captions that describe the same things; None where there is no such list."""
    parts = [p.strip() for p in _PART.split(text)]
    if len(parts) < 3 or (parts[0] and len(parts[0].split()) > _LEAD):
        return None
    first, others = _content(parts[1]), [_content(p) for p in parts[2:]]
    if len(first) < _LEAD or not any(
        len(first & o) >= _SHARED * min(len(first), len(o)) for o in others if len(o) >= _SAME
    ):
        return None
    return parts[1]


def _content(text: str) -> frozenset[str]:
    return frozenset(w for w in re.findall(r"[a-z]{4,}", text.lower()) if w not in ("with", "stands", "from", "into"))


def _addressed(text: str) -> bool:
    return any(sign in text for sign in _ADDRESSES)


def _unseen_address(plain: str) -> re.Match[str] | None:
    """An address that nothing says to be written in the picture."""
    for found in _URL.finditer(plain) if _addressed(plain) else ():
        start = max(plain.rfind(". ", 0, found.start()), found.start() - 120, 0)
        if not _SHOWN_ADDRESS.search(plain, start, found.start()):
            return found
    return None


def _loose(plain: str) -> re.Match[str] | None:
    """Several hashtags or emoji in the middle that are not what a sentence is about."""
    tags = list(_HASHTAG.finditer(plain)) if "#" in plain else []
    if len(tags) > 1:
        return tags[0]
    run = None if plain.isascii() else _EMOJI_RUN.search(plain)
    return run if run is not None and not _SHOWN_EMOJI.search(plain) else None


def _tags_and_emoji(text: str, found: list[str]) -> str:
    if "#" in text:
        text = _outside_quotes(_TAGS_AT_END, "", text, found)
    if not text.isascii() and _EMOJI.search(text) and not _SHOWN_EMOJI.search(without_quotes(text)):
        text = _outside_quotes(_EMOJI_AT_STOP, " ", text, found)
        text = re.sub(r"\s+(?=[.!?,;](?:\s|\Z))", "", text)
    return text


def _headings(text: str, found: list[str]) -> str:
    """Without headings; one whose line is all there is, or is a sentence, stays as prose."""

    def one(match: re.Match[str]) -> str:
        line = match[1].strip()
        prose = line.endswith((".", "!", "?", '."')) or not text.replace(match[0], "").strip()
        return line if prose else ""

    heading = _HEADING.search(text)
    if heading is None:
        return text
    found.append(heading[0].strip()[:24])
    return _HEADING.sub(one, text)


def _outside_quotes(pattern: re.Pattern[str], by: str, text: str, found: list[str]) -> str:
    pieces, at = [], 0
    for match in pattern.finditer(without_quotes(text)):
        if not at:
            found.append(text[match.start() : match.end()].strip()[:24])
        pieces += [text[at : match.start()], by]
        at = match.end()
    return "".join([*pieces, text[at:]])


def _sub(pattern: re.Pattern[str], by: str, text: str, found: list[str]) -> str:
    first = pattern.search(text)
    if first is None:
        return text
    found.append(first[0].strip()[:24])
    return pattern.sub(by, text)


def _fragments(text: str) -> str:
    """The first item of a list most of whose items are no sentences; empty when there is no such list."""
    items = [line[m.end() :] for line in text.splitlines() if (m := _ITEM.match(line))]
    if len(items) < 2:
        return ""
    ragged = [i for i in items if i.rstrip(' *_`"”')[-1:] not in (".", "!", "?")]
    return ragged[0][:40] if len(ragged) * 2 > len(items) else ""
