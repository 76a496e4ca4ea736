"""A tombstone: what stays of a sample that was taken down. Hashes, a date, a reason and a reference; no text, no url.

A file of tombstones holds one JSON object a line. A root keeps its own, and other roots can be given it
(``source.tombstones``), so that none of them fetches the sample again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from urllib.parse import urlsplit

TAKEN_DOWN = "taken_down"
_LONGEST = 500  # characters of reason and reference
_HEX = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{32}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_HASHES = ("url_sha256", "host_sha256", "text_sha256", "original_sha256", "stored_sha256", "looks_sha256")


@dataclasses.dataclass(frozen=True, slots=True)
class Tombstone:
    """What must not come back. Any row that has one of the hashes is taken down; a hash that is None says nothing.

    ``text_sha256`` (of a text that no other sample of the root had) and ``looks_sha256`` (of both perceptual hashes)
    only serve to prove that nothing is left.
    """

    date: str
    reason: str
    reference: str
    sample_id: str | None = None
    url_sha256: str | None = None
    host_sha256: str | None = None
    text_sha256: str | None = None
    original_sha256: str | None = None
    stored_sha256: str | None = None
    looks_sha256: str | None = None

    @property
    def detail(self) -> str:
        """Why, for people: a row's ``detail``."""
        return "; ".join(part for part in (self.reason, self.reference, self.date) if part)

    def to_line(self) -> str:
        """One line of a file of tombstones."""
        fields = {key: value for key, value in dataclasses.asdict(self).items() if value is not None}
        return json.dumps(fields, sort_keys=True) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Tombstone:
        """Raises ``ValueError`` for what is no tombstone; files of tombstones come from strangers."""
        fields = json.loads(line)
        known = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(fields, dict) or not fields.keys() <= known:
            raise ValueError("not an object with the keys of a tombstone")
        if not all(isinstance(value, str) for value in fields.values()):
            raise ValueError("a value is not a text")
        made = cls(**{"date": "", "reason": "", "reference": "", **fields})
        if not _DATE.fullmatch(made.date):
            raise ValueError("its date is not YYYY-MM-DD")
        if any(value is not None and not _HEX.fullmatch(value) for value in (getattr(made, n) for n in _HASHES)):
            raise ValueError("a hash is not 64 hex digits")
        if made.sample_id is not None and not _ID.fullmatch(made.sample_id):
            raise ValueError("its sample_id is not 32 hex digits")
        return dataclasses.replace(made, reason=plain(made.reason), reference=plain(made.reference))


def plain(text: str) -> str:
    """A reason or a reference on one line, within bounds."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_LONGEST]


def hashed(text: str) -> str:
    """sha256 of a text, hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def hashed_looks(phash: int, phash256: bytes | None) -> str:
    """sha256 of both perceptual hashes of an image, hex: it tells equal looks, and nothing of the picture."""
    return hashlib.sha256(f"{phash:016x}".encode() + (phash256 or b"")).hexdigest()


def hosts_of(url: str) -> list[str]:
    """The host of a url and the domains above it, in lower case, the top-level domain left out; none where it has none.

    An address of numbers is a host without domains above it.
    """
    try:
        host = (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return []
    labels = host.split(".")
    if not host or len(labels) == 1 or labels[-1].isdigit() or ":" in host:
        return [host] if host else []
    return [".".join(labels[start:]) for start in range(len(labels) - 1)]
