"""The decisions of a root as files: one for each, written once; many of them put together under the root's lock.

A file is ``reviews/<review_id>.json``, or ``reviews/<first>_<last>.jsonl`` with a decision a line. The same decision
may stand in both for a moment: it counts once.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from curation.core.errors import StoreError
from curation.core.store import Store
from schemas.reviews import Action, Review

FOLDER = "reviews"
_TOGETHER = 1000  # files of one decision each, beyond which they are put together
_LARGEST = 1 << 20  # bytes of a file of one decision; ours have at most 100,000
_TRIES = 5
_STAMP = "%Y%m%dT%H%M%S%f"
_COUNTED = frozenset({"words", "clip_tokens", "sentence_end_77"})  # of the table alone
_OPTIONAL = ("reason", "note", "kind", "fate_before", "reason_before", "before", "after", "undoes", "audit")


def new_id(after: str = "") -> tuple[str, str]:
    """A review_id that sorts behind ``after``, and its time. Clocks of two machines may differ."""
    now = datetime.now(UTC)
    with contextlib.suppress(ValueError):
        now = max(now, datetime.strptime(after[:21], _STAMP).replace(tzinfo=UTC) + timedelta(microseconds=1))
    return f"{now.strftime(_STAMP)}-{secrets.token_hex(4)}", now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def write(store: Store, review: Review) -> str:
    """Publishes a decision; returns its file's name. It is on the disk when this returns. Raises ``StoreError``."""
    name = f"{FOLDER}/{review.review_id}.json"
    data = _line(review)
    if not store.is_local:
        store.write(name, data)
        return name
    for attempt in range(_TRIES):
        try:
            _write_synced(Path(store.path(name)), data)
            break
        except FileNotFoundError as error:  # a run that begins sweeps the temporary files of others
            if attempt == _TRIES - 1:
                raise StoreError(f"cannot write {store.path(name)}: {error}; try again") from error
        except OSError as error:
            raise StoreError(f"cannot write {store.path(name)}: {error}; free space") from error
    return name


def _write_synced(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".tmp-{secrets.token_hex(16)}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        temporary.unlink(missing_ok=True)


@dataclass
class Journal:
    """The decisions of a root as far as they were read, by review_id. ``refresh`` reads what others wrote meanwhile."""

    store: Store
    reviews: dict[str, Review] = field(default_factory=dict)
    by_sample: dict[str, list[Review]] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)

    def refresh(self) -> None:
        """Reads the files that are new. Raises ``StoreError`` for one that is damaged."""
        for name in names(self.store):
            if name in self._read:
                continue
            for review in _read(self.store, name):
                self.add(review)
            self._read.add(name)

    def add(self, review: Review) -> None:
        """Puts a decision among the others of its sample, in the order of time."""
        if review.review_id in self.reviews:
            return
        self.reviews[review.review_id] = review
        of_sample = self.by_sample.setdefault(review.sample_id, [])
        of_sample.append(review)
        of_sample.sort(key=lambda r: r.review_id)

    def standing(self, sample: str) -> list[Review]:
        """The decisions about a sample that nobody took back, in their order; audits aside."""
        every = self.by_sample.get(sample, [])
        undone = {r.undoes for r in every if r.action == Action.UNDO}
        return [r for r in every if r.action not in (Action.UNDO, Action.AUDIT) and r.review_id not in undone]

    def last(self, sample: str) -> str:
        """The review_id of the last decision about a sample, whatever it was; empty where there is none."""
        every = [r for r in self.by_sample.get(sample, []) if r.action != Action.AUDIT]
        return every[-1].review_id if every else ""

    def answer(self, sample: str, audit: str, who: str) -> Review | None:
        """The last answer of a person to an audit's questions about a sample."""
        answers = (r for r in self.by_sample.get(sample, []) if r.action == Action.AUDIT)
        mine = [r for r in answers if (r.audit, r.who) == (audit, who)]
        return mine[-1] if mine else None


def names(store: Store) -> list[str]:
    """The files of a root's decisions, sorted."""
    return [f"{FOLDER}/{n}" for n in store.names(FOLDER) if n.endswith((".json", ".jsonl"))]


def read_all(store: Store) -> list[Review]:
    """All decisions of a root, in the order of time. Raises ``StoreError`` for a file that is damaged."""
    found = Journal(store)
    found.refresh()
    return [found.reviews[key] for key in sorted(found.reviews)]


def put_together(store: Store) -> None:
    """Makes one file of many; call it only while holding the root. Killed anywhere, no decision is lost."""
    single = [n for n in names(store) if n.endswith(".json")]
    if len(single) <= _TOGETHER:
        return
    reviews = sorted((r for n in single for r in _read(store, n)), key=lambda r: r.review_id)
    if reviews:
        store.write(f"{FOLDER}/{reviews[0].review_id}_{reviews[-1].review_id}.jsonl", b"".join(map(_line, reviews)))
    for name in single:
        store.remove(name)


def forget(store: Store, samples: Collection[str]) -> int:
    """Removes all decisions about these samples for good; how many. Call it only while holding the root."""
    gone = 0
    for name in names(store) if samples else ():
        reviews = list(_read(store, name))
        left = [r for r in reviews if r.sample_id not in samples]
        if len(left) == len(reviews):
            continue
        gone += len(reviews) - len(left)
        if left:
            store.write(name, b"".join(map(_line, left)))
        else:
            store.remove(name)
    return gone


def _read(store: Store, name: str) -> Iterator[Review]:
    try:
        data = store.read(name) if name.endswith(".jsonl") else store.read(name, 0, _LARGEST)
    except StoreError:
        if store.exists(name):
            raise
        return  # put together with others, or taken down, since it was listed
    try:
        for line in data.splitlines():
            yield _parsed(json.loads(line))
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"{store.path(name)} is no decision ({type(error).__name__}: {error}); restore it, or move it elsewhere"
        ) from error


def _line(review: Review) -> bytes:
    said = {k: v for k, v in asdict(review).items() if v is not None and k not in _COUNTED}
    return json.dumps(said, sort_keys=True).encode() + b"\n"


def _parsed(said: dict[str, Any]) -> Review:
    """A decision from its line; what is not of its type raises ``TypeError``."""
    unknown = said.keys() - {f.name for f in fields(Review)}
    if unknown:
        raise ValueError(f"unknown keys {', '.join(sorted(unknown))}")
    texts = {key: said[key] for key in ("review_id", "sample_id", "at", "who")}
    optional = {key: said.get(key) for key in _OPTIONAL}
    answers = {key: said.get(key) for key in ("anything_false", "subject_missing")}
    if not all(isinstance(v, str) for v in texts.values()):
        raise TypeError("review_id, sample_id, at and who are texts")
    if not all(v is None or isinstance(v, str) for v in optional.values()):
        raise TypeError("a text is not one")
    if not all(v is None or isinstance(v, bool) for v in answers.values()):
        raise TypeError("an answer is neither true nor false")
    known: dict[str, Any] = texts | optional | answers | dict.fromkeys(_COUNTED)
    return Review(action=Action(said["action"]), **known)
