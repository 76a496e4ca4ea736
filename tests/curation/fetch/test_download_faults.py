"""A download that a fault of the run ruins stops; one whose list is bad goes on to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.core.errors import TooManyLost
from curation.core.stage import Shard
from curation.core.store import Store
from curation.fetch.download_stage import DownloadStage
from curation.fetch.faults import FAULTS
from schemas.arrow import table_of
from schemas.reasons import Reason
from schemas.recipe import Download
from schemas.records import ImageRow, Repeat, SourceRow
from tests.support.images import jpeg, natural
from tests.support.source_rows import source_row
from tests.support.web import Reply, Web

ROWS = 240


def download(folder: Path, urls: list[str], share: float, **settings: object) -> list[str | None]:
    """The reasons of all rows."""
    store = Store(str(folder))
    store.write_table(SourceRow, "s", table_of(SourceRow, [source_row(n, url) for n, url in enumerate(urls)]))
    store.write_table(Repeat, "s", table_of(Repeat, ()))
    recipe = Download.model_validate({"retries": 0, "threads": 16, "min_side": 16, **settings})
    with DownloadStage(recipe, share).open() as work:
        found: list[str | None] = work(Shard("s", store))["reason"].to_pylist()
    return found


def test_a_network_that_is_gone_stops_and_names_the_reason(tmp_path: Path) -> None:
    urls = [f"http://127.0.0.1:9/{n}.jpg" for n in range(ROWS)]
    settings = {"allow_private_hosts": ["127.0.0.1:9"]}
    with pytest.raises(TooManyLost, match=r"download lost \d+ of \d+ rows to one reason, connection_failed .*port 9"):
        download(tmp_path, urls, 0.5, **settings)
    assert not list(tmp_path.glob(f"tables/{ImageRow.table}/*"))
    assert download(tmp_path / "on", urls, 1.0, **settings) == ["connection_failed"] * ROWS


@pytest.mark.parametrize("reason", [Reason.HTTP_404, Reason.TOO_SMALL, Reason.OPTED_OUT, Reason.TRUNCATED])
def test_what_the_list_brings_stops_nothing(reason: Reason, tmp_path: Path) -> None:
    small, big = jpeg(natural(10, 10, seed=1)), jpeg(natural(40, 40, seed=2))
    reply = {
        Reason.HTTP_404: Reply(status=404),
        Reason.TOO_SMALL: Reply(small),
        Reason.OPTED_OUT: Reply(big, headers={"X-Robots-Tag": "noai"}),
        Reason.TRUNCATED: Reply(big[: len(big) // 2]),
    }[reason]
    with Web({f"/{n}.jpg": reply for n in range(ROWS)}) as web:
        urls = [web.url(f"/{n}.jpg") for n in range(ROWS)]
        found = download(tmp_path, urls, 0.5, allow_private_hosts=[web.host])
    assert found == [reason] * ROWS


def test_every_fault_is_a_reason_of_the_stage(tmp_path: Path) -> None:
    assert set(DownloadStage(Download()).verdict.reasons) >= FAULTS
