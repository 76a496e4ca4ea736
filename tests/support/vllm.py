"""One real vLLM for a whole test session, on the CPU, in vLLM's own environment, with the captioner that ships."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from safetensors import safe_open

from curation.caption.model.checkpoint import identify, locate
from curation.caption.model.vllm_server import VllmServer, command_of, free_port
from curation.core.checkpoints import content_hash
from curation.demo.training.saving import WEIGHTS, name_as_on_hub
from schemas.chat import Serve

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
# As many requests as the engine computes together.
BATCH = 16
ARGUMENTS = [
    "--enforce-eager",
    "--max-model-len=4096",
    f"--max-num-seqs={BATCH}",
    "--kv-cache-memory-bytes=134217728",
]
# A model this small is slowed down by every further thread, most of all on cores that others use too.
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}


def serve_settings() -> Serve:
    """What a recipe says to have such a server started."""
    return Serve(python=str(PYTHON), arguments=ARGUMENTS, start_timeout=600)


@cache
def checkpoint() -> Path:
    """The checkpoint that is served: the one that ships, or a copy with the names of weights that vLLM 0.32 knows."""
    shipped = Path(locate("demo"))
    with safe_open(shipped / WEIGHTS, framework="pt") as weights:
        if any(".vision_model." in name for name in weights.keys()):  # noqa: SIM118  # it is no dict
            return shipped
    target = Path(tempfile.gettempdir()) / f"lapidary-{os.getuid()}" / f"demo-captioner-{content_hash(shipped)[:12]}"
    if not target.is_dir():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as work:
            copy = Path(shutil.copytree(shipped, Path(work) / "copy"))
            name_as_on_hub(copy)
            copy.rename(target)
    return target


def model_settings() -> list[str]:
    """Recipe settings that name the served model as a run of its own server would: by its contents."""
    identity = identify(str(checkpoint()))
    return ["caption.backend=server", f"caption.model={identity.name}", f"caption.revision={identity.revision}"]


@contextmanager
def environment() -> Iterator[None]:
    """Sets what a server on the CPU wants to find in its environment."""
    before = {k: os.environ.get(k) for k in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


@contextmanager
def real_server(log_file: Path, *, restarts: int = 3) -> Iterator[VllmServer]:
    """A running server with its watcher, which starts it again ``restarts`` times."""
    port = free_port()
    place, serve = checkpoint(), serve_settings()
    command = command_of(serve, str(place), place.name, "main", port)
    server = VllmServer(command, port, log_file, start_timeout=serve.start_timeout, restarts=restarts)
    with environment(), server:
        yield server


def processes_of(marker: str) -> list[int]:
    """Living processes whose command line contains the marker; not this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            state = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        except OSError:
            continue
        if marker in line and state not in "ZX" and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def cpu_seconds(port: int) -> float:
    """CPU time so far of the server at this port: of its processes and all that they started."""
    parents: dict[int, int] = {}
    busy: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
        busy[int(folder.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    own = set(processes_of(f"--port {port}"))
    while more := {pid for pid, parent in parents.items() if parent in own and pid not in own}:
        own |= more
    return sum(busy.get(pid, 0.0) for pid in own)


def writers_of(folder: Path) -> list[int]:
    """Living processes with a file in this folder as their output: all of a server's, however they call themselves."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            outputs = {str((process / "fd" / number).readlink()) for number in ("1", "2")}
        except OSError:
            continue
        if any(o.startswith(f"{folder}/") for o in outputs) and int(process.name) != os.getpid():
            found.append(int(process.name))
    return found


def kill_api_process(server: VllmServer) -> int:
    """kill -9 of the process that answers HTTP; returns its id."""
    port = server.url.split(":")[-1].removesuffix("/v1")
    (pid,) = [p for p in processes_of(f"--port {port}") if "supervisor.py" not in _command(p)]
    os.kill(pid, signal.SIGKILL)
    return pid


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
