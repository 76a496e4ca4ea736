"""What benches of roots in an object store need: moto's server in another process, and a count of requests to it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


def count_requests() -> list[None]:
    """Grows by one for each request to an object store."""
    from aiobotocore.endpoint import AioEndpoint

    asked: list[None] = []
    send = AioEndpoint._send

    async def counted(self: Any, request: Any) -> Any:
        asked.append(None)
        return await send(self, request)

    AioEndpoint._send = counted
    return asked


@contextmanager
def object_store() -> Iterator[str]:
    """The URL of a root in an empty bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    os.environ.update(KEYS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        import boto3

        client = boto3.client("s3")
        for _ in range(600):
            with socket.socket() as known:
                if known.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        client.create_bucket(Bucket="bench")
        yield "s3://bench/root"
    finally:
        server.kill()
        server.wait()
