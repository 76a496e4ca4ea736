"""Prompts in the forms of other evaluation sets, each as the set's own scorer reads it.

    exports/dpg_bench/prompts/<item_id>.txt, dpg_bench.csv   DPG-Bench (ELLA, arXiv 2403.05135)
    exports/dsg/dsg.csv                                      DSG (arXiv 2310.18235)
    exports/geneval2/geneval2_data.jsonl                     GenEval 2 (facebookresearch/GenEval2)
    exports/tifa/text_inputs.json, question_answers.json     TIFA v1.0 (arXiv 2303.11897)
    exports/t2i_compbench/<category>_val.txt                 T2I-CompBench (arXiv 2307.06350)

What these scorers ask of a file, as their public code has it, stands beside what follows from it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from curation.dense_prompts.questions import as_yes_no
from curation.dense_prompts.release_stage import Item
from schemas.questions import NUMBERS, Question

FOLDER = "exports"
Files = dict[str, bytes]
_HEADER = (
    *("item_id", "text", "keywords", "proposition_id", "dependency"),
    *("category_broad", "category_detailed", "tuple", "question_natural_language"),
)
_CHOICES = 4  # of a question that is not answered by yes or no


def exports(items: Sequence[Item], formats: Iterable[str]) -> Files:
    """The files of these forms by name, relative to the release."""
    return {f"{FOLDER}/{form}/{name}": data for form in formats for name, data in _FORMS[form](items).items()}


def dpg_bench(items: Sequence[Item]) -> Files:
    """DPG-Bench. Its scorer skips the first data row, so that row stands twice; who reads both reads the same."""
    rows = [row for item in items for row in _rows(item)]
    files = {f"prompts/{item.item_id}.txt": item.prompt.encode() for item in items}
    return {**files, "dpg_bench.csv": _csv([*rows[:1], *rows])}


def dsg(items: Sequence[Item]) -> Files:
    """DSG's annotations: one row a question, an item's rows together."""
    return {"dsg.csv": _csv([row for item in items for row in _rows(item)])}


def _rows(item: Item) -> Iterator[tuple[str | int, ...]]:
    for q in item.questions:
        broad, detailed = _dsg_kind(q)
        yield (
            item.item_id,
            item.prompt,
            ", ".join(q.elements),
            q.id,
            ",".join(map(str, q.parents)) or "0",
            broad,
            detailed,
            f"{broad} - {detailed} ({', '.join(_dsg_elements(q))})",
            as_yes_no(q),
        )


def _dsg_kind(question: Question) -> tuple[str, str]:
    """DSG knows entity, attribute, relation, global and other; counts and written words are of the last kind."""
    if question.category in ("count", "text"):
        return "other", "count" if question.category == "count" else "text rendering"
    usual = {"entity": "whole", "attribute": "other", "relation": "spatial", "global": "style"}
    return question.category, question.detail or usual[question.category]


def _dsg_elements(question: Question) -> tuple[str, ...]:
    match question.category:
        case "count":
            return (*question.elements[:1], f"=={NUMBERS.index(question.answer)}")
        case "text":
            return (*question.elements[:1], f'"{question.answer}"')
        case _:
            return question.elements


def _csv(rows: Iterable[tuple[str | int, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_HEADER, *_textual(list(rows))])
    return text.getvalue().encode()


def _textual(rows: list[tuple[str | int, ...]]) -> list[tuple[str | int, ...]]:
    """The same, where no question has several parents with the first one's written twice.

    The scorers split the column of parents at commas; pandas would read a column of single numbers as numbers.
    """
    place = _HEADER.index("dependency")
    if rows and not any("," in str(row[place]) for row in rows):
        rows[0] = (*rows[0][:place], f"{rows[0][place]},{rows[0][place]}", *rows[0][place + 1 :])
    return rows


_SKILLS: Mapping[str, str] = MappingProxyType(
    {"entity": "object", "count": "count", "attribute": "attribute", "text": "attribute", "global": "attribute"}
)


def geneval2(items: Sequence[Item]) -> Files:
    """GenEval 2: counts are asked as "How many …" and answered by a word up to ten, all else by Yes.

    Its table by number of atoms knows 3 to 10 only, which most dense prompts exceed; its scores do not depend on it.
    """
    lines = []
    for item in items:
        asked = [[q.question, q.answer] if q.category == "count" else [as_yes_no(q), "Yes"] for q in item.questions]
        skills = [_skill(q) for q in item.questions]
        line = {"prompt": item.prompt, "atom_count": len(asked), "vqa_list": asked, "skills": skills}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return {"geneval2_data.jsonl": "".join(lines).encode()}


def _skill(question: Question) -> str:
    if question.category == "relation":
        return "position" if question.detail == "spatial" else "verb"
    return _SKILLS[question.category]


_ELEMENTS: Mapping[str, str] = MappingProxyType(
    {"color": "color", "material": "material", "shape": "shape", "spatial": "spatial", "action": "activity"}
)


def tifa(items: Sequence[Item]) -> Files:
    """TIFA: questions of choices, each with its element; yes and no, or for a count four numbers."""
    asked = [
        {
            "id": item.item_id,
            "caption": item.prompt,
            "question": q.question if q.category == "count" else as_yes_no(q),
            "choices": _choices(q),
            "answer": q.answer if q.category == "count" else "yes",
            "element_type": _element_type(q),
            "element": " ".join(q.elements),
        }
        for item in items
        for q in item.questions
    ]
    texts = [{"id": item.item_id, "caption": item.prompt} for item in items]
    return {"text_inputs.json": _json(texts), "question_answers.json": _json(asked)}


def _choices(question: Question) -> list[str]:
    if question.category != "count":
        return ["yes", "no"]
    number = NUMBERS.index(question.answer)
    first = min(max(1, number - 1), len(NUMBERS) - _CHOICES)
    return list(NUMBERS[first : first + _CHOICES])


def _element_type(question: Question) -> str:
    match question.category:
        case "entity":
            return "object"
        case "count":
            return "counting"
        case "attribute" | "relation":
            return _ELEMENTS.get(question.detail, "attribute" if question.category == "attribute" else "activity")
        case _:
            return "other"


def t2i_compbench(items: Sequence[Item]) -> Files:
    """T2I-CompBench: a file a category, one prompt a line.

    It names images by their prompts and cuts these at the first underscore; a prompt of ours has no line break.
    """
    categories = dict.fromkeys(sorted(item.category for item in items))
    return {
        f"{category}_val.txt": "".join(f"{i.prompt}\n" for i in items if i.category == category).encode()
        for category in categories
    }


def _json(data: object) -> bytes:
    return json.dumps(data, ensure_ascii=False, indent=1).encode() + b"\n"


_FORMS: Mapping[str, Callable[[Sequence[Item]], Files]] = MappingProxyType(
    {"dpg_bench": dpg_bench, "dsg": dsg, "geneval2": geneval2, "tifa": tifa, "t2i_compbench": t2i_compbench}
)
