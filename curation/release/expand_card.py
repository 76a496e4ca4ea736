"""The card of expansion data: as any dataset card, with what is said of windows and what was imagined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb

from curation.release.card import came_from, empty_card, front_matter, limits, loading, released_as, settings
from curation.release.card_balance import balance_section
from curation.release.card_captions import captions_section
from curation.release.card_concepts import concepts_section
from curation.release.card_content import content_section
from curation.release.card_features import features_section, visual_section
from curation.release.card_reviews import reviews_section
from curation.release.card_rights import rights
from curation.release.card_scores import scores_section
from curation.release.croissant import files_of
from curation.release.face_blur import faces_section
from curation.release.facts import ReleaseFacts
from curation.release.features import annotation_types
from curation.release.funnel import kept, to_markdown, total
from curation.release.markdown import cell
from schemas.expand import GLOBAL, ExpandImages

_BY_SIDE = """
SELECT w.side, count(DISTINCT w.sample_id), count(*), count(c.caption),
    quantile_disc(w.box[3] - w.box[1], 0.1), quantile_disc(w.box[3] - w.box[1], 0.5)
FROM windows w SEMI JOIN released r USING (sample_id) JOIN window_captions c USING (sample_id, "index")
GROUP BY w.side ORDER BY w.side
"""
_JOINED = "SELECT count(*) FROM captions SEMI JOIN released USING (sample_id) WHERE kind = 'joined'"
_IMAGINED = """
SELECT coalesce(fault, 'passed') AS verdict, count(*)
FROM imagined_checks SEMI JOIN released USING (sample_id) GROUP BY verdict ORDER BY (verdict = 'passed') DESC, verdict
"""
_BY = """
SELECT model, model_revision, prompt, count(DISTINCT reply_key)
FROM imagined SEMI JOIN released USING (sample_id) GROUP BY ALL ORDER BY ALL
"""


def expand_files(
    connection: duckdb.DuckDBPyConnection, facts: ReleaseFacts, recipe: ExpandImages, parts: Sequence[object]
) -> dict[str, bytes]:
    """README.md and croissant.json of the release; ``parts`` are those of the steps that made it."""
    about = (
        f"{facts.total} pictures from {facts.origin} with square windows, a global caption, local captions of the "
        "windows and imagined captions of what may come next. README.md tells how they were made."
    )
    return files_of(expand_card(connection, facts, recipe, parts), facts, recipe.export, recipe.check.language, about)


def expand_card(
    connection: duckdb.DuckDBPyConnection, facts: ReleaseFacts, recipe: ExpandImages, parts: Sequence[object]
) -> str:
    """The whole card. It names no date, so that it changes with the data only."""
    types, image = annotation_types((GLOBAL,), parts, connection), released_as(recipe)
    tags = ("webdataset", "recaptioned", "outpainting")
    matter = front_matter(facts, recipe.export, recipe.check.language, tags, types, image)
    if not facts.total:
        return empty_card(matter, facts, recipe)
    sections = (
        matter,
        _what_it_is(facts, recipe),
        _structure(facts, recipe),
        "\n".join((*_windows(connection), *_joined(connection, recipe))),
        "\n".join(_imagined(connection, recipe)),
        "## From source to release\n\nEvery source row is counted in exactly one line.\n\n"
        + to_markdown(facts.funnel, facts.gone),
        "## Settings\n\n" + "\n".join(settings(recipe)),
        captions_section(connection, facts, recipe),
        features_section(connection, recipe.features),
        visual_section(connection, recipe.visual),
        content_section(connection, recipe.source.max_punsafe, parts),
        scores_section(connection, parts),
        balance_section(connection, parts),
        concepts_section(connection, language=recipe.check.language),
        reviews_section(connection, parts),
        faces_section(recipe.export, facts.faces),
        rights(connection, facts, recipe.download, recipe.export.license_note, recipe.signals),
        limits(facts, recipe),
        loading(facts, image, {GLOBAL: 1.0}),
        _training(recipe),
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def _what_it_is(facts: ReleaseFacts, recipe: ExpandImages) -> str:
    pixels = (
        "Each picture is stored once and whole; its windows are boxes in it"
        if recipe.export.images
        else "Images are not part of it; each sample has the address of its image, and boxes in the picture as exported"
    )
    return (
        f"# {recipe.export.name}\n\n"
        f"{facts.total} pictures from {facts.origin} for training models that continue pictures, kept from "
        f"{total(facts.funnel)} source rows ({kept(facts.funnel)} kept). {came_from(facts)}A sample is a picture "
        "with a global caption and a row of overlapping square windows, each with a local caption; what may lie "
        f"beyond the picture was imagined by a language model from these captions. {pixels}."
    )


def _structure(facts: ReleaseFacts, recipe: ExpandImages) -> str:
    image = f"`<sample_id>.{ending}`, " if (ending := released_as(recipe)) else ""
    lines = ["## Structure", "", "| split | samples | shards |", "|---|---:|---:|"]
    lines += [f"| {split} | {count} | {facts.shards[split]} |" for split, count in facts.samples.items()]
    lines += [
        "",
        f"Each shard is a tar in WebDataset form with up to {recipe.export.shard_size} samples: {image}"
        "`<sample_id>.txt` (the global caption) and `<sample_id>.json`. Its keys for expansion are",
        "",
        "| key | holds |",
        "|---|---|",
        "| `global_caption` | what the picture shows as a whole |",
        "| `windows` | those with a caption, in the direction in which the picture grows |",
        "| `windows[].side` | left, right, up or down: where the next window lies |",
        "| `windows[].box` | left, top, right, bottom in pixels of the stored picture; right and bottom exclusive |",
        "| `windows[].mask_box` | the part of the window that is to be painted |",
        "| `windows[].overlap` | pixels of the window that stay visible; the window before shows them, too |",
        "| `windows[].local_caption` | what the window shows, and nothing else |",
        "| `imagined` | captions of what no picture shows: `side` (the edge beyond which), `index` (from that edge "
        "outwards), `caption` |",
        "",
        "`metadata/` has all as Parquet (these keys as JSON in `annotations`), with each image's offset in its tar. "
        "Splits are cut by the hash of a picture's near-duplicate cluster, so that neither a picture nor its near "
        "duplicates straddle them.",
    ]
    return "\n".join(lines)


def _windows(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    yield "## Windows"
    yield ""
    yield "| side | pictures | windows | with a caption | side in pixels: p10 | median |"
    yield "|---|---:|---:|---:|---:|---:|"
    for side, *figures in connection.execute(_BY_SIDE).fetchall():
        yield f"| {side} | {' | '.join(map(str, figures))} |"


def _joined(connection: duckdb.DuckDBPyConnection, recipe: ExpandImages) -> Iterator[str]:
    (pictures,) = connection.execute(_JOINED).fetchone() or (0,)
    if recipe.parts.max_aspect and pictures:
        yield ""
        yield (
            f"The global captions of {pictures} pictures above {recipe.parts.max_aspect:g}:1 were joined from captions "
            "of overlapping parts that cover them, by a model that saw no picture (kind joined below)."
        )


def _imagined(connection: duckdb.DuckDBPyConnection, recipe: ExpandImages) -> Iterator[str]:
    yield "## Imagined captions"
    yield ""
    if not recipe.imagine.enabled:
        yield "None were asked for."
        return
    yield "| model | revision | prompt | replies |"
    yield "|---|---|---|---:|"
    for model, revision, prompt, replies in connection.execute(_BY).fetchall():
        yield f"| {cell(model)} | {cell(revision)} | {cell(prompt)} | {replies} |"
    yield ""
    yield "| verdict | captions |"
    yield "|---|---:|"
    for verdict, count in connection.execute(_IMAGINED).fetchall():
        yield f"| {verdict} | {count} |"
    asked = (
        "whether they contradict the global caption was put to the same model"
        if recipe.consistency.ask
        else "whether they contradict the global caption was not asked"
    )
    yield ""
    yield f"No picture shows what they tell: a model invented it. Only those that passed are released; {asked}."


def _training(recipe: ExpandImages) -> str:
    if not recipe.export.images:
        return "The loader of windows needs images; this release has none."
    return """```python
from curation.load.expansion import load_windows  # one window of each picture an epoch

for sample in load_windows(".", split="train", size=512, seed=0):
    sample["visible"], sample["mask"], sample["target"]  # tensors; the mask is 1 where the target is to be painted
    sample["global"], sample["local"], sample["side"], sample["imagined"]
```"""
