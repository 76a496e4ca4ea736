"""A stage that is declared in one file, and put into a product's list, is known everywhere else."""

from __future__ import annotations

import dataclasses
import enum
import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from curation import products
from curation.caption.choice import Choice
from curation.catalog import connect
from curation.core.engines.local import LocalEngine
from curation.core.recipes import load
from curation.core.root import write_recipe
from curation.core.run import Step, segment
from curation.core.stage import Resources, Shard, Work, digest, setting
from curation.core.store import Store
from curation.core.verdict import Annotation, Annotations, Decides, Verdict
from curation.products.anchor import ANCHOR
from curation.products.product import Product
from curation.products.refine import LAION_REFINED, curating_steps, release_steps
from curation.release.pack_stage import PackReduce
from flows.request import command_line
from schemas.anchor import BuildAnchor
from schemas.arrow import Record, rows_of, table_of
from schemas.part import Part
from schemas.reasons import Reason
from schemas.records import Duplicate, SourceRow
from schemas.refine import RefineLaion
from tests.support.processes import REPOSITORY
from tests.support.release_steps import pack_reduce
from tests.support.roots import make_world
from tests.support.runs import counted

ROWS = 12


class Third(enum.StrEnum):
    """Why the toy stage rejects."""

    THIRD = "every_third"


@dataclasses.dataclass(frozen=True, slots=True)
class Rank(Record):
    """A toy table: every keeper with its place in the shard."""

    table: ClassVar[str] = "toy_ranks"

    sample_id: Annotated[str, "as in rows"]
    reason: Annotated[Third | None, "why it was rejected"]
    detail: Annotated[str | None, "its place, for people"]


@dataclasses.dataclass(frozen=True, slots=True)
class Length(Record):
    """A toy table: how long each text is."""

    table: ClassVar[str] = "toy_lengths"

    sample_id: Annotated[str, "as in rows"]
    letters: Annotated[int, "letters of the alt text"]


@dataclasses.dataclass(frozen=True)
class EveryThird:
    """Rejects every third keeper of a shard."""

    name: ClassVar[str] = "thirds"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (Duplicate,)
    writes: ClassVar[type[Record]] = Rank
    every: int = 3
    fails: bool = setting(False, digest=False)
    resources: Resources = setting(Resources(), digest=False)

    @property
    def verdict(self) -> Verdict:
        made = Verdict.each(Rank, tuple(Third))
        return dataclasses.replace(made, settings={"every": self.every})

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield self._rank

    def _rank(self, shard: Shard) -> pa.Table:
        if self.fails:
            raise RuntimeError("a toy broke")
        kept = [d.sample_id for d in rows_of(Duplicate, shard.read(Duplicate)) if d.reason is None]
        every = self.every
        return table_of(
            Rank, [Rank(s, Third.THIRD if n % every == 0 else None, f"place {n}") for n, s in enumerate(kept)]
        )


@dataclasses.dataclass(frozen=True)
class Measure:
    """Counts the letters of every text, and rejects nothing."""

    name: ClassVar[str] = "lengths"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow,)
    writes: ClassVar[type[Record]] = Length
    resources: Resources = setting(Resources(), digest=False)

    @property
    def annotations(self) -> Annotations:
        return Annotations(Length.table, (Length,), (Annotation("letters", "a.letters", pa.int64()),))

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield lambda shard: table_of(
            Length, [Length(r.sample_id, len(r.alt_text)) for r in rows_of(SourceRow, shard.read(SourceRow))]
        )


def toy_product(thirds: EveryThird) -> Product[RefineLaion]:
    """LAION-refined with the two stages in its list."""

    def steps(recipe: RefineLaion, specs: Sequence[str]) -> list[Step]:
        choice = Choice.of(recipe)
        toys = segment("toys", [thirds, Measure()], over=SourceRow)
        return release_steps(recipe, [*curating_steps(recipe, specs, choice), toys], choice)

    return dataclasses.replace(LAION_REFINED, steps=steps)


