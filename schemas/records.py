"""The records: one class a sidecar table. Every table is keyed by ``sample_id`` unless it says otherwise."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

from schemas.arrow import Bits256, Float32, Int32, Record, UInt64
from schemas.reasons import Reason


@dataclasses.dataclass(frozen=True, slots=True)
class SourceRow(Record):
    """One row of the source, kept or not, keyed by (source_file, source_row)."""

    table: ClassVar[str] = "rows"

    sample_id: Annotated[str, "128-bit content hash of url and alt text, hex"]
    source_file: Annotated[str, "the source file, relative to the source's common folder"]
    source_row: Annotated[int, "0-based row number in that file"]
    url: Annotated[str | None, "where the image is; null for a local image that never had one"]
    alt_text: Annotated[str, "the text that came with the image, untouched; untrusted"]
    claimed_width: Annotated[int | None, Int32, "pixels, as the source says (LAION swapped it with the height)"]
    claimed_height: Annotated[int | None, Int32, "pixels, as the source says"]
    similarity: Annotated[float | None, "CLIP image-text similarity, as the source says"]
    aesthetic: Annotated[float | None, "aesthetic score, as the source says"]
    punsafe: Annotated[float | None, "probability of unsafe content; null is unknown, not zero"]
    pwatermark: Annotated[float | None, "probability of a watermark; null is unknown, not zero"]
    language: Annotated[str | None, "language, where the source names one"]
    license: Annotated[str | None, "licence, where the source names one"]
    expected_md5: Annotated[str | None, "md5 of the original bytes, hex, where the source names one"]
    expected_sha256: Annotated[str | None, "sha256 of the original bytes, hex, where the source names one"]
    local_file: Annotated[str | None, "fsspec URL of the file or tar that holds the pixels; null when fetched"]
    local_offset: Annotated[int | None, "bytes from the start of that file"]
    local_size: Annotated[int | None, "bytes"]
    reason: Annotated[Reason | None, "why a metadata filter rejected it; null when none did"]
    detail: Annotated[str | None, "the value that was found and the limit"]


@dataclasses.dataclass(frozen=True, slots=True)
class GoneRow(Record):
    """A planned row that its source no longer holds, keyed by (source_file, source_row)."""

    table: ClassVar[str] = "gone"

    source_file: Annotated[str, "as in rows"]
    source_row: Annotated[int, "as in rows"]
    sample_id: Annotated[str, "as in rows"]


@dataclasses.dataclass(frozen=True, slots=True)
class SameUrl(Record):
    """A row that was added to a planned file, and whose url an earlier row of the file has too."""

    table: ClassVar[str] = "same_urls"

    sample_id: Annotated[str, "as in rows"]
    of_shard: Annotated[str, "the shard of the earlier row, whose tar may hold the image"]
    of_sample_id: Annotated[str, "the earlier row's sample_id"]


@dataclasses.dataclass(frozen=True, slots=True)
class SourceColumns(Record):
    """Further columns of a source row, as ``source.keep_columns`` asks for them; keyed by (source_file, source_row)."""

    table: ClassVar[str] = "source_columns"

    source_file: Annotated[str, "as in rows"]
    source_row: Annotated[int, "as in rows"]
    sample_id: Annotated[str, "as in rows"]
    columns: Annotated[str | None, "column -> value, a JSON object; null where nothing is kept; untrusted"]


@dataclasses.dataclass(frozen=True, slots=True)
class Repeat(Record):
    """A source row that repeats an earlier one, keyed by (source_file, source_row)."""

    table: ClassVar[str] = "repeats"

    source_file: Annotated[str, "as in rows"]
    source_row: Annotated[int, "as in rows"]
    sample_id: Annotated[str, "as in rows; shared with the row that was kept for repeated_row"]
    reason: Annotated[Reason, "repeated_row or repeated_text"]
    detail: Annotated[str | None, "the row it repeats, or how often the text occurred before"]


@dataclasses.dataclass(frozen=True, slots=True)
class ImageRow(Record):
    """What came of fetching and preparing an image; one for every row that the plan let through."""

    table: ClassVar[str] = "images"

    sample_id: Annotated[str, "as in rows"]
    reason: Annotated[Reason | None, "why there is no image; null when there is one"]
    detail: Annotated[str | None, "what was found, for people"]
    http_status: Annotated[int | None, Int32, "of the last response"]
    final_url: Annotated[str | None, "after redirects, where it differs from url"]
    opt_out: Annotated[str | None, "the header or rule that opted out, verbatim"]
    original_width: Annotated[int | None, Int32, "pixels, before orientation and resizing"]
    original_height: Annotated[int | None, Int32, "pixels, before orientation and resizing"]
    original_format: Annotated[str | None, "jpeg, png, webp, gif, bmp, tiff, avif …, from the bytes"]
    original_bytes: Annotated[int | None, "size of what was fetched"]
    original_sha256: Annotated[str | None, "hex, of what was fetched"]
    hash_matches: Annotated[bool | None, "whether the source's expected hash held; null without one"]
    width: Annotated[int | None, Int32, "pixels, as exported"]
    height: Annotated[int | None, Int32, "pixels, as exported"]
    sha256: Annotated[str | None, "hex, of the exported bytes"]
    phash: Annotated[int | None, UInt64, "imagehash.phash of the exported pixels; first bit is the highest"]
    phash256: Annotated[bytes | None, Bits256, "phash(hash_size=16, highfreq_factor=2): the second look of dedupe"]
    unchanged: Annotated[bool | None, "whether the exported bytes are the fetched ones"]
    offset: Annotated[int | None, "bytes from the start of images/<shard>.tar to the image"]
    size: Annotated[int | None, "bytes of the exported image"]


@dataclasses.dataclass(frozen=True, slots=True)
class Colours(Record):
    """Luma and colour of an image by block, published with ``images``: what pHash cannot tell.

    Older roots lack it; their images are compared by hash alone.
    """

    table: ClassVar[str] = "colours"

    sample_id: Annotated[str, "as in rows; images without pixels have no row"]
    blocks: Annotated[
        bytes, "104 bytes: luma of 8x8 blocks, Cb and Cr of 4x4, two shares; see curation/images/chroma.py"
    ]


@dataclasses.dataclass(frozen=True, slots=True)
class Thumbnail(Record):
    """A small grey copy of an image, which confirms or refutes that two images with near hashes are the same.

    Published with ``images``; a root that is older gets it from its stored pixels before the next dedupe.
    """

    table: ClassVar[str] = "thumbnails"

    sample_id: Annotated[str, "as in rows; images without pixels have no row"]
    luma: Annotated[bytes | None, "264 bytes: 16x16 pixels after a header of 8; see curation/images/thumbnail.py"]


@dataclasses.dataclass(frozen=True, slots=True)
class CropHash(Record):
    """Hashes of parts of an image, by which its crops are found; one for every image there is."""

    table: ClassVar[str] = "crop_hashes"

    sample_id: Annotated[str, "as in rows"]
    windows: Annotated[bytes | None, "phash and phash256 of each window, 40 bytes; null where the pixels are not here"]


@dataclasses.dataclass(frozen=True, slots=True)
class Overlap(Record):
    """What a sample shares with the recipe's evaluation sets; one for every image there is."""

    table: ClassVar[str] = "evaluation_overlaps"

    sample_id: Annotated[str, "as in rows"]
    reason: Annotated[Reason | None, "near_evaluation_item or shared_text; null where nothing is shared"]
    dataset: Annotated[str | None, "the evaluation set, as the recipe names it"]
    item_id: Annotated[str | None, "the nearest item's sample_id there"]
    item: Annotated[str | None, "its url, its own file, or its list and row"]
    distance: Annotated[int | None, Int32, "pHash bits between the two; null for shared_text"]
    second_distance: Annotated[int | None, Int32, "phash256 bits between the two; null where one has none"]
    detail: Annotated[str | None, "the words that are shared, for shared_text"]


