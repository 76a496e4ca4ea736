"""Recognisers of named entities behind one interface: embedded rules, a spaCy pipeline, a GLiNER checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from curation.caption.model.chat import ModelIdentity
from curation.core.errors import ModelError
from curation.news.rules import RuleRecogniser, without_titles
from curation.news.spans import Span, plausible
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
    """Name and revision of the recipe's recogniser, before any work. Raises ``ModelError`` if it cannot be used."""
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


def wanted(recipe: Entities, caption: str, found: Iterable[Span]) -> list[Span]:
    """The entities of a caption whose label and score the recipe takes.

    None has more than ``MOST_WORDS`` words or is the whole caption; titles and employers in front of a person's
    name are left out of its span, whoever found it.
    """
    names = (without_titles(caption, span) if span.label == "PERSON" else span for span in found)
    kept = (s for s in names if s.label in recipe.labels and (s.score is None or s.score >= recipe.min_score))
    return list(plausible(caption, kept))


class _SpacyRecogniser:
    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    def recognise(self, captions: Sequence[str]) -> Iterator[list[Span]]:
        for doc in self._pipeline.pipe(captions, batch_size=_BATCH):
            found = (_trimmed(doc.text, e.start_char, e.end_char, e.label_, None) for e in doc.ents)
            yield [s for s in found if s.start < s.end]


class _GlinerRecogniser:
    def __init__(self, model: Any) -> None:
        self._model = model

    def recognise(self, captions: Sequence[str]) -> Iterator[list[Span]]:
        for start in range(0, len(captions), _BATCH):
            batch = list(captions[start : start + _BATCH])
            for text, found in zip(batch, self._model.inference(batch, list(_ASKED), threshold=0.5), strict=True):
                ordered = sorted(found, key=lambda e: e["start"])
                spans = (_trimmed(text, e["start"], e["end"], _ASKED[e["label"]], float(e["score"])) for e in ordered)
                yield [s for s in spans if s.start < s.end]


def _trimmed(text: str, start: int, end: int, label: str, score: float | None) -> Span:
    """A span without the article before it and the possessive after it, which OntoNotes' models include."""
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
            'entities.recogniser "gliner" needs the package gliner: pip install --no-deps gliner sentencepiece '
            "(with its dependencies it would replace transformers by an older release)"
        ) from error
    try:
        return GLiNER.from_pretrained(model)
    except Exception as error:  # whatever a damaged or foreign checkpoint makes its classes raise
        cause = " ".join(str(error).split())[:200]
        raise ModelError(
            f"entities.model {model!r} cannot be loaded as a GLiNER checkpoint ({cause}); name a model of the hub or "
            "its folder"
        ) from error


def _revision(model: str, meta: dict[str, Any]) -> str:
    """The hash of a folder's files, or the version that an installed pipeline states."""
    folder = Path(model)
    if not folder.is_dir():
        return str(meta.get("version", "unknown"))
    digest = hashlib.sha256()
    for file in sorted(f for f in folder.rglob("*") if f.is_file()):
        digest.update(f"{file.relative_to(folder)}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
