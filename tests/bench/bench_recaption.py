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
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from curation.caption.model.open import build_model
from curation.caption.model.server import ServerModel
from curation.caption.recaption import caption_shard
from curation.caption.recaption_stage import RecaptionStage
from curation.core.stage import Shard
from curation.core.store import Store
from schemas.chat import Captioning, CaptionKind
from tests.support.bench_server import Timed, arguments, parse, photo, run_shards, serving, tell, timed
from tests.support.captioning import for_all_kinds
from tests.support.chat_server import ChatServer
from tests.support.keepers import root_with_keepers
from tests.support.load import Level, Recorder, Replies, Watched, bare, in_flight, running

WORDS = ("a", "red", "ball", "beside", "two", "old", "books", "on", "a", "wooden", "floor", "near", "the", "window")


def main() -> None:
    told = parse(arguments(__doc__, samples=80, tokens=128))
    if told is None:
        return
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), told) as (url, model, fake):
        _Bench(told, url, model, Path(folder), fake).run()


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
            caption_shard(self.stage, for_all_kinds(self.stage, recorder), shard)
        rounds = [self._round(n, recorder.bodies) for n in range(self.told.rounds + 1)][1:]
        ours, theirs = ([r[side].rate for r in rounds] for side in (0, 1))
        tell("recaption", statistics.median(ours), statistics.median(theirs), "/s")
        spread = " ".join(f"{a / b:.2f}" for a, b in zip(ours, theirs, strict=True))
        print(f"recaption-rounds ratios={spread}")
        ours, theirs = ([r[side].seen.steady() for r in rounds] for side in (0, 1))
        tell("recaption-steady", statistics.median(ours), statistics.median(theirs), "/s")
        ours, theirs = ([r[side].seen.tokens / r[side].seconds for r in rounds] for side in (0, 1))
        tell("recaption-tokens", statistics.median(ours), statistics.median(theirs), "/s")
        if self.fake is None:  # whose work is this process's too
            cost = statistics.median(r[0].busy / self.samples * 1000 for r in rounds)
            print(f"recaption-own-cost ratio={3.0 / cost:.2f} ours={cost:.2f}ms goal=3.00ms")
        self._shares(recorder.bodies)

    def _round(self, number: int, bodies: list[bytes]) -> tuple[Timed, Timed]:
        with timed() as theirs:
            theirs.seen = bare(self.url, bodies, self.told.concurrency)
        shards = self._shards(f"round-{number}")
        model = self._model()
        with timed() as ours:
            ours.seen = self._caption(model, shards)
        model.close()
        for side in (ours, theirs):
            side.rate = self.samples / side.seconds
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
        tell("recaption-full-batch", ours.share(self.told.batch), theirs.share(self.told.batch), "", digits=3)
        tell("recaption-batch-fill", ours.fill(self.told.batch), theirs.fill(self.told.batch), "", digits=3)
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
        run_shards(self.stage, partial(caption_shard, self.stage, for_all_kinds(self.stage, watched)), shards)
        return watched.seen

    def _shards(self, root: str) -> list[Shard]:
        store = Store(str(self.folder / root))
        alt_texts = [" ".join(np.random.default_rng(i).permutation(WORDS)) for i in range(self.samples)]
        size = self.told.samples
        return [
            root_with_keepers(
                store,
                alt_texts[n * size : (n + 1) * size],
                pixels=partial(photo, self.told.side, n * size),
                shard=f"s-{n:03d}",
            )
            for n in range(self.told.shards)
        ]


if __name__ == "__main__":
    main()
