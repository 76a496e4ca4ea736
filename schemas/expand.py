"""The recipe of expansion data: windows of large pictures, local and global captions, and imagined ones."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.chat import Captioning, CaptionKind, Chat, check_servers
from schemas.features import check_features
from schemas.part import Part, Switch, later
from schemas.recipe import Download, Source
from schemas.refine import Check, Export, RefineLaion
from schemas.visual import Visual
from schemas.windows import SIDES, Side

GLOBAL, LOCAL, IMAGINED = "global", "local", "imagined"
"""The kinds of caption: of the whole picture, of a window, and of what no picture shows."""
PART, JOINED = "part", "joined"
"""Those of long pictures: of one of the parts that cover it, and the global caption that is joined from these."""
MOST_WINDOWS = 16


class WideSource(Source):
    """Filters on the metadata of the source, before any image is fetched."""

    max_aspect: float = Field(8.0, ge=0, description="maximum ratio of longer to shorter side; 0 for no limit")


class LargeDownload(Download):
    """How images are fetched and how their pixels are prepared."""

    size: int = Field(
        1024, ge=16, le=8192, description="length of the side that 'resize' names; images are never enlarged [pixels]"
    )
    max_aspect: float = Field(8.0, ge=0, description="maximum ratio of longer to shorter side; 0 for no limit")


class Windows(Part):
    """Which square windows are laid over a picture: a row of them, towards one of its sides."""

    share: float = Field(
        0.6, gt=0, le=1, description="side of a window as a share of the picture's shorter side; 1 takes all of it"
    )
    overlap: float = Field(
        0.5, ge=0.1, le=0.9, description="share of a window that the window before it shows too; the rest is the mask"
    )
    min_side: int = Field(256, ge=16, description="minimum side of a window [pixels]")
    fewest: int = Field(2, ge=1, le=MOST_WINDOWS, description="minimum windows of a picture [windows]")
    most: int = Field(4, ge=1, le=MOST_WINDOWS, description="maximum windows of a picture [windows]")
    sides: list[Side] = Field(
        list(SIDES), min_length=1, description="sides towards which windows may run; one is drawn for each picture"
    )
    seed: int = Field(0, ge=0, description="seed of the draw of side and place")
    fewest_captions: int = Field(
        1, ge=1, le=MOST_WINDOWS, description="minimum windows with a caption of a released picture [windows]"
    )


class WindowCaptions(Captioning):
    """Which model describes pictures and windows, and in which words it is asked."""

    kinds: list[CaptionKind] = Field(
        [
            CaptionKind(kind=GLOBAL, prompt=GLOBAL, max_tokens=192),
            CaptionKind(kind=LOCAL, prompt=LOCAL, max_tokens=192),
        ],
        description="the two kinds of caption: global, of the whole picture, and local, of each of its windows and "
        "parts; a third one, joined, may say by which model and prompt the global caption of a long picture is joined "
        "from those of its parts (else by caption's model and the prompt joined)",
    )


class Parts(Part):
    """Parts of long pictures, from whose captions the global one is joined; captioners press a long picture into a
    square, and leave out most of what it shows."""

    max_aspect: float = later(
        1.8,
        before=0.0,
        ge=0,
        description="ratio of longer to shorter side above which the global caption is joined from those of parts; 0 "
        "never does that",
    )
    overlap: float = Field(
        0.25, ge=0, le=0.75, description="minimum share of a part that the next one shows too, for things at its edge"
    )
    most: int = Field(
        8, ge=2, le=MOST_WINDOWS, description="maximum parts of a picture; a longer one gets longer parts [parts]"
    )

    @model_validator(mode="after")
    def _longer_than_a_part(self) -> Self:
        if 0 < self.max_aspect < 1:
            raise ValueError(
                f"parts.max_aspect is {self.max_aspect:g}, but no picture is below 1:1; expected 1 or more, or 0 for "
                "no parts"
            )
        return self


class WindowCheck(Check):
    """Requirements that a caption must meet before it is released."""

    min_words: dict[str, int] = Field(
        {GLOBAL: 5, LOCAL: 5, IMAGINED: 5},
        description="minimum length by kind, in English words; scaled to other languages [words]",
    )
    max_words: dict[str, int] = Field(
        {GLOBAL: 150, LOCAL: 200, IMAGINED: 100},
        description="maximum length by kind, in English words; scaled to other languages [words]",
    )


class Imagine(Part):
    """Captions that the model of llm imagines of what lies beyond the picture."""

    switches: ClassVar[tuple[Switch, ...]] = (Switch(("enabled",)),)

    enabled: bool = Field(True, description="imagine captions; if false, the model of llm is not asked for anything")
    count: int = Field(2, ge=1, le=8, description="captions beyond an edge, one further out than the other [captions]")
    sides: Literal["along", "both", "all"] = Field(
        "along",
        description="edges beyond which captions are imagined: the one towards which the windows run, that and the "
        "opposite one, or all four",
    )
    fewest: int = Field(
        1, ge=0, description="minimum imagined captions of a released picture; 0 releases all [captions]"
    )
    prompt: str = Field("imagined", description="a prompt of curation/prompts by name, or a prompt file")
    max_tokens: int = Field(512, ge=1, le=8192, description="maximum length of a reply [tokens]")


class Consistency(Part):
    """What an imagined caption may not do: say again what is there, or contradict the global caption."""

    switches: ClassVar[tuple[Switch, ...]] = (Switch(("ask",), ("threshold", "prompt", "max_tokens")),)

    shingle: int = Field(3, ge=1, le=10, description="length of the runs of words that two captions may share [words]")
    max_shared: float = Field(
        0.5, ge=0, le=1, description="maximum share of such runs that another caption of the picture has, too [0..1]"
    )
    ask: bool = Field(True, description="ask the model of llm whether an imagined caption contradicts the global one")
    threshold: float = Field(
        0.5, ge=0, le=1, description="minimum probability of yes for a contradiction to count [0..1]"
    )
    prompt: str = Field("contradicts", description="a prompt of curation/prompts by name, or a prompt file")
    max_tokens: int = Field(
        8, ge=1, le=8192, description="maximum length of a reply; more for thinking models [tokens]"
    )


class ExpandExport(Export):
    """What the release looks like."""

    name: str = Field("Expansion", min_length=1, description="the dataset's name on its card")
    prefer: list[str] = Field([GLOBAL], description="which caption becomes .txt: global")


class ExpandImages(RefineLaion):
    """Large pictures with square windows, a caption of the whole, of each window, and of what may come next."""

    switches: ClassVar[tuple[Switch, ...]] = (
        Switch(
            ("imagine.enabled",),
            ("llm", *(f"consistency.{key}" for key in ("ask", "threshold", "prompt", "max_tokens"))),
        ),
    )

    product: Literal["expand"] = "expand"
    source: WideSource = WideSource()
    download: LargeDownload = LargeDownload()
    windows: Windows = Windows()
    parts: Parts = Parts()
    caption: WindowCaptions = WindowCaptions()
    check: WindowCheck = WindowCheck()
    llm: Chat = Chat()
    imagine: Imagine = Imagine()
    consistency: Consistency = Consistency()
    export: ExpandExport = ExpandExport()
    visual: Visual = later(Visual(), description="states of a vision model for each released window or picture")

    @model_validator(mode="after")
    def _windowed(self) -> Self:
        named = {k.kind for k in self.caption.kinds}
        if (
            named | {JOINED} != {GLOBAL, LOCAL, JOINED}
            or not {GLOBAL, LOCAL} <= named
            or self.export.prefer != [GLOBAL]
        ):
            raise ValueError(
                f"caption.kinds must name the kinds {GLOBAL!r} and {LOCAL!r} (and may name {JOINED!r}), and "
                f"export.prefer {GLOBAL!r} alone; found {[k.kind for k in self.caption.kinds]} and {self.export.prefer}"
            )
        if self.export.alt_text_fallback:
            raise ValueError("export.alt_text_fallback is true, but an alt text is no global caption; set it to false")
        if self.scores.model:
            raise ValueError("scores.model is set, but captions of windows are not scored; leave it empty")
        if self.balance.text == LOCAL and self.balance.policy != "ignore":
            raise ValueError(f"balance.text names {LOCAL!r}, of which a picture has several; name {GLOBAL!r}")
        if self.export.blur_faces and self.visual.model:
            raise ValueError(
                "export.blur_faces is true and visual.model is set, but its states would be of the stored pictures, "
                "whose faces are not blurred; leave one of the two out"
            )
        check_features(self.features, [GLOBAL])
        if self.windows.fewest > self.windows.most:
            raise ValueError(f"windows.fewest {self.windows.fewest} is above windows.most {self.windows.most}")
        if self.windows.fewest_captions > self.windows.most:
            raise ValueError(
                f"windows.fewest_captions {self.windows.fewest_captions} is above windows.most {self.windows.most}: no "
                "picture can pass"
            )
        if self.imagine.enabled:
            check_servers("llm", self.llm)
        return self
