"""A damaged file of a data set is reported: nothing is compared with half of an evaluation set in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.core.engines.local import LocalEngine
from curation.core.job import Outcome
from curation.core.store import Store
from curation.dedupe.across.datasets import hash_pixels, open_data_set
from tests.support.images import jpeg, natural
from tests.support.sources import write_tar


@pytest.mark.parametrize("cut", ["a.tar", "b.tar"])
def test_a_cut_tar_of_a_data_set_is_a_failed_shard(cut: str, tmp_path: Path) -> None:
    for seed, name in enumerate(("a.tar", "b.tar")):
        write_tar(tmp_path / "set" / name, [(f"{i}.jpg", jpeg(natural(40, 30, 10 * seed + i))) for i in range(3)])
    damaged = tmp_path / "set" / cut
    damaged.write_bytes(damaged.read_bytes()[:-11_000])
    outcomes: list[Outcome] = []
    data_set = open_data_set(str(tmp_path / "set"), Store(str(tmp_path / "work")))
    totals = hash_pixels(data_set, LocalEngine(), outcomes.append)
    assert [cut in outcome.error for outcome in totals.failed] == [True]
    assert [o for o in outcomes if o.status == "failed"] == totals.failed
    assert totals.done == 1
