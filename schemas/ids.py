"""Identity comes from content, never from position: resharding or reordering a source renames no sample."""

from __future__ import annotations

import hashlib
import re
from binascii import hexlify
from collections.abc import Iterable
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from schemas.arrays import Array, Values

_UNSAFE = re.compile(r"[^A-Za-z0-9]+")


def sample_id(url: str, alt_text: str) -> str:
    """128 bits of SHA-256 over url and alt text, as 32 hex digits.

    The url's length stands in front, so that no two pairs spell the same bytes. For an image that has no
    url, give ``content_url`` of its bytes.
    """
    head = url.encode("utf-8", "surrogatepass")
    body = alt_text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(b"%d:" % len(head) + head + body).hexdigest()[:32]


def sample_ids(urls: Values, alt_texts: Values) -> Array:
    """``sample_id`` of each pair of two columns without nulls, as texts."""
    sha256, kind = hashlib.sha256, pa.large_binary()
    heads: Any = urls.cast(kind)
    bodies: Any = alt_texts.cast(kind)
    lengths: Any = pc.binary_length(heads).cast(pa.large_string()).cast(kind)
    colon: Any = pa.scalar(b":", kind)
    nothing: Any = pa.scalar(b"", kind)
    spelt = pc.binary_join_element_wise(pc.binary_join_element_wise(lengths, heads, colon), bodies, nothing)
    # A list is joined faster than a generator.
    digests = b"".join([sha256(text).digest()[:16] for text in cast(list[bytes], spelt.to_pylist())])
    digits = pa.py_buffer(hexlify(digests))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), len(urls), [None, digits]).cast(pa.string())


def content_url(sha256: str) -> str:
    """The text that replaces the url of an image without one (a local file): its bytes' sha256."""
    return f"sha256:{sha256}"


def shard_name(source_file: str, part: int) -> str:
    """The name of the ``part``-th shard cut from a source file, safe in paths and URLs.

    It depends on nothing but that file's name and the part, so a source that grows by files or by rows
    at the end adds shards and renames none.
    """
    return shard_names(source_file, [part])[0]


def shard_names(source_file: str, parts: Iterable[int]) -> list[str]:
    """The names of these shards of a file."""
    digest = hashlib.sha256(source_file.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    stem = source_file.rsplit("/", 1)[-1].split(".", 1)[0]
    slug = _UNSAFE.sub("-", stem).strip("-").lower()[:32] or "source"
    return [f"{slug}-{digest}-{part:05d}" for part in parts]
