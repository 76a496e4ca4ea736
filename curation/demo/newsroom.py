"""Writes the demo world's news as five outlets in the published layouts, with the faults of real data.

Four outlets are in a VisualNews folder, the fifth in an NYTimes800k folder. ``truth.jsonl`` beside them holds the
entities and subjects of each caption from ``news_caption``, by image path.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curation.demo.news import NewsCaption, news_caption
from curation.demo.render import jpeg
from curation.demo.truth import Rng, Scene, generator, pick
from curation.demo.world import scene

OUTLETS = ("guardian", "bbc", "usa_today", "washington_post")
_TOPICS = ("world", "sport", "culture", "business", "science")
_AGENCIES = ("Getty Images", "AP Photo", "Reuters")
_PER_ARTICLE = 3  # images of an article, at most
_STREAM = 77  # keeps captions apart from the random streams of the scenes


def write_newsroom(
    folder: Path, *, seed: int = 0, scenes: int = 200, shown: Callable[[int, int], Scene] | None = None
) -> list[Path]:
    """Writes the sources and returns their folders; the same bytes for the same seed and number of scenes.

    ``shown`` gives the scene of a seed and a number; the default is the held-out part of the demo world.
    """
    drawn = shown or _heldout
    visualnews, nytimes = folder / "visualnews" / "origin", folder / "nytimes800k"
    records: list[dict[str, Any]] = []
    documents: dict[str, dict[str, Any]] = {}
    truth: list[str] = []
    for index in range(scenes):
        rng = generator(seed, index, _STREAM)
        photographed = drawn(seed, index)
        caption = news_caption(photographed, rng)
        article = index // _PER_ARTICLE
        if index % 5 == 4:
            name = f"{zlib.crc32(f'{seed}:{index}'.encode()):08x}"
            path = nytimes / "images_processed" / f"{name}.jpg"
            document = documents.setdefault(f"{article:024x}", _document(article))
            document["parsed_section"].append({"type": "caption", "text": _dressed(caption, index, rng), "hash": name})
        else:
            record = _record(index, article, _dressed(caption, index, rng))
            path = visualnews / record["image_path"]
            records.append(record)
        _write(path, jpeg(photographed), missing=index % 41 == 40)
        truth.append(json.dumps({"image": path.name, **dataclasses.asdict(caption)}, ensure_ascii=False))
    _dump(visualnews / "data.json", json.dumps([*records, *_faulty(records)], ensure_ascii=False))
    _dump(nytimes / "articles.jsonl", "".join(json.dumps(d, ensure_ascii=False) + "\n" for d in documents.values()))
    _dump(folder / "truth.jsonl", "\n".join(truth) + "\n")
    return [visualnews.parent, nytimes]


def _heldout(seed: int, index: int) -> Scene:
    return scene(seed, index, "heldout")


def _record(index: int, article: int, caption: str) -> dict[str, Any]:
    outlet = OUTLETS[article % len(OUTLETS)]
    return {
        "id": index,
        "caption": caption,
        "topic": _TOPICS[article % len(_TOPICS)],
        "source": outlet,
        "image_path": f"./{outlet}/images/{index // 100:04d}/{index}.jpg",
        "article_path": f"./{outlet}/articles/{article}.txt",
    }


def _document(article: int) -> dict[str, Any]:
    return {
        "_id": {"$oid": f"{article:024x}"},
        "split": "train",
        "web_url": f"https://news.example/{2015 + article % 5}/{1 + article % 12:02d}/11/{article}.html",
        "headline": {"main": f"Story {article}"},
        "pub_date": {"$date": f"{2015 + article % 5}-{1 + article % 12:02d}-11T08:00:00Z"},
        "parsed_section": [{"type": "paragraph", "text": "The story."}],
    }


def _dressed(caption: NewsCaption, index: int, rng: Rng) -> str:
    """The caption as an outlet prints it: mostly bare, sometimes with a credit, a label, markup, or twice."""
    agency = pick(rng, _AGENCIES)
    match index % 12:
        case 3:
            return f"{caption.text} Photograph: Ann Lee/{agency}"
        case 5:
            return f"Image caption {caption.text}"
        case 7:
            return f"<p>{caption.text}</p>"
        case 9:
            return f"{caption.text} ({agency})"
        case _:
            return caption.text


def _faulty(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records with missing fields, and one that repeats another."""
    bare = {k: v for k, v in records[0].items() if k != "caption"}
    nowhere = {k: v for k, v in records[0].items() if k != "image_path"}
    return [bare, nowhere, {**records[0], "caption": "AP"}, dict(records[1])]


def _write(path: Path, data: bytes, *, missing: bool) -> None:
    if not missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _dump(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
