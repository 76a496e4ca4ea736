"""One caption a keeper and kind, in order; no reply is asked for twice; a kill changes no byte."""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from curation.caption.model.chat import ChatReply, ChatRequest, failure
from curation.caption.model.ledger import Ledger
from curation.caption.model.scripted import ScriptedModel
from curation.caption.model.transformers import TransformersModel
from curation.caption.recaption import caption_shard
from curation.caption.recaption_stage import RecaptionStage
from curation.core.errors import EndpointsGone, ModelError, RecipeError, TooManyLost
from curation.core.stage import Shard, digest
from curation.core.store import Store
from curation.core.under_way import Progress, under_way
from schemas.arrow import rows_of
from schemas.captions import Caption
from schemas.chat import Captioning, CaptionKind
from schemas.reasons import Reason
from schemas.records import ImageRow, SourceRow
from tests.support.captioning import for_all_kinds
from tests.support.chat_server import MODEL, chat_server
from tests.support.keepers import SHARD, root_with_keepers
from tests.support.tiny_models import tiny_captioner

TEXTS = [f"alt text number {i}" for i in range(16)]
DENSE = CaptionKind(kind="dense", prompt="dense", max_tokens=200)
SHORT = CaptionKind(kind="short", prompt="short", max_tokens=40)
FUSE = CaptionKind(kind="fused", prompt="fuse", max_tokens=200)


def recipe(**settings: Any) -> Captioning:
    return Captioning.model_validate({"backend": "scripted", "kinds": [DENSE, SHORT]} | settings)


def captions(table: pa.Table) -> list[Caption]:
    return list(rows_of(Caption, table))


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    return root_with_keepers(Store(str(tmp_path)), TEXTS, rejected=[3], same=[5, 6])


def run(shard: Shard, model: ScriptedModel, **settings: Any) -> list[Caption]:
    stage = RecaptionStage.of(recipe(**settings))
    return captions(caption_shard(stage, for_all_kinds(stage, model), shard))


def test_one_caption_a_keeper_and_kind_in_order(shard: Shard) -> None:
    found = run(shard, ScriptedModel())
    kept = [i for i in range(16) if i not in (3, 5, 6)]
    rows = shard.read(SourceRow).column("sample_id").to_pylist()
    assert [(c.sample_id, c.kind) for c in found] == [(rows[i], k) for i in kept for k in ("dense", "short")]
    assert all(c.text and c.reason is None and c.finish == "stop" for c in found)
    assert {c.prompt for c in found} == {"dense@1", "short@1"}
    assert all(len(c.text.split()) > 50 for c in found if c.kind == "dense" and c.text)
    assert len({c.text for c in found if c.kind == "dense"}) == len(kept)


def test_a_rejected_or_duplicate_sample_costs_nothing(shard: Shard) -> None:
    model = ScriptedModel()
    run(shard, model)
    assert len(model.asked) == 13 * 2
    assert not any(f"number {i}<" in r.user for r in model.asked for i in (3, 5, 6))


def test_the_image_in_the_request_is_the_samples_own(shard: Shard) -> None:
    model = ScriptedModel(script=lambda r: f"{r.user[-40:]} {hash(r.image)}")
    tar = Path(shard.store.path(shard.store.images_file(SHARD))).read_bytes()
    run(shard, model)
    assert all(r.image and r.image in tar and r.image.startswith(b"\xff\xd8") for r in model.asked)
    assert len({r.image for r in model.asked}) == 13


def test_a_second_run_asks_for_nothing_and_writes_the_same(shard: Shard) -> None:
    first = run(shard, ScriptedModel())
    model = ScriptedModel(script=lambda r: "never said")
    assert run(shard, model) == first
    assert model.asked == []


@pytest.mark.parametrize("change", [{"temperature": 0.5}, {"image_size": 64}, {"seed": 1}, {"top_p": 0.5}])
def test_what_changes_the_reply_asks_again(shard: Shard, change: dict[str, Any]) -> None:
    run(shard, ScriptedModel())
    model = ScriptedModel()
    run(shard, model, **change)
    assert len(model.asked) == 26


