"""Blocklists: the recipe's part, and what they say of images."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import field_validator

from schemas.arrow import Int32, Record
from schemas.part import Part, Switch, later
from schemas.reasons import Reason

Kind = Literal["hosts", "urls", "words", "sha256", "phash"]
KINDS: tuple[Kind, ...] = get_args(Kind)
OF_IMAGES: tuple[Kind, ...] = ("hosts", "urls", "sha256", "phash")
_WHERE = "by path or fsspec URL, one entry a line, also gzipped"


class Blocklists(Part):
    """Lists of what must not come in, however good it looks. What is listed before it is fetched is never fetched."""

    on_card: ClassVar[bool] = False
    switches: ClassVar[tuple[Switch, ...]] = (Switch(("phash",), ("phash_distance",)),)

    hosts: list[str] = later(
        [],
        description=f"lists of hosts, {_WHERE}: a host and all hosts below it; files in the form of /etc/hosts are "
        "read too",
    )
    urls: list[str] = later([], description=f"lists of urls of images, {_WHERE}; a url is listed however it is spelled")
    words: list[str] = later(
        [],
        description=f"lists of words and phrases, {_WHERE}; reject images whose alt text has one as whole words, in "
        "capitals or not, in any script",
    )
    sha256: list[str] = later(
        [], description=f"lists of sha256 of images, as fetched or as stored, 64 hex digits each, {_WHERE}"
    )
    phash: list[str] = later([], description="lists of perceptual hashes, 16 hex digits as imagehash.phash has them")
    phash_distance: int = later(
        4, ge=0, le=16, description="maximum pHash distance of an image from a listed one [bits]"
    )

    @field_validator(*KINDS)
    @classmethod
    def _named(cls, value: list[str]) -> list[str]:
        if not all(place.strip() for place in value):
            raise ValueError("a list has no name; write its path or URL, or leave it out")
        return value

    def of(self, kind: Kind) -> list[str]:
        """The lists of a kind."""
        found: list[str] = getattr(self, kind)
        return found

    @property
    def enabled_for_images(self) -> bool:
        """Whether there is a list that may name an image once it is fetched, if only by a redirect."""
        return any(self.of(kind) for kind in OF_IMAGES)

    @property
    def enabled(self) -> bool:
        """Whether there is any list."""
        return any(self.of(kind) for kind in KINDS)


@dataclasses.dataclass(frozen=True, slots=True)
class BlockedImage(Record):
    """What the recipe's blocklists say of an image; one row for every image there is.

    The table ``duplicates`` gives the same reason: an image that is listed takes no part in the choice of keepers.
    """

    table: ClassVar[str] = "blocked_images"

    sample_id: Annotated[str, "as in rows"]
    reason: Annotated[
        Reason | None, "blocked_sha256, blocked_phash, blocked_host or blocked_url (by redirect); null when not listed"
    ]
    list: Annotated[str | None, "the name of the list"]
    line: Annotated[int | None, Int32, "its line, counted from 1"]
    detail: Annotated[str | None, "list, line, and what was found"]
