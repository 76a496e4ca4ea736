"""Writes captions like those of news photographs, with their true named entities and subject weights."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from curation.demo import names
from curation.demo.phrases import noun
from curation.demo.truth import Rng, Scene, SceneObject, Split, pick
from curation.demo.vocabulary import NUMBERS

Label = Literal["PERSON", "ORG", "GPE", "EVENT", "FAC", "DATE"]
LABELS: tuple[Label, ...] = get_args(Label)

# How much a subject matters follows from its part in the sentence, as a reader would weigh it.
WEIGHTS = {"agent": 1.0, "partner": 0.8, "patient": 0.6, "occasion": 0.45, "venue": 0.3, "source": 0.15}

# {what.part}: what is put there, and its part in the sentence; a date takes no part.
_TRAIN = (
    "{person.agent} holds {thing.patient} during the {event.occasion} in {gpe.venue} on {date}.",
    "Mayor {person.agent} of {gpe.venue} poses with {thing.patient} on {date}. Photo: {agency.source}",
    "{person.agent}, left, and {person.partner} stand beside {thing.patient} at {fac.venue}, {gpe.venue}, {date}.",
    "{Thing.agent} seen at the {event.occasion} in {gpe.venue}. Photograph: {person.source}/{agency.source}",
    "Workers of {org.agent} carry {thing.patient} across {fac.venue} in {gpe.venue} on {date}.",
    "Singer {person.agent} arrives with {thing.patient} for the {event.occasion}.",
    "{Thing.agent} given by {org.partner} to {person.patient} at the {event.occasion}, {date}.",
    "Visitors look at {thing.agent}, shown by {org.partner} in {gpe.venue}.",
    "{person.agent} of {org.partner} speaks about {thing.patient} at {fac.venue}.",
    "In this {date} photo, {person.agent} leaves {fac.venue} carrying {thing.patient}.",
    "{gpe.venue}: {person.agent} won {thing.patient} at the {event.occasion} on {date}.",
    "{org.agent} is to sell {thing.patient} that once belonged to {person.partner}.",
    "{person.agent} and {person.partner} celebrate at the {event.occasion} in {gpe.venue}.",
    "Fans wave {thing.patient} as {org.agent} beat {org.partner} in the {event.occasion}.",
    "{Thing.agent} in {gpe.venue}, {date}. ({agency.source})",
    "{Thing.agent} beside {thing.partner}, photographed at dawn.",
    "A visitor walks past {thing.patient} on a quiet morning.",
)
_HELDOUT = (
    "Minister {person.agent} receives {thing.patient} from {org.partner} in {gpe.venue}, {date}.",
    "{Thing.agent} at {fac.venue} drew crowds to the {event.occasion} on {date}. Credit: {agency.source}",
    "{person.agent} shows {thing.patient} to {person.partner} outside {fac.venue} in {gpe.venue}.",
    "{org.agent} lent {thing.patient} to the {event.occasion} held in {gpe.venue}, {date}.",
    "{Thing.agent} next to {thing.partner} after the rain.",
    "Coach {person.agent} of {org.partner}, pictured with {thing.patient} on {date}.",
)
_SLOT = re.compile(r"\{(\w+)(?:\.(\w+))?\}")
_LABEL: dict[str, Label] = {
    "person": "PERSON", "org": "ORG", "agency": "ORG", "gpe": "GPE", "event": "EVENT", "fac": "FAC", "date": "DATE",
}  # fmt: skip


@dataclass(frozen=True)
class Entity:
    """``text[start:end]`` of the caption, in characters, and its OntoNotes label."""

    text: str
    label: Label
    start: int
    end: int


@dataclass(frozen=True)
class Subject:
    """``text[start:end]`` of the caption and how much it matters, 0 to 1."""

    text: str
    weight: float
    start: int
    end: int


@dataclass(frozen=True)
class NewsCaption:
    """Entities and subjects stand in the order of the text."""

    text: str
    entities: tuple[Entity, ...]
    subjects: tuple[Subject, ...]


def news_caption(scene: Scene, rng: Rng) -> NewsCaption:
    """A caption about one or two of the scene's objects; its names and phrasing follow the scene's split."""
    split: Split = "heldout" if scene.split == "heldout" else "train"
    templates = [
        t
        for t in (_HELDOUT if split == "heldout" else _TRAIN)
        if len(re.findall(r"\{thing", t, re.IGNORECASE)) <= len(scene.objects)
    ]
    return fill(pick(rng, templates), scene, rng)


def fill(template: str, scene: Scene, rng: Rng) -> NewsCaption:
    """A template with the scene's objects and with names of its split.

    A slot is ``{what.part}``: a thing, person, org, agency, gpe, event or fac, and its part in the sentence,
    a key of ``WEIGHTS``; ``{date}`` takes none. There may be no more things than the scene has objects.
    """
    split: Split = "heldout" if scene.split == "heldout" else "train"
    things = [scene.objects[int(i)] for i in rng.permutation(len(scene.objects))]
    text, at = "", 0
    entities: list[Entity] = []
    subjects: list[Subject] = []
    for slot in _SLOT.finditer(template):
        text += template[at : slot.start()]
        at = slot.end()
        what, part = slot.group(1), slot.group(2)
        filling = _thing(things.pop(), what == "Thing") if what.lower() == "thing" else _name(what, rng, split)
        start, end = len(text), len(text) + len(filling)
        text += filling
        if what in _LABEL:
            entities.append(Entity(filling, _LABEL[what], start, end))
        if part:
            subjects.append(Subject(filling, WEIGHTS[part], start, end))
    return NewsCaption(text + template[at:], tuple(entities), tuple(subjects))


def _name(what: str, rng: Rng, split: Split) -> str:
    match what:
        case "person":
            return names.person(rng, split)
        case "org":
            return names.organisation(rng, split)
        case "agency":
            return names.agency(rng, split)
        case "gpe":
            return names.place(rng, split)
        case "event":
            return names.event(rng, split)
        case "fac":
            return names.landmark(rng, split)
        case _:
            return names.date(rng)


def _thing(thing: SceneObject, opens: bool) -> str:
    lead = NUMBERS[thing.count] if thing.count > 1 else ("an" if thing.colour == "orange" else "a")
    phrase = f"{lead} {thing.colour} {noun(thing.kind, thing.count)}"
    return phrase[0].upper() + phrase[1:] if opens else phrase
