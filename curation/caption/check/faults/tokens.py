"""What belongs to a model's format and not to its caption: thinking, channels, template tokens, boxes.

Forms of many model families are known, not names of models: ``<think>``, ``[THINK]``, ``◁think▷``,
``<|begin_of_thought|>``, ``<unused94>thought``; ``<|channel|>final``; ``<|im_end|>``, ``<end_of_turn>``,
``[/INST]``; ``<box>``, ``<loc_0123>``, ``[[12,34,56,78]]``.
"""

from __future__ import annotations

import re
from collections import deque

from curation.caption.check.finding import Finding
from curation.caption.check.sentences import sentence_ends
from curation.caption.check.written import without_quotes
from schemas.reasons import Reason

_FEW = 5  # words in front of a block of thinking that would be lost with it
_L, _R = r"[<\[◁{＜〈⟨《【]{1,2}\s?[|｜]?\s?", r"\s?[|｜]?\s?[>\]▷}＞〉⟩》】]{1,2}"
_THOUGHT = (
    r"(?:(?:\w{2,12}[:_])?think(?:ing)?|thoughts?|(?:chain_of_)?thought|reason(?:ing)?|reflect(?:ion)?|analysis"
    r"|analy[sz]e"
    r"|scratch_?pad|rationale|cot|monologue|inner_(?:thoughts?|monologue)|internal_\w{2,16}|deliberation|planning|plan"
    r"|observations?|critique|verification|summary_of_thought|step)"
)
_OPENED = re.compile(
    rf"{_L}(?:(?:begin|start)_(?:of_)?)?{_THOUGHT}{_R}|<unused94>(?:thought)?|\[unused16\]|<\|channel>(?:thought)?",
    re.IGNORECASE,
)
_CLOSED = re.compile(
    rf"{_L}(?:/|end_(?:of_)?){_THOUGHT}{_R}|<unused95>|\[unused17\]|<channel\|>|</channel\|?>|<\|/channel\|?>",
    re.IGNORECASE,
)
_ANSWER = (
    r"(?:final_?answer|answer|final_?response|response|final|output|result|caption|conclusion|solution|dense_caption"
    r"|detailed_caption|short_caption|description|reply|content|text|of_box|box)"
)
_ANSWER_MARK = re.compile(
    rf"{_L}(?:(?:begin|start)(?:_of_|_|\s))?(?P<opened>{_ANSWER}){_R}|{_L}(?:/|end(?:_of_|_"
    rf"|\s))(?P<closed>{_ANSWER}){_R}"
    r"|\[(?:BEGIN|END) (?P<apriel>FINAL RESPONSE)\]",
    re.IGNORECASE,
)
_BOXED = re.compile(r"\A.*?\\boxed\{([^{}]*)\}\W*\Z", re.DOTALL)
_FINAL = re.compile(
    r"<\|channel\|>\s*final\s*(?:<\|\w{1,20}\|>[^<]{0,40})?<\|message\|>|(?:\A"
    r"|(?<=\W))(?:assistant\s?)?(?:commentary\s?)?assistant\s?final(?=[A-Z\"“*\n])"
    r"|(?<=[.!?])\s?assistant\s?final\s?(?=\W?[A-Z])|(?<=\w)assistantfinal|<\|(?:content|final|response)\|>"
    r"|\[BEGIN FINAL RESPONSE\]"
)
_CHANNEL = re.compile(
    r"<\|(?:channel|message|recipient)\|>|\A\s*(?:analysis|commentary|thought)\s?(?=[A-Z])|\Aanalysis\s*\n"
    r"|\A\s*(?:analysis|commentary)\s+to="
)

