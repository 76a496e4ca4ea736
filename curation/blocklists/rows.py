"""What the lists say of rows of a source, before anything is fetched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from curation.blocklists.entries import url_keys
from curation.blocklists.lists import Lists
from curation.blocklists.lookup import Hit, Lookup
from curation.blocklists.words import units
from curation.core.store import Store
from schemas.blocklists import Kind
from schemas.reasons import Reason

Found = tuple[Reason, list[Hit | None]]
OF_ROWS: tuple[Kind, ...] = ("hosts", "urls", "words", "sha256")
"""The kinds of lists that decide on rows."""


@dataclass(frozen=True)
class RowLists:
    """The lists that decide on rows, ready to be looked up. ``digest`` is a hash of all that they decide."""

    hosts: Lookup
    urls: Lookup
    words: Lookup
    sha256: Lookup
    digest: str

    @classmethod
    def of(cls, lists: Lists) -> Self:
        hosts, urls, words, sha256 = map(lists.lookup, OF_ROWS)
        return cls(hosts, urls, words, sha256, lists.digest(OF_ROWS))

    @classmethod
    def of_root(cls, store: Store) -> Self:
        """Those that the last run kept. Raises ``StoreError``."""
        return cls.of(Lists.of_root(store))

    def judge(
        self, urls: Sequence[str | None], texts: Sequence[str | None], hashes: Sequence[str | None]
    ) -> Iterator[Found]:
        """The hits among rows, one list a reason: by hosts, urls, alt texts and the sha256 that they name."""
        if self.hosts or self.urls:
            yield from of_urls(urls, self.hosts, self.urls)
        if self.words:
            yield Reason.BLOCKED_WORDS, self.words.find(self._phrases(text) for text in texts)
        if self.sha256:
            yield Reason.BLOCKED_SHA256, self.sha256.find([h.strip().lower()] if h else [] for h in hashes)

    def _phrases(self, text: str | None) -> Iterable[str]:
        """The words of a text, and its runs of words that may be listed phrases."""
        words = units(text) if text else []
        yield from words
        longer = [length for length in self.words.lengths if length > 1]
        for start in range(len(words) - 1) if longer else ():
            if self.words.may_begin(words[start]):
                for length in longer:
                    if start + length <= len(words):
                        yield " ".join(words[start : start + length])


NOTHING = RowLists.of(Lists())
"""No lists."""


def of_urls(urls: Iterable[str | None], hosts: Lookup, listed: Lookup) -> Iterator[Found]:
    """The hits among urls by host and by url."""
    keys = [url_keys(url) for url in urls]
    if hosts:
        yield Reason.BLOCKED_HOST, hosts.find(host for host, _ in keys)
    if listed:
        yield Reason.BLOCKED_URL, listed.find(url for _, url in keys)
