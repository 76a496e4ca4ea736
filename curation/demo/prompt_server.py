"""A server that writes the demo world's prompts, and answers questions from truth.

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
from typing import Any, ClassVar

from curation.demo.prompt_writer import BRIEF, answer, scene_of, write
from curation.demo.reply_server import ReplyServer, text_of
from curation.demo.truth import Scene

_QUESTION = re.compile(r"<statement>(.*)</statement>", re.S)
_DATA = re.compile(r"data:[^;]*;base64,(.*)", re.S)


class PromptServer(ReplyServer):
    """``scenes`` maps the sha256 (hex) of a picture's bytes to its scene; ``spoil`` may change a reply, given the
    brief's text and the reply, as a model with faults would."""

    MODEL: ClassVar[str] = "demo-prompt-writer"

    def __init__(
        self,
        port: int = 0,
        scenes: Mapping[str, Scene] | None = None,
        spoil: Callable[[str, dict[str, Any]], Any] = lambda brief, reply: reply,
    ) -> None:
        super().__init__(port)
        self.scenes = dict(scenes or {})
        self.spoil = spoil
        self.asked = 0
        self._lock = threading.Lock()

    def reply(self, body: Mapping[str, Any]) -> str:
        with self._lock:
            self.asked += 1
        text, image = text_of(body), _image_of(body)
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


def _image_of(body: Mapping[str, Any]) -> bytes | None:
    """The bytes of the picture of the last message, where it has one."""
    content = body["messages"][-1]["content"]
    parts = [] if isinstance(content, str) else content
    urls = [_DATA.fullmatch(part["image_url"]["url"]) for part in parts if part["type"] == "image_url"]
    return next((base64.b64decode(m[1]) for m in urls if m), None)
