"""What Prefect is told of a run: tables and links to look at, and an event that automations may wait for.

A Prefect API that does not answer never ends the work.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.events import emit_event
from prefect.runtime import deployment

from curation.core.store import Store, shown
from curation.report.write import PAGE


def publish_table(key: str, rows: Sequence[Mapping[str, str | int]], description: str) -> None:
    """A table artifact in Prefect."""
    with contextlib.suppress(Exception):
        create_table_artifact(key=artifact_key(key), table=[dict(row) for row in rows], description=description)


def publish_page(store: Store) -> None:
    """A link to the page of a root, where it has one."""
    with contextlib.suppress(Exception):
        if store.exists(PAGE):
            place = store.path(PAGE)
            link = Path(place).absolute().as_uri() if store.is_local else str(store.filesystem.unstrip_protocol(place))
            create_link_artifact(key="page", link=link, link_text=shown(link), description="the page of the root")


def announce(what: str, store: Store, counts: Mapping[str, int]) -> None:
    """The event ``lapidary.WHAT`` about a root, with its counts; of a deployment's runs only."""
    with contextlib.suppress(Exception):
        if deployment.id is None:
            return
        root = shown(store.url)
        resource = {"prefect.resource.id": f"lapidary.root.{root}", "prefect.resource.name": root}
        emit_event(f"lapidary.{what}", resource, payload={"root": root, **counts})


def artifact_key(name: str) -> str:
    """A name as keys of artifacts may be."""
    return name.replace("_", "-").lower()