def run(product: Product[RefineLaion], root: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(products, "PRODUCTS", (product, ANCHOR))
    store = Store(str(root))
    settings = [
        "caption.backend=scripted",
        "export.val=0",
        "export.test=0",
        "source.shard_rows=6",
        "check.names=ignore",
    ]
    recipe = load(RefineLaion, None, settings)
    write_recipe(store, recipe)
    for step in product.ready(recipe, [str(source)], store):
        if step.on:
            step.run(store, LocalEngine(), lambda _: None)
    return store


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toys") / "source"
    folder.mkdir()
    for n in range(ROWS):
        small = np.random.default_rng(n).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((320, 240), Image.Resampling.BICUBIC).save(folder / f"p{n:02d}.png")
        (folder / f"p{n:02d}.txt").write_text(f"picture number {n} of a toy")
    return folder


def test_a_stage_that_rejects_is_known_everywhere(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = run(toy_product(EveryThird()), tmp_path / "root", source, monkeypatch)
    views = connect(store.url)
    rejected = views.execute("SELECT count(*), any_value(detail) FROM samples WHERE stage = 'thirds'").fetchone()
    assert rejected is not None and rejected[0] == 4 and rejected[1].startswith("place ")
    assert ("thirds", "rejected", "every_third", 4) in views.execute("FROM funnel").fetchall()
    names = [stage for (stage,) in views.execute("SELECT stage FROM stages ORDER BY position").fetchall()]
    assert names[-3:] == ["thirds", "reviews", "release"] and names[0] == "plan"
    assert views.execute("SELECT reasons FROM stages WHERE stage = 'thirds'").fetchone() == (["every_third"],)
    assert counted(store.url).rejected == 4 and counted(store.url).kept == ROWS - 4
    docs = dict(views.execute("SELECT coalesce(\"column\", ''), doc FROM docs WHERE view = 'toy_ranks'").fetchall())
    assert docs[""].startswith("A toy table") and docs["detail"] == "its place, for people"
    card = store.read("release/README.md").decode()
    assert "| thirds | rejected | every_third | 4 |" in card
    assert "- name: letters\n" in card
    help_text = command_line("flows.toys", products.PRODUCTS[0]).format_help()
    assert "thirds: Rejects every third keeper of a shard." in help_text and "every_third" in help_text


def test_a_stage_that_only_annotates_is_in_every_released_sample(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = run(toy_product(EveryThird()), tmp_path / "root", source, monkeypatch)
    with tarfile.open(store.path("release/train-000000.tar")) as tar:
        members = [m for m in tar if m.name.endswith(".json")]
        texts = [json.loads(file.read()) for m in members if (file := tar.extractfile(m)) is not None]
    assert len(texts) == ROWS - 4 and all(t["letters"] == len(t["alt_text"]) for t in texts)
    rows = connect(store.url).execute("SELECT count(*) FROM toy_lengths").fetchone()
    assert rows == (ROWS,)


def test_a_failed_shard_of_the_stage_is_named_and_its_samples_are_not_released(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = run(toy_product(EveryThird(fails=True)), tmp_path / "root", source, monkeypatch)
    found = connect(store.url).execute("SELECT DISTINCT fate, stage, reason, detail FROM samples").fetchall()
    assert found == [("failed", "thirds", "shard_failed", "RuntimeError: a toy broke")]
    assert counted(store.url).failed == ROWS
    repaired = run(toy_product(EveryThird()), tmp_path / "root", source, monkeypatch)
    assert counted(repaired.url).kept == ROWS - 4


_NAMES = "check.names=reject"


@pytest.mark.parametrize(
    ("model", "settings", "before"),
    [
        (RefineLaion, [_NAMES], "243c29e5a6b98382cb78e0e348083c3a3356354305af5aa889d36671a395ebc6"),
        (
            RefineLaion,
            [_NAMES, "scores.model=clip"],
            "c2ff72ec26fc18d6f8371f2913d935e55cffed441e55f6d020d367ecc9a8b4af",
        ),
        (
            RefineLaion,
            [
                *("scores.model=clip", "scores.min_caption_similarity=0.2", "dedupe.enabled=false"),
                *("export.alt_text_fallback=true", "check.names=record"),
            ],
            "1f2e78b659b01aa6265962991ade086b3a56a72ca030ef448c6dba492d9fa056",
        ),
        (BuildAnchor, [], "2300c48cd53a6f202543c149464f4601189df43b9f2e6cfeb4f7598ce2fca926"),
        (
            BuildAnchor,
            ["abstraction.literal=false"],
            "007f847ab3b4d1bb86ac7598e5edd0d969f7dc1dd30e0c0a5a52c89aec3a8520",
        ),
    ],
)
def test_a_root_packed_before_stages_declared_their_verdicts_keeps_its_places(
    model: type[Part], settings: list[str], before: str
) -> None:
    """The digests are those of the commit before; a root with another one would be placed anew."""
    # A recipe that lacks the keys is that of a root that keeps no further columns, and no signals (see ``later``).
    former = ["source.keep_columns=[]", "signals.enabled=false"]
    assert digest(pack_reduce(load(model, None, [*former, *settings]))) == before


def test_packing_depends_on_what_stages_declare() -> None:
    plain = RefineLaion()
    digests = {digest(_pack(toy_product(EveryThird(every)), plain)) for every in (3, 4)}
    assert len(digests | {digest(pack_reduce(plain))}) == 3
    assert _pack(toy_product(EveryThird()), plain).reads[-2:] == (Rank, Length)


def _pack(product: Product[RefineLaion], recipe: RefineLaion) -> PackReduce:
    return next(p for s in product.steps(recipe, ()) for p in s.parts if isinstance(p, PackReduce))


# The folders whose code gives a stage's reasons, and what of these is only recorded or is another stage's.
_GIVEN_IN = {
    "plan": (["curation/sources"], {"FILE_MISSING"}),
    "download": (["curation/fetch", "curation/images"], set()),
    "check": (["curation/caption/check"], {"BOILERPLATE_OPENING", "FILLER"}),
}


@pytest.mark.parametrize("stage", _GIVEN_IN)
def test_every_reason_that_a_stage_gives_is_one_that_it_declares(stage: str) -> None:
    folders, others = _GIVEN_IN[stage]
    sources = [p.read_text() for f in folders for p in sorted((REPOSITORY / f).rglob("*.py"))]
    given = {name for text in sources for name in re.findall(r"\bReason\.([A-Z_0-9]+)", text)}
    parts = [p for s in LAION_REFINED.steps(RefineLaion(), ()) for p in s.active if isinstance(p, Decides)]
    declared = {str(r) for p in parts if (p.verdict.label or p.name) == stage for r in p.verdict.reasons}
    assert {Reason[name].value for name in given - others} <= declared


@pytest.mark.parametrize("product", products.PRODUCTS, ids=lambda p: p.name)
def test_every_declared_reason_is_explained_in_one_short_line(product: Product[Part]) -> None:
    for step in product.steps(product.recipe(), ()):
        for part in (p for p in step.parts if isinstance(p, Decides)):
            for reason in part.verdict.reasons:
                meaning = part.verdict.meaning(reason)
                assert 3 < len(meaning) <= 90 and "\n" not in meaning, (part.name, str(reason))
                assert meaning[0].islower() or meaning.split()[0].isupper(), (part.name, str(reason))
                assert not meaning.endswith("."), (part.name, str(reason))


def test_rows_are_rejected_only_for_declared_reasons(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"))
    query = "SELECT stage, reason FROM samples WHERE fate = 'rejected' EXCEPT SELECT stage, unnest(reasons) FROM stages"
    assert connect(world.store.url).execute(query).fetchall() == []
