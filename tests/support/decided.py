"""Decisions as the server writes them, and what a release holds of its samples."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

from curation.core.store import Store
from curation.reviews.journal import new_id, read_all, write
from schemas.reviews import Action, Review


def decide(store: Store, sample: str, action: str, **said: Any) -> str:
    """Writes a decision as the server does; its id."""
    earlier = [r.review_id for r in read_all(store)]
    review_id, at = new_id(max(earlier, default=""))
    given = dict.fromkeys(f for f in Review.__dataclass_fields__ if f not in ("table",))
    given |= {"review_id": review_id, "at": at, "sample_id": sample, "who": "ann", "action": Action(action)}
    write(store, Review(**(given | said)))
    return review_id


def released(store: Store) -> dict[str, tuple[str, dict[str, Any]]]:
    """What the tars hold: sample -> its .txt and its .json."""
    found: dict[str, dict[str, bytes]] = {}
    for name in store.names("release", ".tar"):
        with tarfile.open(fileobj=io.BytesIO(store.read(f"release/{name}"))) as tar:
            for member in tar:
                sample, _, kind = member.name.partition(".")
                found.setdefault(sample, {})[kind] = tar.extractfile(member).read()  # type: ignore[union-attr]
    return {s: (m["txt"].decode(), json.loads(m["json"])) for s, m in found.items()}
