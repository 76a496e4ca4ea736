"""What a blocklist names is not fetched, or not captioned; each hit names its list and line; lists may change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.blocklists.lists import Lists
from curation.catalog import connect
from curation.core.errors import SourceError
from curation.core.job import Outcome
from curation.core.run import RunRecord
from curation.core.store import Store
from schemas.blocklists import Blocklists
from tests.support.hostile_web import HostileWeb, body, in_turn, status
from tests.support.kills import changes, killed_at
from tests.support.picture_web import PictureWeb
from tests.support.plain_store import PlainStore
from tests.support.runs import RESULT, counted, refine
from tests.support.toy import fingerprint

PICTURES = 8
SETTINGS = [
    *("caption.backend=scripted", "source.shard_rows=4", "export.shard_size=5", "export.val=0", "export.test=0"),
    *("download.retries=0", "download.timeout=20", "signals.enabled=false"),
]


@pytest.fixture(scope="module")
def web() -> Iterator[PictureWeb]:
    with PictureWeb(PICTURES) as served:
        served.serve("/copy.jpg", served.picture(5))
        yield served


@dataclass
class Blocking:
    """A root of the same list of pictures, and blocklists that are written anew before every run."""

    web: PictureWeb
    folder: Path
    lists: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> str:
        return str(self.folder / "root")

    def run(self, more: Sequence[str] = (), **lists: str) -> list[Outcome]:
        """A run with the lists of before, save for those that are given now; an empty one is no list."""
        self.lists = {kind: text for kind, text in {**self.lists, **lists}.items() if text}
        self.folder.mkdir(parents=True, exist_ok=True)
        named = []
        for kind, text in self.lists.items():
            (self.folder / f"{kind}.txt").write_text(text)
            named.append(f'blocklists.{kind}=["{self.folder}/{kind}.txt"]')
        named += [f"blocklists.{kind}=[]" for kind in lists if kind not in self.lists]
        hosts = [self.web.host, self.web.host.replace("127.0.0.1", "localhost")]
        return refine(self.root, self._list(), [*SETTINGS, f"download.allow_private_hosts={hosts}", *named, *more])

    def _list(self) -> str:
        urls = [self.web.url(n) for n in range(PICTURES)]
        urls[1] = urls[1].replace("127.0.0.1", "localhost")
        urls.append(f"http://{self.web.host}/copy.jpg")
        texts = [f"a picture of things, number {n}" for n in range(len(urls))]
        texts[3] = "a picture of Ugly  THINGS indeed"
        place = self.folder / "list.parquet"
        if not place.exists():
            pq.write_table(pa.table({"url": urls, "text": texts}), place)
        return str(place)

    def ask(self, query: str) -> list[Any]:
        with connect(self.root) as catalog:
            return catalog.execute(query).fetchall()

    def blocked(self) -> dict[int, tuple[str, str]]:
        """The rows that a list names: stage and detail."""
        found = self.ask("SELECT source_row, stage, detail FROM samples WHERE reason LIKE 'blocked%' ORDER BY 1")
        return {row: (stage, detail) for row, stage, detail in found}


def sha(web: PictureWeb, number: int) -> str:
    return hashlib.sha256(web.picture(number)).hexdigest()


def phash(root: str, row: int) -> str:
    query = "SELECT phash FROM images JOIN rows USING (sample_id) WHERE source_row = $row"
    with connect(root) as catalog:
        found = catalog.execute(query, {"row": row}).fetchone()
    assert found is not None
    return f"{found[0]:016x}"


def test_lists_change_and_nothing_is_fetched_twice(web: PictureWeb, tmp_path: Path) -> None:
    """Lines that come reject rows, and lines that go let them in, both in the next run and from what is stored."""
    web.requests.clear()
    one = Blocking(web, tmp_path / "one")
    one.run(hosts="# of late\nlocalhost\n", urls=f"{web.url(2).upper().replace('JPG', 'jpg')}#x\n")
    assert web.requests.total() == PICTURES - 1 and not {"/1.jpg", "/2.jpg"} & web.requests.keys()
    assert one.blocked() == {
        1: ("plan", "hosts.txt, line 2: localhost"),
        2: ("plan", f"urls.txt, line 1: {web.url(2)}"),
    }
    counted(one.root)
    replies = one.ask("SELECT count(*) FROM captions")
    near = f"{int(phash(one.root, 4), 16) ^ 0b101:016x}"

    one.run(words="nothing\nugly things\n", sha256=f"{sha(web, 5)}\n", phash=f"\n{near}\n")
    assert one.blocked() == {
        1: ("plan", "hosts.txt, line 2: localhost"),
        2: ("plan", f"urls.txt, line 1: {web.url(2)}"),
        3: ("plan", "words.txt, line 2: ugly things"),
        4: ("blocklists", f"phash.txt, line 2: 2 bits from {near}, blocklists.phash_distance 4"),
        5: ("blocklists", f"sha256.txt, line 1: {sha(web, 5)}"),
        8: ("blocklists", f"sha256.txt, line 1: {sha(web, 5)}"),
    }
    assert web.requests.total() == PICTURES - 1
    counted(one.root)
    assert one.ask("SELECT count(*) FROM samples WHERE fate = 'kept'") == [(3,)]
    assert one.ask("FROM blocked_images SELECT list, line WHERE reason = 'blocked_phash'") == [("phash.txt", 2)]

    one.run(words="", sha256="", phash="")
    assert one.blocked().keys() == {1, 2} and web.requests.total() == PICTURES - 1
    assert one.ask("SELECT count(*) FROM captions") == replies
    counted(one.root)
    other = Blocking(web, tmp_path / "other")
    other.run(hosts="# of late\nlocalhost\n", urls=f"{web.url(2)}\n")
    same = "SELECT source_row, fate, stage, reason, detail FROM samples ORDER BY 1"
    assert one.ask(same) == other.ask(same)

    one.run(hosts="", urls="")
    assert one.blocked() == {} and web.requests["/1.jpg"] >= 1
    assert not [o for o in one.run() if o.status != "skipped"]


def test_a_listed_image_is_neither_captioned_nor_keeps_others_out(web: PictureWeb, tmp_path: Path) -> None:
    """The copy of an image that is listed by its url is no duplicate of it, and a redirect hides nothing."""
    web.requests.clear()
    root = Blocking(web, tmp_path)
    root.run(sha256=f"{sha(web, 0)}\n", urls=f"{web.url(5)}\n")
    assert root.blocked() == {
        0: ("blocklists", f"sha256.txt, line 1: {sha(web, 0)}"),
        5: ("plan", f"urls.txt, line 1: {web.url(5)}"),
    }
    assert root.ask("SELECT fate FROM samples WHERE source_row = 8") == [("kept",)]
    assert root.ask("SELECT count(*) FROM captions JOIN rows USING (sample_id) WHERE source_row IN (0, 5)") == [(0,)]
    counted(root.root)


def test_a_redirect_to_a_listed_host_or_url_is_rejected_and_counted(web: PictureWeb, tmp_path: Path) -> None:
    """What the row's own address does not say, the answer does: nothing of it is captioned or released."""
    hidden = web.serve("/hidden.jpg", web.picture(5))
    local = web.host.replace("127.0.0.1", "localhost")
    web.redirects |= {
        "/a.jpg": f"http://{local}/6.jpg",
        "/b.jpg": "/c.jpg",
        "/c.jpg": "/hidden.jpg",
        "/d.jpg": "/7.jpg",
    }
    root = Blocking(web, tmp_path)
    urls = [f"http://{web.host}/{name}.jpg" for name in ("a", "b", "d", "0")]
    texts = [f"a picture of things, number {n}" for n in range(len(urls))]
    pq.write_table(pa.table({"url": urls, "text": texts}), tmp_path / "list.parquet")
    root.run(hosts="# of late\nlocalhost\n", urls=f"http://nowhere.example/x\n\n{hidden}\n")
    assert root.blocked() == {
        0: ("blocklists", "hosts.txt, line 2: localhost"),
        1: ("blocklists", f"urls.txt, line 3: {hidden}"),
    }
    found = "SELECT reason, list, line, count(*) FROM blocked_images GROUP BY ALL ORDER BY line NULLS LAST"
    assert root.ask(found) == [
        ("blocked_host", "hosts.txt", 2, 1),
        ("blocked_url", "urls.txt", 3, 1),
        (None, None, None, 2),
    ]
    fates = "SELECT source_row, fate FROM samples ORDER BY 1"
    assert root.ask(fates) == [(0, "rejected"), (1, "rejected"), (2, "kept"), (3, "kept")]
    counted(root.root)
    for table in ("captions", "released"):
        assert root.ask(f"SELECT DISTINCT source_row FROM {table} JOIN rows USING (sample_id) ORDER BY 1") == [
            (2,),
            (3,),
        ]
    card = Store(root.root).read("release/README.md").decode()
    assert "| blocklists | rejected | blocked_host |" in card and "| blocklists | rejected | blocked_url |" in card
    web.redirects.clear()


