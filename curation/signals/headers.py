"""Signals in the headers of a response."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from curation.signals.sign import Sign, text_of
from curation.signals.tdmrep import TDMREP
from curation.signals.usage import content_signal_verdict, usage_verdict
from curation.signals.x_robots import opts_out
from schemas.signals import SignalVerdict

X_ROBOTS, RESERVATION, POLICY, LICENCE_LINK = "x-robots-tag", "tdm-reservation", "tdm-policy", "link-license"
LAST_MODIFIED = "last-modified"
"""No opt-out: it says of which version of the image the others are."""
_RESERVED = re.compile(rb"\s*([01])(?![0-9.])")
_LINK = re.compile(rb"<([^<>]*)>([^<]*)")
_REL = re.compile(rb";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,\"]+))", re.I)
Headers = Iterable[tuple[bytes, bytes]]


def header_signs(headers: Headers, agents: Collection[str]) -> list[Sign]:
    """What the headers of a response (name, value) say; places are left empty. Never raises.

    ``agents`` are the product tokens, in lower case, to which a scoped X-Robots-Tag may be addressed. Several headers
    ``Content-Usage`` are one, as RFC 9651 has it.
    """
    signs: list[Sign] = []
    usage: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        lower = name.lower()
        if lower == b"content-usage":
            usage.append((name, value))
        else:
            signs += _of(lower, name, value, agents)
    if usage:
        whole = b", ".join(value for _, value in usage)
        signs.append(Sign("content-usage", _shown(usage[0][0], whole), usage_verdict(whole)))
    return signs


def superseded(of_file: Sequence[Sign], of_response: Sequence[Sign]) -> list[Sign]:
    """What a host's files say, after a look at the response: its ``tdm-reservation`` stands above tdmrep.json."""
    said = (SignalVerdict.FORBIDS, SignalVerdict.ALLOWS)
    if not any(s.what == RESERVATION and s.verdict in said for s in of_response):
        return list(of_file)
    return [
        replace(s, verdict=SignalVerdict.NOTICE, place=f"{s.place} (a header supersedes it)") if s.what == TDMREP else s
        for s in of_file
    ]


def _of(lower: bytes, name: bytes, value: bytes, agents: Collection[str]) -> Iterator[Sign]:
    match lower:
        case b"x-robots-tag":
            if opts_out(value.decode("latin-1"), agents):
                yield Sign(X_ROBOTS, _shown(name, value), SignalVerdict.FORBIDS)
        case b"tdm-reservation":
            found = _RESERVED.match(value)
            verdict = SignalVerdict.UNKNOWN
            if found:
                verdict = SignalVerdict.FORBIDS if found[1] == b"1" else SignalVerdict.ALLOWS
            yield Sign(RESERVATION, _shown(name, value), verdict)
        case b"tdm-policy":
            yield Sign(POLICY, _shown(name, value), SignalVerdict.LICENCE if value.strip() else SignalVerdict.UNKNOWN)
        case b"last-modified":
            yield Sign(LAST_MODIFIED, text_of(value), SignalVerdict.NOTICE)
        case b"content-signal":
            yield Sign("content-signal", _shown(name, value), content_signal_verdict(value.decode("latin-1")))
        case b"link":
            for target, parameters in _LINK.findall(value):
                rels = (quoted or plain for quoted, plain in _REL.findall(parameters))
                if any(b"license" in rel.lower().split() for rel in rels):
                    yield Sign(LICENCE_LINK, text_of(target), SignalVerdict.LICENCE)


def _shown(name: bytes, value: bytes) -> str:
    return text_of(f"{name.decode('latin-1')}: {value.decode('latin-1')}")
