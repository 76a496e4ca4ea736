"""Labels, notes and further captions around a caption: "Option 1:", "Note:", "Keywords:", "(Word count: 45)"."""

from __future__ import annotations

import re

from curation.caption.check.finding import Finding
from curation.caption.check.written import tidy_lines, without_quotes
from curation.caption.signs import signed
from schemas.reasons import Reason

_END = r"(?:\A|(?<=[.!?…\"”’)\]*:])|(?<=\n))"
_OPEN = r"\s*[\[(*_~\-–—•#>]{0,6}\s*"
_CLOSE = r"(?:\s?\([^()\n]{0,30}\))?[\])*_]{0,4}\s*[:：]"

# A label behind a whole sentence: all from there on is no caption.
_SECTION = re.compile(
    _END
    + _OPEN
    + r"(?:(?:please\s+|follow-?up\s+|side\s+|additional\s+|key\s+|short\s+|brief\s+|important\s+|editor'?s\s+|final\s+"
    r"|extra\s+|style\s+|technical\s+|suggested\s+|possible\s+"
    r"|(?:[a-z]+\s+){0,3}(?=captions?|descriptions?)|relevant\s+|general\s+|my\s+|follow-?up\s+|negative\s+"
    r"|alternate\s+|alternative\s+|alternatively,?\s+|another\s+|shorter\s+|longer\s+|simplified\s+|revised\s+"
    r"|concise\s+|more\s+\w+\s+)*"
    r"(?:n\.?b\.?|p\.?s\.?|tl;?\s?dr|in\s+short|notes?|remarks?|comments?|(?:additional|further"
    r"|background)\s+info(?:rmation)?|visual\s+elements|key\s+elements|q|recommendations?|suggestions?|fun\s+fact"
    r"|trivia|facts?|usage|(?:here(?:['’]s|\s+is)\s+)?an?\s+(?:\w+\s+)?(?:alternative|version)|note to \w+"
    r"|explanations?|reasoning|rationale|justification|reason|analysis|thoughts?|thinking|keywords?|tags?|hash\s?tags"
    r"|labels?"
    r"|alt[ -]?text|alt|title|captions?|descriptions?|short|long|dense"
    r"|detailed|summary|confidence|score|rating|sources?|credits?|photo credit"
    r"|image credit|disclaimers?|warning|word\s+count|token\s+count"
    r"|character\s+count|words|length|translations?|english|prompt|edit|update|correction|question|follow-up"
    r"|references?|metadata|parameters|categor(?:y|ies)|genre|mood|style"
    r"|themes?|quality|options?|versions?|output|input|answer|response|result|context|interpretation|assumptions?"
    r"|observations?|objects?|detected objects|entities|attributes"
    r"|instructions?|task|hint|tip|next steps?|conclusion|ocr|visible text|text in (?:the )?image|url|link"
    r"|file\s?name|date|author|camera(?:\s+settings)?|gps\s+coordinates|exif|lens|settings|iso|resolution|steps"
    r"|alternatively|or))"
    + _CLOSE
    + r"(?!\d\d\b)|"
    + _END
    + r"\s*\W{0,3}(?:P\.?\s?S\.\s|(?:notes?|remarks?|n\.?b\.?)\s+[-–—]\s)|\n\s*\W{0,3}(?:or|alternatively|alternative"
    r"|another\s+option)\W{0,3}\n|\n\s*\(?[2-9][.)]\s+(?=[A-Z])",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    _END + r"\s*[\[(*_]{1,4}\s*(?:please\s+)?(?:note|n\.?b\.?|this\s+(?:caption|description|is\s+an?\s+\w+\s+(?:caption"
    r"|description))|the\s+(?:caption|description)|word|generated|total|approx"
    r"|based\s+on|as\s+(?:requested|per)|edited|\d{1,4}\s+(?:words|characters|tokens)|words?)\b[^\n]{0,600}\Z",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"\s*[\[(*_-]{0,3}\s*(?:(?:total\s+)?(?:word|token|character)s?(?:\s*count)?\s*[:=]?\s*(?:~|about"
    r"|approx\w*\.?)?\s*\d{1,4}(?:\s*words?)?|(?:~|about\s+|approx\w*\.?\s+)?\d{1,4}\s+(?:words|characters|tokens))"
    r"(?:\s+(?:total|used|long|in total))?\s*[\])*_]{0,3}\.?\s*\Z",
    re.IGNORECASE,
)
# "Option 1:", "**Caption B (short):**", "Version two -"
_CHOICE = re.compile(
    _END + r"\s*[\[(*_#\-•]{0,4}\s*(?:(?:first|second|third|fourth|1st|2nd|3rd)\s+(?:option|caption|version|description"
    r"|alternative|variant)[\])*_]{0,4}\s*:|\[(?:option|caption|version)\s\w{1,5}\]|(?:option|caption|version|variant"
    r"|variation|alternative|choice|description|candidate|example|sample|answer|response|draft|suggestion|prompt"
    r"|image|picture|photo|frame|panel|step|sentence|paragraph|part|scene|question)\s*(?:#|no\.?\s*"
    r"|number\s+)?(?:\d{1,2}|[A-E]|one|two|three|four|five|i{1,3}|iv)\b\s*"
    r"(?:\([^)\n]{0,60}\))?[\])*_]{0,4}\s*(?::|\.(?=\s+[A-Z])|\s[-–—]\s|\n))",
    re.IGNORECASE,
)
_PARTS = re.compile(
    r"\b(?:image|picture|photo|frame|panel|step|sentence|paragraph|part|scene|question)\b", re.IGNORECASE
)
_SEVERAL = re.compile(
    r"\b(?:here\s+are|below\s+are|following\s+are|(?:i\s+)?(?:have|suggest|offer|propose"
    r"|generated))\s+(?:\w+\s+){0,3}?(?:two|three|four|five|six|ten|several|some|a\s+few|multiple|\d{1,2}|possible"
    r"|different)\s+(?:\w+\s+){0,4}?"
    r"(?:captions|descriptions|options|versions|variations|alternatives|suggestions|ideas)\b|\b(?:captions"
    r"|descriptions|options)\s+for\s+(?:this|the|your)\s+(?:image|picture|photo)\s*:",
    re.IGNORECASE,
)
# Labels of a structured answer; where they stand in a picture they are no labels of talk.
_FIELD = re.compile(
    _END
    + r"\s*[\[(*_\-•]{0,4}\s*(main\s+subjects?|subjects?|setting|lighting|colou?rs?(?:\s+palette)?|composition|style"
    r"|mood"
    r"|atmosphere|details|objects?|main\s+objects|camera(?:\s+angle)?|text"
    r"|perspective|scene|environment|location|action|actions|medium|quality|background|foreground|clothing|people"
    r"|person|attributes|title|description|keywords|tags|view|focus|shot|texture|emotion|emotions"
    r"|short\s+caption|long\s+caption|dense\s+caption|detailed\s+caption|overall|weather|time\s+of\s+day|angle|genre"
    r"|category|overview|additional\s+details|visual\s+elements)\**\s*:(?=\s)",
    re.IGNORECASE,
)
_PLACES = frozenset({"background", "foreground", "view", "scene"})
_TITLED = re.compile(
    r"\A\W*(?:title|headline|name|subject|topic|heading)\s*:\s*[^\n]{1,200}?[\n.]?\s*\**(?:description|caption"
    r"|dense caption|detailed caption)\**\s*:\s*\**\s*(?=\S)",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"\A\W*(?:question|q|prompt|instruction|request|user)\s*:[^\n]{1,300}?(?:[?.\n])\s*(?:answer|a|caption|response"
    r"|description|output)\s*:\s*(?=\S)",
    re.IGNORECASE,
)

