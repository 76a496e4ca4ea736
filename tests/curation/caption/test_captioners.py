"""Every kind may name its own model: each model is looked at, opened and closed once, and asked for its kinds alone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from curation.caption import captioners as module
from curation.caption.captioners import captioners, resources_of
from curation.caption.model.chat import ChatModel
from curation.caption.model.scripted import ScriptedModel
from curation.caption.recaption import caption_shard
from curation.caption.recaption_stage import RecaptionStage
from curation.core.errors import ModelError, RecipeError
from curation.core.recipes import from_toml, load, parse, to_toml
from curation.core.stage import Shard, digest
from curation.core.store import Store
from schemas.arrow import rows_of
from schemas.captions import Caption
from schemas.chat import Captioning, CaptionKind, Parameters, Serve
from schemas.refine import RefineLaion
from tests.support.captioning import for_all_kinds
from tests.support.chat_server import ChatServer, chat_server
from tests.support.keepers import root_with_keepers
from tests.support.tiny_models import tiny_captioner, tiny_llama

TEXTS = [f"alt text number {i}" for i in range(7)]


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    return root_with_keepers(Store(str(tmp_path)), TEXTS)


@pytest.fixture
def sees() -> Iterator[ChatServer]:
    with chat_server(model="sees", reply=lambda body: "A red barn with a green door stands on a hill.") as server:
        yield server


@pytest.fixture
def writes() -> Iterator[ChatServer]:
    with chat_server(model="writes", reply=lambda body: "A red barn on a hill, called number 7.") as server:
        yield server


def kinds(*own: dict[str, Any]) -> list[CaptionKind]:
    """dense, short and fused (from dense alone), the last ones with what is given for them."""
    plain = [
        {"kind": "dense", "prompt": "dense", "max_tokens": 99},
        {"kind": "short", "prompt": "short", "max_tokens": 33},
        {"kind": "fused", "prompt": "rewrite", "max_tokens": 77},
    ]
    given: list[dict[str, Any]] = [{}] * (3 - len(own)) + list(own)
    return [CaptionKind.model_validate(a | b) for a, b in zip(plain, given, strict=True)]


def recipe(server: ChatServer, *own: dict[str, Any], **settings: Any) -> Captioning:
    fields = {"backend": "server", "model": server.model, "endpoints": [server.url], "kinds": kinds(*own)}
    return Captioning.model_validate(fields | settings)


def other(server: ChatServer) -> dict[str, Any]:
    return {"model": server.model, "endpoints": [server.url]}


def test_a_kind_without_a_model_of_its_own_keeps_digest_and_reply_keys(tmp_path: Path) -> None:
    """The hashes are those of the commit before kinds could name models."""
    kinds = [CaptionKind(kind="dense", prompt="dense", max_tokens=200)]
    kinds += [CaptionKind(kind="fused", prompt="fuse", max_tokens=200)]
    stage = RecaptionStage.of(Captioning(backend="scripted", kinds=kinds, image_size=64))
    assert digest(stage) == "777556f4d91e6e09695bd762ddb5eb94971915e358ce82114f3b4a30fdf65011"
    shard = root_with_keepers(Store(str(tmp_path)), ["alt text 0"])
    found = caption_shard(stage, for_all_kinds(stage, ScriptedModel()), shard)["reply_key"].to_pylist()
    assert found == [
        "d8346649fdd81537df7e522856a8bc52c30015bebc2ee02044475e994b8c81d0",
        "64fc549b08f786b0b818bda048b34b584763bb8dec56ef32fa7ba02692a98463",
    ]
    assert kinds[0].model_dump() == {"kind": "dense", "prompt": "dense", "max_tokens": 200}


def test_kinds_are_asked_of_their_own_models(shard: Shard, sees: ChatServer, writes: ChatServer) -> None:
    stage = RecaptionStage.of(recipe(sees, other(writes)))
    with stage.open() as work:
        found = list(rows_of(Caption, work(shard)))
    asked = {k: [c for c in found if c.kind == k] for k in ("dense", "short", "fused")}
    assert {k: {c.model for c in rows} for k, rows in asked.items()} == {
        "dense": {"sees"},
        "short": {"sees"},
        "fused": {"writes"},
    }
    assert len(sees.asked) == 14 and len(writes.asked) == 7
    assert len(sees.image_urls) == 14 and writes.image_urls == []  # the prompt rewrite needs no image
    assert {body["model"] for body in writes.asked} == {"writes"}
    told = str([body["messages"] for body in writes.asked])
    assert told.count("<caption>A red barn with a green door stands on a hill.</caption>") == 7
    with stage.open() as work:
        assert list(rows_of(Caption, work(shard))) == found
    assert len(sees.asked) == 14 and len(writes.asked) == 7


def test_each_model_is_looked_at_once_and_sent_its_own_kinds(sees: ChatServer, writes: ChatServer) -> None:
    declared = RecaptionStage.declared(recipe(sees, other(writes), {}, other(writes)))
    made = declared.ready(None)
    # One look for the name and two of the preflight, which reads the context and the clock.
    assert len(sees.headers_of_models) == len(writes.headers_of_models) == 3
    limits = [[b["max_tokens"] for b in server.asked if b["max_tokens"] > 1] for server in (sees, writes)]
    assert limits == [[33], [99, 77]]
    assert [c.names for c in made.captioners] == [("dense", "fused"), ("short",)]
    assert made.estimate(1000) == [
        ("by writes", "       2,000 requests (dense, fused), at most"),
        ("by sees", "       1,000 requests (short), at most"),
    ]
    assert made.resources.overlap == 3 and made.resources == declared.resources


def test_a_model_of_its_own_that_is_the_default_one_changes_nothing(sees: ChatServer, shard: Shard) -> None:
    plain, named = (RecaptionStage.of(recipe(sees, own)) for own in ({}, other(sees)))
    assert len(named.captioners) == 1 and named.questions == plain.questions
    with plain.open() as work:
        found = work(shard)
    with named.open() as work:
        assert work(shard).equals(found)
    assert len(sees.asked) == 21


def test_a_default_that_no_kind_asks_needs_no_model(writes: ChatServer, shard: Shard) -> None:
    everywhere = [other(writes) | {"backend": "server"}] * 3
    stage = RecaptionStage.of(Captioning(kinds=kinds(*everywhere)))
    with stage.open() as work:
        assert len(work(shard)) == 21
    assert len(writes.asked) == 21


def test_a_server_describes_and_a_text_model_in_the_worker_rewrites(shard: Shard, sees: ChatServer) -> None:
    own = {"model": str(tiny_llama()), "backend": "transformers", "max_tokens": 5}
    stage = RecaptionStage.of(recipe(sees, own, batch=4))
    shards = [shard, *(root_with_keepers(shard.store, TEXTS, shard=f"s-{n}") for n in range(2))]
    with stage.open() as work, ThreadPoolExecutor(stage.resources.overlap) as threads:
        tables = list(threads.map(work, shards))
    assert stage.resources.overlap == 3
    assert [len(t) for t in tables] == [21] * 3
    rows = [c for t in tables for c in rows_of(Caption, t)]
    assert all(c.text is not None and c.model == tiny_llama().name for c in rows if c.kind == "fused")
    with pytest.raises(ModelError, match=r"reads text only"):
        RecaptionStage.of(recipe(sees, own | {"prompt": "fuse"}))


def test_all_are_closed_also_where_one_cannot_be_opened(monkeypatch: pytest.MonkeyPatch, sees: ChatServer) -> None:
    built: list[ScriptedModel] = []

    def build(settings: Captioning, identity: Any, **_: Any) -> ChatModel:
        if settings.model == "broken":
            raise ModelError("caption.model 'broken' cannot be loaded, see caption.device")
        built.append(ScriptedModel())
        return built[-1]

    monkeypatch.setattr(module, "build_model", build)
    monkeypatch.setattr(module, "check_model", lambda settings: ScriptedModel().identity)
    with RecaptionStage.of(recipe(sees, {"model": "b"}, {"model": "c"})).open():
        assert [m.closed for m in built] == [False] * 3
    assert [m.closed for m in built] == [True] * 3
    stage = RecaptionStage.of(recipe(sees, {"model": "b"}, {"model": "broken"}))
    with pytest.raises(ModelError, match=r"^caption\.kinds\[fused\]\.model 'broken' .* caption\.device"), stage.open():
        pass
    assert [m.closed for m in built] == [True] * 5


def test_only_what_belongs_to_the_default_model_s_kind_is_passed_on() -> None:
    caption = Captioning(
        backend="server",
        model="a",
        revision="r1",
        endpoints=["http://one/v1"],
        api_key_env="KEY",
        ca_bundle="ca.pem",
        parameters=Parameters(drop=["seed"]),
        price_in=2.0,
        image_size=300,
        temperature=0.5,
    )

    def of(**own: Any) -> tuple[object, ...]:
        found = caption.asked_of(CaptionKind(kind="x", prompt="dense", **own))
        assert found.temperature == 0.5
        secret = (found.api_key_env, found.ca_bundle, found.parameters.drop)
        return found.model, found.revision, found.endpoints[0][7:10] if found.endpoints else "", *secret, found.price_in

    assert of() == of(model="a") == ("a", "r1", "one", "KEY", "ca.pem", ["seed"], 2.0)
    assert of(model="b") == ("b", "main", "one", "KEY", "ca.pem", ["seed"], 0.0)
    # A key for one place is never sent to another.
    assert of(endpoints=["http://two/v1"]) == ("a", "r1", "two", "", "", [], 2.0)
    assert of(model="b", backend="transformers") == ("b", "main", "", "", "", [], 0.0)
    assert of(endpoints=["http://two/v1"], api_key_env="B", price_in=3.0)[3::3] == ("B", 3.0)
    assert caption.asked_of(CaptionKind(kind="x", prompt="dense", image_size=64)).image_size == 64


def test_a_worker_holds_the_gpus_of_all_its_models_together() -> None:
    own: list[dict[str, Any]] = [
        {},
        {"model": "b"},
        {"model": "c", "backend": "server", "serve": Serve(python="p", tensor_parallel=2)},
    ]
    found = resources_of(Captioning(model="a", device="cuda", kinds=kinds(*own), workers=5))
    assert (found.gpus, found.workers, found.overlap) == (4.0, 5, 4)
    in_process = resources_of(Captioning(model="a", device="cuda", kinds=kinds({"model": "b"}, {"model": "b"})))
    assert (in_process.gpus, in_process.overlap) == (2.0, 1)


def test_kinds_that_differ_only_in_a_request_share_a_model() -> None:
    own: list[dict[str, Any]] = [{"image_size": 64}, {"image_size": 128, "price_in": 1.0}, {}]
    (found,) = captioners(Captioning(model="a", kinds=kinds(*own), image_size=100))
    assert found.names == ("dense", "short", "fused") and found.settings.image_size == 128
    (exported,) = captioners(Captioning(model="a", kinds=kinds(*own)))
    assert exported.settings.image_size == 0  # the largest that may come is as exported


def test_the_image_s_size_is_the_kind_s(shard: Shard, sees: ChatServer) -> None:
    stage = RecaptionStage.of(recipe(sees, {"image_size": 30}, {}))
    with stage.open() as work:
        keys = {c.reply_key for c in rows_of(Caption, work(shard))}
    size = {limit: max(len(str(b["messages"])) for b in sees.asked if b["max_tokens"] == limit) for limit in (99, 33)}
    assert len(keys) == 21 and size[33] < size[99] / 1.5


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"modle": "x"}, "did you mean 'caption.kinds.2.model'"),
        ({"model": ""}, "expected a text of 1 or more characters"),
        ({"endpoints": ["http://127.0.0.1:1/v1"]}, r"caption.kinds\[fused\] names endpoints, which wants its backend"),
        ({"backend": "server"}, r"caption.kinds\[fused\].backend is .server. but caption.kinds\[fused\].endpoints"),
        ({"backend": "servers"}, "'transformers', 'server' or 'scripted'"),
        ({"serve": {"python": "p"}}, r"caption.kinds\[fused\].serve.python starts a server"),
        ({"parameters": {"drop": ["model"]}}, "'model', which every request needs"),
    ],
)
def test_what_a_kind_cannot_mean_is_said_before_any_work(own: dict[str, Any], message: str) -> None:
    plain = [k.model_dump() for k in kinds()]
    with pytest.raises(RecipeError, match=message):
        parse(RefineLaion, {"caption": {"kinds": [*plain[:2], plain[2] | own]}})


def test_two_servers_of_a_run_want_two_ports() -> None:
    served = {"backend": "server", "serve": {"python": "p", "port": 8001}}
    both = [{"kind": k, "prompt": "dense", "model": k, **served} for k in ("dense", "short")]
    with pytest.raises(RecipeError, match="two servers at port 8001, of 'dense' and of 'short'"):
        parse(RefineLaion, {"caption": {"kinds": both}})
    shared = [{"kind": k, "prompt": "dense", "model": "m", **served} for k in ("dense", "short")]
    assert len(captioners(parse(RefineLaion, {"caption": {"kinds": shared}}).caption)) == 1


def test_a_model_that_is_not_there_is_named_by_its_kind(sees: ChatServer, writes: ChatServer) -> None:
    with pytest.raises(ModelError, match=r"serves writes, not 'else'; set caption\.kinds\[fused\]\.model"):
        RecaptionStage.of(recipe(sees, other(writes) | {"model": "else"}))
    with pytest.raises(ModelError, match=r"no model is named in caption\.model"):
        RecaptionStage.of(Captioning(kinds=kinds({"endpoints": [writes.url], "backend": "server"})))


def test_a_recipe_with_models_of_kinds_is_read_back_as_it_was(sees: ChatServer) -> None:
    own = {"model": "b", "endpoints": ["http://127.0.0.1:1/v1"], "parameters": {"drop": ["seed"]}, "image_size": 5}
    made = load(RefineLaion, None, ["caption.model=a", "caption.backend=server", 'caption.endpoints=["http://x/v1"]'])
    made = made.model_copy(update={"caption": made.caption.model_copy(update={"kinds": kinds(own)})})
    again = from_toml(RefineLaion, to_toml(made), "it")
    assert again == made and again.caption.kinds[2].own().keys() == own.keys()


def test_one_real_checkpoint_serves_two_kinds_that_name_it(shard: Shard) -> None:
    own = {"model": str(tiny_captioner()), "max_tokens": 5}
    stage = RecaptionStage.of(Captioning(model=str(tiny_captioner()), kinds=kinds(own, own), batch=4))
    assert len(stage.captioners) == 1
