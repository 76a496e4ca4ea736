"""The address of a cluster: what it names, and whether a server listens there."""

from __future__ import annotations

import socket

from curation.core.errors import UsageError


def host_and_port(address: str) -> tuple[str, int] | None:
    """What RAY_ADDRESS names; None where that is no host:port, such as ``auto``."""
    host, colon, port = address.strip().removeprefix("ray://").rpartition(":")
    return (host, int(port)) if colon and port.isdigit() else None


def refuses(host: str, port: int) -> bool:
    """Whether nobody listens there; a server that is merely slow to answer is there."""
    try:
        socket.create_connection((host, port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def answers(host: str, port: int) -> bool:
    """Whether a server there takes a connection: none that is gone does, nor any on a machine that is."""
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def check_listening(address: str) -> None:
    """Raises ``UsageError`` if no server listens at host:port; Ray itself would try for minutes."""
    place = host_and_port(address)
    if place is None:
        return
    try:
        socket.create_connection(place, timeout=10).close()
    except OSError as error:
        raise UsageError(
            f"no Ray cluster answers at RAY_ADDRESS {address} ({error}); start one there with ray start --head, "
            "correct the address, or leave --profile cluster out"
        ) from error
