"""The verify stage against a bare load generator of the same requests, on one real vLLM.

A request asks whether one statement is true of its picture, so that each picture is sent once a statement. The
generator sends ready-made bodies, in the stage's order and at its concurrency, and throws the replies away. The stage
runs over several shards as a worker does: it splits captions, reads every image from the tar, renders and hashes the
prompt, encodes, asks, reads the probability, journals, writes table and manifest. Rounds alternate which side begins.

The server's caches of prompts and images are on, as they are unless somebody switches them off, and emptied before
each side; their hit rates are those of vLLM's ``/metrics`` during the stage's runs. A second server with the caches
off shows what they save. The stage's own CPU time a statement is measured with a model that answers from a script.

The demo captioner was not taught to verify, so that the trial before a run refuses it: the stage is called below that
trial, and the server guides every reply to yes or no (``caption.parameters.add``, in the bodies of both sides). How
true the answers are does not matter here; replies are as long as a verifier's.

On a machine that others use too, the rates of two runs may differ by more than the sides do. ``verify-work`` compares
the CPU time that a statement takes, client and server together: it says what the rates would be on cores of one's own.

With ``--atoms`` two atoms stand for each sentence, of which the second is asked once the first is true (the server is
guided to yes): the questions about a picture come in two waves.

``--stand-in``, ``--shape 7b`` and ``--device cuda`` are as in ``bench_recaption.py``.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from curation.caption.model.chat import ChatModel
from curation.caption.model.open import build_model, check_model
from curation.caption.model.scripted import ScriptedModel
from curation.caption.model.server import ServerModel
from curation.caption.prompts import load
from curation.caption.verify.verify import verify_shard
from curation.caption.verify.verify_stage import VerifyStage
from curation.core.stage import Shard
from curation.core.store import Store
from schemas.arrow import table_of
from schemas.atoms import Atom
from schemas.captions import CaptionCheck
from schemas.chat import Captioning, Parameters
from schemas.records import SourceRow
from schemas.verify import Atoms, Verify
from tests.support.bench_server import Timed, arguments, parse, photo, run_shards, serving, tell, timed
from tests.support.keepers import root_with_keepers
from tests.support.load import Recorder, Replies, Watched, bare, forget, metrics
from tests.support.vllm import cpu_seconds

GUIDED = {"structured_outputs": {"choice": ["yes", "no"]}}
YES = {"structured_outputs": {"choice": ["yes"]}}
STATEMENTS = 6  # of a caption
COLOURS = ("red", "green", "blue", "yellow", "black", "white", "brown", "orange", "pink", "grey")
THINGS = ("ball", "book", "lamp", "cup", "chair", "bird", "boat", "box", "clock", "plant", "hat", "bridge")
PLACES = ("on the floor", "beside the window", "below the shelf", "in front of a wall", "near the door", "on the grass")
CACHES = {"prefix": "prompt tokens", "mm": "images"}


def main() -> None:
    parser = arguments(__doc__, samples=40, tokens=8)
    parser.add_argument("--atoms", action="store_true", help="ask atoms instead of sentences, in two waves")
    told = parse(parser)
    if told is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        _own_cost(told, Path(folder) / "scripted")
        place = Path(folder) / "caches"
        place.mkdir()
        with serving(place, told, caches=True, reply=lambda body: "yes") as (url, model, fake):
            cached = _Bench(told, url, model, place, caches=fake is None).run()
        if fake is None:
            place = Path(folder) / "none"
            place.mkdir()
            with serving(place, told) as (url, model, _):
                plain = _Bench(told, url, model, place).stage_rate()
            tell("verify-caches-saving", cached, plain, "/s")


class _Bench:
    def __init__(self, told: argparse.Namespace, url: str, model: str, folder: Path, *, caches: bool = False) -> None:
        self.told = told
        self.url = url
        self.folder = folder
        self.port = int(url.split(":")[-1].removesuffix("/v1")) if caches else 0
        self.hits: Counter[str] = Counter()
        self.stage = _stage(
            told,
            {"backend": "server", "model": model, "endpoints": [url], "concurrency": told.concurrency, "timeout": 600}
            | ({"parameters": Parameters(add=YES if told.atoms else GUIDED)} if not told.stand_in else {}),
        )
        self.statements = told.shards * told.samples * _questions(told)

    def run(self) -> float:
        """Prints what both sides do; returns the stage's statements a second."""
        recorder = Recorder(self.stage.model, parameters=self.stage.chat.parameters)
        for shard in _shards(self.told, self.folder / "recorded"):
            verify_shard(self.stage, load("verify"), recorder, shard)
        rounds = [self._round(n, recorder.bodies) for n in range(self.told.rounds + 1)][1:]
        ours, theirs = ([r[side].rate for r in rounds] for side in (0, 1))
        tell("verify", statistics.median(ours), statistics.median(theirs), "/s")
        print(f"verify-rounds ratios={' '.join(f'{a / b:.2f}' for a, b in zip(ours, theirs, strict=True))}")
        steady = [statistics.median(r[side].seen.steady() for r in rounds) for side in (0, 1)]
        tell("verify-steady", steady[0], steady[1], "/s")
        busy = [statistics.median(r[side].busy / self.statements * 1000 for r in rounds) for side in (0, 1)]
        print(f"verify-cost-with-client ours={busy[0]:.2f}ms theirs={busy[1]:.2f}ms of CPU time a statement")
        if self.port:
            spent = [
                statistics.median((r[side].busy + r[side].served) / self.statements for r in rounds) for side in (0, 1)
            ]
            tell("verify-work", 1 / spent[0], 1 / spent[1], " statements a CPU second, the server's time included")
        print(f"load {' '.join(f'{n:.2f}' for n in os.getloadavg())} (this benchmark's own included)")
        for cache, of in CACHES.items() if self.port else ():
            queries, hits = self.hits[f"{cache}_cache_queries_total"], self.hits[f"{cache}_cache_hits_total"]
            print(f"verify-{cache}-cache hits={hits / max(1, queries):.3f} of {of}")
        return statistics.median(ours)

    def stage_rate(self) -> float:
        """Statements a second of the stage alone."""
        rates = [self.statements / self._ours(n).seconds for n in range(self.told.rounds + 1)][1:]
        return float(statistics.median(rates))

    def _round(self, number: int, bodies: list[bytes]) -> tuple[Timed, Timed]:
        """A round of both; the next one begins with the other side."""
        if number % 2:
            ours, theirs = self._ours(number), self._theirs(bodies)
        else:
            theirs, ours = self._theirs(bodies), self._ours(number)
        for side in (ours, theirs):
            side.rate = self.statements / side.seconds
        return ours, theirs

    def _theirs(self, bodies: list[bytes]) -> Timed:
        self._forget()
        with timed(self._served) as found:
            found.seen = bare(self.url, bodies, self.told.concurrency)
        return found

    def _served(self) -> float:
        return cpu_seconds(self.port) if self.port else 0.0

    def _ours(self, number: int) -> Timed:
        shards = _shards(self.told, self.folder / f"round-{number}")
        model = build_model(self.stage.chat, self.stage.model)
        assert isinstance(model, ServerModel)
        self._forget()
        before = Counter(metrics(self.port) if self.port else {})
        with timed(self._served) as found:
            found.seen = _verify(self.stage, Watched(model), shards)
        if self.port and number:
            self.hits += Counter(metrics(self.port)) - before
        model.close()
        return found

    def _forget(self) -> None:
        if self.port:
            forget(self.port)


