"""The captioner's four tasks, with their right answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from curation.caption.prompts import Prompt, load
from curation.demo.alt_text import web_alt_text
from curation.demo.news import NewsCaption, news_caption
from curation.demo.phrases import dense_caption, short_caption
from curation.demo.training.composed import composed
from curation.demo.truth import Rng, Scene, pick
from schemas.replies import EntityReply, NamedEntities, SubjectReply, SubjectWeights

# Many, so that a title never seen is still no part of a name.
_TITLES = (
    "Mayor", "Singer", "Senator", "Captain", "Professor", "Actor", "Judge", "Doctor", "President", "Painter", "Pilot",
    "Governor", "Author", "Driver", "Bishop", "Chef", "Striker", "Inspector", "Violinist", "King", "Queen", "Director",
    "Ambassador", "Surgeon", "Architect", "Baker", "Sculptor", "Ranger", "Manager", "Trainer", "Farmer", "Goalkeeper",
    "Drummer", "Cellist", "Chancellor", "Premier", "Secretary", "Envoy", "Lawyer", "Teacher", "Student", "Nurse",
    "Sergeant", "General", "Colonel", "Admiral", "Count", "Duke", "Prince", "Princess", "Father", "Sister", "Rabbi",
    "Imam", "Abbot", "Councillor", "Deputy", "Treasurer", "Chairman", "Founder", "Inventor", "Explorer", "Sailor",
    "Cyclist", "Boxer", "Golfer", "Swimmer", "Skier", "Jockey", "Referee", "Umpire", "Midfielder", "Defender", "Poet",
    "Novelist", "Composer", "Dancer", "Comedian", "Presenter", "Reporter", "Editor", "Photographer", "Gardener",
    "Carpenter", "Plumber", "Builder", "Miner", "Fisherman", "Astronaut", "Chemist", "Physicist", "Historian", "Dean",
    "Rector", "Curator", "Collector", "Banker", "Tycoon", "Widow", "Uncle", "Aunt", "Marshal", "Sheriff", "Constable",
    "Commissioner", "Lord", "Lady", "Sir", "Dame", "Emperor", "Sultan", "Pope", "Cardinal", "Pastor", "Monk",
)  # fmt: skip
_WORDS: Mapping[str, Sequence[str]] = {
    "holds": ("holds", "lifts", "admires", "paints", "inspects", "unveils", "accepts", "buys", "presents", "repairs"),
    "poses with": ("poses with", "waits beside", "walks past", "smiles at", "sits behind", "looks after", "paid for"),
    "speaks about": ("speaks about", "writes about", "complains about", "describes", "promotes", "tells of", "praises"),
    "carry": ("carry", "move", "clean", "load", "pull", "bring", "count"),
    "across": ("across", "through", "past", "towards", "over", "into", "around"),
    "arrives with": ("arrives with", "returns with", "performs with", "came with", "dances with"),
    "won": ("won", "lost", "found", "earned", "was handed", "was promised", "took home"),
    "given by": ("given by", "brought by", "sent by", "promised by", "built by", "chosen by"),
    "shown by": ("shown by", "restored by", "made by", "owned by", "displayed by"),
    "seen at": ("seen at", "on view at", "used at", "stolen at", "painted for", "made for", "taken to"),
    "is to sell": ("is to sell", "wants", "will auction", "has bought", "plans to move", "gave away"),
    "stand beside": ("stand beside", "wait by", "argue over", "sit near", "meet beside", "laugh about"),
    "celebrate at": ("celebrate at", "appear at", "met at", "travel to", "sing at", "left"),
    "beat": ("beat", "defeated", "face", "draw with", "thank"),
    "leaves": ("leaves", "enters", "visits", "crosses", "approaches"),
    "carrying": ("carrying", "holding", "pushing", "selling"),
    "during": ("during", "before", "after", "at", "ahead of"),
    "beside": ("beside", "near", "with", "and", "in front of"),
    "Photo:": ("Photo:", "Picture:", "Image:", "Source:", "Photographer:", "Courtesy of", "From"),
    "Photograph:": ("Photograph:", "Pictures:", "Images:", "By", "Photography:"),
    "Visitors": ("Visitors", "Children", "Tourists", "Guests", "Students", "Neighbours"),
    "Workers": ("Workers", "Members", "Volunteers", "Players", "Staff"),
    "Fans": ("Fans", "Supporters", "Onlookers", "Spectators"),
}
_PATTERN = re.compile(r"(?<![\w'])(" + "|".join(sorted(map(re.escape, _WORDS), key=len, reverse=True)) + r")(?!\w)")
_LEADING = re.compile(r"(Mayor|Singer) $")


def reworded(news: NewsCaption, rng: Rng) -> str:
    """The caption with other verbs, prepositions and titles around the same names and things."""
    parts: list[str] = []
    at = 0
    people = {(e.start, e.end) for e in news.entities if e.label == "PERSON"}
    named = {(e.start, e.end) for e in news.entities} | {(s.start, s.end) for s in news.subjects}
    for start, end in sorted(named):
        before = _LEADING.sub("", news.text[at:start]) if (start, end) in people else news.text[at:start]
        parts.append(_PATTERN.sub(lambda m: pick(rng, _WORDS[m.group()]), before))
        if (start, end) in people and rng.random() < 0.5:
            parts.append(pick(rng, _TITLES) + " ")
        parts.append(news.text[start:end])
        at = end
    return "".join(parts) + news.text[at:]


Task = Literal["dense", "short", "entities", "subjects"]
IMAGE_TASKS: tuple[Task, ...] = ("dense", "short")
JSON_TASKS: tuple[Task, ...] = ("entities", "subjects")
# How often the first phrase of a list is taken: fixed habits are learned faster than free choice.
_HABIT = 0.85
# The share of news captions that follow no template.
_COMPOSED = 0.7


@dataclass(frozen=True)
class Example:
    """A question with its right answer."""

    prompt: str
    answer: str


class Habitual(np.random.Generator):
    """Chooses the first of several phrases most of the time, and the usual order."""

    def integers(self, low: Any, high: Any = None, *args: Any, **more: Any) -> Any:
        if high is None:
            return 0 if self.random() < _HABIT else super().integers(low, *args, **more)
        return super().integers(low, min(high, low + 6), *args, **more)

    def permutation(self, x: Any, axis: int = 0) -> Any:
        return np.arange(x) if isinstance(x, int) else super().permutation(x, axis)


def caption(task: Task, scene: Scene, rng: Rng) -> str:
    """A true caption of a training scene, dense or short."""
    habitual = Habitual(rng.bit_generator)
    return dense_caption(scene, habitual) if task == "dense" else short_caption(scene, habitual)


def image_example(task: Task, scene: Scene, stranger: Scene, rng: Rng, visible: Scene | None = None) -> Example:
    """A caption request with the project's prompt and the web's alt text; the answer describes ``visible`` if given.

    Half of the time the alt text belongs to another picture, so that the model relies on the image.
    """
    alt_text = web_alt_text(stranger if rng.random() < 0.5 else scene, rng).text
    return Example(prompt(task).render(alt_text, {}), caption(task, visible or scene, rng))


def news_example(task: Task, scene: Scene, rng: Rng) -> Example:
    """A question about a news caption, without an image."""
    news = composed(scene, rng) if rng.random() < _COMPOSED else news_caption(scene, rng)
    return Example(prompt(task).render(reworded(news, rng), {}), news_answer(task, news))


def news_answer(task: Task, news: NewsCaption) -> str:
    """The JSON that is right, as one line."""
    if task == "entities":
        return NamedEntities(
            entities=[EntityReply(text=e.text, label=e.label) for e in news.entities]
        ).model_dump_json()
    return SubjectWeights(
        subjects=[SubjectReply(text=s.text, weight=s.weight) for s in news.subjects]
    ).model_dump_json()


def prompt(task: Task) -> Prompt:
    """The project's prompt for a task."""
    return _PROMPTS[task]


_PROMPTS = {task: load(task) for task in (*IMAGE_TASKS, *JSON_TASKS)}