_ANGLE = (
    r"s|eos|bos|pad|unk|image|images|img|mask|sep|cls|eot|eod|eop|sop|eom|bom|sot|image\d{0,4}|video|audio|n|sp"
    r"|br_token"
    r"|think|thinking|answer|alt_text|unused\d{1,4}|reserved\d{0,4}|visual|grounding|obj|multimodal|user|assistant"
    r"|system|human|bot|model|end|start|final"
    r"|tool_call|tool_response|tool|function_call|observation|instruction|question|context|prompt|caption|message|blank"
)
_TOKEN = re.compile(
    r"<\s?[|｜][^<>|｜\n]{1,60}[|｜]?\s?>|<[\w/ ]{1,30}[|｜]>|\[\|[^\[\]|\n]{1,40}\|\]|<<?/?SYS>>?"
    rf"|</?(?:{_ANGLE})\s?/?>|</?[A-Za-z]{{1,20}}(?:[_-][A-Za-z0-9]{{1,20}}){{1,5}}/?>|</?[A-Z]{{2,20}}\d{{0,4}}>"
    r"|\[/?(?:INST|SYS|PAD|MASK|CLS|SEP|UNK|IMG|IMAGE|IMG_BREAK|IMG_END|EOS|BOS|EOD|EOT|EOF|END|gMASK|sMASK|sop|eop"
    r"|BLANK|NEWLINE"
    r"|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS|multimodal|ASSISTANT|USER)\]|\[\s?unused\s?\d{1,4}\s?\]|\[(?:img|image"
    r"|Image|IMG)[- ]?\d{1,3}\]"
    r"|\[(?:BEGIN|END|START)[ _A-Z]{1,40}\]|\[\s?(?:end|continued|end of (?:caption|description|text|response))\s?\]"
    r"|\((?:end of (?:caption|description|text|response)|continued(?: (?:below|in next \w+))?\.{0,3})\)|\|(?:NEWLINE"
    r"|SPEAKER|ENDOFTEXT|EOT)\|"
    r"|###\s*(?:Human|Assistant|User|System|Instructions?|Response|Input|Output|Answer|Question|Explanation|Caption"
    r"|Description|END)\b:?"
    r"|\b(?:USER|ASSISTANT|SYSTEM|HUMAN)\s?:|(?:\A|(?<=\n))(?:User|Assistant|System|Human|AI|Bot|Model|GPT|Q|A)\s?:"
    r"|(?<=[.!?\"”)]\s)(?:User|Assistant|Human|System|Question|Q)(?:\s\d{1,2})?\s?:|(?<=[.!?\"”)])(?:User|Assistant"
    r"|Human)\s?:"
    r"|\A(?:assistant|model|bot)\s?[:\n]|\Aassistant(?=[A-Z])|\Afinal(?=[A-Z])|(?<=[.!?])assistant(?=\Z|[A-Z\n])"
    r"|\{\{?\s*[a-z_]{2,30}\s*\}?\}|\[\[\s*[a-z_]{2,30}\s*\]\]|(?<![a-zA-Z])(?:im_start|im_end|eot_id|endoftext"
    r"|end_of_turn|start_of_turn|end_header_id)(?![a-z])"
    r"|\b(?:addCriterion|SolidGoldMagikarp|cjangulum|o1-mini)\b|(?:V?QA|CAPTION|OCR|OD)>|</s|<s>"
)
_LOST = re.compile(r"<(?:unk|mask)>|\[(?:UNK|MASK)\]|\[\s?unused\s?\d{1,4}\s?\]|<unused\d{1,4}>")  # lost words
# Behind one of these a model begins another turn; what stands in front of it is whole.
_END_OF_TURN = re.compile(
    r"<\s?[|｜]\s?(?:/?im_(?:end|start)|end(?:of(?:text|chunk))?|endoftext|eot(?:_id)?|end_of_(?:text|turn|sentence"
    r"|utterance)|eom_id"
    r"|end▁of▁sentence|return|start|user|assistant|system|end_of_text|start_header_id|END_OF_TURN_TOKEN"
    r"|END_RESPONSE)\s?[|｜]?\s?>"
    r"|</?s>|<(?:eos|eot|eod|end_of_(?:turn|text|utterance)|start_of_turn|EOI|EOT)>|\[/?(?:INST|EOS|EOT|EOD|EOF|END)\]"
    r"|\[(?:END)[ _A-Z]{1,40}\]|\((?:end of [a-z]{4,12})\)|\[\s?end(?: of [a-z]{4,12})?\s?\]|###\s*\w{2,14}:?"
    r"|\b(?:USER|ASSISTANT|SYSTEM|HUMAN)\s?:"
    r"|(?:User|Assistant|Human|System|Question|AI|Bot|Model|Q|A)\s?:|assistant\Z|(?:im_end|im_start|endoftext|eot_id"
    r"|end_of_turn|start_of_turn)\Z"
)
_ARAFED = re.compile(r"\bara+f+(?:ed|e|es|fe|ffes|feated|y)\b\s?", re.IGNORECASE)  # BLIP's word for nothing

