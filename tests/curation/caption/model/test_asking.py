"""A question is asked once, and in process among the same neighbours in every run."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.caption.model.asking import ask
from curation.caption.model.chat import ChatReply, ChatRequest, failure, unusable
from curation.caption.model.ledger import Ledger
from curation.caption.model.scripted import ScriptedModel
from curation.core.store import Store
from schemas.reasons import Reason


@dataclass
class Neighbourly(ScriptedModel):
    """Its replies depend on which requests are computed together, as sums of floats do; remembers the batches."""

    bad: frozenset[str] = frozenset()
    batches: list[list[str]] = field(default_factory=list)

    def complete(self, requests: Iterable[ChatRequest]) -> Iterator[ChatReply]:
        source = iter(requests)
        while block := list(islice(source, self.batch)):
            self.batches.append([r.key for r in block])
            text = hashlib.sha256("".join(r.key for r in block).encode()).hexdigest()
            self.script = lambda r, text=text: (
                failure(r, Reason.INVALID_REPLY, text) if r.key in self.bad else f"{r.key} {text}"
            )
            yield from super().complete(block)


def run(folder: str, keys: Sequence[str], model: ScriptedModel) -> dict[int, ChatReply]:
    with Ledger(Store(folder), "s") as ledger:
        return dict(ask(model, ledger, ((n, ChatRequest(key, f"about {key}")) for n, key in enumerate(keys))))


@settings(max_examples=60, deadline=None)
@given(
    keys=st.lists(st.sampled_from("abcdefghij"), max_size=14),
    bad=st.frozensets(st.sampled_from("abcdefghij"), max_size=4),
    batch=st.integers(1, 4),
    killed=st.integers(1, 12),
)
@example(keys=list("abca"), bad=frozenset("a"), batch=2, killed=3)
def test_a_killed_and_resumed_run_has_the_same_batches_and_the_same_replies(
    keys: list[str], bad: frozenset[str], batch: int, killed: int
) -> None:
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as torn:
        at_once = Neighbourly(batch=batch, bad=bad)
        replies = run(whole, keys, at_once)
        assert [k for block in at_once.batches for k in block] == list(dict.fromkeys(keys))
        assert all(len(block) == batch for block in at_once.batches[:-1])

        first, second = Neighbourly(batch=batch, bad=bad, raise_at=killed), Neighbourly(batch=batch, bad=bad)
        if killed <= len(set(keys)):
            with pytest.raises(RuntimeError):
                run(torn, keys, first)
        assert run(torn, keys, second) == replies
        assert all(block in at_once.batches for block in second.batches)
        known = [block for block in first.batches[:-1] if not bad & set(block)]
        assert not any(block in second.batches for block in known)


def test_a_batch_is_in_the_journal_before_the_next_is_asked(tmp_path: Path) -> None:
    journal: list[int] = []

    class Looking(ScriptedModel):
        def complete(self, requests: Iterable[ChatRequest]) -> Iterator[ChatReply]:
            journal.append(len(Ledger(Store(str(tmp_path)), "s")))
            yield from super().complete(requests)

    run(str(tmp_path), "abcdefg", Looking(batch=2))
    assert journal == [0, 2, 4, 6]


@pytest.mark.parametrize("batch", [None, 2])
def test_equal_questions_are_asked_once_be_they_answered_or_not(batch: int | None, tmp_path: Path) -> None:
    model = ScriptedModel(
        script=lambda r: failure(r, Reason.INVALID_REPLY, "no") if r.key == "a" else f"to {r.key}", batch=batch
    )
    found = run(str(tmp_path), "abacabca", model)
    assert [found[n].text for n in range(8)] == [None, "to b", None, "to c", None, "to b", "to c", None]
    assert [r.key for r in model.asked] == ["a", "b", "c"]


@pytest.mark.parametrize("batch", [None, 2])
def test_a_reply_that_cannot_be_used_is_paid_for_once(batch: int | None, tmp_path: Path) -> None:
    def script(request: ChatRequest) -> ChatReply:
        came = ChatReply(request.key, "Sure!", finish="stop", tokens_in=3, tokens_out=5)
        return unusable(request, came, "no JSON") if request.key == "a" else came

    first, second = ScriptedModel(script=script, batch=batch), ScriptedModel(script=script, batch=batch)
    found = run(str(tmp_path), "abc", first)
    assert found[0].reason is Reason.INVALID_REPLY and found[0].tokens_out == 5 and found[0].said == "Sure!"
    assert run(str(tmp_path), "abc", second) == found and second.asked == []
