"""A fake model for tests, and for trying a flow without a model. It never looks at an image.

Its captions are English sentences chosen by a hash of the image's bytes: they differ from image to image, are the
same in every run, and describe nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from curation.caption.model.chat import ChatReply, ChatRequest, ModelIdentity, Sampling, accept
from schemas.replies import CaptionAtoms, ImaginedCaptions, NamedEntities

Script = Callable[[ChatRequest], "str | ChatReply"]

_CAPITALS = re.compile(r"[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)*")
_SIZES = ("small", "large", "narrow", "wide", "tall", "round")
_COLOURS = ("red", "green", "blue", "yellow", "white", "black", "brown", "grey")
_THINGS = ("box", "chair", "bottle", "table", "lamp", "basket", "boat", "bicycle", "clock", "vase", "bench", "door")
_PLACES = ("to the left of", "to the right of", "in front of", "behind", "next to", "a little below")
_GROUNDS = ("a wooden floor", "short green grass", "a paved yard", "a sandy beach", "a plain concrete slab")
_THING = re.compile(rf"(?:\b({'|'.join(_COLOURS)}) )?\b({'|'.join(_THINGS)})\b")
_LIGHTS = ("Soft light falls from the left", "Bright light comes from above", "Even light fills the scene")

_IMAGINED = 8  # captions in a reply


def plain_english(request: ChatRequest) -> str:
    """One sentence where at most 64 tokens are allowed, else a paragraph of more than fifty words.

    A request for JSON gets the capitalised words of its alt text, as entities or as subjects, the things of its
    caption and their colours as atoms, or such sentences as imagined captions; a question for yes or no gets no.
    """
    if request.yes_no:
        return "no"
    if request.reply_type is not None:
        return _data(request)
    return _sentences(request)


def _sentences(request: ChatRequest) -> str:
    seed = hashlib.sha256(request.image or request.user.encode()).digest()
    size, other_size = _SIZES[seed[0] % len(_SIZES)], _SIZES[seed[1] % len(_SIZES)]
    colour, other_colour = _COLOURS[seed[2] % len(_COLOURS)], _COLOURS[seed[3] % len(_COLOURS)]
    thing = _THINGS[seed[4] % len(_THINGS)]
    other = _THINGS[(seed[4] + 1 + seed[5] % (len(_THINGS) - 1)) % len(_THINGS)]
    place, ground = _PLACES[seed[6] % len(_PLACES)], _GROUNDS[seed[7] % len(_GROUNDS)]
    first = f"A {size} {colour} {thing} stands {place} a {other_size} {other_colour} {other} on {ground}."
    if request.sampling.max_tokens <= 64:
        return first
    return (
        f"{first} The {thing} has a smooth surface and takes up the middle of the picture, while the {other} fills "
        f"about a third of the frame and is partly covered by its shadow. {_LIGHTS[seed[8] % len(_LIGHTS)]} and leaves "
        f"a clear edge on the {thing}. The wall behind them is plain, and nothing else can be seen on {ground}."
    )


def _data(request: ChatRequest) -> str:
    if request.reply_type is CaptionAtoms:
        return json.dumps({"atoms": list(_atoms(request.user.rpartition("<caption>")[2].partition("</caption>")[0]))})
    if request.reply_type is ImaginedCaptions:
        short = Sampling(max_tokens=1)
        asked = (ChatRequest("", f"{request.user} {number}", sampling=short) for number in range(_IMAGINED))
        return json.dumps({"captions": [_sentences(a) for a in asked]})
    alt_text = request.user.rpartition("<alt_text>")[2].partition("</alt_text>")[0]
    names = list(dict.fromkeys(_CAPITALS.findall(alt_text)))[:8]
    if request.reply_type is NamedEntities:
        return json.dumps({"entities": [{"text": name, "label": "PERSON"} for name in names]})
    weights = ({"text": name, "weight": round(0.8**n, 3)} for n, name in enumerate(names))
    return json.dumps({"subjects": list(weights)})


def _atoms(caption: str) -> Iterator[dict[str, object]]:
    number = 0
    for found in _THING.finditer(caption):
        colour, thing = found.groups()
        number += 1
        whole = {"id": number, "parents": [], "category": "entity", "detail": "whole", "elements": [thing]}
        yield {**whole, "text": thing, "question": f"Is there a {thing}?", "answer": "yes"}
        if colour:
            number += 1
            atom = {"id": number, "parents": [number - 1], "category": "attribute", "detail": "color"}
            asked = {"text": found[0], "question": f"Is the {thing} {colour}?", "answer": "yes"}
            yield {**atom, "elements": [thing, colour], **asked}


@dataclass
class ScriptedModel:
    """Answers from a script, one request after another, and records the requests in ``asked`` if it is ``recording``.

    ``raise_at`` is the number of the request, from 1, at which ``error`` is raised; with ``batch`` it answers in
    whole batches, as in-process models do; ``wait`` is how long a reply takes, in seconds.
    """

    script: Script = plain_english
    identity: ModelIdentity = field(default_factory=lambda: ModelIdentity("scripted", "1"))
    batch: int | None = None
    raise_at: int = 0
    error: Exception = field(default_factory=lambda: RuntimeError("scripted failure"))
    wait: float = 0.0
    asked: list[ChatRequest] = field(default_factory=list)
    recording: bool = True
    _pulled: int = 0
    closed: bool = False

    def complete(self, requests: Iterable[ChatRequest]) -> Iterator[ChatReply]:
        source = iter(requests)
        while batch := list(islice(source, self.batch or 1)):
            for request in batch:
                self._pulled += 1
                if self.recording:
                    self.asked.append(request)
                if self._pulled == self.raise_at:
                    raise self.error
            if self.wait:
                time.sleep(self.wait)
            yield from [self._answer(r) for r in batch]

    def close(self) -> None:
        self.closed = True

    def _answer(self, request: ChatRequest) -> ChatReply:
        said = self.script(request)
        if isinstance(said, ChatReply):
            return said
        tokens_in, tokens_out = len(request.user.split()), len(said.split())
        return accept(request, ChatReply(request.key, said, None, None, "stop", tokens_in, tokens_out))