_NUMBER = r"-?\d{1,4}(?:\.\d{1,8})?%?"
_LARGE = r"(?:\d{2,4}(?:\.\d{1,8})?|[01]?\.\d{1,8}|0)%?"
_LABELLED = (
    r"(?:(?:bbox|box|[xy][0-9]?|[xy]_?(?:min|max|center|left|right)|left|top|right|bottom|width|height|w|h)\s?[=:]\s?)"
)
_POINT = r"\(\s?(?:\d{2,4}(?:\.\d{1,8})?|[01]?\.\d{2,8})\s?,\s?(?:\d{2,4}(?:\.\d{1,8})?|[01]?\.\d{2,8})\s?\)"
_PAIRED = re.compile(
    r"<(box|quad|bbox|poly|polygon|points?|coords?|coordinates?|det|loc|location|seg|mask"
    r"|region)\b[^<>]{0,200}>[^<>a-zA-Z]{0,300}</\1>"
    r"|<\|(box|quad|det|point|poly|bbox)(?:_start)?\|>[^<>a-zA-Z]{0,300}<\|(?:/\2|\2_end)\|>"
)
_GROUND_TAG = re.compile(
    r"</?(?:ref|box|quad|bbox|poly|polygon|points?|phrase|object|obj|grounding|delim|delimiter_of_multi_objects"
    r"|region|loc|seg|patch|det|coords?"
    r"|entity|grounded_\w{2,12})\d{0,4}(?:\s[^<>]{0,300})?/?>|<\|/?(?:object_(?:ref|def)|box|quad|ref|det|grounding"
    r"|point|poly|bbox|region)\w{0,12}\|?>"
    r"|<(?:loc|seg|bin|pos|coord|patch_index|x|y|region|obj|mask|vp|quant)_?\d{1,5}>"
    r"|\{?(?:<\d{1,4}(?:\s?,\s?\d{1,4}){0,7}>){1,8}\}?",
    re.IGNORECASE,
)
_BARE_BOX = re.compile(
    rf"\s?\[\s?\[?\s?\(?{_LABELLED}?{_NUMBER}(?:\s?,\s?{_LABELLED}?{_NUMBER}){{3}}\s?\)?\s?(?:\]?\s?[,;]\s?\[?\(?\s?{_NUMBER}(?:\s?,\s?{_NUMBER}){{3}}\)?\s?){{0,20}}\]?\s?\]"
    rf"|\s?[\[(]?{_POINT}\s?(?:,|-|to|;)?\s?{_POINT}(?:\s?,?\s?{_POINT}){{0,6}}[\])]?"
    rf"|\s?\[\s?\[\s?{_NUMBER}\s?,\s?{_NUMBER}\s?\](?:\s?,\s?\[\s?{_NUMBER}\s?,\s?{_NUMBER}\s?\]){{0,20}}\s?\]"
    rf"|\s?\(\s?\d{{3,4}}\s?,\s?\d{{3,4}}\s?\)|\s?\[\s?\d{{2,4}}(?:\s+\d{{2,4}}){{3}}\s?\]"
    rf"|\s?\(\s?{_LABELLED}?{_LARGE}(?:\s?[,;]\s?{_LABELLED}?{_LARGE}){{3}}\s?\)"
    rf"|\s?[\[({{]\s?{_LABELLED}\s?{_NUMBER}(?:\s?,\s?{_LABELLED}\s?{_NUMBER}){{1,5}}\s?[\])}}]"
    rf"|\s?\[\s?x_?1\s?,\s?y_?1\s?,\s?x_?2\s?,\s?y_?2\s?\]"
    r"|\s?\(\s?0?\.\d{2,8}\s?,\s?0?\.\d{2,8}\s?\)|\s?\[\s?(?:\d{2,4}|0?\.\d{2,8})\s?,\s?(?:\d{2,4}|0?\.\d{2,8})\s?\]"
    rf"|\s?\[\[\s?{_NUMBER}(?:\s?,?\s?{_NUMBER}){{1,7}}\s?\]\]|\s?[\[(](?:bbox|box|point|coordinates?|coords?"
    rf"|loc)\s?[=:]?\s?[\[(]?{_NUMBER}(?:\s?,\s?{_NUMBER}){{1,7}}[\])]{{1,2}}"
)
_CITATION = re.compile(
    r"\s?【[^】\n]{0,60}】|\s?\[\d{1,2}(?:,\s?\d{1,2}){0,3}\](?=[\s.,;\[]|\Z)|\s?\[\^\d{1,3}\]"
    r"|\s?:contentReference\[\S{0,60}\]\{[^}]{0,60}\}"
)
_GROUND_WORD = re.compile(
    r"\b(?:bbox_2d|point_2d|bounding box(?:es)?(?: (?:at|of|is|are|coordinates))|bbox)\b|\"(?:label|bbox|box)\"\s?:",
    re.IGNORECASE,
)
_NEEDS_MORE = re.compile(
    r"(?:\b(?:at|in|from|to|of|by|near|around|between|with|is|are|coordinates?|positions?|locations?|points?|pixels?"
    r"|boxe?s?|bbox|region)|[=:@])\s*\Z",
    re.IGNORECASE,
)
_ROOM = re.compile(r"[ \t]{2,}")
_BEFORE_STOP = re.compile(r"[ \t]+(?=[.,;:!?](?:\s|\Z))")
_SIGNS = frozenset("<>[]{}|#◁▷:【＜⟨〈《\\")
_WORDS = (
    "assistant",
    "analysis",
    "im_end",
    "im_start",
    "endoftext",
    "eot_id",
    "_of_turn",
    "addCriterion",
    "araf",
    "arraf",
    "o1-mini",
    "SolidGold",
    "cjangulum",
    "Araf",
    "bbox",
    "bounding box",
)
_BEFORE_TEXT = re.compile(r"\s*(?:final[A-Z]|(?:model|bot|commentary|thought)\s?[\nA-Z])")
_PARENTHESIS = re.compile(r"\(\s?(?:[\d.]|end|cont|[xy])")


