"""Duplicates across data sets, evaluation sets among them: a root of ours, tars as img2dataset leaves them, folders."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from curation.catalog import main as catalog
from curation.core.pipeline import Engine
from curation.core.run import RunRecord, Step
from curation.core.store import Store
from curation.dedupe.across import datasets
from flows import dedupe as flow
from schemas.arrow import rows_of, table_of
from schemas.duplicates import Verdict
from schemas.manifest import ShardEntry
from tests.support.data_sets import folder_of, jpeg, plain_command, removed, root_of, tars_of

PROMPT = "a brass clock with no hands stands beside seven blue cups"


def verdicts(out: Path) -> dict[tuple[str, str], Verdict]:
    """By data set and alt text's first word."""
    store = Store(str(out))
    found: dict[tuple[str, str], Verdict] = {}
    for shard in store.shards(Verdict.table):
        for verdict in rows_of(Verdict, store.read_table(Verdict, shard)):
            seen = flow.open_data_set(verdict.dataset, store).find(verdict.sample_id)
            assert seen is not None and seen.text is not None and seen.data
            found[verdict.dataset, seen.text.split()[0]] = verdict
    return found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    return plain_command(monkeypatch)


@pytest.fixture
def world(tmp_path: Path) -> dict[str, str]:
    """Ours has 0 to 4 and copies of 0 and 1; theirs larger copies of 2 and 3; the evaluation set 4, turned, and 5."""
    ours = {f"{n}": (jpeg(n), f"ours{n}") for n in range(5)}
    ours["5"] = (jpeg(0, "re-encoded at 30"), "ours5")
    ours["6"] = (jpeg(1, "brighter"), "ours6")
    theirs = {"2": (jpeg(2, "resized to double"), "theirs2"), "3": (jpeg(3, "watermarked"), "theirs3")}
    theirs |= {"7": (jpeg(7), f"theirs7 {PROMPT.upper()}!"), "8": (jpeg(8), "theirs8 a brass clock with no hands")}
    evaluation = {"4": (jpeg(4, "turned by 90°"), PROMPT), "5": (jpeg(9), "another")}
    return {
        "ours": root_of(tmp_path / "ours", folder_of(tmp_path / "pictures", ours)),
        "theirs": tars_of(tmp_path / "theirs", theirs),
        "evaluation": folder_of(tmp_path / "evaluation", evaluation),
    }


