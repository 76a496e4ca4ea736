"""One open model for all kinds of a recipe, as tests and benchmarks hand it to the recaption stage's work."""

from __future__ import annotations

from collections.abc import Mapping

from curation.caption.captioners import OpenCaptioner
from curation.caption.model.chat import ChatModel
from curation.caption.recaption_stage import RecaptionStage
from curation.core.losses import Losses


def for_all_kinds(stage: RecaptionStage, model: ChatModel) -> Mapping[str, OpenCaptioner]:
    """The model by kind."""
    opened = OpenCaptioner(model, Losses(stage.name, stage.stop_at_share))
    return {question.kind: opened for question in stage.questions}
