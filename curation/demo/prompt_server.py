"""An OpenAI-compatible server on 127.0.0.1 that writes the demo world's prompts, and answers questions from truth.

It is no model: it recognises a picture by its bytes, which it was told, and answers by the scene that they were drawn
from. The demo and tests use it where a language model and a vision-language model would be.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from curation.demo.prompt_writer import BRIEF, answer, scene_of, write
from curation.demo.truth import Scene

MODEL = "demo-prompt-writer"
_QUESTION = re.compile(r"<statement>(.*)</statement>", re.S)
_DATA = re.compile(r"data:[^;]*;base64,(.*)", re.S)


class PromptServer:
    """Listens between ``with`` and its end. ``scenes`` maps the sha256 (hex) of a picture's bytes to its scene;
    ``spoil`` may change a reply, given the brief's text and the reply, as a model with faults would."""

    def __init__(
        self,
        port: int = 0,
        scenes: Mapping[str, Scene] | None = None,
        spoil: Callable[[str, dict[str, Any]], Any] = lambda brief, reply: reply,
    ) -> None:
        self.scenes = dict(scenes or {})
        self.spoil = spoil
        self.asked = 0
        self._lock = threading.Lock()
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
        with self._lock:
            self.asked += 1
        text, image = _parts(body["messages"][-1]["content"])
        if image is not None:
            return self._answer(text, image)
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
        if "honoured" in schema.get("properties", {}):
            return '{"honoured":true}'  # the question by which a run finds out that schemas are kept to
        found = BRIEF.search(text)
        category, number = (found[1], int(found[2])) if found else ("things", 0)
        return json.dumps(self.spoil(text, write(scene_of(category, number))))

    def _answer(self, text: str, image: bytes) -> str:
        found = self.scenes.get(hashlib.sha256(image).hexdigest())
        asked = _QUESTION.search(text)
        if found is None or asked is None:
            return "no"
        return "yes" if answer(found, asked[1]) else "no"


def _parts(content: str | list[dict[str, Any]]) -> tuple[str, bytes | None]:
    """The text of a message, and the bytes of its picture."""
    if isinstance(content, str):
        return content, None
    text = " ".join(part["text"] for part in content if part["type"] == "text")
    urls = [_DATA.fullmatch(part["image_url"]["url"]) for part in content if part["type"] == "image_url"]
    return text, next((base64.b64decode(m[1]) for m in urls if m), None)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    owner: PromptServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def do_GET(self) -> None:
        self._send({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "demo"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = self.server.owner.reply(body)
        usage = {"prompt_tokens": len(str(body)) // 4, "completion_tokens": len(text) // 4}
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        self._send({"id": "demo", "object": "chat.completion", "model": MODEL, "choices": [choice], "usage": usage})

    def _send(self, found: dict[str, Any]) -> None:
        data = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""
