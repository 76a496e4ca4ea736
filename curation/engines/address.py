"""Whether anybody listens at the address of a cluster."""

from __future__ import annotations

import socket

from curation.errors import UsageError


def check_listening(address: str) -> None:
    """Ray itself tries for minutes. Raises ``UsageError`` where nobody listens at host:port."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise UsageError(
            f"no Ray cluster answers at RAY_ADDRESS {address} ({error}); start one there with ray start --head, "
            "correct the address, or leave --profile cluster out"
        ) from error
