"""Seeds: categories with their vocabulary, and the briefs that are drawn from them."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curation.core.errors import RecipeError
from schemas.questions import NUMBERS

T = TypeVar("T")
Need = Literal["text", "style", "counts", "relations"]

_FOLDER = Path(__file__).parent
_LISTS = ("relations", "actions", "places", "lights", "styles", "words")
_MOST_COUNTED = 6  # things of a kind; beyond that neither models nor people count reliably


class Category(BaseModel):
    """A category of prompts as the file has it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z][a-z0-9]{0,31}$")
    weight: float = Field(ge=0)
    subjects: tuple[str, ...] = Field(min_length=1)
    attributes: tuple[str, ...] = ()
    along: tuple[str, ...] = Field((), alias="with")
    needs: tuple[Need, ...] = ()
    acts: bool = False


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    vocabulary: dict[str, tuple[str, ...]]
    category: tuple[Category, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Seeds:
    """The categories and lists of a file of seeds; ``sha256`` is that of its text."""

    sha256: str
    categories: tuple[Category, ...]
    vocabulary: Mapping[str, tuple[str, ...]]

    @classmethod
    def load(cls, name: str) -> Seeds:
        """Seeds that come with the project, by name, or a TOML file. Raises ``RecipeError`` in one line."""
        own = _FOLDER / f"{name}.toml"
        path = own if name.isidentifier() and own.is_file() else Path(name).expanduser()
        try:
            data = path.read_bytes()
            file = _File.model_validate(tomllib.loads(data.decode("utf-8")))
        except FileNotFoundError as error:
            known = ", ".join(sorted(p.stem for p in _FOLDER.glob("*.toml")))
            raise RecipeError(f"source.seeds {name!r} is neither one of {known} nor a file; correct it") from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise RecipeError(f"source.seeds: cannot read {path} as TOML: {error}") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise RecipeError(f"source.seeds: {path} has no sound {where}: {first['msg']}") from error
        seeds = cls(hashlib.sha256(data).hexdigest(), file.category, file.vocabulary)
        seeds._check(path)
        return seeds

    def _check(self, path: Path) -> None:
        names = [c.name for c in self.categories]
        missing = [n for n in _LISTS if not self.vocabulary.get(n)]
        if missing or len(set(names)) < len(names):
            found = f"no list {missing[0]!r} in [vocabulary]" if missing else "two categories of one name"
            raise RecipeError(f"source.seeds: {path} has {found}; mend it")
        for c in self.categories:
            strange = [a for a in c.attributes if a not in self.vocabulary] + [n for n in c.along if n not in names]
            if strange:
                raise RecipeError(f"source.seeds: {path}: category {c.name!r} names {strange[0]!r}, which is not there")

    @cached_property
    def by_name(self) -> Mapping[str, Category]:
        return {c.name: c for c in self.categories}

    def weights(self, changed: Mapping[str, float]) -> dict[str, float]:
        """The weight of each category. Raises ``RecipeError`` for an unknown name and where all are 0."""
        unknown = [name for name in changed if name not in self.by_name]
        if unknown:
            raise RecipeError(
                f"quotas.weights names {unknown[0]!r}; the categories of the seeds are {', '.join(self.by_name)}"
            )
        found = {c.name: changed.get(c.name, c.weight) for c in self.categories}
        if not sum(found.values()) > 0:
            raise RecipeError("quotas.weights leaves no category a weight above 0; give one of them a weight")
        return found


def apportion(size: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Shares of ``size`` by weight in whole numbers that add up to it (largest remainders, then the earlier name)."""
    total = sum(weights.values())
    exact = {name: size * weight / total for name, weight in weights.items()}
    shares = {name: int(share) for name, share in exact.items()}
    rest = sorted(weights, key=lambda name: (shares[name] - exact[name], list(weights).index(name)))
    for name in rest[: size - sum(shares.values())]:
        shares[name] += 1
    return shares


@dataclass
class Draw:
    """An endless row of choices that follows from its key alone, the same on every machine."""

    key: str
    drawn: int = 0

    def below(self, limit: int) -> int:
        self.drawn += 1
        digest = hashlib.sha256(f"{self.key}:{self.drawn}".encode()).digest()
        return int.from_bytes(digest[:8]) % limit

    def one(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]


@dataclass(frozen=True)
class Subject:
    """A thing to write about."""

    name: str
    count: str
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class Brief:
    """What one prompt is to show; the model fills in what is left open."""

    category: str
    number: int
    subjects: tuple[Subject, ...]
    relation: str
    place: str
    light: str
    style: str
    text: str

    def __str__(self) -> str:
        """The brief as the model reads it: plain words, one thing after the other."""
        return " ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        yield f"Category: {self.category} (no. {self.number})."
        for place, s in enumerate(self.subjects, 1):
            with_attributes = f" ({', '.join(s.attributes)})" if s.attributes else ""
            yield f"Subject {place}: {s.count} {s.name}{with_attributes}."
        if self.relation:
            yield f"Relation: subject 1 {self.relation} subject 2."
        if self.text:
            yield f"Written words: “{self.text}”."
        yield f"Place: {self.place}. Light: {self.light}."
        if self.style:
            yield f"Style: {self.style}."

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)


def draw_brief(seeds: Seeds, category: str, number: int, seed: int) -> Brief:
    """The brief of this number of a category; it depends on the arguments alone."""
    own = seeds.by_name[category]
    draw = Draw(f"{seed}:{seeds.sha256}:{category}:{number}")
    chosen: dict[str, Category] = {}
    for _ in range(2 + draw.below(3)):
        source = own if not chosen or not own.along or draw.below(3) == 0 else seeds.by_name[draw.one(own.along)]
        chosen.setdefault(draw.one(source.subjects), source)
    counted = "counts" in own.needs
    subjects = tuple(_subject(seeds, draw, name, source, counted) for name, source in chosen.items())
    related = len(subjects) > 1 and ("relations" in own.needs or draw.below(4) > 0)
    lists = seeds.vocabulary
    ties = ("relations", "relations", "actions") if next(iter(chosen.values())).acts else ("relations",)
    return Brief(
        category=category,
        number=number,
        subjects=subjects,
        relation=draw.one(lists[draw.one(ties)]) if related else "",
        place=draw.one(lists["places"]),
        light=draw.one(lists["lights"]),
        style=draw.one(lists["styles"]) if "style" in own.needs or draw.below(3) == 0 else "",
        text=draw.one(lists["words"]) if "text" in own.needs or draw.below(10) == 0 else "",
    )


def _subject(seeds: Seeds, draw: Draw, name: str, source: Category, counted: bool) -> Subject:
    several = counted or draw.below(4) == 0
    count = NUMBERS[2 + draw.below(_MOST_COUNTED - 1)] if several else NUMBERS[1]
    names = [a for a in source.attributes if draw.below(3) > 0] or list(source.attributes[:1])
    return Subject(name, count, tuple(draw.one(seeds.vocabulary[a]) for a in names))
