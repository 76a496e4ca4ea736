"""How a model server is reached: its address, its certificate and its key.

The key is a secret: it goes into the request's header, and nothing that is printed or stored holds it.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache, lru_cache
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

import certifi
import httpx2

from curation.core.errors import ModelError

HIDDEN = "[key]"
_NO_KEY = "none"
_CONNECT_SECONDS = 10.0
_NOT_ASKED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # certificates of servers without https; made once
# OpenSSL reads the first two by itself, where its own search path is used; the others are those of requests and curl.
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_CALLS = re.compile(r"(?:/chat/completions|/completions|/models|/responses)/*\Z")
_IGNORED_AROUND_A_KEY = " \t\r\n\v\f\"'\u00a0\u200b\ufeff"

log = logging.getLogger(__name__)


class Connection:
    """A model server's base URL and the key that it is asked with. Close it after use.

    Each request that is under way has an HTTP client of its own, with one connection, and the next one takes it over:
    in a client that holds many, every request looks at all of them.
    """

    def __init__(self, url: str, api_key: str, client: Callable[[], httpx2.AsyncClient]) -> None:
        self.api_key = api_key or _NO_KEY
        self._url = base_url(url)
        self._urls: dict[str, httpx2.URL] = {}  # reading one takes longer than all else here
        self._client = client
        self._idle: list[httpx2.AsyncClient] = []
        self._all: list[httpx2.AsyncClient] = []
        said = self.api_key if " " in self.api_key else f"Bearer {self.api_key}"
        self._headers = {"Authorization": said, "Content-Type": "application/json", "Accept": "application/json"}

    @property
    def has_key(self) -> bool:
        """Whether a key of the user's is sent."""
        return self.api_key != _NO_KEY

    @asynccontextmanager
    async def answer(self, path: str, body: bytes | None = None) -> AsyncIterator[httpx2.Response]:
        """What the server answers when ``body`` is posted to a path below the base URL, or that path is got; not read
        yet. Raises ``httpx2.HTTPError`` and ``httpx2.InvalidURL``."""
        if not self._idle:
            self._all.append(self._client())
            self._idle.append(self._all[-1])
        client = self._idle.pop()
        try:
            method = "GET" if body is None else "POST"
            url = self._urls.get(path) or self._urls.setdefault(path, httpx2.URL(self._url + path))
            request = client.build_request(method, url, content=body, headers=self._headers)
            response = await client.send(request, stream=True)
            try:
                yield response
            finally:
                await response.aclose()
        finally:
            self._idle.append(client)

    async def close(self) -> None:
        for client in self._all:
            await client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def client_of(url: str, api_key: str, timeout: float, ca_bundle: str = "") -> Connection:
    """A client that uses no proxy of the environment, follows no redirect and retries nothing by itself.

    ``ca_bundle`` is a file of certificates to trust besides those that the environment names.
    """
    # The caller holds the deadline; this one, a little later, only guards against its absence.
    patience = httpx2.Timeout(timeout + 5.0, connect=min(_CONNECT_SECONDS, timeout))
    secure = url.startswith("https:")
    trust = trusted(ca_bundle, tuple(os.environ.get(name, "") for name in _BUNDLES)) if secure else _NOT_ASKED
    return Connection(
        url,
        api_key,
        lambda: httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=patience, verify=trust),
    )


def base_url(url: str) -> str:
    """The base URL that is meant: without blanks around it, and without the path of a call at its end."""
    return _CALLS.sub("", url.strip()).rstrip("/")


def shown(url: str) -> str:
    """A URL as it may be printed: without user name, password and query, however badly they are written."""
    scheme, found, rest = url.strip().partition("://")
    if not found:
        scheme, rest = "", scheme
    return scheme + found + re.split(r"[?#]", rest.rpartition("@")[2], maxsplit=1)[0]


