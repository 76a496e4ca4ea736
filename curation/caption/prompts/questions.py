"""The kinds of caption that a recipe asks for, with their prompts: which may build on which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from curation.caption.model.chat import ModelIdentity
from curation.caption.prompts import TAGS, Prompt, load, row_of
from curation.core.errors import RecipeError
from curation.core.stage import setting
from schemas.chat import CaptionKind


@dataclass(frozen=True)
class Question:
    """One kind of caption that a recipe asks for, with its prompt loaded."""

    kind: str
    prompt: Prompt
    max_tokens: int
    lengths: tuple[tuple[int, float], ...] = setting((), digest=False)  # the recipe, which has them, is in the digest
    model: ModelIdentity | None = setting(None, digest=True, later=True)  # None is the model of ``caption``


def resolve(kinds: Iterable[CaptionKind]) -> tuple[Question, ...]:
    """The recipe's kinds with their prompts loaded, in order.

    Raises ``RecipeError`` where a prompt includes the caption of a kind that does not come before it.
    """
    questions: list[Question] = []
    for kind in kinds:
        prompt = load(kind.prompt)
        for found, placeholder, owner in (
            (prompt.about, f"{{{prompt.about}}}", "a prompt of verify"),
            (prompt.about_brief, "{brief}", "prompts of flows.dense_prompts"),
            (prompt.asks_beyond, "{side} or {count}", "the prompt of imagine"),
        ):
            if found:
                raise RecipeError(
                    f"caption.kinds: the prompt {kind.prompt!r} of {kind.kind!r} has {placeholder}, which only {owner} "
                    "may have; name one that asks for a caption"
                )
        earlier = [q.kind for q in questions]
        for needed in prompt.needs:
            if not row_of(needed, earlier):
                raise RecipeError(
                    f"caption.kinds: {kind.kind!r} includes {{caption:{needed}}}, which is not among the kinds before "
                    f"it {earlier}; put {needed!r} first"
                )
        questions.append(Question(kind.kind, prompt, kind.max_tokens))
    return tuple(questions)


def tag_kinds(kinds: Iterable[CaptionKind]) -> tuple[str, ...]:
    """The names of the kinds whose prompts ask for tags, sorted. Raises ``RecipeError`` for a missing prompt."""
    return tuple(sorted(kind.kind for kind in kinds if load(kind.prompt).form == TAGS))
