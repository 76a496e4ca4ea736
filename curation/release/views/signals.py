"""The views ``signals_by_host`` (what hosts and image files say of use for training) and ``retrievals``."""

from __future__ import annotations

from collections.abc import Iterator

from curation.core.sql import literal
from curation.core.store import Store
from curation.release.views.tables import comments, files_matching
from curation.signals.headers import LAST_MODIFIED
from schemas.signals import Retrieval, SignalRow

_DOCS = {
    "host": "the host that said so; null where the image files themselves do",
    "what": "as in signals",
    "verdict": "as in signals",
    "images": "images of which it was said",
    "honoured": "images that were rejected for it",
    "example": "one of the texts, the first by the alphabet; untrusted",
}


def signal_views(store: Store) -> Iterator[str]:
    """The SQL of the views; wants that of the table."""
    yield f"""CREATE VIEW signals_by_host AS
SELECT host, what, verdict, count(DISTINCT sample_id) AS images,
    count(DISTINCT sample_id) FILTER (honoured) AS honoured, min(verbatim) AS example
FROM {SignalRow.table} WHERE what <> '{LAST_MODIFIED}' GROUP BY host, what, verdict
ORDER BY honoured DESC, images DESC, host, what, verdict"""  # noqa: S608  # a table's name
    yield "COMMENT ON VIEW signals_by_host IS 'Opt-outs and licences by host, with how many images they concern'"
    yield from comments("signals_by_host", _DOCS)
    yield f"CREATE VIEW {Retrieval.table} AS {_retrievals(store)}"
    yield f"COMMENT ON VIEW {Retrieval.table} IS 'When each image was fetched; no table has it: runs differ in it'"
    yield from comments(Retrieval.table, {"sample_id": "as in rows", "retrieved_at": "in UTC"})


def _retrievals(store: Store) -> str:
    if not store.names("retrieved", ".parquet"):
        return "SELECT NULL::VARCHAR AS sample_id, NULL::TIMESTAMP AS retrieved_at WHERE false"
    files = literal(files_matching(store, "retrieved/*.parquet"))
    return (
        "SELECT sample_id, make_timestamp((retrieved_at * 1000000)::BIGINT) AS retrieved_at "  # noqa: S608  # quoted
        f"FROM read_parquet({files}, hive_partitioning = false)"
    )
