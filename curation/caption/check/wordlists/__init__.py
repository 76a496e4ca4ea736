"""The word lists in this folder: words or phrases separated by commas or lines; ``#`` starts a comment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType


@cache
def words(name: str) -> frozenset[str]:
    """The list ``wordlists/<name>.txt``."""
    return read_words(__name__, name)


@cache
def talk() -> dict[str, str]:
    """The words and stems of ``wordlists/talk.txt`` with their category; the first mention counts."""
    found: dict[str, str] = {}
    for line in resources.files(__name__).joinpath("talk.txt").read_text(encoding="utf-8").splitlines():
        what, _, listed = line.split("#", 1)[0].partition(":")
        for word in listed.split(","):
            if word.strip():
                found.setdefault(word.strip(), what.strip())
    return found


def read_words(package: str, name: str) -> frozenset[str]:
    """The list ``<name>.txt`` of a package."""
    text = resources.files(package).joinpath(f"{name}.txt").read_text(encoding="utf-8")
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return frozenset(word.strip() for line in lines for word in line.split(",") if word.strip())


@cache
def sections(name: str) -> Mapping[str, tuple[str, ...]]:
    """The list ``wordlists/<name>.txt`` by its headings: comments that are lines of their own, followed by words."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in resources.files(__name__).joinpath(f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.strip("# .")
        found.setdefault(heading, []).extend(w.strip() for w in line.split("#", 1)[0].split(",") if w.strip())
    return MappingProxyType({heading: tuple(listed) for heading, listed in found.items() if listed})
