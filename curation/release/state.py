"""The state of a root's tables, as its manifest has it: what follows from them alone stands while this is the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from curation.core import manifest
from curation.core.run import Step, parts_of
from curation.core.store import Store
from curation.release.views.create import tables_of
from curation.release.views.verdicts import verdict_views
from schemas.part import Part


def state_of(store: Store, steps: Sequence[Step], recipe: Part) -> str:
    """A hash over all that a root's views follow from: names and sums of tables, failures, recipe, and the views' SQL.

    No table is read. Times, places and who worked are not part of it.
    """
    begun = store.tables()
    tables = {record.table: manifest.state(store, record.table) for record in tables_of(steps) if record.table in begun}
    views = "\n".join(verdict_views(tuple(parts_of(steps))))
    text = json.dumps([recipe.model_dump(mode="json"), tables, views], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
