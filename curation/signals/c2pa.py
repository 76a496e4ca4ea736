"""The assertions on training and data mining in a C2PA manifest: ``c2pa.training-mining`` and CAWG's, version 1.1.

No signature is checked, and of the manifest only the assertion's own box is read: whoever wrote it into the file wished
for it, signed or not. One that cannot be read but holds ``notAllowed`` counts as such a wish.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from curation.signals.sign import Sign, leniency, text_of
from schemas.signals import SignalVerdict

C2PA = "c2pa:training-mining"
_LABEL = re.compile(rb"(?:c2pa|cawg)\.training-mining[\w.-]{0,32}\0")
_MOST_ASSERTIONS = 16
_BETWEEN = 256  # bytes that may lie between the label and the content box: an id, a hash, a salt
_MOST = 1 << 16
_OF_TRAINING = re.compile(r"\b(?:ai_training|ai_generative_training|data_mining)\b")
_USES = {
    "notallowed": SignalVerdict.FORBIDS,
    "constrained": SignalVerdict.CONSTRAINED,
    "allowed": SignalVerdict.ALLOWS,
}


def c2pa_signs(manifest: bytes) -> Iterator[Sign]:
    """What each such assertion says, of all manifests in the store; places are left empty. Never raises."""
    for count, label in enumerate(_LABEL.finditer(manifest)):
        if count == _MOST_ASSERTIONS:
            return
        content = _content(manifest, label.end())
        assertion = _decoded(content) if content is not None else None
        entries = assertion.get("entries", assertion) if isinstance(assertion, Mapping) else None
        if isinstance(entries, Mapping) and entries:
            yield Sign(C2PA, text_of(_as_json(entries)), _verdict(entries))
        else:
            kind, raw = content or (b"", manifest[label.end() : label.end() + _BETWEEN])
            forbids = b"notAllowed" in raw
            yield Sign(
                C2PA,
                text_of(f"unreadable {kind.decode('latin-1')}: {''.join(re.findall('[ -~]', raw.decode('latin-1')))}"),
                SignalVerdict.FORBIDS if forbids else SignalVerdict.UNKNOWN,
            )


def _content(manifest: bytes, at: int) -> tuple[bytes, bytes] | None:
    """The type and the bytes of the content box behind a label, cut where the file ends."""
    found = re.search(rb"cbor|json", manifest[at : at + _BETWEEN])
    if found is None or at + found.start() < 4:
        return None
    start = at + found.start()
    size = int.from_bytes(manifest[start - 4 : start], "big") - 8
    return found[0], manifest[start + 4 : start + 4 + max(0, min(size, _MOST))]


def _decoded(content: tuple[bytes, bytes]) -> Any:
    import cbor2  # the base installation has to do without

    kind, data = content
    try:
        return cbor2.loads(data) if kind == b"cbor" else json.loads(data)
    except Exception:  # hostile CBOR makes it raise all kinds of errors
        return None


def _verdict(entries: Mapping[Any, Any]) -> SignalVerdict:
    """The strictest of what is said of training and mining; a notice where other uses alone are named."""
    found: list[SignalVerdict] = []
    for key, entry in entries.items():
        if isinstance(key, str) and _OF_TRAINING.search(key):
            use = entry.get("use") if isinstance(entry, Mapping) else entry
            known = _USES.get(use.strip().lower()) if isinstance(use, str) else None
            found.append(known or SignalVerdict.UNKNOWN)
    return min(found, key=leniency, default=SignalVerdict.NOTICE)


def _as_json(entries: Mapping[Any, Any]) -> str:
    try:
        return json.dumps(entries, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return "entries of a form of its own"
