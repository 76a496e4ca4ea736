"""The end of ``make demo``: captions beside alt texts, the funnel, and how true both are."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from curation.core.store import Store
from curation.demo.claims import Claim
from curation.demo.judge import Judgement
from curation.demo.released import ReleaseScore, Sample, tally
from curation.demo.web import TRUTH, DemoWeb
from flows.demo import EXAMPLES, print_examples, print_quality, summarise
from tests.support.runs import quick, refine

WIDTH = 100


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Store]]:
    folder = tmp_path_factory.mktemp("demo")
    with DemoWeb(seed=6, scenes=30, without=("slow", "slow drip", "endless")) as web:
        web.write(folder / "list")
        refine(str(folder / "root"), f"{folder}/list/part-*.parquet", quick(web.host_port))
    yield folder / "list" / TRUTH, Store(str(folder / "root"))


def screen() -> Console:
    return Console(width=WIDTH, file=io.StringIO())


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_captions_funnel_and_quality_come_in_this_order(demo: tuple[Path, Store]) -> None:
    console = screen()
    summarise(*demo, console)
    text = shown(console)
    places = [text.index(part) for part in (f"{EXAMPLES} pictures", "source rows", "release:", "quality:")]
    assert places == sorted(places)
    assert text.count("before") == text.count("after ") == EXAMPLES
    for figure in ("recall: true facts", "hallucination: false", "recall of written words"):
        assert figure in text


def test_the_summary_names_what_stands_in_the_release_beside_its_tars(demo: tuple[Path, Store]) -> None:
    console = screen()
    summarise(*demo, console)
    (line,) = [line for line in shown(console).splitlines() if line.startswith("release:")]
    there = {f"{p.name}/" if p.is_dir() else p.name for p in Path(demo[1].path("release")).iterdir()}
    named = set(line.rpartition("(")[2].rstrip(")").split(", "))
    assert named == {name for name in there if not name.endswith(".tar")} and "metadata/" in named


def test_everything_but_what_is_to_be_copied_fits_the_terminal(demo: tuple[Path, Store]) -> None:
    console = screen()
    summarise(*demo, console)
    lines = [line for line in shown(console).splitlines() if not line.startswith(("release:", "ask:"))]
    assert max(len(line) for line in lines) <= WIDTH


def test_a_root_of_other_scenes_gets_its_funnel_and_one_line(
    demo: tuple[Path, Store], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, store = demo
    other = tmp_path / TRUTH
    other.write_text("")
    console = screen()
    summarise(other, store, console)
    assert "source rows" in shown(console) and "recall" not in shown(console)
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1 and "name another --root" in printed


def test_untrusted_text_cannot_steer_the_terminal() -> None:
    fact, lie = Claim("object", "cat", ""), Claim("text", "", "\x1b[2JBUY")
    judged = Judgement(frozenset({fact}), frozenset({fact}), frozenset({fact}), frozenset({lie}))
    console = screen()
    print_examples(
        [Sample("1", "\x1b]0;gone\x07[bold]x[/bold]\r\n", "thin", "A cat\x00\u202e.", judged, judged)], console
    )
    text = shown(console)
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "[bold]x[/bold]" in text


def test_every_kind_of_false_statement_is_spelled_out() -> None:
    false = {
        Claim("object", "elephant", ""): "an elephant",
        Claim("absent", "cat", ""): "no cat",
        Claim("text", "", "SALE"): 'the word "SALE"',
        Claim("no text", "", ""): "no written word",
        Claim("background", "", "beach"): "beach behind it all",
        Claim("relation", "cat", "left of", "car"): "cat left of car",
        Claim("place", "cat", "any left"): "cat left",
        Claim("count", "leaf", "3"): "3 leaves",
        Claim("count", "leaf", "1"): "1 leaf",
        Claim("colour", "car", "red"): "red car",
        Claim("size", "car", "small"): "small car",
    }
    for claim, words in false.items():
        judged = Judgement(frozenset({claim}), frozenset(), frozenset(), frozenset({claim}))
        console = screen()
        print_examples([Sample("1", "", "empty", "x", judged, judged)], console)
        assert f"false: {words}" in shown(console)
    every = Judgement(frozenset(), frozenset(), frozenset(), frozenset(false))
    console = screen()
    print_examples([Sample("1", "", "empty", "x", every, every)], console)
    assert "and 5 more" in shown(console)


def test_an_empty_release_is_told(tmp_path: Path) -> None:
    console = screen()
    print_quality(ReleaseScore(tally([]), tally([]), {}, ()), console)
    print_examples([], console)
    assert shown(console).splitlines() == ["quality: nothing was released, so there is nothing to score"]
