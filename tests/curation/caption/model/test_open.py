"""A worker holds the GPUs that it computes on itself, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from curation.caption.model.chat import ModelIdentity
from curation.caption.prompts import load
from curation.caption.recaption_stage import RecaptionStage
from curation.core.stage import digest
from curation.news.entities_stage import EntitiesStage
from curation.news.subjects_stage import SubjectsStage
from schemas.anchor import Entities, Subjects
from schemas.chat import Captioning, Chat, Serve
from tests.support.chat_server import MODEL

IDENTITY = ModelIdentity(MODEL, "main")
OWN = Serve(python="/srv/vllm/bin/python", tensor_parallel=2)
ELSEWHERE = ["http://127.0.0.1:9/v1"]


def news_stages(chat: Chat) -> list[EntitiesStage | SubjectsStage]:
    return [
        EntitiesStage(Entities(recogniser="llm"), IDENTITY, chat, load("entities")),
        SubjectsStage(Subjects(), IDENTITY, chat, load("subjects")),
    ]


@pytest.mark.parametrize(
    ("settings", "gpus"),
    [
        ({"backend": "transformers", "device": "cuda"}, 1.0),
        ({"backend": "transformers", "device": "cuda", "serve": Serve(tensor_parallel=4)}, 1.0),
        ({"backend": "transformers", "device": "cpu"}, 0.0),
        ({"backend": "transformers"}, 0.0),
        ({"backend": "server", "device": "cuda", "serve": OWN}, 2.0),
        ({"backend": "server", "serve": OWN}, 0.0),
        ({"backend": "server", "device": "cuda", "endpoints": ELSEWHERE}, 0.0),
        ({"backend": "scripted", "device": "cuda"}, 0.0),
    ],
)
def test_whoever_asks_a_model_reserves_the_gpus_that_its_worker_computes_on(
    settings: dict[str, Any], gpus: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curation.caption.captioners.check_model", lambda recipe: IDENTITY)
    stages = [*news_stages(Chat(**settings, workers=0)), RecaptionStage.of(Captioning(**settings, workers=0))]
    assert [(s.resources.gpus, s.resources.workers) for s in stages] == [(gpus, 0)] * 3


def test_what_a_worker_holds_changes_no_digest() -> None:
    for on, off in zip(news_stages(Chat(device="cuda")), news_stages(Chat()), strict=True):
        assert on.resources != off.resources and digest(on) == digest(off)


def test_rules_hold_no_gpu() -> None:
    assert EntitiesStage(Entities(workers=3), IDENTITY).resources.workers == 3
    assert SubjectsStage(Subjects(method="salience")).resources.gpus == 0
