"""The recipe's metadata filters. The first that a row fails, in a fixed order, gives its reason.

Sizes are looked at in both directions alike: LAION's joined sets swapped width and height.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.reasons import Reason
from schemas.recipe import Null, Source

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Filter:
    """Which rows of a table it rejects, and what it found in one of them."""

    reason: Reason
    rejects: Mask
    tell: Callable[[int], str]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One entry a row; null where nothing rejected it (a detail may stand without a reason)."""

    reason: pa.Array
    detail: pa.Array
    rejected: dict[Reason, int]


def judge(claims: pa.Table, recipe: Source) -> Verdict:
    """Judges each row of a table of claims. Unknown numbers are null or NaN, never zero."""
    reasons: list[str | None] = claims["fault"].to_pylist()
    details: list[str | None] = claims["note"].to_pylist()
    counts: dict[Reason, int] = {}
    for fault in reasons:
        if fault is not None:
            counts[Reason(fault)] = counts.get(Reason(fault), 0) + 1
    open_rows = np.array([r is None for r in reasons], dtype=bool)
    for rule in _filters(claims, recipe):
        hit = rule.rejects & open_rows
        rows = np.flatnonzero(hit)
        if len(rows):
            counts[rule.reason] = counts.get(rule.reason, 0) + len(rows)
            open_rows &= ~hit
        for row in rows.tolist():
            reasons[row] = rule.reason.value
            details[row] = rule.tell(row)
    return Verdict(pa.array(reasons, pa.string()), pa.array(details, pa.string()), counts)


def _filters(claims: pa.Table, recipe: Source) -> Iterator[Filter]:
    yield from _presence(claims, recipe)
    yield from _sizes(claims, recipe)
    yield from _texts(claims, recipe)
    if recipe.languages:
        yield _language(claims, recipe)
    low = (
        (Reason.LOW_SIMILARITY, "similarity", recipe.min_similarity, recipe.null_similarity),
        (Reason.LOW_AESTHETIC, "aesthetic", recipe.min_aesthetic, recipe.null_aesthetic),
    )
    for reason, name, least, null in low:
        if least is not None:
            values = _numbers(claims, name)
            yield _limit(reason, name, values, values < least, f"is below {least:g}", null)
    high = (
        (Reason.UNSAFE, "punsafe", recipe.max_punsafe, recipe.null_punsafe),
        (Reason.WATERMARK, "pwatermark", recipe.max_pwatermark, recipe.null_pwatermark),
    )
    for reason, name, most, null in high:
        if most is not None:
            values = _numbers(claims, name)
            yield _limit(reason, name, values, values > most, f"is above {most:g}", null)


def _presence(claims: pa.Table, recipe: Source) -> Iterator[Filter]:
    nowhere = pc.and_(
        pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(pc.fill_null(claims["url"], ""))), 0),
        pc.is_null(claims["local_file"]),
    )
    yield Filter(Reason.NO_URL, _mask(nowhere), lambda _: "no url and no local file")
    if recipe.min_words or recipe.min_characters:
        text = pc.utf8_trim_whitespace(pc.fill_null(claims["alt_text"], ""))
        limits = f"min_words {recipe.min_words}, min_characters {recipe.min_characters}"
        yield Filter(Reason.NO_ALT_TEXT, _mask(pc.equal(pc.utf8_length(text), 0)), lambda _: f"empty; {limits}")


def _sizes(claims: pa.Table, recipe: Source) -> Iterator[Filter]:
    width, height = (size(_numbers(claims, name)) for name in ("width", "height"))
    # fmin and fmax leave NaN out: one side that is known to be short is enough.
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


def _texts(claims: pa.Table, recipe: Source) -> Iterator[Filter]:
    text = pc.fill_null(claims["alt_text"], "")
    if recipe.min_words:
        words = np.fromiter((len(t.split()) for t in text.to_pylist()), np.int64, len(text))
        least = recipe.min_words
        yield Filter(Reason.FEW_WORDS, words < least, lambda row: f"{words[row]} words; at least {least}")
    if recipe.min_characters or recipe.max_characters:
        length = np.asarray(pc.utf8_length(text)).astype(np.int64)
        fewest, most = recipe.min_characters, recipe.max_characters
        yield Filter(Reason.FEW_CHARACTERS, length < fewest, lambda row: f"{length[row]} characters; at least {fewest}")
        if most:
            yield Filter(Reason.MANY_CHARACTERS, length > most, lambda row: f"{length[row]} characters; at most {most}")


def _language(claims: pa.Table, recipe: Source) -> Filter:
    """A language matches by its tag, or by the tag's first part: ``en`` takes en-GB and en_US too."""
    wanted = {name.strip().casefold() for name in recipe.languages}
    encoded = pc.dictionary_encode(claims["language"].combine_chunks())
    languages: list[str] = encoded.dictionary.to_pylist()
    fits = np.array([_speaks(name, wanted) for name in languages] + [recipe.null_language == "keep"], dtype=bool)
    # An unknown language points at the entry behind the last one.
    index = np.asarray(pc.fill_null(encoded.indices, len(languages))).astype(np.int64)
    shown = ", ".join(sorted(wanted))

    def tell(row: int) -> str:
        found = int(index[row])
        name = repr(languages[found][:40]) if found < len(languages) else "unknown"
        return f"language is {name}; wanted: {shown}"

    return Filter(Reason.LANGUAGE, ~fits[index], tell)


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
    """Whole pixels that fit 32 bits; NaN for what is no size."""
    with np.errstate(invalid="ignore"):
        whole = np.floor(values)
        return np.where((whole >= 1) & (whole < 2**31), whole, np.nan)


def _numbers(claims: pa.Table, name: str) -> Numbers:
    return np.asarray(claims[name].to_numpy(), dtype=np.float64)


def _mask(values: pa.ChunkedArray) -> Mask:
    return np.asarray(values.to_numpy(), dtype=bool)


def _pixels(value: float) -> str:
    return "?" if np.isnan(value) else f"{value:.0f}"
