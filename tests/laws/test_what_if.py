"""What-if says what a run then does, from what is stored, and refuses by name what it cannot tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.catalog import connect
from curation.core.errors import RecipeError, RootError
from curation.core.store import Store
from curation.scores.sharpness import Sharpness
from curation.sources.filters import reasons
from curation.sources.merging import metadata_of
from curation.what_if import sides
from curation.what_if.question import Question
from curation.what_if.standing import stand
from curation.what_if.write import what_if
from flows import what_if as command
from schemas.records import SourceRow
from tests.support.counting_web import CountingWeb
from tests.support.images import jpeg, natural
from tests.support.runs import quick, refine

PICTURES = 18
BLURRED = 5
Counts = Counter[tuple[str, str, str]]


@pytest.fixture(scope="module")
def web() -> Iterator[CountingWeb]:
    with CountingWeb(PICTURES, missing=frozenset({"/3.jpg"})) as found:
        for n in range(PICTURES):
            pixels = natural(300 + n, 300, seed=n)
            found.bodies[f"/{n}.jpg"] = jpeg(cv2.GaussianBlur(pixels, (0, 0), 6) if n < BLURRED else pixels, 90)
        yield found


@pytest.fixture(scope="module")
def source(web: CountingWeb, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A list with what filters judge: aesthetic scores with unknown ones, sizes, texts of several lengths."""
    path = tmp_path_factory.mktemp("list") / "list.parquet"
    table = {
        "URL": [f"http://{web.host}/{n}.jpg" for n in range(PICTURES)],
        "TEXT": [
            " ".join(
                ["word"] * (n % 5),
            )
            + f" {n}"
            for n in range(PICTURES)
        ],
        "WIDTH": [100 if n == 7 else 300 for n in range(PICTURES)],
        "HEIGHT": [300] * PICTURES,
        "aesthetic": [None if n % 6 == 0 else 4 + n / 6 for n in range(PICTURES)],
    }
    pq.write_table(pa.table(table), path)
    return str(path)


def settings(web: CountingWeb, *more: str) -> list[str]:
    return [*quick(web.host), "source.shard_rows=5", "export.val=0", "export.test=0",
            'scores.compute=["sharpness"]', *more]  # fmt: skip


@pytest.fixture(scope="module")
def root(web: CountingWeb, source: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    found = str(tmp_path_factory.mktemp("asked") / "root")
    refine(found, source, settings(web, "source.min_aesthetic=4.5"))
    return found


def funnel(root: str) -> Counts:
    with connect(root) as views:
        rows = views.execute("SELECT stage, fate, coalesce(reason, ''), rows FROM funnel").fetchall()
    return Counter({(stage, fate, reason): n for stage, fate, reason, n in rows})


def said(root: str, *sets: str) -> tuple[Counts, Counts]:
    """The funnel that what-if gives for now and for then."""
    lines = what_if(Store(root), list(sets)).answer.lines
    now, then = (
        Counter({(li.stage, li.fate, li.reason): getattr(li, when) for li in lines if getattr(li, when)})
        for when in ("before", "after")
    )
    return now, then


@pytest.mark.parametrize(
    "sets",
    [
        ("scores.sharpness.min=40",),
        ("source.min_aesthetic=5.5", "scores.sharpness.min=40", "scores.sharpness.max=3000"),
        ("source.min_words=3", "source.null_aesthetic=reject"),
        ("source.min_side=0", "source.min_aesthetic=none", "source.max_characters=12"),
    ],
)
def test_what_it_says_is_what_a_run_then_finds(
    web: CountingWeb, source: str, root: str, tmp_path: Path, sets: tuple[str, ...]
) -> None:
    now, then = said(root, *sets)
    assert now == funnel(root)
    refine(str(tmp_path / "root"), source, settings(web, "source.min_aesthetic=4.5"))
    refine(str(tmp_path / "root"), source, settings(web, "source.min_aesthetic=4.5", *sets))
    ran = funnel(str(tmp_path / "root"))
    opened = sum(n for (_, fate, _), n in then.items() if fate == "open")
    decided = Counter({key: n for key, n in then.items() if key[1] != "open"})
    assert all(n <= ran[key] for key, n in decided.items())
    assert sum((ran - decided).values()) == opened, "rows that wait for a run, and no others, end where it decides"
    assert (opened > 0) == ("source.min_side=0" in sets)


def test_nothing_is_run_and_nothing_but_the_page_is_written(web: CountingWeb, root: str) -> None:
    folder, before = Path(root), web.requests.total()
    there = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and "report" not in p.parts}
    asked = what_if(Store(root), ["scores.sharpness.min=40", "source.min_aesthetic=5.5"])
    after = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and "report" not in p.parts}
    assert after == there and web.requests.total() == before
    assert Path(asked.page) == folder / "report" / "what-if" / "index.html"
    with connect(root) as views:
        values = dict(views.execute("SELECT sample_id, sharpness FROM score_sharpness").fetchall())
    sharpness = next(s for s in asked.sides if s.key == "scores.sharpness.min")
    below, above = (sorted(v for v in values.values() if (v < 40) == out) for out in (True, False))
    assert [s.value for s in sharpness.go] == below[::-1][:8] and [s.value for s in sharpness.stay] == above[:8]
    assert len(list((folder / "report" / "what-if" / "thumbnails").iterdir())) >= len(below)


