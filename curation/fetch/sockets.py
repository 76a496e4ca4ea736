"""Opens sockets to checked addresses, with or without TLS, by a deadline."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import certifi

from curation.core.url import Address
from curation.fetch.rejected import FetchRejected, left_until, timed_out
from schemas.reasons import Reason

_OUR_OWN_LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def dial(addresses: Sequence[Address], port: int, deadline: float) -> socket.socket:
    """Connect to the first of the addresses that answers. Raises ``FetchRejected``.

    ``OSError`` is raised where this process cannot open another socket: that is no fault of the host.
    """
    last: OSError | None = None
    for place, address in enumerate(addresses):
        left = left_until(deadline, "connecting")
        try:
            sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
        except OSError as error:
            if error.errno in _OUR_OWN_LIMITS:
                raise
            last = error  # a machine without IPv6, say
            continue
        try:
            # Each address gets its share, so that a dead first one leaves time for the second.
            sock.settimeout(left / (len(addresses) - place))
            sock.connect((str(address), port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            last = error
        else:
            return sock
    if isinstance(last, TimeoutError):
        raise timed_out("connecting") from last
    raise FetchRejected(Reason.CONNECTION_FAILED, f"port {port}: {last}", transient=True) from last


def secure(sock: socket.socket, context: ssl.SSLContext, host: str, deadline: float) -> ssl.SSLSocket:
    """Start TLS by the deadline and check that the certificate is the host's. Raises ``FetchRejected``."""
    try:
        sock.settimeout(left_until(deadline, "in the TLS handshake"))
        return context.wrap_socket(sock, server_hostname=host)
    except TimeoutError:
        sock.close()
        raise timed_out("in the TLS handshake") from None
    except (ssl.SSLEOFError, ConnectionError) as error:
        sock.close()
        raise FetchRejected(Reason.TLS_FAILED, f"{host}: {error}", transient=True) from error
    except (ssl.SSLError, ValueError, OSError) as error:
        sock.close()
        raise FetchRejected(Reason.TLS_FAILED, f"{host}: {error}") from error


@cache  # to read all authorities takes a tenth of a second, and a run asks for them several times
def default_context() -> ssl.SSLContext:
    """Return a context that checks certificates against the system's authorities, or certifi's where there are none."""
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    folder = Path(paths.capath) if paths.capath else None
    if not context.cert_store_stats()["x509_ca"] and not (folder and folder.is_dir() and any(folder.iterdir())):
        context.load_verify_locations(certifi.where())
    return context
