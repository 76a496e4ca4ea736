"""An OpenAI-compatible server on 127.0.0.1 for what stands in for models in the demo and in tests."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self


class ReplyServer:
    """Listens between ``with`` and its end; a subclass says under which name, and what it replies."""

    MODEL: ClassVar[str]

    def __init__(self, port: int = 0) -> None:
        self._http = _Http(("127.0.0.1", port), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """What ``llm.endpoints`` names."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def reply(self, body: Mapping[str, Any]) -> str:
        """The text of a reply to a chat request."""
        raise NotImplementedError


def text_of(body: Mapping[str, Any]) -> str:
    """The text of the last message of a request, without its pictures."""
    content = body["messages"][-1]["content"]
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part["type"] == "text")


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    owner: ReplyServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def do_GET(self) -> None:
        self._send({"object": "list", "data": [{"id": self.server.owner.MODEL, "object": "model", "owned_by": "demo"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = self.server.owner.reply(body)
        usage = {"prompt_tokens": len(str(body)) // 4, "completion_tokens": len(text) // 4}
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        found = {"id": "demo", "object": "chat.completion", "model": self.server.owner.MODEL}
        self._send({**found, "choices": [choice], "usage": usage})

    def _send(self, found: dict[str, Any]) -> None:
        data = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""
