"""What a model thought is kept apart from what it answered, whatever its family's markers are."""

from __future__ import annotations

import pytest

from curation.caption.model.thinking import split_thinking

ANSWER = "A red circle lies on a green floor."


@pytest.mark.parametrize(
    "text",
    [
        f"<think>so, a circle</think>\n\n{ANSWER}",
        f"<think>\n\n</think>\n\n{ANSWER}",
        f"so, a circle\n</think>\n{ANSWER}",
        f"<THINK>so</THINK>{ANSWER}",
        f"<thinking>so</thinking>{ANSWER}",
        f"<thought>so</thought>{ANSWER}",
        f"<reasoning>so</reasoning>\n<answer>{ANSWER}</answer>",
        f"<reflection>so</reflection>{ANSWER}",
        f"<seed:think>so</seed:think>{ANSWER}",
        f"<longcat_think>so</longcat_think>{ANSWER}",
        f"<|begin_of_thought|>so<|end_of_thought|>\n<|begin_of_solution|>{ANSWER}<|end_of_solution|>",
        f"<|START_THINKING|>so<|END_THINKING|><|START_RESPONSE|>{ANSWER}<|END_RESPONSE|>",
        f"[THINK]so[/THINK]{ANSWER}",
        f"◁think▷so◁/think▷{ANSWER}",
        f"<unused94>thought\nso<unused95>{ANSWER}",
        f"<|channel>thought\nso<channel|>{ANSWER}",
        f"<think>so</think><|begin_of_box|>{ANSWER}<|end_of_box|>",
        f"<|begin_of_box|>{ANSWER}<|end_of_box|>",
        f"<|channel|>analysis<|message|>so<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}<|return|>",
        f"analysisThe user wants a caption.assistantfinal{ANSWER}",
        f"Here is my thought process: so.\n\nHere is my response:\n{ANSWER}",
        f"<think>one</think> half <think>two</think> {ANSWER}",
    ],
)
def test_the_answer_is_what_stands_after_the_thinking(text: str) -> None:
    found = split_thinking(text)
    assert found.answer == ANSWER and not found.unfinished


@pytest.mark.parametrize(
    "text",
    ["<think>Okay, so the", "[THINK]Okay", "◁think▷Okay", "<|channel|>analysis<|message|>Okay", "<seed:think>Okay"],
)
def test_thinking_without_an_end_leaves_no_answer(text: str) -> None:
    assert split_thinking(text).unfinished and split_thinking(text).answer == ""


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        "",
        "A sign reads <stop> and [think of it].",
        "analysis of a painting: a red circle",
        '{"entities": []}',
        "Here is a thought: a red circle.",
        "A < B, and the man thinks.",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert split_thinking(text).answer == text


def test_json_after_thinking_is_the_answer() -> None:
    assert split_thinking('<think>{"no": 1}</think>\n{"entities": []}').answer == '{"entities": []}'
