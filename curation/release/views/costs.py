"""What replies took, from the journal beside the tables, and what that costs by the recipe's prices.

Times and prices differ from run to run and must change no byte of a table: they are views only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Self

from curation.caption.model.ledger import FOLDER
from curation.core.store import Store
from curation.release.views.tables import comments, files_matching, literal
from schemas.anchor import BuildAnchor
from schemas.recipe import Chat, RefineLaion

_FILES = f"{FOLDER}/**/*.jsonl"
_REPLY = {
    "key": ("VARCHAR", "hash of all that the reply depends on; reply_key in captions"),
    "text": ("VARCHAR", "the reply"),
    "finish": ("VARCHAR", "stop, or length when it was cut at the token limit"),
    "tokens_in": ("INTEGER", "prompt tokens, image included"),
    "tokens_out": ("INTEGER", "reply tokens"),
    "seconds": ("DOUBLE", "latency: what the model took, all tries together, without the wait for a turn"),
}
_PRICES = {
    "part": "the part of the recipe that asks a model: caption or llm",
    "price_in": "of a million prompt tokens",
    "price_out": "of a million reply tokens",
    "price_hour": "of a GPU for an hour",
    "gpus": "of one server",
    "at_once": "requests in flight at one server; 1 where a model answers in process",
}
_ASKED = """
SELECT kind, 'caption' AS part, sample_id, reply_key,
    EXISTS (FROM placements p SEMI JOIN released USING (sample_id)
        WHERE p.sample_id = c.sample_id AND p.caption_kind = c.kind) AS kept
FROM captions c
"""
_ASKED_OF_NEWS = """
WITH every AS (
    SELECT kind, 'caption' AS part, sample_id, reply_key FROM captions
    UNION ALL
    SELECT DISTINCT 'entities', 'llm', sample_id, reply_key FROM entities
    UNION ALL
    SELECT 'subjects', 'llm', sample_id, unnest(reply_keys) FROM subjects
)
SELECT *, sample_id IN (SELECT p.sample_id FROM placements p SEMI JOIN released USING (sample_id)) AS kept FROM every
"""
_ASKED_COLUMNS = {
    "kind": "of caption, as in captions; of a news root entities and subjects too",
    "part": "as in prices",
    "sample_id": "as in rows",
    "reply_key": "as in replies",
    "kept": "whether what was asked for stands in the release: the preferred caption, or a news sample",
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


def prices_of(recipe: RefineLaion | BuildAnchor) -> tuple[Prices, ...]:
    """Those of every part of a recipe that asks a model."""
    caption = Prices.of(recipe.caption)
    return (caption, Prices.of(recipe.llm, "llm")) if isinstance(recipe, BuildAnchor) else (caption,)


def cost_views(store: Store, prices: Sequence[Prices], news: bool) -> Iterator[str]:
    """The SQL of the views ``replies``, ``prices``, ``asked`` and ``costs``; wants those of the tables."""
    yield _replies(store)
    yield "COMMENT ON VIEW replies IS 'The journal of model replies; each was paid for once'"
    yield from comments("replies", {column: doc for column, (_, doc) in _REPLY.items()})
    rows = ", ".join("(" + ", ".join(map(_value, astuple(p))) + ")" for p in prices)
    yield f"CREATE VIEW prices AS SELECT * FROM (VALUES {rows}) AS t({', '.join(_PRICES)})"  # noqa: S608  # quoted
    yield "COMMENT ON VIEW prices IS 'What the recipe says that replies cost, a row a part that asks a model'"
    yield from comments("prices", _PRICES)
    yield f"CREATE VIEW asked AS {_ASKED_OF_NEWS if news else _ASKED}"
    yield "COMMENT ON VIEW asked IS 'Which reply each sample has, a kind; samples may share one'"
    yield from comments("asked", _ASKED_COLUMNS)
    yield Path(__file__).with_name("costs.sql").read_text(encoding="utf-8").strip().removesuffix(";")


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
        ) WHERE key IS NOT NULL AND text IS NOT NULL"""  # noqa: S608  # quoted
