"""An object store on loopback that is neither Amazon's nor made for tests: OpenStack Swift with its s3api.

Debian's packages bring it, under the system's Python. Its servers live in a temporary folder and hold one copy of
everything; no service of the machine is asked for, and none is started.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import free_port, run, started, wait_for_http

PACKAGES = "swift-proxy swift-account swift-container swift-object memcached"
KINDS = ("account", "container", "object")
SERVERS = (*KINDS, "proxy")
_PYTHON = "/usr/bin/python3"
USER, KEY = "test:tester", "testing"
"""What S3's clients call access key and secret key."""
# A server on a busy machine answers late; what its neighbour then takes for a fault would hide files from listings
# until a daemon looks, and none runs here.
_PATIENCE = "conn_timeout = 20\nnode_timeout = 60\ncontainer_update_timeout = 60\n"
_COMMON = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
log_level = WARNING
"""
_STORAGE = "[pipeline:main]\npipeline = healthcheck {kind}-server\n[app:{kind}-server]\nuse = egg:swift#{kind}\n"
_PROXY = f"""\
[pipeline:main]
pipeline = catch_errors healthcheck proxy-logging cache listing_formats s3api tempauth copy bulk slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
{_PATIENCE}
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_{USER.replace(":", "_")} = {KEY} .admin
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:"""
_FILTERS = ("catch_errors", "healthcheck", "listing_formats", "proxy-logging", "copy", "bulk", "slo", "dlo")
# What swift-ring-builder does with create, add and rebalance: one device, one copy.
_RINGS = """\
import sys
from swift.common.ring import RingBuilder
for kind, port in zip(sys.argv[2::2], sys.argv[3::2]):
    builder = RingBuilder(4, 1, 0)
    place = {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port)}
    builder.add_dev({"id": 0, "device": "d1", "weight": 1, **place})
    builder.rebalance()
    builder.get_ring().save(f"{sys.argv[1]}/{kind}.ring.gz")
"""


def is_installed() -> bool:
    return all(shutil.which(program) for program in ("memcached", *(f"swift-{kind}-server" for kind in SERVERS)))


@contextlib.contextmanager
def swift() -> Iterator[str]:
    """The address of a Swift that ends with all that it holds; skips the test where its packages are missing."""
    if not is_installed():
        pytest.skip(f"there is no OpenStack Swift; apt-get install --no-install-recommends {PACKAGES} brings it")
    with contextlib.ExitStack() as held:
        folder = _folder(held)
        ports = {kind: free_port() for kind in (*SERVERS, "memcached")}
        user = pwd.getpwuid(os.getuid()).pw_name
        _write(folder, user, ports)
        made = run([_PYTHON, "-c", _RINGS, str(folder), *(f"{x}" for k in KINDS for x in (k, ports[k]))], folder)
        assert made.returncode == 0, made.stderr[-2000:]
        words = ["memcached", "-l", "127.0.0.1", "-p", str(ports["memcached"]), "-u", user]
        held.enter_context(started(words, folder, log=folder / "memcached.log"))
        servers = {}
        for kind in SERVERS:  # all of them, and then one waits for each
            words = [f"/usr/bin/swift-{kind}-server", f"{folder}/{kind}-server.conf", "-v"]
            log = folder / f"{kind}.log"
            servers[kind] = held.enter_context(started(words, folder, cwd=folder, log=log, PYTHONPATH=""))
        for kind in SERVERS:
            try:
                wait_for_http(f"http://127.0.0.1:{ports[kind]}/healthcheck", servers[kind])
            except AssertionError as error:
                raise AssertionError(f"{error}: {(folder / f'{kind}.log').read_text()[-2000:]}") from error
        yield f"http://127.0.0.1:{ports['proxy']}"


def _folder(held: contextlib.ExitStack) -> Path:
    """A temporary folder whose disk keeps attributes of files, in which Swift notes what an object is."""
    tried = []
    for place in (None, "/var/tmp", str(Path.home())):
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="swift-", dir=place)))
        probe = folder / uuid.uuid4().hex
        probe.touch()
        try:
            os.setxattr(probe, "user.swift.metadata", b"x" * 2000)
        except OSError:
            tried.append(str(folder.parent))
            continue
        probe.unlink()
        return folder
    pytest.skip(f"Swift wants a disk that keeps user attributes of files; none of {', '.join(tried)} does")


def _write(folder: Path, user: str, ports: dict[str, int]) -> None:
    """The settings of all servers, and the disk."""
    (folder / "devices" / "d1").mkdir(parents=True)
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = s\nswift_hash_path_prefix = p\n"
        "[storage-policy:0]\nname = one\ndefault = yes\n"
    )
    for kind in SERVERS:
        head = _COMMON.format(port=ports[kind], user=user, folder=folder)
        body = f"{_PROXY}{ports['memcached']}\n" if kind == "proxy" else _STORAGE.format(kind=kind) + _PATIENCE
        filters = "".join(f"[filter:{name}]\nuse = egg:swift#{name.replace('-', '_')}\n" for name in _FILTERS)
        (folder / f"{kind}-server.conf").write_text(f"{head}{body}{filters}")
