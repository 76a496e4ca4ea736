"""The recipe of LAION-refined: what a caption must be like to be released, similarity, and what is released."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.chat import Captioning, Chat, Seeing, check_captioners, check_servers
from schemas.features import Features, check_features
from schemas.part import Part, free, later
from schemas.recipe import Decontamination, Dedupe, Download, ReleaseForm, Run, Source, check_splits
from schemas.scores import ImageScores
from schemas.signals import Signals


class Scores(ImageScores):
    """Scores of images and limits on them; similarity of image and text by a CLIP-like model."""

    model: str = Field("", description="name or folder of a CLIP-like checkpoint; empty switches scores off")
    revision: str = Field("main", description="revision of that checkpoint on its hub")
    min_caption_similarity: float | None = Field(None, description="lowest cosine of image and caption [-1..1]")
    batch: int = Field(32, ge=1, description="images a batch, cut by row")
    device: Literal["auto", "cpu", "cuda"] = free("auto", description="where the model runs")
    workers: int = free(1, ge=0, description="actors; 0 for one a core [actors]")


# Limits of length of the project's other kinds, in English words: the fewest and the most. They are no part of the
# defaults of ``check.min_words`` and ``check.max_words``, which existing roots have in their digests.
USUAL_WORDS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"medium": (10, 100), "tags": (3, 100), "structured": (20, 200)}
)


class Check(Part):
    """Requirements that a caption must meet before it is released."""

    min_words: dict[str, int] = Field(
        {"dense": 20, "short": 3},
        description="minimum length by kind, in English words; scaled to other languages; kinds called medium, tags "
        "or structured have 10, 3 or 20 unless they are named here [words]",
    )
    max_words: dict[str, int] = Field(
        {"dense": 300, "short": 60},
        description="maximum length by kind, likewise scaled to the language; kinds called medium, tags or structured "
        "have 100, 100 or 200 unless they are named here [words]",
    )
    language: str = Field(
        "en", description="required language, by code or name, such as de, pt_BR or German; empty accepts any"
    )
    scripts: list[str] = Field(
        ["latin"], description="accepted scripts, besides that of the language; empty accepts any"
    )
    repair: bool = Field(
        True,
        description="remove boilerplate openings, markup, model tokens and notes, and cut at the last full sentence; "
        "false rejects such captions instead",
    )
    names: Literal["record", "reject", "ignore"] = Field(
        "record",
        description="names that are neither in the alt text nor in allowed_names: record them, reject captions with "
        "invented people or places, or ignore names",
    )
    allowed_names: list[str] = Field([], description="names that are accepted in every caption")

    def fewest_words(self, kind: str) -> int:
        """The minimum length of a kind in English words; 0 where there is none."""
        return self.min_words.get(kind, USUAL_WORDS.get(kind, (0, 0))[0])

    def most_words(self, kind: str) -> int | None:
        """The maximum length of a kind in English words; None where there is none."""
        return self.max_words.get(kind, USUAL_WORDS[kind][1] if kind in USUAL_WORDS else None)


StatementClass = Literal["count", "colour", "text", "relation", "size", "other"]


def sampled_as(settings: Chat, caption: Captioning) -> Captioning:
    """The captioner with the sampling of another table."""
    own = {name: getattr(settings, name) for name in ("temperature", "top_p", "repetition_penalty", "seed")}
    return caption.model_copy(update=own)


class Atoms(Chat):
    """How captions are taken apart into atoms: one thing, attribute, relation, count or written word each."""

    part: ClassVar[str] = "verify.atoms"

    enabled: bool = Field(
        False, description="take captions apart into atoms by a language model, and verify these instead of sentences"
    )
    model: str = Field(
        "",
        description="name or folder of a checkpoint, or the name under which a server serves it; empty asks the "
        "model of caption; it sees no image",
    )
    prompt: str = Field("atoms", description="a prompt of curation/prompts by name, or a prompt file")
    question: str = Field(
        "question", description="the prompt that asks the question of an atom, by name, or a prompt file"
    )
    max_tokens: int = Field(4096, ge=1, le=8192, description="maximum length of a reply [tokens]")

    def asked_of(self, caption: Captioning) -> Chat:
        """The model to ask: the one named here, else the captioner, with the sampling of this table."""
        return self if self.model else sampled_as(self, caption)


class Verify(Seeing):
    """Verification of captions: each statement is put to a model that looks at the image, as a yes-or-no question."""

    on_card: ClassVar[bool] = True
    part: ClassVar[str] = "verify"

    enabled: bool = Field(False, description="verify the captions that passed the check")
    model: str = Field(
        "",
        description="name or folder of a checkpoint, or the name under which a server serves it; empty asks the "
        "model of caption",
    )
    policy: Literal["drop", "reject", "record"] = Field(
        "drop",
        description="what to do with false statements: cut them out of the caption, reject the caption, or record them",
    )
    threshold: float = Field(
        0.5, ge=0, le=1, description="minimum probability of yes for a statement to count as true [0..1]"
    )
    min_statements: int = Field(1, ge=1, description="minimum statements of a caption after drop [statements]")
    max_dropped: float = Field(0.5, ge=0, le=1, description="maximum share of a caption's statements to drop [0..1]")
    max_statements: int = Field(
        100, ge=1, le=2000, description="maximum statements of a caption; one with more is not verified [statements]"
    )
    classes: list[StatementClass] = Field(
        [], description="classes of statement to verify; empty for all; the others count as true"
    )
    prompt: str = Field("verify", description="a prompt of curation/prompts by name, or a prompt file")
    max_tokens: int = Field(
        8, ge=1, le=8192, description="maximum length of a reply; more for thinking models [tokens]"
    )

    samples: int = later(
        1,
        ge=1,
        le=64,
        description="captions to ask for of each kind, each with a seed of its own; the one of which the largest share "
        "of statements is true is kept, of equal ones the one with the most; above 1 wants caption.temperature above "
        "0 [captions]",
    )
    atoms: Atoms = later(
        Atoms(), description="captions taken apart into atoms, which are verified instead of sentences"
    )

    def asked_of(self, caption: Captioning) -> Seeing:
        """The model to ask: the one named here, else the captioner, with the sampling of this table."""
        return self if self.model else sampled_as(self, caption)


_OF_A_MODEL = ("backend", "revision", "endpoints", "serve", "api_key_env", "ca_bundle", "parameters", "image_size")


def _check_asked(table: Verify | Atoms) -> None:
    """Checks that the keys which say what is asked have an effect. Raises ``ValueError``."""
    fields = type(table).model_fields
    changed = [k for k in _OF_A_MODEL if k in fields and getattr(table, k) != fields[k].default]
    if changed and not table.model:
        raise ValueError(
            f"{table.part}.{changed[0]} is set, but {table.part}.model is empty, so that the model of caption is asked "
            f"with the settings of caption; name the model in {table.part}.model, or leave {changed[0]} out"
        )
    if table.endpoints and table.backend != "server":
        raise ValueError(
            f'{table.part}.endpoints wants {table.part}.backend "server"; found {table.backend!r}, which asks no server'
        )


def _check_samples(verify: Verify, caption: Captioning) -> None:
    """Checks that there is a choice among several captions. Raises ``ValueError``."""
    if not verify.enabled:
        raise ValueError(
            f"verify.samples = {verify.samples} keeps the caption that verification finds best, but verify.enabled is "
            "false; set it to true, or verify.samples to 1"
        )
    if caption.temperature == 0:
        raise ValueError(
            f"verify.samples = {verify.samples} asks for different captions of an image, but caption.temperature is "
            "0, which gives the same one each time; set it to 0.7, for example"
        )
    for kind in caption.kinds:
        added = caption.asked_of(kind).parameters.add
        if "seed" in added or added.get("temperature", 1) == 0:
            raise ValueError(
                f"verify.samples = {verify.samples} asks for different captions of an image, but parameters.add of "
                f"{kind.table} sends {'one seed' if 'seed' in added else 'temperature 0'} with every request; leave "
                "it out"
            )


class CaptionRepeats(Part):
    """Captions that many different images share, as a model makes them that sees no image."""

    policy: Literal["record", "reject"] = later(
        "record", description="what to do with captions beyond these limits: record them, or reject them"
    )
    max_images: int = later(
        100, ge=0, description="maximum different images that share a caption; 0 for no limit [images]"
    )
    max_opening_images: int = later(
        1000,
        ge=0,
        description="maximum different images whose captions share their first eight words; 0 for no limit [images]",
    )


class Export(ReleaseForm):
    """What the release looks like."""

    prefer: list[str] = Field(["dense", "short"], description="which caption becomes .txt, best first")
    alt_text_fallback: bool = Field(False, description="use the alt text where no caption passed")


class RefineLaion(Part):
    """Web images whose poor alt texts are rewritten by a vision-language model."""

    source: Source = Source()
    download: Download = Download()
    signals: Signals = Signals()
    dedupe: Dedupe = Dedupe()
    decontamination: Decontamination = Decontamination()
    scores: Scores = Scores()
    caption: Captioning = Captioning()
    check: Check = Check()
    verify: Verify = later(Verify(), description="verification of captions")
    caption_repeats: CaptionRepeats = later(CaptionRepeats(), description="captions that many images share")
    export: Export = Export()
    features: Features = later(Features(), description="hidden states of a language model for each released caption")
    run: Run = free(Run(), description="when a run stops by itself")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        kinds = [k.kind for k in self.caption.kinds]
        if not kinds:
            raise ValueError("caption.kinds is empty: name at least one kind of caption")
        if "alt_text" in kinds:
            raise ValueError("caption.kinds names a kind alt_text, as the source's own texts are called; rename it")
        if len(set(kinds)) < len(kinds):
            raise ValueError(f"caption.kinds names a kind twice: {kinds}")
        if not set(self.export.prefer) & set(kinds):
            raise ValueError(f"export.prefer {self.export.prefer} names none of the kinds in caption.kinds {kinds}")
        check_splits(self.export)
        check_features(self.features, kinds)
        if self.download.resize == "shorter" and self.download.min_side > self.download.size * 64:
            raise ValueError(
                f"download.min_side {self.download.min_side} contradicts download.size {self.download.size}"
            )
        if self.source.max_characters and self.source.min_characters > self.source.max_characters:
            raise ValueError(
                f"source.min_characters {self.source.min_characters} is above "
                f"source.max_characters {self.source.max_characters}: no row can pass"
            )
        for kind in sorted(self.check.min_words.keys() | self.check.max_words.keys()):
            fewest, most = self.check.fewest_words(kind), self.check.most_words(kind)
            if most is not None and fewest > most:
                raise ValueError(
                    f"check.min_words.{kind} {fewest} is above check.max_words.{kind} {most}: no caption can pass"
                )
        for kind, pairs in self.caption.lengths.items():
            fewest, most_words = self.check.fewest_words(kind), self.check.most_words(kind)
            for words in (words for words, weight in pairs if weight):
                if words < fewest or (most_words is not None and words > most_words):
                    raise ValueError(
                        f"caption.lengths.{kind} asks for {words} words, but check.min_words and check.max_words of "
                        f"the kind are {fewest} and {most_words}: no such caption can pass"
                    )
        check_captioners(self.caption)
        if self.verify.samples > 1:
            _check_samples(self.verify, self.caption)
        if self.verify.enabled:
            tables: list[Verify | Atoms] = [self.verify, *([self.verify.atoms] if self.verify.atoms.enabled else [])]
            for table in tables:
                _check_asked(table)
                chat = table.asked_of(self.caption)
                check_servers(chat.part, chat)
        return self
