"""The dataset card: README.md of a release, in the form that dataset hubs read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import duckdb

from curation.caption.languages import code_of
from curation.dedupe.across.removed import chance
from curation.release.card_balance import balance_section
from curation.release.card_captions import captions_section
from curation.release.card_concepts import concepts_section
from curation.release.card_content import content_section
from curation.release.card_features import features_section
from curation.release.card_reviews import reviews_section
from curation.release.card_rights import rights
from curation.release.card_scores import scores_section, top_section
from curation.release.croissant import files_of
from curation.release.face_blur import faces_section
from curation.release.facts import ReleaseFacts
from curation.release.features import Types, annotation_types, features
from curation.release.funnel import kept, to_markdown, total
from curation.release.markdown import cell, escaped
from curation.release.remedies import warnings
from schemas.anchor import BuildAnchor
from schemas.part import Part
from schemas.recipe import Dedupe, ReleaseForm
from schemas.refine import RefineLaion

SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
)
_FILES_NAMED = 3
_NAMED_ELSEWHERE = {"license", "license_note", "name"}


def refined_files(
    connection: duckdb.DuckDBPyConnection, facts: ReleaseFacts, recipe: RefineLaion, parts: Sequence[object]
) -> dict[str, bytes]:
    """README.md and croissant.json of a release of refined pairs; ``parts`` are those of the steps that made it."""
    about = (
        f"{facts.total} image-text pairs from {facts.origin} with captions by a vision-language model beside their alt "
        "texts. README.md tells how they were chosen."
    )
    card = dataset_card(connection, facts, recipe, parts)
    return files_of(card, facts, recipe.export, recipe.check.language, about)


def dataset_card(
    connection: duckdb.DuckDBPyConnection, facts: ReleaseFacts, recipe: RefineLaion, parts: Sequence[object]
) -> str:
    """The whole card: front matter, then sections. It names no date, so that it changes with the data only."""
    types = annotation_types([k.kind for k in recipe.caption.kinds], parts, connection)
    image = released_as(recipe)
    if not facts.total:
        matter = front_matter(facts, recipe.export, recipe.check.language, ("recaptioned",), types, image)
        return empty_card(matter, facts, recipe)
    sections = (
        front_matter(facts, recipe.export, recipe.check.language, ("webdataset", "recaptioned"), types, image),
        _what_it_is(facts, recipe),
        _structure(facts, recipe, own_columns="source" in types),
        "## From source to release\n\nEvery source row is counted in exactly one line.\n\n"
        + to_markdown(facts.funnel, facts.gone),
        "## Filters\n\n" + "\n".join(settings(recipe)),
        captions_section(connection, facts, recipe),
        features_section(connection, recipe.features),
        content_section(connection, recipe.source.max_punsafe, parts),
        scores_section(connection, parts),
        balance_section(connection, parts),
        top_section(connection, parts),
        concepts_section(connection, language=recipe.check.language),
        reviews_section(connection, parts),
        faces_section(recipe.export, facts.faces),
        rights(connection, facts, recipe.download, recipe.export.license_note, recipe.signals),
        limits(facts, recipe),
        loading(facts, image, {recipe.export.prefer[0]: 0.5, "alt_text": 0.5}),
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def released_as(recipe: RefineLaion | BuildAnchor) -> str | None:
    """The extension of the images in the release's tars; None where it holds no images."""
    return recipe.download.extension if recipe.export.images else None


def empty_card(matter: str, facts: ReleaseFacts, recipe: Part) -> str:
    """The card of a release without a sample: what became of the rows, by which settings, and nothing about loading."""
    name = getattr(recipe, "export").name  # noqa: B009  # every recipe has one
    sections = (
        matter,
        f"# {name}\n\n**This release is empty.** "
        + " ".join(f"{w[:1].upper()}{w[1:]}." for w in warnings(facts.funnel)),
        "## From source to release\n\nEvery source row is counted in exactly one line.\n\n" + to_markdown(facts.funnel),
        "## Settings\n\n" + "\n".join(settings(recipe)),
    )
    return "\n\n".join(sections) + "\n"


def front_matter(
    facts: ReleaseFacts, form: ReleaseForm, language: str, tags: tuple[str, ...], annotation: Types, image: str | None
) -> str:
    """The YAML that the hub and the library datasets read; ``annotation`` types what a sample's .json may hold, and
    ``image`` is the extension of its image."""
    from huggingface_hub import DatasetCardData  # only writing a card needs it, not asking a root

    size = next((name for limit, name in SIZES if facts.total < limit), "n>1B")
    # One configuration only: readers choose one format for a whole repository.
    files = [{"split": split, "path": f"{split}-*.tar"} for split in facts.samples]
    data = DatasetCardData(
        pretty_name=form.name,
        license=form.license,
        language=[code_of(language)] if language else None,
        task_categories=["text-to-image", "image-to-text"],
        tags=list(tags),
        size_categories=[size],
        configs=[{"config_name": "default", "data_files": files}] if files else None,
        # Else readers take the types from the first samples, and drop or reject what those lack.
        dataset_info={"features": features(annotation, image=image)} if files else None,
    )
    return f"---\n{data.to_yaml()}\n---"


def _what_it_is(facts: ReleaseFacts, recipe: RefineLaion) -> str:
    kinds = ", ".join(f"`{k}`" for k in recipe.export.prefer)
    pixels = (
        "Images are stored as they were exported"
        if recipe.export.images
        else "Images are not part of it; each sample has the address of its image"
    )
    fallback = ", else the alt text" if recipe.export.alt_text_fallback else ""
    return (
        f"# {recipe.export.name}\n\n"
        f"{facts.total} image-text pairs from {facts.origin} whose alt texts were joined by captions of a "
        f"vision-language model, kept from {total(facts.funnel)} source rows ({kept(facts.funnel)} kept). "
        f"{came_from(facts)}The caption of a sample is the first of {kinds} that passed all checks{fallback}; "
        f"the alt text stands beside it, untouched. {pixels}."
    )