def address_fault(url: str) -> str:
    """The fault of a base URL and what to do; empty if it is valid."""
    if not url.strip().startswith(("http://", "https://")):
        return "not a http:// or https:// URL"
    if "@" in url:
        return (
            "it holds a user name or a password, which would be stored with the recipe; put "
            '"Basic <base64 of user:password>" into an environment variable and name that in api_key_env'
        )
    try:
        parts = urlsplit(url.strip())
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        has_host = False
    if not has_host:
        return "not a URL with a host name and a valid port"
    if parts.query or parts.fragment:
        return "a base URL has no query; use caption.parameters.add for fields of the request, api_key_env for a key"
    return ""


def read_key(name: str) -> str:
    """The key in the environment variable ``name``, without blanks, quotes and line ends around it.

    ``Bearer`` before it is dropped; any other scheme (``Basic …``) stays and is sent as it is. Raises ``ModelError``,
    which names the variable and never the key.
    """
    if not name:
        return ""
    found = os.environ.get(name)
    key = (found or "").strip(_IGNORED_AROUND_A_KEY)
    if found is not None and key and key != found:
        _warn_of_blanks(name)
    if key[:7].lower() in ("bearer", "bearer "):
        key = key[7:].strip(_IGNORED_AROUND_A_KEY)
    if not key:
        state = "is not set" if found is None else "is empty"
        raise ModelError(f"api_key_env names {name!r}, which {state}; export it with the server's API key")
    allowed = " " if re.fullmatch(r"[A-Za-z][\w-]* [!-~]+", key) else ""  # between a scheme and its credentials
    strange = next((at for at, c in enumerate(key, 1) if not "!" <= c <= "~" and c != allowed), 0)
    if strange:
        raise ModelError(
            f"the API key in the environment variable {name!r} (api_key_env) has at position {strange} of {len(key)} "
            "a character that no HTTP header can carry (a blank, a line end or a letter beyond ASCII); "
            "export the key alone, as the server gave it"
        )
    return key


@cache
def _warn_of_blanks(name: str) -> None:
    log.warning(
        "the environment variable %r (api_key_env) has blanks, quotes or a line end around the key; "
        "the key is used without them",
        name,
    )


def hide(text: str, api_key: str, least: int = 4) -> str:
    """The text without the key, however a server spelled it: a message may quote what it was sent."""
    if len(api_key) < least or api_key == _NO_KEY:
        return text
    for secret in _spellings(api_key):
        text = text.replace(secret, HIDDEN)
    return text


def hide_bytes(raw: bytes, api_key: str, least: int) -> bytes:
    """``hide`` for an answer as it came."""
    if len(api_key) < least or api_key == _NO_KEY:
        return raw
    for secret in _spellings(api_key):
        raw = raw.replace(secret.encode(), HIDDEN.encode())
    return raw


@lru_cache(maxsize=8)
def _spellings(api_key: str) -> tuple[str, ...]:
    bare = api_key.rpartition(" ")[2]
    return tuple(dict.fromkeys(s for k in (api_key, bare) for s in (k, quote(k, safe=""), k.replace("/", "\\/"))))


@lru_cache(maxsize=8)
def trusted(ca_bundle: str, of_environment: tuple[str, ...] = ()) -> ssl.SSLContext:
    """The trusted certificates: the system's, certifi's, those of the environment and of ``ca_bundle``.

    Raises ``ModelError`` for a ``ca_bundle`` that cannot be read; a variable that names none is only warned of,
    for it was set for all programs.
    """
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=certifi.where())
    for name, place in zip(_BUNDLES, of_environment, strict=False):
        if place and (fault := _load(context, place)):
            log.warning("%s names no certificates that can be read (%s); it is not used", name, fault)
    if ca_bundle and (fault := _load(context, ca_bundle)):
        raise ModelError(
            f"caption.ca_bundle {ca_bundle!r} cannot be used ({fault}); name a file of certificates in PEM form"
        )
    return context


def _load(context: ssl.SSLContext, place: str) -> str:
    path = Path(place).expanduser()
    try:
        if path.is_dir():
            context.load_verify_locations(capath=str(path))
        else:
            context.load_verify_locations(cafile=str(path))
    except (OSError, ssl.SSLError) as error:  # a file that is not there, or holds no certificate
        return f"{type(error).__name__}: {error.strerror or error}"
    return ""
