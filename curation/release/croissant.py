"""Croissant 1.1: the release described for machines, as JSON-LD."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from curation.release.facts import ReleaseFacts
from curation.release.members import METADATA
from schemas.recipe import ReleaseForm
from schemas.refine import RefineLaion

_TYPES: dict[pa.DataType, str] = {
    pa.string(): "sc:Text",
    pa.int64(): "cr:Int64",
    pa.int32(): "cr:Int32",
    pa.uint64(): "cr:UInt64",
    pa.float32(): "cr:Float32",
    pa.float64(): "cr:Float64",
    pa.bool_(): "sc:Boolean",
}

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


def croissant(facts: ReleaseFacts, recipe: RefineLaion) -> bytes:
    """The bytes of croissant.json; paths in it are relative to the folder that holds it."""
    about = (
        f"{facts.total} image-text pairs from the web with captions by a vision-language model beside their alt "
        "texts. README.md tells how they were chosen."
    )
    return describe(facts, recipe.export, recipe.check.language, about)


def describe(facts: ReleaseFacts, form: ReleaseForm, language: str, about: str) -> bytes:
    """The same for any release: ``about`` says in a sentence what it is."""
    fields: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": form.name,
        "description": about,
        "license": form.license,
        "usageInfo": form.license_note,
        "inLanguage": language or None,
        "version": "1.0.0",
        "isLiveDataset": False,
        "distribution": list(_distribution(facts)),
        "recordSet": [_splits(facts), _samples()] if facts.samples else [],
    }
    spelled = {key: value for key, value in fields.items() if value not in (None, [])}
    return (json.dumps(spelled, ensure_ascii=False, indent=1) + "\n").encode()


def _distribution(facts: ReleaseFacts) -> Iterator[dict[str, Any]]:
    for split in facts.samples:
        yield {
            "@type": "cr:FileSet",
            "@id": f"{split}-shards",
            "name": f"{split}-shards",
            "description": f"WebDataset shards of the split {split}; SHA256SUMS has their hashes.",
            "encodingFormat": "application/x-tar",
            "includes": f"{split}-*.tar",
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
        "description": "Every sample with its annotations and where its image lies.",
        "key": {"@id": "samples/sample_id"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"samples/{column.name}",
                "name": column.name,
                "description": column.doc,
                "dataType": _TYPES[column.arrow],
                "source": {"fileSet": {"@id": "metadata"}, "extract": {"column": column.name}},
            }
            for column in METADATA
        ],
    }
