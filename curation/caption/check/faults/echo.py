"""A caption that repeats the prompt, or that follows or repeats an instruction in the alt text.

``suspicious`` of the model room says what an instruction looks like; a few milder forms are added here, because
a wrong guess costs nothing unless the caption repeats what the supposed instruction asks for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from curation.caption.check.counts import lower_words
from curation.caption.check.wordlists import words
from curation.caption.model.untrusted import suspicious
from curation.caption.signs import signed

_WORDS = re.compile(r"\w+(?:['’]\w+)*")
_PLACEHOLDER = re.compile(r"\{\{?[^{}]*\}\}?|<[a-z_]+>|</[a-z_]+>")
_RUN = 7  # words in a row that a caption shares with its prompt by chance hardly ever
_TRIGRAMS = 5  # shared trigrams that count only if they are also most of the caption
_IMPERATIVE = signed(
    r"(?:\A|(?<=[.!?:;\n]))\s*[\"“'(]?(?:please\s+)?(?:describe|state|start|begin|tell|write|provide|give|generate"
    r"|create|use|avoid|mention"
    r"|include|name|list|do\s+not|don['’]?t|only|focus|make\s+sure|ensure|remember|your\s+task|be\s+sure|limit|keep"
    r"|answer|respond|reply|return|output|caption)\b[^.!?\n]{0,120}?\b(?:captions?|descriptions?|images?|pictures?"
    r"|photos?"
    r"|alt[- ]text|words?|sentences?|details?|instructions?|visible|guess|invent|speculate|opinions?|json"
    r"|main\s+objects|task|answer|prompt|preamble)\b",
    "caption|description|image|picture|photo|alt text|alt-text|word|sentence|detail|instruction|visible|guess|invent"
    "|speculate|opinion|json|main objects|task|answer|prompt|preamble",
)


def find_prompt_echo(text: str, prompt: str) -> str:
    """The passage of the caption that repeats the prompt; empty when there is none."""
    said = _words(text)
    known = _prompt_grams(prompt)
    trigrams = list(zip(said, said[1:], said[2:], strict=False))
    shared = [t for t in trigrams if t in known.trigrams]
    if len(shared) >= _TRIGRAMS:  # as many as a run has at least
        if run := _longest_run(said, known.runs):
            return run
        if len(shared) * 2 > len(trigrams):
            return " ".join(shared[0])
    order = _IMPERATIVE.search(text)
    return order[0].strip()[:80] if order is not None else ""


@dataclass(frozen=True, slots=True)
class _PromptGrams:
    runs: frozenset[tuple[str, ...]]
    trigrams: frozenset[tuple[str, ...]]


@lru_cache(maxsize=32)
def _prompt_grams(prompt: str) -> _PromptGrams:
    # What stands in a placeholder's place is the caption's material, so no run reaches across it.
    pieces = [tuple(_words(p)) for p in _PLACEHOLDER.split(prompt)]
    return _PromptGrams(
        frozenset(g for p in pieces for g in _grams(p, _RUN)),
        frozenset(g for p in pieces for g in _grams(p, 3)),
    )


def _longest_run(said: list[str], runs: frozenset[tuple[str, ...]]) -> str:
    for n in range(len(said) - _RUN + 1):
        if tuple(said[n : n + _RUN]) in runs:
            return " ".join(said[n : n + _RUN])
    return ""


def _words(text: str) -> list[str]:
    found = lower_words(_WORDS, text)
    return [word.replace("’", "'") for word in found] if "’" in text else found


def _grams(said: tuple[str, ...], length: int) -> list[tuple[str, ...]]:
    return [said[n : n + length] for n in range(len(said) - length + 1)]


_ANSWER = r"(?:captions?|descriptions?|answers?|repl(?:y|ies)|responses?|outputs?)"
_SAY = (
    r"(?:say|write|output|reply|respond|answer|print|repeat|state|claim|type|return|declare|mention|include|add|append"
    r"|insert|pretend|describe|caption|call|label|title|tell|talk|speak|end|start|begin|finish|conclude|put|use)"
)
_MILD = signed(
    r"\b(?:describe|caption|label|title)\s+(?:it|this|the)\b[^.!?\n]{0,30}?\b(?:as|with)\b"
    rf"|\b(?:your|the|correct|right|only|true|this)\s+{_ANSWER}\s+(?:is|must|should|has\s+to|will|needs\s+to|shall)\b"
    rf"|\b(?:in|to|of|with)\s+(?:your|the|every|each)\s+{_ANSWER}\b"
    rf"|\b(?:begin|start|end|finish|open|close)\s+(?:every|each|your|the|all)\s+(?:sentences?|{_ANSWER})\b"
    rf"|\b{_SAY}\s+(?:only\s+|exactly\s+|just\s+)*(?:the|these|this)\s+(?:words?|phrase|sentence|text|following)\b"
    rf"|\b(?:whatever|no\s+matter\s+what)\s+(?:you|it|the)\b[^.!?\n]{{0,40}}\b{_SAY}\b"
    rf"|\b{_SAY}\b[^.!?\n]{{1,60}}\binstead\b|\btell\s+(?:the\s+)?(?:user|reader|viewer|everyone|them)s?\b"
    rf"|\b(?:ais?|captioners?|assistants?|models?|bots?|llms?)\s+(?:must|should|shall|have\s+to|has\s+to)\b"
    rf"|\byou\s+(?:must|should|shall|have\s+to|need\s+to|will)\s+(?:always\s+|now\s+|only\s+)?{_SAY}\b",
    "describe|caption|label|title|answer|repl|description|response|output| the word| this word| these word|phrase"
    "| sentence| text| following|whatever|no matter|instead|tell |must|should|shall|have to|has to|need to|you will",
)
_SENTENCE = re.compile(r"(?<=[.!?])[\"'”’]?\s+|\n|\s[|]\s")
_GOES_ON = re.compile(rf"\W*(?:please\s+|then\s+|and\s+|now\s+|just\s+|only\s+|instead,?\s+)*{_SAY}\b", re.IGNORECASE)
_PAYLOAD = re.compile(
    rf"(?=\b(?:{_SAY[3:-1]}|is|be)\b"
    r"(?:\s+(?:it|this|them|everyone|the\s+(?:image|picture|photo|caption|description|answer|reader|user)|your"
    r"|caption|description|answer|reply|every|each|with|as|that|only|exactly|just|simply|to|out|back|by|saying|in|all"
    r"|caps|the|words?|phrase|text|sentence|following|always|verbatim|instead|after\s+me|there\s+(?:is|are)|how"
    r"|about))*"
    r"\s*[:\-–,]?\s*(?:[\"“'‘«](?P<quoted>[^\"”’»\n]{2,200})[\"”'’»]|(?P<rest>[^.!?;\n\"“”]{2,200})))",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"\b(?:not|never|don['’]t)\s+(?:\w+\s+)?\Z", re.IGNORECASE)
_TAIL = re.compile(
    r"\s+(?:and\s+nothing\s+(?:else|more)|instead|only|verbatim|(?:in|to)\s+(?:your|the)\s+(?:reply|answer|caption"
    r"|description|response)|at\s+the\s+(?:end|start|beginning)|in\s+all\s+caps|please|now|twice|three\s+times"
    r"|\d+\s+times)\b.*\Z",
    re.IGNORECASE | re.DOTALL,
)
_META = signed(
    r"\b(?:as\s+(?:you\s+)?(?:instructed|requested|asked|ordered|commanded|told)|(?:per|following"
    r"|according\s+to)\s+(?:your"
    r"|the)\s+(?:instructions?|request|orders?)|(?:ignoring|disregarding)\s+(?:the|all|any|my|previous|prior)\b"
    r"[^.]{0,30}\b(?:instructions?|images?|pictures?|prompts?|rules?)"
    r"|(?:ignore|disregard|forget)\s+(?:all|any|the|my"
    r"|your|previous|prior|every)\b[^.!?]{0,30}\b(?:instructions?|images?|pictures?|prompts?|rules?)"
    r"|i\s+(?:was|am|have\s+been)\s+(?:told|instructed|asked|ordered)"
    r"|the\s+(?:alt[- ]text|accompanying\s+text|prompt|user)\s+(?:says?|asks?|tells?"
    r"|instructs?|requests?|wants?|states?|orders?|reads?|mentions?|provided))\b",
    " instructed| requested| asked| ordered| commanded| told| your instruction| the instruction|your request"
    "|the request|your order|the order|ignoring|disregard|ignore |forget |alt text|alt-text|accompanying text"
    "|the prompt|the user",
)
_ECHOED = 5  # words in a row shared with an order
_PARTLY = 4  # words in a row shared with what an order wants to be said


@dataclass(frozen=True, slots=True)
class _Order:
    words: tuple[str, ...]
    payloads: tuple[tuple[str, ...], ...]


def find_instruction_echo(text: str, alt_text: str) -> str:
    """The passage that follows, repeats or mentions an instruction in the alt text; empty when there is none.

    Alt text without an order in it may be repeated as a whole: it describes.
    """
    meta = _META.search(text)
    if meta is not None:
        return meta[0]
    orders = _orders(alt_text)
    if not orders:
        return ""
    said = _words(text)
    joined = f" {' '.join(said)} "
    for order in orders:
        for payload in order.payloads:
            if f" {' '.join(payload)} " in joined:
                return " ".join(payload)
            if shared := _shared(said, payload, _PARTLY):
                return shared
        if shared := _shared(said, order.words, _ECHOED):
            return shared
    return ""


def _shared(said: list[str], order: tuple[str, ...], length: int) -> str:
    grams = {order[n : n + length] for n in range(len(order) - length + 1)}
    if not grams:
        return ""
    runs = (tuple(said[n : n + length]) for n in range(len(said) - length + 1))
    return next((" ".join(run) for run in runs if run in grams), "")


@lru_cache(maxsize=256)
def _orders(alt_text: str) -> tuple[_Order, ...]:
    """The sentences of an alt text that give an order, and those right behind them that go on with it."""
    alt_text = alt_text[:4000]
    passages = suspicious(alt_text)
    if not passages and _MILD.search(alt_text) is None:
        return ()
    found = []
    ordered = False
    for sentence in _SENTENCE.split(alt_text):
        flat = " ".join(sentence.split())
        ordered = (
            any(p in flat or flat in p for p in passages if flat)
            or _MILD.search(flat) is not None
            or (ordered and _GOES_ON.match(flat) is not None)
        )
        if ordered and (spoken := tuple(_words(flat))):
            found.append(_Order(spoken, _payloads(flat)))
    return tuple(found)


def _payloads(sentence: str) -> tuple[tuple[str, ...], ...]:
    found: list[tuple[str, ...]] = []
    for match in _PAYLOAD.finditer(sentence):
        if _NEGATED.search(sentence, max(0, match.start() - 10), match.start()):
            continue
        said = tuple(_words(match["quoted"] or _TAIL.sub("", match["rest"])))
        telling = [w for w in said if len(w) > 2 and w not in words("starters") and w not in words("dangling")]
        if telling and said not in found:
            found.append(said)
            if len(telling) > 2:
                found.append(said[:3])  # where no full stop says how far the words to be said reach
    return tuple(found)
