"""The four things the captioner is asked, and the right answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from curation.caption.prompts import Prompt, load
from curation.demo.alt_text import web_alt_text
from curation.demo.news import NewsCaption, news_caption
from curation.demo.phrases import dense_caption, short_caption
from curation.demo.training.composed import composed
from curation.demo.training.rewording import reworded
from curation.demo.truth import Rng, Scene
from schemas.replies import EntityReply, NamedEntities, SubjectReply, SubjectWeights

Task = Literal["dense", "short", "entities", "subjects"]
IMAGE_TASKS: tuple[Task, ...] = ("dense", "short")
JSON_TASKS: tuple[Task, ...] = ("entities", "subjects")
# How often the first phrase of a list is taken: a captioner with habits is learned sooner than a free speaker.
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


def image_example(task: Task, scene: Scene, stranger: Scene, rng: Rng, told: Scene | None = None) -> Example:
    """A caption asked for with the project's prompt and the web's alt text, of ``told`` where a witness tells less.

    Half of the time the alt text belongs to another picture: what it says is no evidence, the image is.
    """
    alt_text = web_alt_text(stranger if rng.random() < 0.5 else scene, rng).text
    return Example(prompt(task).render(alt_text, {}), caption(task, told or scene, rng))


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
