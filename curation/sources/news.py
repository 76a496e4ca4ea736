"""News layouts: VisualNews, NYTimes800k and GoodNews as they were published, read into images with their articles.

VisualNews is a list of pairs; its paths are relative to the list. NYTimes800k has one article a line, with the
captions among its sections. GoodNews is an object of articles by id. One row is one image with its caption.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from curation.core.errors import SourceError
from curation.sources.source_metadata import clean
from schemas.reasons import Reason

LayoutName = Literal["visualnews", "nytimes800k", "goodnews"]
LAYOUTS: tuple[LayoutName, ...] = get_args(LayoutName)

# The keys by which a record of each layout is recognised.
MARKS: dict[LayoutName, tuple[str, ...]] = {
    "visualnews": ("caption", "image_path"),
    "nytimes800k": ("parsed_section",),
    "goodnews": ("images",),
}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
# The keys whose values are fields of an item.
_READ: dict[LayoutName, frozenset[str]] = {
    "visualnews": frozenset(
        re.findall(r"\w+", "source image_path image_url caption topic date timestamp title headline article_path")
    ),
    "nytimes800k": frozenset(("headline", "section_name", "pub_date", "_id", "web_url", "split")),
    "goodnews": frozenset(("headline", "topic", "article_url", "_id")),
}
_READ_OF_IMAGE = frozenset(("type", "hash", "image_url", "url", "text", "caption"))
_SAFE = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True)
class Item:
    """One image with its caption and its article, as the source has them. ``image`` is relative to its folder.

    ``fault`` is the reason why the record cannot be used, and ``note`` what was found. ``further`` are the values of
    the record that are not in the other fields; those of an image stand under the key of the record's list of images.
    """

    image: str | None = None
    image_url: str | None = None
    caption: str | None = None
    outlet: str | None = None
    topic: str | None = None
    date: str | None = None
    headline: str | None = None
    article_id: str | None = None
    article_url: str | None = None
    split: str | None = None
    fault: Reason | None = None
    note: str | None = None
    further: Mapping[str, Any] = field(default_factory=dict)


def layout_of(value: Any) -> LayoutName | None:
    """The layout that a record has; None for no layout."""
    if not isinstance(value, dict):
        return None
    return next((name for name in LAYOUTS if all(mark in value for mark in MARKS[name])), None)


def items_of(layout: LayoutName, key: str | None, record: Any, where: str) -> Iterator[Item]:
    """The images of one record. A record that does not fit its layout gives one item with a fault.

    Raises ``SourceError`` for an image path that leads out of the source.
    """
    if not isinstance(record, dict):
        yield Item(fault=Reason.MALFORMED_ROW, note=f"a {type(record).__name__}; an object was expected")
        return
    match layout:
        case "visualnews":
            yield _visualnews(record, where)
        case "nytimes800k":
            yield from _nytimes(record, where)
        case "goodnews":
            yield from _goodnews(key, record, where)


def _visualnews(record: Mapping[str, Any], where: str) -> Item:
    outlet = _text(record.get("source"))
    return _item(
        image=inside(_text(record.get("image_path")), where),
        image_url=_text(record.get("image_url")),
        caption=_text(record.get("caption")),
        outlet=outlet,
        topic=_text(record.get("topic")),
        date=_day(record.get("date") or record.get("timestamp")),
        headline=_text(record.get("title") or record.get("headline")),
        article_id=_article(outlet or "visualnews", _text(record.get("article_path"))),
        article_url=_text(record.get("article_path")),
        further=_further("visualnews", record),
    )


def _nytimes(record: Mapping[str, Any], where: str) -> Iterator[Item]:
    sections = record.get("parsed_section")
    found = sections if isinstance(sections, list) else []
    captions = [s for s in found if isinstance(s, dict) and s.get("type") == "caption"]
    headline = record.get("headline")
    about: dict[str, Any] = {
        "outlet": "nytimes",
        "topic": _text(record.get("section_name") or record.get("news_desk")),
        "date": _day(record.get("pub_date")),
        "headline": _text(headline.get("main") if isinstance(headline, dict) else headline),
        "article_id": _article("nytimes", _text(record.get("_id"))),
        "article_url": _text(record.get("web_url")),
        "split": _text(record.get("split")),
        "further": _further("nytimes800k", record),
    }
    if not captions:
        note = "no section of type caption" if isinstance(sections, list) else f"parsed_section is {_kind(sections)}"
        yield Item(**about, fault=Reason.MALFORMED_ROW, note=note)
    for section in captions:
        name = _text(section.get("hash"))
        if name is not None and not _SAFE.fullmatch(name):
            raise _leads_out(name, where)
        yield _item(
            **{**about, "further": {**about["further"], "parsed_section": _of_image(section)}},
            image=None if name is None else f"{name}.jpg",
            image_url=_text(section.get("image_url") or section.get("url")),
            caption=_text(section.get("text")),
        )


def _goodnews(key: str | None, record: Mapping[str, Any], where: str) -> Iterator[Item]:
    images = record.get("images")
    article = key or _text(record.get("_id"))
    url = _text(record.get("article_url"))
    dated = re.search(r"/(\d{4})/(\d{2})/(\d{2})/", url or "")
    headline = record.get("headline")
    about: dict[str, Any] = {
        "outlet": "nytimes",
        "topic": _text(record.get("topic")),
        "date": "-".join(dated.groups()) if dated else None,
        "headline": _text(headline.get("main") if isinstance(headline, dict) else headline),
        "article_id": _article("goodnews", article),
        "article_url": url,
        "further": _further("goodnews", record),
    }
    if not isinstance(images, dict) or not images:
        yield Item(**about, fault=Reason.MALFORMED_ROW, note=f"images is {_kind(images)}; captions by number expected")
        return
    for number, image in images.items():
        name = f"{article}_{number}"
        if article is not None and not _SAFE.fullmatch(name):
            raise _leads_out(name, where)
        caption, address = (image.get("caption"), image.get("url")) if isinstance(image, dict) else (image, None)
        yield _item(
            **{**about, "further": {**about["further"], "images": _of_image(image)}},
            image=None if article is None else f"{name}.jpg",
            image_url=_text(address),
            caption=_text(caption),
        )


def _further(layout: LayoutName, record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in _READ[layout]}


def _of_image(image: Any) -> dict[str, Any]:
    return {k: v for k, v in image.items() if k not in _READ_OF_IMAGE} if isinstance(image, dict) else {}


def _item(**fields: Any) -> Item:
    """The item, with a fault where it has no caption or no image."""
    item = Item(**fields)
    if item.caption is None or not item.caption.strip():
        return Item(**fields, fault=Reason.NO_ALT_TEXT, note="the record has no caption")
    if item.image is None and item.image_url is None:
        return Item(**fields, fault=Reason.NO_URL, note="the record names no image")
    return item


def inside(path: str | None, where: str) -> str | None:
    """The path without ``./``; None for one that names no file, such as ``.``.

    Raises ``SourceError`` if it leads out of its folder.
    """
    plain = PurePosixPath((path or "").strip())
    if path is None or not plain.parts:
        return None
    if plain.is_absolute() or ".." in plain.parts or "\x00" in path or "\\" in path or ":" in plain.parts[0]:
        raise _leads_out(path, where)
    return str(plain)


def _leads_out(path: str, where: str) -> SourceError:
    return SourceError(
        f"{where} names the image {path[:200]!r}, which leads out of the source; it was not read. "
        "Images must lie in the source's own folder: correct the list or leave it out"
    )


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return clean(value) or None
    if isinstance(value, dict):  # MongoDB's extended JSON: {"$oid": …}, {"$date": …}
        return next((_text(value[k]) for k in ("$oid", "$date", "$numberLong") if k in value), None)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _day(value: Any) -> str | None:
    found = _DAY.match(_text(value) or "")
    return found.group() if found else None


def _article(outlet: str, name: str | None) -> str | None:
    return None if name is None else f"{outlet}:{name.removeprefix('./')}"


def _kind(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"
