"""Markdown, tags, template tokens and control characters: what belongs to a chat, not to a caption."""

from __future__ import annotations

import html
import re
import unicodedata

from curation.caption.check.finding import Finding
from schemas.reasons import Reason

_THINKING = re.compile(r"\A\s*<(think|thinking|reasoning)>.*?</\1>\s*", re.DOTALL | re.IGNORECASE)
_TOKEN = re.compile(
    r"<[|｜][\w ▁-]{1,40}[|｜]?>|</?s>|</?alt_text>|<(?:eos|bos|pad|unk|image|img|mask|sep|cls|eot|/?think(?:ing)?"
    r"|/?(?:start|end)_of_\w+|/?fim_\w+|reserved_\w+|extra_id_\d+)>|\[/?(?:INST|SYS|PAD|MASK|CLS|SEP|UNK|IMG|EOS|BOS)\]|<</?SYS>>"
    r"|###\s*(?:Human|Assistant|User|System|Instruction|Response)\b:?|\b(?:USER|ASSISTANT|SYSTEM|HUMAN):"
    r"|(?:\A|(?<=\n))(?:User|Assistant|System|Human|AI|Bot):|\{\{?\s*[a-z_]{2,30}\s*\}?\}|\b(?:im_start|im_end)\b"
)
_FENCE = re.compile(r"```\w{0,20}\n?")
_JSON = re.compile(r"\A\s*(?:[\[{]\s*[\"'\[{\]}].*[\]}]|\{\s*\w+\s*:.*\})\s*\Z", re.DOTALL)
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+(?=\S)", re.MULTILINE)
_TITLE_LINE = re.compile(r"^[ \t]{0,8}(?:\*\*|__)([^*_\n]{1,60}?):?(?:\*\*|__):?[ \t]*$\n?", re.MULTILINE)
_RULE = re.compile(r"^[ \t]{0,8}(?:[-*_=] ?){3,80}$\n?", re.MULTILINE)
_ITEM = re.compile(r"^[ \t]*(?:[-*+•‣▪–]|\(?\d{1,2}[.)]|\(?[a-z][.)])[ \t]+(?=\S)", re.MULTILINE)
_QUOTE = re.compile(r"^[ \t]*>[ \t]+", re.MULTILINE)
_EMPHASIS = re.compile(r"(\*\*\*|\*\*|\*|(?<!_)___|(?<!_)__|(?<!\w)_|~~|`)(?=\S)([^*`~\n]{1,400}?)(?<=\S)\1(?!\w)")
_LINK = re.compile(r"!?\[([^\]\n]{0,200})\]\((?:[^()\n]{1,400})\)")
_TAG = re.compile(
    r"<!--.{0,1000}?-->|</?(?:p|br|b|i|u|em|strong|span|div|small|sub|sup|font|center|h[1-6]|ul|ol|li|a|img|html|body|head"
    r"|table|tr|td|th|script|style|title|caption|description|answer|output|response|text|summary)\b[^<>]{0,300}/?>",
    re.IGNORECASE | re.DOTALL,
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z]{2,10});")
_REFERENCE = re.compile(r"&(?:#(?:\d{1,7}(?!\d)|x[0-9a-f]{1,6}(?![0-9a-f]))|[^\s<&#;]{1,32});?", re.IGNORECASE)
_LEFT = re.compile(r"\*\*|__\w|```|^[ \t]*#{1,6} \w|\]\(|</\w+>|<\w+ [a-z-]+=", re.MULTILINE)
_KEPT_CONTROLS = "\n\t\r"
_JOINERS = "\u200c\u200d"  # they shape letters of some scripts and emoji


def clean_characters(text: str) -> tuple[str, Finding | None]:
    """The text without control and other invisible characters. U+FFFD says that text was lost: it rejects."""
    if text.isascii() and text.isprintable():
        return text, None
    bad = [c for c in text if _invisible(c)]
    if not bad:
        return text, None
    lost = "\ufffd" in bad
    passage = " ".join(f"U+{ord(c):04X}" for c in sorted(set(bad))[:8])
    cleaned = "".join(" " if c in "\ufffd\x0b\x0c\x85" else "" if _invisible(c) else c for c in text)
    return cleaned, Finding(Reason.CONTROL_CHARACTERS, passage, rejects=lost)