def test_the_first_named_data_set_keeps_and_evaluation_items_go(
    world: dict[str, str], run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(world["ours"], world["theirs"], "--against", world["evaluation"], "--out", out) == 0
    found = {name: v for (_, name), v in verdicts(out).items()}
    reasons = {name: v.reason for name, v in found.items()}
    kept = {n for n, r in reasons.items() if r is None}
    assert kept >= {"ours2", "ours3", "theirs8"} and len(kept) == 5
    assert len(kept & {"ours0", "ours5"}) == len(kept & {"ours1", "ours6"}) == 1
    assert reasons["theirs2"] == reasons["theirs3"] == "near_duplicate"
    assert found["theirs2"].keeper_dataset == world["ours"]
    assert found["theirs3"].keeper_id == found["ours3"].sample_id
    assert (reasons["ours4"], found["ours4"].keeper_dataset) == ("near_evaluation_item", world["evaluation"])
    assert found["ours4"].distance is not None and found["ours4"].distance <= 14
    assert reasons["theirs7"] == "shared_text" and found["theirs7"].detail == " ".join(PROMPT.split()[:8])
    gone = removed(out)
    assert len(gone) == 6 and {r["keeper_dataset"] for r in gone} == {world["ours"], world["evaluation"]}
    printed = " ".join(capsys.readouterr().out.split())
    assert "11 images" in printed and "come that near by chance" in printed
    assert (tmp_path / "theirs").exists() and not (tmp_path / "theirs" / "tables").exists()


def test_the_order_of_preference_decides_and_a_second_run_does_nothing(
    world: dict[str, str], run: Callable[..., int], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run(world["theirs"], world["ours"], "--out", out) == 0
    found = {name: v for (_, name), v in verdicts(out).items()}
    assert found["theirs2"].reason is found["theirs3"].reason is found["ours4"].reason is None
    assert found["ours2"].keeper_dataset == world["theirs"]
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")}
    assert run(world["theirs"], world["ours"], "--out", out) == 0
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")} == before


class Figures(HTMLParser):
    """How many pictures and which scripts a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "img":
            self.sources.append(dict(attributes).get("src") or "")


def test_explain_shows_both_pictures_and_runs_nobodys_script(
    world: dict[str, str], run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = {"0": (jpeg(0, "grey"), "<script>alert(1)</script> <img src=x onerror=alert(2)>")}
    extra = folder_of(tmp_path / "hostile", hostile)
    out = tmp_path / "out"
    assert run(world["ours"], extra, "--out", out) == 0
    store = Store(str(out))
    shard = next(s for s in store.shards(Verdict.table) if s.startswith("001"))
    copy = next(rows_of(Verdict, store.read_table(Verdict, shard)))
    path = tmp_path / "page.html"
    assert flow.main(["explain", str(out), copy.sample_id, "--html", str(path)]) == 0
    seen = Figures()
    seen.feed(path.read_text())
    assert len(seen.sources) == 3 and all(s.startswith("data:image/jpeg;base64,") for s in seen.sources)
    assert len(set(seen.sources)) == 3
    assert "script" not in seen.tags and "&lt;script&gt;" in path.read_text()
    assert "near_duplicate" in path.read_text() and "of 64 bits apart" in path.read_text()
    assert "3 images in its cluster" in capsys.readouterr().out


def test_wrong_requests_are_told_in_one_line(
    world: dict[str, str], run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.tsv").write_text("http://x.example/1.jpg\ta cat\n")
    for words, says in (
        ((tmp_path / "list.tsv",), "lists addresses without pixels"),
        ((tmp_path / "nowhere",), "nowhere"),
        ((world["ours"], world["ours"]), "named twice"),
        ((world["ours"], "--set", "dedupe.distanse=3"), "did you mean 'dedupe.distance'"),
    ):
        assert run(*words, "--out", tmp_path / "out") == 2
        printed = capsys.readouterr().err
        assert says in printed and printed.count("\n") == 1
    assert flow.main(["explain", world["ours"], "0" * 32]) == 2
    assert "no decisions on duplicates" in capsys.readouterr().err
    assert run(world["ours"], world["theirs"], "--out", tmp_path / "dry", "--dry-run") == 0
    assert "to be hashed" in capsys.readouterr().out and not (tmp_path / "dry").exists()


def test_a_place_is_one_data_set_however_it_is_spelt(
    world: dict[str, str], run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, evaluation = world["ours"], world["evaluation"]
    (tmp_path / "link").symlink_to(ours)
    for other in (f"{ours}/", f"file://{ours}", f"{tmp_path}/theirs/../ours", f"{tmp_path}/link"):
        for words in ((ours, other), (ours, "--against", other)):
            assert run(*words, "--out", tmp_path / "out") == 2
            printed = capsys.readouterr().err
            assert "named twice" in printed and printed.count("\n") == 1
    both = ("--against", evaluation, "--against", f"{evaluation}/")
    assert run(ours, *both, "--out", tmp_path / "out") == 0
    assert {v.keeper_dataset for v in verdicts(tmp_path / "out").values() if v.reason == "near_evaluation_item"} == {
        evaluation
    }


def test_the_command_that_is_printed_for_failed_shards_tells_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def plain(
        store: Store, engine: Engine, recipe: object, steps: list[Step], command: str, *, wait: bool
    ) -> RunRecord:
        record = RunRecord(command)
        for step in steps:
            step.run(store, engine, record.note)
        return record

    def dies(*_: object) -> None:
        raise RuntimeError("the decoder died")

    monkeypatch.setattr(flow, "run_steps", plain)
    monkeypatch.setattr(flow, "dedupe", flow.dedupe.fn)
    out, pictures = tmp_path / "the out", folder_of(tmp_path / "pictures", {"0": (jpeg(0), "a clock")})
    monkeypatch.setattr(datasets, "process_row", dies)
    assert flow.main([pictures, "--out", str(out), "--engine", "local"]) == 1
    printed = re.findall("^why: (.*)$", capsys.readouterr().err, re.M)
    assert len(printed) == 1
    assert catalog(shlex.split(printed[0])[3:]) == 0
    assert "the decoder died" in capsys.readouterr().out


def test_images_that_cannot_be_read_and_no_images_at_all_are_no_error(run: Callable[..., int], tmp_path: Path) -> None:
    broken = folder_of(tmp_path / "broken", {"0": (b"\xff\xd8\xff not whole", "nothing")})
    assert run(broken, "--out", tmp_path / "out") == 0
    assert verdicts(tmp_path / "out") == {}
    mixed = folder_of(tmp_path / "mixed", {"0": (b"", "nothing"), "1": (jpeg(3), "one"), "2": (jpeg(3), "two")})
    assert run(mixed, "--against", broken, "--out", tmp_path / "other", "--set", "dedupe.symmetries=true") == 0
    assert sorted(str(v.reason) for v in verdicts(tmp_path / "other").values()) == ["None", "exact_duplicate"]


def test_pictures_that_are_gone_and_ids_by_strangers_are_shown_without_harm(
    world: dict[str, str], run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert run(world["ours"], "--against", world["evaluation"], "--out", out) == 0
    found = {name: v for (_, name), v in verdicts(out).items()}["ours4"]
    assert found.detail == f"{world['evaluation']}/4.jpg"
    shutil.rmtree(world["evaluation"])
    shutil.rmtree(Path(world["ours"]) / "images")
    assert flow.main(["explain", str(out), found.sample_id, "--html", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").read_text().count("no picture") == 2
    assert flow.main(["explain", str(out), found.sample_id, "--html", str(tmp_path / "no" / "page.html")]) == 2

    odd = "../<script>alert(1)</script>\\x"
    strange = Store(str(tmp_path / "<b>strange & odd"))
    rows = [Verdict("<i>set</i>", odd, odd, None, "<i>set</i>", odd, odd, 0, None, odd, None)]
    sha, size = strange.write_table(Verdict, "000-a", table_of(Verdict, rows))
    strange.commit(ShardEntry("verdicts", "000-a", "", {}, {"tables/verdicts/000-a.parquet": sha}, 1, 1, size, 0.0, ""))
    monkeypatch.chdir(tmp_path)
    assert flow.main(["explain", strange.url, odd]) == 0
    (page,) = tmp_path.glob("*script*.html")
    seen = Figures()
    seen.feed(page.read_text())
    assert "script" not in seen.tags and "i" not in seen.tags and "&lt;script&gt;" in page.read_text()


def test_empty_folders_and_roots_without_images_keep_nothing_and_fail_nobody(
    world: dict[str, str], run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty", "--out", tmp_path / "out") == 2
    assert "empty" in capsys.readouterr().err
    nothing = root_of(tmp_path / "nothing", folder_of(tmp_path / "broken", {"0": (b"not an image", "words")}))
    shutil.copytree(nothing, tmp_path / "nothing else")
    assert run(world["theirs"], nothing, "--against", tmp_path / "nothing else", "--out", tmp_path / "out") == 0
    assert {v.reason for v in verdicts(tmp_path / "out").values()} == {None}
    assert run(world["ours"], "--set", "dedupe.crops=true", "--out", tmp_path / "crops") == 2
    assert "dedupe.crops is for refining flows" in capsys.readouterr().err
