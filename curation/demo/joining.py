"""Joins captions of parts of a picture of the demo world into one caption of the whole.

It stands in for a language model in the demo and where joining is measured. It reads the captions as anybody might,
knows neither picture nor truth, and leaves out what it cannot read. It knows no other world.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from curation.demo.claims import Aspect, Claim, claims
from curation.demo.phrases import capital, noun_phrase, setting_adverb
from curation.demo.reply_server import ReplyServer, text_of
from curation.demo.truth import SceneObject, Setting
from curation.demo.vocabulary import BACKDROPS, KINDS, NUMBERS

_CAPTION = re.compile(r"<caption>(.*?)</caption>", re.S)


def joined(captions: Sequence[str]) -> str:
    """One sentence that names each thing of the captions once, with its colour and number, and the background.

    Where captions differ about a thing, most of them are believed, and of equally many the first.
    """
    read = [claims(caption) for caption in captions]
    kinds = [k for found in read for k in sorted({c.subject for c in found if c.aspect == "object"}) if k in KINDS]
    names = [noun_phrase(_thing(kind, read)) for kind in dict.fromkeys(kinds)]
    listed = " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) or "nothing"
    return capital(" ".join(filter(None, [listed, _where(read)]))) + "."


class JoinServer(ReplyServer):
    """An OpenAI-compatible server that joins the captions of a request."""

    MODEL: ClassVar[str] = "demo-joiner"

    def reply(self, body: Mapping[str, Any]) -> str:
        return joined(_CAPTION.findall(text_of(body)))


def _thing(kind: str, read: Sequence[set[Claim]]) -> SceneObject:
    count = _most(read, "count", kind) or "1"
    number = int(count) if count.isdigit() and int(count) < len(NUMBERS) else 2  # "several" are two at least
    return SceneObject(kind, _most(read, "colour", kind) or "", "", max(1, number), "", 0.0, 0.0, ())


def _where(read: Sequence[set[Claim]]) -> str:
    ground = _most(read, "background")
    tones = [tone for tone, _ in Counter(_values(read, "tone")).most_common(2)]
    if ground is None or ground not in BACKDROPS or len(tones) < {"plain": 1, "gradient": 2}.get(ground, 0):
        return ""
    return setting_adverb(Setting(ground, tuple(tones), 0))


def _most(read: Sequence[set[Claim]], aspect: Aspect, subject: str = "") -> str | None:
    """What most captions say."""
    return next((value for value, _ in Counter(_values(read, aspect, subject)).most_common(1)), None)


def _values(read: Sequence[set[Claim]], aspect: Aspect, subject: str = "") -> Iterable[str]:
    return (c.value for found in read for c in sorted(found) if c.aspect == aspect and c.subject == subject)
