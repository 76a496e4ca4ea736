"""Signals by which people keep pictures out of training: what is recorded of each, and what a recipe does about it."""

from __future__ import annotations

import dataclasses
import enum
import re
from typing import Annotated, ClassVar, Literal

from pydantic import field_validator

from schemas.arrow import Record
from schemas.part import Part, Switch, later

AGENTS = (
    *("img2dataset", "CCBot", "GPTBot", "Google-Extended", "ClaudeBot", "anthropic-ai", "Applebot-Extended"),
    *("Meta-ExternalAgent", "Bytespider", "Amazonbot", "Diffbot", "cohere-training-data-crawler", "AI2Bot"),
    *("LAIONDownloader", "omgili", "PanguBot"),
)
"""Robots that people name in robots.txt to keep pictures out of data sets for training.

A longer list needs ``before=`` this one where the key is declared, or roots that have it would fetch all anew.
"""

_AGENT = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class SignalVerdict(enum.StrEnum):
    """What one signal says of use for training."""

    FORBIDS = "forbids"  # training, or mining of text and data, is forbidden or reserved
    CONSTRAINED = "constrained"  # it is allowed under conditions only
    LICENCE = "licence"  # a licence or a policy is linked, which nobody has read
    NOTICE = "notice"  # says something of rights or of other uses, and nothing of training
    ALLOWS = "allows"  # training is allowed
    UNKNOWN = "unknown"  # it could not be read, or its file could not be fetched


@dataclasses.dataclass(frozen=True, slots=True)
class SignalRow(Record):
    """One signal that stood against, or for, the use of an image; several an image, none where nothing was said."""

    table: ClassVar[str] = "signals"

    sample_id: Annotated[str, "as in rows"]
    what: Annotated[str, "the signal: x-robots-tag, robots.txt, content-usage, tdmrep, plus:DataMining …"]
    place: Annotated[str, "where it stood: the URL of the response or of the host's file, or image: and the block"]
    host: Annotated[str | None, "the host that said so; null where the image itself does"]
    verbatim: Annotated[str, "the header, line or value as it came, cut at 1000 characters; untrusted"]
    verdict: Annotated[SignalVerdict, "forbids, constrained, licence, notice, allows or unknown"]
    honoured: Annotated[bool, "whether the recipe rejects the image for it"]


@dataclasses.dataclass(frozen=True, slots=True)
class Retrieval(Record):
    """When an image was fetched. It differs from run to run, and stands in no table."""

    table: ClassVar[str] = "retrievals"

    sample_id: Annotated[str, "as in rows"]
    retrieved_at: Annotated[float, "seconds of UTC since 1970"]


Deed = Literal["reject", "record"]


class Signals(Part):
    """Opt-outs and licences that hosts, responses and image files state, and what is done about them."""

    switches: ClassVar[tuple[Switch, ...]] = (Switch(("enabled",)),)

    enabled: bool = later(
        True,
        before=False,
        description="look for every signal there is, and keep what was found in the table signals; if false, "
        "download.opt_out and download.robots_txt alone decide",
    )
    robots: bool = later(
        True,
        description="read each host's robots.txt, one request a host: rules for our user agent and for "
        "signals.agents, Content-Usage, Content-Signal, License",
    )
    tdmrep: bool = later(True, description="read each host's /.well-known/tdmrep.json, one more request a host")
    agents: list[str] = later(
        list(AGENTS),
        description="robots whose exclusion by name, in robots.txt or X-Robots-Tag, counts as an opt-out; * is not one",
    )
    forbidden: Deed = later("reject", description="what to do with images whose use for training is forbidden")
    constrained: Deed = later("record", description="what to do with images that may be used under conditions only")
    licensed: Deed = later(
        "record", description="what to do with images of which only a licence or a policy is linked, by its URL"
    )

    export: bool = later(
        True,
        description="put license_url, attribution and last_modified, where they were stated, into each released "
        "sample's .json; names in Exif are not among them",
    )

    @field_validator("agents")
    @classmethod
    def _names(cls, value: list[str]) -> list[str]:
        for name in value:
            if not _AGENT.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a robot; write its product token, such as GPTBot")
        return value

    @property
    def rejects(self) -> frozenset[SignalVerdict]:
        """The verdicts for which images are rejected."""
        deeds = {
            SignalVerdict.FORBIDS: self.forbidden,
            SignalVerdict.CONSTRAINED: self.constrained,
            SignalVerdict.LICENCE: self.licensed,
        }
        return frozenset(verdict for verdict, deed in deeds.items() if deed == "reject")
