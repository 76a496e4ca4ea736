"""Croissant 1.1: the release described for machines, as JSON-LD."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from curation.caption.languages import code_of
from curation.load.features import FOLDER, SUFFIX, VISUAL
from curation.release.facts import ReleaseFacts
from curation.release.members import METADATA
from schemas.arrow import Column
from schemas.recipe import ReleaseForm

_STATES = {FOLDER: "a language model for the captions", VISUAL: "a vision model for windows or pictures"}
_TYPES: dict[pa.DataType, str] = {
    pa.string(): "sc:Text",
    pa.int64(): "cr:Int64",
    pa.int32(): "cr:Int32",
    pa.uint64(): "cr:UInt64",
    pa.float32(): "cr:Float32",
    pa.float64(): "cr:Float64",
    pa.bool_(): "sc:Boolean",
}

# Suffix of a tar's image members -> their media type.
_IMAGES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
_TEXTS = ("caption", "alt_text", "split")  # the columns that stand beside the images

# The vocabulary of Croissant 1.1 as its specification spells it.
_TERMS = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject"),
    *("fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5"),
    *("parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate"),
    *("separator", "source", "subField", "transform"),
)
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{term: f"cr:{term}" for term in _TERMS},
}


def files_of(card: str, facts: ReleaseFacts, form: ReleaseForm, language: str, about: str) -> dict[str, bytes]:
    """README.md with the card, and croissant.json; ``about`` says in a sentence what the release is."""
    return {"README.md": card.encode(), "croissant.json": croissant(facts, form, language, about)}


def croissant(facts: ReleaseFacts, form: ReleaseForm, language: str, about: str) -> bytes:
    """The bytes of croissant.json; paths in it are relative to the folder that holds it."""
    fields: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": form.name,
        "description": about,
        "license": form.license,
        "usageInfo": form.license_note,
        "inLanguage": code_of(language) if language else None,
        "version": "1.0.0",
        "isLiveDataset": False,
        "distribution": list(_distribution(facts, form.images)),
        "recordSet": list(_record_sets(facts, form.images)),
    }
    spelled = {key: value for key, value in fields.items() if value not in (None, [])}
    return (json.dumps(spelled, ensure_ascii=False, indent=1) + "\n").encode()


def _distribution(facts: ReleaseFacts, images: bool) -> Iterator[dict[str, Any]]:
    """Every tar as a file of its own (a reader opens archives only so), the images in them, the metadata."""
    tars = {name: sha256 for name, sha256 in facts.files.items() if name.endswith(".tar")}
    for name, sha256 in tars.items():
        yield {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "description": f"WebDataset shard of the split {name.rpartition('-')[0]}.",
            "contentUrl": name,
            "encodingFormat": "application/x-tar",
            "sha256": sha256,
        }
    if tars and images:
        yield {
            "@type": "cr:FileSet",
            "@id": "images",
            "name": "images",
            "description": "The images of all shards; a file's name is the sample_id of its sample.",
            "containedIn": [{"@id": name} for name in tars],
            "encodingFormat": list(_IMAGES.values()),
            "includes": [f"*{suffix}" for suffix in _IMAGES],
        }
    if facts.samples:
        yield {
            "@type": "cr:FileSet",
            "@id": "metadata",
            "name": "metadata",
            "description": "One row a sample; SHA256SUMS has the hashes.",
            "encodingFormat": "application/x-parquet",
            "includes": "metadata/*.parquet",
        }
    for folder, of in _STATES.items():
        if any(name.startswith(f"{folder}/") for name in facts.files):
            yield {
                "@type": "cr:FileSet",
                "@id": folder,
                "name": folder,
                "description": f"Hidden states of {of} of each shard; README.md says which.",
                "encodingFormat": "application/octet-stream",
                "includes": f"{folder}/*{SUFFIX}",
            }


def _record_sets(facts: ReleaseFacts, images: bool) -> Iterator[dict[str, Any]]:
    if facts.samples:
        yield _splits(facts)
        yield _samples()
        if images:
            yield _pairs()


def _splits(facts: ReleaseFacts) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "The splits there are.",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            {"@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text"},
            {"@type": "cr:Field", "@id": "splits/samples", "name": "samples", "dataType": "cr:Int64"},
        ],
        "data": [{"splits/name": split, "splits/samples": count} for split, count in facts.samples.items()],
    }


def _samples() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "samples",
        "name": "samples",
        "description": "Every sample with its annotations and where its image lies; no image is read.",
        "key": {"@id": "samples/sample_id"},
        "field": [_column("samples", column) for column in METADATA],
    }


def _pairs() -> dict[str, Any]:
    """Images beside their texts: what a member's name and a row's sample_id have in common joins them."""
    columns = {column.name: column for column in METADATA}
    key = {
        **_column("pairs", columns["sample_id"]),
        "source": {
            "fileSet": {"@id": "images"},
            "extract": {"fileProperty": "filename"},
            "transform": {"regex": r"([^./]+)\.\w+$"},
        },
        "references": {"fileSet": {"@id": "metadata"}, "extract": {"column": "sample_id"}},
    }
    image = {
        "@type": "cr:Field",
        "@id": "pairs/image",
        "name": "image",
        "description": "the image, decoded",
        "dataType": "sc:ImageObject",
        "source": {"fileSet": {"@id": "images"}, "extract": {"fileProperty": "content"}},
    }
    return {
        "@type": "cr:RecordSet",
        "@id": "pairs",
        "name": "pairs",
        "description": "Every image with its caption.",
        "key": {"@id": "pairs/sample_id"},
        "field": [key, image, *(_column("pairs", columns[name]) for name in _TEXTS)],
    }


def _column(record_set: str, column: Column) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{column.name}",
        "name": column.name,
        "description": column.doc,
        "dataType": _TYPES[column.arrow],
        "source": {"fileSet": {"@id": "metadata"}, "extract": {"column": column.name}},
    }
