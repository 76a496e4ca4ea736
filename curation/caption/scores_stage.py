"""The scores stage: how well an image goes with its alt text and with each caption that passed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa

from curation.caption.check_stage import ALT_TEXT
from curation.caption.choice import Choice
from curation.caption.model.chat import UNKNOWN, ModelIdentity
from curation.core.stage import Resources, Shard, Work, setting
from curation.core.store import Store
from curation.core.verdict import Verdict
from curation.images.reading import ImageReader, open_images
from schemas.arrays import strings
from schemas.arrow import Record, rows_of, table_of
from schemas.captions import CaptionCheck, Score, VerifiedCaption
from schemas.embed import Embed, Embedding
from schemas.records import Duplicate, ImageRow, SourceRow
from schemas.refine import Scores

if TYPE_CHECKING:
    from curation.caption.check.similarity import SimilarityModel
    from curation.core.checkpoints import Device

_NO_EMBED = Embed()
_DECIMALS = 5  # kept of a cosine; the rest is the order in which a processor adds


@dataclass(frozen=True)
class ScoresStage:
    """Measures how well texts fit their image, with a CLIP-like model.

    Writes a ``Score`` row for the alt text and for every passed caption of each keeper. Rows are in the order of the
    images table, a sample's alt text first; a blank alt text has none.
    Packing decides what a low score means. Make it with ``of``, which checks the model. With ``embedded`` the images
    are not looked at again: their embeddings (float16) were made from the same pixels by the same model.
    """

    name: ClassVar[str] = "scores"
    version: ClassVar[int] = 1
    writes: ClassVar[type[Record]] = Score

    model: ModelIdentity
    batch: int = 32
    checkpoint: str = setting("", digest=False)  # where it is; ``model`` says which it is
    revision: str = setting("main", digest=False)
    device: Device = setting("auto", digest=False)
    resources: Resources = setting(Resources(), digest=False)
    choice: Choice | None = setting(None, digest=False)
    embedded: bool = setting(False, digest=False)  # ``reads`` is in the digest

    @property
    def reads(self) -> tuple[type[Record], ...]:
        verified = (VerifiedCaption,) if self.choice is not None and self.choice.verified else ()
        embedded = (Embedding,) if self.embedded else ()
        return (SourceRow, ImageRow, Duplicate, CaptionCheck, *verified, *embedded)

    @classmethod
    def declared(cls, recipe: Scores, choice: Choice, embed: Embed = _NO_EMBED) -> ScoresStage:
        """The stage before a look at the model; ``ready`` completes it.

        Where ``embed`` names the same checkpoint, the images' side is taken from the table of embeddings.
        """
        same = bool(recipe.model) and (recipe.model, recipe.revision) == (embed.model, embed.revision)
        where = _resources(recipe)
        return cls(UNKNOWN, recipe.batch, recipe.model, recipe.revision, recipe.device, where, choice, same)

    @property
    def on(self) -> bool:
        """Whether the recipe names a model."""
        return bool(self.checkpoint)

    def ready(self, store: Store | None) -> ScoresStage:
        """Raises ``ModelError`` for a model that cannot be used."""
        from curation.caption.check.similarity import identify

        return replace(self, model=identify(self.checkpoint, self.revision))

    @property
    def verdict(self) -> Verdict:
        return self.choice.scores_verdict() if self.choice else Verdict.awaited(Score)

    @classmethod
    def of(cls, recipe: Scores) -> ScoresStage:
        """Raises ``ModelError`` for a model that cannot be used."""
        return cls(check_model(recipe), recipe.batch, recipe.model, recipe.revision, recipe.device, _resources(recipe))

    @contextmanager
    def open(self) -> Iterator[Work]:
        from curation.caption.check.similarity import SimilarityModel

        model = SimilarityModel(self.checkpoint, self.revision, self.device)
        try:
            yield partial(score_shard, self, model)
        finally:
            model.close()


def _resources(recipe: Scores) -> Resources:
    return Resources(gpus=1.0 if recipe.device == "cuda" else 0.0, workers=recipe.workers)


def check_model(recipe: Scores) -> ModelIdentity:
    """The identity of the recipe's checkpoint. Raises ``ModelError`` if it cannot be used."""
    from curation.caption.check.similarity import identify

    return identify(recipe.model, recipe.revision)


