"""Whole runs with concept balance: what it rejects is never captioned, and a run that was killed in it goes on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from curation.catalog import connect
from curation.core.store import Store
from schemas.balance import BalancedText
from schemas.records import Released
from tests.support.counting_web import CountingWeb, web_of_pictures
from tests.support.runs import RESULT, counted, quick, refine
from tests.support.toy import fingerprint

PICTURES = 14
MOST = 3


@pytest.fixture(scope="module")
def web() -> Iterator[CountingWeb]:
    with web_of_pictures(PICTURES) as found:
        yield found


def test_what_is_rejected_is_never_captioned_and_a_killed_run_ends_the_same(web: CountingWeb, tmp_path: Path) -> None:
    source, root = web.write_list(tmp_path / "list"), tmp_path / "root"
    entries = tmp_path / "entries.txt"
    entries.write_text("picture\nnumber\n7\nyak\n")  # two entries of all texts, one of a single text, one of none
    asked = [*quick(web.host), "source.shard_rows=5", "export.val=0", "export.test=0", f"balance.max_texts={MOST}",
             "balance.policy=reject", f"balance.entries={entries}"]  # fmt: skip
    refine(str(root), source, asked)
    assert counted(str(root)).ok
    with connect(str(root)) as views:
        kept = {s for (s,) in views.execute("SELECT sample_id FROM balanced_texts WHERE reason IS NULL").fetchall()}
        captioned = {s for (s,) in views.execute("SELECT sample_id FROM captions").fetchall()}
        ((rare,),) = views.execute("SELECT sample_id FROM rows WHERE alt_text LIKE '% 7 %'").fetchall()
        every = {s for (s,) in views.execute("SELECT sample_id FROM duplicates WHERE reason IS NULL").fetchall()}
    assert captioned == kept < every and rare in kept
    whole = fingerprint(Store(str(root)), *RESULT)

    killed = tmp_path / "killed"
    shutil.copytree(root, killed)
    store = Store(str(killed))
    store.remove(f"manifest/{BalancedText.table}/_reduce.json")
    store.retire(BalancedText.table, store.shards(BalancedText.table)[0])
    store.remove("manifest/placements/_reduce.json")
    for shard in store.shards(Released.table):
        store.retire(Released.table, shard)
    refine(str(killed), source, asked)
    assert fingerprint(store, *RESULT) == whole
    assert not [o for o in refine(str(killed), source, asked) if o.status != "skipped"]