_LABEL_SIGN = signed(
    r"[:：]|\d\s+(?:word|char|token)|[\[(*_]\s*(?:note|this|word|generated|based|as |edited|total|\d)"
    r"|words?\s+(?:count|-)|words?:|(?:Option|Caption|Version|Image|Step)\s\w+[.\n]|\s[-–—]\s"
    r"|P\.\s?S\.|\bnote -|\[(?:Option|Caption|Version)",
    ":|：|[|(|*|_| char| token| word|words -|word -|word count|words count|option |caption |version |image |step "
    "| - | – | — |p.s.|p. s.|note -",
)
_NUMBERED = re.compile(r"\W*\d[.)]")
_LINE_SIGN = re.compile(r"\n[^\w\n]{0,4}(?:or|alt|[2-9][.)])", re.IGNORECASE)
_FEWEST = 4  # words of a caption that must be left


def strip_labels(text: str) -> tuple[str, list[Finding]]:
    """The caption alone, and the labels and closing sections that were around it.

    Of several captions the first stays. A finding rejects where they describe parts of a picture, or where
    the fields of a form stand in place of a caption.
    """
    found: list[Finding] = []
    text = tidy_lines(text)
    plain = without_quotes(text)
    if _LABEL_SIGN.search(plain) or _NUMBERED.match(plain) or ("\n" in plain and _LINE_SIGN.search(plain)):
        text = _labelled(text, plain, found)
    return text, found


def _note(found: list[Finding], passage: str, *, rejects: bool = False) -> None:
    found.append(Finding(Reason.TASK_TALK, passage.strip()[:120], rejects))


def _labelled(text: str, plain: str, found: list[Finding]) -> str:
    for start in (_TITLED, _ASKED):
        if (front := start.match(plain)) is not None:
            _note(found, front[0])
            text, plain = text[front.end() :], plain[front.end() :]
    if (several := _SEVERAL.search(plain)) is not None:
        _note(found, several[0], rejects=True)
        return text
    choices = list(_CHOICE.finditer(plain))
    if choices and (len(choices) > 1 or choices[0].start() == 0) and _PARTS.search(choices[0][0]):
        _note(found, choices[0][0], rejects=True)
        return text
    if choices:
        cut = choices[0].start() or choices[-1].start()
        first = choices[0].start() == 0
        until = choices[1].start() if first and len(choices) > 1 else len(text) if first else choices[0].start()
        begin = choices[0].end() if first else 0
        _note(found, plain[cut : cut + 40])
        text, plain = text[begin:until].strip(), plain[begin:until].strip()
        text, plain = _bare(text), without_quotes(_bare(text))
    fields = [f[1].lower() for f in _FIELD.finditer(plain)]
    if (
        len(fields) > 1
        and set(fields) - _PLACES
        and (len(fields) > 2 or not set(fields) & _PLACES or _FIELD.match(plain))
    ):
        _note(found, ", ".join(fields), rejects=True)
        return text
    for section in _SECTION.finditer(plain):
        if _whole(plain[: section.start()]):
            _note(found, text[section.start() :])
            text, plain = text[: section.start()].strip(), plain[: section.start()].strip()
            break
    for pattern in (_ASIDE, _COUNT):
        if (end_note := pattern.search(plain)) is not None and _whole(plain[: end_note.start()]):
            _note(found, text[end_note.start() :])
            text = text[: end_note.start()].strip()
            plain = without_quotes(text)
    return text


def _bare(text: str) -> str:
    return text.strip().strip("*_").strip()


def _whole(text: str) -> bool:
    """Whether a caption may end here."""
    return len(text.split()) >= _FEWEST
