"""A model behind a server that is started for it: the client of ``server.py``, the process of ``vllm_server.py``."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from curation.caption.model.chat import ChatReply, ChatRequest, ModelIdentity
from curation.caption.model.checkpoint import locate
from curation.caption.model.server import ServerModel
from curation.caption.model.vllm_server import VllmServer, command_of, free_port
from schemas.recipe import Chat


class ServedModel:
    """Starts a server on this machine and asks it. Each worker has its own, so that a worker uses the GPUs it holds."""

    batch = None

    def __init__(self, settings: Chat, identity: ModelIdentity, logs: Path | None = None) -> None:
        """Returns when the server answers. Raises ``ModelError`` with the last error of its log when it does not."""
        serve = settings.serve
        port = serve.port or free_port()
        folder = logs or Path(tempfile.gettempdir()) / f"lapidary-{os.getuid()}"
        self.identity = identity
        self.server = VllmServer(
            command_of(serve, locate(settings.model), identity.name, settings.revision, port),
            port,
            folder / f"vllm-{socket.gethostname()}-{port}.log",
            start_timeout=serve.start_timeout,
            restarts=serve.restarts,
        )
        self.server.start()
        self._client = ServerModel(
            [self.server.url],
            identity,
            concurrency=settings.concurrency,
            timeout=settings.timeout,
            retries=settings.retries,
            # Longer than a restart may take; ``gone`` ends the wait where no restart is left.
            patience=serve.start_timeout + settings.timeout,
            gone=lambda: self.server.gone,
            parameters=settings.parameters,
        )

    def complete(self, requests: Iterable[ChatRequest]) -> Iterator[ChatReply]:
        return self._client.complete(requests)

    def close(self) -> None:
        """Drops what is in flight and ends the server."""
        self._client.close()
        self.server.close()
