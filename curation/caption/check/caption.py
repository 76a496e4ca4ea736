"""The verdict on one caption: repaired where nothing is lost, rejected otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field

from curation.caption.check import clip_tokens
from curation.caption.check.counts import length
from curation.caption.check.faults import by_profile, names_by_profile
from curation.caption.check.faults.boilerplate import find_filler, strip_opening
from curation.caption.check.faults.echo import find_instruction_echo, find_prompt_echo
from curation.caption.check.faults.encoding import decode
from curation.caption.check.faults.ending import find_loop, is_cut
from curation.caption.check.faults.invented import find_invented
from curation.caption.check.faults.labels import strip_labels
from curation.caption.check.faults.language import find_language, find_own_script, find_script, likeliest, required
from curation.caption.check.faults.markup import strip_markup
from curation.caption.check.faults.names import find_names
from curation.caption.check.faults.refusal import find_plain_refusal, find_refusal
from curation.caption.check.faults.task_talk import strip_talk
from curation.caption.check.faults.tokens import strip_tokens
from curation.caption.check.faults.wrapping import unbalanced, unwrap, unwrap_data
from curation.caption.check.finding import Finding
from curation.caption.check.sentences import sentence_ends
from curation.caption.languages import profile, profiles
from curation.caption.languages.language import Language
from schemas.reasons import Reason
from schemas.refine import Check

_PASSAGE = 120  # characters of a passage that the detail quotes
_MOST_CHARACTERS = 20_000  # of a reply that is read at all; no caption is that long


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reasons`` lists all faults, also the repaired ones; ``detail`` quotes them, one line each.

    ``caption`` is the text after repairs, also of a rejected caption; None when it is a refusal or
    empty. The counts are the caption's; ``clip_tokens`` leaves start and end out.
    """

    passed: bool
    reasons: tuple[Reason, ...]
    repaired: bool
    detail: str | None
    caption: str | None
    words: int
    clip_tokens: int
    sentence_end_77: int | None


def check_caption(
    text: str, kind: str, finish: str | None, alt_text: str, prompt_body: str, settings: Check
) -> Verdict:
    """Check a model's reply for a caption of this kind.

    ``finish`` is "length" when the reply was cut at the token limit. The alt text is untrusted: names in
    it are accepted, and a caption that follows an instruction in it is rejected. Raises ``RecipeError``
    when the settings name an unknown language or script.
    """
    draft = _Draft(text[:_MOST_CHARACTERS], settings.repair, language_of(text, settings.language))
    if len(text) > _MOST_CHARACTERS:
        draft.add(Reason.TOO_LONG, f"{len(text)} characters")
    _clean(draft)
    spoken = _one_line(draft.text)
    _strip_frame(draft)
    refusal = _refusal(draft)
    if refusal is not None:
        draft.found.append(refusal)
        return _verdict(text, draft, None)
    _mend(draft, kind, finish, settings)
    if passage := find_prompt_echo(spoken, prompt_body):
        draft.add(Reason.PROMPT_ECHO, passage)
    if passage := find_instruction_echo(spoken, alt_text):
        draft.add(Reason.INSTRUCTION_ECHO, passage)
    _judge_words(draft, alt_text, settings)
    _judge_length(draft, kind, settings)
    return _verdict(text, draft, draft.text or None)


def check_settings(settings: Check) -> None:
    """Raises ``RecipeError`` when the settings name an unknown language or script."""
    find_script("é", tuple(settings.scripts))
    required(settings.language)


def language_of(text: str, wanted: str) -> Language:
    """The profile by which a text is read: of the language that a recipe wants, else of the one that it is likely in.

    Raises ``RecipeError`` for a name of no language.
    """
    if code := required(wanted):
        return profile(code)
    return profile("en" if text.isascii() else likeliest(text))


def _refusal(draft: _Draft) -> Finding | None:
    spoken = _one_line(draft.text)
    if draft.english:
        return find_refusal(spoken)
    found = by_profile.find_refusal(spoken, draft.language)
    if found is not None and find_language(spoken, draft.language.code):
        found = None  # "du" is the second person in German, and no person in French
    return found or find_plain_refusal(spoken)


@dataclass(slots=True)
class _Draft:
    text: str
    repair: bool
    language: Language
    found: list[Finding] = field(default_factory=list)

    @property
    def english(self) -> bool:
        return self.language.code == "en"

    def add(self, reason: Reason, passage: str, *, rejects: bool = True) -> None:
        self.found.append(Finding(reason, passage, rejects))

    def take(self, mended: str, finding: Finding | None) -> None:
        """Apply a repair if the recipe allows repairs; otherwise the fault rejects the caption."""
        if self.repair:
            self.text = mended
            if finding is not None:
                self.found.append(finding)
        elif finding is not None:
            self.add(finding.reason, finding.passage)

    def take_all(self, mended: str, findings: list[Finding]) -> None:
        """``take`` for a repair that several findings led to."""
        self.take(mended, None)
        for finding in findings:
            self.take(self.text, finding)


def _clean(draft: _Draft) -> None:
    """Remove what is not prose, from the outside in: tokens, JSON, encoding faults, quotes, markup."""
    draft.take_all(*strip_tokens(draft.text))
    draft.take(*unwrap_data(draft.text))
    before = draft.text
    draft.take_all(*decode(draft.text))
    if draft.text != before:  # "&lt;/think&gt;"
        draft.take_all(*strip_tokens(draft.text))
    if draft.repair:
        draft.text = unwrap(draft.text)
    draft.take(*strip_markup(draft.text))
    if draft.repair:
        draft.text = unwrap(draft.text)


