"""Fetchers for tests: short deadlines, no retries unless asked for, names resolved by a table."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping, Sequence

import pytest

from curation.fetch.http import Fetcher, FetchRejected
from schemas.recipe import Download
from schemas.signals import Signals


def fetcher(
    *allowed: str,
    names: Mapping[str, Sequence[str]] | Callable[[str], Sequence[str]] | None = None,
    context: ssl.SSLContext | None = None,
    timeout: float = 3.0,
    retries: int = 0,
    signals: Signals | None = None,
    **settings: object,
) -> Fetcher:
    """A fetcher that may reach the ``allowed`` private hosts and knows no name but those of ``names``."""
    recipe = Download.model_validate(
        {"allow_private_hosts": list(allowed), "timeout": timeout, "retries": retries, "backoff": 0.01, **settings}
    )
    resolve = names if callable(names) else table(names or {})
    return Fetcher(recipe, resolve=resolve, context=context, signals=signals)


def table(names: Mapping[str, Sequence[str]]) -> Callable[[str], Sequence[str]]:
    """A resolver that knows these names."""

    def resolve(host: str) -> Sequence[str]:
        if host not in names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return names[host]

    return resolve


def rejection(fetcher: Fetcher, url: str) -> FetchRejected:
    """How the fetcher rejects the URL; fails where it does not."""
    with pytest.raises(FetchRejected) as caught:
        fetcher.fetch(url)
    return caught.value
