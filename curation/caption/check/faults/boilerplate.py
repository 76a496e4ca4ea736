"""Phrases that say nothing of the picture: openings such as "The image depicts", and feelings and guesses."""

from __future__ import annotations

import re

from curation.caption.check.written import without_quotes
from curation.caption.signs import signed

_NOUN = r"(?:image|picture|photo|photograph|snapshot|scene|visual|frame)"
_EMPTY = (
    r"(?:(?:given|provided|attached|uploaded|above|following|vibrant|captivating|stunning|striking|beautiful|lovely"
    r"|detailed|amazing|intriguing|interesting|delightful|charming|dynamic|engaging|vivid|digital|high-quality"
    r"|high-resolution|colou?rful|evocative|serene|whole|entire|main)(?:,\s*|\s+(?:and\s+)?))*"
)
_SHOWS = (
    r"(?:(?:vividly|clearly|prominently|beautifully|mainly|primarily|seems\s+to|appears\s+to|here|above|provided)\s+)?"
    r"(?:depict(?:s|ing)?|show(?:s|ing)?|features?|featuring|displays?|displaying|presents?|portray(?:s|ing)?"
    r"|captur(?:es?|ing)|illustrat(?:es?|ing)|showcas(?:es?|ing)|contains?|includes?|reveals?|consists?\s+of|is\s+of"
    r"|is\s+(?:depicting|showing|capturing|featuring|displaying)"
    rf"|(?:is|appears\s+to\s+be|seems\s+to\s+be)\s+(?:a|an|the)\s+{_EMPTY}{_NOUN}\s+(?:of|showing|depicting|featuring))"
    r"(?:\s+(?:us|that|how|to\s+us|what\s+(?:appears|seems|looks)\s+(?:to\s+be|like)))?"
)
_SEE = (
    r"(?:we|you|one|i|viewers?|the\s+viewer)\s+(?:can\s+|could\s+|may\s+|am\s+able\s+to\s+)?(?:\w+ly\s+|also\s+)?"
    r"(?:sees?|observes?|finds?|notices?|spot|have|are\s+shown|are\s+presented\s+with)(?:\s+that)?"
)
_DESCRIPTION = r"(?:captions?|descriptions?|summary|alt[ -]text|breakdown|answer|overview|response|prompt)"
_OPENINGS = [
    r"(?:sure(?:\s+thing)?|certainly|of\s+course|absolutely|okay|ok|yes|great|alright|gladly|no\s+problem"
    r"|happy\s+to\s+help|understood|got\s+it|noted|perfect|right\s+away|very\s+well"
    r"|i['’]?d\s+be\s+happy\s+to(?:\s+help|\s+describe[^.!:]{0,40})?)\s*(?:[!.,:;—–-]+)",
    rf"(?:here(?:['’]s|\s+is|\s+are|\s+you\s+go|\s+goes)|below\s+is|the\s+following\s+is|this\s+is)\b[^.!?:\n]{{0,60}}?"
    rf"\b{_DESCRIPTION}\b[^.!?:\n]{{0,60}}(?::|\n|\.(?=\s))",
    rf"[\W_]{{0,4}}(?:(?:dense|short|long|brief|detailed|new|image|picture|photo|scene|visual|final|revised|refined"
    rf"|improved|generated"
    rf"|suggested|possible|proposed|concise|objective|full|english|my|the|a|an|this|one|first"
    rf"|best)\s+){{0,4}}(?:{_DESCRIPTION}|output|result|text|reply"
    rf"|draft|dense|short|long|english|photo|image|picture|alt|attempt|completion|translation"
    rf"|scene\s+description)(?:\s+(?:of|for)\s+(?:the|this|your)\s+"
    rf"(?:\w+\s+)?(?:image|picture|photo|scene))?(?:\s+is)?\s*(?:\([^)\n]{{0,60}}\)\s*)?[\])*_\"']{{0,4}}\s*(?:[:=：]"
    rf"|\n+)",
    rf"(?:(?:dense|short|detailed|image|the)\s+){{0,3}}{_DESCRIPTION}\s[-–—]\s",
    r"[\[(](?:(?:dense|short|detailed|image)\s+)?(?:caption|description)[\])]",
    r"here(?:['’]s|\s+is|\s+it\s+is|\s+you\s+go|\s+goes)\b[^.!?:\n]{0,40}:",
    r"title\s*(?::\s*[^\n]{1,100}\n+|[-–—]\s[^.!?\n]{1,60}[.\n]+\s*)",
    r"(?:fig(?:ure|\.)?|image|photo|picture)\s*\d{1,3}\s*[.:]",
    rf"(?:scene|subject|analysis|en|answer\s+in\s+english|in\s+english|observation|(?:to\s+describe|describing"
    rf"|description\s+of)\s+(?:the|this)\s+{_NOUN}|{_NOUN}\s+(?:shows|of|depicts))\s*:",
    r"as\s+an?\s+[^.,:\n]{3,40},\s+i(?:['’]d|\s+would|\s+can|\s+will)?\s+(?:see|say|describe|observe"
    r"|notice)(?:\s+(?:it|this)\s+as)?(?:\s+that)?\s*[:,]?",
    rf"(?:looking|examining|viewed|taken|at\s+first\s+glance|on\s+closer)\b[^.,\n]{{0,30}},\s*{_SEE}",
    rf"{_DESCRIPTION}\s*(?:→|->|=>)",
    r"(?:[-•*]|\(?[1aA][.)])\s+(?=[A-Z\"])",
    rf"(?:this|the|that|here)\s+is\s+(?:a|an|the)\s+{_EMPTY}{_NOUN}\s+(?:of|that\s+{_SHOWS}|which\s+{_SHOWS}|where"
    rf"|in\s+which|{_SHOWS})",
    rf"(?:the|this|our)\s+{_EMPTY}{_NOUN}\s+{_SHOWS}",
    rf"(?:in|within|throughout|at|across)\s+(?:the|this|our)\s+{_EMPTY}{_NOUN}\s*(?:provided|above|shown)?"
    rf"(?:\s*,\s*(?:{_SEE}\b)?|\s+{_SEE}\b)",
    rf"(?:in|within)\s+(?:the|this)\s+{_EMPTY}{_NOUN}\s+(?=(?:there|a|an|the|two|three|four|five|several|some|many)\b)",
    rf"(?:looking\s+at|based\s+on|judging\s+by|from|as\s+(?:seen|shown|depicted)\s+in|upon\s+viewing)\s+(?:the|this)\s+"
    rf"{_EMPTY}{_NOUN}(?:\s+provided)?\s*,\s*(?:{_SEE}\b)?",
    rf"(?:depicted|pictured|shown|featured|seen)\s+(?:here\s+|in\s+(?:the|this)\s+{_NOUN}\s*,?\s*)?(?:is|are)\b",
    rf"{_SEE}\s+(?=(?:an?|the|two|three|four|five|several|some|many)\b)",
    rf"(?:an?|the)\s+{_EMPTY}{_NOUN}\s+(?:showing|depicting|featuring|displaying|that\s+{_SHOWS})",
]
_OPENING = re.compile(rf"[\s\"“]*(?:{'|'.join(f'(?:{o})' for o in _OPENINGS)})\s*[:,]?\s*", re.IGNORECASE)
_FIRST_LETTER = re.compile(r"\A[\"'“‘(\[]*([^\W\d_])")
_MOST = 4  # openings may follow each other: "Sure! Here is a caption: The image depicts"


