"""A hub on 127.0.0.1 that speaks what ``huggingface_hub`` asks: repositories, preupload, LFS with parts, commits.

Written from the client's requests and the public descriptions of git-lfs' batch API; it keeps everything in memory and
counts what it is sent.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "hf_" + "x" * 34
_LARGE = (".tar", ".parquet", ".safetensors")


@dataclass
class Hub:
    """What the server holds. ``files``: name -> bytes as committed; ``objects``: sha256 -> bytes of large files.

    Large files of more than ``part`` bytes come in parts. After ``fail_after`` uploads every further one fails.
    """

    part: int = 1 << 20
    fail_after: int | None = None
    repositories: dict[str, bool] = field(default_factory=dict)  # name -> private
    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    objects: dict[str, bytes] = field(default_factory=dict)
    parts: dict[tuple[str, int], bytes] = field(default_factory=dict)
    uploads: list[str] = field(default_factory=list)  # sha256, once a file or a part
    commits: list[list[str]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    refused: int = 0
    busy: int = 0  # requests that are still to be answered with 503
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    arrived: threading.Event = field(default_factory=threading.Event)
    hold: threading.Event | None = None  # uploads wait for it after the first one

    def tree(self) -> list[dict[str, Any]]:
        """The listing of the repository's files."""
        found = []
        for name, data in sorted(self.files.items()):
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
            entry: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": blob}
            if name in self.large:
                sha = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"oid": sha, "size": len(data), "pointerSize": 130}
            found.append(entry)
        return found

    def batch(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Where large files go; those that are there need no upload."""
        objects = []
        for one in asked["objects"]:
            entry = {"oid": one["oid"], "size": one["size"]}
            if one["oid"] not in self.objects:
                href, header = f"{self.url}/store/{one['oid']}", {}
                if one["size"] > self.part:
                    count = -(-one["size"] // self.part)
                    header = {str(n + 1): f"{href}/{n + 1}" for n in range(count)} | {"chunk_size": str(self.part)}
                entry["actions"] = {
                    "upload": {"href": href, "header": header},
                    "verify": {"href": f"{self.url}/verify"},
                }
            objects.append(entry)
        return {"transfer": "basic", "objects": objects}

    def commit(self, lines: list[dict[str, Any]]) -> None:
        """All of a commit, or nothing of it."""
        after, large, changed = dict(self.files), set(self.large), []
        for line in lines[1:]:
            value = line["value"]
            name = value["path"]
            changed.append(name)
            match line["key"]:
                case "file":
                    after[name] = base64.b64decode(value["content"])
                    large.discard(name)
                case "lfsFile":
                    after[name] = self.objects[value["oid"]]
                    large.add(name)
                case "deletedFile":
                    del after[name]
        self.files, self.large = after, large
        self.commits.append(changed)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        hub, parts = self.server.hub, urlsplit(self.path)
        name = "/".join(parts.path.split("/")[3:5])
        if self._known() and parts.path.startswith("/api/datasets/"):
            if hub.busy:
                hub.busy -= 1
                self._say(503, {"error": "busy"})
            elif name not in hub.repositories:
                self._say(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            elif "/tree/" in parts.path:
                assert parse_qs(parts.query)["recursive"][0].lower() == "true"
                self._say(200, hub.tree())
            else:
                self._say(200, {"id": name, "sha": "0" * 40})

    def do_POST(self) -> None:
        hub, path = self.server.hub, urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not (path.startswith("/store/") or self._known()):  # addresses of the store are signed, in the hub's way
            return
        said = json.loads(body) if body and not path.endswith("/commit/main") else {}
        with hub.lock:
            if path == "/api/repos/create":
                name = f"{said['organization']}/{said['name']}"
                fresh = name not in hub.repositories
                hub.repositories.setdefault(name, said.get("visibility") == "private" or bool(said.get("private")))
                address = {"url": f"{hub.url}/datasets/{name}", "id": name}
                self._say(200, address) if fresh else self._say(409, address | {"error": "exists"})
            elif path == "/api/validate-yaml":
                self._say(200, {"errors": [], "warnings": []})
            elif "/preupload/" in path:
                modes = [(f["path"], "lfs" if f["path"].endswith(_LARGE) else "regular") for f in said["files"]]
                self._say(200, {"files": [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes]})
            elif path.endswith("/info/lfs/objects/batch"):
                self._say(200, hub.batch(said))
            elif path.endswith("/commit/main"):
                hub.commit([json.loads(line) for line in body.splitlines()])
                self._say(
                    200,
                    {
                        "commitUrl": f"{hub.url}/{path[5:].rpartition('/commit/')[0]}/commit/{'1' * 40}",
                        "commitOid": "1" * 40,
                        "success": True,
                    },
                )
            elif path == "/verify":
                self._say(200 if said["oid"] in hub.objects else 404, {})
            elif path.startswith("/store/"):  # all parts have arrived
                oid = path.split("/")[2]
                data = b"".join(hub.parts.pop((oid, part["partNumber"])) for part in said["parts"])
                assert hashlib.sha256(data).hexdigest() == oid
                hub.objects[oid] = data
                self._say(200, {})
            else:
                self._say(404, {"error": path})

    def do_PUT(self) -> None:
        hub, names = self.server.hub, urlsplit(self.path).path.split("/")
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if hub.hold is not None and hub.uploads:
            hub.arrived.set()
            hub.hold.wait(60)
        with hub.lock:
            if hub.fail_after is not None and len(hub.uploads) >= hub.fail_after:
                self._say(400, {"error": "full"})  # which the client does not try again
                return
            hub.uploads.append(names[2])
            if len(names) > 3:
                hub.parts[names[2], int(names[3])] = data
            else:
                assert hashlib.sha256(data).hexdigest() == names[2]
                hub.objects[names[2]] = data
        self._say(200, {}, {"ETag": f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'})

    def _known(self) -> bool:
        hub = self.server.hub
        hub.requests.append(f"{self.command} {urlsplit(self.path).path}")
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        hub.refused += 1
        self._say(401, {"error": f"Invalid token {self.headers.get('Authorization')}"})
        return False

    def _say(self, status: int, said: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(said).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: Hub

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no error."""


@contextmanager
def serving_hub(**settings: Any) -> Iterator[Hub]:
    """A hub that answers until the end of the block."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.hub = Hub(url=f"http://127.0.0.1:{server.server_port}", **settings)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.hub
        finally:
            server.shutdown()
            thread.join()
