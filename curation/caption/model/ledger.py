"""A journal of replies, so that none is ever paid for twice.

Each shard has its own, beside the tables: ``replies/<shard>.jsonl`` on a local root, appended and handed
to the operating system reply by reply, so that it outlives a killed worker; on an object store, which
cannot append, numbered files ``replies/<shard>/<number>-<token>.jsonl``. One line holds the replies that
came together, so a batch computed in process is known whole or not at all.

A reply that the model gave and that cannot be used is journalled too, with its tokens, its reason and what the
model wrote: it was paid for, and asking again would bring the same. Requests that got no reply are not. A reply whose
checksum is another one, since a disk changed it, is asked for again.
"""

from __future__ import annotations

import json
import os
import secrets
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from curation.caption.model.chat import ChatReply
from curation.core.closing import Closing
from curation.core.errors import StoreError
from curation.core.store import Store
from schemas.reasons import Reason

FOLDER = "replies"
_CHUNK = 64
_SUM = "crc32"  # journals of former releases have none
_FIELDS = ("key", "text", "finish", "tokens_in", "tokens_out", "seconds")
_UNUSABLE_FIELDS = (*_FIELDS, "reason", "detail", "said")


class Ledger(Closing):
    """The replies of one shard so far. One worker uses it at a time, and closes it."""

    def __init__(self, store: Store, shard: str) -> None:
        self._store = store
        self._shard = shard
        self._file: int | None = None
        self._waiting: list[str] = []
        self._chunks = 0
        self._known: dict[str, ChatReply] = {}
        for line in self._lines():
            for reply in _replies(line):
                self._known.setdefault(reply.key, reply)

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: str) -> ChatReply | None:
        return self._known.get(key)

    def add(self, replies: Sequence[ChatReply]) -> None:
        """Journal replies that came together; requests that got no reply are left out. Raises ``StoreError``."""
        kept = [r for r in replies if r.text is not None or r.said is not None]
        if not kept:
            return
        line = json.dumps([_fields(r) for r in kept]) + "\n"
        if self._store.is_local:
            self._append(line.encode())
        else:
            self._waiting.append(line)
            if len(self._waiting) >= _CHUNK:
                self._flush()
        for reply in kept:
            self._known.setdefault(reply.key, reply)

    def close(self) -> None:
        """Write what is still held back (on object stores) and close the file."""
        if self._waiting:
            self._flush()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _lines(self) -> Iterator[bytes]:
        if self._store.is_local:
            if self._path().is_file():
                yield from self._store.read(f"{FOLDER}/{self._shard}.jsonl").split(b"\n")
            return
        for name in self._store.names(f"{FOLDER}/{self._shard}", ".jsonl"):
            self._chunks += 1
            yield from self._store.read(f"{FOLDER}/{self._shard}/{name}").split(b"\n")

    def _path(self) -> Path:
        return Path(self._store.path(f"{FOLDER}/{self._shard}.jsonl"))

    def _append(self, line: bytes) -> None:
        try:
            if self._file is None:
                path = self._path()
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
                size = os.fstat(self._file).st_size
                if size and os.pread(self._file, 1, size - 1) != b"\n":
                    line = b"\n" + line  # a killed writer's torn line must not swallow ours
            while line:
                line = line[os.write(self._file, line) :]
        except OSError as error:
            raise StoreError(f"cannot write {self._path()}: {error}; free space or name another --root") from error

    def _flush(self) -> None:
        # The token keeps a worker that was given up, but still lives, from overwriting its successor.
        name = f"{FOLDER}/{self._shard}/{self._chunks:06d}-{secrets.token_hex(4)}.jsonl"
        self._store.write(name, "".join(self._waiting).encode())
        self._chunks += 1
        self._waiting.clear()


def _fields(reply: ChatReply) -> dict[str, object]:
    fields = {f: getattr(reply, f) for f in (_FIELDS if reply.text is not None else _UNUSABLE_FIELDS)}
    if reply.probability is not None:
        fields["probability"] = reply.probability
    return {**fields, _SUM: _sum(fields)}


def _sum(fields: Mapping[str, object]) -> int:
    """CRC-32 of a reply as it is written: a byte that changed on a disk may leave valid JSON with another text."""
    return zlib.crc32(json.dumps({k: v for k, v in fields.items() if k != _SUM}, sort_keys=True).encode())


def _replies(line: bytes) -> Iterator[ChatReply]:
    """The replies on a line; none when it is torn or not a journal's."""
    try:
        replies = [
            ChatReply(
                key=str(r["key"]),
                text=None if r["text"] is None else str(r["text"]),
                reason=None if r["text"] is not None else Reason(r["reason"]),
                detail=None if r["text"] is not None else str(r["detail"]),
                finish=r["finish"],
                tokens_in=r["tokens_in"],
                tokens_out=r["tokens_out"],
                seconds=float(r["seconds"]),
                said=None if r["text"] is not None else str(r["said"]),
                probability=float(r["probability"]) if "probability" in r else None,
            )
            for r in json.loads(line)
            if _SUM not in r or r[_SUM] == _sum(r)
        ]
    except (ValueError, TypeError, KeyError):
        return
    yield from replies
