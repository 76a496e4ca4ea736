"""How scores are spread: histograms, with the recipe's limits where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from curation.core.sql import name
from curation.report.asking import Root, Row
from curation.scores.score_stage import ScoreStage

BINS = 40
_BEYOND = 0.1  # of the width
_FAR = 5.0  # quartile distances from the middle half; one huge picture must not hide all others
# The view that a product must have; a name, what it is, its unit; the column ``value``; the recipe's least and most.
_KNOWN = (
    (
        *("scores", "similarity of captions", "cosine of image and caption", ""),
        *("SELECT similarity AS value FROM scores WHERE kind <> 'alt_text'", "scores.min_caption_similarity", ""),
    ),
    (
        *("scores", "similarity of alt texts", "cosine of image and alt text", ""),
        *("SELECT similarity AS value FROM scores WHERE kind = 'alt_text'", "", ""),
    ),
    (
        *("statements", "truth of statements", "probability of yes", ""),
        *("SELECT probability AS value FROM statements", "verify.threshold", ""),
    ),
    (
        *("duplicates", "distance of duplicates", "pHash distance of what was removed from what was kept", "bits"),
        *("SELECT distance AS value FROM duplicates WHERE reason IS NOT NULL", "", "dedupe.confirmed_distance"),
    ),
    (
        *("images", "shorter side", "of images as fetched", "pixels"),
        *("SELECT least(original_width, original_height) AS value FROM images", "download.min_side", ""),
    ),
    (
        *("rows", "source: similarity", "CLIP similarity, as the source says", ""),
        *("SELECT similarity AS value FROM rows", "source.min_similarity", ""),
    ),
    (
        *("rows", "source: aesthetic", "aesthetic score, as the source says", ""),
        *("SELECT aesthetic AS value FROM rows", "source.min_aesthetic", ""),
    ),
    (
        *("rows", "source: punsafe", "probability of unsafe content, as the source says", ""),
        *("SELECT punsafe AS value FROM rows", "", "source.max_punsafe"),
    ),
    (
        *("rows", "source: pwatermark", "probability of a watermark, as the source says", ""),
        *("SELECT pwatermark AS value FROM rows", "", "source.max_pwatermark"),
    ),
)


@dataclass(frozen=True)
class Spread:
    """What is to be counted: numbers of a query's column ``value``, and the limits that the recipe sets for them."""

    name: str
    about: str
    query: str
    low: float | None = None
    high: float | None = None
    unit: str = ""
    named: str = ""  # the recipe's key, where it has a limit


def distributions(root: Root) -> list[Row]:
    """Histograms of all scores that the root has; what has no values is left out."""
    found = (histogram(root, spread) for spread in _spreads(root))
    return [row for row in found if row is not None]


def _spreads(root: Root) -> Iterator[Spread]:
    limits = getattr(root.limit("scores"), "limits", {})
    for part in root.parts:
        if isinstance(part, ScoreStage):
            for c in (c for c in part.scorer.columns if c.kind == "number"):
                low, high = getattr(limits.get(c.name), "min", None), getattr(limits.get(c.name), "max", None)
                query = f"SELECT {name(c.name)} AS value FROM {name(part.writes.table)}"  # noqa: S608  # quoted
                yield Spread(c.name, c.doc, query, low, high, c.unit, f"scores.{c.name}")
    for view, called, about, unit, query, least, most in _KNOWN:
        if root.has(view):
            low, high = root.limit(least), root.limit(most)
            yield Spread(called, about, query, low, high, unit, least or most)


def histogram(root: Root, spread: Spread) -> Row | None:
    """Counts in ``BINS`` steps from the 0.5th to the 99.5th percentile, or less, limits within; None without values.

    What lies beyond is counted in the first and the last step.
    """
    numbers = f"(SELECT value::DOUBLE AS value FROM ({spread.query}) WHERE value IS NOT NULL)"  # noqa: S608  # likewise
    (seen,) = root.ask(
        f"""
        SELECT count(*) AS n, quantile_disc(value, [0.005, 0.25, 0.5, 0.75, 0.995]) AS q, min(value) AS least,
            max(value) AS most, bool_and(value = floor(value)) AS whole FROM {numbers}
        """  # noqa: S608
    )
    if not seen["n"]:
        return None
    first, quarter, median, three_quarters, last = seen["q"]
    far = _FAR * (three_quarters - quarter) or float("inf")
    inside = [max(first, quarter - far), min(last, three_quarters + far), median]
    inside += [v for v in (spread.low, spread.high) if v is not None]
    low, high = min(inside), max(inside)
    # What a limit keeps out is seen beyond it, if only as one bar.
    if spread.low is not None and seen["least"] < low == spread.low:
        low = max(seen["least"], low - _BEYOND * (high - low))
    if spread.high is not None and seen["most"] > high == spread.high:
        high = min(seen["most"], high + _BEYOND * (high - low))
    bins = BINS
    if seen["whole"] and high - low < BINS:
        bins, high = int(high - low) + 1, low + int(high - low) + 1  # a step for each number
    width = (high - low) / bins or 1.0
    place = f"greatest(0, least({bins - 1}, floor((value - {low}) / {width})))::INTEGER"
    counted = root.ask(f"SELECT {place} AS place, count(*) AS n FROM {numbers} GROUP BY place")  # noqa: S608
    steps = [0] * bins
    for row in counted:
        steps[row["place"]] = row["n"]
    limits = [{"value": v, "side": side} for v, side in ((spread.low, "min"), (spread.high, "max")) if v is not None]
    about = {"name": spread.name, "about": spread.about, "unit": spread.unit, "key": spread.named if limits else ""}
    numbers_of = {"known": seen["n"], "least": seen["least"], "median": median, "most": seen["most"]}
    return {**about, **numbers_of, "low": low, "width": width, "steps": steps, "limits": limits}