@pytest.mark.parametrize(
    "sets",
    [
        ("source.min_aesthetic=5.5",),
        ("source.min_aesthetic=none",),
        ("source.null_aesthetic=reject",),
        ("source.min_side=0", "source.max_characters=8"),
        ("source.min_words=2",),
        ("source.min_characters=9", "source.min_aesthetic=6"),
    ],
)
def test_rows_that_change_are_those_whose_reason_by_all_filters_is_another(root: str, sets: tuple[str, ...]) -> None:
    """Of a row that passes only the filters that changed are asked, of one that an earlier filter rejected none."""
    question = Question.of(Store(root), sets)
    every = pa.concat_tables(Store(root).read_table(SourceRow, s) for s in Store(root).shards(SourceRow.table))
    after = reasons(metadata_of(every), question.ours.source).to_pylist()  # type: ignore[attr-defined]
    wanted = Counter(new for old, new in zip(every["reason"].to_pylist(), after, strict=True) if old != new)
    with stand(question) as connection:
        found = Counter(r for (r,) in connection.execute("SELECT reason FROM other_rows").fetchall())
        rows = connection.execute('SELECT count(*) FROM other_rows JOIN known_rows USING ("row")').fetchall()
    assert found == wanted and sum(wanted.values()) > 0 and rows == [(sum(wanted.values()),)]


@pytest.mark.parametrize("sets", [("scores.sharpness.min=40", "source.min_aesthetic=5.5"), ("source.min_aesthetic=4",)])
def test_pictures_are_found_however_far_from_a_threshold(
    root: str, sets: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the rows nearest to it have none, and where all rows are looked at: the same ones are shown."""
    monkeypatch.setattr(sides, "MOST", 2)
    every = what_if(Store(root), list(sets)).sides
    monkeypatch.setattr(sides, "_FIRST", 2)
    assert what_if(Store(root), list(sets)).sides == every
    seen = {c.image["sha256"] for s in every for c in (*s.stay, *s.go) if c.image}
    assert seen, "some have pictures"


def test_what_is_known_to_be_kept_is_held_without_its_texts(root: str) -> None:
    with stand(Question.of(Store(root), ["scores.sharpness.min=40"])) as connection:
        (kept, ids) = connection.execute(
            "SELECT count(*) FILTER (kept), count(sample_id) FILTER (kept) FROM known_rows"
        ).fetchone() or (0, 0)
        (asked,) = connection.execute("SELECT count(*) FROM asked_rows WHERE sample_id IS NULL").fetchone() or (0,)
    assert kept > 0 and ids == 0 and asked == 0


def test_what_cannot_be_judged_is_refused_by_name(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    for key, why in (
        ("download.size=256", "download.size cannot be judged"),
        ("dedupe.distance=3", "dedupe.distance cannot be judged"),
        ("verify.model=x", "^verify.model cannot be judged"),
        ("caption.temperature=1", "caption.temperature cannot be judged"),
        ("source.max_text_repeats=1", "source.max_text_repeats cannot be judged"),
        ("scores.entropy.min=2", "no table score_tones"),
        ("scores.sharpnes.min=2", "did you mean 'sharpness'"),
        ("scores.min_caption_similarity=0.2", "scores.model is empty"),
        ("source.min_estetic=2", "did you mean 'source.min_aesthetic'"),
    ):
        with pytest.raises(RecipeError, match=why):
            Question.of(Store(root), [key])
        assert command.main([root, "--set", key]) == 2
        assert why.removeprefix("^") in capsys.readouterr().err


def test_a_folder_that_is_no_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RootError, match="no rows yet"):
        Question.of(Store(str(tmp_path)), ["source.min_aesthetic=5"])
    assert command.main([str(tmp_path), "--set", "source.min_aesthetic=5"]) == 2
    assert command.main([str(tmp_path)]) == 2


def test_a_setting_that_decides_on_no_sample_changes_nothing(root: str) -> None:
    now, then = said(root, "export.shard_size=7", f"scores.compute=['{Sharpness().name}']")
    assert now == then == funnel(root)
