"""The verdict on one caption: repaired where nothing is lost, rejected otherwise."""

from __future__ import annotations

from dataclasses import replace

from curation.caption.check.counts import length
from curation.caption.check.draft import Draft, Verdict, scaled
from curation.caption.check.faults import by_profile, names_by_profile
from curation.caption.check.faults.boilerplate import find_filler, strip_opening
from curation.caption.check.faults.echo import find_instruction_echo, find_prompt_echo
from curation.caption.check.faults.encoding import decode
from curation.caption.check.faults.ending import find_loop, is_cut
from curation.caption.check.faults.invented import find_invented
from curation.caption.check.faults.labels import strip_labels
from curation.caption.check.faults.language import find_language, find_script, likeliest, required
from curation.caption.check.faults.markup import strip_markup
from curation.caption.check.faults.names import find_names
from curation.caption.check.faults.refusal import find_plain_refusal, find_refusal
from curation.caption.check.faults.task_talk import strip_talk
from curation.caption.check.faults.tokens import strip_tokens
from curation.caption.check.faults.wrapping import unbalanced, unwrap, unwrap_data
from curation.caption.check.finding import Finding
from curation.caption.check.sentences import sentence_ends
from curation.caption.check.tags import find_prose, mend_tags, strip_label, unwrap_list
from curation.caption.languages import profile, profiles
from curation.caption.languages.language import Language
from schemas.reasons import Reason
from schemas.refine import Check

_MOST_ROUNDS = 5  # of taking marks out of tags
_MOST_CHARACTERS = 20_000  # of a reply that is read at all; no caption is that long


def check_caption(
    text: str,
    kind: str,
    finish: str | None,
    alt_text: str,
    prompt_body: str,
    settings: Check,
    *,
    tags: bool = False,
) -> Verdict:
    """Check a model's reply for a caption of this kind.

    ``finish`` is "length" when the reply was cut at the token limit. The alt text is untrusted: names in
    it are accepted, and a caption that follows an instruction in it is rejected. ``tags`` expects
    comma-separated tags instead of prose. Raises ``RecipeError`` when the settings name an unknown language
    or script.
    """
    draft = Draft(text[:_MOST_CHARACTERS], settings.repair, language_of(text, settings.language))
    if len(text) > _MOST_CHARACTERS:
        draft.add(Reason.TOO_LONG, f"{len(text)} characters")
    if tags:
        draft.take(*unwrap_list(draft.text))
    _clean_text(draft)
    if not tags:
        _clean_markup(draft)
    spoken = _one_line(draft.text)
    if tags:
        _take_opening(draft, *strip_label(draft.text))
    else:
        _strip_frame(draft)
    refusal = _refusal(draft)
    if refusal is not None:
        draft.found.append(refusal)
        return draft.verdict(text, None)
    if tags:
        _mend_tags(draft, finish, alt_text, settings)
    else:
        _mend(draft, kind, finish, settings)
    if passage := find_prompt_echo(spoken, prompt_body):
        draft.add(Reason.PROMPT_ECHO, passage)
    if passage := find_instruction_echo(spoken, alt_text):
        draft.add(Reason.INSTRUCTION_ECHO, passage)
    _judge_words(draft)
    draft.judge_language(settings)
    if not tags:
        _judge_names(draft, alt_text, settings)
        _judge_filler(draft)
    draft.judge_length(kind, settings)
    return draft.verdict(text, draft.text or None)


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


def _refusal(draft: Draft) -> Finding | None:
    spoken = _one_line(draft.text)
    if draft.english:
        return find_refusal(spoken)
    found = by_profile.find_refusal(spoken, draft.language)
    if found is not None and find_language(spoken, draft.language.code):
        found = None  # "du" is the second person in German, and no person in French
    return found or find_plain_refusal(spoken)


def _clean_text(draft: Draft) -> None:
    """Remove what is not text, from the outside in: tokens, JSON, encoding faults, quotes."""
    draft.take_all(*strip_tokens(draft.text))
    draft.take(*unwrap_data(draft.text))
    before = draft.text
    draft.take_all(*decode(draft.text))
    if draft.text != before:  # "&lt;/think&gt;"
        draft.take_all(*strip_tokens(draft.text))
    if draft.repair:
        draft.text = unwrap(draft.text)


def _clean_markup(draft: Draft) -> None:
    draft.take(*strip_markup(draft.text))
    if draft.repair:
        draft.text = unwrap(draft.text)


def _strip_frame(draft: Draft) -> None:
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


def _strip_opening(draft: Draft) -> None:
    _take_opening(draft, *strip_opening(draft.text))
    if not draft.english:
        _take_opening(draft, *by_profile.strip_opening(draft.text, draft.language))


def _take_opening(draft: Draft, rest: str, opening: str) -> None:
    if opening:
        if draft.repair:
            draft.text = unwrap(rest)
        draft.add(Reason.BOILERPLATE_OPENING, opening, rejects=False)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _mend(draft: Draft, kind: str, finish: str | None, settings: Check) -> None:
    fewest = settings.fewest_words(kind)
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


def _mend_tags(draft: Draft, finish: str | None, alt_text: str, settings: Check) -> None:
    """Bring a list of tags into its form, and find what is prose."""
    if draft.text[:1].isalpha():  # a bullet or a number is no opening here
        _strip_opening(draft)
    tags, findings = mend_tags(draft.text)
    if prose := find_prose(draft.text, tags, draft.language):
        draft.add(Reason.NOT_TAGS, prose)
    if finish == "length" and len(tags) > 1:
        findings.append(Finding(Reason.CUT_OFF, tags.pop(), rejects=False))  # it may be half a tag
    spelled = ", ".join(tags)
    if not all(tag[0].isupper() for tag in tags):  # else capitals tell no name
        _judge_names(replace(draft, text=spelled), alt_text, settings)
    mended = _without_marks(spelled.lower(), findings)
    if mended != draft.text and not draft.repair and not findings:
        findings.append(Finding(Reason.NOT_TAGS, f"expected as: {mended}"))
    draft.take_all(mended, list(dict.fromkeys(findings)))


def _without_marks(tags: str, findings: list[Finding]) -> str:
    """The tags without markup. Where that leaves other marks at the end of a tag, these are taken out in turn."""
    for _ in range(_MOST_ROUNDS):
        mended, markup = strip_markup(tags)
        if markup is not None:
            findings.append(markup)
        mended = ", ".join(mend_tags(mended)[0]).lower()
        if mended == tags:
            break
        tags = mended
    return tags


def _cut_back(draft: Draft, kept: str, fewest: int, finding: Finding) -> None:
    enough = bool(kept) and length(kept, draft.language) >= scaled(max(fewest, 1), draft.language)
    whole = kept == draft.text
    if enough and (draft.repair or whole):
        draft.text = kept
        draft.add(finding.reason, finding.passage, rejects=False)
    else:
        draft.add(finding.reason, finding.passage)


def _full_sentences(text: str, language: Language) -> str:
    ends = sentence_ends(text, language)
    return text[: ends[-1]] if ends else ""


def _judge_words(draft: Draft) -> None:
    if odd := unbalanced(draft.text):
        draft.add(Reason.MARKUP, f"a quotation mark without its partner: {odd}")


def _judge_filler(draft: Draft) -> None:
    if draft.english and (filler := find_filler(draft.text)):
        draft.add(Reason.FILLER, filler, rejects=False)


def _judge_names(draft: Draft, alt_text: str, settings: Check) -> None:
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
