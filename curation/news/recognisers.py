"""The seam to recognisers of named entities: embedded rules, a spaCy pipeline, a GLiNER checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from curation.caption.model.chat import ModelIdentity
from curation.core.errors import ModelError
from curation.news.rules import RuleRecogniser
from curation.news.spans import Span
from schemas.anchor import Entities

# What GLiNER is asked for, in words; its labels are free text.
_ASKED = {
    "person": "PERSON", "organization": "ORG", "country or city": "GPE", "location": "LOC",
    "building or facility": "FAC",
    "event": "EVENT", "date": "DATE", "nationality, religion or political group": "NORP", "work of art": "WORK_OF_ART",
    "product": "PRODUCT", "law": "LAW",
}  # fmt: skip
_BATCH = 64


class Recogniser(Protocol):
    """Finds the entities of many captions."""

    def recognise(self, captions: Sequence[str]) -> Iterator[list[Span]]:
        """One list a caption, in their order; spans are characters of it, sorted, and do not overlap."""
        ...


def identify(recipe: Entities) -> ModelIdentity:
    """Which recogniser a recipe means, before any work. Raises ``ModelError`` for one that cannot be used."""
    match recipe.recogniser:
        case "rules":
            return ModelIdentity("rules", RuleRecogniser.revision())
        case "spacy":
            meta = _spacy(recipe.model).meta
            return ModelIdentity(f"spacy:{meta.get('lang')}_{meta.get('name')}", _revision(recipe.model, meta))
        case "gliner":
            _gliner(recipe.model)
            return ModelIdentity(f"gliner:{Path(recipe.model).name}", _revision(recipe.model, {}))
        case "llm":
            raise ValueError("the model of llm identifies itself")


def open_recogniser(recipe: Entities) -> Recogniser:
    """The recipe's recogniser, open. Raises ``ModelError``."""
    match recipe.recogniser:
        case "spacy":
            return _SpacyRecogniser(_spacy(recipe.model))
        case "gliner":
            return _GlinerRecogniser(_gliner(recipe.model))
        case _:
            return RuleRecogniser()


def wanted(recipe: Entities, found: Iterable[Span]) -> list[Span]:
    """The entities whose label and score the recipe takes."""
    return [s for s in found if s.label in recipe.labels and (s.score is None or s.score >= recipe.min_score)]


class _SpacyRecogniser:
    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    def recognise(self, captions: Sequence[str]) -> Iterator[list[Span]]:
        for doc in self._pipeline.pipe(captions, batch_size=_BATCH):
            told = (_trimmed(doc.text, e.start_char, e.end_char, e.label_, None) for e in doc.ents)
            yield [s for s in told if s.start < s.end]


class _GlinerRecogniser:
    def __init__(self, model: Any) -> None:
        self._model = model

    def recognise(self, captions: Sequence[str]) -> Iterator[list[Span]]:
        for start in range(0, len(captions), _BATCH):
            batch = list(captions[start : start + _BATCH])
            for text, found in zip(batch, self._model.inference(batch, list(_ASKED), threshold=0.5), strict=True):
                ordered = sorted(found, key=lambda e: e["start"])
                told = (_trimmed(text, e["start"], e["end"], _ASKED[e["label"]], float(e["score"])) for e in ordered)
                yield [s for s in told if s.start < s.end]


def _trimmed(text: str, start: int, end: int, label: str, score: float | None) -> Span:
    """Without the article in front and the possessive behind, which OntoNotes' models take in."""
    low = text[start:end].lower()
    if low.startswith("the ") and label != "WORK_OF_ART":
        start += 4
    for ending in ("'s", "’s"):
        if low.endswith(ending):
            end -= 2
    return Span(start, end, label, score)


def _spacy(model: str) -> Any:
    import spacy

    try:
        pipeline = spacy.load(model)
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(
            f"entities.model {model!r} cannot be loaded as a spaCy pipeline ({str(error).splitlines()[0]}); "
            "install it (python -m spacy download NAME) or name its folder"
        ) from error
    if "ner" not in pipeline.pipe_names and "entity_ruler" not in pipeline.pipe_names:
        raise ModelError(f"entities.model {model!r} finds no entities: its parts are {pipeline.pipe_names}")
    return pipeline


def _gliner(model: str) -> Any:
    try:
        from gliner import GLiNER
    except ImportError as error:
        raise ModelError(
            'entities.recogniser "gliner" wants the package gliner: pip install --no-deps gliner sentencepiece '
            "(by itself it would replace transformers with an older one)"
        ) from error
    try:
        return GLiNER.from_pretrained(model)
    except Exception as error:  # whatever a damaged or foreign checkpoint makes its classes raise
        told = " ".join(str(error).split())[:200]
        raise ModelError(
            f"entities.model {model!r} cannot be loaded as a GLiNER checkpoint ({told}); name a model of the hub or "
            "the folder of one"
        ) from error


def _revision(model: str, meta: dict[str, Any]) -> str:
    """The hash of a folder's files, else the version that the pipeline names."""
    folder = Path(model)
    if not folder.is_dir():
        return str(meta.get("version", "unknown"))
    digest = hashlib.sha256()
    for file in sorted(f for f in folder.rglob("*") if f.is_file()):
        digest.update(f"{file.relative_to(folder)}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
