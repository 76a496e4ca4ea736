"""What a caption may be wrapped in: a code fence, JSON, quotation marks, brackets."""

from __future__ import annotations

import json
import re
from typing import Any

from curation.caption.check.finding import Finding
from schemas.reasons import Reason

_FENCE = re.compile(r"(?:```|~~~|''')(?:[\w+-]{0,20}[ \t]*\n)?")
_JSON = re.compile(r"\A\s*(?:[\[{]\s*[\"'\[{\]}].*|\{\s*\w+\s*:.*|\w{1,20}\s*=\s*[\[{\"'].*)\Z", re.DOTALL)
_KEYS = (
    "caption",
    "description",
    "dense_caption",
    "detailed_caption",
    "image_caption",
    "short_caption",
    "text",
    "answer",
)
_MOST_WRAPS = 4  # quotation marks and brackets around each other


def unwrap_data(text: str) -> tuple[str, Finding | None]:
    """The caption out of a code fence or a JSON object; the finding rejects where no single caption is found."""
    bare = text
    fenced = _FENCE.search(text) if "```" in text or "~~~" in text or "'''" in text else None
    if fenced is not None:
        bare = _FENCE.sub("", text).strip()
    if not _JSON.match(bare):
        if fenced is None:
            return text, None
        return bare, Finding(Reason.MARKUP, fenced[0].strip(), rejects=False)
    caption = _caption_of(bare)
    if caption is None and not bare.lstrip().startswith(("{", "[")):
        return text, None
    passage = f"JSON: {' '.join(bare.split())[:40]}"
    if caption is None:
        return bare.strip(), Finding(Reason.MARKUP, passage)
    return caption, Finding(Reason.MARKUP, passage, rejects=False)


def _caption_of(text: str) -> str | None:
    """The only text that a JSON value holds, or the one under a caption's name."""
    start = min((n for n in (text.find("{"), text.find("["), text.find('"')) if n >= 0), default=0)
    try:
        value: Any = json.loads(text[start:])
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return None
    named = {str(k).lower().replace(" ", "_"): v for k, v in value.items()}
    if len(named) == 1 and isinstance(only := next(iter(named.values())), dict):
        named = {str(k).lower(): v for k, v in only.items()}
    texts = [v for v in named.values() if isinstance(v, str)]
    if len(named) == 1 and texts:
        return texts[0]
    return next((v for k in _KEYS if isinstance(v := named.get(k), str)), None)


def unwrap(text: str) -> str:
    """The text without quotation marks or brackets around the whole."""
    text = text.strip()
    for _ in range(_MOST_WRAPS):
        if len(text) < 3:
            break
        inner = text[1:-1]
        match text[0], text[-1]:
            case ('"', '"') if _quoted_whole(inner, '"'):
                pass
            case ("'", "'") if _quoted_whole(inner, "'"):
                pass
            case (
                ("“", "”")
                | ("‘", "’")
                | ("«", "»")
                | ("„", "“")
                | ("„", "”")
                | ("「", "」")
                | ("[", "]")
                | ("(", ")")
                | ("{", "}")
                | ("*", "*")
            ) if _nested(inner, text[0], text[-1]):
                pass
            case ("`", "`") | ("_", "_") if text[0] not in inner:
                pass
            case _:
                break
        text = inner.strip()
    for mark in ('"', "“", "”"):  # one that has no partner, at an end
        others = text.count("“") + text.count("”") if mark != '"' else text.count('"')
        if text.startswith(mark) and others == 1 and not re.match(r"\W*\w+\W*\Z", text):
            return text[1:].strip()
        if text.endswith(mark) and others == 1 and not re.search(r"\d[\"”]\Z", text):
            return text[:-1].strip()
    return text


def unbalanced(text: str) -> str:
    """The text around a double quotation mark that has no partner; empty without one. Inches have none."""
    if '"' in text and sum(1 for m in re.finditer('"', text) if not text[m.start() - 1 : m.start()].isdigit()) % 2:
        inches = re.findall(r"\d\"", text)
        if not inches:
            at = text.rfind('"')
            return text[max(0, at - 20) : at + 20]
    if text.count("“") != text.count("”") and '"' not in text and "„" not in text:
        at = max(text.rfind("“"), text.rfind("”"))
        return text[max(0, at - 20) : at + 20]
    return ""


def _quoted_whole(inner: str, mark: str) -> bool:
    """Whether marks around a text belong together: the first inside, if any, opens another quotation."""
    places = [m.start() for m in re.finditer(mark, inner)]
    if mark == "'":
        places = [p for p in places if not (inner[p - 1 : p].isalnum() and inner[p + 1 : p + 2].isalnum())]
    if not places:
        return True
    first = places[0]
    return (
        len(places) % 2 == 0
        and (first == 0 or not inner[first - 1].strip(" ([—-"))
        and inner[first + 1 : first + 2].strip() != ""
    )


def _nested(inner: str, first: str, last: str) -> bool:
    depth = 0
    for char in inner:
        depth += (char == first) - (char == last)
        if depth < 0:
            return False
    return depth == 0
