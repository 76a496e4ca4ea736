"""A model that declines, or says that it got no image, instead of describing one."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from curation.caption.check.counts import lower_words, word_count
from curation.caption.check.finding import Finding
from curation.caption.check.sentences import sentences
from curation.caption.check.wordlists import talk
from curation.caption.check.written import without_quotes
from curation.caption.signs import signed
from schemas.reasons import Reason

_DO = (
    r"(?:see|view|access|open|load|process|display|analy[sz]e|interpret|describe|identify|recogni[sz]e|determine|help"
    r"|assist|provide|give|generate|create|produce|write|offer|fulfil+|comply|complete|continue|answer|respond|discuss"
    r"|engage|do|support|comment|share|read|make out|tell|caption|look at|perform|directly|know|say|confirm|verify)"
)
_IMAGE = r"(?:images?|pictures?|photos?|photographs?|visuals?|attachments?|files?|content|request|input)"
_NOT = r"(?:can\s*not|can['’]?t|could\s*not|couldn['’]?t|(?:am|['’]m)\s+(?:currently\s+)?(?:unable|not\s+able)\s+to)"
_WILL_NOT = r"(?:won['’]?t|will not|would not|wouldn['’]?t|don['’]?t|do not|am not going to|['’]m not going to)"
_BE = (
    r"(?:did\s+not|didn['’]?t|has\s+not|hasn['’]?t|could\s+not|couldn['’]?t|cannot|can['’]?t|can\s+not|failed\s+to"
    r"|was\s+not|wasn['’]?t|is\s+not|isn['’]?t|seems?\s+to\s+be|appears?\s+to\s+be|is|was)"
)
_GONE = (
    r"(?:load(?:ed)?|open(?:ed)?|upload(?:ed)?|attached|provided|come\s+through|accessible|viewable"
    r"|available|processed|received|render(?:ed)?|retrieved|missing|corrupted|broken|unavailable|inaccessible)"
)

# In the first person a refusal may follow anything but a letter of the same clause.
_FIRST_PERSON = [
    rf"i\s*(?:{_NOT})\s+(?:\w+\s+){{0,2}}?{_DO}\b",
    rf"i\s+{_WILL_NOT}\s+(?:be\s+(?:able|willing)\s+to|{_DO}\b|have\s+(?:the\s+)?(?:ability|access|capability|enough))",
    r"i\s*(?:['’]?m|\s+am)\s+(?:so\s+|very\s+|really\s+|terribly\s+)?(?:sorry|afraid)\b",
    r"(?:i|we)\s+(?:sincerely\s+|do\s+|must\s+)?apologi[sz]e\b",
    r"(?:as|being)\s+an?\s+(?:(?:large|ai|artificial|text[- ]based|text[- ]only|language|multimodal|responsible)\s+)*"
    r"(?:language\s+model|ai|assistant|artificial\s+intelligence|model|chatbot)\b",
    r"i\s*(?:['’]?m|\s+am)\s+(?:just\s+|only\s+)?an?\s+(?:ai|(?:large\s+)?language\s+model|assistant|text[- ]based)\b",
    r"i\s+(?:do\s+not|don['’]?t|did\s+not|didn['’]?t)\s+(?:\w+\s+)?(?:see|receive|have|find|get)\s+(?:any|an?|the|your"
    r"|this|access|enough)\b",
    r"i\s+(?:must|have\s+to|need\s+to|should|will\s+have\s+to)\s+(?:\w+\s+)?(?:decline|refuse|refrain|abstain|pass)\b",
    r"i\s*(?:['’]?m|\s+am)\s+not\s+(?:comfortable|permitted|allowed|programmed|equipped|designed|capable"
    r"|in\s+a\s+position"
    r"|going\s+to|authori[sz]ed|supposed)",
    r"i\s+(?:lack|have\s+no)\s+(?:the\s+)?(?:ability|access|capability|means|way)\b",
    r"i\s+would\s+(?:need|be\s+happy\s+to|require)\b",
    r"i\s*(?:['’]ll|\s+will)\s+(?:need|have)\s+(?:you\s+)?to\b",
]

# Without a person only at the start of a sentence: "a fence, so that the dog is unable to see the cat" describes.
_SENTENCE = [
    r"(?:my\s+)?(?:sincere\s+)?apologies\b",
    r"(?:so\s+)?sorry[,.!]?\s+(?:but|i|for|about|this|that|there|the|no|unable|cannot|can['’]?t|we)\b",
    rf"(?:it\s+(?:seems|appears|looks\s+like)\s+(?:that\s+)?)?no\s+{_IMAGE}\s+(?:was|were|is|has\s+been|have\s+been"
    r"|appears|seems|provided|attached|uploaded|found|available|received|included)",
    r"(?:it\s+(?:seems|appears|looks\s+like)\s+(?:that\s+)?)?there\s+(?:is|was|(?:does\s+not|doesn['’]?t)\s+(?:seem"
    rf"|appear)\s+to\s+be|isn['’]?t|wasn['’]?t)\s+(?:no|an?|any)\s+{_IMAGE}\s+(?:attached|provided|uploaded|included"
    rf"|here"
    r"|to\s+\w+|for\s+me|in\s+(?:your|the|this)\s+(?:message|request|conversation|chat))",
    rf"(?:it\s+(?:seems|appears|looks\s+like)\s+(?:that\s+)?)?(?:the|your|this)\s+{_IMAGE}\s+(?:you\s+\w+\s+"
    rf"|provided\s+|itself\s+)?{_BE}\s+(?:be\s+|been\s+|to\s+|have\s+)*{_GONE}\b",
    r"(?:please|kindly|could\s+you|can\s+you|would\s+you)\s+(?:please\s+)?(?:re-?)?(?:upload|provide|share|attach|send"
    r"|submit|try\s+(?:again|uploading)|describe)\b",
    r"without\s+(?:seeing|viewing|access\s+to|being\s+able\s+to\s+see|having)\s+(?:\w+\s+){0,2}"
    rf"{_IMAGE},?\s+(?:i|it|we)\b",
    r"(?:it\s+is|it['’]s)\s+(?:(?:not\s+possible|impossible)\s+(?:for\s+me\s+)?to\s+(?:describe|provide|identify|give"
    r"|generate|caption|assist|determine)|against\s+(?:my|our|the)\s+(?:guidelines|polic|rules|terms))",
    r"(?:this|that|the|your)\s+(?:request|content|image|picture)\s+(?:violates|goes\s+against|may\s+violate"
    r"|is\s+against"
    r"|conflicts\s+with|cannot\s+be|can['’]?t\s+be)\b",
    r"(?:my|our)\s+(?:safety\s+|content\s+)?(?:guidelines|polic(?:y|ies)|programming|instructions|training"
    r"|capabilities)\b",
    rf"(?:unable\s+to|cannot|can['’]?t|could\s+not|couldn['’]?t|not\s+able\s+to|failed\s+to)\s+{_DO}\b",
    r"(?:is|are)\s+there\s+(?:anything|something)\s+else\s+i\b",
    r"if\s+you\s+(?:can\s+|could\s+|would\s+)?(?:like\s+to\s+)?(?:provide|share|upload|describe|give|tell|have)\b",
    r"(?:image|picture|photo|content|description|caption)\s+(?:not\s+(?:available|found|loaded|provided)|unavailable"
    r"|blocked|missing)\b",
    r"access\s+denied\b",
    r"(?:no|nothing|none)\b[^.!?]{0,40}?\b(?:uploaded|to\s+describe|to\s+caption|generated|shared|be\s+(?:given"
    r"|provided|made|produced))\b",
    r"let\s+me\s+know\s+if\b",
]
_WHOLE = re.compile(
    r"\W*(?:n/?a|none|null|nil|error|unknown|no|nothing|undefined|no\s+(?:caption|description|comment))\W*\Z",
    re.IGNORECASE,
)
# A caption has no narrator: a sentence in the first person that denies, regrets, asks or offers is none of it.
_PERSON = re.compile(r"(?<!War )(?<!letter )\bI\b(?!\s*[.♥❤])|\b(?:[Mm]e|[Mm]y)\b")
_DENIES = re.compile(
    r"\b(?:not|no|never|cannot|unable|decline|refuse|refrain|sorry|afraid|regret|apologi[sz]e|apologies|guess|help"
    r"|assist"
    r"|glad|happy|need|comply|rather|pass|against|conscience|comfortable|rules|guidelines|polic(?:y|ies)|programmed"
    r"|intelligence|language\s+model|AI|assistant|upload|provide|prevents?|process|privacy|only|nothing)\b|n['’]t\b"
)
_SAYS_I = re.compile(r"\s*I['’](?:m|d|ll|ve)\b")
_YOU = re.compile(r"\b[Yy]ou(?:r|['’](?:ve|re|d|ll))?\b")  # nor has a caption a reader
# A short text about an image that is not there, or about a program that failed.
_FEW_WORDS = 30
_ABOUT = (
    r"(?:images?|pictures?|photos?|photographs?|files?|attachments?|inputs?|descriptions?|captions?|requests?|contents?"
    r"|analysis|response|connection)"
)
_WORK = r"(?:process|load|open|display|analy[sz]|describ|caption|generat|view|access|recogni[sz]|identif|retriev|read)"
_FAILED = re.compile(
    rf"\b{_ABOUT}\b[^.!?]{{0,40}}?\b(?:corrupt(?:ed)?|unavailable|not\s+available|fail(?:ed|s|ure)|error|unsupported"
    rf"|(?:could\s+not|couldn['’]t|cannot|can['’]t|can\s+not|unable\s+to)\s+(?:be\s+)?{_WORK}\w*|timed\s+out"
    r"|(?:no|not|isn['’]t|wasn['’]t)\s+(?:\w+\s+){0,2}(?:detected|provided|attached|uploaded|supplied|received)"
    r"|(?:may\s+)?(?:be|contains?|is)\s+(?:\w+\s+)?(?:sensitive|inappropriate|explicit|violat\w+|not\s+permitted))\b"
    rf"|\b(?:(?:some|any)thing|nothing|error|fail\w*|(?:could\s+not|cannot"
    rf"|unable\s+to)\s+\w+)\b[^.!?]{{0,30}}?\b{_WORK}\w*\s+"
    rf"(?:the|this|that|your|an?)\s+{_ABOUT}\b|\bno\s+(?:\w+\s+){{0,2}}?{_ABOUT}\s+(?:\w+\s+)?(?:detected|provided"
    rf"|received"
    rf"|attached|supplied|uploaded)\b|\b(?:something|it)\s+went\s+wrong\b|\b{_WORK}\w*\s+error\b",
    re.IGNORECASE,
)
_WRITTEN = re.compile(
    r"\b(?:say(?:s|ing)?|reads?|reading|tell(?:s|ing)?|words?|text|written|printed|message|slogan|sign|poster|shirt"
    r"|mug|lettering"
    r"|titled?|song|book|film|movie|banner|label|sticker|asks|asking|graffiti|inscription|letters)\b",
    re.IGNORECASE,
)
_START = (
    # Of a run of blanks only its start counts, and it is taken whole: quotations were blanked out, and are long.
    r"(?:\A|(?<=[.!?…:;])|(?<=[.!?…][\"'”])|(?<!\s)(?=[^\S\n]*+\n))\s*+[\"'“(]?(?:however|but|well|hmm|oh|oops|uh"
    r"|unfortunately|regrettably|sadly)?,?\s*+"
)
_REFUSAL = signed(
    rf"(?<![\w'’])(?:{'|'.join(_FIRST_PERSON)})|{_START}(?:{'|'.join(_SENTENCE)})",
    "ican|i can|icould|i could|able to|i will|i won|i would|i do|i did|i must|i have|i need|i should|i lack|m not "
    "|ll need|ll have|apolog|sorry|afraid| model| ai|artificial intelligence|assistant|chatbot|text based|text-based"
    "|image|picture|photo |photo,|photos |photos,|photograph |photograph,|photographs |photographs,|visual|file|content"
    "|request|input|caption|description|upload|provide|share|attach|send"
    "|submit|try again|describe|cannot|can't |can’t |cant |could not|couldn't |couldn’t |couldnt |failed to|possible"
    "|guideline|polic|rules| terms|programming|instructions|training|capabilities|anything else|something else|if you"
    "|access denied|generated|be given|be made|be produced|let me know",
)


def find_refusal(text: str) -> Finding | None:
    """The first refusal outside of quoted writing, so that a sign may say "Sorry, we're closed"."""
    plain = without_quotes(text)
    found = _REFUSAL.search(plain) or _WHOLE.match(plain)
    if found is not None:
        return Finding(Reason.REFUSAL, text[found.start() : found.end() + 40].strip(" ,.;:\n"))
    for start, end in sentences(plain):
        if _spoken(_PERSON, plain, start, end) and _DENIES.search(plain, start, end):
            return Finding(Reason.REFUSAL, text[start:end])
    request = find_request_talk(plain)
    if request is not None:
        return Finding(Reason.REFUSAL, text[slice(*request)])
    if word_count(plain) > _FEW_WORDS:
        return None
    failed = _FAILED.search(plain) or _SAYS_I.match(plain)
    if failed is None and _DENIES.search(plain):
        failed = _spoken(_YOU, plain, 0, len(plain))
    return Finding(Reason.REFUSAL, failed[0]) if failed is not None else None


def find_plain_refusal(text: str) -> Finding | None:
    """As ``find_refusal``, by its whole phrases alone, for texts that are expected in another language."""
    plain = without_quotes(text)
    found = _REFUSAL.search(plain) or _WHOLE.match(plain)
    return None if found is None else Finding(Reason.REFUSAL, text[found.start() : found.end() + 40].strip(" ,.;:\n"))


def _spoken(pronoun: re.Pattern[str], text: str, start: int, end: int) -> re.Match[str] | None:
    """The first such pronoun, unless what stands before it makes it part of unquoted writing."""
    found = pronoun.search(text, start, end)
    return None if found is None or _WRITTEN.search(text, start, found.start()) else found


# No list holds every wording of a refusal, but all of them speak of the same few things: who asks and who answers,
# asking and describing, regret, rules, inability, technical faults. A sentence of a caption may name one or two of
# them, among words for things that can be seen; a refusal has hardly any of those.
_TOKEN = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
# What a word tells for a refusal. Pictures, negations and faults can be seen or said of what is seen.
_WEIGHT = {
    "person": 1.5, "regret": 1.5, "rules": 1.2, "request": 1.2, "fault": 0.8, "inability": 0.7, "image": 0.5,
    "function": 0.0,
}  # fmt: skip
_SEEN = -1.2  # of every other word
_MOST_TELLING = max(_WEIGHT.values())
_ENOUGH = 1.9
_ENOUGH_ALONE = 1.5  # where no other word stands beside
_LEAST = 1.0  # below both by more than sums of such numbers are rounded


def find_request_talk(text: str) -> tuple[int, int] | None:
    """Start and end of the first such sentence; quotations must have been blanked out."""
    return next(((start, end) for start, end in sentences(text) if _talks(text[start:end])), None)


def _talks(sentence: str) -> bool:
    words = lower_words(_TOKEN, sentence)
    if "’" in sentence:
        words = [word.replace("’", "'") for word in words]
    told = [_tells(word) for word in words]
    strangers = told.count(None)
    # Were each other word the most telling one: not even then, as in nearly all sentences of captions.
    if _SEEN * strangers + _MOST_TELLING * (len(told) - strangers) < _LEAST:
        return False
    total, topics = 0.0, set()
    seen: set[str] = set()
    for word, what in zip(words, told, strict=True):
        if what is None:
            total += _SEEN
        elif word not in seen:
            total += _WEIGHT[what]
            topics.add(what)
        seen.add(word)
    topics -= {"image", "function"}
    if strangers:
        return len(topics) > 1 and total >= _ENOUGH
    return not topics <= {"inability", "person"} and total >= _ENOUGH_ALONE


@lru_cache(maxsize=1 << 16)
def _tells(word: str) -> str | None:
    return talk().get(word) or next((w for s, w in _stems() if word.startswith(s)), None)


@cache
def _stems() -> tuple[tuple[str, str], ...]:
    """Longest first."""
    found = ((s.removesuffix("*"), w) for s, w in talk().items() if s.endswith("*"))
    return tuple(sorted(found, key=lambda one: -len(one[0])))
