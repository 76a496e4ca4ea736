"""Rows as the page shows them: texts before and after, the picture, and the evidence for what was decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from curation.report.asking import Root, Row, cut
from curation.report.looking_up import DETAIL, TEXT, Found, chosen_rows, look_up
from curation.report.pictures import Stored

_KINDS = 12  # of captions

Seen = Callable[[Stored], str | None]
"""The address of a stored image's thumbnail, relative to the page; None where there is none."""


Items = Mapping[tuple[str, str], str]
"""The addresses of thumbnails of evaluation items, by data set and id."""
_NO_ITEMS: Items = MappingProxyType({})


def read_rows(root: Root, seen: Seen) -> list[Row]:
    """The rows of the temporary table ``chosen``, in their order; wants their samples in ``listed``."""
    rows = chosen_rows(root)
    found = look_up(root)
    return [shown(row, found, seen) for row in rows]


def stored_images(found: Found, rows: Sequence[Row]) -> list[Stored]:
    """The images of these rows and of what they are near to."""
    places = (p.get(row["sample_id"]) for row in rows for p in (found.images, found.near))
    return [stored for place in places if place is not None and (stored := Stored.of(place)) is not None]


def shown(row: Row, found: Found, seen: Seen, items: Items = _NO_ITEMS) -> Row:
    """One row as the page has it."""
    ident = row["sample_id"]
    image = {} if row["reason"] == "repeated_row" else found.images.get(ident, {})
    stored = Stored.of(image)
    captions = found.captions.get(ident, [])
    kind = row["caption_kind"] or next((c["kind"] for c in captions if c["text"] == row["caption"]), None)
    made = {
        "id": ident,
        "file": row["source_file"],
        "row": row["source_row"],
        "url": cut(row["url"], TEXT),
        "alt": cut(row["alt_text"], TEXT),
        "alt_tokens": row["alt_text_clip_tokens"],
        "fate": row["fate"],
        "stage": row["stage"],
        "reason": row["reason"],
        "detail": cut(row["detail"], DETAIL),
        "caption": cut(row["caption"], TEXT),
        "kind": kind,
        "words": row["words"],
        "tokens": row["clip_tokens"],
        "split": row["split"],
        "shard": row["shard"],
        "picture": seen(stored) if stored is not None else None,
        "size": [image["width"], image["height"]] if image.get("width") else None,
        "evidence": _evidence(image),
        "near": _near(ident, found, seen, items) if image else None,
        "captions": captions[:_KINDS],
        "further": found.further.get(ident, []),
    }
    return {key: value for key, value in made.items() if value not in (None, [], "")}


def _evidence(image: Row) -> list[tuple[str, str]]:
    """What was found of an image when it was fetched: names and values for people."""
    holds = {True: "holds", False: "does not hold", None: None}[image.get("hash_matches")]
    lines = [
        ("opt-out", image.get("opt_out")),
        ("HTTP status", image.get("http_status")),
        ("redirected to", image.get("final_url")),
        ("fetched", _original(image)),
        ("hash of the list", holds),
    ]
    return [(name, str(cut(str(value), DETAIL))) for name, value in lines if value is not None]


def _original(image: Row) -> str | None:
    if not image.get("original_bytes"):
        return None
    size = f"{image['original_width']} × {image['original_height']} px, " if image.get("original_width") else ""
    return f"{size}{image.get('original_format') or 'unknown format'}, {image['original_bytes']:,} bytes"


def _near(ident: str, found: Found, seen: Seen, items: Items) -> Row | None:
    """What a sample is too near to: the image kept in its place, or an item of an evaluation set."""
    if (item := found.overlaps.get(ident)) is not None:
        names = {"role": "evaluation item", "id": item["item_id"], "dataset": item["dataset"], "url": item["item"]}
        there = {"detail": cut(item["detail"], DETAIL), "picture": items.get((item["dataset"], item["item_id"]))}
        return {**names, **there, "distance": item["distance"], "second": item["second_distance"]}
    near = found.near.get(ident)
    if near is None:
        return None
    stored = Stored.of(near)
    return {
        "role": "kept in its place",
        "id": near["keeper_id"],
        "cluster": near["cluster_id"],
        "distance": near["distance"],
        "second": near["second_distance"],
        "alt": cut(near["alt_text"], TEXT),
        "url": cut(near["url"], TEXT),
        "size": [near["width"], near["height"]] if near["width"] else None,
        "picture": seen(stored) if stored is not None else None,
    }
