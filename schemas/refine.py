"""The recipe of LAION-refined: what a caption must be like to be released, similarity, and what is released."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.balance import ALT_TEXT, Balance
from schemas.blocklists import Blocklists
from schemas.chat import Captioning, check_captioners, check_servers
from schemas.embed import Embed
from schemas.features import Features, check_features
from schemas.part import Part, Switch, free, later
from schemas.recipe import Decontamination, Dedupe, Download, ReleaseForm, Run, Source, check_splits
from schemas.scores import ImageScores
from schemas.signals import Signals
from schemas.verify import Atoms, Verify, check_asked, check_samples


class Scores(ImageScores):
    """Scores of images and limits on them; similarity of image and text by a CLIP-like model."""

    switches: ClassVar[tuple[Switch, ...]] = (
        Switch(("model",), ("revision", "min_caption_similarity", "batch", "device", "workers")),
    )

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
        description="maximum length by kind, in English words; scaled to other languages; kinds called medium, tags or "
        "structured have 100, 100 or 200 unless they are named here [words]",
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


class Top(Part):
    """The best samples by a score."""

    switches: ClassVar[tuple[Switch, ...]] = (Switch(("score",), ("share",)),)

    score: str = Field(
        "",
        description="name of a score to choose by: one of scores.compute, similarity (of captions), or what the source "
        "says, such as source.aesthetic; empty chooses all",
    )
    share: float = Field(1.0, gt=0, le=1, description="share of the samples to release, those with the highest scores")


class Export(ReleaseForm):
    """What the release looks like."""

    switches: ClassVar[tuple[Switch, ...]] = (Switch(("tiers",), ("tier_score",)),)

    prefer: list[str] = Field(["dense", "short"], description="which caption becomes .txt, best first")
    alt_text_fallback: bool = Field(False, description="use the alt text where no caption passed")
    top: Top = later(Top(), description="the best samples by a score")
    tiers: dict[str, float] = later(
        {},
        description="nested subsets by name, each with its share of the released samples, such as nano = 0.01, "
        "lite = 0.1, full = 1; a sample's .json names the smallest one that holds it [0..1]",
    )
    tier_score: str = later(
        "", description="name of a score by which tiers are cut, the best first, as in top.score; empty cuts by chance"
    )

    @field_validator("tiers")
    @classmethod
    def _shares(cls, value: dict[str, float]) -> dict[str, float]:
        for tier, share in value.items():
            if not tier.strip() or not tier.isprintable() or len(tier) > 64:
                raise ValueError(f"{tier!r} is no name of a tier; expected 1 to 64 printable characters")
            if not 0 < share <= 1:
                raise ValueError(f"the share of {tier} is {share:g}; expected more than 0, and 1 at most")
        if len(set(value.values())) < len(value):
            raise ValueError(f"two tiers have the same share in {value}; each must be larger than the one before")
        return value


class RefineLaion(Part):
    """Web images whose poor alt texts are rewritten by a vision-language model."""

    source: Source = Source()
    download: Download = Download()
    signals: Signals = Signals()
    blocklists: Blocklists = later(Blocklists(), description="lists of what must not come in")
    dedupe: Dedupe = Dedupe()
    decontamination: Decontamination = Decontamination()
    scores: Scores = Scores()
    embed: Embed = later(Embed(), description="embeddings of images by a CLIP-like model")
    caption: Captioning = Captioning()
    check: Check = Check()
    verify: Verify = later(Verify(), description="verification of captions")
    caption_repeats: CaptionRepeats = later(CaptionRepeats(), description="captions that many images share")
    balance: Balance = later(Balance(), description="concept balance: how many samples name the same things")
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
        if self.balance.policy != "ignore" and self.balance.text not in (ALT_TEXT, *kinds):
            raise ValueError(
                f"balance.text names {self.balance.text!r}, which is neither {ALT_TEXT} nor a kind of caption.kinds: "
                f"{kinds}"
            )
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
            check_samples(self.verify, self.caption)
        if self.verify.enabled:
            tables: list[Verify | Atoms] = [self.verify, *([self.verify.atoms] if self.verify.atoms.enabled else [])]
            for table in tables:
                check_asked(table)
                chat = table.asked_of(self.caption)
                check_servers(chat.part, chat)
        return self
