"""/.well-known/tdmrep.json: TDM reservation protocol, W3C community group report of May 2024."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from curation.signals.paths import matches, same_spelling
from curation.signals.sign import Sign, leniency, text_of
from schemas.signals import SignalVerdict

TDMREP = "tdmrep.json"
"""``Sign.what`` of a rule of the file."""
_MOST_RULES = 10_000
_RESERVED = {0: SignalVerdict.ALLOWS, 1: SignalVerdict.FORBIDS}


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: str
    verdict: SignalVerdict
    text: str


@dataclass(frozen=True)
class TdmRep:
    """A parsed file. A file that cannot be read holds one rule, unknown, for every path."""

    rules: tuple[_Rule, ...]

    def signs(self, path: str) -> Iterator[Sign]:
        """What the file says of a path: the rule with the longest location that matches, of equals the strictest."""
        if not self.rules:
            return
        spelled = same_spelling(path)
        found = (rule for rule in self.rules if matches(rule.pattern, spelled))
        best = max(found, key=lambda rule: (len(rule.pattern), -leniency(rule.verdict)), default=None)
        if best is not None:
            yield Sign(TDMREP, best.text, best.verdict)


def parse_tdmrep(data: bytes) -> TdmRep:
    """Never raises. A rule whose reservation is neither 0 nor 1 is unknown; without one, its policy is a licence."""
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return TdmRep((_Rule("", SignalVerdict.UNKNOWN, f"not JSON: {text_of(data[:200])}"),))
    rules = found if isinstance(found, list) else [found]
    return TdmRep(tuple(_rule(rule) for rule in rules[:_MOST_RULES]))


def _rule(rule: object) -> _Rule:
    text = text_of(json.dumps(rule, ensure_ascii=False))
    location = rule.get("location") if isinstance(rule, dict) else None
    if not isinstance(rule, dict) or not isinstance(location, str):
        return _Rule("", SignalVerdict.UNKNOWN, text)
    pattern = same_spelling(location if location.startswith(("/", "*")) else f"/{location}")
    reserved = rule.get("tdm-reservation")
    if reserved is None and isinstance(rule.get("tdm-policy"), str):
        return _Rule(pattern, SignalVerdict.LICENCE, text)
    known = isinstance(reserved, int | str) and not isinstance(reserved, bool) and str(reserved).strip() in ("0", "1")
    return _Rule(pattern, _RESERVED[int(str(reserved))] if known else SignalVerdict.UNKNOWN, text)
