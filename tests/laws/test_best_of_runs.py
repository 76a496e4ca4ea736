"""Whole runs that keep the best of several captions: which one it is, what is asked, and what a fault changes."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from curation.catalog import connect
from curation.core.errors import LapidaryError
from schemas.candidates import CANDIDATES, RankedCandidate
from tests.support.chat_server import ChatServer, chat_server
from tests.support.processes import REPOSITORY
from tests.support.runs import command, counted, refine
from tests.support.verified import CAPTION_GIVEN, STATEMENT, source, words

PICTURES = 8
SAMPLES = 3
TRUE = (
    "A large red circle stands in front of a pale green wall. ",
    "Two small blue boxes lie on a brown floor to its left. ",
    "A bird with long grey feathers sits on the nearer box. ",
    "A white curtain hangs beside a window at the right. ",
)
FALSE = ("A lamp hangs above the boxes. ", "A lamp stands behind the circle. ", "A lamp lies on the floor. ")
_OWN = ("bicycle", "dog on", "square on a white", "square on a yellow", "wooden floor beside")  # of looks before work


def reply(body: dict[str, Any]) -> str:
    """Two to four true sentences and none to three false ones, by the request's seed; the lamps are what is false."""
    said = words(body)
    if "honoured" in str(body.get("response_format")):
        return '{"honoured": true}'
    if given := CAPTION_GIVEN.search(said):
        return graph(given[1])
    if (asked := STATEMENT.search(said)) is not None:
        return "no" if any(w in asked[1] for w in ("lamp", "bicycle", "dog on")) else "yes"
    seed = int(body["seed"])
    return ("".join(TRUE[: 2 + seed % 3]) + "".join(FALSE[: seed // 3 % 4])).strip()


def graph(caption: str) -> str:
    """The lamp and the bird as atoms."""
    atoms = [
        {"id": n, "parents": [], "category": "entity", "detail": "", "elements": [thing], "text": thing}
        | {"question": f"Is there a {thing}?", "answer": "yes"}
        for n, thing in enumerate((t for t in ("bird", "lamp") if t in caption), 1)
    ]
    return json.dumps({"atoms": atoms})


def settings(server: ChatServer, *more: str, samples: int = SAMPLES) -> list[str]:
    endpoint = [f'caption.endpoints=["{server.url}"]', f"caption.model={server.model}", "caption.backend=server"]
    quick = ["caption.timeout=60", "caption.retries=0", "export.val=0", "export.test=0", "source.shard_rows=5"]
    wanted = [f"verify.samples={samples}", "caption.temperature=0.8", "verify.enabled=true", "caption.price_in=1"]
    return [*endpoint, *quick, *wanted, "verify.max_dropped=0.7", *more]


def tables(root: Path) -> dict[str, bytes]:
    """What was asked and decided, the candidates included."""
    records = (*CANDIDATES.values(), *CANDIDATES, RankedCandidate)
    names = (*(r.table for r in records), "verified_captions")
    return {f"{t}/{p.name}": p.read_bytes() for t in names for p in sorted((root / "tables" / t).glob("*"))}


def real(bodies: Sequence[dict[str, Any]]) -> Counter[str]:
    """The requests about pictures of the source, each as text; those of looks before work are left out."""
    looks = ("honoured", *_OWN)
    kept = [b for b in bodies if not any(w in words(b) or w in str(b.get("response_format")) for w in looks)]
    return Counter(json.dumps(b, sort_keys=True) for b in kept if "picture number" in words(b) or "<" in words(b))


def journalled(root: Path) -> set[str]:
    """The keys of all replies that were paid for."""
    lines = [line for p in (root / "replies").glob("*.jsonl") for line in p.read_bytes().splitlines()]
    return {reply["key"] for line in lines for reply in json.loads(line)}


def captioning(requests: Counter[str]) -> int:
    return sum("picture number" in r for r in requests)


def merit(caption: str) -> tuple[Fraction, int]:
    """How good a caption is, by its own sentences."""
    true, false = (sum(s.strip() in caption for s in sentences) for sentences in (TRUE, FALSE))
    return Fraction(true, true + false), true


def test_the_best_of_the_candidates_is_kept_and_each_is_paid_for_once(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with chat_server(reply=reply) as server:
        refine(str(root), str(source(tmp_path / "source", PICTURES)), settings(server))
        first = real(server.asked)
        refine(str(root), str(tmp_path / "source"), settings(server))
        assert real(server.asked) == first  # the second run asked for nothing but the looks before it
    assert set(first.values()) == {1} and captioning(first) == PICTURES * SAMPLES
    views = connect(str(root))
    assert counted(str(root)).ok
    texts: dict[str, list[str]] = {}
    for sample, text in views.execute("SELECT sample_id, text FROM candidates ORDER BY sample_id, kind").fetchall():
        texts.setdefault(sample, []).append(text)
    assert {len(t) for t in texts.values()} == {SAMPLES} and len(texts) == PICTURES
    assert len({merit(t) for own in texts.values() for t in own}) > 4, "the candidates hardly differ"
    chosen = dict(views.execute("SELECT sample_id, text FROM captions WHERE kind = 'dense'").fetchall())
    assert chosen == {sample: max(own, key=merit) for sample, own in texts.items()}
    # Of equal ones the first was taken.
    kept = dict(views.execute("SELECT sample_id, candidate FROM ranked_candidates WHERE rank = 0").fetchall())
    assert kept == {sample: [merit(t) for t in own].index(max(map(merit, own))) for sample, own in texts.items()}
    costs = dict(views.execute("SELECT kind, replies FROM costs").fetchall())
    assert costs == {"dense": PICTURES * SAMPLES, "verify": sum(first.values()) - captioning(first)}
    released = views.execute("SELECT caption FROM placements").fetchall()
    assert len(released) == PICTURES and not any("lamp" in c for (c,) in released)
    assert "the best of 3 candidates each" in (root / "release" / "README.md").read_text()


def test_more_candidates_ask_for_those_that_lack_and_fewer_for_none(tmp_path: Path) -> None:
    root = tmp_path / "root"
    folder = str(source(tmp_path / "source", PICTURES))
    with chat_server(reply=reply) as server:
        refine(str(root), folder, settings(server, samples=1))
        plain, before = real(server.asked), tables(root)
        refine(str(root), folder, settings(server))
        more = real(server.asked)
        assert captioning(plain) == PICTURES and captioning(more) == PICTURES * SAMPLES
        assert plain <= more and set(more.values()) == {1}
        for setting in ("verify.threshold=0.9", "verify.policy=reject", "verify.max_dropped=0.1"):
            refine(str(root), folder, settings(server, setting))
            assert real(server.asked) == more
        as_before = ["verify.threshold=0.5", "verify.policy=drop"]  # a root keeps what it was told last
        refine(str(root), folder, settings(server, *as_before, samples=1))
        assert real(server.asked) == more
    after = tables(root)
    assert {name: after[name] for name in before} == before


@dataclass(frozen=True)
class LeftAlone:
    """A run that nobody disturbed: its further settings, its source, its root, and what it asked."""

    more: list[str]
    folder: str
    root: Path
    asked: Counter[str]


@pytest.fixture(scope="module", params=[[], ["verify.atoms.enabled=true"]])
def left_alone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LeftAlone:
    home = tmp_path_factory.mktemp("left-alone")
    folder = str(source(home / "source", PICTURES))
    with chat_server(reply=reply) as server:
        refine(str(home / "root"), folder, settings(server, *request.param))
        return LeftAlone(request.param, folder, home / "root", real(server.asked))


@pytest.mark.parametrize("at", [5, 17, 30, 60])
def test_a_run_whose_server_dies_ends_like_one_that_was_left_alone(
    left_alone: LeftAlone, tmp_path: Path, at: int
) -> None:
    torn, more, folder, asked = tmp_path / "torn", left_alone.more, left_alone.folder, left_alone.asked
    answered: list[dict[str, Any]] = []

    def dies(_: int, body: dict[str, Any]) -> str | None:
        if sum(real(answered).values()) >= at:
            return "reset"
        answered.append(body)
        return None

    with chat_server(reply=reply, fault=dies) as server, suppress(LapidaryError):
        refine(str(torn), folder, settings(server, "caption.timeout=2", *more))
    paid = len(journalled(torn))
    with chat_server(reply=reply) as server:
        refine(str(torn), folder, settings(server, *more))
        again = real(server.asked)
    assert tables(torn) == tables(left_alone.root)
    # No reply that came was asked for again.
    assert 0 < paid <= at and again <= asked and sum(again.values()) == sum(asked.values()) - paid


def test_a_killed_run_pays_again_for_what_was_in_flight_at_most(tmp_path: Path) -> None:
    whole, torn, folder = tmp_path / "whole", tmp_path / "torn", str(source(tmp_path / "source", PICTURES))
    few = ["caption.concurrency=2"]
    with chat_server(reply=reply) as server:
        refine(str(whole), folder, settings(server, *few))
        asked = real(server.asked)
    with chat_server(reply=reply, delay=0.02) as server:
        start = command(torn, "local", folder, settings(server, *few))
        process = subprocess.Popen(start, cwd=REPOSITORY)
        journals = torn / "replies"
        deadline = time.monotonic() + 120
        while sum(p.read_bytes().count(b"\n") for p in journals.glob("*.jsonl")) < 40:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        subprocess.run(start, cwd=REPOSITORY, check=True, timeout=300)
        paid = real(server.asked)
    assert tables(torn) == tables(whole)
    assert paid.keys() == asked.keys() and sum((paid - asked).values()) <= 2 * 2  # two stages, two requests each


def test_every_kind_has_its_own_best_and_a_kind_builds_on_its_own_number(tmp_path: Path) -> None:
    root = tmp_path / "root"
    kinds = (
        'caption.kinds=[{kind = "dense", prompt = "dense"}, {kind = "fused", prompt = "fuse"}, '
        '{kind = "tags", prompt = "tags", max_tokens = 64}]'
    )
    built: list[tuple[int, str]] = []

    def say(body: dict[str, Any]) -> str:
        said = words(body)
        if (given := CAPTION_GIVEN.search(said)) is not None and not STATEMENT.search(said):
            built.append((int(body["seed"]), given[1]))
            return reply(body | {"messages": [{"content": []}]})
        if "tags" in said and not STATEMENT.search(said):
            return ", ".join(["red circle", "blue boxes", "green wall", "lamp"][: 3 + int(body["seed"]) % 2])
        return reply(body)

    with chat_server(reply=say) as server:
        refine(str(root), str(source(tmp_path / "source", PICTURES)), settings(server, kinds))
    views = connect(str(root))
    assert counted(str(root)).ok
    rows = views.execute("SELECT sample_id, kind, text FROM candidates").fetchall()
    assert len(rows) == PICTURES * SAMPLES * 3 == len({(s, k) for s, k, _ in rows})
    dense = {(s, k.partition(".")[2]): t for s, k, t in rows if k.startswith("dense.")}
    assert len(built) >= PICTURES * SAMPLES  # the look before the work is one more
    assert {text for _, text in built} >= set(dense.values())
    order = [k for _, k in views.execute("SELECT sample_id, kind FROM captions").fetchall()]
    assert order == ["dense", "fused", "tags"] * PICTURES
    lamps = dict(views.execute("SELECT sample_id, text FROM captions WHERE kind = 'tags'").fetchall())
    for sample, text in lamps.items():
        own = [t for s, k, t in rows if s == sample and k.startswith("tags.")]
        assert ("lamp" in text) == all("lamp" in t for t in own)
    checks = views.execute("SELECT kind, count(*) FROM caption_checks GROUP BY ALL ORDER BY ALL").fetchall()
    assert checks == [(k, PICTURES) for k in ("alt_text", "dense", "fused", "tags")]