def test_a_changed_prompt_asks_for_its_own_kind_only(shard: Shard, tmp_path: Path) -> None:
    run(shard, ScriptedModel())
    own = tmp_path / "mine.md"
    own.write_text("---\nname: mine\nversion: 2\n---\nSay what this is.\n{alt_text}\n")
    model = ScriptedModel()
    found = run(shard, model, kinds=[DENSE, SHORT.model_copy(update={"prompt": str(own)})])
    assert len(model.asked) == 13
    assert {c.prompt for c in found if c.kind == "short"} == {"mine@2"}


@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize("at", [1, 7, 26])
def test_an_interrupted_shard_asks_only_for_the_rest(tmp_path: Path, batch: int | None, at: int) -> None:
    whole_root, torn_root = Store(str(tmp_path / "whole")), Store(str(tmp_path / "torn"))
    whole = run(root_with_keepers(whole_root, TEXTS[:13]), ScriptedModel(batch=batch))
    torn = root_with_keepers(torn_root, TEXTS[:13])
    first, second = ScriptedModel(batch=batch, raise_at=at), ScriptedModel(batch=batch)
    with pytest.raises(RuntimeError):
        run(torn, first)
    assert run(torn, second) == whole
    assert len(first.asked) + len(second.asked) <= 26 + (batch or 1)


def test_a_resumed_shard_asks_in_the_same_batches(tmp_path: Path) -> None:
    def batches(at: int) -> list[list[str]]:
        """The batches as they were asked, over as many runs as it takes."""
        seen: list[list[str]] = []

        class Watching(ScriptedModel):
            def complete(self, requests: Any) -> Any:
                batch = list(requests)
                if batch:
                    yield from super().complete(batch)
                    seen.append([r.key for r in batch])

        shard = root_with_keepers(Store(str(tmp_path / str(at))), TEXTS[:13])
        if at:
            with pytest.raises(RuntimeError):
                run(shard, Watching(batch=4, raise_at=at))
        run(shard, Watching(batch=4))
        return seen

    whole = batches(0)
    assert [len(b) for b in whole] == [4, 4, 4, 4, 4, 4, 1, 1]
    assert batches(6) == batches(15) == whole


def test_a_later_kind_gets_the_earlier_ones_text(shard: Shard) -> None:
    model = ScriptedModel()
    found = run(shard, model, kinds=[DENSE, SHORT, FUSE])
    dense = {c.sample_id: c.text for c in found if c.kind == "dense"}
    fused = [r for r in model.asked if "<caption>" in r.user]
    assert len(fused) == 13
    assert {r.user.split("<caption>")[1].split("</caption>")[0] for r in fused} == set(dense.values())


@pytest.mark.parametrize("batch", [None, 4])
def test_a_kind_without_its_ground_is_not_asked(shard: Shard, batch: int | None) -> None:
    def script(request: ChatRequest) -> str | ChatReply:
        if "number 2<" in request.user and request.sampling.max_tokens == 200:
            return failure(request, Reason.MODEL_REFUSED_REQUEST, "too large")
        return "said"

    model = ScriptedModel(script=script, batch=batch)
    found = run(shard, model, kinds=[DENSE, SHORT, FUSE])
    assert len(found) == 39
    bad = [c for c in found if c.text is None]
    assert [(c.kind, c.reason) for c in bad] == [
        ("dense", Reason.MODEL_REFUSED_REQUEST),
        ("fused", Reason.MODEL_REFUSED_REQUEST),
    ]
    assert "dense" in (bad[1].detail or "")
    assert len(model.asked) == 38
    again = ScriptedModel()
    assert [c for c in run(shard, replace(again, batch=batch), kinds=[DENSE, SHORT, FUSE]) if c.text is None] == []


