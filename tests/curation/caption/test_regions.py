"""A kind of caption may describe a part of its picture: then the model sees that part, and nothing of the rest."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
from PIL import Image

from curation.caption.model.chat import ChatRequest
from curation.caption.model.scripted import ScriptedModel
from curation.caption.prompts import load
from curation.caption.recaption import caption_shard
from curation.caption.recaption_stage import RecaptionStage
from curation.caption.regions import Described, Region, cut
from curation.caption.verify.verify import verify_shard
from curation.caption.verify.verify_stage import VerifyStage
from curation.core.stage import Shard, digest
from curation.core.store import Store
from schemas.arrow import Record, rows_of, table_of
from schemas.captions import Caption, CaptionCheck
from schemas.chat import Captioning, CaptionKind
from schemas.records import ImageRow, SourceRow
from schemas.verify import Verify
from tests.support.captioning import for_all_kinds
from tests.support.keepers import picture, root_with_keepers

CORNER: Region = (10, 20, 50, 60)
EDGE: Region = (60, 0, 120, 90)
KINDS = [CaptionKind(kind=kind, prompt="short", max_tokens=40) for kind in ("whole", "corner", "edge")]


@dataclass(frozen=True)
class Corners:
    """The first sample has a corner, the second a corner and an edge, and all others are not described."""

    reads: ClassVar[tuple[type[Record], ...]] = (ImageRow,)

    def of(self, shard: Shard) -> Mapping[str, Described]:
        first, second, *_ = shard.read(ImageRow)["sample_id"].to_pylist()
        return {first: {"whole": None, "corner": CORNER}, second: {"whole": None, "corner": CORNER, "edge": EDGE}}


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    return root_with_keepers(Store(str(tmp_path)), [f"alt {i}" for i in range(4)])


def size(request: ChatRequest) -> tuple[int, int]:
    assert request.image is not None
    with Image.open(io.BytesIO(request.image)) as image:
        return image.size


def stage() -> RecaptionStage:
    made = RecaptionStage.of(Captioning(backend="scripted", kinds=KINDS))
    return replace(made, regions=Corners())


def test_a_region_is_cut_out_of_the_picture() -> None:
    with Image.open(io.BytesIO(picture(3))) as whole, Image.open(io.BytesIO(cut(picture(3), CORNER))) as part:
        assert part.size == (40, 40)
        expected = whole.crop(CORNER).convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
        found = part.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(expected, tuple) and isinstance(found, tuple)
    assert all(abs(a - b) <= 3 for a, b in zip(expected, found, strict=True))
    assert cut(picture(3), None) == picture(3)


@pytest.mark.parametrize("batch", [None, 2])
def test_each_kind_is_asked_about_its_region_and_the_alt_text_tells_of_the_whole_only(
    shard: Shard, batch: int | None
) -> None:
    model = ScriptedModel(batch=batch)
    made = stage()
    found = list(rows_of(Caption, caption_shard(made, for_all_kinds(made, model), shard)))
    first, second, *_ = shard.read(SourceRow)["sample_id"].to_pylist()
    expected = [(first, "whole"), (first, "corner"), (second, "whole"), (second, "corner"), (second, "edge")]
    assert [(c.sample_id, c.kind) for c in found] == expected and all(c.text for c in found)
    assert sorted(size(r) for r in model.asked) == [(40, 40), (40, 40), (60, 90), (120, 90), (120, 90)]
    assert all(("alt " in r.user.partition("<alt_text>")[2]) == (size(r) == (120, 90)) for r in model.asked)
    assert len({c.reply_key for c in found}) == 5
    again = ScriptedModel(batch=batch)
    assert list(rows_of(Caption, caption_shard(made, for_all_kinds(made, again), shard))) == found and not again.asked


def test_statements_are_verified_on_the_region_that_they_are_about(shard: Shard) -> None:
    caption = "A red ball lies on the grass. Two dogs sleep. The sky is grey."
    samples = shard.read(SourceRow)["sample_id"].to_pylist()
    asked = [(samples[0], "whole"), (samples[0], "corner"), (samples[1], "edge")]
    checks = [CaptionCheck(s, kind, True, [], False, None, caption, 13, 15, len(caption)) for s, kind in asked]
    shard.store.write_table(CaptionCheck, shard.name, table_of(CaptionCheck, checks))
    made = VerifyStage.declared(Verify(enabled=True), Captioning(backend="scripted"), regions=Corners())
    ready = replace(made, prompt=load("verify"), model=ScriptedModel().identity)
    model = ScriptedModel(lambda _: "yes")
    assert ready.prompt is not None
    verify_shard(ready, ready.prompt, model, shard)
    sizes = [size(r) for r in model.asked]
    assert sorted(sizes) == sorted([(120, 90), (40, 40), (60, 90)] * 3)
    images = [r.image for r in model.asked]
    assert images == sorted(images, key=images.index), "what is asked about one region stands together"


def test_without_regions_a_stage_is_what_it_was() -> None:
    made = RecaptionStage.of(Captioning(backend="scripted", kinds=KINDS))
    assert digest(replace(made, regions=None)) == digest(made) != digest(stage())


def test_kinds_that_are_asked_for_alike_are_tried_out_once() -> None:
    other = CaptionKind(kind="other", prompt="dense", max_tokens=40)
    made = RecaptionStage.of(Captioning(backend="scripted", kinds=[*KINDS, other]))
    assert [p.kind for p in made.probes()] == ["whole", "other"]
