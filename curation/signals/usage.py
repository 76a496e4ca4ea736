"""AIPREF's preferences (``train-ai=n``) and Cloudflare's content signals (``ai-train=no``): one value of each.

AIPREF: draft-ietf-aipref-vocab-08 and -attach-05, a dictionary of RFC 9651. Content signals: contentsignals.org.
"""

from __future__ import annotations

from schemas.signals import SignalVerdict

_TRAINING = "train-ai"
_AIPREF = {"y": SignalVerdict.ALLOWS, "n": SignalVerdict.FORBIDS}
_CONTENT_SIGNAL = {"yes": SignalVerdict.ALLOWS, "no": SignalVerdict.FORBIDS}
_LIMITED = frozenset({"immediate", "reference"})
_LONGEST = 4096


def usage_verdict(value: bytes) -> SignalVerdict:
    """What a ``Content-Usage`` value says of training; unknown where it is no dictionary, or says neither y nor n.

    Keys and values are case-sensitive, and of a key that comes twice the last one counts, as RFC 9651 has it. A value
    that names other uses only is a notice.
    """
    if len(value) > _LONGEST:
        return SignalVerdict.UNKNOWN
    import http_sf  # the base installation has to do without

    try:
        found = http_sf.parse(value, tltype="dictionary")
    except (ValueError, RecursionError, OverflowError):
        return SignalVerdict.UNKNOWN
    if not isinstance(found, dict) or not found:
        return SignalVerdict.UNKNOWN
    if _TRAINING not in found:
        return SignalVerdict.NOTICE
    said = found[_TRAINING]
    token = said[0] if isinstance(said, tuple) else None
    if not isinstance(token, http_sf.Token):
        return SignalVerdict.UNKNOWN
    return _AIPREF.get(str(token), SignalVerdict.UNKNOWN)


def content_signal_verdict(value: str) -> SignalVerdict:
    """What a ``Content-Signal`` value says of training, in any case; unknown where it cannot be read.

    ``use=immediate`` and ``use=reference`` without ``ai-train`` leave training out, and count as a condition. Of a key
    that comes twice the stricter value counts: the syntax does not say which.
    """
    pairs = [part.partition("=") for part in value.lower().split(",") if part.strip()]
    found = [(key.strip(), said.strip()) for key, equals, said in pairs if equals]
    if not found or len(found) < len(pairs):
        return SignalVerdict.UNKNOWN
    training = [said for key, said in found if key == "ai-train"]
    if training:
        if not all(said in _CONTENT_SIGNAL for said in training):
            return SignalVerdict.FORBIDS if "no" in training else SignalVerdict.UNKNOWN
        return SignalVerdict.FORBIDS if "no" in training else SignalVerdict.ALLOWS
    if any(key == "use" and said in _LIMITED for key, said in found):
        return SignalVerdict.CONSTRAINED
    return SignalVerdict.NOTICE
