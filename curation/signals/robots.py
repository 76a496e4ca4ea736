"""robots.txt: who may fetch what (RFC 9309, read by Protego), and the lines on use that stand in its groups.

Use: AIPREF's ``Content-Usage: [/path ]train-ai=n``, Cloudflare's ``Content-Signal: ai-train=no``, and RSL's
``License: URL``, which belongs to no group.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from curation.signals.paths import matches, same_spelling
from curation.signals.sign import Sign, leniency, text_of
from curation.signals.usage import content_signal_verdict, usage_verdict
from schemas.signals import SignalVerdict

if TYPE_CHECKING:
    from protego import Protego

DISALLOWED = "robots.txt"
"""``Sign.what`` of a rule that forbids to fetch."""
CONTENT_USAGE, CONTENT_SIGNAL, RSL = "content-usage", "content-signal", "rsl-license"
_MOST_RULES = 50_000  # lines that are given to Protego for robots other than ours; it keeps each
_AGENT_LINE = re.compile(r"(\s*user(?:-|\s*)agent\b\s*:?)([^#]*)", re.I)
_NO_RULE = frozenset({"sitemap", "sitemaps", "site-map", "host", "license"})
_DISALLOW = re.compile(r"d[isalow]{3,9}\s*+:?\s*+(\S+)", re.I)  # as it is misspelt, too
_USAGE_LINE = re.compile(r"\s*content-(usage|signal)\s*:([^#]*)", re.I)
_LICENSE_LINE = re.compile(r"\s*license\s*:\s*([^#\s]+)", re.I)
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:", re.I)


@dataclass
class _Group:
    """Lines without comments and blanks around them; ``rules`` are those that disallow, with their patterns."""

    names: list[str]
    lines: list[str] = field(default_factory=list)

    @cached_property
    def rules(self) -> list[tuple[str, str]]:
        found = ((_DISALLOW.match(line), line) for line in self.lines)
        return [(same_spelling(rule[1]), line) for rule, line in found if rule is not None]


@dataclass(frozen=True, slots=True)
class _Usage:
    """A line on use: its path, "" for all, the verdict on it, and the line."""

    path: str
    verdict: SignalVerdict
    line: str
    what: str


@dataclass(frozen=True)
class RobotsTxt:
    """A parsed file. ``signs`` is safe to call from many threads."""

    own: str
    rules: Protego
    of_others: tuple[tuple[str, Protego], ...]  # rules of robots that are named, by one of the names they are under
    groups: tuple[_Group, ...]
    usages: tuple[_Usage, ...]
    common: tuple[Sign, ...]  # what holds for every path

    def signs(self, url: str, path: str) -> Iterator[Sign]:
        """What the file says of a URL, whose path and query are ``path``; places are left empty."""
        if path == "/robots.txt":
            return
        if not self.rules.can_fetch(url, self.own):
            yield Sign(DISALLOWED, self._rule(path, self.own), SignalVerdict.FORBIDS)
        for name, rules in self.of_others:
            if not rules.can_fetch(url, name):
                yield Sign(DISALLOWED, self._rule(path, name), SignalVerdict.FORBIDS)
        yield from self._of_use(path)
        yield from self.common

    def _of_use(self, path: str) -> Iterator[Sign]:
        """Of each kind of line those with the longest path that matches, and of these the strictest."""
        if not self.usages:
            return
        spelled = same_spelling(path)
        for what in (CONTENT_USAGE, CONTENT_SIGNAL):
            found = (u for u in self.usages if u.what == what and (not u.path or matches(u.path, spelled)))
            best = max(found, key=lambda u: (len(u.path), -leniency(u.verdict)), default=None)
            if best is not None:
                yield Sign(what, best.line, best.verdict)

    def _rule(self, path: str, name: str) -> str:
        """The lines that exclude a robot, as they came: its name, and the longest rule that matches."""
        spelled = same_spelling(path)
        best: tuple[int, str] = (-1, f"disallows {path[:200]}")
        for group in _groups_of(self.groups, name):
            for pattern, line in group.rules:
                if len(pattern) > best[0] and matches(pattern, spelled):
                    best = (len(pattern), f"User-agent: {name if name in group.names else '*'} / {line}")
        return text_of(best[1])


def parse_robots(data: bytes, own: str, others: Sequence[str] = ()) -> RobotsTxt:
    """The file's rules for the robot called ``own``, and for those of ``others`` that it names. Never raises.

    Robots are called by their product tokens, in any case. Where none of the groups names ``own``, those for ``*``
    count for it; for others only what names them does.
    """
    from protego import Protego  # the base installation, which fetches nothing, has to do without

    text = data.decode("utf-8", "replace").lstrip("\ufeff")
    own = own.lower()
    lines = text.splitlines()
    groups = tuple(_groups(lines))
    ours = _groups_of(groups, own)
    named = {name.lower() for name in others} - {own}
    theirs = [(n, tuple(g for g in groups if n in g.names)) for n in sorted(named)]
    theirs = [(n, found) for n, found in theirs if found]
    distinct: dict[tuple[str, ...], str] = {}
    for name, found in theirs:
        distinct.setdefault(tuple(line for group in found for line in group.lines), name)
    common = list(_licences(lines))
    if sum(map(len, distinct)) > _MOST_RULES:
        distinct = {}
        common.append(Sign(DISALLOWED, f"more than {_MOST_RULES} rules for the robots named", SignalVerdict.UNKNOWN))
    of_others = tuple(
        (name, Protego.parse("\n".join([f"User-agent: {name}", *rules]))) for rules, name in distinct.items() if rules
    )
    speaking = [*ours, *(group for _, found in theirs for group in found)]
    kept = tuple(g for i, g in enumerate(speaking) if not any(g is earlier for earlier in speaking[:i]))
    return RobotsTxt(
        own, Protego.parse(_for_us(lines, own)), of_others, kept, tuple(_usages(_headless(lines), kept)), tuple(common)
    )


def _groups(lines: Iterable[str]) -> Iterator[_Group]:
    """Names in lines one behind the other, and the lines up to the next name; without comments and blank lines."""
    group: _Group | None = None
    for line in lines:
        bare = line.partition("#")[0]
        if found := _AGENT_LINE.match(bare):
            if group is None or group.lines:
                if group is not None:
                    yield group
                group = _Group([])
            name = found[2].strip().lower()
            group.names.append(name if name == "*" else name.replace("*", ""))
        elif group is not None and bare.strip() and bare.partition(":")[0].strip().lower() not in _NO_RULE:
            group.lines.append(bare.strip())
    if group is not None:
        yield group


def _groups_of(groups: Sequence[_Group], name: str) -> list[_Group]:
    own = [g for g in groups if name in g.names]
    return own or [g for g in groups if "*" in g.names]


def _headless(lines: Iterable[str]) -> Iterator[str]:
    """The lines before the first group: preferences that stand there are meant for all robots."""
    for line in lines:
        if _AGENT_LINE.match(line):
            return
        yield line


def _usages(before: Iterable[str], groups: Iterable[_Group]) -> Iterator[_Usage]:
    readers: dict[str, tuple[str, Callable[[str], SignalVerdict]]] = {
        "usage": (CONTENT_USAGE, lambda value: usage_verdict(value.encode())),
        "signal": (CONTENT_SIGNAL, content_signal_verdict),
    }
    seen: set[_Usage] = set()
    for line in (*before, *(line for group in groups for line in group.lines)):
        if found := _USAGE_LINE.match(line):
            what, read = readers[found[1].lower()]
            path, value = _with_path(found[2].strip())
            usage = _Usage(path, read(value), text_of(line.strip()), what)
            if usage not in seen:
                seen.add(usage)
                yield usage


def _with_path(value: str) -> tuple[str, str]:
    if not value.startswith("/"):
        return "", value
    path, _, rest = value.partition(" ")
    return same_spelling(path), rest.strip()


def _licences(lines: Iterable[str]) -> Iterator[Sign]:
    for line in lines:
        if found := _LICENSE_LINE.match(line):
            verdict = SignalVerdict.LICENCE if _ABSOLUTE.match(found[1]) else SignalVerdict.UNKNOWN
            yield Sign(RSL, text_of(found[1]), verdict)


def _for_us(lines: Iterable[str], agent: str) -> str:
    """Give all other robots of the file the same name.

    Protego keeps a list of rules for every name: 500 KiB of names and rules, every name with every rule, would become
    gigabytes. Lines and words end here wherever they end for Protego.
    """

    def rename(line: str) -> str:
        found = _AGENT_LINE.match(line)
        if found is None or found[2].strip().lower().replace("*", "") in agent:
            return line  # the empty name is that of all robots
        return f"{found[1]} -"

    return "\n".join(map(rename, lines))


def placed(signs: Iterable[Sign], place: str, host: str) -> Iterator[Sign]:
    """The same signs with where they stood."""
    return (replace(sign, place=place, host=host) for sign in signs)