def _strip_frame(draft: _Draft) -> None:
    """Remove labels, openings and talk. An opening may stand before the talk or behind it."""
    draft.take_all(*strip_labels(draft.text))
    _strip_opening(draft)
    before = draft.text
    draft.take_all(*strip_talk(draft.text))
    if draft.text != before:
        _strip_opening(draft)
    if not draft.english:
        draft.take_all(*by_profile.strip_talk(draft.text, draft.language))
    if draft.repair:
        draft.text = unwrap(_one_line(draft.text))


def _strip_opening(draft: _Draft) -> None:
    _take_opening(draft, *strip_opening(draft.text))
    if not draft.english:
        _take_opening(draft, *by_profile.strip_opening(draft.text, draft.language))


def _take_opening(draft: _Draft, rest: str, opening: str) -> None:
    if opening:
        if draft.repair:
            draft.text = unwrap(rest)
        draft.add(Reason.BOILERPLATE_OPENING, opening, rejects=False)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _mend(draft: _Draft, kind: str, finish: str | None, settings: Check) -> None:
    fewest = settings.min_words.get(kind, 0)
    loop = find_loop(draft.text, draft.language)
    if loop is not None:
        kept = "" if loop.start is None else _full_sentences(draft.text[: loop.start].rstrip(), draft.language)
        _cut_back(draft, kept, fewest, Finding(Reason.REPETITION, loop.passage))
        if draft.found[-1].rejects or draft.repair:
            return  # what is left ends at a sentence; what is not was rejected
    if is_cut(draft.text, finish, fewest, draft.language):
        kept = _full_sentences(draft.text, draft.language)
        _cut_back(
            draft, kept, fewest, Finding(Reason.CUT_OFF, draft.text[len(kept) :].strip() or "at its last sentence")
        )


def _cut_back(draft: _Draft, kept: str, fewest: int, finding: Finding) -> None:
    enough = bool(kept) and length(kept, draft.language) >= _scaled(max(fewest, 1), draft.language)
    whole = kept == draft.text
    if enough and (draft.repair or whole):
        draft.text = kept
        draft.add(finding.reason, finding.passage, rejects=False)
    else:
        draft.add(finding.reason, finding.passage)


def _full_sentences(text: str, language: Language) -> str:
    ends = sentence_ends(text, language)
    return text[: ends[-1]] if ends else ""


def _judge_words(draft: _Draft, alt_text: str, settings: Check) -> None:
    if odd := unbalanced(draft.text):
        draft.add(Reason.MARKUP, f"a quotation mark without its partner: {odd}")
    if letters := _wrong_script(draft, settings):
        draft.add(Reason.WRONG_SCRIPT, letters)
    if language := find_language(draft.text, required(settings.language)):
        draft.add(Reason.WRONG_LANGUAGE, language)
    _judge_names(draft, alt_text, settings)
    if draft.english and (filler := find_filler(draft.text)):
        draft.add(Reason.FILLER, filler, rejects=False)


def _wrong_script(draft: _Draft, settings: Check) -> str:
    own = draft.language.scripts if settings.language else ()
    accepted = (*settings.scripts, *own) if settings.scripts else ()
    return find_script(draft.text, accepted) or (find_own_script(draft.text, draft.language) if own else "")


def _judge_names(draft: _Draft, alt_text: str, settings: Check) -> None:
    if settings.names == "ignore":
        return
    invented: list[str] = []
    if draft.language.code in profiles() and not draft.english:
        names, invented = names_by_profile.find_names(draft.text, alt_text, settings.allowed_names, draft.language)
    else:
        names = find_names(draft.text, alt_text, settings.allowed_names)
        if settings.names == "reject":
            invented = find_invented(names, draft.text, " ".join([alt_text, *settings.allowed_names]))
    if settings.names != "reject":
        invented = []
    if names or invented:
        draft.add(Reason.UNKNOWN_NAME, ", ".join(dict.fromkeys([*names, *invented])), rejects=bool(invented))


def _judge_length(draft: _Draft, kind: str, settings: Check) -> None:
    language = draft.language
    count = length(draft.text, language)
    fewest = _scaled(max(settings.min_words.get(kind, 1), 1), language)
    if count < fewest:
        draft.add(Reason.TOO_SHORT, f"{count} {language.unit}, fewest {fewest}")
    if kind in settings.max_words and count > (most := _scaled(settings.max_words[kind], language)):
        draft.add(Reason.TOO_LONG, f"{count} {language.unit}, most {most}")


def _scaled(words: int, language: Language) -> int:
    """As many units of the language as say what so many English words say."""
    return max(round(words * language.per_word), min(words, 1))


def _verdict(reply: str, draft: _Draft, caption: str | None) -> Verdict:
    tokens, end = clip_tokens.measure(caption, language=draft.language) if caption is not None else (0, None)
    lines = [f"{f.reason.value}: {' '.join(f.passage.split())[:_PASSAGE]}" for f in draft.found]
    return Verdict(
        passed=caption is not None and not any(f.rejects for f in draft.found),
        reasons=tuple(dict.fromkeys(f.reason for f in draft.found)),
        repaired=caption is not None and caption != reply,
        detail="\n".join(lines) or None,
        caption=caption,
        words=length(caption or "", draft.language),
        clip_tokens=tokens,
        sentence_end_77=end,
    )
