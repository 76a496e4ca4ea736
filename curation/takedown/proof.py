"""Proves that nothing of what was taken down is left in a root, by a look at every byte of it."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation.core.store import Store
from curation.load.features import SUFFIX, FeaturesFile
from curation.sources.tombstones import GIVEN, OWN
from curation.takedown.changes import FOLDER
from schemas.balance import BalancedText
from schemas.tombstones import Tombstone, hashed, hashed_looks, hosts_of

_CHUNK = 1 << 22
_PICTURES = (".jpg", ".jpeg", ".png", ".webp")
_BATCH = 8192  # rows of a table that are in memory together
_SHORTEST = 16  # bytes of an image
_LARGEST_JSON = 1 << 26  # bytes of one JSON value that is looked into
_IDS_ALLOWED = ("rows", "gone", "source_columns", "articles")
"""Tables that keep the ids of rows that were taken down, which are hashes: so every source row has its one fate."""
_OF_LISTS = {BalancedText.table: ["entries"]}
"""Columns whose words are those of a list, of which a text may be one; nothing of a sample stands there."""


@dataclass(frozen=True)
class Left:
    """Something that is left: in which file, and what."""

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


@dataclass(frozen=True)
class Traces:
    """What is looked for. ``texts`` are sha256 of whole texts that no other sample has, ``needles`` bytes in clear.

    Of tombstones alone there are hashes only: then whole values are compared (columns, members, values of JSON), and no
    part of a longer text.
    """

    samples: frozenset[str] = frozenset()
    urls: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    pixels: frozenset[str] = frozenset()
    looks: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    needles: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, stones: Iterable[Tombstone], texts: Sequence[str] = (), clear: Sequence[str] = ()) -> Traces:
        """Of tombstones; ``texts`` are whole ones, ``clear`` what is looked for within others too."""
        every = list(stones)
        spelt = {s for t in clear for s in spellings(t)}
        return cls(
            frozenset(s.sample_id for s in every if s.sample_id),
            frozenset(s.url_sha256 for s in every if s.url_sha256),
            frozenset(s.host_sha256 for s in every if s.host_sha256),
            frozenset(h for s in every for h in (s.original_sha256, s.stored_sha256) if h),
            frozenset(s.looks_sha256 for s in every if s.looks_sha256),
            frozenset(map(hashed, texts)) | frozenset(s.text_sha256 for s in every if s.text_sha256),
            tuple(sorted(spelt)),
        )

    def in_text(self, text: str) -> str | None:
        """What a whole text is, if it is one of those."""
        found = hashed(text)
        if found in self.urls or (self.hosts and any(hashed(h) in self.hosts for h in hosts_of(text))):
            return "a url"
        if found in self.texts:
            return "a text"
        return "the sha256 of a picture" if text in self.pixels else None


def prove(store: Store, traces: Traces, told: Callable[[int, int], None] = lambda done, all_: None) -> list[Left]:
    """Looks at every file of a root; returns what is left. ``told`` hears how many of how many files are done."""
    prefix = store.path("")
    names = [str(p).removeprefix(prefix) for p in sorted(store.filesystem.find(prefix.rstrip("/")))]
    found: list[Left] = []
    for number, name in enumerate(names):
        if name not in (OWN, GIVEN) and not name.startswith(f"{FOLDER}/"):
            found += prove_file(store, name, traces)
        told(number + 1, len(names))
    return found


def prove_file(store: Store, name: str, traces: Traces) -> list[Left]:
    """The same of one file."""
    seen = dict.fromkeys(_raw(store, name, traces))
    with store.filesystem.open(store.path(name), "rb") as file:
        try:
            if name.endswith(".parquet"):
                seen |= dict.fromkeys(_parquet(file, name, traces))
            elif name.endswith(".arrow"):
                for batch in _arrow(file):
                    seen |= dict.fromkeys(_rows(batch, False, traces))
            elif name.endswith(".tar"):
                seen |= dict.fromkeys(_tar(file, traces))
            elif name.endswith((".json", ".jsonl")):
                for line in file if name.endswith(".jsonl") else [file.read(_LARGEST_JSON)]:
                    seen |= dict.fromkeys(_json(line, traces))
            elif name.endswith(_PICTURES):
                seen |= dict.fromkeys(_picture(file, name, traces))
            elif name.endswith(SUFFIX):
                url = str(store.filesystem.unstrip_protocol(store.path(name)))
                states = FeaturesFile(url)
                hashes = (h.tobytes().hex() for h in states.hashes)
                seen |= dict.fromkeys("states of a text" for h in hashes if h in traces.texts)
                images = () if states.images is None else (row.tobytes().hex() for row in states.images)
                seen |= dict.fromkeys("states of a picture" for image in images if image in traces.pixels)
        except (pa.ArrowException, tarfile.TarError, ValueError) as error:
            seen[f"it cannot be read ({' '.join(str(error).split())[:100]})"] = None
    return [Left(name, what) for what in seen]


def _picture(file: IO[bytes], name: str, traces: Traces) -> Iterator[str]:
    """A picture that is a file of its own, called by its sample."""
    if name.rpartition("/")[2].partition(".")[0] in traces.samples:
        yield "a sample's picture"
    if hashlib.file_digest(file, "sha256").hexdigest() in traces.pixels:  # type: ignore[arg-type]
        yield "pixels"


def _raw(store: Store, name: str, traces: Traces) -> Iterator[str]:
    """Needles in the bytes as they are, across chunks too."""
    if not traces.needles:
        return
    longest = max(map(len, traces.needles)) - 1
    with store.filesystem.open(store.path(name), "rb") as file:
        tail = b""
        while chunk := file.read(_CHUNK):
            data = tail + chunk
            if any(needle in data for needle in traces.needles):
                yield "a url or a text in clear"
                return
            tail = data[-longest:] if longest else b""


def _parquet(file: IO[bytes], name: str, traces: Traces) -> Iterator[str]:
    table = name.split("/")[1] if name.startswith("tables/") else ""
    found = pq.ParquetFile(file)
    columns = [name for name in found.schema_arrow.names if name not in _OF_LISTS.get(table, ())]
    for batch in found.iter_batches(_BATCH, columns=columns):
        yield from _rows(batch, table in _IDS_ALLOWED, traces)


def _arrow(file: Any) -> Iterator[pa.RecordBatch]:
    reader = pa.ipc.open_file(pa.PythonFile(file))
    for number in range(reader.num_record_batches):
        yield reader.get_batch(number)


def _rows(batch: pa.RecordBatch, ids_allowed: bool, traces: Traces) -> Iterator[str]:
    names = batch.schema.names
    if "sample_id" in names and not ids_allowed:
        ids = batch.column(names.index("sample_id")).to_pylist()
        if any(sample in traces.samples for sample in ids):
            yield "rows of a sample"
    if "phash" in names and traces.looks:
        second = batch.column(names.index("phash256")).to_pylist() if "phash256" in names else None
        first = batch.column(names.index("phash")).to_pylist()
        for phash, more in zip(first, second or [None] * len(first), strict=True):
            if isinstance(phash, int) and hashed_looks(phash, more) in traces.looks:
                yield "the perceptual hash of a picture"
    for column in batch.columns:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            for value in filter(None, column.unique().to_pylist()):
                yield from _value(value, traces)
        elif pa.types.is_nested(column.type):
            for value in column.to_pylist():
                yield from _inside(value, traces)
        elif pa.types.is_binary(column.type):
            contents = (hashlib.sha256(v).hexdigest() for v in column.to_pylist() if v and len(v) >= _SHORTEST)
            yield from ("pixels" for content in contents if content in traces.pixels)


def _value(text: str, traces: Traces) -> Iterator[str]:
    """A text, and what is in it where it is JSON."""
    if what := traces.in_text(text):
        yield what
    if any(needle in text.encode("utf-8", "surrogatepass") for needle in traces.needles):
        yield "a url or a text in clear"
    if text[:1] in "{[":
        yield from _json(text.encode("utf-8", "surrogatepass"), traces)


def _json(data: bytes, traces: Traces) -> Iterator[str]:
    try:
        found = json.loads(data) if len(data) < _LARGEST_JSON else None
    except (ValueError, RecursionError):
        return  # the raw bytes were looked at
    yield from _inside(found, traces)


def _inside(value: Any, traces: Traces) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, (list, tuple)):
            waiting += one
        elif isinstance(one, str) and one and (what := traces.in_text(one)):
            yield what


def _tar(file: IO[bytes], traces: Traces) -> Iterator[str]:
    with tarfile.open(fileobj=file, mode="r|") as tar:
        for member in tar:
            if member.name.split(".")[0].rpartition("/")[2] in traces.samples:
                yield "a member of a sample"
            content = tar.extractfile(member)
            data = content.read() if content is not None else b""
            if hashlib.sha256(data).hexdigest() in traces.pixels:
                yield "pixels"
            if member.name.endswith(".txt"):
                yield from _value(data.decode("utf-8", "replace"), traces)
            elif member.name.endswith(".json"):
                yield from _json(data, traces)


def spellings(text: str) -> Iterator[bytes]:
    """A text as files may spell it: plain, and in JSON with and without escapes."""
    for spelt in (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        yield spelt.encode("utf-8", "surrogatepass")
