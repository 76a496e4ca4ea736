"""A caption under the check: its text after the repairs so far, and the faults found so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from curation.caption.check import clip_tokens
from curation.caption.check.counts import length
from curation.caption.check.faults.language import find_language, find_own_script, find_script, required
from curation.caption.check.finding import Finding
from curation.caption.languages.language import Language
from schemas.reasons import Reason
from schemas.refine import Check

_PASSAGE = 120  # characters of a passage that the detail quotes


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


@dataclass(slots=True)
class Draft:
    """The text of a reply while it is checked, in ``language``."""

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

    def judge_language(self, settings: Check) -> None:
        """Find letters of another script, and another language, than the recipe asks for."""
        own = self.language.scripts if settings.language else ()
        accepted = (*settings.scripts, *own) if settings.scripts else ()
        letters = find_script(self.text, accepted) or (find_own_script(self.text, self.language) if own else "")
        if letters:
            self.add(Reason.WRONG_SCRIPT, letters)
        if language := find_language(self.text, required(settings.language)):
            self.add(Reason.WRONG_LANGUAGE, language)

    def judge_length(self, kind: str, settings: Check) -> None:
        """Find a text that is shorter or longer than captions of this kind may be."""
        count = length(self.text, self.language)
        fewest, most = settings.fewest_words(kind), settings.most_words(kind)
        if count < (least := scaled(max(fewest, 1), self.language)):
            self.add(Reason.TOO_SHORT, f"{count} {self.language.unit}, fewest {least}")
        if most is not None and count > (top := scaled(most, self.language)):
            self.add(Reason.TOO_LONG, f"{count} {self.language.unit}, most {top}")

    def verdict(self, reply: str, caption: str | None) -> Verdict:
        """The verdict on this reply, of which ``caption`` is left."""
        tokens, end = clip_tokens.measure(caption, language=self.language) if caption is not None else (0, None)
        lines = [f"{f.reason.value}: {' '.join(f.passage.split())[:_PASSAGE]}" for f in self.found]
        return Verdict(
            passed=caption is not None and not any(f.rejects for f in self.found),
            reasons=tuple(dict.fromkeys(f.reason for f in self.found)),
            repaired=caption is not None and caption != reply,
            detail="\n".join(lines) or None,
            caption=caption,
            words=length(caption or "", self.language),
            clip_tokens=tokens,
            sentence_end_77=end,
        )


def scaled(words: int, language: Language) -> int:
    """As many units of the language as say what so many English words say."""
    return max(round(words * language.per_word), min(words, 1))
