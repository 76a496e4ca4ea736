from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curation.caption.check.clip_tokens import count, measure
from curation.caption.check_stage import CheckStage
from curation.caption.choice import Choice
from curation.core.errors import RecipeError, TooManyLost
from curation.core.losses import LEAST_ROWS
from curation.core.recipes import load
from curation.core.stage import Shard, Stage, digest
from curation.core.store import Store
from curation.products import PRODUCTS
from curation.products.product import Product
from curation.products.refine import LAION_REFINED
from schemas.arrow import conform, rows_of, table_of
from schemas.captions import Caption, CaptionCheck
from schemas.chat import CaptionKind
from schemas.reasons import Reason
from schemas.records import SourceRow
from schemas.refine import Check

GOOD = "A red barn stands on a hill beside two old oaks, and a gravel road leads past it to a lake in the distance."
PROMPT = "List the most striking things in the picture and where each of them stands, one after the other."


def row(number: int, alt_text: str) -> SourceRow:
    values: dict[str, object] = dict.fromkeys((f.name for f in dataclasses.fields(SourceRow)), None)
    values |= {"sample_id": f"{number:032x}", "source_file": "a.parquet", "source_row": number, "alt_text": alt_text}
    return SourceRow(**values)  # type: ignore[arg-type]


def caption(
    number: int, kind: str, text: str | None, reason: Reason | None = None, finish: str | None = "stop"
) -> Caption:
    return Caption(
        sample_id=f"{number:032x}",
        kind=kind,
        text=text,
        reason=reason,
        detail="the model said no" if reason else None,
        finish=finish if text is not None else None,
        prompt=f"{kind}@1",
        model="m",
        model_revision="r",
        reply_key="k",
        tokens_in=1,
        tokens_out=1,
    )


def run(folder: Path, stage: CheckStage, rows: list[SourceRow], captions: list[Caption]) -> pa.Table:
    store = Store(str(folder))
    store.write_table(SourceRow, "a", table_of(SourceRow, rows))
    store.write_table(Caption, "a", table_of(Caption, captions))
    with stage.open() as work:
        return conform(CaptionCheck, work(Shard("a", store)))


def test_verdicts_stand_in_the_captions_order_behind_their_alt_text(tmp_path: Path) -> None:
    rows = [row(n, f"old barn number {n}") for n in range(3)]
    captions = [caption(n, kind, GOOD) for n in (2, 0, 1) for kind in ("dense", "short")]
    found = list(rows_of(CaptionCheck, run(tmp_path, CheckStage(Check()), rows, captions)))
    assert [(int(c.sample_id, 16), c.kind) for c in found] == [
        (n, kind) for n in (2, 0, 1) for kind in ("alt_text", "dense", "short")
    ]
    assert all(c.passed and c.caption == GOOD and not c.reasons for c in found if c.kind != "alt_text")


def test_the_alt_text_s_row_counts_and_judges_nothing(tmp_path: Path) -> None:
    alt_text = "I'm sorry! Buy the <b>old barn</b> of Elena Petrova \x00"
    found = list(
        rows_of(CaptionCheck, run(tmp_path, CheckStage(Check()), [row(0, alt_text)], [caption(0, "dense", GOOD)]))
    )
    assert (found[0].kind, found[0].passed, found[0].reasons, found[0].caption) == ("alt_text", False, [], None)
    assert (found[0].words, found[0].clip_tokens) == (9, count(alt_text))
    assert found[0].sentence_end_77 == measure(alt_text)[1] == len("I'm sorry!")


def test_a_caption_without_text_keeps_its_reason(tmp_path: Path) -> None:
    captions = [caption(0, "dense", None, Reason.MODEL_ERROR)]
    found = list(rows_of(CaptionCheck, run(tmp_path, CheckStage(Check()), [row(0, "")], captions)))[1]
    assert (found.passed, found.reasons, found.detail) == (False, [Reason.MODEL_ERROR], "the model said no")
    assert (found.caption, found.words, found.clip_tokens, found.sentence_end_77) == (None, 0, 0, None)


def test_each_kind_is_judged_by_its_own_limits_and_prompt(tmp_path: Path) -> None:
    stage = CheckStage(Check(), (("dense", PROMPT), ("short", "Say it in one sentence.")))
    captions = [
        caption(0, "dense", f"{GOOD} {PROMPT}"),
        caption(0, "short", f"{GOOD} {PROMPT}"),
        caption(1, "dense", "A red barn on a hill."),
        caption(1, "short", "A red barn on a hill."),
    ]
    found = list(rows_of(CaptionCheck, run(tmp_path, stage, [row(0, ""), row(1, "")], captions)))
    actual = {(int(c.sample_id, 16), c.kind): (c.passed, c.reasons) for c in found}
    assert actual[0, "dense"] == (False, [Reason.PROMPT_ECHO])
    assert actual[1, "dense"] == (False, [Reason.TOO_SHORT])
    assert actual[1, "short"] == (True, [])


def test_the_same_shard_gives_the_same_bytes(tmp_path: Path) -> None:
    rows = [row(n, "a barn\nin St. Ives") for n in range(5)]
    texts = [GOOD, f"The image shows a red barn. {GOOD}", "I'm sorry.", "", f"{GOOD} Beside it stands Elena"]
    captions = [caption(n, "dense", text) for n, text in enumerate(texts)]
    first, second = (run(tmp_path / name, CheckStage(Check()), rows, captions) for name in "ab")
    written = [Store(str(tmp_path / n)).write_table(CaptionCheck, "a", t) for n, t in (("a", first), ("b", second))]
    assert written[0] == written[1]
    assert [c.passed for c in rows_of(CaptionCheck, first) if c.kind == "dense"] == [True, True, False, False, True]