def _own_cost(told: argparse.Namespace, folder: Path) -> None:
    """CPU time of the stage alone, the table and its manifest entry included, with pictures as exported and smaller."""
    for name, size in (("verify-own-cost", 0), ("verify-own-cost-smaller-pictures", told.side * 2 // 3)):
        stage = _stage(told, {"backend": "scripted", "image_size": size})
        costs = []
        for number in range(told.rounds + 1):
            shards = _shards(told, folder / f"{size}-{number}")
            with timed() as found:
                _verify(stage, ScriptedModel(script=lambda request: "yes"), shards)
            costs.append(found.busy / (told.shards * told.samples * _questions(told)) * 1000)
        cost = statistics.median(costs[1:])
        print(f"{name} ratio={1.0 / cost:.2f} ours={cost:.3f}ms goal=1.000ms")


def _stage(told: argparse.Namespace, settings: dict[str, Any]) -> VerifyStage:
    caption = Captioning.model_validate(settings)
    verify = Verify(enabled=True, max_tokens=told.tokens, atoms=Atoms(enabled=told.atoms))
    stage = VerifyStage.declared(verify, caption)
    return replace(stage, prompt=load("verify"), question=load("question"), model=check_model(caption))


def _questions(told: argparse.Namespace) -> int:
    """About a picture."""
    return STATEMENTS * 2 if told.atoms else STATEMENTS


def _verify(stage: VerifyStage, model: ChatModel, shards: list[Shard]) -> Replies:
    run_shards(stage, partial(verify_shard, stage, load("verify"), model), shards)
    return model.seen if isinstance(model, Watched) else Replies()


def _shards(told: argparse.Namespace, root: Path) -> list[Shard]:
    """Shards with pictures and checked captions, the same ones in every root."""
    store = Store(str(root))
    shards = []
    for n in range(told.shards):
        first = n * told.samples
        pixels = partial(photo, told.side, first)
        shard = root_with_keepers(
            store, [f"picture {first + i}" for i in range(told.samples)], pixels=pixels, shard=f"s-{n:03d}"
        )
        ids = shard.read(SourceRow)["sample_id"].to_pylist()
        checks = [_check(str(sample), _caption(first + i)) for i, sample in enumerate(ids)]
        store.write_table(CaptionCheck, shard.name, table_of(CaptionCheck, checks))
        if told.atoms:
            store.write_table(Atom, shard.name, table_of(Atom, (a for c in checks for a in _atoms(c))))
        shards.append(shard)
    return shards


def _caption(number: int) -> str:
    """A caption of as many sentences as it has statements."""
    noise = np.random.default_rng(number)
    pick = [(c, t, p) for c in COLOURS for t in THINGS for p in PLACES]
    chosen = noise.choice(len(pick), STATEMENTS, replace=False)
    return " ".join("A {} {} stands {}.".format(*pick[i]) for i in chosen)


def _atoms(check: CaptionCheck) -> Iterator[Atom]:
    """A thing and its colour for each sentence: the second hangs on the first."""
    caption = check.caption or ""
    for n, found in enumerate(re.finditer(r"A (\w+) (\w+) stands ([^.]*)\.", caption)):
        colour, thing, place = found.groups()
        first = 2 * n + 1
        asked = f"Is there a {thing} that stands {place}?"
        yield _atom(check, first, [], "entity", [thing], found, asked)
        yield _atom(check, first + 1, [first], "attribute", [thing, colour], found, f"Is the {thing} {colour}?")


def _atom(
    check: CaptionCheck,
    index: int,
    parents: list[int],
    category: str,
    elements: list[str],
    at: re.Match[str],
    asked: str,
) -> Atom:
    of = (check.sample_id, check.kind, index, parents, category, "", elements, at.start(), at.end(), asked, "yes")
    return Atom(*of, None, None, "made up", "1", "atoms@1", "")


def _check(sample: str, caption: str) -> CaptionCheck:
    return CaptionCheck(sample, "dense", True, [], False, None, caption, len(caption.split()), 60, len(caption))


if __name__ == "__main__":
    main()
