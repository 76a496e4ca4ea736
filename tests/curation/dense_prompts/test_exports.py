"""Each export is read back as the scorer of its evaluation set reads it, and gives the prompts' questions again."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest

from curation.demo.prompt_writer import scene_of, write
from curation.dense_prompts.exports import FOLDER, exports
from curation.dense_prompts.questions import as_yes_no, read_questions
from curation.dense_prompts.release_stage import Item
from schemas.prompt_records import DensePromptReply
from schemas.questions import NUMBERS, Question

FORMS = ("dpg_bench", "dsg", "geneval2", "tifa", "t2i_compbench")


def item(category: str, number: int) -> Item:
    reply = DensePromptReply.model_validate(write(scene_of(category, number)))
    questions = read_questions(reply.prompt, reply.questions, 1)
    assert not isinstance(questions, str)
    return Item(f"{category}_{number:x}", category, reply.prompt, questions)


HOSTILE = Item(
    "people_e1",
    "people",
    'NA, "quoted", null; a man\'s hat — 5 × "NaN" …',
    (
        Question(1, (), "entity", "whole", ("hat",), 'Is there a "hat", NA?'),
        Question(2, (1,), "relation", "action", ("hat", "man", "carry"), "Does it carry, or not?"),
        Question(3, (1, 2), "text", "", ("hat",), "What?", "NaN"),
        Question(4, (), "global", "style", ("photograph",), "Is it a photograph?"),
        Question(5, (1,), "count", "", ("hats",), "How many hats are there?", "ten"),
    ),
)
ITEMS = [*(item(c, n) for c in ("things", "counts", "relations", "text") for n in range(3)), HOSTILE]
# One question has several parents in none of these: a reader could take the column of parents for numbers.
FLAT = [Item(f"a_{n:x}", "a", f"{n} hats", (HOSTILE.questions[0], HOSTILE.questions[4])) for n in range(3)]


def files(items: list[Item], form: str) -> dict[str, bytes]:
    found = exports(items, [form])
    return {name.removeprefix(f"{FOLDER}/{form}/"): data for name, data in found.items()}


def dpg_questions(data: bytes) -> dict[str, dict[str, dict[int, Any]]]:
    """As ELLA's compute_dpg_bench.py: pandas, the first data row skipped, an item's rows in one piece."""
    found: dict[str, dict[str, dict[int, Any]]] = {}
    previous = ""
    for number, line in pd.read_csv(io.BytesIO(data)).iterrows():
        if number == 0:
            continue
        parents = [int(d.strip()) for d in line.dependency.split(",")]
        number_in_item = int(line.proposition_id)
        if line.item_id != previous:
            found[line.item_id] = {"tuple": {}, "dependency": {}, "question": {}}
        found[line.item_id]["tuple"][number_in_item] = line.tuple
        found[line.item_id]["dependency"][number_in_item] = parents
        found[line.item_id]["question"][number_in_item] = line.question_natural_language
        previous = line.item_id
    return found


def expected_parents(question: Question) -> list[int]:
    return list(question.parents) or [0]


@pytest.mark.parametrize("items", [ITEMS, FLAT, ITEMS[:1]], ids=["many", "flat", "one"])
def test_dpg_bench_gets_every_question_though_its_scorer_skips_a_row(items: list[Item]) -> None:
    made = files(items, "dpg_bench")
    read = dpg_questions(made["dpg_bench.csv"])
    assert list(read) == [i.item_id for i in items]
    for one in items:
        # Scores are found by the name of an image's file before its first dot.
        assert f"{one.item_id}.png".split(".")[0] == one.item_id
        assert made[f"prompts/{one.item_id}.txt"].decode() == one.prompt
        found = read[one.item_id]
        assert found["question"] == {q.id: as_yes_no(q) for q in one.questions}
        assert {k: set(v) for k, v in found["dependency"].items()} == {
            q.id: set(expected_parents(q)) for q in one.questions
        }
        scores = dict.fromkeys(found["question"], 1.0)
        assert all(parent == 0 or parent in scores for v in found["dependency"].values() for parent in v)
    kinds = {t.split("(")[0].strip() for found in read.values() for t in found["tuple"].values()}
    assert {k.split("-")[0].strip() for k in kinds} <= {"entity", "attribute", "relation", "global", "other"}


@pytest.mark.parametrize("items", [ITEMS, FLAT], ids=["many", "flat"])
def test_dsg_reads_tuples_questions_and_parents(items: list[Item]) -> None:
    """As DSG's data_utils.py and parse_utils.py."""
    table = pd.read_csv(io.BytesIO(files(items, "dsg")["dsg.csv"]))
    assert list(table.columns)[:5] == ["item_id", "text", "keywords", "proposition_id", "dependency"]
    for one in items:
        rows = table[table.item_id == one.item_id]
        assert len(rows) == len(one.questions) and set(rows.text) == {one.prompt}
        for (_, row), q in zip(rows.iterrows(), one.questions, strict=True):
            assert row["proposition_id"] == q.id and row["question_natural_language"] == as_yes_no(q)
            assert isinstance(row["dependency"], str)
            assert {int(x.strip()) for x in row["dependency"].split(",")} == set(expected_parents(q))
            broad = row["tuple"].strip().split("(")[0].split(" - ")
            assert [broad[0], broad[1].strip()] == [row["category_broad"], row["category_detailed"]]
            assert any(kind in row["tuple"] for kind in ("entity", "attribute", "other", "relation", "global"))


