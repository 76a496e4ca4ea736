"""Opens connections to checked addresses, directly or through the recipe's proxy, and keeps them for later requests."""

from __future__ import annotations

import ssl
import threading
import time
from base64 import b64encode
from collections import OrderedDict
from urllib.parse import unquote, urlsplit

from curation.core.errors import RecipeError
from curation.core.url import Address, BadUrl, Target, parse
from curation.fetch.guard import Guard
from curation.fetch.http1 import Connection
from curation.fetch.names import Names
from curation.fetch.sockets import dial, secure

IDLE_SECONDS = 20.0
Key = tuple[str, str, int]


class Proxy:
    """The HTTP proxy of the recipe. It is trusted: its own address is not checked.

    Raises ``RecipeError`` for anything but ``http://[user:password@]host[:port]``.
    """

    def __init__(self, url: str) -> None:
        try:
            split = urlsplit(url)
            user, password = split.username, split.password
            self.target = parse(f"{split.scheme}://{split.netloc.rpartition('@')[2]}")
        except (BadUrl, ValueError) as error:
            raise _bad_proxy(str(error)) from error
        if self.target.scheme != "http":
            raise _bad_proxy(f"the scheme is {self.target.scheme}, only http is supported")
        self.headers: list[tuple[str, str]] = []
        if user is not None:
            pair = f"{unquote(user)}:{unquote(password or '')}".encode()
            self.headers.append(("Proxy-Authorization", "Basic " + b64encode(pair).decode("ascii")))


class Connections:
    """Opens connections and keeps at most ``most`` idle ones."""

    def __init__(self, guard: Guard, names: Names, context: ssl.SSLContext, proxy: Proxy | None, most: int) -> None:
        self._guard = guard
        self._names = names
        self._context = context
        self.proxy = proxy
        self._most = most
        self._idle: OrderedDict[Connection, None] = OrderedDict()
        self._by_key: dict[Key, list[Connection]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def kept(self, target: Target) -> Connection | None:
        """Return an idle connection to the target's origin, None where there is none."""
        key = (target.scheme, target.host, target.port)
        while True:
            with self._lock:
                waiting = self._by_key.get(key)
                if not waiting:
                    return None
                connection = waiting[-1]
                self._drop(connection)
            if connection.idle_since + IDLE_SECONDS > time.monotonic() and connection.alive():
                return connection
            connection.close()

    def new(self, target: Target, deadline: float) -> Connection:
        """Connect to one of the target's addresses, after all of them were checked. Raises ``FetchRejected``."""
        addresses = self._guard.addresses(target, deadline)
        if self.proxy is None:
            sock = dial(addresses, target.port, deadline)
        else:
            sock = dial(self._proxy_addresses(deadline), self.proxy.target.port, deadline)
        key = (target.scheme, target.host, target.port)
        try:
            if target.scheme == "https":
                if self.proxy is not None:
                    Connection(sock, key).tunnel(addresses[0], target.port, self.proxy.headers, deadline)
                sock = secure(sock, self._context, target.host, deadline)
        except BaseException:
            sock.close()
            raise
        return Connection(sock, key)

    def give_back(self, connection: Connection) -> None:
        """Keep the connection for the next request to its origin, or close it where it cannot be reused."""
        if not connection.reusable():
            connection.close()
            return
        connection.idle_since = time.monotonic()
        oldest: Connection | None = None
        with self._lock:
            if self._closed:
                oldest = connection
            else:
                self._idle[connection] = None
                self._by_key.setdefault(connection.key, []).append(connection)
                if len(self._idle) > self._most:
                    oldest = next(iter(self._idle))
                    self._drop(oldest)
        if oldest is not None:
            oldest.close()

    def close(self) -> None:
        """Close idle connections; those in use are closed when they are given back."""
        with self._lock:
            self._closed = True
            idle = list(self._idle)
            self._idle.clear()
            self._by_key.clear()
        for connection in idle:
            connection.close()

    def _drop(self, connection: Connection) -> None:
        del self._idle[connection]
        same = self._by_key[connection.key]
        same.remove(connection)
        if not same:
            del self._by_key[connection.key]

    def _proxy_addresses(self, deadline: float) -> tuple[Address, ...]:
        assert self.proxy is not None
        proxy = self.proxy.target
        return (proxy.address,) if proxy.address else self._names.addresses(proxy.host, deadline)


def _bad_proxy(why: str) -> RecipeError:
    # The URL itself may carry a password.
    return RecipeError(f"download.proxy: {why}; write http://host:port")