@pytest.mark.parametrize("batch", [None, 4])
def test_a_kind_that_joins_a_row_gets_the_texts_of_those_that_a_sample_has(shard: Shard, batch: int | None) -> None:
    first, second, third = (r["sample_id"] for r in shard.read(ImageRow).to_pylist()[:3])

    class Parts:
        reads = ()

        def of(self, shard: Shard) -> dict[str, dict[str, Any]]:
            rows = {first: ("part_0",), second: ("part_0", "part_1"), third: ("part_0", "part_1")}
            return {s: {"joined": None, **{k: (0, 0, 8 + int(k[-1]), 8) for k in kinds}} for s, kinds in rows.items()}

    def script(request: ChatRequest) -> str | ChatReply:
        if request.image is None:
            return f"joined {request.user.count('<caption>')}"
        part = "first" if "(8," in str(Image.open(io.BytesIO(request.image)).size) else "second"
        refused = [r for r in model.asked if r.image is not None][4:5] == [request]
        return failure(request, Reason.CONTENT_FILTER, "no") if refused else part

    model = ScriptedModel(script=script, batch=batch)
    kinds = [
        *(CaptionKind(kind=f"part_{n}", prompt="local") for n in range(2)),
        CaptionKind(kind="joined", prompt="joined"),
    ]
    stage = replace(RecaptionStage.of(recipe(kinds=kinds)), regions=Parts())
    found = {(c.sample_id, c.kind): c for c in captions(caption_shard(stage, for_all_kinds(stage, model), shard))}
    assert [found[s, "joined"].text for s in (first, second, third)] == ["joined 1", "joined 2", None]
    assert found[third, "joined"].reason == Reason.CONTENT_FILTER
    assert "builds on part_1" in (found[third, "joined"].detail or "")
    assert (first, "part_1") not in found and len(found) == 8 and len(model.asked) == 7


def test_a_failure_is_asked_again_but_no_reply_is(shard: Shard) -> None:
    def script(request: ChatRequest) -> str | ChatReply:
        return failure(request, Reason.MODEL_ERROR, "busy") if "number 9<" in request.user else "said"

    found = run(shard, ScriptedModel(script=script))
    assert len(found) == 12 * 2 and all(c.text for c in found)
    assert shard.undecided == 1 and "1 of 13 samples got no reply: busy" in shard.undecided_why
    model = ScriptedModel()
    found = run(shard, model)
    assert len(found) == 13 * 2 and all(c.text for c in found)
    assert len(model.asked) == 2


def test_a_sample_of_which_one_kind_failed_has_no_rows_but_keeps_its_other_reply(shard: Shard) -> None:
    def script(request: ChatRequest) -> str | ChatReply:
        short = request.sampling.max_tokens == 40 and "number 9<" in request.user
        return failure(request, Reason.MODEL_ERROR, "no reply within 5 s") if short else "said"

    assert len(run(shard, ScriptedModel(script=script), kinds=[DENSE, SHORT, FUSE])) == 12 * 3
    model = ScriptedModel()
    assert len(run(shard, model, kinds=[DENSE, SHORT, FUSE])) == 13 * 3
    assert [r.sampling.max_tokens for r in model.asked] == [40]


@pytest.mark.parametrize(
    "reason", [Reason.MODEL_REFUSED_REQUEST, Reason.INVALID_REPLY, Reason.CONTENT_FILTER, Reason.MODEL_ERROR]
)
def test_only_what_is_about_the_sample_rejects_it(reason: Reason, shard: Shard) -> None:
    def script(request: ChatRequest) -> str | ChatReply:
        return failure(request, reason, "found") if "number 9<" in request.user else "said"

    found = run(shard, ScriptedModel(script=script))
    passes = reason is Reason.MODEL_ERROR
    assert {c.reason for c in found} == ({None} if passes else {None, reason})
    assert bool(shard.undecided) == passes


def test_a_stage_that_loses_too_many_to_one_reason_stops_before_it_decides(tmp_path: Path) -> None:
    many = root_with_keepers(Store(str(tmp_path)), [f"text {i}" for i in range(150)])
    stage = RecaptionStage.of(recipe(), stop_at_share=0.5)

    def script(request: ChatRequest) -> str | ChatReply:
        number = int(request.user.split("<alt_text>text ")[1].split("<")[0])
        return failure(request, Reason.INVALID_REPLY, "an empty reply") if number % 5 else "said"

    with pytest.raises(TooManyLost, match="invalid_reply"):
        caption_shard(stage, for_all_kinds(stage, ScriptedModel(script=script)), many)
    stage = replace(stage, stop_at_share=1.0)
    assert len(captions(caption_shard(stage, for_all_kinds(stage, ScriptedModel(script=script)), many))) == 300


