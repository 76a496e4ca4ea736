"""The arms of each comparison: which release a painter learns from, and which of its texts it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from curation.demo.judge import judge
from curation.demo.painting.reading import CLIP_TOKENS, TOKENS, text_of
from curation.demo.painting.releases import make_release
from curation.demo.painting.source import shown_in, write_pictures
from curation.demo.painting.states import features_settings
from curation.demo.released import TextScore, tally
from curation.load.loader import load


@dataclass(frozen=True)
class Arm:
    """``settings`` are those in which its recipe differs from that of the arm ``like``, whose work it takes over if
    that is done.

    ``prompt`` is the form of the prompts that it is judged by; ``adapter`` says whether its painter reads a language
    model's states, too.
    """

    name: str
    captions: Mapping[str, float]
    settings: Sequence[str] = ()
    root: str = "refined"
    like: str | None = None
    prompt: Literal["short", "dense"] = "short"
    adapter: bool = False

    def file(self, seed: int) -> str:
        """The name of the file that keeps its painter of that seed."""
        return f"{self.name.replace(',', '').replace(' ', '-')}-{seed}.pt"

    @property
    def tokens(self) -> int:
        """How many tokens of a text its painter's own encoder reads; of dense ones as many as CLIP's."""
        return TOKENS if self.prompt == "short" else CLIP_TOKENS


_REFINED = Arm("refined captions", {"short": 1.0})
_POOR = ("caption.temperature=1.6",)
_VERIFY = ("verify.enabled=true", "verify.model=demo-verifier")
_DENSE = (
    'caption.kinds=[{kind = "dense", prompt = "dense", max_tokens = 192}]',
    'export.prefer=["dense"]',
    *features_settings(),
)

COMPARISONS: Mapping[str, Sequence[Arm]] = {
    "captions": (Arm("alt text", {"alt_text": 1.0}), _REFINED),
    "settings": (
        _REFINED,
        Arm("dedupe off", {"short": 1.0}, ("dedupe.enabled=false",), "undeduped", "refined"),
        Arm("poor captioner", {"short": 1.0}, _POOR, "poor"),
        Arm("poor captioner, verified", {"short": 1.0}, (*_POOR, *_VERIFY), "poor-verified", "poor"),
    ),
    "adapter": (
        Arm("text encoder alone", {"dense": 1.0}, _DENSE, "dense", "refined", "dense"),
        Arm("with cross adapter", {"dense": 1.0}, _DENSE, "dense", "refined", "dense", adapter=True),
    ),
}
"""What is compared. In ``settings`` every arm differs from ``refined captions`` in the pipeline's own settings."""


@dataclass(frozen=True)
class Studio:
    """A folder in which pictures and releases are made once."""

    work: Path
    pictures: int = 1000
    copies: int = 300
    seed: int = 0

    def release(self, arm: Arm, say: Callable[[str], None] = lambda _: None) -> str:
        """The root that an arm learns from, made if it is not there."""
        folder = self.work / "source"
        pictures = folder / "pictures"
        if not pictures.is_dir():
            say(f"writing {self.pictures} pictures and {self.copies} copies")
            write_pictures(folder, seed=self.seed, count=self.pictures, copies=self.copies)
        say(f"{arm.name}: refining into {self.work / arm.root}")
        like = self.work / (arm.like or arm.root)
        return make_release(self.work / arm.root, pictures, arm.settings, like if like.exists() else None)

    def truth(self, arm: Arm) -> TextScore:
        """How true the texts are that an arm learns from."""
        judged = []
        for sample in load(str(self.work / arm.root), "train", arm.captions, shuffle=0, decode=False):
            number = int(Path(sample["json"]["source"]["file_name"]).stem)
            shown = shown_in(number, seed=self.seed, count=self.pictures)
            judged.append(judge(shown, text_of(sample, arm.captions)))
        return tally(judged)
