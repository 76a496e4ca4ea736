"""How captions are verified: which statements, by which model, and what becomes of those that are false."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from schemas.chat import Captioning, Chat, Seeing
from schemas.part import Switch, later

StatementClass = Literal["count", "colour", "text", "relation", "size", "other"]


def sampled_as(settings: Chat, caption: Captioning) -> Captioning:
    """The captioner with the sampling of another table."""
    own = {name: getattr(settings, name) for name in ("temperature", "top_p", "repetition_penalty", "seed")}
    return caption.model_copy(update=own)


class Atoms(Chat):
    """How captions are taken apart into atoms: one thing, attribute, relation, count or written word each."""

    part: ClassVar[str] = "verify.atoms"
    switches: ClassVar[tuple[Switch, ...]] = (*Chat.switches, Switch(("enabled",)))

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
    switches: ClassVar[tuple[Switch, ...]] = (*Seeing.switches, Switch(("enabled",)))

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


def check_asked(table: Verify | Atoms) -> None:
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


def check_samples(verify: Verify, caption: Captioning) -> None:
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