@pytest.mark.parametrize("batch", [None, 4])
def test_equal_images_with_equal_alt_texts_are_asked_once(tmp_path: Path, batch: int | None) -> None:
    store = Store(str(tmp_path))
    shard = root_with_keepers(store, ["same", "same"])
    images = shard.read(ImageRow)
    for column in ("sha256", "offset", "size"):
        first = pa.array([images.column(column)[0].as_py()] * 2, images.schema.field(column).type)
        images = images.set_column(images.schema.get_field_index(column), images.schema.field(column), first)
    store.write_table(ImageRow, SHARD, images)
    model = ScriptedModel(batch=batch)
    found = run(shard, model)
    assert len(found) == 4
    assert len(model.asked) == 2


def test_a_shard_without_keepers_gives_an_empty_table(tmp_path: Path) -> None:
    shard = root_with_keepers(Store(str(tmp_path)), TEXTS[:2], rejected=[0, 1])
    assert run(shard, ScriptedModel()) == []


def test_the_settings_decide_the_digest() -> None:
    stage = RecaptionStage.of(recipe())
    assert digest(stage) == digest(RecaptionStage.of(recipe(concurrency=1, timeout=3.0, workers=2)))
    changed = [
        RecaptionStage.of(recipe(temperature=0.1)),
        RecaptionStage.of(recipe(kinds=[DENSE])),
        replace(stage, model=replace(stage.model, revision="2")),
        replace(stage, questions=(replace(stage.questions[0], prompt=replace(stage.questions[0].prompt, body="x")),)),
    ]
    assert len({digest(s) for s in [stage, *changed]}) == 5


def test_a_stage_travels_to_its_worker() -> None:
    stage = RecaptionStage.of(recipe(kinds=[DENSE, FUSE]))
    there = pickle.loads(pickle.dumps(stage))
    assert there == stage
    assert digest(there) == digest(stage)


def test_a_chain_in_the_wrong_order_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"\{caption:dense\}"):
        RecaptionStage.of(recipe(kinds=[FUSE, DENSE]))


def test_a_model_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"without config\.json"):
        RecaptionStage.of(recipe(backend="transformers", model=str(tmp_path)))


def tiny(tmp_path: Path, name: str, **settings: Any) -> tuple[Shard, RecaptionStage]:
    shard = root_with_keepers(Store(str(tmp_path / name)), TEXTS)
    kinds = [k.model_copy(update={"max_tokens": 12}) for k in (DENSE, SHORT)]
    fields = {"backend": "transformers", "model": str(tiny_captioner()), "kinds": kinds, "batch": 5, "workers": 2}
    return shard, RecaptionStage.of(recipe(**fields | settings))


