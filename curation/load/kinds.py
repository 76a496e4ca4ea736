"""Which kinds of caption the samples of a release have, by the metadata beside its tars."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import fsspec

from curation.core.errors import RootError
from curation.load.shards import Part, annotation_of, find_splits, metadata_of, read_part

_LOOK = 1000  # rows of metadata that are looked at together

ALWAYS = frozenset({"alt_text", "preferred"})
"""The kinds of caption that every release has."""


def must_have_kinds(root_or_release_url: str, shards: Sequence[str], weights: Mapping[str, float]) -> None:
    """Raises ``ValueError`` for a kind that is drawn and that no sample of a release has, where its metadata tell.

    ``shards`` are the tars that are read. A kind that only the other splits have is none that was misspelt.
    """
    others = (url for urls in find_splits(root_or_release_url).values() for url in urls if url not in shards)
    if missing := missing_kinds(chain(shards, others), weights, cheaply=True):
        raise ValueError(missing)


def missing_kinds(urls: Iterable[str], weights: Mapping[str, float], *, cheaply: bool = False) -> str:
    """Which kinds that are drawn no sample of the tars has, in a line; nothing where all are there.

    It reads no further than to the last kind, most often a few rows of the first tar's metadata. A tar without such
    has its samples read; ``cheaply``, it may have all kinds.
    """
    wanted = {kind for kind, weight in weights.items() if weight > 0} - ALWAYS
    seen: set[str] = set()
    for url in urls if wanted else ():
        found = _kinds_in_metadata(url, wanted - seen)
        if found is None and cheaply:
            return ""
        seen |= found or (set() if found is not None else _kinds_in_samples(url))
        if wanted <= seen:
            return ""
    if not (missing := sorted(wanted - seen)):
        return ""
    return f"no sample has a caption of the kind {', '.join(missing)}; there are {', '.join(sorted(seen | ALWAYS))}"


def _kinds_in_metadata(url: str, wanted: set[str]) -> set[str] | None:
    """The kinds of caption in a tar, read until those wanted were seen; None where no metadata has them."""
    fs, path = fsspec.core.url_to_fs(url)
    try:
        if (metadata := metadata_of(fs, path)) is None:
            return None
        with metadata as file:
            if not {"captions", "caption_kind"} <= set(file.schema_arrow.names):
                return None
            seen: set[str] = set()
            for batch in file.iter_batches(_LOOK, columns=["captions", "caption_kind"]):
                seen.update(kind for row in batch.to_pylist() for kind in _kinds(row))
                if wanted <= seen:
                    break
            return seen
    except ValueError as error:
        raise RootError(f"the captions of {url} are not known ({error}); get it and its metadata again") from error


def _kinds_in_samples(url: str) -> set[str]:
    try:
        return {kind for sample in read_part(Part(url)) for kind in _kinds(annotation_of(sample, url))}
    except (KeyError, ValueError) as error:
        raise RootError(f"the captions of {url} are not known ({error}); get it again") from error


def _kinds(told: Mapping[str, Any]) -> set[str]:
    captions = told.get("captions") or {}
    return {*(json.loads(captions) if isinstance(captions, str) else captions), str(told["caption_kind"])}
