"""Whole runs with verification: one fate a row, no reply asked for twice, costs told apart, the same after a fault."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from curation.catalog import connect
from curation.core.errors import LapidaryError
from tests.support.chat_server import Answer, ChatServer, chat_server
from tests.support.runs import counted, refine
from tests.support.verified import CAPTION_GIVEN, STATEMENT, source, words

_PICTURES = 12
_CAPTION = (
    "A large red circle number {n} stands in front of a pale green wall. Two small blue boxes lie on a brown floor to "
    "its left. A lamp hangs above the boxes and gives a warm light. A bird with the number {n} sits on the lamp."
)
_ATOMS = ["verify.atoms.enabled=true", "verify.atoms.price_in=2"]


def reply(body: dict[str, Any]) -> str:
    """A caption with the number of its alt text; the lamp is false for odd pictures, all of it for number 4."""
    said = words(body)
    if "honoured" in str(body.get("response_format")):
        return '{"honoured": true}'
    if found := CAPTION_GIVEN.search(said):
        return graph(found[1])
    if (asked := STATEMENT.search(said)) is None:
        number = re.search(r"picture number (\d+)", said)
        return _CAPTION.format(n=number[1] if number else "none")
    if "bicycle" in asked[1] or "dog on" in asked[1]:
        return "no"  # of the pictures by which a verifier is tried out
    return "no" if "lamp" in asked[1] or "number 4 " in asked[1] else "yes"


def graph(caption: str) -> str:
    """Circle, lamp and its light as atoms; for number 7 no graph."""
    number = re.search(r"number (\d+)", caption)
    of = f" number {number[1]}" if number else ""
    atoms = [
        (1, [], "entity", ["circle"], "large red circle", f"Is there a circle{of} ?"),
        (2, [1], "attribute", ["circle", "red"], "red circle", f"Is the circle{of} red?"),
        (3, [], "entity", ["lamp"], "A lamp", "Is there a lamp?"),
        (4, [3], "attribute", ["lamp", "warm"], "gives a warm light", "Is the light of the lamp warm?"),
        (5, [3], "relation", ["bird", "lamp", "on"], "sits on the lamp", "Is a bird on the lamp?"),
    ]
    keys = ("id", "parents", "category", "elements", "text", "question")
    made = [dict(zip(keys, a, strict=True)) | {"detail": "", "answer": "yes"} for a in atoms]
    return "no graph" if of == " number 7" else json.dumps({"atoms": made})


def settings(server: ChatServer, *more: str) -> list[str]:
    endpoint = [f'caption.endpoints=["{server.url}"]', f"caption.model={server.model}", "caption.backend=server"]
    quick = ["caption.timeout=3", "caption.retries=0", "export.val=0", "export.test=0", "source.shard_rows=5"]
    prices = ["caption.price_in=1", "caption.price_out=1"]
    return [*endpoint, *quick, *prices, "verify.enabled=true", *more]


def judged(root: Path) -> dict[str, bytes]:
    """What was asked and decided. The release itself may have begun with the samples that were decided first."""
    tables = ("captions", "caption_checks", "atoms", "statements", "verified_captions")
    return {f"{t}/{p.name}": p.read_bytes() for t in tables for p in sorted((root / "tables" / t).glob("*"))}


def released(root: Path) -> set[tuple[str, str]]:
    found = connect(str(root)).execute("SELECT sample_id, caption FROM placements SEMI JOIN released USING (sample_id)")
    return set(found.fetchall())


def asked_about_statements(server: ChatServer) -> list[str]:
    return [json.dumps(body, sort_keys=True) for body in server.asked if STATEMENT.search(words(body))]


def test_false_statements_are_cut_out_and_every_row_has_one_fate(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with chat_server(reply=reply) as server:
        refine(str(root), str(source(tmp_path / "source", _PICTURES)), settings(server))
        first = len(server.asked)
        refine(str(root), str(tmp_path / "source"), settings(server))
        again = server.asked[first:]
    counts = counted(str(root))
    views = connect(str(root))
    found = dict(views.execute("SELECT alt_text, caption FROM placements").fetchall())
    assert len(found) == _PICTURES - 1 and "picture number 4" not in found
    assert all("lamp" not in c and c.startswith("A large red circle") and c.endswith("left.") for c in found.values())
    (lost,) = views.execute("SELECT stage, reason, detail FROM samples WHERE fate = 'rejected'").fetchall()
    assert lost[:2] == ("verified", "false_statement") and "number 4" in lost[2]
    assert str(counts)
    # What was found stays: the caption as it came, each statement, and what they cost.
    assert views.execute("SELECT count(*) FROM caption_checks WHERE caption LIKE '%lamp%'").fetchone() == (_PICTURES,)
    assert views.execute("SELECT count(*), sum((verdict = 'false')::INT) FROM statements").fetchone() == (48, 25)
    costs = dict(views.execute("SELECT kind, replies FROM costs").fetchall())
    assert costs == {"dense": _PICTURES, "verify": len(set(asked_about_statements(server))) - _tried(server)}
    # The second run asked for nothing but the looks before it.
    assert not any("picture number" in words(b) for b in again)
    assert {STATEMENT.search(words(b)) is None for b in again[-4:]} == {False} and len(again) <= first


def _tried(server: ChatServer) -> int:
    """Distinct requests before the work: the longest one and those about drawn pictures."""
    own = ("bicycle", "dog on", "square on a white", "square on a yellow", "wooden floor beside")
    return len({a for a in asked_about_statements(server) if any(word in a for word in own)})


@pytest.mark.parametrize(("policy", "kept", "false"), [("record", 12, 25), ("reject", 0, 25)])
def test_the_policy_decides_without_asking_again(tmp_path: Path, policy: str, kept: int, false: int) -> None:
    root = tmp_path / "root"
    with chat_server(reply=reply) as server:
        refine(str(root), str(source(tmp_path / "source", _PICTURES)), settings(server))
        before = len(asked_about_statements(server))
        refine(str(root), str(tmp_path / "source"), settings(server, f"verify.policy={policy}"))
        assert len(set(asked_about_statements(server))) == len(set(asked_about_statements(server)[:before]))
    views = connect(str(root))
    assert views.execute("SELECT count(*) FROM released").fetchone() == (kept,)
    assert views.execute("SELECT sum(false_statements) FROM verified_captions").fetchone() == (false,)
    assert counted(str(root)).ok


@pytest.mark.parametrize("more", [[], _ATOMS])
def test_another_threshold_decides_anew_and_asks_nothing(tmp_path: Path, more: list[str]) -> None:
    """A lower one may let more atoms be asked, those that hang on what is true now; a higher one asks nothing."""
    root, folder = tmp_path / "root", str(source(tmp_path / "source", _PICTURES))
    unsure = 0.8  # how sure the server is of each yes

    def answer(_: int, body: dict[str, Any]) -> Answer | None:
        said = reply(body)
        if not body.get("logprobs") or said not in ("yes", "no"):
            return None
        yes = math.log(unsure if said == "yes" else 0.1)
        places = [{"token": said, "logprob": yes, "top_logprobs": [{"token": "yes", "logprob": yes}]}]
        places[0]["top_logprobs"] += [{"token": "no", "logprob": math.log1p(-math.exp(yes))}]  # type: ignore[operator]
        choice = {"message": {"content": said}, "finish_reason": "stop", "logprobs": {"content": places}}
        tokens = 90 if "image_url" in str(body) else 30
        return Answer({"choices": [choice], "usage": {"prompt_tokens": tokens, "completion_tokens": 1}})

    with chat_server(reply=reply, fault=answer) as server:
        refine(str(root), folder, settings(server, *more))
        first = work(server)
        assert counts(root)[1] > 0
        refine(str(root), folder, settings(server, "verify.threshold=0.79", *more))
        assert work(server) == first
        same = counts(root)
        refine(str(root), folder, settings(server, "verify.threshold=0.5", *more))
        assert work(server) == first and counts(root) == same


def work(server: ChatServer) -> list[str]:
    """The requests of the run itself, without those that look at the server before it."""
    own = ("bicycle", "dog on", "square on a white", "square on a yellow", "wooden floor beside", "honoured")
    return [text for text in map(json.dumps, server.asked) if not any(word in text for word in own)]


def counts(root: Path) -> tuple[int, int]:
    """Statements, and of these the false ones."""
    query = "SELECT count(*), count(*) FILTER (verdict = 'false') FROM statements"
    found = connect(str(root)).execute(query).fetchone()
    return (int(found[0]), int(found[1])) if found else (0, 0)


def test_atoms_are_asked_in_place_of_sentences_and_paid_for_once(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with chat_server(reply=reply) as server:
        refine(str(root), str(source(tmp_path / "source", _PICTURES)), settings(server, *_ATOMS))
        first = len(server.asked)
        refine(str(root), str(tmp_path / "source"), settings(server, *_ATOMS))
        again = server.asked[first:]
    views = connect(str(root))
    assert counted(str(root)).ok
    # Number 4 is false from its circle on; number 7 was not taken apart, and its sentences were asked.
    found = dict(views.execute("SELECT alt_text, caption FROM placements").fetchall())
    assert len(found) == _PICTURES - 1 and "picture number 4" not in found
    assert all("lamp" not in c and c.endswith("left.") for c in found.values())
    odd = 'SELECT count(*), any_value(reason), any_value(fault) FROM atoms WHERE "index" IS NULL'
    (none, reason, fault) = views.execute(odd).fetchone() or (0, None, "")
    assert (none, reason) == (1, "invalid_reply") and fault.startswith("not a CaptionAtoms")
    assert views.execute("SELECT count(*) FROM statements WHERE prompt = 'question@1'").fetchone() == (5 * 11,)
    # Light and bird hang on the lamp, which is false.
    hanging = "SELECT count(*) FROM statements WHERE verdict = 'not_asked' AND detail LIKE '%Is there a lamp?'"
    assert views.execute(hanging).fetchone() == (2 * 11,)
    costs = views.execute("SELECT kind, replies FROM costs WHERE kind <> 'verify' ORDER BY kind").fetchall()
    assert costs == [("atoms", _PICTURES), ("dense", _PICTURES)]
    assert not any("picture number" in words(b) or "number 0" in words(b) for b in again)


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[str]], tuple[Path, Path]]:
    """A source, and the root of a run over it with such settings that nobody disturbed; each is made once."""
    folder = source(tmp_path_factory.mktemp("pictures") / "source", _PICTURES)
    made: dict[tuple[str, ...], Path] = {}

    def root_of(more: list[str]) -> tuple[Path, Path]:
        if tuple(more) not in made:
            made[tuple(more)] = tmp_path_factory.mktemp("whole")
            with chat_server(reply=reply) as server:
                refine(str(made[tuple(more)]), str(folder), settings(server, *more))
        return folder, made[tuple(more)]

    return root_of


@pytest.mark.parametrize(
    ("at", "more"), [(3, []), (14, []), (30, []), (50, []), (14, _ATOMS), (20, _ATOMS), (40, _ATOMS)]
)
def test_a_run_whose_server_dies_ends_like_one_that_was_left_alone(
    left_alone: Callable[[list[str]], tuple[Path, Path]], tmp_path: Path, at: int, more: list[str]
) -> None:
    torn, (folder, whole) = tmp_path / "torn", left_alone(more)
    seen: list[int] = []

    def dies(_: int, body: dict[str, Any]) -> str | None:
        real = "picture number" in words(body) or "number " in re.split("</(?:statement|question)>", words(body))[0]
        seen.extend([1] if real else [])
        return "reset" if len(seen) > at else None

    with chat_server(reply=reply, fault=dies) as server, suppress(LapidaryError):
        refine(str(torn), str(folder), settings(server, "caption.timeout=0.5", *more))
    with chat_server(reply=reply) as server:
        refine(str(torn), str(folder), settings(server, *more))
    assert judged(torn) == judged(whole)
    assert released(torn) == released(whole) and len(released(whole)) == _PICTURES - 1
