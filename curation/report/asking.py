"""A root as its page asks it: the catalog's views, the product's parts, and answers as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from curation.catalog import connect
from curation.core.run import Part as StepPart
from curation.core.run import parts_of
from curation.core.store import Store
from curation.products import product_of
from curation.products.product import Product
from schemas.part import Part

Row = dict[str, Any]
"""An answer's row: column -> value as JSON has it."""


@dataclass(frozen=True)
class Root:
    """An opened root. ``views`` are the names of the catalog's views; which there are depends on the product."""

    store: Store
    connection: duckdb.DuckDBPyConnection
    product: Product[Any]
    recipe: Part
    parts: tuple[StepPart, ...]
    views: frozenset[str]

    @property
    def name(self) -> str:
        """The last part of its URL: a page that is passed on names no folders of this machine."""
        return self.store.url.rstrip("/").rsplit("/", 1)[-1] or "root"

    def ask(self, query: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows of an answer; numbers that JSON does not have become null."""
        found = self.connection.execute(query, list(values))
        names = [str(column[0]) for column in found.description or ()]
        return [dict(zip(names, map(_plain, row), strict=True)) for row in found.fetchall()]

    def has(self, *views: str) -> bool:
        """Whether the root's product has all of these views."""
        return self.views.issuperset(views)

    def columns(self, view: str) -> frozenset[str]:
        """The names of a view's columns."""
        query = "SELECT column_name FROM duckdb_columns() WHERE NOT internal AND table_name = ?"
        return frozenset(str(name) for (name,) in self.connection.execute(query, [view]).fetchall())

    def limit(self, key: str) -> Any:
        """What the recipe says under a key such as ``source.min_aesthetic``; None where it has no such key."""
        found: Any = self.recipe
        for name in key.split("."):
            found = getattr(found, name, None)
        return found


@contextmanager
def opened(url: str, *, lasting: bool = True) -> Iterator[Root]:
    """Opens a root for reading, while runs may follow or (not ``lasting``) for a moment; nothing is written.

    Raises ``RootError`` where there is none.
    """
    with connect(url, lasting=lasting, documented=False) as connection:
        store = Store(url)
        product, recipe = product_of(store)
        parts = tuple(parts_of(product.steps(recipe, ())))
        found = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        yield Root(store, connection, product, recipe, parts, frozenset(str(name) for (name,) in found))


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case list() | tuple():
            return [_plain(v) for v in value]
        case dict():
            return {str(k): _plain(v) for k, v in value.items()}
        case bytes():
            return value.hex()
    return str(value)


def cut(text: str | None, most: int) -> str | None:
    """A text of at most so many characters; ``…`` shows that it was cut."""
    return text if text is None or len(text) <= most else text[: most - 1] + "…"
