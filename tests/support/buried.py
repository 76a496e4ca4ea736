"""A small root from which samples are taken down: a list of pictures, one of them with a copy, and runs over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.catalog import connect
from curation.core.job import Outcome
from curation.core.lock import hold
from curation.core.store import Store
from curation.takedown.asked import Asked
from curation.takedown.carry_out import carry_out, resume
from curation.takedown.choice import Choice, choose
from tests.support.images import jpeg, natural
from tests.support.kills import every_kill
from tests.support.picture_web import PictureWeb
from tests.support.runs import counted, refine
from tests.support.toy import fingerprint

SETTINGS = (
    *("caption.backend=scripted", "source.shard_rows=6", "export.shard_size=5", "export.val=0.2", "export.test=0.1"),
    *("download.retries=0", "download.timeout=20", 'source.keep_columns=["*"]'),
)
RESULTS = ("tables", "images", "release")
PICTURES = 22
COPIED, TWICE = 3, 8  # a picture with a copy at another url; one that two rows name with two texts
GIVEN = {"reason": "request of the author", "reference": "case 17", "date": "2026-01-02"}


@dataclass
class Listed:
    """A list of pictures that a web serves, and the root that is made of it; ``rows`` are (url, text)."""

    web: PictureWeb
    folder: Path
    url: str  # of the root
    rows: list[tuple[str, str]]
    settings: tuple[str, ...] = SETTINGS

    @classmethod
    def of(cls, web: PictureWeb, folder: Path, url: str | None = None) -> Listed:
        rows = [(web.url(n), f"a picture of something, number {n} of the list") for n in range(PICTURES)]
        copy = web.serve("/copy.jpg", jpeg(natural(224, 208, COPIED), quality=70))
        rows += [(copy, "another text about the same picture"), (web.url(TWICE), "a second text about it")]
        rows += [rows[5]]
        return cls(web, folder, url or str(folder / "root"), rows)

    @property
    def store(self) -> Store:
        return Store(self.url)

    def run(self, more: Sequence[str] = ()) -> list[Outcome]:
        lists = self.folder / "lists"
        lists.mkdir(parents=True, exist_ok=True)
        columns = {
            "url": [url for url, _ in self.rows],
            "text": [text for _, text in self.rows],
            "photographer": [f"name of {text}" for _, text in self.rows],
        }
        table, file = pa.table(columns), lists / "list.parquet"
        if not file.exists() or not pq.read_table(file).equals(table):  # one that is as it was is not read again
            pq.write_table(table, file)
        host = f'download.allow_private_hosts=["{self.web.host}"]'
        return refine(self.url, str(lists), [*self.settings, host, *more])

    def elsewhere(self, url: Path) -> Listed:
        """The same list, and a root of it that is yet to be made."""
        return Listed(self.web, self.folder, str(url), list(self.rows), self.settings)

    def ask(self, query: str) -> list[Any]:
        with connect(self.url) as catalog:
            return catalog.execute(query).fetchall()

    def sample(self, picture: int) -> str:
        """The sample_id of the first row of a picture."""
        return str(self.ask(f"SELECT sample_id FROM rows WHERE url = '{self.web.url(picture)}' ORDER BY ALL")[0][0])


def ends_like(root: Listed, other: Listed, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Kills the runs of a root at every ``step``-th change: each goes on where the one before was killed."""
    expected = fingerprint(other.store, *RESULTS)
    for _ in every_kill(lambda: root.run, monkeypatch, step=step):
        pass
    assert fingerprint(root.store, *RESULTS) == expected
    counted(root.url)


def asked(**wanted: Any) -> Asked:
    return Asked.of(**GIVEN, **wanted)


def take_down(url: str, **wanted: Any) -> Choice:
    """Chooses and carries out, as the command does."""
    store = Store(url)
    with hold(store, amid_takedown=True) as lock:
        resume(store, lock)
        choice = choose(store, asked(**wanted))
        carry_out(store, choice, lock)
    return choice


def tars_of(listed: Listed) -> dict[str, bytes]:
    """The tars of the release."""
    return {p.name: p.read_bytes() for p in sorted(Path(listed.url).glob("release/*.tar"))}
