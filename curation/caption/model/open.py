"""From a recipe to a model: which backend, chosen in one place."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from curation.caption.model.chat import ChatModel, ModelIdentity
from curation.caption.model.probe_request import Need
from curation.caption.model.scripted import ScriptedModel
from curation.core.errors import ModelError
from curation.core.stage import Resources
from curation.core.store import Store
from schemas.recipe import Captioning, Chat

_KEY = re.compile(r"\bcaption\.(?=(?:model|backend|endpoints|device|serve)\b)")
_UNNAMED = (
    "no model is named in caption.model; name a served one (--set caption.backend=server "
    """--set 'caption.endpoints=["http://HOST:8000/v1"]' --set caption.model=NAME), a checkpoint by name or folder """
    "(--set caption.model=llava-hf/llava-1.5-7b-hf) or, for a trial, the toy captioner (--set caption.model=demo)"
)


def check_model(settings: Chat) -> ModelIdentity:
    """Checks before any work that the recipe's model can be used, and says which weights will answer.

    Raises ``ModelError`` in one line that says what to change.
    """
    if not settings.model and settings.backend != "scripted":
        raise ModelError(_in_keys_of(settings, _UNNAMED))
    try:
        return _identity(settings)
    except ModelError as error:
        raise ModelError(_in_keys_of(settings, str(error))) from error


def _identity(settings: Chat) -> ModelIdentity:
    match settings.backend:
        case "transformers":
            from curation.caption.model.checkpoint import identify

            return identify(settings.model, settings.revision, images=isinstance(settings, Captioning))
        case "server" if settings.serve.python:
            from curation.caption.model.checkpoint import identify
            from curation.caption.model.vllm_server import check_environment

            check_environment(settings.serve)
            return identify(settings.model, settings.revision, images=isinstance(settings, Captioning))
        case "server":
            from curation.caption.model.probe import probe

            return probe(settings.endpoints, settings.model, settings.revision, _api_key(settings))
        case "scripted":
            return ScriptedModel().identity


def check_needs(settings: Chat, identity: ModelIdentity, needs: Sequence[Need], *, image_side: int) -> None:
    """Asks running servers whether they can do what these prompts ask. Raises ``ModelError``.

    A server that the run itself starts is asked when it has started.
    """
    if settings.backend == "server" and settings.endpoints:
        from curation.caption.model.preflight import check_fitness

        try:
            check_fitness(settings.endpoints, identity.name, needs, image_side=image_side, api_key=_api_key(settings))
        except ModelError as error:
            raise ModelError(_in_keys_of(settings, str(error))) from error


def worker_resources(settings: Chat) -> Resources:
    """What a worker that asks this model holds.

    GPUs where ``device`` is "cuda" and the worker itself computes on them: one for a model in its process, those
    of a server that it starts, none for servers that run elsewhere. Two shards are in flight where a server is
    asked, whose batch stays full while the last replies of a shard come in; a model in the process computes one
    batch after another.
    """
    gpus = 0
    match settings.backend:
        case "transformers":
            gpus = 1
        case "server" if settings.serve.python:
            gpus = settings.serve.tensor_parallel
    overlap = 2 if settings.backend == "server" else 1
    return Resources(gpus=float(gpus if settings.device == "cuda" else 0), workers=settings.workers, overlap=overlap)


def logs_of(store: Store | None) -> Path | None:
    """The folder of a root for logs of what a run starts; none where the root is no folder."""
    return Path(store.path("logs")) if store is not None and store.is_local else None


def build_model(
    settings: Chat,
    identity: ModelIdentity,
    *,
    logs: Path | None = None,
    needs: Sequence[Need] = (),
    image_side: int = 0,
) -> ChatModel:
    """The recipe's model, open; ``identity`` is what ``check_model`` found. Close it after use.

    A server that is started here writes its log into the folder ``logs`` and is asked for ``needs`` first
    (see ``check_needs``).
    """
    match settings.backend:
        case "transformers":
            from curation.caption.model.transformers import TransformersModel

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
        case "server" if settings.serve.python:
            from curation.caption.model.preflight import check_fitness
            from curation.caption.model.served import ServedModel

            model = ServedModel(settings, identity, logs)
            try:
                check_fitness([model.server.url], identity.name, needs, image_side=image_side)
            except BaseException:
                model.close()
                raise
            return model
        case "server":
            from curation.caption.model.server import ServerModel

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


def _in_keys_of(settings: Chat, message: str) -> str:
    """This room's messages name the keys of ``caption``; where another part is asked about, its own are meant."""
    return message if isinstance(settings, Captioning) else _KEY.sub("llm.", message)


def _api_key(settings: Chat) -> str:
    if not settings.api_key_env:
        return ""
    key = os.environ.get(settings.api_key_env)
    if not key:
        raise ModelError(f"api_key_env names {settings.api_key_env!r}, which is not set; export it")
    return key
