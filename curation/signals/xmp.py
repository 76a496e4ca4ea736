"""XMP in an image file: PLUS's data mining property, licences, and notes on rights.

Packets are read by pattern, not as XML: a wish counts in a damaged packet too, and no entity is ever resolved.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import islice

from curation.signals.sign import MOST_CHARACTERS, Sign, text_of
from schemas.signals import SignalVerdict

DATA_MINING = "plus:DataMining"
# PLUS's vocabulary (ns.useplus.org/ldf/vocab). What is prohibited but for a condition is prohibited: the condition is
# a text for people.
_VOCABULARY = {
    "DMI-UNSPECIFIED": SignalVerdict.NOTICE,
    "DMI-ALLOWED": SignalVerdict.ALLOWS,
    "DMI-PROHIBITED": SignalVerdict.FORBIDS,
    "DMI-PROHIBITED-AIMLTRAINING": SignalVerdict.FORBIDS,
    "DMI-PROHIBITED-GENAIMLTRAINING": SignalVerdict.FORBIDS,
    "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING": SignalVerdict.FORBIDS,
    "DMI-PROHIBITED-SEECONSTRAINT": SignalVerdict.FORBIDS,
    "DMI-PROHIBITED-SEEEMBEDDEDRIGHTSEXPR": SignalVerdict.FORBIDS,
    "DMI-PROHIBITED-SEELINKEDRIGHTSEXPR": SignalVerdict.FORBIDS,
}
_TERM = re.compile(r"DMI-[A-Z-]+")
_PROPERTIES = {
    "plus:OtherConstraints": SignalVerdict.NOTICE,
    "cc:license": SignalVerdict.LICENCE,
    "xmpRights:WebStatement": SignalVerdict.LICENCE,
    "xmpRights:UsageTerms": SignalVerdict.NOTICE,
    "dc:rights": SignalVerdict.NOTICE,
    "dc:creator": SignalVerdict.NOTICE,
    "photoshop:Credit": SignalVerdict.NOTICE,
}
_WINDOW = 4 * MOST_CHARACTERS
_MOST_PLACES = 1000
_LONGEST_PREFIX = 64
_PREFIX = re.compile(r"[\w-]+\Z")
_WORD = re.compile(r"[\w-]")
_MOST = 20  # properties of one name that are looked at until one has a value
_ATTRIBUTE = re.compile(r"\s*=\s*(?:\"([^\"<>]*)\"|'([^'<>]*)')")
_RESOURCE = re.compile(r"resource\s*=\s*(?:\"([^\"<>]*)\"|'([^'<>]*)')")
_TAG = re.compile(r"<[^<>]*>")


def xmp_signs(packet: bytes) -> Iterator[Sign]:
    """What a packet says, each property once; places are left empty. Never raises."""
    text = packet.replace(b"\0", b"").decode("utf-8", "replace")  # UTF-16 becomes readable, too
    value = _value(text, DATA_MINING) or _value(text, ":DataMining")
    if value:
        term = _TERM.search(value.upper())
        verdict = SignalVerdict.UNKNOWN
        if term:
            known = _VOCABULARY.get(term[0])
            other = SignalVerdict.FORBIDS if term[0].startswith("DMI-PROHIBITED") else SignalVerdict.UNKNOWN
            verdict = known or other
        yield Sign(DATA_MINING, text_of(value), verdict)
    for name, verdict in _PROPERTIES.items():
        if value := _value(text, name):
            yield Sign(name, text_of(value), verdict)


def _value(text: str, name: str) -> str:
    """The value of the first property of the name, as attribute or element; empty where there is none.

    ``name`` has its prefix, or is that of any prefix where it begins with a colon.
    """
    for qualified, end in islice(_places(text, name), _MOST):
        rest = text[end : end + _WINDOW]
        if attribute := _ATTRIBUTE.match(rest):
            value = attribute[1] or attribute[2] or ""
        else:
            opening, _, inner = rest.partition(">")
            if resource := _RESOURCE.search(opening):
                value = resource[1] or resource[2] or ""
            else:
                value = _TAG.sub(" ", inner.partition(f"</{qualified}")[0])
        value = " ".join(html.unescape(value).split())
        if value:
            return value
    return ""


def _places(text: str, name: str) -> Iterator[tuple[str, int]]:
    """Where the name stands and a tag is not closed: the whole name there, and where it ends."""
    at = text.find(name)
    for _ in range(_MOST_PLACES):
        if at < 0:
            return
        start, end = at, at + len(name)
        if name.startswith(":"):
            found = _PREFIX.search(text[max(0, at - _LONGEST_PREFIX) : at])
            start -= len(found[0]) if found else 0
        before, after = text[max(0, start - 1) : start], text[end : end + 1]
        if not (_WORD.match(before) or before == "/" or _WORD.match(after)):
            yield text[start:end], end
        at = text.find(name, end)
