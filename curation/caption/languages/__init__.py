"""Language profiles: what the checks and prompts need to know of a language, one file a language.

A file of this folder with a constant ``LANGUAGE`` is a profile; nothing else lists it. To add a language, copy the
file of a related one. Languages without a profile can be required too: they are told apart, but their refusals,
openings and names are not known.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
import unicodedata
from functools import cache

from curation.caption.check.wordlists import words
from curation.caption.languages.language import Language
from curation.core.errors import RecipeError

_CODE = 3  # letters of a code, at most
_SEPARATORS = re.compile(r"[-_.\s@]+")


@cache
def profiles() -> dict[str, Language]:
    """Every profile by its code."""
    modules = (importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__))
    found = [m.LANGUAGE for m in modules if hasattr(m, "LANGUAGE")]
    return {language.code: language for language in sorted(found, key=lambda one: one.code)}


@cache
def profile(code: str) -> Language:
    """The profile of a language by its code; one that knows the code alone where there is no file for it."""
    return profiles().get(code) or Language(code=code, names=(code,), scripts=())


def code_of(name: str, key: str = "language") -> str:
    """The code of a language that is named by code, locale or name: "de", "pt_BR", "zh-CN", "German", "Deutsch".

    Raises ``RecipeError`` naming ``key`` and the nearest for a word that names no language that the identifier tells apart.
    """
    spoken = _plain(name)
    names, others = _names(), words("languages")
    first, _, rest = spoken.partition(" ")
    for candidate in (spoken, first if rest and len(first) <= _CODE else spoken):
        if candidate in names:
            return names[candidate]
        if candidate in others:
            return candidate
    near = difflib.get_close_matches(spoken, [*names, *sorted(others)], n=1, cutoff=0.65)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    listed = ", ".join(f"{language.code} ({language.names[0]})" for language in profiles().values())
    raise RecipeError(
        f"{key} is {name!r}, which is no language that can be told apart{hint}; known languages are {listed}, and "
        f"{len(others - profiles().keys())} more by their ISO code"
    )


@cache
def _names() -> dict[str, str]:
    named = {_plain(name): language.code for language in profiles().values() for name in language.names}
    return named | {language.code: language.code for language in profiles().values()}


def _plain(name: str) -> str:
    """In lower case, without accents and encoding, its parts separated by blanks."""
    decomposed = unicodedata.normalize("NFKD", name.strip().casefold())
    letters = "".join(c for c in decomposed if not unicodedata.combining(c) or unicodedata.category(c) == "Mc")
    return _SEPARATORS.sub(" ", letters).strip()
