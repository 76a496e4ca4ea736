"""Finds images by words or by an image: ``lapidary search ROOT "two dogs on a beach"``, ``--like IMAGE``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from curation.catalog import connect
from curation.core.errors import LapidaryError, UsageError
from curation.core.invocation import command_of
from curation.core.printable import first_words, printable
from curation.core.root import open_root
from curation.core.store import Store
from curation.products import product_of
from curation.report.gallery import Card, Gallery, Group, Section, write_gallery

MODULE = "flows.search"
FOLDER = "report/search"
_ABOUT = """
Finds the images of a root that are most like a text or an image, by the embeddings that embed.model made. Prints them
and writes a page with their pictures (ROOT/report/search/index.html). The index is made in the root when it is first
asked for, and added to as the root grows.
"""
_MOST = 200
_LARGEST = 100_000_000  # bytes of an image that is asked about
_ROWS = """
SELECT s.sample_id, s.fate, coalesce(s.reason, '') AS reason, coalesce(s.caption, s.alt_text) AS text, s.url,
    i.sha256, i."offset", i.size, i.shard AS images_shard, i.width, i.height
FROM (FROM samples WHERE list_contains($ids, sample_id) AND reason IS DISTINCT FROM 'repeated_row') s
LEFT JOIN (FROM images WHERE list_contains($ids, sample_id)) i USING (sample_id)
"""


def search(store: Store, text: str, like: str | None, most: int) -> list[dict[str, Any]]:
    """The rows of the samples that are found, the likest first, each with its ``cosine``.

    Raises ``UsageError`` where the root has no embeddings, or for what is no image.
    """
    from curation.embed.index import open_index

    _, recipe = product_of(store)
    found = open_index(store)
    query = _embedded(getattr(recipe, "embed", None), text, like)
    if query.shape[-1] != found.width:
        raise UsageError(
            f"embed.model makes vectors of {query.shape[-1]} numbers, but the root's have {found.width}: the recipe "
            "names another model than made them; run the root again"
        )
    hits = found.search(query, most)
    with connect(store.url) as views:
        answer = views.execute(_ROWS, {"ids": [hit.sample_id for hit in hits]})
        names = [str(column[0]) for column in answer.description or ()]
        rows = {row[0]: dict(zip(names, row, strict=True)) for row in answer.fetchall()}
    return [{**rows[hit.sample_id], "cosine": hit.cosine} for hit in hits if hit.sample_id in rows]


def _embedded(recipe: Any, text: str, like: str | None) -> Any:
    """The vector of what is asked for."""
    from curation.caption.check.similarity import SimilarityModel

    if recipe is None or not recipe.model:
        raise UsageError("the root's recipe names no embed.model, which made its embeddings")
    picture = _read(like) if like is not None else None
    model = SimilarityModel(recipe.model, recipe.revision, recipe.device, key="embed", half=True)
    try:
        return (model.embed_texts([text]) if picture is None else model.embed_images([picture]))[0].numpy()
    except OSError as error:
        raise UsageError(f"{like} is no image that can be read: {printable(str(error))[:200]}") from error
    finally:
        model.close()


def _read(like: str) -> bytes:
    path = Path(like)
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{like} has more than {_LARGEST:,} bytes; name a smaller image")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {like}: {error.strerror}; name the file of an image") from error


def page(asked: str, rows: Sequence[dict[str, Any]], store: Store) -> str:
    """Writes the page of what was found; returns its path."""
    cards = [Card(f"{r['cosine']:.3f}", str(r["text"] or ""), r, f"{r['fate']} {r['reason']}".strip()) for r in rows]
    about = f"The {len(cards)} images that are most like it, by cosine."
    group = Group("Found", cards, "nothing was found")
    return write_gallery(store, store, FOLDER, Gallery("Lapidary: search", asked, about,
                                                       [Section("found", "Pictures", groups=[group])]))  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog=command_of(MODULE), description=_ABOUT.strip())
    made.add_argument("root", help="the dataset's root: a folder or any fsspec URL")
    made.add_argument("text", nargs="?", help="what to look for, in words")
    made.add_argument("--like", metavar="IMAGE", help="look for images like the one in this file")
    made.add_argument("--most", type=int, default=24, metavar="N", help="images to find (default %(default)s)")
    made.add_argument("--json", action="store_true", help="print an object a line")
    made.add_argument("--no-page", action="store_true", help="print only, write no page")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command line's exit code: 0, 1 where the root cannot be read, 2 for what cannot be asked."""
    args = parser().parse_args(argv)
    try:
        if bool((args.text or "").strip()) == (args.like is not None):
            raise UsageError("name either a text or --like IMAGE")
        if not 1 <= args.most <= _MOST:
            raise UsageError(f"--most is {args.most}; expected 1 to {_MOST}")
        store = open_root(args.root, shared=False)
        rows = search(store, args.text or "", args.like, args.most)
        asked = args.text if args.like is None else f"like {Path(args.like).name}"
        path = "" if args.no_page else page(asked, rows, store)
    except UsageError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except (LapidaryError, OSError, duckdb.Error) as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 1
    for row in rows:
        told = {key: row[key] for key in ("cosine", "sample_id", "fate", "reason", "text", "url")}
        line = f"{row['cosine']:.3f}  {row['sample_id']}  {row['fate']:<8}  {first_words(str(row['text'] or ''), 100)}"
        print(json.dumps(told, ensure_ascii=False) if args.json else line)
    if path and not args.json:
        print(f"page:     {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
