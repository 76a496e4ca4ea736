"""Laws of the download stage, over real HTTP and real files."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import imagehash
import pytest
from PIL import Image

from curation.core.stage import Shard, digest
from curation.core.store import Store
from curation.core.tar import TarWriter
from curation.core.under_way import Progress, under_way
from curation.fetch.download_stage import DownloadStage
from curation.fetch.seams import GuardedOpener
from curation.fetch.spool import Spool
from schemas.arrow import rows_of, table_of
from schemas.reasons import Reason
from schemas.recipe import Download
from schemas.records import ImageRow, Repeat, SourceRow
from tests.support.images import encoded, jpeg, natural
from tests.support.source_rows import source_row
from tests.support.web import Reply, Web


def recipe(web: Web | None = None, **changes: Any) -> Download:
    hosts = [web.host] if web else []
    return Download(**{"allow_private_hosts": hosts, "size": 64, "min_side": 16, "retries": 0, "threads": 8, **changes})


def run(
    folder: Path, settings: Download, rows: list[SourceRow], repeats: tuple[Repeat, ...] = ()
) -> tuple[list[ImageRow], bytes]:
    """One shard through the stage; its rows, and the bytes of its tar."""
    store = Store(str(folder))
    store.write_table(SourceRow, "s", table_of(SourceRow, rows))
    store.write_table(Repeat, "s", table_of(Repeat, repeats))
    with DownloadStage(settings).open() as work:
        table = work(Shard("s", store))
    return list(rows_of(ImageRow, table)), store.read("images/s.tar")


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    return [jpeg(natural(90 + 5 * (i % 7), 70 + 3 * (i % 5), seed=i)) for i in range(40)]


@pytest.fixture(scope="module")
def web(pictures: list[bytes]) -> Iterator[Web]:
    late = random.Random(1)
    replies = {f"/{i}.jpg": Reply(p, delay=late.choice([0.0, 0.01, 0.05])) for i, p in enumerate(pictures)}
    replies |= {f"/small/{i}.jpg": Reply(jpeg(natural(60, 50, seed=i))) for i in range(4)}
    replies["/html"] = Reply(b"<html><body>Not here</body></html>", headers={"Content-Type": "image/jpeg"})
    replies["/broken.jpg"] = Reply(pictures[0][: len(pictures[0]) // 2])
    replies["/moved.jpg"] = Reply(status=302, headers={"Location": "/0.jpg"})
    replies["/noai.jpg"] = Reply(pictures[1], headers={"X-Robots-Tag": "noai"})
    replies["/empty.jpg"] = Reply(b"")
    replies["/hang.jpg"] = Reply(hang=True)
    with Web(replies) as served:
        yield served


def test_members_stand_in_row_order_at_the_recorded_places(tmp_path: Path, web: Web) -> None:
    rows = [source_row(i, web.url(f"/{i}.jpg")) for i in range(40)]
    images, tar = run(tmp_path, recipe(web), rows)
    assert [i.sample_id for i in images] == [r.sample_id for r in rows]
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert archive.getnames() == [f"{r.sample_id}.jpg" for r in rows]
    for image in images:
        assert image.reason is None
        assert image.offset is not None
        assert image.size is not None
        data = tar[image.offset : image.offset + image.size]
        assert hashlib.sha256(data).hexdigest() == image.sha256
        assert Image.open(io.BytesIO(data)).size == (image.width, image.height)
        assert min(image.width or 0, image.height or 0) == 64


@pytest.mark.parametrize("threads", [1, 32])
def test_arrival_order_changes_no_byte(tmp_path: Path, web: Web, threads: int) -> None:
    paths = [f"/{i}.jpg" for i in range(40)] + ["/html", "/nowhere", "/small/1.jpg", "/moved.jpg"]
    rows = [source_row(i, web.url(p)) for i, p in enumerate(paths)]
    one = tmp_path / "one"
    other = tmp_path / "other"
    run(one, recipe(web), rows)
    run(other, recipe(web, threads=threads, per_host=threads), rows)
    # Ports differ from run to run of the tests, within one they do not.
    for name in ("images/s.tar", "images/s_stats.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    first, _ = run(one, recipe(web), rows)
    second, _ = run(other, recipe(web, threads=threads), rows)
    assert first == second


def test_every_row_has_its_reason(tmp_path: Path, web: Web, pictures: list[bytes]) -> None:
    expected = {
        "/html": (Reason.NOT_AN_IMAGE, 200),
        "/nowhere": (Reason.HTTP_404, 404),
        "/broken.jpg": (Reason.TRUNCATED, 200),
        "/noai.jpg": (Reason.OPTED_OUT, 200),
        "/empty.jpg": (Reason.EMPTY_BODY, 200),
        "/0.jpg": (None, 200),
    }
    rows = [source_row(i, web.url(path)) for i, path in enumerate(expected)]
    rows.append(source_row(90, "file:///etc/passwd"))
    rows.append(source_row(91, "http://[::bad"))
    rows.append(source_row(92, "row:whatever.0"))
    images, _ = run(tmp_path, recipe(web), rows)
    found = [(i.reason, i.http_status) for i in images]
    assert found[: len(expected)] == list(expected.values())
    assert [i.reason for i in images[len(expected) :]] == [Reason.BAD_URL] * 3
    assert images[3].opt_out is not None
    assert images[2].original_format == "jpeg"
    assert images[2].original_sha256 == hashlib.sha256(pictures[0][: len(pictures[0]) // 2]).hexdigest()
    counted = json.loads((tmp_path / "images/s_stats.json").read_bytes())
    assert counted["count"] == 9
    assert counted["successes"] == 1
    assert counted["failed_to_resize"] == 3
    assert counted["failed_to_download"] == 5
    assert counted["status_dict"]["http_404"] == 1


def test_a_redirect_leaves_its_trace(tmp_path: Path, web: Web) -> None:
    images, _ = run(tmp_path, recipe(web), [source_row(0, web.url("/moved.jpg")), source_row(1, web.url("/1.jpg"))])
    assert images[0].final_url == web.url("/0.jpg")
    assert images[1].final_url is None


def test_rows_that_were_rejected_or_repeat_are_left_out(tmp_path: Path, web: Web) -> None:
    rows = [source_row(i, web.url(f"/{i}.jpg")) for i in range(4)]
    rows[1] = replace(rows[1], reason=Reason.UNSAFE)
    repeat = Repeat(rows[2].source_file, rows[2].source_row, rows[2].sample_id, Reason.REPEATED_TEXT, None)
    images, tar = run(tmp_path, recipe(web), rows, (repeat,))
    assert [i.sample_id for i in images] == [rows[0].sample_id, rows[3].sample_id]
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert archive.getnames() == [f"{rows[0].sample_id}.jpg", f"{rows[3].sample_id}.jpg"]


def test_a_jpeg_that_needs_no_change_keeps_its_bytes(tmp_path: Path, web: Web) -> None:
    rows = [source_row(i, web.url(f"/small/{i}.jpg")) for i in range(4)]
    images, tar = run(tmp_path, recipe(web), rows)
    for number, image in enumerate(images):
        data = jpeg(natural(60, 50, seed=number))
        assert image.unchanged
        assert image.sha256 == image.original_sha256 == hashlib.sha256(data).hexdigest()
        assert tar[image.offset or 0 :].startswith(data)
        assert image.phash == int(str(imagehash.phash(Image.open(io.BytesIO(data)))), 16)


def test_img2dataset_asks_for_the_rows_own_urls_and_each_of_them_once(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answer = GuardedOpener.open

    def noting(self: GuardedOpener, request: Any, data: Any = None, timeout: Any = None) -> Any:
        asked.append(request.full_url)
        return answer(self, request, data, timeout)

    monkeypatch.setattr(GuardedOpener, "open", noting)
    urls = [web.url(path) for path in ("/0.jpg", "/1.jpg?a=%2f b", "/0.jpg", "/nowhere", "/nowhere", "/0.jpg#part")]
    rows = [source_row(i, url) for i, url in enumerate([*urls, "no.scheme/a.jpg", "file:///etc/passwd"])]
    rows[2] = replace(rows[2], expected_sha256="0" * 64)
    images, _ = run(tmp_path, recipe(web, hash_policy="reject"), rows)
    assert sorted(asked) == sorted({*urls, "file:///etc/passwd"})
    assert [i.reason for i in images] == [
        None,
        None,
        Reason.HASH_MISMATCH,
        Reason.HTTP_404,
        Reason.HTTP_404,
        None,
        Reason.BAD_URL,
        Reason.BAD_URL,
    ]
    assert images[0].sha256 == images[5].sha256


@pytest.mark.parametrize("policy", ["record", "reject"])
def test_an_expected_hash_is_checked(tmp_path: Path, web: Web, pictures: list[bytes], policy: str) -> None:
    rows = [
        source_row(0, web.url("/0.jpg"), expected_md5=hashlib.md5(pictures[0]).hexdigest().upper()),
        source_row(1, web.url("/1.jpg"), expected_sha256="0" * 64),
        source_row(2, web.url("/2.jpg")),
    ]
    images, _ = run(tmp_path, recipe(web, hash_policy=policy), rows)
    assert [i.hash_matches for i in images] == [True, False, None]
    assert [i.reason for i in images] == [None, Reason.HASH_MISMATCH if policy == "reject" else None, None]


def test_local_pixels_go_the_same_way(tmp_path: Path, web: Web, pictures: list[bytes]) -> None:
    loose = tmp_path / "loose.png"
    loose.write_bytes(encoded(natural(80, 70), "PNG"))
    with TarWriter(tmp_path / "old.tar") as old:
        offset = old.add("a.jpg", pictures[3])
    inside = {"local_file": str(tmp_path / "old.tar"), "local_offset": offset, "local_size": len(pictures[3])}
    rows = [
        source_row(0, None, local_file=str(loose)),
        source_row(1, web.url("/3.jpg")),
        source_row(2, web.url("/3.jpg?other"), **inside),
        source_row(3, None, local_file=str(tmp_path / "gone.jpg")),
        source_row(4, None, local_file=f"file://{loose}"),
        source_row(5, None, **(inside | {"local_size": 10**6})),
        source_row(6, None, local_file=str(tmp_path)),
    ]
    images, tar = run(tmp_path / "root", recipe(web), rows)
    reasons = [None, None, None, Reason.FILE_MISSING, None, Reason.TRUNCATED, Reason.FILE_MISSING]
    assert [i.reason for i in images] == reasons
    assert images[0].sha256 == images[4].sha256
    assert images[1].sha256 == images[2].sha256
    assert images[2].http_status is None
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert archive.getnames() == [f"{rows[i].sample_id}.jpg" for i in (0, 1, 2, 4)]


def test_only_what_came_over_a_network_is_kept_for_a_run_that_resumes(
    tmp_path: Path, web: Web, pictures: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies on this machine is read again, for less than it costs to write all of it twice."""
    loose = tmp_path / "loose.jpg"
    loose.write_bytes(pictures[1])
    fsspec.filesystem("memory").pipe_file("/far.jpg", pictures[2])
    rows = [
        source_row(0, None, local_file=str(loose)),
        source_row(1, None, local_file=f"file://{loose}"),
        source_row(2, web.url("/3.jpg")),
        source_row(3, None, local_file="memory://far.jpg"),
    ]
    kept: list[int] = []
    monkeypatch.setattr(Spool, "add", lambda self, results: kept.extend(row for row, _ in results))
    images, _ = run(tmp_path / "root", recipe(web), rows)
    assert [i.reason for i in images] == [None] * 4
    assert sorted(kept) == [2, 3]