@dataclasses.dataclass(frozen=True, slots=True)
class Duplicate(Record):
    """The dedupe stage's decision on every image there is."""

    table: ClassVar[str] = "duplicates"

    sample_id: Annotated[str, "as in rows"]
    reason: Annotated[Reason | None, "exact_duplicate, near_duplicate, or as in evaluation_overlaps; null for a keeper"]
    keeper_id: Annotated[str, "the sample kept in its place; itself for a keeper and for what those rule out"]
    distance: Annotated[int, Int32, "Hamming distance in bits to the keeper's phash"]
    cluster_id: Annotated[str, "shared by all samples linked by a chain of near pairs; a sample_id"]
    second_distance: Annotated[int | None, Int32, "the same of phash256; null where one has none"] = None


@dataclasses.dataclass(frozen=True, slots=True)
class Placement(Record):
    """A kept sample's place in the release with all that its members need. A shard is a release shard."""

    table: ClassVar[str] = "placements"

    sample_id: Annotated[str, "as in rows"]
    split: Annotated[str, "train, val or test"]
    shard: Annotated[str, "release shard, e.g. train-000000"]
    position: Annotated[int, Int32, "0-based place in that shard"]
    source_shard: Annotated[str, "the shard whose tar holds the pixels"]
    offset: Annotated[int, "as in images"]
    size: Annotated[int, "as in images"]
    sha256: Annotated[str, "as in images"]
    phash: Annotated[int, UInt64, "as in images"]
    width: Annotated[int, Int32, "as in images"]
    height: Annotated[int, Int32, "as in images"]
    source_file: Annotated[str, "as in rows"]
    source_row: Annotated[int, "as in rows"]
    url: Annotated[str | None, "as in rows"]
    license: Annotated[str | None, "as in rows"]
    alt_text: Annotated[str, "as in rows"]
    alt_text_words: Annotated[int, Int32, "in alt_text"]
    alt_text_clip_tokens: Annotated[int, Int32, "in alt_text"]
    caption: Annotated[str, "the caption that the recipe prefers"]
    caption_kind: Annotated[str, "its kind"]
    words: Annotated[int, Int32, "in caption"]
    clip_tokens: Annotated[int, Int32, "in caption"]
    sentence_end_77: Annotated[int | None, Int32, "as in caption_checks"]
    captions: Annotated[str, "all passed captions as JSON, kind -> text"]
    prompt: Annotated[str, "as in captions, of caption"]
    model: Annotated[str, "as in captions, of caption"]
    similarity: Annotated[float | None, Float32, "of caption, where scores are switched on"]
    alt_text_similarity: Annotated[float | None, Float32, "of alt_text, where scores are switched on"]
    annotations: Annotated[str, "what else the recipe's stages know of it, a JSON object"] = "{}"


@dataclasses.dataclass(frozen=True, slots=True)
class Released(Record):
    """A sample that stands in a finished release tar. A shard is a release shard."""

    table: ClassVar[str] = "released"

    sample_id: Annotated[str, "as in rows"]
    split: Annotated[str, "as in placements"]
    shard: Annotated[str, "as in placements"]
    offset: Annotated[int, "bytes from the start of the release tar to the image"]
    size: Annotated[int, "bytes of the image"]
