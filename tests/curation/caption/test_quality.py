"""The view caption_quality against figures that are counted by hand."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from curation.caption.quality import QUALITY

TEXTS = [
    ("A red circle stands here.", 5, 7),
    ("a RED circle, lies there", 5, 7),
    ("A red circle", 3, 75),
    ("The blue box", 3, 76),
    ("Two dogs", 2, 200),
]


def catalog() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("""
        CREATE TABLE captions (sample_id VARCHAR, kind VARCHAR, model VARCHAR, prompt VARCHAR, text VARCHAR);
        CREATE TABLE caption_checks (
            sample_id VARCHAR, kind VARCHAR, passed BOOLEAN, caption VARCHAR, words INTEGER, clip_tokens INTEGER
        );
        CREATE TABLE verified_captions (
            sample_id VARCHAR, kind VARCHAR, passed BOOLEAN, caption VARCHAR, words INTEGER, clip_tokens INTEGER,
            statements INTEGER, asked INTEGER, false_statements INTEGER, dropped INTEGER
        )""")
    return connection


def add(c: duckdb.DuckDBPyConnection, sample: str, text: tuple[str, int, int], *, passed: bool = True) -> None:
    c.execute("INSERT INTO captions VALUES (?, 'dense', 'm', 'dense@2', ?)", [sample, text[0]])
    c.execute("INSERT INTO caption_checks VALUES (?, 'dense', ?, ?, ?, ?)", [sample, passed, *text])


def row(c: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    (found,) = c.sql(QUALITY.query).to_arrow_table().to_pylist()
    assert list(found) == list(QUALITY.columns)
    return dict(found)


def test_openings_lengths_and_shares_are_counted_over_captions_that_passed() -> None:
    c = catalog()
    for n, text in enumerate(TEXTS):
        add(c, f"s{n}", text)
    add(c, "refused", ("I am sorry", 3, 3), passed=False)
    c.execute("INSERT INTO captions VALUES ('silent', 'dense', 'm', 'dense@2', NULL)")
    found = row(c)
    assert (found["replies"], found["captions"]) == (6, 5)
    assert (found["top_opening"], found["distinct_openings"]) == ("a red circle", 3)
    assert (found["top_opening_share"], found["top_ten_share"]) == (0.6, 1.0)
    lengths = [found[f"{p}_words"] for p in ("p5", "p25", "median", "p75", "p95")]
    assert lengths == [2, 3, 3, 5, 5]
    assert found["within_77_share"] == pytest.approx(0.6)
    assert found["statements_a_caption"] is found["verified_share"] is found["dropped_share"] is None


def test_the_ten_most_frequent_openings_are_not_all() -> None:
    c = catalog()
    for n in range(14):
        for again in range(1 + (n < 6)):
            add(c, f"s{n}-{again}", (f"opening number {n}", 3, 5))
    found = row(c)
    assert found["distinct_openings"] == 14 and found["top_opening"] == "opening number 0"
    assert found["top_opening_share"] == pytest.approx(2 / 20) and found["top_ten_share"] == pytest.approx(16 / 20)


def test_verification_is_counted_and_its_text_is_the_caption() -> None:
    c = catalog()
    for n, text in enumerate(TEXTS[:4]):
        add(c, f"s{n}", text)
    c.execute("""
        INSERT INTO verified_captions VALUES
            ('s0', 'dense', true, 'A green tree', 3, 90, 4, 4, 1, 2),
            ('s1', 'dense', true, 'a RED circle, lies there', 5, 7, 2, 1, 0, 0),
            ('s2', 'dense', false, 'A red circle', 3, 75, 2, 1, 1, 0)""")
    found = row(c)
    assert found["statements_a_caption"] == pytest.approx(8 / 3)
    assert found["verified_share"] == pytest.approx(6 / 8) and found["false_share"] == pytest.approx(2 / 6)
    assert found["dropped_share"] == pytest.approx(2 / 8) and found["refuted_share"] == pytest.approx(1 / 3)
    assert found["distinct_openings"] == 3 and found["within_77_share"] == pytest.approx(2 / 4)


def test_kinds_models_and_prompts_are_told_apart() -> None:
    c = catalog()
    for n, (kind, model, prompt) in enumerate([("dense", "m", "p@1"), ("short", "m", "p@1"), ("dense", "n", "p@1")]):
        c.execute("INSERT INTO captions VALUES (?, ?, ?, ?, 'A text.')", [f"s{n}", kind, model, prompt])
        c.execute("INSERT INTO caption_checks VALUES (?, ?, false, 'A text.', 2, 3)", [f"s{n}", kind])
    c.execute("INSERT INTO captions VALUES ('t', 'dense', 'm', 'p@2', 'A text.')")
    c.execute("INSERT INTO caption_checks VALUES ('t', 'dense', true, 'A text.', 2, 3)")
    rows = c.execute(f"SELECT kind, model, prompt, captions, distinct_openings FROM ({QUALITY.query})").fetchall()
    assert rows == [
        ("dense", "m", "p@1", 0, 0),
        ("dense", "m", "p@2", 1, 1),
        ("dense", "n", "p@1", 0, 0),
        ("short", "m", "p@1", 0, 0),
    ]