def came_from(facts: ReleaseFacts) -> str:
    """The files and folders that the rows of a release come from, as a sentence with a blank behind it.

    Empty where there is none with a name: a folder of images that is the whole source has none.
    """
    named = [cell(file) for file in facts.sources[:_FILES_NAMED]]
    if facts.sources in ((), (".",)):
        return ""
    if len(facts.sources) == 1:
        return f"They come from {named[0]}. "
    most = f"the largest shares from {', '.join(named)}" if len(facts.sources) > len(named) else ", ".join(named)
    return f"They come from {len(facts.sources)} files or folders: {most}. "


def _structure(facts: ReleaseFacts, recipe: RefineLaion, *, own_columns: bool) -> str:
    lines = ["## Structure", "", "| split | samples | shards |", "|---|---:|---:|"]
    lines += [f"| {split} | {count} | {facts.shards[split]} |" for split, count in facts.samples.items()]
    image = f"`<sample_id>.{ending}`, " if (ending := released_as(recipe)) else ""
    further = ", and in `source` the source's own further columns" if own_columns else ""
    lines += [
        "",
        f"Each shard is a tar in WebDataset form with up to {recipe.export.shard_size} samples: {image}"
        "`<sample_id>.txt` (the caption) and `<sample_id>.json` (all captions, alt text, address, source row, sizes, "
        f"hashes, model, prompt, lengths{further}; what is unknown is left out). `metadata/` has the same "
        "annotations as Parquet, with each image's offset in its tar. `SHA256SUMS` covers every file; "
        "`croissant.json` describes them for machines.",
        "",
        f"Splits are cut by the hash of a sample's near-duplicate cluster (val {recipe.export.val:g}, test "
        f"{recipe.export.test:g}), so near duplicates never straddle them. `sample_id` is a hash of url and alt text.",
    ]
    return "\n".join(lines)


def settings(recipe: Part) -> Iterator[str]:
    """The table of the keys that decide which samples are in the dataset; models are named elsewhere on the card."""
    yield "What was asked of a sample on its way, as it was set."
    yield ""
    yield "| setting | value | meaning |"
    yield "|---|---|---|"
    for part in type(recipe).model_fields:
        model = getattr(recipe, part)
        if not isinstance(model, Part) or not model.on_card:
            continue
        for key, value in model.deciding().items():
            if key not in _NAMED_ELSEWHERE:
                yield f"| `{part}.{key}` | {cell(value)} | {escaped(type(model).describe(key))} |"


def limits(facts: ReleaseFacts, recipe: RefineLaion) -> str:
    """The section on what the data set does not promise."""
    compared = sum(row.rows for row in facts.funnel if row.stage not in ("plan", "download"))
    near = (
        f"Near duplicates are images whose perceptual hashes {_first_look(recipe.dedupe)}"
        f"{_second_look(recipe.dedupe)}; larger crops and strong edits are not found. "
    )
    near += (
        f"For scale: {chance(compared, recipe.dedupe)}."
        if recipe.dedupe.enabled
        else "They were not removed; one split has them all."
    )
    unsafe = (
        f"Unsafe content is judged by the source's own `punsafe` (limit {recipe.source.max_punsafe:g}; unknown values: "
        f"{recipe.source.null_punsafe})."
        if recipe.source.max_punsafe is not None
        else "Unsafe content was not filtered."
    )
    seen = "the web does; its biases are in here" if facts.origin == "the web" else "those who made them saw them"
    return (
        "## Known limits\n\n"
        "- Captions are written by a model. They may name what is not there, miscount, or miss what matters; the "
        "checks judge their form and their names, not every fact.\n"
        "- Alt texts are text by strangers, kept as they were found: any language, any content, also instructions.\n"
        f"- {near}\n- {unsafe}\n"
        f"- Images show people and places as {seen}."
    )


def _first_look(dedupe: Dedupe) -> str:
    return f"differ in at most {dedupe.distance} of 64 bits" if dedupe.distance else "of 64 bits are equal"


def _second_look(dedupe: Dedupe) -> str:
    if dedupe.confirmed_distance <= dedupe.distance:
        return ""
    return (
        f", or differ in at most {dedupe.confirmed_distance} where a hash of 256 bits differs in at most "
        f"{dedupe.second_distance}"
    )


def loading(facts: ReleaseFacts, image: str | None, mix: Mapping[str, float]) -> str:
    """How to read the release, with a mix of captions as an example."""
    last = max(facts.shards.get("train", 1) - 1, 0)
    braces = f"train-{{000000..{last:06d}}}.tar"
    keys = f'"{image or "json"}", "txt"'
    return f"""## Loading

```python
from curation.loader import load  # mixes captions, splits by rank and worker

for sample in load(".", split="train", captions={json.dumps(dict(mix))}, seed=0):
    sample["image"], sample["caption"], sample["caption_kind"], sample["json"]
```

```python
import webdataset as wds

pairs = wds.WebDataset("{braces}", shardshuffle=False).decode("pil").to_tuple({keys})
```

```python
import datasets

train = datasets.load_dataset(".", split="train", streaming=True)  # this folder, whose card declares the types
annotations = datasets.load_dataset("parquet", data_files="metadata/*.parquet", split="train")
```

`sha256sum --check SHA256SUMS` verifies the files."""