def strip_tokens(text: str) -> tuple[str, list[Finding]]:
    """The text without what belongs to the model's format; a finding rejects where no whole caption is left.

    Taken off without loss: closed thinking, tokens at either end and all behind an end of turn, boxes that
    no word leans on. An unclosed thought, or another token in the middle, rejects.
    """
    if not _may_hold(text):
        return text, []
    found: list[Finding] = []
    before = text
    for step in (_thinking, _channels, _answer, _boxes, _template):
        text = step(text, found)
        if found and found[-1].rejects:
            return text.strip(), found
    if text != before and found:
        text = _BEFORE_STOP.sub("", _ROOM.sub(" ", text)).strip()
    return text, found


def _may_hold(text: str) -> bool:
    """A quick look that most captions pass by."""
    if not _SIGNS.isdisjoint(text) or any(w in text for w in _WORDS) or _BEFORE_TEXT.match(text) is not None:
        return True
    return "(" in text and _PARENTHESIS.search(text) is not None


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(iter(deque(pattern.finditer(text), maxlen=1)), None)


def _note(found: list[Finding], passage: str, *, rejects: bool = False) -> None:
    found.append(Finding(Reason.MARKUP, passage.strip()[:60], rejects))


def _thinking(text: str, found: list[Finding]) -> str:
    closed = _last(_CLOSED, text)
    if closed is not None:
        opened = _OPENED.search(text, 0, closed.start())
        rest = text[closed.end() :]
        lost = opened is not None and len(text[: opened.start()].split()) > _FEW
        _note(found, closed[0], rejects=lost or not rest.strip())
        if found[-1].rejects:
            return text
        text = rest
    if (opened := _OPENED.search(text)) is not None:
        _note(found, f"thinking that does not end: {opened[0]}", rejects=True)
    return text