def test_an_empty_shard_is_an_empty_tar(tmp_path: Path) -> None:
    images, tar = run(tmp_path, recipe(), [source_row(0, "http://x/", reason=Reason.FEW_WORDS)])
    assert images == []
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert archive.getnames() == []
    assert json.loads((tmp_path / "images/s_stats.json").read_bytes())["count"] == 0


def test_what_is_free_in_the_recipe_is_not_in_the_digest() -> None:
    assert digest(DownloadStage(Download(threads=1))) == digest(DownloadStage(Download(threads=9)))
    assert digest(DownloadStage(Download(size=64))) != digest(DownloadStage(Download(size=65)))


def test_the_process_opener_is_put_back(tmp_path: Path, web: Web) -> None:
    before = urllib.request.build_opener()
    urllib.request.install_opener(before)
    try:
        with DownloadStage(recipe(web)).open():
            opener: Any = urllib.request._opener
            assert isinstance(opener, GuardedOpener)
            with urllib.request.urlopen(web.url("/0.jpg")) as answer:
                assert answer.status == 200
        assert urllib.request._opener is before
    finally:
        urllib.request.install_opener(None)


def test_an_unexpected_error_costs_the_shard_and_leaves_nothing(tmp_path: Path, web: Web) -> None:
    rows = [source_row(i, web.url(f"/{i}.jpg")) for i in range(3)] + [source_row(9, None, local_file="nosuch://x/y")]
    with pytest.raises(ValueError, match="nosuch"):
        run(tmp_path, recipe(web), rows)
    assert list((tmp_path / "images").iterdir()) == []


def test_how_far_a_shard_is_can_be_seen_while_it_waits_for_a_host(tmp_path: Path) -> None:
    """The last picture is withheld until the others were seen to be done and the host to be waited for."""
    count = 6
    paths = [f"/{n}.jpg" for n in range(count)] + ["/late.jpg"]
    late = Reply(jpeg(natural(60, 50)), hang=True)
    with Web({path: Reply(jpeg(natural(60, 50, seed=n))) for n, path in enumerate(paths)} | {"/late.jpg": late}) as web:
        seen: list[Progress] = []

        def look() -> None:
            while not seen or seen[-1].done < count or not seen[-1].waiting:
                seen.extend(under_way())
                time.sleep(0.01)

        watching = threading.Thread(target=look, daemon=True)
        watching.start()
        run(tmp_path, recipe(web, timeout=5), [source_row(n, web.url(path)) for n, path in enumerate(paths)])
        watching.join(0)
    assert not watching.is_alive(), "all but the last row were seen to be done"
    assert (seen[-1].table, seen[-1].shard, seen[-1].total) == ("images", "s", count + 1)
    assert list(seen[-1].waiting.values()) == [1] and under_way() == []
    assert [p.done for p in seen] == sorted(p.done for p in seen)
