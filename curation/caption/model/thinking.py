"""Separates what a model thought from what it answers.

A server with a reasoning parser sends the thinking in a field of its own. Without one it stands in the text,
between the markers of the model's family.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORDS = (
    r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad|deliberation|"
    r"(?:inner|internal)_(?:thoughts?|monologue)|chain_of_thought|cot|\w+_think)"
)
# <think>, <seed:think>, <|begin_of_thought|>, <|START_THINKING|>, <｜think▁start｜>, [THINK], ◁think▷
_OPEN = re.compile(
    rf"<[|｜]?\s*(?:(?:begin|start)[▁_](?:of[▁_])?)?(?:\w+:)?{_WORDS}(?:[▁_]start)?(?:\s[^<>]{{0,80}})?\s*[|｜]?>"
    r"|\[THINK(?:ING)?\]|◁think▷|<unused94>(?:thought)?|<\|channel>\s*(?:thought|analysis)\b",
    re.I,
)
_CLOSE = re.compile(
    rf"<[|｜]?\s*(?:/|end[▁_](?:of[▁_])?)(?:\w+:)?{_WORDS}\s*[|｜]?>|<[|｜]{_WORDS}[▁_]end[|｜]>"
    r"|\[/THINK(?:ING)?\]|◁/think▷|<unused95>|<channel\|>",
    re.I,
)
# The channels of gpt-oss; a server that drops control tokens leaves the words alone.
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)(?:[^<]|<\|constrain\|>)*<\|message\|>")
_CHANNEL_END = re.compile(r"<\|(?:end|return|start|call|channel)\|>")
_BARE_CHANNELS = re.compile(r"\s*(?:analysis|commentary)(?=[A-Z\s]).*?assistant\s?final(?=\S|\s)", re.S)
_SPOKEN = re.compile(r"\s*Here(?: is|'s) my thought process:.*?Here(?: is|'s) my response:", re.S | re.I)
# What some families put around the answer that follows.
_AROUND = re.compile(
    r"\s*(<(answer|response|output|final_answer|solution)>|<\|begin_of_(box|solution|answer)\|>|<\|START_(RESPONSE)\|>)"
    r"(.*?)(?:</\2>|<\|end_of_\3\|>|<\|END_\4\|>|\Z)\s*\Z",
    re.S | re.I,
)
_MAY_THINK = re.compile(r"[<\[◁]|\A\s*(?:analysis|commentary|Here)")


@dataclass(frozen=True, slots=True)
class Thought:
    """``answer`` is the text without its thinking; ``unfinished`` says that the text ended inside the thinking."""

    answer: str
    thinking: str = ""
    unfinished: bool = False


def split_thinking(text: str) -> Thought:
    """The thinking at the beginning of a text, and the answer after it; any other text comes back as it is."""
    if not _MAY_THINK.search(text):
        return Thought(text)
    found = _channels(text) or _spoken(text) or _tagged(text)
    if found is None:
        around = _AROUND.fullmatch(text)
        return Thought(around.group(5).strip() if around else text)
    around = _AROUND.fullmatch(found.answer)
    return Thought((around.group(5) if around else found.answer).strip(), found.thinking, found.unfinished)


def without_thinking(text: str) -> str:
    """The part of a text behind its thinking, wherever that stands; the part before it where the thinking never ends.

    For texts in which an answer is found by other means: unlike ``split_thinking`` it may cut a text that only looks
    like thinking.
    """
    channels = list(_CHANNEL.finditer(text))
    ends = [*_CLOSE.finditer(text), *(m for m in channels if m.group(1) == "final")]
    start = max((m.end() for m in ends), default=0)
    begins = [*_OPEN.finditer(text, start), *(m for m in channels if m.start() >= start)]
    return text[start : min((m.start() for m in begins), default=None)]


def _channels(text: str) -> Thought | None:
    """The last message of the final channel is the answer."""
    marks = list(_CHANNEL.finditer(text))
    if not marks:
        return None
    final = [m for m in marks if m.group(1) == "final"]
    if not final:
        return Thought("", text, unfinished=True)
    start = final[-1].end()
    end = _CHANNEL_END.search(text, start)
    return Thought(text[start : end.start() if end else None].strip(), text[: final[-1].start()])


def _spoken(text: str) -> Thought | None:
    mark = _BARE_CHANNELS.match(text) or _SPOKEN.match(text)
    return None if mark is None else Thought(text[mark.end() :].strip(), mark.group())


def _tagged(text: str) -> Thought | None:
    opened = _OPEN.match(text.lstrip())
    # Where the prompt's template wrote the opening marker, the text has the closing one alone.
    closed = list(_CLOSE.finditer(text))
    if closed:
        return Thought(text[closed[-1].end() :].strip(), text[: closed[-1].start()].strip())
    return Thought("", text, unfinished=True) if opened else None