@dataclass
class _Sample:
    sample_id: str
    offset: int
    size: int
    texts: list[tuple[str, str]] = field(default_factory=list)  # kind, text


def score_shard(stage: ScoresStage, model: SimilarityModel, shard: Shard) -> pa.Table:
    """The scores of one shard, with an open model. Batches are cut by row, so that a rerun adds alike."""
    samples = _samples(shard, verified=VerifiedCaption in stage.reads)
    shard.rows_in = len(samples)
    name = f"{stage.model.name}@{stage.model.revision}"
    scores: list[Score] = []
    seen = _embedded(shard) if stage.embedded else None
    with open_images(shard.store, shard.name, whole=True) as images:
        for start in range(0, len(samples), stage.batch):
            scores += _score(model, samples[start : start + stage.batch], images, stage.batch, name, seen)
    return table_of(Score, scores)


def _score(
    model: SimilarityModel,
    samples: Sequence[_Sample],
    images: ImageReader,
    batch: int,
    name: str,
    seen: Mapping[str, bytes] | None = None,
) -> Iterator[Score]:
    texts = [(row, kind, text) for row, sample in enumerate(samples) for kind, text in sample.texts]
    if not texts:
        return
    import torch

    if seen is None:
        pictures = model.embed_images([images(s.offset, s.size) for s in samples])
    else:
        vectors = [torch.frombuffer(bytearray(seen[s.sample_id]), dtype=torch.float16) for s in samples]
        pictures = torch.nn.functional.normalize(torch.stack(vectors).float(), dim=-1)
    for start in range(0, len(texts), batch):
        part = texts[start : start + batch]
        words = model.embed_texts([text for _, _, text in part])
        cosines = (words * pictures[torch.tensor([row for row, _, _ in part])]).sum(dim=-1).tolist()
        for (row, kind, _), cosine in zip(part, cosines, strict=True):
            yield Score(samples[row].sample_id, kind, round(cosine, _DECIMALS), name)


def _embedded(shard: Shard) -> dict[str, bytes]:
    """The embedding of each image, by sample_id."""
    table = shard.read(Embedding)
    vectors = (v or b"" for v in table["vector"].to_pylist())
    return dict(zip(strings(table["sample_id"]), vectors, strict=True))


def _samples(shard: Shard, *, verified: bool = False) -> list[_Sample]:
    """The keepers that have an image, in the order of the images table, each with what is to be scored."""
    keepers = {d.sample_id for d in rows_of(Duplicate, shard.read(Duplicate)) if d.reason is None}
    samples = {
        image.sample_id: _Sample(image.sample_id, image.offset, image.size)
        for image in rows_of(ImageRow, shard.read(ImageRow))
        if image.sample_id in keepers and image.offset is not None and image.size is not None
    }
    rows = shard.read(SourceRow).select(["sample_id", "alt_text"])
    for sample_id, alt_text in zip(strings(rows["sample_id"]), strings(rows["alt_text"]), strict=True):
        sample = samples.get(sample_id)
        if sample is not None and not sample.texts and alt_text.strip():
            sample.texts.append((ALT_TEXT, alt_text))
    record: type[CaptionCheck | VerifiedCaption] = VerifiedCaption if verified else CaptionCheck
    for check in rows_of(record, shard.read(record)):
        if check.passed and check.caption is not None and check.sample_id in samples:
            samples[check.sample_id].texts.append((check.kind, check.caption))
    return list(samples.values())
