"""A release that is empty, or mostly lost to one reason, is warned of; the warning names reason and remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from curation.products import PRODUCTS
from curation.products.product import Product
from curation.release.funnel import FunnelRow
from curation.release.remedies import LEAST_ROWS, REMEDIES, remedy, warnings
from curation.release.views.verdicts import decisions_of
from schemas.reasons import Reason

UNKNOWN = remedy("no reason of ours")
FATES = {Reason.SHARD_FAILED, Reason.UNFINISHED}  # rows that failed, not rows that were lost
KEY = re.compile(r"\b([a-z]+)\.([a-z_]+)\b")


def funnel(kept: int, **lost: int) -> list[FunnelRow]:
    rows = [FunnelRow("download", "rejected", reason, count) for reason, count in lost.items()]
    return [*rows, FunnelRow("release", "kept", None, kept)] if kept else rows


@pytest.mark.parametrize(
    ("kept", "lost", "reasons"),
    [
        (50, {"http_404": 50}, []),  # half is not most
        (49, {"http_404": 51}, ["http_404"]),
        (10, {"http_404": 45, "too_small": 45}, []),  # two reasons do not add up
        (1, {"too_small": LEAST_ROWS - 1}, ["too_small"]),
        (1, {"too_small": LEAST_ROWS - 2}, []),  # too few rows to say anything
        (1, {"too_small": 2}, []),
        (LEAST_ROWS, {}, []),
    ],
)
def test_more_than_half_of_enough_rows_is_warned_of(kept: int, lost: dict[str, int], reasons: list[str]) -> None:
    lines = warnings(funnel(kept, **lost))
    assert len(lines) == len(reasons)
    for line, reason in zip(lines, reasons, strict=True):
        assert f"download to {reason}: {remedy(reason)}" in line and "\n" not in line


@pytest.mark.parametrize("rows", [1, 2, LEAST_ROWS, 5 * LEAST_ROWS])
def test_an_empty_release_is_always_warned_of_and_names_what_took_the_rows(rows: int) -> None:
    lines = warnings(funnel(0, http_404=rows))
    assert "nothing was released" in lines[0]
    assert [f"to http_404: {remedy('http_404')}" in line for line in lines[1:]] == [True]


def test_an_empty_release_without_a_main_reason_names_the_largest_ones() -> None:
    lines = warnings(funnel(0, http_404=30, too_small=29, aspect=28, timeout=5))
    assert [re.search(r"to (\w+):", line)[1] for line in lines[1:]] == ["http_404", "too_small", "aspect"]  # type: ignore[index]


def test_rows_that_failed_are_not_lost() -> None:
    rows = [FunnelRow("download", "failed", "shard_failed", 90), FunnelRow("release", "kept", None, 10)]
    assert warnings(rows) == []


def _declared() -> Iterator[tuple[Product[Any], str, str]]:
    for product in PRODUCTS:
        parts = [part for step in product.steps(product.recipe(), ()) for part in step.parts]
        for decision in decisions_of(parts):
            for reason in decision.verdict.reasons:
                yield product, decision.label, str(reason)


def test_every_reason_that_a_stage_of_a_product_declares_has_a_remedy() -> None:
    declared = list(_declared())
    assert {product.name for product, _, _ in declared} == {product.name for product in PRODUCTS}
    assert [found for _, *found in declared if remedy(found[1]) == UNKNOWN] == []


def test_every_reason_of_the_list_has_a_remedy_of_one_line() -> None:
    assert {reason for reason in Reason if reason not in REMEDIES} == FATES
    assert all(text and text.isprintable() for text in REMEDIES.values())


def test_the_keys_that_remedies_name_are_keys_of_a_recipe() -> None:
    """Else the user is sent to a key that does not exist."""
    recipes = [product.recipe() for product in PRODUCTS]
    tables = {table for recipe in recipes for table in type(recipe).model_fields}
    named = {match.groups() for text in REMEDIES.values() for match in KEY.finditer(text)}
    keys = {(table, key) for table, key in named if table in tables}
    assert len(keys) > 20
    unknown = {
        f"{table}.{key}"
        for table, key in keys
        if not any(hasattr(getattr(recipe, table, None), key) for recipe in recipes)
    }
    assert unknown == set()