def test_no_captions_are_no_rows(tmp_path: Path) -> None:
    assert run(tmp_path, CheckStage(Check()), [row(0, "barn")], []).num_rows == 0


def test_the_digest_follows_recipe_and_prompts() -> None:
    stages = [
        CheckStage(Check()),
        CheckStage(Check(names="reject")),
        CheckStage(Check(), (("dense", PROMPT),)),
        CheckStage(Check(), (("dense", PROMPT + "!"),)),
    ]
    assert all(isinstance(s, Stage) for s in stages)
    assert len({digest(s) for s in stages}) == 4


def test_a_wrong_recipe_is_refused_before_any_work() -> None:
    with pytest.raises(RecipeError, match=r"check\.language is 'xx'"):
        CheckStage(Check(language="xx")).ready(None)
    with pytest.raises(RecipeError, match=r"check\.scripts names 'runes'"):
        CheckStage(Check(scripts=["latin", "runes"])).ready(None)


TAGS = "red barn, hill, two old oaks, gravel road"
FOUR = [CaptionKind(kind=name, prompt=name) for name in ("dense", "medium", "tags", "structured")]


def test_a_kind_is_checked_as_tags_where_its_prompt_says_so(tmp_path: Path) -> None:
    mine = tmp_path / "mine.md"
    mine.write_text("---\nname: mine\nversion: 1\nform: tags\n---\nName what stands in the picture.")
    kinds = [*FOUR, CaptionKind(kind="labels", prompt=str(mine))]
    stage = CheckStage.declared(Check(), kinds, Choice(("dense",))).ready(None)
    captions = [caption(0, k.kind, text) for text in (TAGS, GOOD) for k in kinds]
    found = list(rows_of(CaptionCheck, run(tmp_path, stage, [row(0, "")], captions)))[1:]
    assert [c.passed for c in found] == [False, False, True, False, True, True, True, False, True, False]
    assert [c.reasons for c in found if c.kind in ("tags", "labels")] == [[], [], [Reason.NOT_TAGS], [Reason.NOT_TAGS]]


@pytest.mark.parametrize(("kind", "fewest", "most"), [("medium", 10, 100), ("structured", 20, 200), ("other", 0, None)])
def test_kinds_of_the_project_have_limits_that_a_recipe_may_change(kind: str, fewest: int, most: int | None) -> None:
    assert (Check().fewest_words(kind), Check().most_words(kind)) == (fewest, most)
    own = Check(min_words={kind: 1}, max_words={kind: 9})
    assert (own.fewest_words(kind), own.most_words(kind)) == (1, 9)


def test_stages_of_recipes_without_the_new_kinds_keep_their_digest() -> None:
    old = [CaptionKind(kind=name, prompt=name) for name in ("dense", "short")]
    made = CheckStage.declared(Check(), old, Choice(("dense",))).ready(None)
    before = CheckStage(Check(), made.prompts)
    assert digest(made) == digest(before)
    others = {digest(replace(before, tags=("tags",))), digest(replace(before, usual=(("medium", 10, 100),)))}
    assert len({digest(before), *others}) == 3


def many(rejected: int, passed: int) -> tuple[list[SourceRow], list[Caption]]:
    """A shard with so many captions that the check rejects for one reason, the rejected ones first."""
    count = rejected + passed
    texts = ["I'm sorry, I can't help with that picture."] * rejected + [GOOD] * passed
    return [row(n, f"old barn number {n}") for n in range(count)], [
        caption(n, "short", text) for n, text in enumerate(texts)
    ]


def test_a_check_that_rejects_most_captions_for_one_reason_stops_and_decides_nothing(tmp_path: Path) -> None:
    rows, captions = many(LEAST_ROWS, 0)
    with pytest.raises(
        TooManyLost, match=rf"check lost {LEAST_ROWS} of {LEAST_ROWS} captions .* task_talk \("
    ) as found:
        run(tmp_path, CheckStage(Check(), stop_at_share=0.5), rows, captions)
    assert str(found.value).isprintable()
    assert not Store(str(tmp_path)).names("tables/caption_checks")


@pytest.mark.parametrize(
    ("rejected", "passed", "share"),
    [(LEAST_ROWS - 1, 0, 0.5), (LEAST_ROWS, 0, 1.0), (LEAST_ROWS // 2, LEAST_ROWS // 2, 0.5)],
)
def test_a_check_goes_on_below_the_share_and_with_few_captions(
    rejected: int, passed: int, share: float, tmp_path: Path
) -> None:
    found = run(tmp_path, CheckStage(Check(), stop_at_share=share), *many(rejected, passed))
    assert found.num_rows == 2 * (rejected + passed)


def test_captions_without_text_were_counted_by_the_stage_that_asked_for_them(tmp_path: Path) -> None:
    count = 2 * LEAST_ROWS
    captions = [caption(n, "short", None, Reason.MODEL_ERROR) for n in range(count)]
    rows = [row(n, f"old barn number {n}") for n in range(count)]
    assert run(tmp_path, CheckStage(Check(), stop_at_share=0.5), rows, captions).num_rows == 2 * count


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda p: p.name)
def test_the_check_of_every_product_stops_at_the_recipe_s_share(product: Product[Any]) -> None:
    recipe = load(product.recipe, None, ["run.stop_at_share=0.25"])
    stages = [part for step in product.steps(recipe, ()) for part in step.parts if isinstance(part, CheckStage)]
    assert {stage.stop_at_share for stage in stages} in ({0.25}, set())
    assert stages or product is not LAION_REFINED
