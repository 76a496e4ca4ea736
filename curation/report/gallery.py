"""A page of tables and pictures with one question for its heading, such as that of a search: written, never served.

It stands beside the page of the root, in a folder of its own, with the same policy: texts are text nodes, pictures are
decoded and encoded anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.core.store import Store
from curation.report.asking import cut
from curation.report.page import ICON, INDEX, icon, render
from curation.report.pictures import FOLDER, Stored, write_thumbnails

_SCRIPTS = ("dom.js", "card.js", "gallery.js")
_TEXT = 600  # characters of a text


@dataclass(frozen=True)
class Card:
    """A picture with its text. ``image`` is a row with the columns that ``Stored.of`` reads, and width and height."""

    value: str
    text: str
    image: Mapping[str, Any]
    note: str = ""

    @property
    def stored(self) -> Stored | None:
        return Stored.of(self.image)


@dataclass(frozen=True)
class Group:
    """Cards under one heading; ``none`` is said where there are none."""

    title: str
    cards: Sequence[Card]
    none: str = "none"


@dataclass(frozen=True)
class Section:
    """A part of the page: a table, sentences and groups of pictures. ``right`` are the columns of numbers."""

    id: str
    title: str
    about: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str | int]] = ()
    right: Sequence[int] = ()
    notes: Sequence[str] = ()
    groups: Sequence[Group] = ()


@dataclass(frozen=True)
class Gallery:
    """A page. ``tiles`` are large numbers at its top: a number, what it counts, and kept, rejected or empty."""

    eyebrow: str
    title: str
    about: str
    sections: Sequence[Section]
    tiles: Sequence[tuple[int, str, str]] = ()

    def cards(self) -> Iterator[Card]:
        return (card for section in self.sections for group in section.groups for card in group.cards)


def write_gallery(source: Store, target: Store, folder: str, gallery: Gallery) -> str:
    """Writes ``folder/index.html`` with its thumbnails into the target; returns its path. Raises ``StoreError``."""
    wanted = [stored for card in gallery.cards() if (stored := card.stored) is not None]
    names = write_thumbnails(source, target, f"{folder}/{FOLDER}", wanted)
    target.write(f"{folder}/{ICON}", icon())
    data = {
        "eyebrow": gallery.eyebrow,
        "title": cut(gallery.title, _TEXT),
        "about": gallery.about,
        "tiles": [{"number": n, "name": called, "kind": kind} for n, called, kind in gallery.tiles],
        "parts": [_part(section, names) for section in gallery.sections],
    }
    target.write(f"{folder}/{INDEX}", render(gallery.eyebrow, data, scripts=_SCRIPTS))
    return target.path(f"{folder}/{INDEX}")


def _part(section: Section, names: set[str]) -> dict[str, Any]:
    return {
        "id": section.id,
        "title": section.title,
        "about": section.about,
        "columns": [{"name": c, "right": at in section.right} for at, c in enumerate(section.columns)],
        "rows": [list(row) for row in section.rows],
        "notes": list(section.notes),
        "groups": [
            {"title": g.title, "none": g.none, "cards": [_card(card, names) for card in g.cards]}
            for g in section.groups
        ],
    }


def _card(card: Card, names: set[str]) -> dict[str, Any]:
    stored = card.stored
    return {
        "value": card.value,
        "text": cut(card.text, _TEXT),
        "note": card.note,
        "size": [card.image.get("width"), card.image.get("height")],
        "picture": f"{FOLDER}/{stored.name}" if stored is not None and stored.name in names else None,
    }