def strip_opening(text: str) -> tuple[str, str]:
    """The text without a boilerplate opening, capitalised anew, and the opening; that is empty without one."""
    start = 0
    for _ in range(_MOST):
        found = _OPENING.match(text, start)
        if found is None or found.end() == start:
            break
        start = found.end()
    if not start:
        return text, ""
    return capitalise(text[start:].lstrip()), text[:start].strip()


def capitalise(text: str) -> str:
    """The text with its first letter in upper case, where it starts with a letter."""
    first = _FIRST_LETTER.match(text)
    if first is None:
        return text
    upper = first[1].upper()
    return text[: first.start(1)] + (upper if len(upper) == 1 else first[1]) + text[first.end(1) :]


_FILLER = signed(
    r"\b(?:evok(?:es|ing)|convey(?:s|ing)|exud(?:es|ing)|radiat(?:es|ing)|impart(?:s|ing)|inspir(?:es|ing)|lend(?:s"
    r"|ing)"
    r"|creat(?:es|ing)|suggest(?:s|ing)|giv(?:es|ing)|add(?:s|ing)(?:\s+to)?|enhanc(?:es|ing)|set(?:s|ting)|giving off"
    r"|reflect(?:s|ing)|capturing|captures)\s+(?:\w+\s+){0,5}?(?:sense|feeling|feel|mood|atmosphere|ambian?ce|aura"
    r"|emotion"
    r"|vibe|charm|tone|essence|touch|air|spirit|beauty)\b"
    r"|\b(?:overall|general)\s+(?:mood|atmosphere|feel(?:ing)?|tone|vibe|ambian?ce|impression)\b"
    r"|\bsense\s+of\s+(?:wonder|calm|peace|tranquil\w+|serenity|nostalgia|adventure|joy|mystery|harmony|movement|depth"
    r"|community|warmth|elegance|unity|anticipation|excitement|solitude|whimsy)\b"
    r"|\b(?:testament\s+to|feast\s+for\s+the\s+eyes|inviting\s+(?:the\s+)?viewers?|invites?\s+(?:the\s+)?viewers?"
    r"|draws?\s+the\s+(?:viewer|eye)|tells?\s+a\s+story|speaks\s+volumes|a\s+moment\s+of\s+\w+|captured\s+in\s+time)\b",
    "sense|feel| mood|atmosphere|ambiance|ambiace|aura|emotion| vibe|charm| tone|essence| touch| air| spirit| beauty"
    "|impression|testament|viewer|the eye|a story|volumes|a moment|captured in",
)


def find_filler(text: str) -> str:
    """The first such passage; empty when there is none."""
    found = _FILLER.search(without_quotes(text))
    return found[0] if found is not None else ""
