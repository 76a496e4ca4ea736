"""A list of entries, such as nouns of a language or titles of an encyclopedia, found in texts as whole words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curation.caption.concepts import concepts
from curation.core.errors import RecipeError
from curation.core.printable import printable
from schemas.arrays import Array, Values, strings, whole

_LARGEST = 1 << 29  # bytes of a file
_SHOWN = 60
# Every letter of scripts that put no spaces between words stands alone, so that entries of such scripts are found.
_APART = r"([^\pL\pN\pM\s-]|\p{Han}|\p{Hiragana}|\p{Katakana}|\p{Thai}|\p{Lao}|\p{Khmer}|\p{Myanmar})"
_SPACES = r"[\s\pZ\p{Cc}]+"

Found = tuple[NDArray[np.int64], NDArray[np.int32]]
"""The entries found in each of n texts: n + 1 offsets into the entries' numbers. An entry counts once a text."""


def spaced(texts: Values) -> Array:
    """The texts in small letters, each sign apart and a space at both ends: words are what stands between spaces."""
    apart = pc.replace_substring_regex(pc.utf8_lower(texts), _APART, r" \1 ")
    single = pc.utf8_trim(pc.replace_substring_regex(apart, _SPACES, " "), " ")
    space: Any = pa.scalar(" ")
    nothing: Any = pa.scalar("")
    return whole(pc.binary_join_element_wise(space, single, space, nothing))


@dataclass(frozen=True, eq=False)
class Entries:
    """A list: ``names`` of its entries as people read them, sorted, and for each spelling the entry's number."""

    names: tuple[str, ...]
    spellings: Mapping[str, int]

    @classmethod
    def of(cls, names: Iterable[str]) -> Self:
        """Entries that are spelt as they are called; those of one spelling, but for capitals, are the first of them."""
        listed = [" ".join(name.split()) for name in names]
        first: dict[str, str] = {}
        for name, spelling in zip(listed, strings(spaced(pa.array(listed, pa.string()))), strict=True):
            if spelling.strip():
                first.setdefault(spelling, name)
        kept = sorted(first, key=lambda spelling: (first[spelling], spelling))
        return cls(tuple(first[s] for s in kept), {s: number for number, s in enumerate(kept)})

    @classmethod
    def nouns(cls) -> Self:
        """The English nouns by which the card counts concepts, plurals with their singular."""
        of = concepts()
        names = sorted({concept for concept, _ in of.values()})
        numbers = {name: number for number, name in enumerate(names)}
        spellings = strings(spaced(pa.array(list(of), pa.string())))
        listed = zip(spellings, of.values(), strict=True)
        return cls(tuple(names), {spelling: numbers[concept] for spelling, (concept, _) in listed})

    @classmethod
    def read(cls, url: str, key: str) -> Self:
        """The entries of a file: one a line in UTF-8, or a JSON list of texts.

        Raises ``RecipeError``, which names the recipe's ``key``, for a file that is not there or holds none.
        """
        where = f"{key} names {printable(url)}"
        try:
            with fsspec.open(url, "rb") as file:
                data = file.read(_LARGEST + 1)
        except Exception as error:  # a driver may raise anything of its own
            raise RecipeError(f"{where}, which cannot be read: {printable(str(error))}; correct the path") from error
        if len(data) > _LARGEST:
            raise RecipeError(f"{where}, which has more than {_LARGEST >> 20} MiB; name a shorter list of entries")
        found = cls.of(_listed(data, where))
        if not found.names:
            raise RecipeError(f"{where}, in which there is no entry; expected one a line, or a JSON list of texts")
        return found

    @property
    def digest(self) -> str:
        """The sha256 of all that is found and how it is called; the order of the list does not count."""
        lines = sorted(f"{spelling}\t{self.names[number]}" for spelling, number in self.spellings.items())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def hashes(self, seed: int) -> NDArray[np.uint64]:
        """64 bits for each entry, by seed and name."""
        digests = (hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest() for name in self.names)
        return np.frombuffer(b"".join(digests), np.uint64)

    def matcher(self) -> Callable[[Values], Found]:
        """What finds the entries in texts. About 0.5 GB for a million entries."""
        import ahocorasick

        automaton = ahocorasick.Automaton(ahocorasick.STORE_INTS)
        for spelling, number in self.spellings.items():
            automaton.add_word(spelling, number)
        automaton.make_automaton()

        def find(texts: Values) -> Found:
            numbers = [
                sorted({number for _, number in automaton.iter(text)}) if text is not None else []
                for text in spaced(texts).to_pylist()
            ]
            offsets = np.zeros(len(numbers) + 1, np.int64)
            np.cumsum([len(found) for found in numbers], out=offsets[1:])
            return offsets, np.array([n for found in numbers for n in found], np.int32)

        return find


def _listed(data: bytes, where: str) -> list[str]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{where}, which is no text in UTF-8 ({error.reason} at byte {error.start})") from error
    if not text.lstrip().startswith("["):
        return text.splitlines()
    try:
        found = json.loads(text)
    except ValueError:
        return text.splitlines()  # lines of which the first begins with a bracket
    for entry in found:
        if not isinstance(entry, str):
            raise RecipeError(f"{where}, whose JSON list holds {printable(repr(entry)[:_SHOWN])}; expected texts")
    return list(found)
