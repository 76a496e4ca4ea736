"""The recipe's metadata filters, and the rows of the table ``rows`` with their verdicts.

Filters run in a fixed order, and the first one that a row fails gives its reason. Width and height are treated alike,
because LAION's joined sets swapped them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.blocklists.rows import NOTHING, RowLists
from schemas.arrays import Array, Chunked, Values, strings, whole
from schemas.arrow import schema_of
from schemas.ids import sample_ids
from schemas.reasons import Reason
from schemas.recipe import Null, Source
from schemas.records import SourceColumns, SourceRow

_SCHEMA = schema_of(SourceRow)
FILTER_REASONS = tuple(
    reason.value
    for reason in (
        *(Reason.BLOCKED_HOST, Reason.BLOCKED_URL, Reason.BLOCKED_WORDS, Reason.BLOCKED_SHA256),
        *(Reason.NO_URL, Reason.NO_ALT_TEXT, Reason.CLAIMED_TOO_SMALL, Reason.CLAIMED_ASPECT, Reason.FEW_WORDS),
        *(Reason.FEW_CHARACTERS, Reason.MANY_CHARACTERS, Reason.LANGUAGE, Reason.LOW_SIMILARITY, Reason.LOW_AESTHETIC),
        *(Reason.UNSAFE, Reason.WATERMARK),
    )
)
"""The reasons that filters give; all others are faults that the source's reader found."""
_COLUMNS = schema_of(SourceColumns)
Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Filter:
    """The rows of a table that one filter rejects; ``detail`` gives the value that was found in a row."""

    reason: Reason
    rejects: Mask
    detail: Callable[[int], str]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One reason and one detail a row; a row that no filter rejects has no reason, but may have a detail."""

    reason: Array
    detail: Array
    rejected: dict[Reason, int]


def judge(metadata: pa.Table, recipe: Source, blocked: RowLists = NOTHING) -> Verdict:
    """The verdict on each row of a table of ``SourceMetadata``. Unknown numbers are null or NaN, never zero.

    ``blocked`` are the recipe's blocklists.
    """
    reasons: list[str | None] = metadata["fault"].to_pylist()
    details: list[str | None] = metadata["note"].to_pylist()
    counts: dict[Reason, int] = {}
    for fault in reasons:
        if fault is not None:
            counts[Reason(fault)] = counts.get(Reason(fault), 0) + 1
    open_rows = np.array([r is None for r in reasons], dtype=bool)
    for rule in _filters(metadata, recipe, blocked):
        hit = rule.rejects & open_rows
        rows = np.flatnonzero(hit)
        if len(rows):
            counts[rule.reason] = counts.get(rule.reason, 0) + len(rows)
            open_rows &= ~hit
        for row in rows.tolist():
            reasons[row] = rule.reason.value
            details[row] = rule.detail(row)
    return Verdict(pa.array(reasons, pa.string()), pa.array(details, pa.string()), counts)


def reasons(metadata: pa.Table, recipe: Source, blocked: RowLists = NOTHING, *, passing: bool = False) -> Array:
    """The reasons of ``judge`` alone, as a dictionary's; details would take a step of Python for every rejected row.

    Rows that are ``passing`` have a place, no fault and no entry in a list; only the columns that the recipe's
    filters look at are read.
    """
    names: list[str] = [reason.value for reason in Reason]
    numbers = {name: at for at, name in enumerate(names)}
    found = np.full(metadata.num_rows, -1, np.int32)
    if not passing:
        faults = whole(metadata["fault"]).dictionary_encode()
        known = np.array([numbers[name] for name in strings(faults.dictionary)] + [-1], np.int32)
        found = known[np.asarray(faults.indices.fill_null(len(known) - 1)).astype(np.int64)]
    for rule in _filters(metadata, recipe, blocked, passing=passing):
        found[rule.rejects & (found < 0)] = numbers[rule.reason.value]
    return pa.DictionaryArray.from_arrays(pa.array(found, pa.int32(), mask=found < 0), pa.array(names))


def _filters(metadata: pa.Table, recipe: Source, blocked: RowLists, *, passing: bool = False) -> Iterator[Filter]:
    if not passing:
        yield _place(metadata)
    if recipe.min_words or recipe.min_characters:
        yield _presence(metadata, recipe)
    if not passing:
        yield from _listed(metadata, blocked)
    if recipe.min_side or recipe.max_aspect:
        yield from _sizes(metadata, recipe)
    if recipe.min_words or recipe.min_characters or recipe.max_characters:
        yield from _texts(metadata, recipe)
    if recipe.languages:
        yield _language(metadata, recipe)
    low = (
        (Reason.LOW_SIMILARITY, "similarity", recipe.min_similarity, recipe.null_similarity),
        (Reason.LOW_AESTHETIC, "aesthetic", recipe.min_aesthetic, recipe.null_aesthetic),
    )
    for reason, name, least, null in low:
        if least is not None:
            values = _numbers(metadata, name)
            yield _limit(reason, name, values, values < least, f"is below {least:g}", null)
    high = (
        (Reason.UNSAFE, "punsafe", recipe.max_punsafe, recipe.null_punsafe),
        (Reason.WATERMARK, "pwatermark", recipe.max_pwatermark, recipe.null_pwatermark),
    )
    for reason, name, most, null in high:
        if most is not None:
            values = _numbers(metadata, name)
            yield _limit(reason, name, values, values > most, f"is above {most:g}", null)


def _place(metadata: pa.Table) -> Filter:
    nowhere = pc.and_(
        pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(_filled(metadata["url"]))), pa.scalar(0)),
        pc.is_null(metadata["local_file"]),
    )
    return Filter(Reason.NO_URL, _mask(nowhere), lambda _: "no url and no local file")


def _presence(metadata: pa.Table, recipe: Source) -> Filter:
    text = pc.utf8_trim_whitespace(_filled(metadata["alt_text"]))
    limits = f"min_words {recipe.min_words}, min_characters {recipe.min_characters}"
    empty = pc.equal(pc.utf8_length(text), pa.scalar(0))
    return Filter(Reason.NO_ALT_TEXT, _mask(empty), lambda _: f"empty; {limits}")


def _listed(metadata: pa.Table, blocked: RowLists) -> Iterator[Filter]:
    if not blocked.digest:
        return
    urls, texts, hashes = (metadata[name].to_pylist() for name in ("url", "alt_text", "sha256"))
    for reason, hits in blocked.judge(urls, texts, hashes):
        said = [None if hit is None else str(hit) for hit in hits]
        yield Filter(reason, np.array([hit is not None for hit in hits], bool), partial(_said, said))


def _said(hits: Sequence[str | None], row: int) -> str:
    return hits[row] or ""


def _sizes(metadata: pa.Table, recipe: Source) -> Iterator[Filter]:
    width, height = (size(_numbers(metadata, name)) for name in ("width", "height"))
    # fmin and fmax ignore NaN: one side that is known to be short is enough.
    shorter, longer = np.fmin(width, height), np.fmax(width, height)
    if recipe.min_side:
        yield Filter(
            Reason.CLAIMED_TOO_SMALL,
            shorter < recipe.min_side,
            lambda row: f"{_pixels(width[row])}x{_pixels(height[row])}: a side is below {recipe.min_side}",
        )
    if recipe.max_aspect:
        with np.errstate(invalid="ignore"):
            aspect = np.fmax(width, height) / np.minimum(width, height)
        yield Filter(
            Reason.CLAIMED_ASPECT,
            aspect > recipe.max_aspect,
            lambda row: (
                f"{_pixels(width[row])}x{_pixels(height[row])}: "
                f"{longer[row] / shorter[row]:.3g} is above {recipe.max_aspect:g}"
            ),
        )


def _texts(metadata: pa.Table, recipe: Source) -> Iterator[Filter]:
    text = _filled(metadata["alt_text"])
    if recipe.min_words:
        words = np.fromiter((len(t.split()) for t in strings(text)), np.int64, len(text))
        least = recipe.min_words
        yield Filter(Reason.FEW_WORDS, words < least, lambda row: f"{words[row]} words; at least {least}")
    if recipe.min_characters or recipe.max_characters:
        length = np.asarray(pc.utf8_length(text)).astype(np.int64)
        fewest, most = recipe.min_characters, recipe.max_characters
        yield Filter(Reason.FEW_CHARACTERS, length < fewest, lambda row: f"{length[row]} characters; at least {fewest}")
        if most:
            yield Filter(Reason.MANY_CHARACTERS, length > most, lambda row: f"{length[row]} characters; at most {most}")


def _language(metadata: pa.Table, recipe: Source) -> Filter:
    """A language matches by its tag, or by the first part of the tag: ``en`` matches en-GB and en_US too."""
    wanted = {name.strip().casefold() for name in recipe.languages}
    encoded = whole(metadata["language"]).dictionary_encode()
    languages = strings(encoded.dictionary)
    fits = np.array([_speaks(name, wanted) for name in languages] + [recipe.null_language == "keep"], dtype=bool)
    # An unknown language has the index behind the last entry.
    index = np.asarray(encoded.indices.fill_null(len(languages))).astype(np.int64)
    shown = ", ".join(sorted(wanted))

    def detail(row: int) -> str:
        found = int(index[row])
        name = repr(languages[found][:40]) if found < len(languages) else "unknown"
        return f"language is {name}; wanted: {shown}"

    return Filter(Reason.LANGUAGE, ~fits[index], detail)


def _speaks(name: str, wanted: set[str]) -> bool:
    tag = name.strip().casefold().replace("_", "-")
    return tag in wanted or tag.split("-", 1)[0] in wanted


def _limit(reason: Reason, name: str, values: Numbers, beyond: Mask, limit: str, null: Null) -> Filter:
    unknown = np.isnan(values)
    rejects = beyond | unknown if null == "reject" else beyond
    return Filter(
        reason, rejects, lambda row: f"{name} is unknown" if unknown[row] else f"{name} {values[row]:.6g} {limit}"
    )


def size(values: Numbers) -> Numbers:
    """Whole pixels that fit 32 bits; NaN for any other number."""
    with np.errstate(invalid="ignore"):
        whole = np.floor(values)
        return np.where((whole >= 1) & (whole < 2**31), whole, np.nan)


def _numbers(metadata: pa.Table, name: str) -> Numbers:
    return np.asarray(metadata[name].to_numpy(), dtype=np.float64)


def _mask(values: Values) -> Mask:
    return np.asarray(values.to_numpy(), dtype=bool)


def _filled(texts: Chunked) -> Chunked:
    """An empty text in place of each null."""
    return texts.fill_null(pa.scalar("", texts.type))


def _pixels(value: float) -> str:
    return "?" if np.isnan(value) else f"{value:.0f}"


def source_rows(file: str, first: int, metadata: pa.Table, recipe: Source, blocked: RowLists = NOTHING) -> pa.Table:
    """The rows ``first``, ``first + 1`` … of a source file, each column in one chunk.

    The id of an image without a url comes from its bytes; that of a row with neither from its alt text alone.
    """
    verdict = judge(metadata, recipe, blocked)
    alt_texts = _filled(metadata["alt_text"])
    known_by = _filled(pc.coalesce(metadata["url"], metadata["content"]))
    # A text that was trimmed keeps the id that it had with its line end.
    texts = pc.coalesce(metadata["known_text"], alt_texts)
    count = metadata.num_rows
    columns: dict[str, Values] = {
        "sample_id": sample_ids(known_by, texts),
        "source_file": pa.repeat(pa.scalar(file), count),
        "source_row": pa.array(np.arange(first, first + count, dtype=np.int64)),
        "alt_text": alt_texts,
        "claimed_width": _claimed_pixels(metadata["width"]),
        "claimed_height": _claimed_pixels(metadata["height"]),
        "expected_md5": _hex(metadata["md5"], 32),
        "expected_sha256": _hex(metadata["sha256"], 64),
        "reason": verdict.reason,
        "detail": verdict.detail,
    }
    table = pa.table([columns[f.name] if f.name in columns else metadata[f.name] for f in _SCHEMA], schema=_SCHEMA)
    # The same rows must give the same bytes, however the reader cut its batches.
    return table.combine_chunks()


def source_columns(rows: pa.Table, metadata: pa.Table) -> pa.Table:
    """The table ``source_columns`` beside rows: what is kept of further columns."""
    columns = [metadata["columns"] if name == "columns" else rows[name] for name in _COLUMNS.names]
    table = pa.Table.from_arrays(columns, schema=_COLUMNS)
    return table.combine_chunks()


def _claimed_pixels(values: Chunked) -> Array:
    sizes = size(np.asarray(values.to_numpy(), dtype=np.float64))
    unknown = np.isnan(sizes)
    return pa.array(np.where(unknown, 0, sizes).astype(np.int32), pa.int32(), mask=unknown)


def _hex(values: Chunked, digits: int) -> Chunked:
    """Lower case; null for any text that is no hash of that length."""
    if values.null_count == len(values):
        return values
    plain = pc.utf8_lower(pc.utf8_trim_whitespace(values))
    hashes: Chunked = pc.if_else(pc.match_substring_regex(plain, f"^[0-9a-f]{{{digits}}}$"), plain, None)
    return hashes
