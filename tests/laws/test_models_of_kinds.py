"""Whole runs in which kinds of caption name their own models: what is asked, again and of whom, and what it costs."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.caption.model.ledger import Ledger
from curation.catalog import connect
from curation.core.errors import LapidaryError
from curation.core.store import Store
from curation.products.refine import LAION_REFINED
from flows.product import _described
from flows.request import Request
from tests.support.chat_server import ChatServer, chat_server
from tests.support.runs import counted, refine

PICTURES = 6
LIMITS = {"dense": 99, "short": 33, "joined": 77}
CAPTION = (
    "{who} sees a large red circle, number {n}, in front of a pale green wall, and two small blue boxes that lie on a "
    "brown floor to its left."
)


def source(folder: Path) -> Path:
    folder.mkdir()
    for n in range(PICTURES):
        small = np.random.default_rng(n).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((320, 240), Image.Resampling.BICUBIC).save(folder / f"p{n}.png")
        (folder / f"p{n}.txt").write_text(f"picture number {n}")
    return folder


def server(name: str, **settings: Any) -> Any:
    """A model whose captions tell its name and the number of the alt text."""

    def reply(body: dict[str, Any]) -> str:
        number = re.search(r"picture number (\d+)", str(body["messages"]))
        return CAPTION.format(who=f"Model {name}", n=number[1] if number else "none")

    return chat_server(model=name, reply=reply, **settings)


def settings(default: ChatServer, dense: ChatServer, joined: ChatServer, *more: str) -> list[str]:
    own = {"dense": dense, "joined": joined}
    kinds = ", ".join(
        f'{{kind="{kind}", prompt="{prompt}", max_tokens={LIMITS[kind]}'
        + (f', model="{own[kind].model}", endpoints=["{own[kind].url}"], price_out={p}' if kind in own else "")
        + "}"
        for p, (kind, prompt) in enumerate([("dense", "dense"), ("short", "short"), ("joined", "rewrite")])
    )
    named = ["caption.backend=server", f'caption.endpoints=["{default.url}"]', f"caption.model={default.model}"]
    quick = ["caption.timeout=3", "caption.retries=0", "export.val=0", "export.test=0", "source.shard_rows=3"]
    return [*named, *quick, f"caption.kinds=[{kinds}]", "caption.price_out=7", "check.names=ignore", *more]


def asked(of: ChatServer) -> dict[str, int]:
    """How many requests of the run itself came, by kind; those before the work are about no picture's number."""
    limits = [b["max_tokens"] for b in of.asked if "picture number" in str(b["messages"])]
    return {kind: limits.count(limit) for kind, limit in LIMITS.items() if limit in limits}


def captions(root: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((root / "tables" / "captions").iterdir())}


def test_a_changed_model_of_a_kind_asks_that_kind_and_what_chains_on_it_again(tmp_path: Path) -> None:
    root, fresh, folder = tmp_path / "root", tmp_path / "fresh", source(tmp_path / "source")
    with server("a") as a, server("b") as b, server("c") as c, server("d") as d:
        refine(str(root), str(folder), settings(a, b, c))
        assert (asked(a), asked(b), asked(c)) == ({"short": PICTURES}, {"dense": PICTURES}, {"joined": PICTURES})
        for s in (a, b, c):
            s.asked.clear()
        # The last kind of the chain: it alone.
        refine(str(root), str(folder), settings(a, b, d))
        assert (asked(a), asked(b), asked(c), asked(d)) == ({}, {}, {}, {"joined": PICTURES})
        d.asked.clear()
        # The first one: it, and what is made of its text.
        refine(str(root), str(folder), settings(a, c, d))
        assert (asked(a), asked(b), asked(c), asked(d)) == ({}, {}, {"dense": PICTURES}, {"joined": PICTURES})
        c.asked.clear()
        d.asked.clear()
        # And back again: all of it is known.
        refine(str(root), str(folder), settings(a, b, c))
        assert (asked(a), asked(b), asked(c), asked(d)) == ({}, {}, {}, {})
        refine(str(fresh), str(folder), settings(a, b, c))
    assert captions(root) == captions(fresh)
    assert counted(str(root)).ok


def test_costs_and_card_tell_the_models_apart(tmp_path: Path) -> None:
    root, folder = tmp_path / "root", source(tmp_path / "source")
    with server("a") as a, server("b") as b, server("c") as c:
        told = _dry_run(tmp_path / "root", folder, settings(a, b, c))
        refine(str(root), str(folder), settings(a, b, c))
        again = _dry_run(tmp_path / "root", folder, settings(a, b, c, "caption.temperature=0.5"))
    for name, kind in (("a", "short"), ("b", "dense"), ("c", "joined")):
        assert re.search(rf"by {name} +{PICTURES} requests \({kind}\), at most", told)
        assert f"reply tokens for {kind} (at most" in told and f"reply tokens for {kind} (as measured" in again
    assert "by caption.kinds[joined].price_in" in told and "by caption.price_in" in told
    views = connect(str(root))
    # 7 reply tokens each; the prices are those of caption, 0 and 2.
    found = {
        (k, m): (n, round(c * 1e6))
        for k, m, n, c in views.execute("SELECT kind, model, replies, cost FROM costs").fetchall()
    }
    assert found == {
        ("dense", "b"): (PICTURES, 0),
        ("joined", "c"): (PICTURES, 7 * PICTURES * 2),
        ("short", "a"): (PICTURES, 7 * PICTURES * 7),
    }
    by = views.execute("SELECT kind, model, captions FROM caption_quality ORDER BY kind").fetchall()
    assert by == [("dense", "b", PICTURES), ("joined", "c", PICTURES), ("short", "a", PICTURES)]


def _dry_run(root: Path, folder: Path, told: list[str]) -> str:
    return _described(
        LAION_REFINED, Request("flows.refine_laion", (str(folder),), str(root), None, tuple(told), engine="local")
    )


@pytest.mark.parametrize("at", [2, 9])
def test_a_run_whose_second_server_dies_ends_like_one_that_was_left_alone(tmp_path: Path, at: int) -> None:
    whole, torn, folder = tmp_path / "whole", tmp_path / "torn", source(tmp_path / "source")
    with server("a") as a, server("b") as b, server("c") as c:
        refine(str(whole), str(folder), settings(a, b, c))
    with server("a") as a, server("b") as b:
        with server("c", fault=lambda n, body: "reset" if n > at else None) as dying, suppress(LapidaryError):
            refine(str(torn), str(folder), settings(a, b, dying, "caption.timeout=0.5"))
        known = {k: n for s in (a, b) for k, n in asked(s).items()}
        assert known == {"dense": PICTURES, "short": PICTURES}
        a.asked.clear()
        b.asked.clear()
        with server("c") as c:
            refine(str(torn), str(folder), settings(a, b, c))
            assert (asked(a), asked(b)) == ({}, {})
    assert captions(torn) == captions(whole)
    assert sum(len(Ledger(Store(str(torn)), s)) for s in Store(str(torn)).shards("captions")) == 3 * PICTURES
