"""The card of a release of dense prompts, and the forms of other evaluation sets beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from curation.dense_prompts.exports import FOLDER, exports
from curation.dense_prompts.questions import from_json
from curation.dense_prompts.release_stage import Item
from curation.release.card import SIZES, empty_card, settings
from curation.release.card_captions import lengths
from curation.release.card_concepts import PROMPTS, concepts_section
from curation.release.facts import FIGURES, CaptionFacts, ReleaseFacts, counted_splits
from curation.release.funnel import read_funnel, to_markdown, total
from curation.release.markdown import cell
from schemas.dense_prompts import DensePrompts

_ITEMS = "SELECT item_id, category, caption, questions FROM placements SEMI JOIN released USING (sample_id, shard) "
_ORDER = "ORDER BY shard, position"
_LENGTHS = f"""
SELECT 'prompt', {FIGURES} FROM placements SEMI JOIN released USING (sample_id, shard) HAVING count(*) > 0
"""  # noqa: S608  # of our own
_CATEGORIES = """
SELECT category, count(*), avg(words), avg(question_count), count(*) FILTER (made_from = 'captions')
FROM placements SEMI JOIN released USING (sample_id, shard) GROUP BY category ORDER BY category
"""
_WRITERS = """
SELECT model, model_revision, prompt, count(*)
FROM placements SEMI JOIN released USING (sample_id, shard) GROUP BY ALL ORDER BY ALL
"""
_OPENINGS = """
SELECT count(DISTINCT list_reduce(string_split(lower(caption), ' ')[1:4], lambda a, b: a || ' ' || b)), count(*)
FROM placements SEMI JOIN released USING (sample_id, shard)
"""
_FORMS = {
    "dpg_bench": (
        "DPG-Bench: `prompts/<item_id>.txt` and `dpg_bench.csv`. Its scorer skips the first data row, so that row "
        "stands twice. Images are 2x2 grids called `<item_id>.png`."
    ),
    "dsg": "DSG: `dsg.csv`, one row a question; counts and written words are of the kind `other`.",
    "geneval2": (
        "GenEval 2: `geneval2_data.jsonl`. `soft_tifa_analysis.py` knows prompts of 3 to 10 atoms only; the scores of "
        "`evaluation.py` do not depend on it."
    ),
    "tifa": "TIFA: `text_inputs.json` and `question_answers.json`.",
    "t2i_compbench": (
        "T2I-CompBench: `<category>_val.txt`, one prompt a line. Its tools name an image by its prompt; most of these "
        "prompts are longer than a file system lets names be (255 bytes), so number the images instead."
    ),
}


def prompt_facts(connection: duckdb.DuckDBPyConnection, files: Mapping[str, str]) -> ReleaseFacts:
    """Facts about a release of prompts."""
    samples, shards = counted_splits(connection)
    return ReleaseFacts(
        samples=samples,
        shards=shards,
        files=dict(sorted(files.items())),
        funnel=tuple(read_funnel(connection)),
        captions=tuple(CaptionFacts(*row) for row in connection.execute(_LENGTHS).fetchall()),
        origin="a model",
    )


def prompt_files(
    connection: duckdb.DuckDBPyConnection, facts: ReleaseFacts, recipe: DensePrompts, quotas: Mapping[str, int]
) -> dict[str, bytes]:
    """README.md and the exports of a release of dense prompts."""
    found = connection.execute(_ITEMS + _ORDER).fetchall()
    items = [Item(name, category, prompt, from_json(questions)) for name, category, prompt, questions in found]
    card = prompts_card(connection, facts, recipe, quotas, items)
    return {"README.md": card.encode(), **(exports(items, recipe.export.formats) if items else {})}


def prompts_card(
    connection: duckdb.DuckDBPyConnection,
    facts: ReleaseFacts,
    recipe: DensePrompts,
    quotas: Mapping[str, int],
    items: Sequence[Item],
) -> str:
    """The whole card. It names no date, so that it changes with the data only."""
    matter = _front_matter(facts, recipe)
    if not facts.total:
        return empty_card(matter, facts, recipe)
    sections = (
        matter,
        _what_it_is(connection, facts, recipe, items),
        _categories(connection, quotas),
        _questions(items),
        _lengths(connection, facts),
        "## From brief to release\n\nEvery brief is counted in exactly one line.\n\n" + to_markdown(facts.funnel),
        concepts_section(connection, PROMPTS),
        _clear_of(recipe),
        "## Forms\n\n" + "\n".join(f"- `{FOLDER}/{form}`: {_FORMS[form]}" for form in recipe.export.formats),
        "## Settings\n\n" + "\n".join(settings(recipe)),
        _limits(recipe),
        _LOADING,
    )
    return "\n\n".join(sections) + "\n"


def _front_matter(facts: ReleaseFacts, recipe: DensePrompts) -> str:
    from huggingface_hub import DatasetCardData  # only writing a card needs it, not asking a root

    files = [{"split": split, "path": f"data/{split}-*.parquet"} for split in facts.samples]
    data = DatasetCardData(
        pretty_name=recipe.export.name,
        license=recipe.export.license,
        language=["en"],
        task_categories=["text-to-image"],
        tags=["evaluation", "prompts", "synthetic"],
        size_categories=[next((name for limit, name in SIZES if facts.total < limit), "n>1B")],
        configs=[{"config_name": "default", "data_files": files}] if files else None,
    )
    return f"---\n{data.to_yaml()}\n---"


def _what_it_is(
    connection: duckdb.DuckDBPyConnection, facts: ReleaseFacts, recipe: DensePrompts, items: Sequence[Item]
) -> str:
    questions = sum(len(item.questions) for item in items)
    writers = ", ".join(sorted({cell(row[0]) for row in connection.execute(_WRITERS).fetchall()}))
    return (
        f"# {recipe.export.name}\n\n"
        f"{facts.total} prompts for text-to-image models, written by {writers}, with {questions} questions that take "
        f"them apart, chosen from {total(facts.funnel)} briefs. `data/` has them as Parquet: `item_id`, "
        "`category`, `prompt`, and in `questions` for each atom of the prompt its id, parents, category, detail, "
        "elements, question, answer, and where the prompt says it. A question whose parent is not answered as expected "
        "counts as failed.\n\n"
        f"{recipe.export.license_note}"
    )


def _categories(connection: duckdb.DuckDBPyConnection, quotas: Mapping[str, int]) -> str:
    rows = {row[0]: row for row in connection.execute(_CATEGORIES).fetchall()}
    lines = ["## Categories", "", "| category | prompts | quota | words | questions | from captions |"]
    lines.append("|---|---:|---:|---:|---:|---:|")
    for name in sorted({*rows, *quotas}):
        _, count, words, asked, rewritten = rows.get(name, (name, 0, 0.0, 0.0, 0))
        lines.append(f"| {name} | {count} | {quotas.get(name, 0)} | {words:.1f} | {asked:.1f} | {rewritten} |")
    lacking = sum(max(0, quota - rows[name][1] if name in rows else quota) for name, quota in quotas.items())
    if lacking:
        lines += ["", f"**{lacking} prompts lack**: the rounds of writing ended before all quotas were full."]
    return "\n".join(lines)


def _questions(items: Sequence[Item]) -> str:
    counts: dict[str, int] = {}
    for item in items:
        for question in item.questions:
            kind = f"{question.category} - {question.detail}" if question.detail else question.category
            counts[kind] = counts.get(kind, 0) + 1
    lines = ["## Questions", "", "| kind | questions |", "|---|---:|"]
    return "\n".join([*lines, *(f"| {cell(kind)} | {count} |" for kind, count in sorted(counts.items()))])


def _lengths(connection: duckdb.DuckDBPyConnection, facts: ReleaseFacts) -> str:
    (found,) = facts.captions
    openings, prompts = connection.execute(_OPENINGS).fetchone() or (0, 0)
    writers = [
        f"| {cell(model)} | {cell(revision)} | {cell(prompt)} | {count} |"
        for model, revision, prompt, count in connection.execute(_WRITERS).fetchall()
    ]
    return "\n".join(
        [
            "## Lengths and variety",
            "",
            f"{found.mean_words:.1f} words on average; from {found.p5_words} (5th percentile) over "
            f"{found.median_words} (median) to {found.p95_words} (95th percentile). {found.beyond_77:.1%} are beyond "
            f"CLIP's 77 tokens. {openings} different openings of four words in {prompts} prompts.",
            "",
            *lengths(facts),
            "",
            "| model | revision | prompt file | prompts |",
            "|---|---|---|---:|",
            *writers,
        ]
    )


def _clear_of(recipe: DensePrompts) -> str:
    kept = recipe.decontamination
    roots = ", ".join(cell(url) for url in kept.sets)
    named = f"the released texts of {roots} and of" if roots else "the released texts of"
    return (
        "## Clear of training texts\n\n"
        f"No prompt shares {kept.shared_words} consecutive words with, or has {kept.near:.0%} of its runs of three "
        f"words in, one of {named} the roots from which prompts were made, where there are any. The other way round, "
        "`decontamination.sets` of a refining recipe takes the root of these prompts, and rejects rows whose text "
        "shares words with one of them. No two prompts have a Jaccard similarity of "
        f"{recipe.check.near:g} or more by runs of three words."
    )


def _limits(recipe: DensePrompts) -> str:
    return (
        "## Known limits\n\n"
        "- Prompts and questions are written by a model. Checks judge their form and that a question's words stand in "
        "the prompt; whether a question asks all of what the prompt says is not judged.\n"
        "- Some briefs put things together that never stand together; that is meant.\n"
        "- The vocabulary of the seeds is small and European; it says nothing about how well a model shows the rest of "
        "the world."
    )


_LOADING = """## Loading

```python
import datasets

prompts = datasets.load_dataset(".", split="test")
```

`python -m flows.dense_prompts score --images FOLDER --prompts .` asks a vision-language model the questions about
generated images. `sha256sum --check SHA256SUMS` verifies the files."""
