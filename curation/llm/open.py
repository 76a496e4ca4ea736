"""From a recipe to a model: which backend, chosen in one place."""

from __future__ import annotations

import os

from curation.errors import ModelError
from curation.llm.chat import ChatModel, ModelIdentity
from curation.llm.scripted import ScriptedModel
from schemas.recipe import Captioning


def check_model(settings: Captioning) -> ModelIdentity:
    """Checks before any work that the recipe's model can be used, and says which weights will answer.

    Raises ``ModelError`` in one line that says what to change.
    """
    match settings.backend:
        case "transformers":
            from curation.llm.checkpoint import identify

            return identify(settings.model, settings.revision)
        case "server":
            from curation.llm.probe import probe

            return probe(settings.endpoints, settings.model, settings.revision, _api_key(settings))
        case "scripted":
            return ScriptedModel().identity


def build_model(settings: Captioning, identity: ModelIdentity) -> ChatModel:
    """The recipe's model, open; ``identity`` is what ``check_model`` found. Close it after use."""
    match settings.backend:
        case "transformers":
            from curation.llm.transformers import TransformersModel

            cores = os.cpu_count() or 1
            return TransformersModel(
                settings.model,
                identity,
                revision=settings.revision,
                batch=settings.batch,
                device=settings.device,
                dtype=settings.dtype,
                threads=max(1, cores // settings.workers) if settings.workers else 1,
            )
        case "server":
            from curation.llm.server import ServerModel

            return ServerModel(
                settings.endpoints,
                identity,
                api_key=_api_key(settings),
                concurrency=settings.concurrency,
                timeout=settings.timeout,
                retries=settings.retries,
            )
        case "scripted":
            return ScriptedModel()


def _api_key(settings: Captioning) -> str:
    if not settings.api_key_env:
        return ""
    key = os.environ.get(settings.api_key_env)
    if not key:
        raise ModelError(f"caption.api_key_env names {settings.api_key_env!r}, which is not set; export it")
    return key