def _invisible(char: str) -> bool:
    if char < "\x7f":
        return char < " " and char not in _KEPT_CONTROLS
    return char == "\ufffd" or (unicodedata.category(char) in ("Cc", "Cf", "Cn", "Co", "Cs") and char not in _JOINERS)


def strip_markup(text: str) -> tuple[str, Finding | None]:
    """The text as plain prose, and what was not. The finding rejects where no prose is left to keep.

    Stripped: emphasis, headings, rules, links, list marks of items that are sentences, tags, entities,
    fences, a closed block of thinking, template tokens at either end. JSON, tables, lists of fragments
    and a template token in the middle, behind which another turn begins, reject.
    """
    if not _suspicious(text):
        return text, None
    found: list[str] = []
    text = _sub(_THINKING, "", text, found)
    text = _sub(_FENCE, "", text, found)
    if _JSON.match(text):
        return text.strip(), Finding(Reason.MARKUP, f"JSON: {text.strip()[:40]}")
    text, middle = _strip_tokens(text, found)
    if middle:
        return text.strip(), Finding(Reason.MARKUP, middle)
    if sum(line.strip()[:1] == "|" == line.strip()[-1:] for line in text.splitlines()) >= 2:
        return text.strip(), Finding(Reason.MARKUP, "a table")
    fragments = _fragments(text)
    for pattern, by in (
        (_LINK, r"\1"), (_TITLE_LINE, ""), (_HEADING, ""), (_RULE, ""), (_QUOTE, ""), (_TAG, " "),
        (_EMPHASIS, r"\2"), (_EMPHASIS, r"\2"),
    ):  # fmt: skip
        text = _sub(pattern, by, text, found)
    if len(_ITEM.findall(text)) >= 2 or (found and _ITEM.match(text)):
        text = _sub(_ITEM, "", text, found)
    if _ENTITY.search(text) and (plain := unescape(text)) != text:
        found.append(_ENTITY.findall(text)[0])
        text = plain
    if fragments:
        return text.strip(), Finding(Reason.MARKUP, f"a list: {fragments}")
    if left := _LEFT.search(text):
        return text.strip(), Finding(Reason.MARKUP, left[0])
    if not found:
        return text, None
    return text.strip(), Finding(Reason.MARKUP, " ".join(found)[:80], rejects=False)


def unescape(text: str) -> str:
    """The text with HTML's character references resolved; a number of more digits than characters have stays."""
    return _REFERENCE.sub(lambda found: html.unescape(found[0]), text)


def unwrap(text: str) -> str:
    """White space as single spaces, and without quotation marks around the whole."""
    text = " ".join(text.split())
    for first, last in ('""', "“”", "''", "‘’", "``", "«»"):
        inner = text[1:-1]
        if len(text) > 2 and text[0] == first and text[-1] == last and not {first, last} & set(inner):
            return inner.strip()
    return text


def _suspicious(text: str) -> bool:
    return (
        any(c in text for c in "*#_`<>[]{}|~&\n•")
        or "ASSISTANT:" in text
        or "USER:" in text
        or bool(_TOKEN.search(text))
    )


def _sub(pattern: re.Pattern[str], by: str, text: str, found: list[str]) -> str:
    first = pattern.search(text)
    if first is None:
        return text
    found.append(first[0].strip()[:24])
    return pattern.sub(by, text)


def _strip_tokens(text: str, found: list[str]) -> tuple[str, str]:
    """Template tokens taken off both ends; and the first that is left in the middle."""
    text = text.strip()
    while (token := _TOKEN.match(text)) is not None:
        found.append(token[0])
        text = text[token.end() :].lstrip(" :\n")
    tokens = list(_TOKEN.finditer(text))
    while tokens and tokens[-1].end() == len(text):
        last = tokens.pop()
        found.append(last[0])
        text = text[: last.start()].rstrip()
    middle = _TOKEN.search(text)
    return text, middle[0] if middle is not None else ""


def _fragments(text: str) -> str:
    """The first item of a list most of whose items are no sentences; empty when there is no such list."""
    items = [line[m.end() :] for line in text.splitlines() if (m := _ITEM.match(line))]
    if len(items) < 2:
        return ""
    ragged = [i for i in items if i.rstrip(' *_`"”')[-1:] not in (".", "!", "?")]
    return ragged[0][:40] if len(ragged) * 2 > len(items) else ""
