"""An object store on loopback that speaks S3: moto's server."""

from __future__ import annotations

import atexit
import contextlib
import tempfile
import uuid
from functools import cache
from pathlib import Path

import boto3
import pytest

from tests.support.processes import free_port, python, started, wait_for_http

# What every S3 client here needs, and those of processes that inherit the environment.
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@cache
def _address() -> str:
    """Of a server that lives as long as this process: clients keep to the address that they first had.

    It is a process of its own: two threads that wait for each other's replies would hand one lock to and fro.
    """
    held = contextlib.ExitStack()
    atexit.register(held.close)
    folder, port = Path(held.enter_context(tempfile.TemporaryDirectory())), free_port()
    words = python("moto.server", "-H", "127.0.0.1", "-p", str(port))
    server = held.enter_context(started(words, folder, log=folder / "log"))
    address = f"http://127.0.0.1:{port}"
    wait_for_http(address, server)
    return address


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty bucket of its own."""
    for name, value in {**_ENVIRONMENT, "AWS_ENDPOINT_URL": _address()}.items():
        monkeypatch.setenv(name, value)
    name = f"b{uuid.uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}"
