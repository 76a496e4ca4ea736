"""What is asked to be taken down, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from curation.core.errors import UsageError
from schemas.tombstones import Tombstone, hosts_of, plain

_SAMPLE = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST = 1 << 30  # bytes of a list
_LONGEST = 65_536  # characters of a line
_FORMS = "a url, a sample_id (32 hex digits), a sha256 (64 hex digits) or a tombstone (a JSON object)"


@dataclass(frozen=True)
class Asked:
    """Samples by what is known of them; ``likes`` are files of pictures, ``date`` is YYYY-MM-DD.

    Hosts stand for themselves and for all domains below them.
    """

    reason: str
    reference: str
    date: str
    urls: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    likes: tuple[str, ...] = ()
    stones: tuple[Tombstone, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return bool(self.urls or self.samples or self.hosts or self.hashes or self.likes or self.stones)

    @classmethod
    def of(
        cls,
        *,
        reason: str,
        reference: str,
        date: str,
        urls: Sequence[str] = (),
        samples: Sequence[str] = (),
        hosts: Sequence[str] = (),
        hashes: Sequence[str] = (),
        likes: Sequence[str] = (),
        lists: Sequence[str] = (),
    ) -> Asked:
        """Checked, with what stands in the lists. Raises ``UsageError``."""
        made = cls(plain(reason), plain(reference), date, tuple(urls))
        made = replace(
            made,
            samples=tuple(_form(s, _SAMPLE, "--sample", "a sample_id of 32 hex digits") for s in samples),
            hashes=tuple(_form(h, _SHA256, "--sha256", "64 hex digits") for h in hashes),
            hosts=tuple(map(_host, hosts)),
            likes=tuple(likes),
        )
        for name in lists:
            made = made._with(name, _lines(name))
        return made

    def check_reason(self) -> None:
        """Raises ``UsageError`` where something is to be taken down and nobody says why."""
        if self and not self.reason:
            raise UsageError(
                "--reason is missing; --yes wants a few words that say why, such as --reason 'request of the author'"
            )

    def _with(self, name: str, lines: Iterable[str]) -> Asked:
        urls, samples, hashes, stones = list(self.urls), list(self.samples), list(self.hashes), list(self.stones)
        for number, line in enumerate(lines, 1):
            text = line.strip()
            try:
                if not text:
                    continue
                if len(text) > _LONGEST:
                    raise ValueError
                if text.startswith("{"):
                    stones.append(Tombstone.from_line(text))
                elif _SAMPLE.fullmatch(text.lower()):
                    samples.append(text.lower())
                elif _SHA256.fullmatch(text.lower()):
                    hashes.append(text.lower())
                elif "://" in text:
                    urls.append(text)
                else:
                    raise ValueError
            except (ValueError, RecursionError) as error:
                raise UsageError(f"line {number} of {name} is none of these: {_FORMS}; correct it") from error
        return replace(self, urls=tuple(urls), samples=tuple(samples), hashes=tuple(hashes), stones=tuple(stones))


def _form(text: str, form: re.Pattern[str], option: str, wanted: str) -> str:
    plain_text = text.strip().lower()
    if not form.fullmatch(plain_text):
        raise UsageError(f"{option} {text[:100]!r} is not {wanted}")
    return plain_text


def _host(text: str) -> str:
    host = text.strip().rstrip(".").lower()
    if hosts_of(f"//{host}")[:1] != [host]:
        raise UsageError(f"--host {text[:100]!r} is not the name of a host, such as example.com")
    return host


def _lines(name: str) -> list[str]:
    path = Path(name)
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{name} is larger than {_LARGEST >> 20} MiB; cut it into parts")
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read --list {name}: {error}; expected a text file, {_FORMS} on each line") from error
