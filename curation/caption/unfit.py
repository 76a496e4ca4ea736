"""The reasons for which the check rejects a caption, with a line of help each."""

from __future__ import annotations

from schemas.reasons import Reason

UNFIT: dict[str, str] = {
    Reason.REFUSAL: "the model refuses to describe the image",
    Reason.CUT_OFF: "the caption ends in the middle of a sentence",
    Reason.REPETITION: "the caption repeats itself",
    Reason.PROMPT_ECHO: "the caption repeats the prompt",
    Reason.INSTRUCTION_ECHO: "the caption repeats or follows an instruction in the alt text",
    Reason.TOO_SHORT: "fewer words than check.min_words",
    Reason.TOO_LONG: "more words than check.max_words",
    Reason.WRONG_LANGUAGE: "another language than check.language",
    Reason.WRONG_SCRIPT: "letters of a script that check.scripts does not name",
    Reason.UNKNOWN_NAME: "an invented name of a person or place (check.names)",
    Reason.MARKUP: "markup, code or model tokens in the caption",
    Reason.CONTROL_CHARACTERS: "control characters or broken encoding in the caption",
    Reason.TASK_TALK: "the caption talks about the task instead of the image",
    Reason.NOT_TAGS: "prose where the prompt asks for tags, or a tag of more than five words",
}
