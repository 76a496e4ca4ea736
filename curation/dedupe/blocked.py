"""What blocklists say of images that were fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.blocklists.lists import Lists
from curation.blocklists.lookup import Hit, Lookup
from curation.blocklists.rows import of_urls
from schemas.arrays import Chunked
from schemas.reasons import Reason


@dataclass(frozen=True)
class ImageHit:
    """Why an image is rejected, and the list and line that say so."""

    reason: Reason
    list: str
    line: int
    detail: str


@dataclass(frozen=True)
class ImageLists:
    """The lists that decide on images, ready to be looked up. ``distance`` is that of pHashes, in bits."""

    hosts: Lookup
    urls: Lookup
    sha256: Lookup
    phash: Lookup
    distance: int

    @classmethod
    def of(cls, lists: Lists, distance: int) -> Self:
        hosts, urls, sha256, phash = (lists.lookup(kind) for kind in ("hosts", "urls", "sha256", "phash"))
        return cls(hosts, urls, sha256, phash, distance)

    def judge(self, images: pa.Table) -> list[ImageHit | None]:
        """The first hit of each image: by sha256, then by pHash, then by where a redirect led.

        ``images`` has the columns original_sha256, sha256, phash and final_url of ``ImageRow``.
        """
        found: list[ImageHit | None] = [None] * images.num_rows
        if self.sha256:
            pairs = zip(images["original_sha256"].to_pylist(), images["sha256"].to_pylist(), strict=True)
            _fill(found, Reason.BLOCKED_SHA256, self.sha256.find([h for h in pair if h] for pair in pairs))
        if self.phash:
            self._near(found, images["phash"])
        if self.hosts or self.urls:
            for reason, hits in of_urls(images["final_url"].to_pylist(), self.hosts, self.urls):
                _fill(found, reason, hits)
        return found

    def _near(self, found: list[ImageHit | None], hashes: Chunked) -> None:
        known = np.flatnonzero(np.asarray(hashes.is_valid()))
        own = np.asarray(hashes.drop_null()).astype(np.uint64)
        place, bits = nearest(own, self.phash.high, self.distance)
        for at in np.flatnonzero(place >= 0).tolist():
            row = int(known[at])
            if found[row] is None:
                listed = f"{int(self.phash.high[place[at]]):016x}"
                hit = self.phash.hit(int(self.phash.rank[place[at]]), listed)
                detail = f"{hit.where}: {int(bits[at])} bits from {listed}, blocklists.phash_distance {self.distance}"
                found[row] = ImageHit(Reason.BLOCKED_PHASH, hit.list, hit.line, detail)


def _fill(found: list[ImageHit | None], reason: Reason, hits: list[Hit | None]) -> None:
    for row, hit in enumerate(hits):
        if hit is not None and found[row] is None:
            found[row] = ImageHit(reason, hit.list, hit.line, str(hit))


def nearest(
    hashes: npt.NDArray[np.uint64], listed: npt.NDArray[np.uint64], distance: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each hash the place of the listed one that is nearest, the first of several, and the bits between them.

    The place is -1 where none is within ``distance`` bits.
    """
    from curation.dedupe.search.hamming import cross_pairs  # brings numba

    place, apart = np.full(len(hashes), -1, np.int64), np.zeros(len(hashes), np.int64)
    pairs = cross_pairs(hashes, listed, distance, repeats="all")
    i, j, bits = (np.asarray(pairs[name]).astype(np.int64) for name in ("i", "j", "distance"))
    order = np.lexsort((j, bits, i))[::-1]  # the best of each comes last, and stays
    place[i[order]], apart[i[order]] = j[order], bits[order]
    return place, apart
