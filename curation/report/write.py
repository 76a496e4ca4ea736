"""Writes the page of a root: ``report/index.html`` with its thumbnails beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from curation.core.store import Store
from curation.products import steps_of
from curation.release.state import state_of
from curation.report import distributions, figures, history, texts
from curation.report.asking import Root, Row, opened
from curation.report.choosing import SAMPLE, choose_sample
from curation.report.evaluation import item_pictures
from curation.report.looking_up import chosen_rows, look_up
from curation.report.page import ICON, INDEX, encoded, icon, render, title_of
from curation.report.pictures import FOLDER, Stored, write_thumbnails
from curation.report.rows import Seen, shown, stored_images

REPORT = "report/"
PAGE = REPORT + INDEX
"""Where the page stands in a root."""
_KEY = "made_from.json"
_VERSION = 1  # raised when the page of the same root becomes another one
MOST_DATA = 14_000_000
"""Bytes of the rows that the page holds: texts may be long."""


@dataclass(frozen=True)
class Written:
    """What was written. ``page`` is the path of index.html; ``made`` is False where it stood already."""

    page: str
    rows: int
    shown: int
    thumbnails: int
    made: bool


def write_report(store: Store, target: Store | None = None, *, always: bool = True, most: int = SAMPLE) -> Written:
    """Makes the page of a root, in the root or in another folder; the same root gives the same bytes.

    Without ``always`` nothing is done where a page stands that was made from the same tables. Raises ``RootError``
    where there is no root, and ``StoreError`` where nothing can be written.
    """
    prefix = REPORT if target is None else ""
    target = target or store
    page, key = target.path(prefix + INDEX), _made_from(store, most)
    if not always and (there := _standing(target, prefix, key)) is not None:
        return there
    target.remove(prefix + _KEY)
    with opened(store.url, lasting=False) as root:
        rows = choose_sample(root, most)
        chosen, found, members = chosen_rows(root), look_up(root), figures.clusters(root)
        wanted = [s for m in members if (s := figures.cluster_image(m)) is not None]
        overlaps = (found.overlaps.get(row["sample_id"]) for row in chosen)
        items = item_pictures(store, (overlap for overlap in overlaps if overlap is not None))
        wanted += stored_images(found, chosen)
        names = write_thumbnails(store, target, prefix + FOLDER, wanted, dict(items.values()))
        seen = _seen(names)
        of_items = {key: f"{FOLDER}/{name}" for key, (name, _) in items.items()}
        lines = _within([shown(row, found, seen, of_items) for row in chosen])
        data = summary(root, members, seen, served=False)
        states = history.remember(history.read_states(target, prefix), data.pop("state"))
        data |= {"rows": lines, "sample": {"rows": len(lines), "of": rows}, "changes": history.changes(states)}
        title = root.name
    target.write(prefix + ICON, icon())
    target.write(prefix + INDEX, render(title_of(title), data))
    target.write(prefix + history.FILE, json.dumps(states, ensure_ascii=False).encode())
    written = Written(page, rows, len(lines), len(names), made=True)
    known = {"key": key, "rows": rows, "shown": len(lines), "thumbnails": len(names)}
    target.write(prefix + _KEY, json.dumps(known).encode())
    return written


def summary(root: Root, members: list[Row], seen: Seen, *, served: bool) -> dict[str, Any]:
    """All of the page's data but its rows; ``state`` is for the history."""
    funnel, latest = figures.funnel(root), figures.runs(root)
    run_id = latest[0]["run_id"] if latest else ""
    return {
        "root": root.name,
        "product": root.product.name,
        "about": root.product.about,
        "served": served,
        "funnel": funnel,
        "clusters": figures.shown_clusters(members, seen),
        "distributions": distributions.distributions(root),
        "lengths": texts.lengths(root),
        "openings": texts.openings(root),
        "words": texts.words(root),
        "hosts": figures.hosts(root),
        "costs": figures.costs(root),
        "runs": latest,
        "state": history.state_of(root, funnel, run_id),
    }


def _seen(names: set[str]) -> Callable[[Stored], str | None]:
    return lambda stored: f"{FOLDER}/{stored.name}" if stored.name in names else None


def _within(rows: list[Row]) -> list[Row]:
    """The rows that ``MOST_DATA`` holds, in their order."""
    left = MOST_DATA
    kept = []
    for row in rows:
        left -= len(encoded(row).encode("utf-8", "replace"))
        if left < 0:
            break
        kept.append(row)
    return kept


def _made_from(store: Store, most: int) -> str:
    """A hash of all that the page follows from, but for the times of runs: the manifest and the recipe."""
    steps, recipe = steps_of(store)
    text = json.dumps([_VERSION, most, state_of(store, steps, recipe)])
    return hashlib.sha256(text.encode()).hexdigest()


def _standing(target: Store, prefix: str, key: str) -> Written | None:
    """What was written before, where it was made from the same."""
    if not (target.exists(prefix + _KEY) and target.exists(prefix + INDEX)):
        return None
    try:
        known = json.loads(target.read(prefix + _KEY))
        if known["key"] != key:
            return None
        counts = (int(known["rows"]), int(known["shown"]), int(known["thumbnails"]))
    except (ValueError, KeyError, TypeError):
        return None
    return Written(target.path(prefix + INDEX), *counts, made=False)
