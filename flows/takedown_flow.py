"""A takedown as a Prefect flow, for a deployment: its parameters are those of ``flows.takedown.take_down``."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import get_type_hints

from prefect import flow

from curation.core.errors import LapidaryError
from curation.core.store import Store, shown
from flows.announce import announce, publish_table
from flows.takedown import take_down


@wraps(take_down)
def _told(root: str, *words: object, **named: object) -> dict[str, int]:
    found = take_down(root, *words, **named)  # type: ignore[arg-type]  # the signature is that of take_down
    store = Store(root)
    publish_table("takedown", [found], f"what a takedown of {shown(root)} came to")
    announce("takedown.ended", store, found)
    if found["left"]:
        raise LapidaryError(
            f"{found['left']:,} places of {shown(root)} still hold something that was to be gone; the run's output "
            "names them"
        )
    return found


# Prefect looks up what annotations name in the module of the function that it is given, which is this one.
_told.__annotations__ = get_type_hints(take_down)
_told.__signature__ = inspect.signature(take_down, eval_str=True)  # type: ignore[attr-defined]
takedown = flow(name="takedown", description="Takes samples out of a root for good.", persist_result=False)(_told)