def test_a_real_checkpoint_captions_images_and_a_resumed_shard_has_the_same_bytes(tmp_path: Path) -> None:
    shard, stage = tiny(tmp_path, "whole")
    with stage.open() as work:
        whole = work(shard)
    assert all(c.text and c.finish in ("stop", "length") and c.tokens_out for c in captions(whole))
    assert len({c.text for c in captions(whole)}) > 10

    torn, _ = tiny(tmp_path, "torn")
    journal = Path(shard.store.path(f"replies/{SHARD}.jsonl")).read_bytes()
    lines = journal.splitlines(keepends=True)
    assert len(lines) == 8
    folder = Path(torn.store.path("replies"))
    folder.mkdir()
    (folder / f"{SHARD}.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:100])
    with stage.open() as work:
        resumed = work(torn)
    sha_whole, _ = shard.store.write_table(Caption, SHARD, whole)
    sha_resumed, _ = torn.store.write_table(Caption, SHARD, resumed)
    assert sha_whole == sha_resumed


def test_an_image_that_the_processor_cannot_take_costs_its_own_captions_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard, stage = tiny(tmp_path, "root")
    whole, seen = TransformersModel._inputs, list[bytes]()

    def failing(self: TransformersModel, requests: Any, images: Any) -> Any:
        pixels = [image.tobytes() for image in images]
        seen.extend(p for p in pixels if p not in seen)
        if len(seen) > 7 and seen[7] in pixels:
            raise ValueError("absolute aspect ratio must be smaller than 200")
        return whole(self, requests, images)

    monkeypatch.setattr(TransformersModel, "_inputs", failing)
    with stage.open() as work:
        found = captions(work(shard))
    failed = [c for c in found if c.text is None]
    assert {c.sample_id for c in failed} == {found[2 * 7].sample_id} and len(failed) == 2
    assert {(c.reason, c.detail) for c in failed} == {
        (Reason.MODEL_REFUSED_REQUEST, "ValueError: absolute aspect ratio must be smaller than 200")
    }


def test_a_server_captions_a_shard_and_asks_as_few_times_as_there_are_captions(tmp_path: Path) -> None:
    shard = root_with_keepers(Store(str(tmp_path)), TEXTS)
    with chat_server() as server:
        stage = RecaptionStage.of(recipe(backend="server", model=MODEL, endpoints=[server.url], image_size=64))
        with stage.open() as work:
            found = captions(work(shard))
            again = captions(work(shard))
    assert len(server.asked) == len(found) == 32
    assert again == found
    assert all(url.startswith("data:image/jpeg;base64,") for url in server.image_urls)
    assert {(c.model, c.model_revision, c.tokens_in, c.tokens_out) for c in found} == {(MODEL, "main", 11, 7)}


def test_when_the_servers_go_what_is_finished_stays(tmp_path: Path) -> None:
    shard = root_with_keepers(Store(str(tmp_path)), TEXTS)

    with chat_server(fault=lambda n, _: None if n < 10 else "503") as server:
        actual = recipe(backend="server", model=MODEL, endpoints=[server.url], timeout=0.5, concurrency=2)
        stage = RecaptionStage.of(actual)
        with stage.open() as work, pytest.raises(EndpointsGone):
            work(shard)
        paid = len(Ledger(shard.store, SHARD))
        assert paid >= 8
        server.fault = lambda *_: None
        server.asked.clear()
        with stage.open() as work:
            found = captions(work(shard))
    assert all(c.text for c in found)
    assert len(server.asked) == 32 - paid


KILLED = """
import sys
from curation.caption.model.scripted import ScriptedModel, plain_english
from curation.core.stage import Shard
from curation.caption.recaption import caption_shard
from curation.caption.recaption_stage import RecaptionStage
from curation.core.store import Store
from schemas.chat import Captioning
from tests.support.captioning import for_all_kinds

root, batch, wait = sys.argv[1], int(sys.argv[2]) or None, float(sys.argv[3])
asked = open(root + "/asked", "a", buffering=1)
def script(request):
    print(request.key, file=asked)
    return plain_english(request)
stage = RecaptionStage.of(Captioning(backend="scripted"))
store = Store(root)
model = for_all_kinds(stage, ScriptedModel(script=script, batch=batch, wait=wait))
table = caption_shard(stage, model, Shard("part-00000", store))
store.write_table(stage.writes, "part-00000", table)
"""


@pytest.mark.parametrize("batch", [0, 4])
def test_a_killed_worker_pays_at_most_for_what_was_in_flight(tmp_path: Path, batch: int) -> None:
    count, roots = 40, [tmp_path / "whole", tmp_path / "torn"]
    for root in roots:
        root_with_keepers(Store(str(root)), [f"text {i}" for i in range(count)])

    def start(root: Path, wait: float) -> subprocess.Popen[bytes]:
        repository = Path(__file__).parents[3]
        command = [sys.executable, "-c", KILLED, str(root), str(batch), str(wait)]
        return subprocess.Popen(command, cwd=repository, env=os.environ | {"PYTHONPATH": str(repository)})

    assert start(roots[0], 0.0).wait() == 0
    worker = start(roots[1], 0.05)
    journal = roots[1] / "replies" / f"{SHARD}.jsonl"
    deadline = time.monotonic() + 60
    while not journal.is_file() or journal.read_bytes().count(b"\n") < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    worker.send_signal(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    assert 0 < len(Ledger(Store(str(roots[1])), SHARD)) < count
    assert start(roots[1], 0.0).wait() == 0

    tables = [(root / "tables" / "captions" / f"{SHARD}.parquet").read_bytes() for root in roots]
    assert tables[0] == tables[1]
    asked = (roots[1] / "asked").read_text().split()
    assert len(set(asked)) == count
    assert len(asked) <= count + max(batch, 1)


def test_captions_in_work_can_be_counted_while_the_model_is_asked(shard: Shard) -> None:
    seen: list[Progress] = []

    def answer(request: ChatRequest) -> str:
        seen.extend(under_way())
        return "A red barn stands on a hill."

    run(shard, ScriptedModel(script=answer))
    assert {(p.table, p.shard, p.total) for p in seen} == {(Caption.table, SHARD, 13)}
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert seen[0].done == 0 and under_way() == []
