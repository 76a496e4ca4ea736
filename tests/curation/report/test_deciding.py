"""The server of a review: who may decide, what is refused, and that nothing that was answered is lost."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from curation.core.errors import UsageError
from curation.core.lock import PENDING, hold
from curation.core.store import Store
from curation.report.asking import opened
from curation.report.deciding import Judging
from curation.report.judging import Asking, fill_queue
from curation.report.serving import Served, serve
from curation.report.web import MOST_BYTES, PROOF
from curation.reviews.decision import MOST_CAPTION, Refused, parsed
from curation.reviews.journal import read_all
from schemas.tombstones import Tombstone
from tests.support.processes import REPOSITORY
from tests.support.roots import World, every_ending, make_world, recipe, release


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = make_world(str(tmp_path_factory.mktemp("judged") / "root"), recipe(), [every_ending(8)])
    release(made)
    return made


@pytest.fixture(scope="module")
def served(world: World) -> Iterator[Served]:
    with serve(world.store.url, over=Judging.of(Asking(), "ann")) as found:
        yield found


@pytest.fixture(autouse=True)
def undecided(world: World) -> Iterator[None]:
    """Each test begins without decisions of others."""
    yield
    shutil.rmtree(world.store.path("reviews"), ignore_errors=True)


@pytest.fixture(autouse=True)
def fresh(served: Served, undecided: None) -> None:
    journal = judging(served).of_journal
    for part in (journal.reviews, journal.by_sample, journal._read):
        part.clear()


def judging(served: Served) -> Judging:
    assert isinstance(served.server.answers, Judging)
    return served.server.answers


def send(served: Served, said: Any, path: str = "decide", token: str | None = None, **changed: str) -> tuple[int, Any]:
    """Sends a decision as the page does, but for the headers that are ``changed``; an empty one is left out."""
    address = urlsplit(served.url)
    own = address.path.strip("/")
    headers = {PROOF: own, "Content-Type": "application/json", "Origin": f"http://{address.netloc}"}
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 0, timeout=60)
    connection.request(
        "POST", f"/{own if token is None else token}/{path}", body, {k: v for k, v in headers.items() if v}
    )
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read() or b"{}")
    connection.close()
    return found


def get(served: Served, path: str) -> Any:
    address = urlsplit(served.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 0, timeout=60)
    connection.request("GET", address.path + path)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    return json.loads(answer.read())


def sample(served: Served, world: World, **wanted: str) -> str:
    query = " AND ".join(f"{key} = '{value}'" for key, value in wanted.items())
    with opened(world.store.url) as root:
        return str(root.ask(f"SELECT min(sample_id) AS s FROM samples WHERE {query}")[0]["s"])


def decision(sample_id: str, action: str = "keep", **more: Any) -> dict[str, Any]:
    return {"sample_id": sample_id, "action": action, "who": "ann", **more}


def test_only_the_page_itself_may_send(served: Served, world: World) -> None:
    said = decision(sample(served, world, fate="kept"))
    assert send(served, said, token="x")[0] == 403
    for name, value in (
        (PROOF, ""),
        (PROOF, "x"),
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Sec_Fetch_Site", "cross-site"),
        ("Sec_Fetch_Site", "same-site"),
        ("Host", "evil.example"),
    ):
        assert send(served, said, **{name: value})[0] == 403, (name, value)
    assert send(served, said, Content_Type="text/plain")[0] == 415
    assert send(served, said, path="rows")[0] == 404
    assert read_all(world.store) == []
    assert send(served, said)[0] == 200 and len(read_all(world.store)) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[" * 60_000, 400),
        (b"\xff", 400),
        (b"[]", 422),
        (b"null", 422),
        (b'{"action": "drop"}', 422),
        (b'{"x": 1}', 422),
        (b" " * (MOST_BYTES + 1), 413),
    ],
)
def test_what_is_no_decision_is_refused(served: Served, world: World, body: bytes, status: int) -> None:
    found, said = send(served, body)
    assert found == status and said["error"]
    assert read_all(world.store) == []


@pytest.mark.parametrize(
    "caption",
    [
        "",
        "   ",
        7,
        "x" * (MOST_CAPTION + 1),
        "a\x00b",
        "a\u202eb",
        "a\ud800b",
        "a\u200bb",
        "a\U000e0041b",
        "\x1b[31mred",
    ],
)
def test_captions_that_steer_or_are_too_long_are_refused(caption: Any) -> None:
    with pytest.raises(Refused):
        parsed({"sample_id": "s", "action": "edit", "who": "ann", "caption": caption})


def test_a_caption_has_one_line_and_keeps_its_letters() -> None:
    text = "میخواهم\n a  family 👩\u200d👩\u200d👧 café"
    found = parsed({"sample_id": "s", "action": "edit", "who": "ann", "caption": text})
    assert found.caption == "میخواهم a family 👩\u200d👩\u200d👧 café"


def test_judgement_overrides_captions_alone(served: Served, world: World) -> None:
    for reason in ("http_404", "opted_out", "exact_duplicate", "near_duplicate", "claimed_too_small"):
        status, said = send(served, decision(sample(served, world, reason=reason)))
        assert status == 422 and "cannot bring that back" in said["error"]
    for reason in ("refusal", "too_short", "low_image_text_similarity"):
        found = sample(served, world, reason=reason)
        status, said = send(served, decision(found))
        assert status == 200, said
        (written,) = [r for r in read_all(world.store) if r.sample_id == found]
        assert written.after and written.after == written.before and written.reason_before == reason
    silent = sample(served, world, reason="model_error")
    assert send(served, decision(silent))[0] == 422
    assert send(served, decision(silent, "edit", caption="A heron by a pond."))[0] == 200


def test_a_decision_upon_another_one_that_was_not_seen_is_a_conflict(served: Served, world: World) -> None:
    found = sample(served, world, fate="kept")
    status, first = send(served, decision(found, "reject", reason="judged_unsafe"))
    assert status == 200
    status, second = send(served, {**decision(found), "who": "ben"})
    assert status == 409 and "ann" in second["error"] and second["judged"]["decisions"][0]["who"] == "ann"
    status, third = send(served, {**decision(found), "who": "ben", "last": first["judged"]["last"]})
    assert status == 200 and [d["action"] for d in third["judged"]["decisions"]] == ["reject", "keep"]
    undone = third["judged"]["decisions"][1]["review_id"]
    status, fourth = send(served, decision(found, "undo", undoes=undone, last=third["judged"]["last"]))
    assert status == 200 and [d["action"] for d in fourth["judged"]["decisions"]] == ["reject"]
    status, _ = send(served, decision(found, "undo", undoes=undone, last=fourth["judged"]["last"]))
    assert status == 422
    assert len(read_all(world.store)) == 3


def test_what_many_send_at_once_is_all_there(served: Served, world: World) -> None:
    """Two servers over one root, many people; of those who judge one sample at once, all are answered."""
    rows = get(served, "queue?place=0")["rows"]
    ids = [row["id"] for row in rows if not row["judged"]["refuses"] and row["judged"]["caption"]]
    with serve(world.store.url, over=Judging.of(Asking(seed=1), "ben")) as other, ThreadPoolExecutor(8) as pool:
        servers = (served, other)
        tried = [pool.submit(send, servers[n % 2], {**decision(s), "who": f"p{n}"}) for n, s in enumerate(ids * 4)]
        statuses = [t.result()[0] for t in tried]
        assert set(statuses) <= {200, 409} and statuses.count(200) >= len(ids)
        assert len(read_all(world.store)) == statuses.count(200)
        # Each server knows what was decided at the other.
        for server in servers:
            assert get(server, "queue?place=0&who=x")["count"] == len(ids)
    assert all(r.at and r.who.startswith("p") for r in read_all(world.store))


def test_a_run_that_holds_the_root_keeps_nobody_from_deciding(served: Served, world: World) -> None:
    found = sample(served, world, fate="kept")
    with hold(world.store):
        assert send(served, decision(found, "reject", reason="judged_false"))[0] == 200
    assert len(read_all(world.store)) == 1


def test_nothing_is_decided_about_what_was_taken_down_or_amid_a_takedown(served: Served, world: World) -> None:
    found, store = sample(served, world, fate="kept"), world.store
    store.write(PENDING, b"{}")
    status, said = send(served, decision(found))
    assert status == 422 and "takedown" in said["error"]
    store.remove(PENDING)
    stone = Tombstone("2026-01-01", "asked for", "case 1", sample_id=found)
    store.write("tombstones.jsonl", stone.to_line().encode())
    assert send(served, decision(found))[0] == 422
    store.remove("tombstones.jsonl")
    assert read_all(store) == [] and send(served, decision(found))[0] == 200


@pytest.mark.slow
def test_no_decision_is_lost_when_the_server_is_killed_right_after_its_answer(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.store.path(""), tmp_path / "root")
    command = [sys.executable, "-m", "flows.review", str(tmp_path / "root"), "--as", "cleo"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=environment)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        at = Served(url, None, None, None)  # type: ignore[arg-type]  # an address is all that is asked of it
        row = next(r for r in get(at, "queue?place=0")["rows"] if r["fate"] == "kept")
        assert send(at, decision(row["id"], "edit", caption="A crane at dawn."))[0] == 200
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    (written,) = read_all(Store(str(tmp_path / "root")))
    assert (written.sample_id, written.after, written.who) == (row["id"], "A crane at dawn.", "ann")


def queued(world: World, **asked: Any) -> list[str]:
    with opened(world.store.url) as root:
        fill_queue(root, Asking(**asked))
        return [str(r["sample_id"]) for r in root.ask("SELECT sample_id FROM queue ORDER BY place")]


def test_the_queue_follows_its_condition_order_and_seed(world: World) -> None:
    everything = queued(world)
    assert everything == queued(world) and everything != queued(world, seed=1)
    assert set(everything) == set(queued(world, seed=1)) > world.kept_ids()
    assert set(queued(world, where="fate = 'kept'")) == world.kept_ids()
    # The sample of an audit grows at its end, and is of the release alone.
    few, more = queued(world, audit=True, most=4), queued(world, audit=True, most=8)
    assert more[:4] == few and set(more) <= world.kept_ids()
    with opened(world.store.url) as root:
        fill_queue(root, Asking(order="uncertainty"))
        near = root.ask(
            "SELECT min(abs(similarity - 0.1)) AS d FROM queue q JOIN scores USING (sample_id) "
            "WHERE kind <> 'alt_text' GROUP BY place ORDER BY place"
        )
    assert [r["d"] for r in near] == sorted(r["d"] for r in near) and len(near) > 3


@pytest.mark.parametrize("where", ["no_such = 1", "1 = 1) --", "'"])
def test_a_condition_that_is_none_is_refused(world: World, where: str) -> None:
    with opened(world.store.url) as root, pytest.raises(UsageError, match="--where"):
        fill_queue(root, Asking(where=where))


def test_an_audit_takes_two_answers_about_released_captions(world: World) -> None:
    with serve(world.store.url, over=Judging.of(Asking(audit=True, most=5, seed=3), "ann")) as served:
        rows = get(served, "queue?place=0&who=ann&open=1")["rows"]
        said = {"audit": "seed 3", "anything_false": True, "subject_missing": False}
        assert send(served, decision(rows[0]["id"], "audit", audit="seed 3"))[0] == 422
        assert send(served, decision(rows[0]["id"], "audit", **{**said, "audit": "seed 4"}))[0] == 422
        status, found = send(served, decision(rows[0]["id"], "audit", **said))
        assert status == 200 and found["judged"]["answer"] == {"anything_false": True, "subject_missing": False}
        assert get(served, "queue?place=0&who=ann&open=1")["place"] == 1
        assert get(served, f"queue?place=0&who={quote('bén')}&open=1")["place"] == 0
    (written,) = read_all(world.store)
    assert written.audit == "seed 3" and written.anything_false is True and written.before