def test_geneval2_asks_counts_by_words_and_all_else_by_yes() -> None:
    """As evaluation.py and soft_tifa_analysis.py."""
    lines = [json.loads(line) for line in files(ITEMS, "geneval2")["geneval2_data.jsonl"].splitlines()]
    assert [line["prompt"] for line in lines] == [i.prompt for i in ITEMS]
    assert len({line["prompt"] for line in lines}) == len(lines)  # images are found by the prompt
    counted = 0
    for line, one in zip(lines, ITEMS, strict=True):
        assert line["atom_count"] == len(line["vqa_list"]) == len(line["skills"]) == len(one.questions)
        assert set(line["skills"]) <= {"object", "count", "position", "verb", "attribute"}
        for (question, answer), skill in zip(line["vqa_list"], line["skills"], strict=True):
            if question.startswith("How many"):
                counted += 1
                assert answer in NUMBERS[1:] and skill == "count"
            else:
                assert answer == "Yes" and skill != "count"
    assert counted >= 3


def test_tifa_finds_each_answer_among_its_choices() -> None:
    """As tifa_score.py: questions are kept apart by their text within a caption's id."""
    made = files(ITEMS, "tifa")
    asked = json.loads(made["question_answers.json"])
    images = {str(t["id"]): "x.png" for t in json.loads(made["text_inputs.json"])}
    logs: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for pair in asked:
        assert images[str(pair["id"])] and pair["answer"] in pair["choices"]
        assert len(set(pair["choices"])) == len(pair["choices"]) in (2, 4)
        logs[pair["id"]][pair["question"]] = pair["element_type"]
    assert {name: len(found) for name, found in logs.items()} == {i.item_id: len(i.questions) for i in ITEMS}
    kinds = {kind for found in logs.values() for kind in found.values()}
    assert kinds >= {"object", "color", "counting", "spatial", "activity", "other"}


def test_t2i_compbench_reads_a_prompt_a_line_and_finds_it_in_the_name_of_an_image() -> None:
    made = files(ITEMS, "t2i_compbench")
    of: Mapping[str, list[str]] = {
        name: [i.prompt for i in ITEMS if i.category == name] for name in dict.fromkeys(i.category for i in ITEMS)
    }
    assert {name: data.decode().splitlines() for name, data in made.items()} == {
        f"{name}_val.txt": found for name, found in of.items()
    }
    for prompts in of.values():
        assert all(f"{prompt}_000000.png".split("_")[0] == prompt for prompt in prompts)


@pytest.mark.parametrize("form", FORMS)
def test_the_same_prompts_give_the_same_bytes_and_no_prompts_no_line_of_any(form: str) -> None:
    assert exports(ITEMS, [form]) == exports(list(ITEMS), [form])
    assert all(name.startswith(f"{FOLDER}/{form}/") for name in exports(ITEMS, [form]))
