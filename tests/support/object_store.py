"""Object stores on loopback that speak S3: moto's server, and for what is asked of it OpenStack Swift."""

from __future__ import annotations

import atexit
import contextlib
import tempfile
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import boto3
import fsspec
import pytest

from tests.support.processes import free_port, python, started, wait_for_http
from tests.support.swift import KEY, USER, swift

STORES = ("moto", "swift")


@cache
def address(store: str) -> str:
    """Of a server that lives as long as this process: clients keep to the address that they first had.

    It is a process of its own: two threads that wait for each other's replies would hand one lock to and fro.
    """
    held = contextlib.ExitStack()
    atexit.register(held.close)
    if store == "swift":
        return held.enter_context(swift())
    folder, port = Path(held.enter_context(tempfile.TemporaryDirectory())), free_port()
    words = python("moto.server", "-H", "127.0.0.1", "-p", str(port))
    server = held.enter_context(started(words, folder, log=folder / "log"))
    address = f"http://127.0.0.1:{port}"
    wait_for_http(address, server)
    return address


def new_bucket(store: str, monkeypatch: pytest.MonkeyPatch, address: str) -> str:
    """The URL of an empty bucket of its own; clients here, and those of processes that this one starts, have its store.

    ``address`` is where they ask: the store's own, or that of a proxy before it.
    """
    variables = {
        "AWS_ACCESS_KEY_ID": USER if store == "swift" else "test",
        "AWS_SECRET_ACCESS_KEY": KEY if store == "swift" else "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": address,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    name = f"b{uuid.uuid4().hex[:12]}"
    boto3.Session().client("s3").create_bucket(Bucket=name)  # the common session keeps the first keys
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # a client of another store
    return f"s3://{name}"


@pytest.fixture
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket of its own: moto's, or of the store that the test asks for."""
    store = getattr(request, "param", "moto")
    yield new_bucket(store, monkeypatch, address(store))
    fsspec.get_filesystem_class("s3").clear_instance_cache()
