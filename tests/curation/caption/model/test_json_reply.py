"""JSON is read wherever a reply has it, and never guessed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, RootModel

from curation.caption.model import json_reply
from curation.caption.model.json_reply import NotReadableError, read_json
from curation.caption.model.thinking import without_thinking


class Answer(BaseModel):
    """What the reply must be."""

    model_config = ConfigDict(extra="forbid")

    words: list[str]


class Listed(RootModel[list[str]]):
    """An array as a reply."""


GOOD = '{"words": ["a", "b"]}'
THOUGHTS = "The caption names {Paris} and [Rome], so perhaps a list."

# Each has one answer, GOOD.
READ = {
    "bare": GOOD,
    "blanks": f"\n\n  {GOOD}\n",
    "fence": f"```json\n{GOOD}\n```",
    "fence of another name": f"```JSON5\n{GOOD}\n```",
    "fence without name": f"```\n{GOOD}\n```",
    "fence on one line": f"```json {GOOD}```",
    "fence of tildes": f"~~~json\n{GOOD}\n~~~",
    "fence that never ends": f"```json\n{GOOD}",
    "prose before": f"Sure! Here is the JSON you asked for:\n\n{GOOD}",
    "prose before a fence": f"Here you go:\n```json\n{GOOD}\n```",
    "note behind": f"{GOOD}\n\nNote: the second word is uncertain.",
    "note with brackets behind": f"{GOOD}\n(see [1] and {{this}})",
    "explanation behind a fence": f"```json\n{GOOD}\n```\nI chose these because they are names.",
    "byte order mark": "\ufeff" + GOOD,
    "stray braces in prose before": f"The set {{a, b}} and the list [c are in the caption. {GOOD}",
    "an object of another kind before": '{"thought": "two words"}' + GOOD,
    "the same twice": f"{GOOD}\n\nFinal answer:\n{GOOD}",
    "the same in another spelling": f"{GOOD} = " + '{"words":["a","b"]}',
    "an example that does not fit": f"Not like {{\"words\": 1}} but {GOOD}",
    "plain prose thinking": f"Let me think. {THOUGHTS} Yes.\n\n{GOOD}",
    "quotes in prose": f'The caption says "hello {{" there. {GOOD}',
    "think": f"<think>{THOUGHTS}</think>{GOOD}",
    "think, then a fence": f"<think>\n{THOUGHTS}\n</think>\n```json\n{GOOD}\n```",
    "think with a draft": f'<think>maybe {{"words": []}}</think>\n{GOOD}',
    "end of think alone": f'maybe {{"words": []}}\n</think>\n\n{GOOD}',
    "two thoughts": f'<think>a {{"words": []}}</think><think>b</think>{GOOD}',
    "thinking": f'<thinking>{{"words": []}}</thinking>{GOOD}',
    "thought": f'<thought>{{"words": []}}</thought>{GOOD}',
    "reasoning": f'<reasoning>{{"words": []}}</reasoning>{GOOD}',
    "reflection": f'<reflection>{{"words": []}}</reflection>{GOOD}',
    "capitals": f'<THINK>{{"words": []}}</THINK>{GOOD}',
    "seed": f'<seed:think>{{"words": []}}</seed:think>{GOOD}',
    "longcat": f'<longcat_think>{{"words": []}}</longcat_think>{GOOD}',
    "magistral": f'[THINK]{{"words": []}}[/THINK]{GOOD}',
    "kimi": f'◁think▷{{"words": []}}◁/think▷{GOOD}',
    "open thoughts": f'<|begin_of_thought|>{{"words": []}}<|end_of_thought|>{GOOD}',
    "command": f'<|START_THINKING|>{{"words": []}}<|END_THINKING|><|START_RESPONSE|>{GOOD}<|END_RESPONSE|>',
    "gemma": f'<|channel>thought\n{{"words": []}}<channel|>{GOOD}',
    "medgemma": f'<unused94>thought {{"words": []}}<unused95>{GOOD}',
    "gpt-oss": '<|channel|>analysis<|message|>{"words": []}<|end|><|start|>assistant<|channel|>final<|message|>' + GOOD,
    "gpt-oss constrained": '<|channel|>analysis<|message|>x<|end|><|channel|>final <|constrain|>json<|message|>' + GOOD,
    "glm box": f"<think>x</think><|begin_of_box|>{GOOD}<|end_of_box|>",
    "answer tags": f"<think>x</think><answer>{GOOD}</answer>",
}  # fmt: skip

# None of them is an answer.
NOT_READ = {
    "nothing": "I cannot help with that.",
    "cut": '{"words": ["a", "b"',
    "cut in a fence": '```json\n{"words": ["a",',
    "two different": f'{GOOD} or {{"words": []}}',
    "a draft in plain prose": f'Perhaps {{"words": []}}. No: {GOOD}',
    "thinking that never ends": f"<think>{THOUGHTS} {GOOD}",
    "an answer inside of the thinking only": f"<think>{GOOD}</think>",
    "another type": '{"words": "a"}',
    "one key too many": '{"words": [], "note": "x"}',
    "inside of another object": f'{{"result": {GOOD}}}',
    "not a number": '{"words": [NaN]}',
    "single quotes": "{'words': ['a']}",
    "comma at the end": '{"words": ["a",]}',
    "deep": "[" * 100_000 + GOOD,
}  # fmt: skip


@pytest.mark.parametrize("text", READ.values(), ids=READ.keys())
def test_the_one_json_value_of_a_reply_is_read(text: str) -> None:
    assert json.loads(read_json(text, Answer)) == json.loads(GOOD)
    assert read_json(read_json(text, Answer), Answer) == read_json(text, Answer)


@pytest.mark.parametrize("text", NOT_READ.values(), ids=NOT_READ.keys())
def test_what_is_no_answer_or_not_clear_is_not_guessed(text: str) -> None:
    with pytest.raises(NotReadableError):
        read_json(text, Answer)


def test_a_bare_reply_stays_as_it_is_to_the_byte() -> None:
    for text in (GOOD, ' {"words" :[ ]}\n', '{"words": ["</think>", "```", "<think>"]}'):
        assert read_json(text, Answer) == text


def test_line_ends_inside_of_strings_are_read() -> None:
    assert Answer.model_validate_json(read_json('```\n{"words": ["a\nb\tc"]}\n```', Answer)).words == ["a\nb\tc"]


def test_arrays_are_read_where_an_array_was_asked_for() -> None:
    assert json.loads(read_json('Here: ["a", "b"] (two words)', Listed)) == ["a", "b"]


@given(st.lists(st.text(max_size=12), max_size=4), st.text(alphabet='ab {}[]"\\\n:,<>/', max_size=60))
def test_whatever_stands_before_it_an_answer_is_read_right_or_not_at_all(words: list[str], before: str) -> None:
    try:
        found = read_json(before + json.dumps({"words": words}), Answer)
    except NotReadableError:
        return
    assert Answer.model_validate_json(found).words == words


@pytest.mark.parametrize("piece", ["{", "[", '{"a":', '[{"', '["', "{}", "[1]", '{"a"', "<think>", "</think>"])
def test_the_work_grows_with_the_length_and_not_with_its_square(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[int] = []

    class Counting(json.JSONDecoder):
        def raw_decode(self, s: str, idx: int = 0) -> tuple[Any, int]:
            attempts.append(idx)
            return super().raw_decode(s, idx)

    monkeypatch.setattr(json_reply, "_DECODER", Counting())
    with pytest.raises(NotReadableError):
        read_json(piece * (200_000 // len(piece)), Answer)
    assert len(attempts) <= json_reply._ATTEMPTS


def test_thinking_is_what_stands_before_its_last_end_or_behind_a_begin_without_end() -> None:
    assert without_thinking("a<think>b</think>c</think>d") == "d"
    assert without_thinking("a<think>b") == "a"
    assert without_thinking("a < think b") == "a < think b"
