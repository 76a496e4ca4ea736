"""From a recipe to a model: the one place that chooses the backend."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from curation.caption.model.chat import ChatModel, ModelIdentity
from curation.caption.model.probe_request import ProbeRequest
from curation.caption.model.scripted import ScriptedModel
from curation.core.errors import ModelError
from curation.core.stage import Resources
from curation.core.store import Store
from schemas.chat import Chat, Seeing

_USUAL_SIDE = 512  # pixels of a test picture where images are sent as exported
_KEY = re.compile(r"\bcaption\.(?=(?:model|backend|endpoints|device|serve|parameters|ca_bundle)\b)")
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

            return identify(settings.model, settings.revision, images=isinstance(settings, Seeing))
        case "server" if settings.serve.python:
            from curation.caption.model.checkpoint import identify
            from curation.caption.model.vllm_server import check_environment

            check_environment(settings.serve)
            return identify(settings.model, settings.revision, images=isinstance(settings, Seeing))
        case "server":
            from curation.caption.model.probe import probe

            return probe(
                settings.endpoints,
                settings.model,
                settings.revision,
                _key(settings.api_key_env),
                ca_bundle=settings.ca_bundle,
                parameters=settings.parameters,
            )
        case "scripted":
            return ScriptedModel().identity


def check_probes(settings: Chat, identity: ModelIdentity, probes: Sequence[ProbeRequest]) -> None:
    """Sends servers that run already the longest request of each kind. Raises ``ModelError``.

    Each comes with an image if the model looks at images. A server that the run itself starts is asked when it has
    started.
    """
    if settings.backend == "server" and settings.endpoints:
        _preflight(settings, settings.endpoints, identity, probes)


def _preflight(
    settings: Chat, endpoints: Sequence[str], identity: ModelIdentity, probes: Sequence[ProbeRequest]
) -> None:
    from curation.caption.model.preflight import preflight

    try:
        preflight(
            endpoints,
            identity.name,
            probes,
            image_side=(settings.image_size or _USUAL_SIDE) if isinstance(settings, Seeing) else 0,
            api_key=_key(settings.api_key_env) if settings.endpoints else "",
            parameters=settings.parameters,
            ca_bundle=settings.ca_bundle,
            timeout=settings.timeout,
        )
    except ModelError as error:
        raise ModelError(_in_keys_of(settings, str(error))) from error


def arithmetic(settings: Chat, batch: int | None) -> dict[str, str | int]:
    """What decides a reply besides weights, prompt and sampling (see ``reply_key``); ``batch`` is the model's."""
    found: dict[str, str | int] = {} if batch is None else {"dtype": settings.dtype, "batch": batch}
    changed = settings.parameters.deciding()
    if settings.backend == "server" and (changed["drop"] or changed["add"]):
        # A field that is renamed means the same.
        found["parameters"] = json.dumps({k: changed[k] for k in ("drop", "add")}, sort_keys=True)
    return found


def worker_resources(settings: Chat) -> Resources:
    """The resources of a worker that asks this model.

    It holds GPUs where ``device`` is "cuda" and it computes on them itself: one for a model in its process, those
    of a server that it starts, none for servers that run elsewhere. Two shards are in flight where a server is
    asked, so that its batch stays full while the last replies of a shard come in; a model in the process computes
    one batch after another.
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
    probes: Sequence[ProbeRequest] = (),
) -> ChatModel:
    """Opens the recipe's model; ``identity`` is what ``check_model`` returned. Close it after use.

    A server that is started here writes its log into the folder ``logs`` and is sent the ``probes`` first
    (see ``check_probes``).
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
            from curation.caption.model.vllm_server import ServedModel

            model = ServedModel(settings, identity, logs)
            try:
                _preflight(settings, [model.server.url], identity, probes)
            except BaseException:
                model.close()
                raise
            return model
        case "server":
            from curation.caption.model.server import ServerModel

            return ServerModel(
                settings.endpoints,
                identity,
                api_key=_key(settings.api_key_env),
                concurrency=settings.concurrency,
                timeout=settings.timeout,
                retries=settings.retries,
                parameters=settings.parameters,
                ca_bundle=settings.ca_bundle,
            )
        case "scripted":
            return ScriptedModel(recording=False)  # a whole run's requests and pictures would stay in memory


def _in_keys_of(settings: Chat, message: str) -> str:
    """The message with the keys of the table that these settings are; it names those of ``caption``."""
    return _KEY.sub(f"{settings.part}.", message)


def _key(variable: str) -> str:
    """The key that the variable holds. Raises ``ModelError`` for one that cannot be sent."""
    from curation.caption.model.connection import read_key  # brings the client, which asking a root does without

    return read_key(variable)
