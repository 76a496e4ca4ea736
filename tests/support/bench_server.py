"""What benchmarks of a stage against a bare load generator share: options, server, pictures, a run as of a worker."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from curation.caption.model.vllm_server import VllmServer, command_of, free_port
from curation.core.job import Job, execute
from curation.core.stage import Shard, Stage, Work
from schemas.chat import Serve
from tests.support.chat_server import MODEL, ChatServer, chat_server
from tests.support.load import Replies
from tests.support.shapes import SHAPES, dummy_checkpoint
from tests.support.vllm import ARGUMENTS, BATCH, PYTHON, checkpoint, environment

NO_CACHES = ["--no-enable-prefix-caching", "--mm-processor-cache-gb=0"]


def arguments(doc: str | None, samples: int, tokens: int) -> argparse.ArgumentParser:
    """The options of such a benchmark; ``samples`` of a shard and reply ``tokens`` are defaults."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--samples", type=int, default=samples, help="of a shard")
    parser.add_argument("--rounds", type=int, default=3, help="beside a first one that warms up")
    parser.add_argument("--batch", type=int, default=BATCH, help="requests that the server computes at once")
    parser.add_argument("--concurrency", type=int, default=0, help="requests in flight; 0 for twice the batch")
    parser.add_argument("--tokens", type=int, default=tokens, help="at most, of a reply")
    parser.add_argument("--side", type=int, default=336, help="of the exported images, pixels")
    parser.add_argument("--stand-in", type=float, default=0.0, help="seconds that a reply of a fake server takes")
    parser.add_argument("--python", default=str(PYTHON), help="interpreter of vLLM's environment")
    parser.add_argument("--model", default="", help="a checkpoint to serve; the demo captioner unless told")
    parser.add_argument("--shape", choices=SHAPES, help="serve made-up weights of this shape")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--argument", action="append", default=[], help="another argument for vllm serve")
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace | None:
    """What was told; None, with a word about it, where vLLM is asked for and not there."""
    told = parser.parse_args()
    told.concurrency = told.concurrency or 2 * told.batch
    if told.stand_in or Path(told.python).exists():
        return told
    print("left out, vLLM's environment is not there (make .venv-vllm/.installed)")
    return None


@contextlib.contextmanager
def serving(
    folder: Path, told: argparse.Namespace, *, caches: bool = False, **fake: Any
) -> Iterator[tuple[str, str, ChatServer | None]]:
    """The URL of a running server, the name of its model, and the server itself where it is a fake.

    With ``caches`` vLLM keeps prompts and images, and can be told to forget them (``load.forget``).
    """
    if told.stand_in:
        with chat_server(delay=told.stand_in, batch=told.batch, **fake) as server:
            yield server.url, MODEL, server
        return
    place = str(dummy_checkpoint(folder / told.shape, told.shape)) if told.shape else told.model or str(checkpoint())
    more = ["--load-format=dummy"] if told.shape else []
    on_gpu = ["--max-model-len=4096", f"--max-num-seqs={told.batch}"]
    serve = Serve(python=told.python, arguments=[*(on_gpu if told.device == "cuda" else ARGUMENTS), *more])
    port, name = free_port(), Path(place).name
    own = ["--enable-prefix-caching"] if caches else NO_CACHES
    command = [*command_of(serve, place, name, "main", port), "--disable-uvicorn-access-log", *own, *told.argument]
    with environment(), _developing(caches), VllmServer(command, port, folder / f"server-{port}.log") as vllm:
        yield vllm.url, name, None


@contextlib.contextmanager
def _developing(on: bool) -> Iterator[None]:
    """vLLM has the paths that empty its caches only for developers."""
    if on:
        os.environ["VLLM_SERVER_DEV_MODE"] = "1"
    try:
        yield
    finally:
        os.environ.pop("VLLM_SERVER_DEV_MODE", None)


def run_shards(stage: Stage, work: Work, shards: Iterable[Shard]) -> None:
    """All shards as a worker of an engine runs them, until the last entry is committed."""

    def run(shard: Shard) -> None:
        outcome = execute(stage, work, shard.store, Job(0, shard.name, "bench", {}), "bench")
        if outcome.status != "done":
            raise RuntimeError(outcome.error)

    with ThreadPoolExecutor(stage.resources.overlap) as threads:
        list(threads.map(run, shards))


class Timed:
    """Seconds of a side, and the CPU seconds of this process (``busy``) and of the server (``served``) meanwhile."""

    seconds = busy = served = rate = 0.0
    seen = Replies()


def _not_measured() -> float:
    return 0.0


@contextlib.contextmanager
def timed(served: Callable[[], float] = _not_measured) -> Iterator[Timed]:
    """Measures what is done inside; ``served`` tells the server's CPU seconds so far."""
    found = Timed()
    before = served()
    started, busy = time.perf_counter(), time.process_time()
    yield found
    found.seconds, found.busy = time.perf_counter() - started, time.process_time() - busy
    found.served = served() - before


def tell(name: str, ours: float, theirs: float, unit: str, digits: int = 1) -> None:
    """A line of both sides and their ratio."""
    ratio = ours / max(theirs, 1e-9)
    print(f"{name} ratio={ratio:.2f} ours={ours:.{digits}f}{unit} theirs={theirs:.{digits}f}{unit}")


def photo(side: int, first: int, number: int) -> bytes:
    """A JPEG with some texture, so that its size is a photograph's."""
    noise = np.random.default_rng(first + number)
    coarse = noise.integers(0, 255, (side // 8, side // 8, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()
