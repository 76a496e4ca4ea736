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
_MOST = 20  # properties of one name that are looked at until one has a value
_ATTRIBUTE = re.compile(r"\s*=\s*(?:\"([^\"<>]*)\"|'([^'<>]*)')")
_RESOURCE = re.compile(r"resource\s*=\s*(?:\"([^\"<>]*)\"|'([^'<>]*)')")
_TAG = re.compile(r"<[^<>]*>")


def xmp_signs(packet: bytes) -> Iterator[Sign]:
    """What a packet says, each property once; places are left empty. Never raises."""
    text = packet.replace(b"\0", b"").decode("utf-8", "replace")  # UTF-16 becomes readable, too
    value = _value(text, DATA_MINING) or _value(text, "DataMining")
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
    """The value of the first property of the name, as attribute or element; empty where there is none."""
    pattern = rf"(?<![/\w-]){name}\b" if ":" in name else rf"(?<![/\w-])[\w-]++:{name}\b"
    for found in islice(re.finditer(pattern, text), _MOST):
        rest = text[found.end() : found.end() + _WINDOW]
        if attribute := _ATTRIBUTE.match(rest):
            value = attribute[1] or attribute[2] or ""
        else:
            opening, _, inner = rest.partition(">")
            if resource := _RESOURCE.search(opening):
                value = resource[1] or resource[2] or ""
            else:
                qualified = found[0]
                value = _TAG.sub(" ", inner.partition(f"</{qualified}")[0])
        value = " ".join(html.unescape(value).split())
        if value:
            return value
    return ""
