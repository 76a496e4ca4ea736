"""What may be connected to: globally routable addresses, and private hosts that the recipe names."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address

from curation.core.errors import RecipeError
from curation.fetch.addresses import why_forbidden
from curation.fetch.names import Names
from curation.fetch.rejected import FetchRejected
from curation.fetch.url import Address, BadUrl, Target, parse_host
from schemas.reasons import Reason


class Guard:
    """Answers with the addresses that a connection may go to, and to no other.

    ``allow_private_hosts`` holds ``host``, for all its ports, or ``host:port``; an entry lifts the check
    of addresses for that name alone. Raises ``RecipeError`` for an entry that is neither.
    """

    def __init__(self, names: Names, allow_private_hosts: Sequence[str]) -> None:
        self._names = names
        self._allowed = frozenset(_allowed(entry) for entry in allow_private_hosts)

    def addresses(self, target: Target, deadline: float) -> tuple[Address, ...]:
        """The target's addresses, every one of them checked; at least one.

        Raises ``FetchRejected`` with FORBIDDEN_ADDRESS when any of them is not globally routable: a name
        with one private address among public ones is an attack, or an error that looks like one.
        """
        found = (target.address,) if target.address else self._names.addresses(target.host, deadline)
        if (target.host, target.port) in self._allowed or (target.host, 0) in self._allowed:
            return found
        for address in found:
            if kind := why_forbidden(address):
                where = str(address) if target.address else f"{target.host} is {address}"
                raise FetchRejected(Reason.FORBIDDEN_ADDRESS, f"{where}: {kind}")
        return found


def _allowed(entry: str) -> tuple[str, int]:
    """An entry as (host, port), port 0 for any."""
    text = entry.strip()
    try:
        if text.count(":") > 1 and not text.startswith("["):
            return parse_host(str(IPv6Address(text)).join("[]"))[0], 0
        host, colon, port = text.rpartition(":")
        if not colon or text.endswith("]"):
            return parse_host(text)[0], 0
        if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
            raise BadUrl(f"port {port!r} is not a number from 1 to 65535")
        return parse_host(host)[0], int(port)
    except ValueError as error:
        raise RecipeError(
            f"download.allow_private_hosts: {entry!r} is neither host nor host:port ({error}); "
            "write for example 127.0.0.1:8000 or images.example.com"
        ) from error