def _channels(text: str, found: list[Finding]) -> str:
    final = _last(_FINAL, text)
    if final is not None and text[final.end() :].strip():
        _note(found, final[0])
        text = text[final.end() :]
    if (channel := _CHANNEL.search(text)) is not None:
        _note(found, f"another channel: {channel[0]}", rejects=True)
    return text


def _answer(text: str, found: list[Finding]) -> str:
    """What stands between the marks of an answer; two different answers reject."""
    if (boxed := _BOXED.match(text) if "\\boxed{" in text else None) is not None:
        _note(found, "\\boxed")
        return boxed[1]
    opened: dict[str, int] = {}
    answers: list[str] = []
    for mark in _ANSWER_MARK.finditer(text):
        name = (mark["opened"] or mark["closed"] or mark["apriel"]).lower()
        if mark["opened"] or mark[0].startswith("[BEGIN"):
            opened[name] = mark.end()
        elif name in opened:
            answers.append(text[opened.pop(name) : mark.start()])
    answers = [a for a in answers if re.search(r"[^\W\d]{2}", a)]
    if not answers:
        return text
    _note(found, f"answer: {answers[-1].strip()}", rejects=len({" ".join(a.split()) for a in answers}) > 1)
    return text if found[-1].rejects else answers[-1]


def _boxes(text: str, found: list[Finding]) -> str:
    for pattern in (_PAIRED, _GROUND_TAG):
        text = _removed(pattern, text, text, found)
        if found and found[-1].rejects:
            return text
    for pattern in (_BARE_BOX, _CITATION):
        text = _removed(pattern, text, without_quotes(text), found)
        if found and found[-1].rejects:
            return text
    if (word := _GROUND_WORD.search(without_quotes(text))) is not None:
        _note(found, word[0], rejects=True)
    return text


def _removed(pattern: re.Pattern[str], text: str, where: str, found: list[Finding]) -> str:
    """The text without what matches in ``where``, which has the text's indices."""
    pieces, at = [], 0
    for match in pattern.finditer(where):
        pieces.append(text[at : match.start()])
        at = match.end()
        lean = pattern is _BARE_BOX and _NEEDS_MORE.search(where, max(0, match.start() - 20), match.start()) is not None
        if not found or found[-1].passage != match[0].strip()[:60]:
            _note(found, match[0], rejects=lean)
        if lean:
            return text
    return "".join([*pieces, text[at:]]) if at else text


def _template(text: str, found: list[Finding]) -> str:
    if (arafed := _ARAFED.search(text)) is not None:
        _note(found, arafed[0])
        text = _ARAFED.sub("", text)
    if (lost := _LOST.search(text)) is not None:
        _note(found, lost[0], rejects=True)
        return text
    text = text.strip()
    while (token := _TOKEN.match(text)) is not None:
        _note(found, token[0])
        text = text[token.end() :].lstrip(" :\n")
    tokens = list(_TOKEN.finditer(text))
    while tokens and tokens[-1].end() == len(text):
        last = tokens.pop()
        _note(found, last[0])
        text = text[: last.start()].rstrip()
    for token in tokens:
        kept = text[: token.start()].rstrip()
        ends = sentence_ends(kept)
        if _END_OF_TURN.match(token[0].lstrip()) and ends and not kept[ends[-1] :].strip() and len(kept.split()) > _FEW:
            _note(found, f"another turn: {token[0]}")
            return kept
        if token.end() <= len(text):
            _note(found, token[0], rejects=True)
            return text
    return text
