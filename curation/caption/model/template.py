"""Writes requests in the chat template of a checkpoint."""

from __future__ import annotations

from typing import Any

from curation.caption.model.chat import ChatRequest


class Template:
    """A checkpoint's chat template; ``images`` says whether it places images.

    A text never spells a control token, so that no alt text can end its turn or begin another. A system text is
    written in a system turn, or before the user's text where the template has no such turn.
    """

    def __init__(self, processor: Any, tokenizer: Any, *, images: bool) -> None:
        self._processor = processor
        self._sees = images
        self._special = _control_tokens(tokenizer)
        self._system_turn = self._has_system_turn()

    def prompt(self, request: ChatRequest) -> str:
        """The request's turns as the model reads them, up to where its answer begins."""
        return self._applied(self._turns(request))

    def _applied(self, turns: list[dict[str, Any]]) -> str:
        # Templates that offer a choice are asked for an answer without thinking.
        wish = {"enable_thinking": False} if "enable_thinking" in str(self._processor.chat_template) else {}
        return str(self._processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False, **wish))

    def _has_system_turn(self) -> bool:
        """Whether the template shows a system turn to the model; some refuse it, some leave it out in silence."""
        turns = [("system", "Begin with zebra."), ("user", "Hello.")]
        try:
            return "zebra" in self._applied([{"role": r, "content": self._content(t)} for r, t in turns])
        except Exception:  # whatever a template raises
            return False

    def _turns(self, request: ChatRequest) -> list[dict[str, Any]]:
        turns = [("user", request.user)]
        if request.system and self._system_turn:
            turns.insert(0, ("system", request.system))
        elif request.system:
            turns = [("user", f"{request.system}\n\n{request.user}")]
        if request.correction is not None:
            turns += [("assistant", request.correction.said), ("user", request.correction.message)]
        made = [{"role": role, "content": self._content(self._defused(text))} for role, text in turns]
        if request.image is not None:
            next(t for t in made if t["role"] == "user")["content"].insert(0, {"type": "image"})
        return made

    def _content(self, text: str) -> Any:
        """Parts for templates that place images; plain text for all others, many of which know nothing else."""
        return [{"type": "text", "text": text}] if self._sees else text

    def _defused(self, text: str) -> str:
        """The text without this tokenizer's control tokens, which it would take for the template's own."""
        for token in self._special:
            if token in text:
                text = text.replace(token, f"{token[:1]} {token[1:]}" if len(token) > 1 else " ")
        return text


def _control_tokens(tokenizer: Any) -> list[str]:
    """All tokens that a text must not spell, longest first."""
    added = [str(t) for t in getattr(tokenizer, "added_tokens_decoder", {}).values() if t.special]
    return sorted({*map(str, tokenizer.all_special_tokens), *added}, key=lambda t: (-len(t), t))
