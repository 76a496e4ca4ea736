"""An object store on loopback that speaks S3: moto's server."""

from __future__ import annotations

import logging
import uuid
from functools import cache

import boto3
import pytest
from moto.server import ThreadedMotoServer

# What every S3 client here needs, and those of processes that inherit the environment.
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@cache
def _address() -> str:
    """Of a server that lives as long as this process: clients keep to the address that they first had."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty bucket of its own."""
    for name, value in {**_ENVIRONMENT, "AWS_ENDPOINT_URL": _address()}.items():
        monkeypatch.setenv(name, value)
    name = f"b{uuid.uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}"