def test_a_list_over_http_is_asked_for_once_a_run_and_never_taken_for_empty(
    web: PictureWeb, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listed = b"# of late\nlocalhost\n"
    pages = in_turn(body(listed), status(503), body(b""), body(b"nowhere.example\n"))
    with HostileWeb() as lists:
        named = [f'blocklists.hosts=["{lists.page("/hosts.txt", pages)}"]']
        root = Blocking(web, tmp_path / "one")
        for run in (1, 2, 3):
            root.run(named)
            assert root.blocked() == {1: ("plan", "hosts.txt, line 2: localhost")}, run
            assert lists.asked("/hosts.txt") == run
            (told,) = json.loads(Store(root.root).read("blocklists/lists.json"))
            (tmp_path / "same.txt").write_bytes(listed)
            assert told["digest"] == Lists.of(Blocklists(hosts=[str(tmp_path / "same.txt")])).lists[0].digest
        assert "HTTP status 503" in caplog.text and "not a byte came" in caplog.text
        assert caplog.text.count("The copy of the last run is used") == 2
        root.run(named)
        assert root.blocked() == {} and lists.asked("/hosts.txt") == 4
        counted(root.root)

        lists.page("/down.txt", status(503))
        other = Blocking(web, tmp_path / "other")
        web.requests.clear()
        with pytest.raises(
            SourceError, match=r"^blocklists\.hosts: http\S*/down\.txt cannot be read: HTTP status 503; .*"
        ):
            other.run([f'blocklists.hosts=["{lists.url("/down.txt")}"]'])
        assert lists.asked("/down.txt") == 1 and not web.requests
        assert not Store(other.root).names("tables/rows", ".parquet")


def test_a_run_killed_at_any_change_ends_byte_identical(
    web: PictureWeb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = {"hosts": "localhost\n", "words": "ugly things\n", "sha256": f"{sha(web, 5)}\n", "phash": "0" * 16}
    whole = Blocking(web, tmp_path / "whole")
    count = changes(lambda: whole.run(**lists), monkeypatch)
    expected = fingerprint(Store(whole.root), *RESULT)
    copies = Store(whole.root).names("blocklists", ".parquet")
    assert len(whole.blocked()) == 4
    for change in (1, count // 3):
        killed = Blocking(web, tmp_path / f"killed-{change}")
        assert killed_at(change, lambda killed=killed: killed.run(**lists), monkeypatch)  # type: ignore[misc]
        killed.run()
        assert fingerprint(Store(killed.root), *RESULT) == expected
        assert Store(killed.root).names("blocklists", ".parquet") == copies


def test_a_run_that_goes_on_uses_the_lists_that_it_began_with(web: PictureWeb, tmp_path: Path) -> None:
    root = Blocking(web, tmp_path)
    PlainStore.files["b/hosts"] = b"localhost\n"
    root.run(['blocklists.hosts=["plain://b/hosts"]'])
    PlainStore.files["b/hosts"] = b"nowhere.example\n"
    record = RunRecord("a run")  # killed: it never says more than that it runs
    record.write(Store(root.root))
    assert not [o for o in root.run() if o.status != "skipped"]
    assert root.blocked() == {1: ("plan", "hosts, line 1: localhost")}
    record.status = "completed"
    record.write(Store(root.root))
    root.run()
    assert root.blocked() == {}
    PlainStore.files.clear()
