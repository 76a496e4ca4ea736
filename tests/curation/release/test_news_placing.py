"""What a split may not tear apart: all that articles and near duplicates link, however long the chain."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from curation.catalog import connect
from curation.release.pack_stage import linked
from tests.support.news import anchor, newsroom
from tests.support.runs import counted

PAIRS = st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | st.sampled_from("uvwxyz")), max_size=12)


def by_brute_force(pairs: list[tuple[str, str | None]]) -> list[set[int]]:
    groups = [{n} for n in range(len(pairs))]
    for n, one in enumerate(pairs):
        for m, other in enumerate(pairs[:n]):
            if one[0] == other[0] or (one[1] is not None and one[1] == other[1]):
                whole = groups[n] | groups[m]
                for member in whole:
                    groups[member] = whole
    return groups


@settings(max_examples=200, deadline=None)
@given(PAIRS)
def test_groups_are_what_brute_force_links(pairs: list[tuple[str, str | None]]) -> None:
    found = linked(pairs)
    assert [{m for m, g in enumerate(found) if g == group} for group in found] == by_brute_force(pairs)


def test_a_source_that_grows_leaks_into_no_split_and_leaves_what_was_released(tmp_path: Path) -> None:
    visualnews, nytimes = newsroom(tmp_path / "news", scenes=40)
    root = tmp_path / "root"
    anchor(str(root), [visualnews])
    first = counted(str(root))
    before = {f.name: f.read_bytes() for f in (root / "release").glob("*.tar")}
    anchor(str(root), [visualnews, nytimes])
    counts = counted(str(root))
    assert counts.source > first.source and counts.kept > first.kept
    after = {f.name: f.read_bytes() for f in (root / "release").glob("*.tar")}
    assert before.items() <= after.items() and len(after) > len(before)
    with connect(str(root)) as catalog:
        outlets = catalog.execute("SELECT count(DISTINCT outlet) FROM articles").fetchone()
    assert outlets == (5,)
