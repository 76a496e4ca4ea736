"""Tokens and seconds of replies, from the journal beside the tables, and their cost by the recipe's prices.

Times and prices differ from run to run and must change no byte of a table: they are views only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Self

from curation.caption.model.ledger import FOLDER
from curation.core.sql import literal
from curation.core.store import Store
from curation.core.verdict import Pays, Replies
from curation.release.views.tables import comments, files_matching
from schemas.chat import Captioning, Chat
from schemas.part import Part
from schemas.records import Placement, Released

_FILES = f"{FOLDER}/**/*.jsonl"
_REPLY = {
    "key": ("VARCHAR", "hash of all that the reply depends on; reply_key in captions"),
    "text": ("VARCHAR", "the reply; null where it could not be used, which was paid for all the same"),
    "finish": ("VARCHAR", "stop, or length when it was cut at the token limit"),
    "tokens_in": ("INTEGER", "prompt tokens, image included"),
    "tokens_out": ("INTEGER", "reply tokens"),
    "seconds": ("DOUBLE", "latency: what the model took, all tries together, without the wait for a turn"),
    "reason": ("VARCHAR", "why a reply could not be used"),
    "detail": ("VARCHAR", "what was found, and the first words of the reply"),
    "said": ("VARCHAR", "the start of a reply that could not be used"),
}
_PRICES = {
    "part": "the table of the recipe that names the model",
    "price_in": "of a million prompt tokens",
    "price_out": "of a million reply tokens",
    "price_hour": "of a GPU for an hour",
    "gpus": "of one server",
    "at_once": "requests in flight at one server; 1 where a model answers in process",
}
_ASKED_COLUMNS = {
    "kind": "what was asked for: a kind of caption, as in captions, or what else a stage asks a model for",
    "model": "which one answered, as the table of its replies has it",
    "part": "as in prices",
    "sample_id": "as in rows",
    "reply_key": "as in replies",
    "kept": "whether it was of use: the sample stands in the release, and a caption is the preferred one",
}


@dataclass(frozen=True)
class Prices:
    """What a part of a recipe pays for; 0 where it does not say."""

    part: str = "caption"
    price_in: float = 0.0
    price_out: float = 0.0
    price_hour: float = 0.0
    gpus: int = 1
    at_once: int = 1

    @classmethod
    def of(cls, recipe: Chat, part: str = "caption") -> Self:
        at_once = recipe.concurrency if recipe.backend == "server" else 1
        return cls(part, recipe.price_in, recipe.price_out, recipe.price_hour, recipe.serve.tensor_parallel, at_once)


def prices_of(recipe: Part) -> tuple[Prices, ...]:
    """Those of every table of a recipe that names a model, and of every kind of caption that names its own."""
    found = [(name, table) for name, table in _tables(recipe) if isinstance(table, Chat)]
    captions = [table for _, table in found if isinstance(table, Captioning)]
    found += [(kind.table, table.asked_of(kind)) for table in captions for kind in table.kinds if kind.own()]
    return tuple(Prices.of(table, name) for name, table in found)


def _tables(recipe: Part, before: str = "") -> Iterator[tuple[str, Part]]:
    """All tables of a recipe with their names, those inside of others behind these."""
    for name in type(recipe).model_fields:
        if isinstance(table := getattr(recipe, name), Part):
            yield before + name, table
            yield from _tables(table, f"{before}{name}.")


def cost_views(store: Store, prices: Sequence[Prices], parts: Sequence[object]) -> Iterator[str]:
    """The SQL of the views ``replies``, ``prices``, ``asked`` and ``costs``; wants those of the tables."""
    yield _replies(store)
    yield "COMMENT ON VIEW replies IS 'The journal of model replies; each was paid for once'"
    yield from comments("replies", {column: doc for column, (_, doc) in _REPLY.items()})
    rows = ", ".join("(" + ", ".join(map(_value, astuple(p))) + ")" for p in prices)
    none = ", ".join("NULL" for _ in _PRICES)
    body = f"(VALUES {rows or f'({none})'}) AS t({', '.join(_PRICES)})"
    yield f"CREATE VIEW prices AS SELECT * FROM {body}{'' if rows else ' WHERE false'}"  # noqa: S608  # quoted
    yield "COMMENT ON VIEW prices IS 'What the recipe says that replies cost, a row a part that asks a model'"
    yield from comments("prices", _PRICES)
    yield f"CREATE VIEW asked AS {_asked(parts)}"
    yield "COMMENT ON VIEW asked IS 'Which reply each sample has, a kind; samples may share one'"
    yield from comments("asked", _ASKED_COLUMNS)
    yield Path(__file__).with_name("costs.sql").read_text(encoding="utf-8").strip().removesuffix(";")


def _asked(parts: Sequence[object]) -> str:
    """A row for each reply that a sample has, of all parts that ask a model."""
    paid = [p.replies for p in parts if isinstance(p, Pays)]
    found = [_asked_by(replies) for replies in paid if replies is not None]
    none = ", ".join(f"NULL::VARCHAR AS {c}" for c in ("kind", "model", "part", "sample_id", "reply_key"))
    nothing = f"SELECT {none}, false AS kept WHERE false"
    return " UNION ALL ".join(found or [nothing])


def _asked_by(replies: Replies) -> str:
    of_kind = " AND p.caption_kind = c.kind" if replies.by_kind else ""
    own = " ".join(f"WHEN {literal(kind)} THEN {literal(part)}" for kind, part in replies.own)
    part = f"CASE kind {own} ELSE {literal(replies.part)} END" if own else literal(replies.part)
    return (
        f"SELECT kind, coalesce(model, '') AS model, {part} AS part, sample_id, reply_key, "  # noqa: S608  # our own
        f"EXISTS (FROM {Placement.table} p SEMI JOIN {Released.table} USING (sample_id) "
        f"WHERE p.sample_id = c.sample_id{of_kind}) AS kept FROM {replies.relation} c"
    )


def _value(value: str | float) -> str:
    return literal(value) if isinstance(value, str) else repr(value)


def _replies(store: Store) -> str:
    if not store.filesystem.glob(store.path(_FILES)):
        nothing = ", ".join(f"NULL::{sql} AS {column}" for column, (sql, _) in _REPLY.items())
        return f"CREATE VIEW replies AS SELECT {nothing} WHERE false"
    pattern = literal(files_matching(store, _FILES))
    form = ", ".join(f'"{column}":"{sql}"' for column, (sql, _) in _REPLY.items())
    # A killed writer may leave a torn line, and a worker that was given up a second copy.
    return f"""
        CREATE VIEW replies AS
        SELECT DISTINCT ON (key) * FROM (
            SELECT unnest(from_json(line, '[{{{form}}}]'), recursive := true)
            FROM (SELECT unnest(string_split(content, chr(10))) AS line FROM read_text({pattern}))
            WHERE json_valid(line)
        ) WHERE key IS NOT NULL AND (text IS NOT NULL OR reason IS NOT NULL)"""  # noqa: S608  # quoted
