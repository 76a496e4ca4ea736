"""The page of a review in a real Chromium: judged by keyboard alone, accessible, and no text is more than a text."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curation.core.store import Store
from curation.report.deciding import Judging
from curation.report.judging import Asking
from curation.report.serving import serve
from curation.reviews.journal import read_all
from tests.support.browser import browsing, opened_browser, serious_violations, show, until
from tests.support.hostile_texts import HOSTILE
from tests.support.report_roots import say
from tests.support.roots import Row, World, make_world, recipe, release

pytestmark = pytest.mark.slow  # each starts a browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with opened_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A root whose texts are all hostile."""
    rows = [Row(alt_text=text) for text in HOSTILE]
    made = make_world(str(tmp_path_factory.mktemp("hostile") / "root"), recipe(scores=False), [rows])
    (shard,) = made.store.shards("rows")
    say(made, shard, {made.ids["part-0.parquet", n]: text for n, text in enumerate(HOSTILE)})
    release(made)
    return made


@pytest.fixture(autouse=True)
def undecided(world: World) -> Iterator[None]:
    yield
    shutil.rmtree(Path(world.store.path("reviews")), ignore_errors=True)


def place(page: Any) -> str:
    return str(page.inner_text("#review-place"))


def at(page: Any, text: str) -> None:
    until(page, f"document.getElementById('review-place').textContent.startsWith({text!r})")


def test_the_keyboard_alone_judges(chromium: Any, world: World) -> None:
    store = Store(world.store.url)
    with serve(store.url, over=Judging.of(Asking(), "ann")) as served, browsing(chromium) as (page, seen):
        show(page, served.url)
        at(page, "1 of ")
        page.keyboard.press("k")
        at(page, "2 of ")
        page.keyboard.press("r")
        page.keyboard.press("4")
        at(page, "3 of ")
        page.keyboard.press("e")
        page.keyboard.press("Control+a")
        page.keyboard.type("A kite in the keys' own words: k r e n p.")
        page.keyboard.press("Control+Enter")
        at(page, "4 of ")
        page.keyboard.press("n")
        at(page, "5 of ")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("p")
        at(page, "3 of ")
        assert "words: k r e n p." in page.inner_text(".judged-caption")
        page.keyboard.press("u")
        until(page, "document.querySelectorAll('.decisions li').length === 0")
        page.keyboard.press("o")
        until(page, "!document.getElementById('review-place').textContent.includes(' 3 judged')")
    assert [r.action for r in read_all(store)] == ["keep", "reject", "edit", "undo"]
    assert read_all(store)[1].reason == "judged_poor_image" and {r.who for r in read_all(store)} == {"ann"}
    assert seen.errors == []


@pytest.mark.parametrize("audit", [False, True])
def test_the_page_is_headed_as_what_it_is(audit: bool, chromium: Any, world: World) -> None:
    with (
        serve(world.store.url, over=Judging.of(Asking(audit=audit), "ann")) as judged,
        serve(world.store.url) as served,
        browsing(chromium) as (page, _),
    ):
        show(page, judged.url)
        headed = page.inner_text(".eyebrow").lower(), page.title().partition(": ")[2]
        show(page, served.url)
        of_report = page.inner_text(".eyebrow").lower(), page.title().partition(": ")[2]
    doing = ("lapidary audit", "an audit of the release") if audit else ("lapidary review", "samples to judge")
    assert headed == doing and of_report == ("lapidary report", "what became of its rows")


def test_two_people_see_what_the_other_decided(chromium: Any, world: World) -> None:
    with (
        serve(world.store.url, over=Judging.of(Asking(), "ann")) as served,
        browsing(chromium) as (page, _),
        browsing(chromium) as (other, _),
    ):
        for one in (page, other):
            show(one, served.url)
            at(one, "1 of ")
        page.keyboard.press("k")
        at(page, "2 of ")
        other.fill("#review-who", "ben")
        other.locator("#review-title").focus()
        other.keyboard.press("e")
        other.keyboard.press("Control+a")
        other.keyboard.type("What ben wrote.")
        other.keyboard.press("Control+Enter")
        until(other, "document.getElementById('review-said').textContent.includes('look at it again')")
        assert other.locator("#review-text").input_value() == "What ben wrote."
        other.keyboard.press("Control+Enter")
        at(other, "2 of ")
    assert [(r.who, r.action) for r in read_all(world.store)] == [("ann", "keep"), ("ben", "edit")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_the_page_is_accessible_and_fits(chromium: Any, world: World, width: int, scheme: str) -> None:
    audit = width == 400
    with serve(world.store.url, over=Judging.of(Asking(audit=audit), "ann")) as served:
        with browsing(chromium, width, scheme) as (page, seen):
            show(page, served.url)
            at(page, "1 of ")
            assert serious_violations(page) == []
            if audit:
                page.keyboard.press("f")
                assert serious_violations(page) == []
                page.keyboard.press("Enter")
                at(page, "2 of ")
            else:
                for key in ("r", "e"):
                    page.keyboard.press(key)
                    assert serious_violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert seen.errors == []
    assert [(r.anything_false, r.subject_missing) for r in read_all(world.store)] == ([(True, False)] if audit else [])


def test_hostile_texts_are_texts_in_the_queue_and_in_decisions(chromium: Any, world: World) -> None:
    store = Store(world.store.url)
    with serve(store.url, over=Judging.of(Asking(order="source"), "ann")) as served:
        with browsing(chromium) as (page, seen):
            show(page, served.url)
            at(page, "1 of ")
            for n in range(len(HOSTILE)):
                at(page, f"{n + 1} of ")
                if n % 5 == 0:  # a note and a caption of it, as far as they are taken
                    page.keyboard.press("r")
                    page.fill("#review-note", "<img src=x onerror=window.stolen=1>")
                    page.locator("#review .reason-list button").first.click()
                else:
                    page.keyboard.press("n")
            page.keyboard.press("p")
            for _ in range(6):
                page.keyboard.press("p")
            page.wait_for_timeout(100)
            assert page.evaluate("window.stolen") is None
            assert page.evaluate("document.querySelectorAll('iframe,object,embed,base,video,math').length") == 0
            assert page.evaluate("document.scripts.length") == 2
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert seen.dialogs == [] and seen.errors == []
        assert all(request.startswith(served.url) for request in seen.requests), seen.requests
    assert {r.note for r in read_all(store)} == {"<img src=x onerror=window.stolen=1>"}
