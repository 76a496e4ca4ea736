"""The recaption stage against a bare load generator, on one real vLLM.

The generator sends the same requests, their bodies ready-made in memory, at the same concurrency, and throws
the replies away. The stage runs over several shards as a worker does, with its overlap: it reads every image
from the tar, renders and hashes the prompt, encodes, asks, parses, journals, writes table and manifest. Rounds
alternate; the server's caches of prompts and images are off. Printed are: captions a second; the same
without start and end, where neither side can keep the server busy; tokens a second; the stage's own CPU time a
sample; and, in rounds of their own, the share of the time in which the stage had at least a full batch of requests
at the server, and in which the server computed a full batch, and how full it was on average, which also depends
on how it schedules: vLLM's gauge is read when a step's finished requests are out and the next ones not yet in.

Without arguments it serves the demo captioner on the CPU. ``--stand-in 0.2`` puts a fake server in its place, of
which a reply takes 0.2 s: what the shares then lack, the stage is to blame for. ``--shape 7b --device cuda`` serves a
LLaVA of that shape with made-up weights on a GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from curation.caption.model.open import build_model
from curation.caption.model.server import ServerModel
from curation.caption.model.vllm_server import VllmServer, command_of, free_port
from curation.caption.recaption import caption_shard
from curation.caption.recaption_stage import RecaptionStage
from curation.core.pipeline import Job, execute
from curation.core.stage import Shard
from curation.core.store import Store
from schemas.chat import Captioning, CaptionKind, Serve
from tests.support.chat_server import MODEL, ChatServer, chat_server
from tests.support.keepers import root_with_keepers
from tests.support.load import Level, Recorder, Replies, Watched, bare, in_flight, running
from tests.support.shapes import SHAPES, dummy_checkpoint
from tests.support.vllm import ARGUMENTS, BATCH, PYTHON, checkpoint, environment

NO_CACHES = ["--no-enable-prefix-caching", "--mm-processor-cache-gb=0", "--disable-uvicorn-access-log"]
WORDS = ("a", "red", "ball", "beside", "two", "old", "books", "on", "a", "wooden", "floor", "near", "the", "window")


def main() -> None:
    told = _arguments()
    if not told.stand_in and not Path(told.python).exists():
        print("recaption: left out, vLLM's environment is not there (make .venv-vllm/.installed)")
        return
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder), told) as (url, model, fake):
        _Bench(told, url, model, Path(folder), fake).run()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--samples", type=int, default=80, help="of a shard")
    parser.add_argument("--rounds", type=int, default=3, help="beside a first one that warms up")
    parser.add_argument("--batch", type=int, default=BATCH, help="requests that the server computes at once")
    parser.add_argument("--concurrency", type=int, default=0, help="requests in flight; 0 for twice the batch")
    parser.add_argument("--tokens", type=int, default=128, help="at most, of a reply")
    parser.add_argument("--side", type=int, default=336, help="of the exported images, pixels")
    parser.add_argument("--stand-in", type=float, default=0.0, help="seconds that a reply of a fake server takes")
    parser.add_argument("--python", default=str(PYTHON), help="interpreter of vLLM's environment")
    parser.add_argument("--model", default="", help="a checkpoint to serve; the demo captioner unless told")
    parser.add_argument("--shape", choices=SHAPES, help="serve made-up weights of this shape")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--argument", action="append", default=[], help="another argument for vllm serve")
    told = parser.parse_args()
    told.concurrency = told.concurrency or 2 * told.batch
    return told


@contextlib.contextmanager
def _server(folder: Path, told: argparse.Namespace) -> Iterator[tuple[str, str, ChatServer | None]]:
    """The URL of a running server, the name of its model, and the server itself where it is a fake."""
    if told.stand_in:
        with chat_server(delay=told.stand_in, batch=told.batch) as fake:
            yield fake.url, MODEL, fake
        return
    place = str(dummy_checkpoint(folder / told.shape, told.shape)) if told.shape else told.model or str(checkpoint())
    more = ["--load-format=dummy"] if told.shape else []
    on_gpu = ["--max-model-len=4096", f"--max-num-seqs={told.batch}"]
    serve = Serve(python=told.python, arguments=[*(on_gpu if told.device == "cuda" else ARGUMENTS), *more])
    port, name = free_port(), Path(place).name
    command = [*command_of(serve, place, name, "main", port), *NO_CACHES, *told.argument]
    with environment(), VllmServer(command, port, folder / "server.log") as server:
        yield server.url, name, None


class _Bench:
    def __init__(self, told: argparse.Namespace, url: str, model: str, folder: Path, fake: ChatServer | None) -> None:
        self.told = told
        self.fake = fake
        self.url = url
        self.folder = folder
        kinds = [CaptionKind(kind="short", prompt="short", max_tokens=told.tokens)]
        recipe = Captioning(
            backend="server", model=model, endpoints=[url], kinds=kinds, concurrency=told.concurrency, timeout=600
        )
        self.stage = RecaptionStage.of(recipe)
        self.samples = told.shards * told.samples

    def run(self) -> None:
        recorder = Recorder(self.stage.model)
        for shard in self._shards("recorded"):
            caption_shard(self.stage, recorder, shard)
        rounds = [self._round(n, recorder.bodies) for n in range(self.told.rounds + 1)][1:]
        ours, theirs = ([r[side].rate for r in rounds] for side in (0, 1))
        _tell("recaption", statistics.median(ours), statistics.median(theirs), "/s")
        spread = " ".join(f"{a / b:.2f}" for a, b in zip(ours, theirs, strict=True))
        print(f"recaption-rounds ratios={spread}")
        ours, theirs = ([r[side].seen.steady() for r in rounds] for side in (0, 1))
        _tell("recaption-steady", statistics.median(ours), statistics.median(theirs), "/s")
        ours, theirs = ([r[side].seen.tokens / r[side].seconds for r in rounds] for side in (0, 1))
        _tell("recaption-tokens", statistics.median(ours), statistics.median(theirs), "/s")
        if self.fake is None:  # whose work is this process's too
            cost = statistics.median(r[0].busy / self.samples * 1000 for r in rounds)
            print(f"recaption-own-cost ratio={3.0 / cost:.2f} ours={cost:.2f}ms goal=3.00ms")
        self._shares(recorder.bodies)

    def _round(self, number: int, bodies: list[bytes]) -> tuple[_Timed, _Timed]:
        with _timed() as theirs:
            theirs.seen = bare(self.url, bodies, self.told.concurrency)
        shards = self._shards(f"round-{number}")
        model = self._model()
        with _timed() as ours:
            ours.seen = self._caption(model, shards)
        model.close()
        for timed in (ours, theirs):
            timed.rate = self.samples / timed.seconds
        return ours, theirs

    def _shares(self, bodies: list[bytes]) -> None:
        """Apart from the timed rounds, because looking costs time."""
        model = self._model()
        with in_flight(model) as held:
            self._caption(model, self._shards("held"))
        share = held.share(self.told.batch)
        print(f"recaption-in-flight ratio={share / 0.95:.2f} ours={share:.3f} goal=0.950")
        with self._computing() as theirs:
            bare(self.url, bodies, self.told.concurrency)
        with self._computing() as ours:
            self._caption(model, self._shards("gauge"))
        _tell("recaption-full-batch", ours.share(self.told.batch), theirs.share(self.told.batch), "", digits=3)
        _tell("recaption-batch-fill", ours.fill(self.told.batch), theirs.fill(self.told.batch), "", digits=3)
        model.close()

    def _computing(self) -> contextlib.AbstractContextManager[Level]:
        """How many requests the server computes at once."""
        if self.fake is None:
            return running(int(self.url.split(":")[-1].removesuffix("/v1")))
        self.fake.computing.clear()
        return contextlib.nullcontext(Level(self.fake.computing))

    def _model(self) -> ServerModel:
        model = build_model(self.stage.recipe, self.stage.model)
        assert isinstance(model, ServerModel)
        return model

    def _caption(self, model: ServerModel, shards: list[Shard]) -> Replies:
        """All shards through the stage as a worker of an engine runs it, until the last entry is committed."""
        watched = Watched(model)
        work = partial(caption_shard, self.stage, watched)

        def run(shard: Shard) -> None:
            outcome = execute(self.stage, work, shard.store, Job(0, shard.name, "bench", {}), "bench")
            if outcome.status != "done":
                raise RuntimeError(outcome.error)

        with ThreadPoolExecutor(self.stage.resources.overlap) as threads:
            list(threads.map(run, shards))
        return watched.seen

    def _shards(self, root: str) -> list[Shard]:
        store = Store(str(self.folder / root))
        alt_texts = [" ".join(np.random.default_rng(i).permutation(WORDS)) for i in range(self.samples)]
        size = self.told.samples
        return [
            root_with_keepers(
                store,
                alt_texts[n * size : (n + 1) * size],
                pixels=partial(_photo, self.told.side, n * size),
                shard=f"s-{n:03d}",
            )
            for n in range(self.told.shards)
        ]


class _Timed:
    """Seconds of a side, and the CPU seconds of this process meanwhile."""

    seconds = busy = rate = 0.0
    seen = Replies()


@contextlib.contextmanager
def _timed() -> Iterator[_Timed]:
    timed = _Timed()
    started, busy = time.perf_counter(), time.process_time()
    yield timed
    timed.seconds, timed.busy = time.perf_counter() - started, time.process_time() - busy


def _tell(name: str, ours: float, theirs: float, unit: str, digits: int = 1) -> None:
    ratio = ours / max(theirs, 1e-9)
    print(f"{name} ratio={ratio:.2f} ours={ours:.{digits}f}{unit} theirs={theirs:.{digits}f}{unit}")


def _photo(side: int, first: int, number: int) -> bytes:
    """A JPEG with some texture, so that its size is a photograph's."""
    noise = np.random.default_rng(first + number)
    coarse = noise.integers(0, 255, (side // 8, side // 8, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


if __name__ == "__main__":
    main()
