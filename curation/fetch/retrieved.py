"""When each image was fetched, beside the tables: ``retrieved/<shard>.parquet``.

The time differs from run to run. No table, tar or manifest may hold it, or else a run that was killed and resumed would
not end byte-identical; it is in the catalog's view ``retrievals``, joined by ``sample_id``.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from curation.core.errors import StoreError
from curation.core.store import Store, encoded
from curation.fetch.process_row import HashedRow
from schemas.arrow import rows_of, table_of
from schemas.records import ImageRow
from schemas.signals import Retrieval


def keep_times(store: Store, shard: str, rows: Iterable[ImageRow]) -> None:
    """Writes when these rows were fetched; those that are known from earlier keep their times."""
    new = {r.sample_id: r.retrieved_at for r in rows if isinstance(r, HashedRow) and r.retrieved_at is not None}
    if new:
        known = _known(store, shard) | new
        times = [Retrieval(sample, round(at, 3)) for sample, at in sorted(known.items())]
        store.write(retrieved_file(shard), encoded(table_of(Retrieval, times)))


def retrieved_file(shard: str) -> str:
    return f"retrieved/{shard}.parquet"


def _known(store: Store, shard: str) -> dict[str, float]:
    name = retrieved_file(shard)
    if not store.exists(name):
        return {}
    try:
        return {row.sample_id: row.retrieved_at for row in rows_of(Retrieval, store.read_parquet(name))}
    except (StoreError, pa.ArrowException, TypeError):
        return {}  # damaged: times of earlier fetches are lost, and nothing else
