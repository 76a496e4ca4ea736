"""Measures a captioner on held-out scenes of the demo world: ``python -m curation.demo.training.score``.

The questions are the project's own prompts with the alt texts of the demo web, sent through the ordinary path of a
recipe. All figures are computed from the scenes' truth; ``curation.demo.claims`` reads what a text claims.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from curation.caption.model.chat import ChatModel, ChatReply, ChatRequest, Sampling
from curation.caption.model.checkpoint import identify
from curation.caption.model.probe import probe
from curation.caption.model.server import ServerModel
from curation.caption.model.transformers import TransformersModel
from curation.core.checkpoints import Device
from curation.demo.agreement import spearman
from curation.demo.alt_text import web_alt_text
from curation.demo.claims import Aspect
from curation.demo.judge import Judgement, judge
from curation.demo.news import NewsCaption, news_caption
from curation.demo.render import jpeg
from curation.demo.training.saving import LOG, save_figures
from curation.demo.training.tasks import Task, prompt
from curation.demo.truth import Scene, generator
from curation.demo.world import scene
from schemas.replies import NamedEntities, SubjectWeights

# A world that nothing is trained on. Some of its held-out replies were read when the lessons on news captions were
# written; no held-out word went into them.
SEED = 909
_TOKENS: dict[Task, int] = {"dense": 200, "short": 80, "entities": 200, "subjects": 200}
_REPLIES: dict[Task, type[BaseModel]] = {"entities": NamedEntities, "subjects": SubjectWeights}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """A scene with all questions about it."""

    scene: Scene
    alt_text: str
    news: NewsCaption


def measure(model: str, count: int = 1000, device: Device = "auto", batch: int = 64) -> dict[str, float]:
    """All figures of a checkpoint on ``count`` held-out scenes. Raises ``ModelError`` for one that cannot be used."""
    loaded = TransformersModel(model, identify(model), batch=batch, device=device)
    try:
        return measure_model(loaded, [_asked(i) for i in range(count)])
    finally:
        loaded.close()


def measure_served(endpoint: str, model: str, count: int = 1000) -> dict[str, float]:
    """All figures of a checkpoint behind a server; JSON replies are guided by their schema.

    Raises ``ModelError`` if the server does not serve ``model``.
    """
    served = ServerModel([endpoint], probe([endpoint], model, "main"))
    try:
        return measure_model(served, [_asked(i) for i in range(count)], guided=True)
    finally:
        served.close()


def measure_model(model: ChatModel, asked: Sequence[Asked], *, guided: bool = False) -> dict[str, float]:
    """All figures of an open model; ``guided`` sends the schema of JSON replies, if the model supports it."""
    started = time.monotonic()
    replies = {task: _replies(model, task, asked, guided) for task in _TOKENS}
    seconds = time.monotonic() - started
    tokens = sum(r.tokens_out or 0 for answers in replies.values() for r in answers)
    dense = [judge(a.scene, r.text or "") for a, r in zip(asked, replies["dense"], strict=True)]
    short = [judge(a.scene, r.text or "") for a, r in zip(asked, replies["short"], strict=True)]
    news = [a.news for a in asked]
    words = [len((r.text or "").split()) for r in replies["dense"]]
    return {
        "held-out scenes": len(asked),
        **caption_figures(dense),
        "dense captions of 50 to 120 words": float(np.mean([50 <= n <= 120 for n in words])),
        "short captions with a false claim": float(np.mean([bool(j.false) for j in short])),
        "short captions: objects F1": _objects(short),
        **entity_figures(news, [r.text for r in replies["entities"]]),
        **subject_figures(news, [r.text for r in replies["subjects"]]),
        "tokens a second": tokens / seconds,
    }


def caption_figures(judged: Sequence[Judgement]) -> dict[str, float]:
    """Figures of dense captions. Colour, count, size and place are shares of the objects named correctly."""
    stated = sum(len(_of(j.stated, "relation")) for j in judged)
    claimed = sum(len(_of(j.true | j.false, "relation")) for j in judged)
    true = sum(len(_of(j.true, "relation")) for j in judged)
    facts = sum(len(_of(j.facts, "relation")) for j in judged)
    recall, precision = stated / max(1, facts), true / max(1, claimed)
    return {
        "objects F1": _objects(judged),
        "colour": _of_named(judged, "colour"),
        "count": _of_named(judged, "count"),
        "relations": 2 * recall * precision / max(1e-9, recall + precision),
        "captions with a false claim": float(np.mean([bool(j.false) for j in judged])),
        "size": _of_named(judged, "size"),
        "place": _of_named(judged, "place"),
        "relations: recall": recall,
        "relations: precision": precision,
        "background": float(np.mean([j.recall_of("background") or 0.0 for j in judged])),
        "written words": _recall(judged, "text"),
        "facts stated": float(np.mean([j.recall for j in judged])),
    }


def entity_figures(news: Sequence[NewsCaption], replies: Sequence[str | None]) -> dict[str, float]:
    """F1 over exact spans with their labels, and the share of replies that are valid JSON."""
    right = given = there = valid = 0
    for caption, reply in zip(news, replies, strict=True):
        try:
            found = NamedEntities.model_validate_json(reply or "").entities
            valid += 1
        except ValueError:
            found = []
        spans = _spans(caption.text, [e.text for e in found])
        claimed = {(at, len(e.text), e.label) for at, e in zip(spans, found, strict=True)}
        truth = {(e.start, len(e.text), e.label) for e in caption.entities}
        right += len(claimed & truth)
        given += len(found)
        there += len(truth)
    return {"entities F1": 2 * right / max(1, given + there), "entities: valid JSON": valid / len(news)}


def subject_figures(news: Sequence[NewsCaption], replies: Sequence[str | None]) -> dict[str, float]:
    """Spearman's correlation of the weights, the mean over captions of two and more subjects; a subject
    missing from the reply has weight 0, and a reply with equal weights has correlation 0."""
    pairs: list[tuple[list[float], list[float]]] = []
    valid = 0
    for caption, reply in zip(news, replies, strict=True):
        try:
            weights = {s.text: s.weight for s in SubjectWeights.model_validate_json(reply or "").subjects}
            valid += 1
        except ValueError:
            weights = {}
        pairs.append(([s.weight for s in caption.subjects], [weights.get(s.text, 0.0) for s in caption.subjects]))
    return {"subject weights Spearman": spearman(pairs), "subjects: valid JSON": valid / len(news)}


def _asked(index: int) -> Asked:
    shown, rng = scene(SEED, index, "heldout"), generator(SEED, 1, index)
    return Asked(shown, web_alt_text(shown, rng).text, news_caption(shown, rng))


def _replies(model: ChatModel, task: Task, asked: Sequence[Asked], guided: bool) -> list[ChatReply]:
    found = {r.key: r for r in model.complete(_requests(task, asked, guided))}
    return [found[str(i)] for i in range(len(asked))]


def _requests(task: Task, asked: Iterable[Asked], guided: bool) -> Iterator[ChatRequest]:
    for at, one in enumerate(asked):
        sampling = Sampling(max_tokens=_TOKENS[task])
        if task in ("dense", "short"):
            yield ChatRequest(str(at), prompt(task).render(one.alt_text, {}), image=jpeg(one.scene), sampling=sampling)
        else:
            reply_type = _REPLIES[task] if guided else None
            user = prompt(task).render(one.news.text, {})
            yield ChatRequest(str(at), user, sampling=sampling, reply_type=reply_type)


def _spans(text: str, parts: Sequence[str]) -> list[int]:
    """The position of each part, searched after the part before; -1 if it is missing."""
    found, after = [], 0
    for part in parts:
        at = text.find(part, after)
        at = text.find(part) if at < 0 else at
        found.append(at)
        after = at + len(part) if at >= 0 else after
    return found


def _of(claims: Iterable[object], aspect: Aspect) -> list[object]:
    return [c for c in claims if getattr(c, "aspect", None) == aspect]


def _objects(judged: Sequence[Judgement]) -> float:
    right = sum(len(_of(j.stated, "object")) for j in judged)
    wrong = sum(len(_of(j.false, "object")) for j in judged)
    there = sum(len(_of(j.facts, "object")) for j in judged)
    return 2 * right / max(1, right + wrong + there)


def _of_named(judged: Sequence[Judgement], aspect: Aspect) -> float:
    """The share of the correctly named objects whose aspect is stated, and never stated falsely."""
    right = named = 0
    for j in judged:
        there = {c.subject for c in j.stated if c.aspect == "object"}
        stated = {c.subject for c in j.stated if c.aspect == aspect} - {
            c.subject for c in j.false if c.aspect == aspect
        }
        right += len(there & stated)
        named += len(there)
    return right / max(1, named)


def _recall(judged: Sequence[Judgement], aspect: Aspect) -> float:
    facts = sum(len(_of(j.facts, aspect)) for j in judged)
    return sum(len(_of(j.stated, aspect)) for j in judged) / max(1, facts)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m curation.demo.training.score", description=__doc__)
    parser.add_argument("--model", default="demo", help="a checkpoint folder, or demo for the one that is shipped")
    parser.add_argument("--scenes", type=int, default=1000, help="held-out scenes to measure on")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--endpoint", default="", help="ask the server at this base URL, which serves --model")
    parser.add_argument("--write", action="store_true", help="write the figures into the folder's model card")
    options = parser.parse_args(arguments)
    if options.endpoint:
        figures = measure_served(options.endpoint, options.model, options.scenes)
    else:
        figures = measure(options.model, options.scenes, options.device)
    for name, value in figures.items():
        sys.stdout.write(f"{name:36} {value:.4g}\n")
    if options.write:
        folder = Path(options.model)
        records = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
        save_figures(folder, figures, records)
    return 0


if __name__ == "__main__":
    sys.exit(main())
